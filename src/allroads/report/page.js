// One chosen run, shared by every chart, the table, the panel and the address.
const payload = JSON.parse(document.getElementById("payload").textContent);
const runs = new Map(payload.runs.map((run) => [run.run, run]));
const charts = new Map(); // id of a chart's element -> { view, runs: ids that it shows }
const tables = new Map(); // key of a data set -> its rows
const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
let chosen = "";

// ---------------------------------------------------------------- data
function rowsOf(key) {
  if (!tables.has(key)) {
    const columns = Object.entries(payload.data[key] ?? {}).map(([name, column]) =>
      Array.isArray(column) ? [name, column] : [name, column.places.map((i) => (i < 0 ? null : column.values[i]))]);
    const count = columns.length ? columns[0][1].length : 0;
    tables.set(key, Array.from({ length: count }, (_, i) =>
      Object.fromEntries(columns.map(([name, column]) => [name, column[i]]))));
  }
  return tables.get(key);
}

// ---------------------------------------------------------------- charts
const compiled = new Map(); // drawing -> its Vega form, compiled once for all the panels that share it

async function draw(element, drawing, rows, square) {
  const values = rows.map((row) => ({ ...row })); // Vega marks the objects that it is given
  const options = { actions: false, renderer: "svg", hover: false };
  let spec;
  if (compiled.has(drawing)) {
    spec = compiled.get(drawing);
    const data = spec.data.map((source) => (source.name === "rows" ? { ...source, values } : source));
    spec = { ...spec, data };
    options.mode = "vega";
  } else {
    spec = {
      ...drawing,
      config: payload.config,
      datasets: { rows: values },
      params: [{ name: "selected", value: "" }],
      autosize: { type: "fit-x", contains: "padding" },
    };
    options.mode = "vega-lite";
  }
  const { view, vgSpec } = await vegaEmbed(element, spec, options);
  compiled.set(drawing, vgSpec);
  if (square) {
    const fit = () => view.height(view.width());
    view.addSignalListener("width", () => { fit(); view.runAsync(); });
    await fit().runAsync();
  }
  element.style.minHeight = "";
  return view;
}

async function drawPanel(panel) {
  const element = document.getElementById(panel.id);
  if (charts.has(panel.id) || !element.offsetParent) return; // drawn already, or hidden until its switch is pressed
  charts.set(panel.id, null);
  const rows = rowsOf(panel.data);
  const view = await draw(element, payload.drawings[panel.drawing], rows, panel.square);
  const chart = { view, runs: new Set(rows.map((row) => row.run)) };
  charts.set(panel.id, chart);
  mark(chart);
  view.addEventListener("click", (_, item) => {
    const run = item?.datum?.run;
    if (run && runs.has(run)) choose(run === chosen && item.datum.other ? item.datum.other : run);
  });
}

// A chart that does not hold the chosen run stays as it is.
function mark(chart) {
  const here = chart.runs.has(chosen) ? chosen : "";
  if (chart.view.signal("selected") !== here) chart.view.signal("selected", here).runAsync();
}

async function drawAll() {
  for (const panel of payload.panels) {
    await drawPanel(panel);
    await new Promise((resolve) => setTimeout(resolve)); // lets the reader scroll in between
  }
  document.documentElement.dataset.drawn = "yes";
}

// ---------------------------------------------------------------- choosing
function choose(run, { keepAddress = false } = {}) {
  if (run === chosen || (run && !runs.has(run))) return;
  chosen = run;
  for (const chart of charts.values()) if (chart) mark(chart);
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
  const match = location.hash.match(/^#run=(.+)$/);
  if (!match) return;
  const run = decodeURIComponent(match[1]);
  choose(run, { keepAddress: true });
  if (runs.has(run) && matchMedia("(max-width: 69.99rem)").matches) find("#run-panel").scrollIntoView();
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
  find(".chosen").hidden = find(".something").hidden = !run;
  find(".nothing").hidden = Boolean(run);
  if (!run) return;
  const swatch = () => find(".mark", rowOf(chosen)).cloneNode(true);
  find(".chosen-name").replaceChildren(swatch(), ` ${run.name}`);
  find(".run-name").replaceChildren(swatch(), ` ${run.name}`);
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
  drawRun(run);
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
      return draw(element, spec, rows, false);
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
  const head = event.target.closest("#runs th");
  if (head) return sortBy(head);
  const step = event.target.closest("[data-move]");
  if (step) {
    move(Number(step.dataset.move));
    if (!step.offsetParent) find("#run-panel").focus({ preventScroll: true }); // it has given way to the run
    return;
  }
  if (event.target.closest(".clear")) return choose("");
  const link = event.target.closest('a[href="#run-panel"]');
  if (link) { // keeps the run in the address
    event.preventDefault();
    find("#run-panel").scrollIntoView();
    return find("#run-panel").focus({ preventScroll: true });
  }
  const copy = event.target.closest(".copy");
  if (copy) return copyCode();
  const pressed = event.target.closest(".switch button");
  if (pressed) show(pressed);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return choose("");
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
    const shown = charts.get(chart.id)?.runs;
    if (shown) move(by, (run) => shown.has(run));
  } else if (by && runs.size && !event.target.closest("input, pre, .scroll")) {
    if (!sideways && !event.target.closest("#run-panel, .chosen")) return; // up and down scroll the page
    event.preventDefault();
    move(by);
  }
});

function show(button) {
  const grid = button.closest(".grid");
  for (const other of all(".switch button", grid)) other.setAttribute("aria-pressed", String(other === button));
  for (const figure of all("figure", grid)) figure.hidden = !figure.classList.contains(button.dataset.figure);
  drawAll();
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
addEventListener("hashchange", fromAddress);
for (const first of all('.switch button[aria-pressed="true"]')) {
  for (const figure of all("figure", first.closest(".grid"))) figure.hidden = !figure.classList.contains(first.dataset.figure);
}
window.allroads = { charts, choose, chosen: () => chosen };
fromAddress();
drawAll();
