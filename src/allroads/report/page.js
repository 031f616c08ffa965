// One chosen run, shared by every chart, the table, the panel and the address.
const runs = new Map(payload.runs.map((run) => [run.run, run]));
let chosen = "";

async function drawPanel(panel) {
  const element = document.getElementById(panel.id);
  if (charts.has(panel.id) || !element.checkVisibility()) return; // drawn already, or hidden until it is unfolded
  charts.set(panel.id, null);
  nearing.unobserve(element);
  const view = await draw(element, payload.drawings[panel.drawing], rowsOf(panel.data), panel.ratio);
  const chart = { view, ...shownIn(panel) };
  charts.set(panel.id, chart);
  mark(chart);
  view.addEventListener("click", (_, item) => {
    const { atlas } = chart;
    const node = atlas && item?.datum?.node;
    if (node) return chooseProgram({ atlas, at: atlas.nodes.findIndex((one) => one.node === node) });
    const run = item?.datum?.run;
    if (run && runs.has(run)) choose(run === chosen && item.datum.other ? item.datum.other : run);
  });
}

// What a panel shows, drawn or not: its atlas, if it has one, and its runs.
function shownIn(panel) {
  const atlas = atlasOf(panel.data);
  return { atlas, runs: new Set(atlas ? atlas.walks.keys() : rowsOf(panel.data).map((row) => row.run)) };
}

// A chart that holds neither the chosen run nor one of the chosen program stays as it is.
function signalsOf(chart) {
  const those = chosen ? [] : amongRuns().filter((run) => chart.runs.has(run));
  const among = those.length ? Object.fromEntries(those.map((run) => [run, true])) : null;
  return { selected: chart.runs.has(chosen) ? chosen : "", among, ...(chart.atlas ? mapSignals(chart.atlas) : {}) };
}

function mark(chart) {
  const wanted = Object.entries(signalsOf(chart)).filter(([name, value]) => chart.view.signal(name) !== value);
  if (!wanted.length) return;
  for (const [name, value] of wanted) chart.view.signal(name, value);
  chart.view.runAsync();
}

function markAll() {
  for (const chart of charts.values()) if (chart) mark(chart);
  const those = new Set(chosen ? [] : amongRuns());
  for (const row of all("tbody tr[data-run]")) row.classList.toggle("among", those.has(row.dataset.run));
}

// Pixels from what is seen to a panel: 0 for one in sight, and none for one that is hidden.
function away({ id }) {
  const element = document.getElementById(id);
  const { top, bottom } = element.getBoundingClientRect();
  return element.checkVisibility() ? Math.max(top - innerHeight, -bottom, 0) : Infinity;
}

// A chart is drawn when it comes near to what is seen, the nearest one first.
const NEAR = 700; // pixels
const nearing = new IntersectionObserver(drawNear, { rootMargin: `${NEAR}px 0px` });
let drawing = Promise.resolve(); // one pass after another
function drawNear() {
  delete document.documentElement.dataset.drawn;
  const pass = async () => {
    for (;;) {
      const waiting = payload.panels.filter(({ id }) => !charts.has(id)).map((panel) => ({ panel, far: away(panel) }));
      const next = waiting.reduce((best, one) => (one.far < best.far ? one : best), { far: Infinity });
      if (next.far > 0) document.documentElement.dataset.opened = "yes"; // all that is in sight is drawn
      if (next.far > NEAR) return;
      await drawPanel(next.panel);
      await new Promise((resolve) => setTimeout(resolve)); // lets the reader scroll in between
    }
  };
  const mine = (drawing = drawing.then(pass));
  return mine.then(() => { if (mine === drawing) document.documentElement.dataset.drawn = "yes"; });
}

// Every chart that is not folded away. Nothing here waits for a timer: a browser that prints waits for promises alone.
async function drawAll() {
  for (const panel of payload.panels) await drawPanel(panel);
  return drawing; // of a chart that was begun before
}

