// Layer by step matrices of one quantity at a time.
import { choice, distinct, el, emptyState, figure, forPlotly, panel } from "./dom.js";
import { folding, rowsOf, toggle, treeOf } from "./fold.js";
import { savers } from "./save.js";
import { get, set } from "./state.js";
import { axis, chart, ink, labelRoom, narrow } from "./theme.js";

export function heatmapOf({ heatmap }) {
  if (!heatmap.choices.length) return { node: panel("heatmap", "Heat map", "", null, emptyState("No quantity was measured at any layer.")), update: (data) => !data.heatmap.choices.length };
  const node = el("div", { class: "chart", role: "img", "aria-label": "Quantity by layer and step" });
  const note = el("p", { class: "note" });
  const offered = JSON.stringify(heatmap.choices);
  let [view, map] = [heatmap, null];
  const modules = el("span", {});
  const look = () => { // at what the view tells, folded as it is now
    const whole = mapOf(view);
    map = foldedMap(whole);
    const button = folding(whole.layers);
    modules.replaceChildren(...(button ? [button.button] : []));
    note.textContent = map.layers.length ? noteOfMap(map, view) : "No layer has a name like this, or nothing was measured in these steps.";
  };
  let draw = () => {};
  look();
  const tools = [choice("Quantity", heatmap.choices, (key) => set("map", key), map.key), modules, savers("Heat map", () => rowsOfMap(map, view), () => node)];
  return {
    node: panel("heatmap", "Heat map", "", tools, note, node),
    draw: () => {
      draw = chart(node, () => ({ traces: tracesOfMap(map, view), layout: layoutOfMap(map) }), true);
      node.on("plotly_click", ({ points }) => { const row = map.rows[points[0].y]; if (row && row.node.children.length) toggle(row); });
    },
    fold: () => { look(); draw(); },
    update: (data) => {
      if (JSON.stringify(data.heatmap.choices) !== offered) return false;
      view = data.heatmap;
      look();
      draw();
      return true;
    },
  };
}

function mapOf({ maps, choices }) {
  const key = choices.some(([one]) => one === get("map")) ? get("map") : choices[0][0];
  return maps.find((one) => one.key === key) || { ...NOTHING, key };
}

// With the layers that are looked for, or those of a folded module as one row: their mean, or the
// largest of counts and shares.
function foldedMap(map) {
  const rows = rowsOf(treeOf(map.layers), map.layers).filter((row) => !row.open);
  const each = (all, how) => (all.length ? rows.map(({ node }) => overRows(all.slice(node.from, node.to), how)) : all);
  return {
    ...map, rows, layers: rows.map(({ node }) => node.name), cells: each(map.cells, map.reduced), low: each(map.low, "min"), high: each(map.high, "max"),
    silent: map.silent.length ? rows.map(({ node }) => (node.to - node.from === 1 ? map.silent[node.from] : [])) : [],
  };
}

function overRows(rows, how) {
  if (rows.length === 1) return rows[0];
  return rows[0].map((_, j) => {
    const known = rows.map((row) => row[j]).filter((v) => v !== null);
    if (!known.length) return null;
    return how === "mean" ? known.reduce((a, b) => a + b, 0) / known.length : how === "max" ? Math.max(...known) : Math.min(...known);
  });
}

const NOTHING = { title: "", unit: "", scale: "sequential", centre: 0, reduced: "mean", layers: [], cells: [], low: [], high: [], silent: [] };

function rowsOfMap(map, { first, last }) {
  return [["layer", "first step", "last step", map.title + (map.unit ? " (" + map.unit + ")" : "")],
    ...map.layers.flatMap((name, i) => first.map((step, j) => [name, step, last[j], map.cells[i][j]]))];
}

function noteOfMap(map, { first, last }) {
  const wide = Math.max(0, ...first.map((step, i) => last[i] - step + 1));
  const parts = ["First layer on top."];
  if (wide > 1) parts.push(map.reduced === "max" ? "A column is the largest of its steps." : "A column is the mean of its steps" + (map.low.length ? "; the label has the extremes." : "."));
  if (map.scale === "diverging") parts.push(map.centre === 0 ? "Neutral is 0 dB, blue is fainter, orange louder." : "Neutral is " + figure(map.centre) + ", blue slower, orange faster.");
  if (map.silent.some((row) => row.length)) parts.push("Darkest: exactly zero.");
  if (map.rows.some((row) => row.node.children.length)) parts.push("▸ is a module: " + (map.reduced === "max" ? "the largest" : "the mean") + " of its layers; a click unfolds it.");
  return parts.join(" ");
}

