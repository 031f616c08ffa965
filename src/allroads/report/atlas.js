// The atlas: a chosen program, shared by its maps, its trees, its panel and the address.
const atlases = (payload.atlas ?? []).map((given, index) => {
  const walks = new Map(Object.entries(given.walks).map(([run, flat]) =>
    [run, Array.from({ length: flat.length / 2 }, (_, i) => ({ at: flat[2 * i], step: flat[2 * i + 1] }))]));
  const [ends, passes] = [given.nodes.map(() => []), given.nodes.map(() => [])];
  for (const [run, walk] of walks) {
    ends[walk.at(-1).at].push(run);
    for (const at of new Set(walk.slice(0, -1).map((stay) => stay.at))) passes[at].push(run);
  }
  return { ...given, index, walks, ends, passes, edges: decoded(given.edges), ways: decoded(given.ways) };
});
let program = null; // the program in the panel: { atlas, at }
let asked = false; // whether the reader chose it, and not a run that ends there

const atlasOf = (data) => atlases.find(({ grid }) => data === `atlas-${grid}` || data === `passes-${grid}`);
const nodeOf = ({ atlas, at }) => atlas.nodes[at];
const keyOf = ({ atlas, at }) => `${atlas.index}-${at}`;

// What the map draws of the choice: the chosen node, and the nodes and ways that belong to it.
function mapSignals(atlas) {
  const name = (at) => atlas.nodes[at].node;
  const node = program?.atlas === atlas && (asked || chosen) ? name(program.at) : "";
  const walk = atlas.walks.get(chosen);
  if (walk) {
    const stops = {};
    walk.forEach(({ at }, i) => { stops[name(at)] = `${stops[name(at)] ?? ""}${i + 1}.`; });
    const ways = Object.fromEntries(walk.slice(1).map(({ at }, i) => [`${name(walk[i].at)}>${name(at)}`, true]));
    return { node, lit: stops, ways, stops };
  }
  if (!node || !asked) return { node: "", lit: null, ways: null, stops: null };
  const near = atlas.ways.filter(({ source, target }) => source === program.at || target === program.at);
  const lit = Object.fromEntries([program.at, ...near.flatMap(({ source, target }) => [source, target])].map((at) => [name(at), true]));
  return { node, lit, stops: null, ways: Object.fromEntries(near.map((way) => [`${name(way.source)}>${name(way.target)}`, true])) };
}

// The runs that belong to the chosen program: those that end there, or else those that pass it.
function amongRuns() {
  if (!asked || !program) return [];
  const { ends, passes } = program.atlas;
  return ends[program.at].length ? ends[program.at] : passes[program.at];
}

function chooseProgram(found, { keepAddress = false } = {}) {
  if (!atlases.length) return;
  program = found;
  asked = Boolean(found);
  if (found && chosen && !found.atlas.walks.get(chosen)?.some(({ at }) => at === found.at)) choose("", { keepAddress: true });
  if (!keepAddress && (found || location.hash.startsWith("#program=")))
    history.replaceState(null, "", found ? `#program=${keyOf(found)}` : location.pathname + location.search);
  markAll();
  fillProgram();
}

// A run that is chosen elsewhere: its end is shown, unless the program that is shown lies on its walk.
function followRun(run) {
  const atlas = atlases.find(({ walks }) => walks.has(run));
  if (atlas && !(program?.atlas === atlas && atlas.walks.get(run).some(({ at }) => at === program.at))) {
    program = { atlas, at: atlas.walks.get(run).at(-1).at };
    asked = false;
  } else if (!run && !asked) program = null;
  fillProgram();
}

function programNamed(key) {
  const [index, at] = key.split("-").map(Number);
  return atlases[index]?.nodes[at] ? { atlas: atlases[index], at } : null;
}

function stepProgram(by, atlas = program?.atlas ?? atlases[0]) {
  const at = asked || chosen ? program?.atlas === atlas ? program.at + by : 0 : by > 0 ? 0 : atlas.nodes.length - 1;
  chooseProgram({ atlas, at: Math.min(Math.max(at, 0), atlas.nodes.length - 1) });
}