// ---------------------------------------------------------------- choosing
function choose(run, { keepAddress = false } = {}) {
  if (run === chosen || (run && !runs.has(run))) return;
  chosen = run;
  followRun(run);
  markAll();
  markRow();
  fillPanel();
  if (!keepAddress) {
    const address = run ? `#run=${encodeURIComponent(run)}` : location.pathname + location.search;
    history.replaceState(null, "", address);
  }
}

function move(by, among = () => true) {
  const order = all("tbody tr[data-run]:not([hidden])").map((row) => row.dataset.run).filter(among);
  if (!order.length) return;
  const at = order.indexOf(chosen);
  choose(order[at < 0 ? (by > 0 ? 0 : order.length - 1) : Math.min(Math.max(at + by, 0), order.length - 1)]);
}

function fromAddress() {
  const match = location.hash.match(/^#(run|program)=(.+)$/);
  if (match?.[1] === "run") choose(decodeURIComponent(match[2]), { keepAddress: true });
  else if (match) chooseProgram(programNamed(match[2]), { keepAddress: true });
}

// ---------------------------------------------------------------- table
const rowOf = (run) => all("tbody tr[data-run]").find((row) => row.dataset.run === run);

function markRow() {
  for (const row of all('tbody tr[aria-selected="true"]')) row.setAttribute("aria-selected", "false");
  const row = chosen && rowOf(chosen);
  if (!row) return;
  for (const other of all('tbody tr[tabindex="0"]')) other.tabIndex = -1;
  row.tabIndex = 0;
  row.setAttribute("aria-selected", "true");
  const frame = row.closest(".scroll"); // scrolls within the table, never the page
  const head = find("thead", frame).offsetHeight;
  if (row.offsetTop - head < frame.scrollTop) frame.scrollTop = row.offsetTop - head;
  else if (row.offsetTop + row.offsetHeight > frame.scrollTop + frame.clientHeight)
    frame.scrollTop = row.offsetTop + row.offsetHeight - frame.clientHeight;
  if (document.activeElement?.matches("tbody tr")) row.focus({ preventScroll: true });
}

function sortBy(head) {
  const key = find("button", head).dataset.key;
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of all("th[aria-sort]")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const compare = (a, b) => {
    const [x, y] = [runs.get(a.dataset.run)[key], runs.get(b.dataset.run)[key]];
    if (x === null || y === null) return (x === null) - (y === null); // what is missing stands last
    const order = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
    return up ? order : -order;
  };
  const body = find("#runs tbody");
  body.append(...all("tr", body).sort(compare));
}

// Rows that hold the words side by side, as in a name; where no row does, rows that hold them all.
function filter(text) {
  const plain = (words) => words.toLowerCase().split(/\s+/).filter(Boolean);
  const words = plain(text);
  const phrase = words.join(" ");
  const rows = all("#runs tbody tr");
  const own = new Map(rows.map((row) => [row, plain(`${row.textContent} ${runs.get(row.dataset.run).name}`).join(" ")]));
  const together = rows.some((row) => own.get(row).includes(phrase));
  const held = (row) => (together ? own.get(row).includes(phrase) : words.every((word) => own.get(row).includes(word)));
  for (const row of rows) row.hidden = !held(row);
  const shown = rows.filter((row) => !row.hidden);
  if (shown.length && !shown.some((row) => row.tabIndex === 0)) {
    for (const row of rows) row.tabIndex = -1;
    shown[0].tabIndex = 0;
  }
  find(".filter output").textContent = words.length ? `${shown.length} of ${rows.length} runs` : "";
}

// ---------------------------------------------------------------- panel
const number = (value, digits = 3) =>
  value === null || value === undefined ? "–" : Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(digits)));
const share = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);

