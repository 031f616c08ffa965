// Charts: their data, drawing, tooltips, the enlarged one, and the page's colours.
const payload = JSON.parse(document.getElementById("payload").textContent);
const charts = new Map(); // id of a chart's element -> { view, runs: ids that it shows }
const tables = new Map(); // key of a data set -> its rows
const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const switches = new Map(); // a parameter of the drawings that the reader has switched on -> true

// ---------------------------------------------------------------- data
function rowsOf(key) {
  if (!tables.has(key)) tables.set(key, decoded(payload.data[key] ?? {}));
  return tables.get(key);
}

function decoded(table) {
  const columns = Object.entries(table).map(([name, column]) =>
    Array.isArray(column) ? [name, column] : [name, column.places.map((i) => (i < 0 ? null : column.values[i]))]);
  const count = columns.length ? columns[0][1].length : 0;
  return Array.from({ length: count }, (_, i) => {
    const row = {};
    for (const [name, column] of columns) row[name] = column[i] ?? null;
    return row;
  });
}

// ---------------------------------------------------------------- charts
const compiled = new Map(); // drawing -> its Vega form, compiled once for all the panels that share it

function params() {
  return payload.params.map((param) => ({ ...param, value: switches.get(param.name) ?? param.value }));
}

function whole(drawing, values) {
  return {
    ...drawing,
    config: payload.config,
    datasets: { rows: values },
    params: params(),
    autosize: { type: "fit-x", contains: "padding" },
  };
}

async function draw(element, drawing, rows, ratio) {
  const values = rows.map((row) => ({ ...row })); // Vega marks the objects that it is given
  const options = { actions: false, renderer: "svg", hover: false };
  let spec;
  if (compiled.has(drawing)) {
    spec = compiled.get(drawing);
    const data = spec.data.map((source) => (source.name === "rows" ? { ...source, values } : source));
    spec = { ...spec, data };
    options.mode = "vega";
  } else {
    spec = whole(drawing, values);
    options.mode = "vega-lite";
  }
  const { view, vgSpec } = await vegaEmbed(element, spec, options);
  compiled.set(drawing, vgSpec);
  tellNearest(view);
  for (const [name, value] of switches) view.signal(name, value);
  if (ratio) {
    const fit = async () => { // axes take a pixel more or less: what is near enough stays, so that this ends
      const height = Math.round(ratio * view.width());
      if (Math.abs(view.height() - height) > 1) await view.height(height).runAsync();
    };
    view.addSignalListener("width", () => setTimeout(fit)); // never within a run of the view
    await fit();
  }
  await view.runAsync();
  return view;
}

// The room of a chart that is yet to be drawn, so that nothing below it moves when it is.
function reserve({ id, drawing, ratio }) {
  const element = document.getElementById(id);
  const { height, layer, encoding } = payload.drawings[drawing];
  const axes = [encoding, ...(layer ?? []).map((part) => part.encoding)].map((channels) => channels?.x?.axis).filter(Boolean);
  const labels = axes.some((axis) => axis.labels !== false) ? 23 : 0;
  const title = axes.some((axis) => axis.title) ? 17 : 0;
  const most = ratio ? ratio * element.clientWidth : height + 10 + labels + title;
  if (most) element.style.minHeight = `${Math.round(most)}px`;
}

// A line is one mark: its tooltip is that of its point nearest to the pointer.
function tellNearest(view) {
  const usual = view.tooltip();
  view.tooltip((handler, event, item, value) => {
    const points = item && ["line", "trail", "area"].includes(item.mark.marktype) ? item.mark.items : [];
    if (!points.length) return usual(handler, event, item, value);
    const { x } = new DOMPoint(event.clientX, event.clientY).matrixTransform(event.target.getScreenCTM().inverse());
    const nearest = points.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best));
    usual(handler, event, nearest, nearest.tooltip);
  });
}

function setParam(name, value) {
  switches.set(name, value);
  for (const chart of charts.values()) if (chart) chart.view.signal(name, value).runAsync();
}

// ---------------------------------------------------------------- enlarged
let large = null; // { view, name } of the enlarged chart

async function enlarge(id) {
  const panel = payload.panels.find((one) => one.id === id);
  const dialog = find("#enlarged");
  const card = document.getElementById(id).closest(".panel");
  const titles = [find(".panel-title", card)?.textContent.trim(), card.closest(".block")?.querySelector("h2")?.textContent];
  find("#enlarged-title").textContent = titles.filter(Boolean).join(" · ");
  find(".panel-note", dialog).textContent = find(".panel-note", card)?.textContent ?? "";
  dialog.showModal();
  const place = find(".dialog-chart", dialog);
  const drawing = zoomable({ ...structuredClone(payload.drawings[panel.drawing]), width: "container" });
  drawing.height = panel.ratio
    ? Math.min(place.clientWidth * Math.min(panel.ratio, 1), innerHeight * 0.7) : Math.max(innerHeight * 0.62, 240);
  if (panel.ratio) drawing.width = drawing.height / panel.ratio;
  const rows = rowsOf(panel.data).map((row) => ({ ...row }));
  const { view } = await vegaEmbed(place, whole(drawing, rows), { actions: false, renderer: "svg", hover: false });
  tellNearest(view);
  large = { view, name: id };
  for (const [name, value] of Object.entries(signalsOf(shownIn(panel)))) view.signal(name, value);
  await view.runAsync();
  dialog.dataset.drawn = "yes";
}

// The first layer with a number on each axis carries the zoom; its scales are those of all layers.
function zoomable(drawing) {
  const numbers = (axis) => axis?.type === "quantitative" && !axis.bin && axis.scale !== null;
  const layer = (drawing.layer ?? []).find(({ encoding }) => encoding && numbers(encoding.x) && numbers(encoding.y));
  if (layer) layer.params = [{ name: "zoom", select: "interval", bind: "scales" }];
  return drawing;
}

function closeLarge() {
  large?.view.finalize();
  large = null;
  find(".dialog-chart").replaceChildren();
  delete find("#enlarged").dataset.drawn;
}

// The picture as it is seen: colours that the style sheet gives are written out.
async function pictured() {
  const style = getComputedStyle(document.documentElement);
  const text = (await large.view.toSVG()).replace(/var\((--[a-z]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  return text.replace(/(<svg[^>]*>)/, `$1<rect width="100%" height="100%" fill="${style.getPropertyValue("--paper").trim()}"/>`);
}

async function save(kind) {
  const svg = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(await pictured())}`;
  const link = document.createElement("a");
  link.download = `${large.name.replace(/^chart-/, "")}.${kind}`;
  link.href = svg;
  if (kind === "png") {
    const image = Object.assign(new Image(), { src: svg });
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: 3 * image.width, height: 3 * image.height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    link.href = canvas.toDataURL("image/png");
  }
  link.click();
}

find("#enlarged").addEventListener("close", closeLarge);
document.addEventListener("click", (event) => {
  const button = event.target.closest(".enlarge, #enlarged .close, #enlarged .save");
  if (!button) return;
  if (button.matches(".enlarge")) enlarge(button.dataset.panel);
  else if (button.matches(".close")) find("#enlarged").close();
  else save(button.dataset.kind);
});

// ---------------------------------------------------------------- light and dark
const remembered = (() => { try { return localStorage.getItem("allroads-scheme"); } catch { return null; } })();
if (remembered) document.documentElement.dataset.theme = remembered;

find(".scheme")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("allroads-scheme", root.dataset.theme); } catch { /* a page from disk may have no storage */ }
});