function tracesOfMap(map, { first, last }) {
  const rows = map.layers.map((_, i) => i);
  const names = map.rows.map(({ node }) => forPlotly(node.name, 60) + (node.children.length ? ", " + (node.to - node.from) + " layers" : ""));
  const spans = first.map((step, j) => (step === last[j] ? "<br>step " + figure(step) : "<br>steps " + figure(step) + " to " + figure(last[j])) + "<br>");
  const text = map.cells.map((row, i) => row.map((value, j) => names[i] + spans[j] + labelOf(map, i, j, value)));
  const main = {
    type: "heatmap", x: first, y: rows, z: map.cells, text, hovertemplate: "%{text}<extra></extra>", hoverongaps: false,
    colorscale: map.scale === "diverging" ? diverging() : "Cividis", ...limitsOf(map), ygap: map.layers.length < 40 ? 1 : 0,
    colorbar: { thickness: 10, outlinewidth: 0, len: 1, y: 0.5, xpad: 8, ...(narrow() ? {} : { title: { text: map.unit, side: "right", font: { size: 11 } } }) },
  };
  return map.silent.some((row) => row.length) ? [silentOf(map, first, rows), main] : [main];
}

function labelOf(map, i, j, value) {
  const extremes = map.low.length && value !== null ? "<br>" + figure(map.low[i][j]) + " to " + figure(map.high[i][j]) : "";
  return figure(value) + " " + map.unit + extremes;
}

function silentOf(map, first, rows) {
  const z = map.layers.map(() => first.map(() => null));
  map.silent.forEach((spans, i) => spans.forEach(([a, b]) => { for (let j = a; j < b; j++) z[i][j] = 1; }));
  return {
    type: "heatmap", x: first, y: rows, z, zmin: 0, zmax: 1, showscale: false, hoverongaps: false,
    colorscale: [[0, ink("silent")], [1, ink("silent")]], hovertemplate: "exactly zero<extra></extra>",
  };
}

function diverging() {
  return [[0, "#0072B2"], [0.25, ink("cool")], [0.5, ink("neutral")], [0.75, ink("hot-soft")], [1, "#D55E00"]];
}

// Symmetric about the centre; outliers beyond the 1st and 99th percentile do not flatten the rest.
function limitsOf(map) {
  const known = map.cells.flat().filter((v) => v !== null).sort((a, b) => a - b);
  if (!known.length) return {};
  const low = known[Math.floor(0.01 * (known.length - 1))];
  const high = known[Math.ceil(0.99 * (known.length - 1))];
  if (map.scale === "diverging") {
    const reach = Math.max(Math.abs(low - map.centre), Math.abs(high - map.centre), map.unit === "dB" ? 40 : 2); // a healthy network looks calm
    return { zmin: map.centre - reach, zmax: map.centre + reach };
  }
  if (map.unit === "share") return { zmin: 0, zmax: 1 };
  if (map.unit === "count") return { zmin: 0, zmax: Math.max(known[known.length - 1], 1) };
  return high > low ? { zmin: low, zmax: high } : { zmin: low - 1, zmax: high + 1 };
}

function layoutOfMap(map) {
  const names = narrow() ? distinct(map.layers) : map.layers;
  const labels = map.rows.map(({ node }, i) => (node.children.length ? "▸ " : "") + forPlotly(names[i], narrow() ? 14 : 30));
  const every = Math.ceil(map.layers.length / 42);
  const shown = map.layers.map((_, i) => i).filter((i) => i % every === 0);
  return {
    height: Math.min(760, Math.max(190, map.layers.length * (map.layers.length > 24 ? 13 : 22) + 58)),
    margin: { l: labelRoom(labels), r: narrow() ? 4 : 16, t: 6, b: 42 },
    xaxis: axis({ title: "step", showgrid: false, tickformat: ",d" }),
    yaxis: axis({ autorange: "reversed", tickvals: shown, ticktext: shown.map((i) => labels[i]), showgrid: false, tickfont: { family: ink("mono"), size: 11 } }),
  };
}