function facts(run) {
  const measured = (name) =>
    (run[name] ?? null) !== null ? number(run[name]) : run[`${name}_status`] ? `– (${run[`${name}_status`]})` : "–";
  return [
    ["fitted at step", number(run.steps_to_fit)],
    ["generalised at step", number(run.steps_to_generalise)],
    ["training accuracy", share(run.train_accuracy)],
    ["held-out accuracy", share(run.held_out_accuracy)],
    ["commonest answer", share(run.baseline_held_out_accuracy ?? run.baseline_train_accuracy)],
    ["training loss", number(run.train_loss)],
    ["held-out loss", number(run.held_out_loss)],
    [`directness${run.chart ? ` (${run.chart})` : ""}`, measured("directness")],
    [`turning${run.chart ? ` (${run.chart})` : ""}`, measured("turning")],
    ["certified share of the road", run.certified_share === null ? measured("certified") : share(run.certified_share)],
    ["stages of the road", number(run.stages)],
    ...payload.facts.map(({ key, title }) => [title, typeof run[key] === "number" ? number(run[key]) : String(run[key] ?? "–")]),
    ["steps", `${number(run.last_step)} of ${number(run.steps)}`],
    ["gradient evaluations", number(run.gradients)],
    ["examples seen", number(run.examples)],
    ["parameters", number(run.parameters)],
    ["target", run.target],
    ["architecture", run.architecture],
    ["explorer", run.explorer],
    ["seed", String(run.seed)],
    ["grid", run.grid],
    ["run", run.run],
  ];
}

function snippet(run) {
  return [
    "from safetensors.numpy import load_file",
    `weights = load_file("cells/${run.cell.slice(0, 2)}/${run.cell}/weights.safetensors")`,
    "last = {name: array[-1] for name, array in weights.items()}",
  ].join("\n");
}

function fillPanel() {
  const run = runs.get(chosen);
  const dock = find("#run-panel");
  dock.classList.toggle("open", Boolean(run));
  if (!run) return unfold(false);
  find(".run-name").replaceChildren(find(".mark", rowOf(chosen)).cloneNode(true), ` ${run.name}`);
  const status = payload.statuses[run.status];
  const strong = document.createElement("strong");
  strong.textContent = run.status;
  const told = run.status === "ok" ? story(run) : [status?.meaning, status?.causes, status?.remedy].filter(Boolean).join(" ");
  find(".run-status").replaceChildren(...(run.status === "ok" ? [told] : [strong, told ? `: ${told}` : ""]));
  find("#run-panel .numbers").replaceChildren(...facts(run).filter(([, value]) => value !== "–").map(([title, value]) => {
    const pair = document.createElement("div");
    pair.append(Object.assign(document.createElement("dt"), { textContent: title }),
      Object.assign(document.createElement("dd"), { textContent: value }));
    return pair;
  }));
  find("#run-panel .code").textContent = snippet(run);
  find(".copied").textContent = "";
  if (!find("#run-more").hidden) drawRun(run);
}

function unfold(open) {
  find("#run-more").hidden = !open;
  find("#run-panel .more").setAttribute("aria-expanded", String(open));
  if (open) drawRun(runs.get(chosen));
}

function story(run) {
  if (run.steps_to_fit === null) return `It did not fit its training examples within ${number(run.steps)} steps.`;
  const fitted = `It fitted its training examples at step ${number(run.steps_to_fit)}`;
  if (run.held_out_loss === null) return `${fitted}; nothing was held out.`;
  return run.steps_to_generalise === null
    ? `${fitted} and did not generalise within ${number(run.steps)} steps.`
    : `${fitted} and generalised at step ${number(run.steps_to_generalise)}.`;
}

let runViews = null; // the promised views of the panel's small charts
async function drawRun(run) {
  const rows = rowsOf(run.curves).filter((row) => row.run === run.run);
  if (!runViews) {
    runViews = Promise.all(payload.runCharts.map((spec) => {
      const element = Object.assign(document.createElement("div"), { className: "run-chart" });
      find(".run-charts").append(element);
      return draw(element, spec, rows, null);
    }));
  }
  for (const view of await runViews) {
    if (run.run !== chosen) return;
    view.data("rows", rows.map((row) => ({ ...row }))).signal("selected", chosen).runAsync();
  }
}

