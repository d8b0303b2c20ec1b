// The level diagram: one row a stage, a meter forward and a meter backward.
import { clean, decibel, el, emptyState, figure, panel, plural, segments, short, signed, svg } from "./dom.js";
import { folding, folds, rowsOf, toggle, treeOf, unfoldTo } from "./fold.js";
import { pictureOfLevels } from "./picture.js";
import { savers } from "./save.js";
import { get, set, span, wanted } from "./state.js";

const MIDDLE = 13;
const AT_ONCE = 40; // rows; the page stays quick while the rest follows

// Level at which the gradient enters the network: that of the last stage that has one.
export function entryLevel(levels, read) {
  for (let i = levels.stages.length - 1; i >= 0; i--) {
    const level = read(levels.stages[i], i);
    if (level !== null) return level;
  }
  return 0;
}

export function outside(level, silent, reference, limit) {
  return silent || (level !== null && Math.abs(level - reference) > limit);
}

// Position of the stage that a finding's site belongs to, or null.
export function stageOf(levels, site) {
  const exact = levels.stages.findIndex((s) => s.name === site);
  if (exact >= 0) return exact;
  const inside = levels.stages.findIndex((s) => s.name && site.startsWith(s.name + "."));
  return inside >= 0 ? inside : null;
}

let reveal = () => {};

export function showStage(index) {
  reveal(index);
  const row = document.getElementById("stage-" + index);
  if (!row) return;
  row.scrollIntoView({ block: "center", behavior: "smooth" });
  row.classList.remove("called");
  void row.offsetWidth; // restarts the highlight
  row.classList.add("called");
}

export function levelsOf(data) {
  let { levels } = data;
  if (!levels.stages.length) return { node: panel("levels", "Level diagram", "", null, emptyState("No stage was measured.")), update: (next) => !next.levels.stages.length };
  const names = levels.stages.map((stage) => stage.name);
  const tree = treeOf(names);
  const nodes = new Map();
  const table = el("div", { class: "levels", role: "table", "aria-label": "Level of every stage" });
  const tools = toolsOf(levels, () => show());
  const modules = folding(names);
  let rest = 0;
  const show = () => {
    const scales = { forward: scaleOf(levels, "forward"), backward: scaleOf(levels, "backward") };
    const reading = readingAt(levels, tools.at());
    const entry = entryLevel(levels, (_, i) => reading[i].backward.level);
    const shown = rowsOf(tree, names).map((row) => {
      const node = nodeOf(nodes, row, levels);
      return { ...node, open: row.open, members: levels.stages.slice(row.node.from, row.node.to), reading: together(reading.slice(row.node.from, row.node.to)) };
    });
    const head = el("div", { class: "level-row level-head", role: "row" }, headOf(scales));
    const focus = document.activeElement;
    table.replaceChildren(head, ...shown.map((row) => row.node), ...(shown.length ? [] : [el("p", { class: "empty" }, "No stage has a name like this.")]));
    if (table.contains(focus)) focus.focus(); // a row that was toggled by a key keeps it
    table.classList.toggle("dense", shown.length > 30);
    if (modules) modules.renew();
    clearTimeout(rest);
    const paintFrom = (first) => {
      for (let i = first; i < Math.min(first + AT_ONCE, shown.length); i++) paint(shown[i], shown.slice(0, i).reverse().find(closed), shown.slice(i + 1).find(closed), scales, entry, levels.limit);
      if (first + AT_ONCE < shown.length) rest = setTimeout(paintFrom, 0, first + AT_ONCE);
    };
    paintFrom(0);
  };
  reveal = (index) => unfoldTo(tree, index);
  return {
    node: panel("levels", "Level diagram", noteOf(levels, folds(names)), [modules && modules.button, ...tools.nodes, savers("Levels", () => rowsOfLevels(levels, tools.at()), () => pictureOf(levels, tools.at()))].filter(Boolean), table),
    draw: show,
    fold: show,
    update: (next) => {
      if (next.levels.stages.length !== names.length || next.levels.stages.some((stage, i) => stage.name !== names[i])) return false;
      levels = next.levels;
      tools.renew(levels);
      show();
      return true;
    },
  };
}

function noteOf(levels, folded) {
  return "How loud each stage is, first to last. The cap is the reading, the pale band its range over the run. "
    + "Forward is measured from 0 dB; backward from where the gradient enters (the last stage). Diamond caps are more than " + levels.limit + " dB away."
    + (folded ? " A folded module reads as one stage: the level at its end, the gain of all of it, the band over all within." : "");
}

