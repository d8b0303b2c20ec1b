// A landscape: a map with the ways across it, or the same in three dimensions, step by step.
import { choice, clean, el, figure, forPlotly, panel, segments } from "./dom.js";
import { savers } from "./save.js";
import { axis, chart, ink, narrow } from "./theme.js";

const COLOURS = ["#D55E00", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#F0E442"]; // Okabe and Ito
const BANDS = 18;
const PACE = 40; // milliseconds a step of the film, at least

export function landscapeOf(title, landscape) {
  const flat = landscape.y.length > 1;
  const node = el("div", { class: "chart " + (flat ? "map-chart" : "loss-chart"), role: "img", "aria-label": "Landscape " + clean(title) });
  const state = { which: 0, solid: false, at: lastPoint(landscape) };
  let draw = () => {};
  const tools = flat ? toolsOfMap(landscape, state, () => draw()) : [];
  const note = el("p", { class: "note" }, noteOfMap3(landscape));
  return {
    node: panel("map-" + clean(title), clean(title), "", [...tools, savers("Landscape " + clean(title), () => rowsOfLandscape(landscape, state.which), () => node)], note, node),
    draw: () => { draw = chart(node, () => (flat ? (state.solid ? solidOf(landscape, state) : planeOf(landscape, state)) : lineOf(landscape))); },
  };
}

function toolsOfMap(landscape, state, redraw) {
  const tools = [];
  if (landscape.names.length > 1) tools.push(choice("Loss", landscape.names.map((name, i) => [String(i), clean(name).slice(0, 60)]), (i) => { state.which = Number(i); redraw(); }, "0"));
  const view = segments("View", [["plane", "Map"], ["solid", "3-D"]], (value) => { state.solid = value === "solid"; redraw(); });
  if (drawsSolids()) tools.push(view.group);
  if (state.at > 0) tools.push(...film(landscape, state, redraw));
  return tools;
}

// A slider over the points of the ways, and a button that moves it.
function film(landscape, state, redraw) {
  const slider = el("input", { type: "range", min: 0, max: state.at, step: 1, value: state.at, "aria-label": "Point of the ways" });
  const label = el("output", { class: "step-label" });
  const button = el("button", { type: "button", class: "plain fold-all" }, "Play");
  let clock = 0;
  const stop = () => { clearInterval(clock); clock = 0; button.textContent = "Play"; };
  const go = (to) => { state.at = to; slider.value = to; label.textContent = "point " + figure(to * landscape.courses[0].every); redraw(); };
  slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
  button.addEventListener("click", () => {
    if (clock) { stop(); return; }
    const end = lastPoint(landscape);
    if (state.at >= end) go(0);
    button.textContent = "Pause";
    const stride = Math.max(1, Math.round(end / 120));
    clock = setInterval(() => { if (!button.isConnected || state.at >= end) stop(); else go(Math.min(end, state.at + stride)); }, PACE);
  });
  label.textContent = "point " + figure(state.at * landscape.courses[0].every);
  return [button, slider, label];
}

function drawsSolids() {
  const canvas = document.createElement("canvas");
  return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
}

function lastPoint({ courses }) {
  return courses.length ? courses[0].x.length - 1 : 0;
}

function noteOfMap3(landscape) {
  const parts = [landscape.note ? clean(landscape.note).slice(0, 300) : "", landscape.complete ? "" : "It was interrupted: white was not evaluated.",
    landscape.y.length > 1 ? "Bands lie closer where the loss is small, for losses span decades; the label has the loss itself." : ""];
  return parts.filter(Boolean).join(" ");
}

function rowsOfLandscape({ axes, x, y, values, names }, which) {
  return [[axes[1], axes[0], names[which]], ...y.flatMap((up, j) => x.map((across, i) => [up, across, values[which][j][i]]))];
}

// From a loss to its place on the colour scale: even where losses are small, by decades above.
function scaleOfLoss(rows) {
  const known = rows.flat().filter((v) => v !== null).sort((a, b) => a - b);
  if (!known.length) return { place: () => null, ticks: [], least: 0, most: 1 };
  const [low, high] = [known[0], known[known.length - 1]];
  const unit = Math.max((known[known.length >> 3] - low) / 4, (high - low) / 1e4, 1e-30);
  const place = (v) => (v === null ? null : Math.log10(1 + Math.max(0, v - low) / unit));
  const most = place(high) || 1;
  const ticks = [0, 1, 2, 3, 4].map((i) => (most * i) / 4);
  return { place, ticks, texts: ticks.map((t) => figure(Number((low + unit * (10 ** t - 1)).toPrecision(2)))), least: 0, most };
}

function planeOf({ axes, x, y, names, values, courses }, { which, at }) {
  const scale = scaleOfLoss(values[which]);
  const map = {
    type: "contour", x, y, z: values[which].map((row) => row.map(scale.place)), customdata: values[which], colorscale: "Viridis", zmin: scale.least, zmax: scale.most, connectgaps: false,
    contours: { start: 0, end: scale.most, size: scale.most / BANDS }, line: { width: 0.4, color: "rgba(255,255,255,.35)" },
    colorbar: { thickness: 10, outlinewidth: 0, xpad: 8, tickvals: scale.ticks, ticktext: scale.texts, ...(narrow() ? {} : { title: { text: forPlotly(names[which], 30), side: "right", font: { size: 11 } } }) },
    hovertemplate: "%{x:.3g}, %{y:.3g}<br>%{customdata:.4g}<extra></extra>",
  };
  const ways = coursesUpTo(courses, at).flatMap(({ name, colour, first, xs, ys, heights }) => [
    { type: "scatter", mode: "lines+markers", x: xs, y: ys, name, legendgroup: name, showlegend: first && Boolean(name), line: { color: colour, width: 2 }, marker: { size: 4, color: colour },
      text: heights.map((h) => (h === null ? "" : "<br>" + figure(h))), hovertemplate: name + "<br>%{x:.3g}, %{y:.3g}%{text}<extra></extra>" },
    { type: "scatter", mode: "markers", x: xs.slice(-1), y: ys.slice(-1), legendgroup: name, showlegend: false, hoverinfo: "skip", marker: { size: 10, symbol: "diamond", color: colour, line: { width: 1.5, color: "#ffffff" } } },
  ]);
  return {
    traces: [map, ...ways],
    layout: {
      showlegend: courses.some((one) => one.name), legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, hovermode: "closest", margin: { l: 58, r: 8, t: 34, b: 44 },
      xaxis: axis({ title: forPlotly(axes[0], 40), range: ends(x), showgrid: false, zeroline: false }), yaxis: axis({ title: forPlotly(axes[1], 40), range: ends(y), showgrid: false }),
    },
  };
}

function ends(values) {
  return [values[0], values[values.length - 1]];
}

// The ways as far as they are shown, each in its colour.
function coursesUpTo(courses, at) {
  const seen = [];
  return courses.map((course) => {
    const name = forPlotly(course.name, 40).replace("–", "");
    const first = !seen.includes(name);
    if (first) seen.push(name);
    const count = Math.min(at + 1, course.x.findIndex((v) => v === null) < 0 ? Infinity : course.x.findIndex((v) => v === null));
    const upTo = (all) => all.slice(0, count);
    return { name, first, colour: COLOURS[seen.indexOf(name) % COLOURS.length], xs: upTo(course.x), ys: upTo(course.y), heights: upTo(course.heights) };
  });
}

// The surface by its place on the colour scale, so that a valley below a mountain can be seen.
function solidOf({ axes, x, y, names, values, courses }, { which, at }) {
  const scale = scaleOfLoss(values[which]);
  const side = (text) => ({ title: { text }, color: ink("muted"), gridcolor: ink("line"), showbackground: false });
  const surface = {
    type: "surface", x, y, z: values[which].map((row) => row.map(scale.place)), customdata: values[which], colorscale: "Viridis", cmin: scale.least, cmax: scale.most, showscale: false, opacity: 0.92,
    hovertemplate: "%{x:.3g}, %{y:.3g}<br>%{customdata:.4g}<extra></extra>", contours: { z: { show: true, start: 0, end: scale.most, size: scale.most / BANDS, color: "rgba(255,255,255,.35)", width: 1 } },
  };
  const ways = coursesUpTo(courses, at).map(({ name, colour, first, xs, ys, heights }) => {
    const inside = heights.map((h, i) => h !== null && xs[i] >= x[0] && xs[i] <= x[x.length - 1] && ys[i] >= y[0] && ys[i] <= y[y.length - 1]);
    return { type: "scatter3d", mode: "lines+markers", x: xs.map((v, i) => (inside[i] ? v : null)), y: ys, z: heights.map((h) => (h === null ? null : scale.place(h) + 0.02 * scale.most)), name, showlegend: first && Boolean(name), line: { color: colour, width: 5 }, marker: { size: 2.5, color: colour }, hoverinfo: "name" };
  });
  return {
    traces: [surface, ...ways],
    layout: {
      showlegend: courses.some((one) => one.name), legend: { orientation: "h", x: 0, y: 1 }, margin: { l: 0, r: 0, t: 10, b: 0 },
      scene: { dragmode: "turntable", xaxis: side(forPlotly(axes[0], 30)), yaxis: side(forPlotly(axes[1], 30)), zaxis: { ...side(forPlotly(names[which], 30)), tickvals: scale.ticks, ticktext: scale.texts }, camera: { eye: { x: 1.4, y: -1.5, z: 1.0 } }, aspectratio: { x: 1.2, y: 1.2, z: 0.7 } },
    },
  };
}

function lineOf({ axes, x, names, values }) {
  const traces = names.map((name, i) => ({ type: "scatter", mode: "lines", x, y: values[i][0], name: forPlotly(name, 40), line: { width: 2, color: [ink("forward"), ...COLOURS][i % 7] }, hovertemplate: "%{x:.3g}<br>%{y:.4g}<extra></extra>" }));
  return { traces, layout: { showlegend: names.length > 1, hovermode: "closest", xaxis: axis({ title: forPlotly(axes[0], 40) }), yaxis: axis({ title: "loss", nticks: 6 }) } };
}