// ---------------------------------------------------------------- its panel
const made = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text, ...more });
const shown = () => program ?? { atlas: atlases[0], at: Math.max(atlases[0].nodes.findIndex(({ node }) => node !== "none"), 0) };
const percent = (value) => `${(100 * value).toFixed(value < 0.1 && value > 0 ? 1 : 0)} %`;
const count = (many, what) => `${many.toLocaleString("en")} ${what}${many === 1 ? "" : "s"}`;

function fillProgram() {
  const panel = find("#program-panel");
  if (!panel) return;
  const here = shown();
  const { atlas, at } = here;
  const node = nodeOf(here);
  find("#program-choice").value = keyOf(here);
  const swatch = node.colour ? swatchOf(node) : [];
  find("#program-title").replaceChildren(...swatch, node.label || node.node);
  find(".program-said", panel).textContent = saidOf(here);
  const source = find(".program-source", panel);
  source.hidden = !node.source;
  source.textContent = (node.source ?? "").trimEnd();
  find(".program-facts", panel).replaceChildren(...pairsOf(factsOf(here)));
  const near = nearestTo(here);
  find(".program-near", panel).replaceChildren(...near.map((other) => nearRow(here, other)));
  find(".program-near-none", panel).hidden = near.length > 0;
  const { ends: ending, passes: passing } = node;
  const ends = atlas.ends[at];
  find(".program-runs-title", panel).textContent =
    ending ? `${count(ending, "run")} end${ending === 1 ? "s" : ""} here` : `No run ends here; ${count(passing, "run")} pass${passing === 1 ? "es" : ""} it`;
  find(".program-runs", panel).replaceChildren(...(ending ? runButtons(ends, ending) : runButtons(atlas.passes[at], passing)));
  const loaded = ends.includes(chosen) ? chosen : ends[0];
  find(".program-load", panel).hidden = !loaded;
  if (loaded) {
    find(".program-loaded", panel).textContent = `Load the weights of ${runs.get(loaded).name}`;
    find(".program-code", panel).textContent = snippet(runs.get(loaded));
  }
}

function swatchOf({ shape, colour }) {
  const template = find(`#marks [data-shape="${shape}"]`);
  if (!template) return [];
  const svg = template.cloneNode(true);
  find("path", svg).setAttribute("fill", colour);
  return [svg, " "];
}

function saidOf({ atlas, at }) {
  const node = atlas.nodes[at];
  if (node.node === "none") return "Records at which no program was shown to give the network’s answers.";
  const what = node.target ? `The program of the target ${node.target}.` : "It computes another function than the target of any run that ends here.";
  return node.target || node.ends ? what : "No run ends at this program.";
}

function factsOf({ atlas, at }) {
  const node = atlas.nodes[at];
  const { proof } = node;
  const inputs = proof?.checked ? `${proof.checked.toLocaleString("en")} inputs` : "inputs";
  const scope = { "all lengths": "at all lengths", exhaustive: `on all ${inputs}` }[proof?.scope] ?? `${proof?.scope ?? "compared"}, ${inputs}`;
  const rows = [
    ["node", node.node === node.label || node.node === "none" ? null : node.node],
    ["language", node.language],
    ["length", node.bits === null ? null : `${number(node.bits)} bits`],
    ["proof", proof && `${proof.equal ? "equal" : "not equal"} ${scope}`],
    ["status", node.status],
    ["interchange", proof?.interchange === undefined ? null : number(proof.interchange)],
    ["runs that end here", `${number(node.ends)} of ${number(atlas.runs)}`],
    ["records here", number(node.visits)],
    ...node.facts,
  ];
  return rows.filter(([, value]) => value !== null && value !== undefined).map(([title, value]) =>
    title === "status" ? [title, value, atlas.statuses[value]?.meaning] : [title, value]);
}

function pairsOf(rows) {
  return rows.map(([title, value, hint]) => {
    const pair = made("div", "");
    pair.append(made("dt", title), made("dd", value, hint ? { title: hint } : {}));
    return pair;
  });
}