// The readings of a module's stages as that of one stage.
function together(readings) {
  const way = (key) => {
    const gains = readings.map((reading) => reading[key].gain);
    return { ...readings[readings.length - 1][key], gain: gains.includes(null) ? null : gains.reduce((a, b) => a + b, 0), all: readings.map((reading) => reading[key]) };
  };
  return { forward: way("forward"), backward: way("backward") };
}

function pictureOf(levels, at) {
  const reading = readingAt(levels, at);
  const references = { forward: 0, backward: entryLevel(levels, (_, i) => reading[i].backward.level) };
  const meter = (stage, now, way) => ({ ...now, low: stage[way].low, high: stage[way].high, hot: outside(now.level, now.silent, references[way], levels.limit) });
  const shown = levels.stages.map((stage, i) => ({ name: stage.name, forward: meter(stage, reading[i].forward, "forward"), backward: meter(stage, reading[i].backward, "backward") }));
  return pictureOfLevels(shown.filter((stage) => wanted(stage.name)).slice(0, 300), references);
}

function rowsOfLevels(levels, at) {
  const reading = readingAt(levels, at);
  const cells = (now) => [now.silent ? "silent" : now.level, now.gain];
  return [["stage", "operation", "forward level (dB)", "forward gain (dB)", "backward level (dB)", "backward gain (dB)"],
    ...levels.stages.map((stage, i) => [stage.name, stage.op, ...cells(reading[i].forward), ...cells(reading[i].backward)])];
}

// The reading: the median, or one step, which stands in the address by its number.
function toolsOf(levels, change) {
  const label = el("output", { class: "step-label" });
  const slider = el("input", { type: "range", min: 0, step: 1, "aria-label": "Step of the level diagram" });
  const mode = segments("Reading", [["median", "Median"], ["step", "Step"]], (value) => choose(value === "step"));
  let steps = levels.steps;
  const at = () => (get("at") === "" ? null : nearest(steps, Number(get("at")) || 0));
  const tell = () => {
    mode.press(at() === null ? "median" : "step");
    label.textContent = at() === null ? (span() ? "median of these steps" : "median of the run") : "step " + figure(steps[at()]);
  };
  const choose = (single) => {
    set("at", single ? String(steps[Number(slider.value)]) : "");
    tell();
    change();
  };
  const renew = (next) => {
    steps = next.steps;
    slider.max = Math.max(steps.length - 1, 0);
    slider.value = at() === null ? steps.length - 1 : at();
    tell();
  };
  slider.addEventListener("input", () => choose(true));
  renew(levels);
  return { at, renew, nodes: steps.length > 1 ? [mode.group, slider, label] : [] };
}

function nearest(steps, step) {
  let best = 0;
  steps.forEach((one, i) => { if (Math.abs(one - step) < Math.abs(steps[best] - step)) best = i; });
  return best;
}

// What every meter shows: the median, or one step of the track.
function readingAt(levels, at) {
  const read = (meter) => (at === null ? { level: meter.level, gain: meter.gain, silent: meter.silent }
    : { level: meter.track[at], gain: meter.gains[at], silent: meter.silences.includes(at) });
  return levels.stages.map((stage) => ({ forward: read(stage.forward), backward: read(stage.backward) }));
}

function scaleOf(levels, way) {
  const known = levels.stages.flatMap((s) => [s[way].low, s[way].high, s[way].level]).filter((v) => v !== null);
  if (way === "forward" || !known.length) known.push(-20, 20);
  const span = Math.max(...known) - Math.min(...known);
  const unit = [10, 20, 40, 100, 200, 500].find((u) => span / u <= 4.5) || 1000;
  const low = Math.floor((Math.min(...known) - 2) / unit) * unit;
  const high = Math.ceil((Math.max(...known) + 2) / unit) * unit;
  const ticks = [];
  for (let db = low; db <= high; db += unit) ticks.push(db);
  return { ticks, unit, place: (db) => 2 + 96 * Math.min(1, Math.max(0, (db - low) / (high - low))) };
}

function headOf(scales) {
  const ruler = (way, title) => el("div", { class: "meter-head " + way, role: "columnheader" }, el("span", { class: "way" }, title),
    svg("svg", { width: "100%", height: 16, "aria-hidden": "true" }, scales[way].ticks.map((db, i, all) => svg("text", {
      x: scales[way].place(db) + "%", y: 12, class: Math.round(db / scales[way].unit) % 2 ? "minor" : null, "text-anchor": i === 0 ? "start" : i === all.length - 1 ? "end" : "middle",
    }, String(db).replace("-", "−")))));
  const units = () => el("div", { class: "num", role: "columnheader" }, el("b", {}, "dB"), el("i", {}, "gain"));
  return [el("div", { class: "who", role: "columnheader" }, "stage"), ruler("forward", "forward →"), units(), ruler("backward", "← backward"), units()];
}