// ---------------------------------------------------------------- listening
document.addEventListener("click", (event) => {
  const row = event.target.closest("tbody tr[data-run]");
  if (row) return choose(row.dataset.run);
  if (clickedInAtlas(event.target)) return;
  const head = event.target.closest("#runs th");
  if (head) return sortBy(head);
  const step = event.target.closest("[data-move]");
  if (step) return move(Number(step.dataset.move));
  if (event.target.closest(".clear")) return choose("");
  if (event.target.closest(".more")) return unfold(find("#run-more").hidden);
  const copy = event.target.closest(".copy");
  if (copy) return copyCode();
  const pressed = event.target.closest(".switch button");
  if (pressed) {
    show(pressed);
    return drawNear();
  }
  const toggle = event.target.closest(".toggle");
  if (!toggle) return;
  const on = toggle.getAttribute("aria-pressed") !== "true";
  toggle.setAttribute("aria-pressed", String(on));
  setParam(toggle.dataset.param, on);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || find("#enlarged").open) return;
  if (event.key === "Escape") {
    chooseProgram(null);
    return choose("");
  }
  const sideways = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const by = sideways ?? { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest("tbody tr[data-run]");
  const chart = event.target.closest(".chart");
  if (row && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    choose(row.dataset.run);
  } else if (by && row) {
    event.preventDefault();
    if (!chosen) choose(row.dataset.run);
    else move(by);
  } else if (by && chart) {
    event.preventDefault();
    const drawn = charts.get(chart.id);
    if (drawn?.atlas) stepProgram(by, drawn.atlas);
    else if (drawn) move(by, (run) => drawn.runs.has(run));
  } else if (by && runs.size && !event.target.closest("input, pre, select, .scroll, summary")) {
    if (!sideways && !event.target.closest("#run-panel")) return; // up and down scroll the page
    event.preventDefault();
    move(by);
  }
});

// Of figures that stand behind one another one is shown; a grid that lacks it keeps what it has.
function show(button) {
  const block = button.closest(".block");
  const wanted = button.dataset.figure;
  const known = all(".switch button", block).map((other) => other.dataset.figure);
  for (const other of all(".switch button", block)) other.setAttribute("aria-pressed", String(other === button));
  const hide = (part, here) => { part.hidden = known.some((name) => part.classList.contains(name)) && here && !part.classList.contains(wanted); };
  for (const grid of all(".grid", block)) {
    const has = all("figure", grid).some((figure) => figure.classList.contains(wanted));
    for (const figure of all("figure", grid)) hide(figure, has);
  }
  for (const part of all(".of-figure", block)) hide(part, true);
}

// The target of a link is unfolded, and so is what it lies in.
function unfoldTarget() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
}

// A table that is wider than its frame says so.
function cue() {
  const frame = find("#runs .scroll");
  if (!frame) return;
  const rest = frame.scrollWidth - frame.clientWidth - frame.scrollLeft;
  frame.classList.toggle("more-right", rest > 4);
  find("#runs .cue").hidden = frame.scrollWidth - frame.clientWidth <= 4;
}

async function copyCode() {
  const code = find("#run-panel .code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    find(".copied").textContent = "Copied.";
  } catch { // no right to the clipboard: select the text instead
    getSelection().selectAllChildren(code);
    find(".copied").textContent = "Selected: press Ctrl+C.";
  }
}

find("#filter")?.addEventListener("input", (event) => filter(event.target.value));
find("#runs .scroll")?.addEventListener("scroll", cue);
find("#runs .scroll")?.addEventListener("contentvisibilityautostatechange", cue); // laid out when it comes near
addEventListener("resize", cue);
addEventListener("beforeprint", () => {
  for (const fold of all(".shortfalls")) fold.open = true;
  drawAll();
});
addEventListener("hashchange", () => { fromAddress(); unfoldTarget(); });
document.addEventListener("toggle", (event) => { if (event.target.matches("details") && event.target.open) drawNear(); }, true);
for (const first of all('.switch button[aria-pressed="true"]')) show(first);
window.allroads = { charts, drawAll, choose, chosen: () => chosen, program: () => program && asked && nodeOf(program).node };
fillChoice();
if (atlases.length) fillProgram();
cue();
fromAddress();
for (const panel of payload.panels) {
  reserve(panel);
  nearing.observe(document.getElementById(panel.id));
}
unfoldTarget();
drawNear();