const SHARES = ["changes", "reach", "neighbour_share"];

// Other programs by how often runs change between the two, then by what else is known of the pair.
function nearestTo({ atlas, at }) {
  const rank = new Map();
  const raise = (other, by) => other !== at && rank.set(other, (rank.get(other) ?? 0) + by);
  for (const { source, target, count } of atlas.ways) {
    if (source === at) raise(target, count);
    else if (target === at) raise(source, count);
  }
  for (const { source, target, quantity, value } of atlas.edges) {
    if (source !== at || value === null) continue;
    if (quantity.startsWith("pass") || quantity.endsWith("cost")) raise(target, 1e-3 / (1 + Math.max(value, 0)));
    else if (SHARES.includes(quantity)) raise(target, 1e-6 * Math.min(Math.max(value, 0), 1));
  }
  return [...rank.keys()].filter((other) => atlas.nodes[other].node !== "none").sort((a, b) => rank.get(b) - rank.get(a) || a - b).slice(0, 6);
}

function nearRow({ atlas, at }, other) {
  const row = made("li", "");
  const button = made("button", atlas.nodes[other].label || atlas.nodes[other].node, { type: "button", className: "to" });
  button.dataset.program = keyOf({ atlas, at: other });
  row.append(button, made("span", between(atlas, at, other).join("; ")));
  return row;
}

function between(atlas, at, other) {
  const way = (source, target) => atlas.ways.find((row) => row.source === source && row.target === target)?.count ?? 0;
  const edge = (source, target, name) => atlas.edges.find((row) => row.source === source && row.target === target && row.quantity === name && row.value !== null);
  const [out, back] = [way(at, other), way(other, at)];
  const words = [];
  if (out || back) words.push([out && `${out} to it`, back && `${back} from it`].filter(Boolean).join(", ").replace(/^(\d+)/, (n) => `${n} change${n === "1" ? "" : "s"}`));
  for (const { key, title } of atlas.quantities) {
    const [there, here] = [edge(at, other, key), edge(other, at, key)];
    const told = (row) => {
      const write = SHARES.includes(key) ? percent : (value) => number(value);
      return row.low === null || row.high === null ? write(row.value) : `${write(row.value)} [${write(row.low)} to ${write(row.high)}]`;
    };
    if (there && here && there.value === here.value) words.push(`${title} ${told(there)}`);
    else if (there || here) words.push(`${title} ${[there && `→ ${told(there)}`, here && `← ${told(here)}`].filter(Boolean).join(", ")}`);
  }
  return words;
}

const MOST_RUNS = 8;
function runButtons(ids, many) {
  const buttons = ids.slice(0, MOST_RUNS).map((run) => {
    const button = made("button", runs.get(run).name, { type: "button", className: "to" });
    button.dataset.choose = run;
    if (run === chosen) button.setAttribute("aria-pressed", "true");
    return button;
  });
  const more = many - buttons.length;
  return more ? [...buttons, made("span", `and ${number(more)} more`, { className: "small" })] : buttons;
}

function fillChoice() {
  const select = find("#program-choice");
  if (!select) return;
  for (const atlas of atlases) {
    const options = atlas.nodes.map((node, at) => made("option", node.label || node.node, { value: keyOf({ atlas, at }) }));
    if (atlases.length === 1) select.append(...options);
    else {
      const group = Object.assign(document.createElement("optgroup"), { label: atlas.name });
      group.append(...options);
      select.append(group);
    }
  }
  select.addEventListener("change", () => chooseProgram(programNamed(select.value)));
}

// What was clicked is a program, a run of the panel, or a step between programs: whether it was.
function clickedInAtlas(target) {
  const to = target.closest("[data-program], [data-choose], [data-step]");
  if (!to) return false;
  if (to.dataset.program) chooseProgram(programNamed(to.dataset.program));
  else if (to.dataset.choose) choose(to.dataset.choose === chosen ? "" : to.dataset.choose);
  else stepProgram(Number(to.dataset.step));
  return true;
}
