// A surface from above, and a way across it. The map is drawn once by plotly; the way lies over it as
// a drawing of its own, so that it follows a slider without the map being drawn again.
import { clean, el, figure, svg } from "./dom.js";
import { axis, blend, chart, ink, plotlyThere } from "./theme.js";

const MARGIN = { l: 46, r: 12, t: 8, b: 40 };
const FAR = 1e5; // pixels: what lies farther out is drawn there
const DOTS = 150;

// `choose([x, y])` hears where the start is wanted.
export function terrainOf(choose) {
  const base = el("div", { class: "chart terrain-chart", "aria-hidden": "true" });
  const over = svg("svg", { class: "course", width: "100%", height: "100%", tabindex: 0, role: "application", "aria-label": "Map with the trajectory. Click to choose the start; arrow keys move it, with Shift by less." });
  const readout = el("p", { class: "readout", "aria-hidden": "true" });
  const node = el("div", { class: "terrain" }, base, over, readout);
  const terrain = { node, base, over, readout, map: null, way: null, at: null, choose };
  const watcher = new ResizeObserver(() => drawWay(terrain));
  watcher.observe(node);
  listenTo(terrain);
  return {
    node,
    start: (point) => { terrain.at = point; drawWay(terrain); },
    draw: (map, way) => {
      const fresh = map !== terrain.map;
      terrain.map = map;
      terrain.way = way;
      terrain.at = terrain.at || map.start;
      if (fresh) plotlyThere(() => chart(base, () => ({ traces: tracesOfMap(map), layout: layoutOfMap(map) })));
      drawWay(terrain);
    },
    end: () => watcher.disconnect(),
  };
}

// From coordinates to pixels and back.
function frameOf({ node, map }) {
  const { width, height } = node.getBoundingClientRect();
  const [[left, right], [bottom, top]] = [map.x, map.y].map((one) => [one[0], one[one.length - 1]]);
  const [w, h] = [width - MARGIN.l - MARGIN.r, height - MARGIN.t - MARGIN.b];
  const kept = (pixel) => Math.min(FAR, Math.max(-FAR, pixel));
  return {
    w, h, left, right, bottom, top,
    pixel: (x, y) => [kept(MARGIN.l + ((x - left) / (right - left)) * w), kept(MARGIN.t + ((top - y) / (top - bottom)) * h)],
    point: (px, py) => [left + ((px - MARGIN.l) / w) * (right - left), top - ((py - MARGIN.t) / h) * (top - bottom)],
  };
}

function drawWay(terrain) {
  const { map, way, over, at } = terrain;
  if (!map || !way || !over.isConnected) return;
  const frame = frameOf(terrain);
  if (frame.w <= 0) return;
  const points = way.x.map((x, i) => (x === null || way.y[i] === null ? null : frame.pixel(x, way.y[i]))).filter(Boolean);
  const text = points.map((pair) => pair.map((one) => one.toFixed(1)).join(",")).join(" ");
  const dots = points.length > DOTS ? [] : points.map(([cx, cy]) => svg("circle", { cx, cy, r: 2, class: "dot" }));
  const [sx, sy] = frame.pixel(at[0], at[1]);
  const last = points[points.length - 1];
  const clip = svg("clipPath", { id: "map-clip" }, svg("rect", { x: MARGIN.l, y: MARGIN.t, width: frame.w, height: frame.h }));
  const optima = map.optima.map(([x, y]) => frame.pixel(x, y)).map(([x, y]) => svg("path", { class: "optimum", d: star(x, y, 7) }));
  over.replaceChildren(svg("defs", {}, clip), svg("g", { "clip-path": "url(#map-clip)" }, optima, svg("polyline", { points: text, class: "path" }), dots,
    last ? svg("path", { class: "end", d: "M" + last[0] + "," + (last[1] - 6) + "l6,6l-6,6l-6,-6z" }) : null,
    svg("circle", { cx: sx, cy: sy, r: 7, class: "start" }), svg("circle", { cx: sx, cy: sy, r: 22, class: "handle" })));
}

function star(x, y, size) {
  return Array.from({ length: 10 }, (_, i) => [x + Math.sin((i * Math.PI) / 5) * (i % 2 ? size * 0.42 : size), y - Math.cos((i * Math.PI) / 5) * (i % 2 ? size * 0.42 : size)])
    .map(([px, py], i) => (i ? "L" : "M") + px.toFixed(1) + "," + py.toFixed(1)).join("") + "Z";
}