// The elements of a row, kept while the page shows this run.
function nodeOf(nodes, row, levels) {
  const { node, deep, open } = row;
  const folder = node.children.length > 0;
  const key = folder ? node.from + "-" + node.to : String(node.from);
  if (!nodes.has(key)) nodes.set(key, rowOf(folder ? { name: node.name, op: plural(node.to - node.from, "stage") } : levels.stages[node.from], folder ? null : node.from));
  const made = nodes.get(key);
  made.node.classList.toggle("open", open);
  made.who.style.paddingLeft = Math.min(deep, 6) * 14 + "px";
  if (folder) {
    made.button.setAttribute("aria-expanded", String(open));
    made.button.onclick = () => toggle(row);
  }
  return made;
}

// A stage by its number, or a module, whose name is a button.
function rowOf(stage, index) {
  const meter = (way) => svg("svg", { class: "meter " + way, width: "100%", height: 2 * MIDDLE, "aria-hidden": "true" });
  const number = () => el("div", { class: "num", role: "cell" });
  const row = { forward: meter("forward"), backward: meter("backward"), forwardNum: number(), backwardNum: number(), button: null };
  const name = index === null ? row.button = el("button", { type: "button", class: "name" }, short(stage.name, 36)) : el("span", { class: "name" }, short(stage.name, 36));
  row.who = el("div", { class: "who", role: "rowheader", title: clean(stage.name).slice(0, 400) }, name, el("span", { class: "op" }, short(stage.op, 18)));
  row.node = el("div", { class: "level-row" + (index === null ? " module" : ""), role: "row", id: index === null ? null : "stage-" + index }, row.who,
    el("div", { class: "cell", role: "cell" }, row.forward), row.forwardNum,
    el("div", { class: "cell", role: "cell" }, row.backward), row.backwardNum);
  return row;
}

// An unfolded module stands above its stages and is no stop on the signal's way.
function closed(row) {
  return !row.open;
}

function paint(row, before, after, scales, entry, limit) {
  for (const way of ["forward", "backward"]) {
    const now = row.reading[way];
    const reference = way === "forward" ? 0 : entry;
    const far = now.all.filter((one) => outside(one.level, one.silent, reference, limit)).length;
    const known = row.members.map((stage) => stage[way]).filter((meter) => meter.low !== null);
    const band = known.length ? [Math.min(...known.map((meter) => meter.low)), Math.max(...known.map((meter) => meter.high))] : null;
    row[way].replaceChildren(...meterOf(now, band, [before, after].map((other) => (other && !row.open ? other.reading[way].level : null)), scales[way], reference, far > 0));
    row[way + "Num"].className = "num" + (far ? " hot" : "");
    row[way + "Num"].title = far && row.members.length > 1 ? far + " of " + plural(row.members.length, "stage") + " out of range" : "";
    row[way + "Num"].replaceChildren(el("b", {}, now.silent ? "silent" : decibel(now.level)), el("i", {}, signed(now.gain)));
  }
}

function meterOf(now, band, neighbours, scale, reference, hot) {
  const at = (db) => scale.place(db) + "%";
  const parts = scale.ticks.map((db) => svg("line", { class: "tick", x1: at(db), x2: at(db), y1: 0, y2: "100%" }));
  parts.push(svg("line", { class: "reference", x1: at(reference), x2: at(reference), y1: 0, y2: "100%" }));
  if (band) {
    parts.push(svg("rect", { class: "band", x: at(band[0]), y: MIDDLE - 8, width: Math.max(scale.place(band[1]) - scale.place(band[0]), 0.2) + "%", height: 16, rx: 2 }));
  }
  if (now.level === null) return parts;
  neighbours.forEach((next, i) => {
    if (next !== null) parts.push(svg("line", { class: "path", x1: at(now.level), y1: MIDDLE, x2: (scale.place(now.level) + scale.place(next)) / 2 + "%", y2: i * 2 * MIDDLE }));
  });
  const [left, right] = [scale.place(Math.min(now.level, reference)), scale.place(Math.max(now.level, reference))];
  parts.push(svg("rect", { class: "bar" + (hot ? " hot" : ""), x: left + "%", y: MIDDLE - 2, width: right - left + "%", height: 4 }));
  parts.push(svg("svg", { x: at(now.level), y: MIDDLE, overflow: "visible" }, hot ? svg("path", { class: "cap hot", d: "M0,-7 L6,0 L0,7 L-6,0 Z" })
    : [svg("rect", { class: "cap", x: -4, y: -8, width: 8, height: 16, rx: 2 }), svg("line", { class: "groove", x1: 0, x2: 0, y1: -5, y2: 5 })]));
  return parts;
}