function listenTo(terrain) {
  const { over, readout } = terrain;
  let [dragging, tapped] = [false, null];
  const point = (event) => {
    const box = over.getBoundingClientRect();
    const frame = frameOf(terrain);
    const [x, y] = frame.point(event.clientX - box.left, event.clientY - box.top);
    return { x, y, inside: x >= frame.left && x <= frame.right && y >= frame.bottom && y <= frame.top, frame };
  };
  const place = (event) => {
    const { x, y, frame } = point(event);
    move(terrain, frame, [x, y]);
  };
  over.addEventListener("pointerdown", (event) => {
    if (!terrain.map || event.button !== 0 || !point(event).inside) return;
    tapped = event.pointerType === "touch" && !event.target.classList.contains("handle") ? [event.clientX, event.clientY] : null;
    if (tapped) return; // a finger that scrolls does not choose
    dragging = true;
    over.setPointerCapture(event.pointerId);
    place(event);
  });
  over.addEventListener("pointermove", (event) => {
    if (!terrain.map) return;
    if (dragging) place(event);
    const { x, y, inside } = point(event);
    readout.textContent = inside ? clean(terrain.map.axes[0]) + " " + figure(x) + ", " + clean(terrain.map.axes[1]) + " " + figure(y) + ": " + figure(valueAt(terrain.map, x, y)) : "";
  });
  over.addEventListener("pointerleave", () => { readout.textContent = ""; });
  over.addEventListener("pointercancel", () => { [dragging, tapped] = [false, null]; });
  over.addEventListener("pointerup", (event) => {
    if (tapped && Math.hypot(event.clientX - tapped[0], event.clientY - tapped[1]) < 8) place(event);
    [dragging, tapped] = [false, null];
  });
  over.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way || !terrain.map) return;
    event.preventDefault();
    const frame = frameOf(terrain);
    const step = event.shiftKey ? 0.005 : 0.025;
    move(terrain, frame, [terrain.at[0] + way[0] * step * (frame.right - frame.left), terrain.at[1] + way[1] * step * (frame.top - frame.bottom)]);
  });
}

// The start stays on the map, and has no more digits than a pixel is worth.
function move(terrain, frame, [x, y]) {
  const tidy = (value, low, high) => { const grain = 10 ** Math.floor(Math.log10((high - low) / 200)); return Math.round(Math.min(high, Math.max(low, value)) / grain) * grain; };
  terrain.choose([tidy(x, frame.left, frame.right), tidy(y, frame.bottom, frame.top)]);
}

// The value of the nearest point of the map.
function valueAt(map, x, y) {
  const index = (axisOf, value) => Math.round(((value - axisOf[0]) / (axisOf[axisOf.length - 1] - axisOf[0])) * (axisOf.length - 1));
  return map.values[index(map.y, y)][index(map.x, x)];
}

// Values span decades: a shade stands for a band between two of the heights.
function banded(map) {
  const { heights } = map;
  const place = (value) => {
    if (value === null) return null;
    let i = 0;
    while (i < heights.length - 2 && value > heights[i + 1]) i += 1;
    return i + (value - heights[i]) / (heights[i + 1] - heights[i]);
  };
  return map.values.map((row) => row.map(place));
}

function tracesOfMap(map) {
  map.bands = map.bands || banded(map);
  const [low, high] = [ink("deep"), ink("height")];
  const shades = Array.from({ length: 11 }, (_, i) => [i / 10, blend(high, low, i / 10)]);
  return [{
    type: "contour", x: map.x, y: map.y, z: map.bands, showscale: false, hoverinfo: "skip", colorscale: shades, zmin: 0, zmax: map.heights.length - 1, autocontour: false,
    contours: { start: 1, end: map.heights.length - 2, size: 1, coloring: "fill" }, line: { width: 0.5, color: ink("contour") },
  }];
}

function layoutOfMap(map) {
  return {
    margin: MARGIN, dragmode: false, hovermode: false,
    xaxis: axis({ title: clean(map.axes[0]), range: [map.x[0], map.x[map.x.length - 1]], showgrid: false, fixedrange: true }), yaxis: axis({ title: clean(map.axes[1]), range: [map.y[0], map.y[map.y.length - 1]], showgrid: false, fixedrange: true }),
  };
}

// Both as one drawing, for a picture of it.
export function pictureOfWay(map, way) {
  const line = { type: "scatter", mode: "lines+markers", x: way.x, y: way.y, line: { color: ink("fault"), width: 1.5 }, marker: { size: 4, color: ink("fault") } };
  const stars = { type: "scatter", mode: "markers", x: map.optima.map(([x]) => x), y: map.optima.map(([, y]) => y), marker: { size: 13, symbol: "star", color: ink("cap"), line: { color: ink("ink"), width: 1 } } };
  const layout = { ...layoutOfMap(map), width: 900, height: 700, showlegend: false, font: { family: ink("sans"), size: 12, color: ink("muted") } };
  return { data: [...tracesOfMap(map), stars, line], layout, getBoundingClientRect: () => ({ width: 900, height: 700 }) };
}
