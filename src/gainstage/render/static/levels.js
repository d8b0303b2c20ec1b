// The level diagram: one row a stage, a meter forward and a meter backward.
import { clean, decibel, el, emptyState, figure, panel, segments, short, signed, svg } from "./dom.js";
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

export function showStage(index) {
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
  const rows = levels.stages.map((stage, i) => rowOf(stage, i));
  const head = el("div", { class: "level-row level-head", role: "row" });
  const none = el("p", { class: "empty", hidden: true }, "No stage has a name like this.");
  const tools = toolsOf(levels, () => show());
  let rest = 0;
  const show = () => {
    const scales = { forward: scaleOf(levels, "forward"), backward: scaleOf(levels, "backward") };
    const reading = readingAt(levels, tools.at());
    head.replaceChildren(...headOf(scales));
    rows.forEach((row, i) => {
      row.node.hidden = !wanted(row.stage.name);
      row.stage = levels.stages[i];
    });
    clearTimeout(rest);
    const entry = entryLevel(levels, (_, i) => reading[i].backward.level);
    const paintFrom = (first) => {
      rows.slice(first, first + AT_ONCE).forEach((row, i) => { if (!row.node.hidden) paint(row, reading, first + i, scales, entry, levels.limit); });
      if (first + AT_ONCE < rows.length) rest = setTimeout(paintFrom, 0, first + AT_ONCE);
    };
    paintFrom(0);
    none.hidden = rows.some((row) => !row.node.hidden);
  };
  const table = el("div", { class: "levels" + (rows.length > 30 ? " dense" : ""), role: "table", "aria-label": "Level of every stage" }, head, rows.map((row) => row.node), none);
  const note = "How loud each stage is, first to last. The cap is the reading, the pale band its range over the run. "
    + "Forward is measured from 0 dB; backward from where the gradient enters (the last stage). Diamond caps are more than " + levels.limit + " dB away.";
  return {
    node: panel("levels", "Level diagram", note, [...tools.nodes, savers("Levels", () => rowsOfLevels(levels, tools.at()), () => pictureOf(levels, tools.at()))], table),
    draw: show,
    update: (next) => {
      if (next.levels.stages.length !== rows.length || next.levels.stages.some((stage, i) => stage.name !== rows[i].stage.name)) return false;
      levels = next.levels;
      tools.renew(levels);
      show();
      return true;
    },
  };
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

function rowOf(stage, index) {
  const meter = (way) => svg("svg", { class: "meter " + way, width: "100%", height: 2 * MIDDLE, "aria-hidden": "true" });
  const number = () => el("div", { class: "num", role: "cell" });
  const row = { stage, forward: meter("forward"), backward: meter("backward"), forwardNum: number(), backwardNum: number() };
  const who = el("div", { class: "who", role: "rowheader", title: clean(stage.name).slice(0, 400) },
    el("span", { class: "name" }, short(stage.name, 36)), el("span", { class: "op" }, short(stage.op, 18)));
  row.node = el("div", { class: "level-row", role: "row", id: "stage-" + index }, who,
    el("div", { class: "cell", role: "cell" }, row.forward), row.forwardNum,
    el("div", { class: "cell", role: "cell" }, row.backward), row.backwardNum);
  return row;
}

function paint(row, reading, index, scales, entry, limit) {
  for (const way of ["forward", "backward"]) {
    const now = reading[index][way];
    const reference = way === "forward" ? 0 : entry;
    const hot = outside(now.level, now.silent, reference, limit);
    row[way].replaceChildren(...meterOf(row.stage[way], reading, index, way, scales[way], reference, hot));
    row[way + "Num"].className = "num" + (hot ? " hot" : "");
    row[way + "Num"].replaceChildren(el("b", {}, now.silent ? "silent" : decibel(now.level)), el("i", {}, signed(now.gain)));
  }
}

function meterOf(meter, reading, index, way, scale, reference, hot) {
  const at = (db) => scale.place(db) + "%";
  const now = reading[index][way];
  const parts = scale.ticks.map((db) => svg("line", { class: "tick", x1: at(db), x2: at(db), y1: 0, y2: "100%" }));
  parts.push(svg("line", { class: "reference", x1: at(reference), x2: at(reference), y1: 0, y2: "100%" }));
  if (meter.low !== null) {
    parts.push(svg("rect", { class: "band", x: at(meter.low), y: MIDDLE - 8, width: Math.max(scale.place(meter.high) - scale.place(meter.low), 0.2) + "%", height: 16, rx: 2 }));
  }
  if (now.level === null) return parts;
  for (const [other, y] of [[index - 1, 0], [index + 1, 2 * MIDDLE]]) {
    const next = reading[other] && reading[other][way].level;
    if (next !== null && next !== undefined) parts.push(svg("line", { class: "path", x1: at(now.level), y1: MIDDLE, x2: (scale.place(now.level) + scale.place(next)) / 2 + "%", y2: y }));
  }
  const [left, right] = [scale.place(Math.min(now.level, reference)), scale.place(Math.max(now.level, reference))];
  parts.push(svg("rect", { class: "bar" + (hot ? " hot" : ""), x: left + "%", y: MIDDLE - 2, width: right - left + "%", height: 4 }));
  parts.push(svg("svg", { x: at(now.level), y: MIDDLE, overflow: "visible" }, hot ? svg("path", { class: "cap hot", d: "M0,-7 L6,0 L0,7 L-6,0 Z" })
    : [svg("rect", { class: "cap", x: -4, y: -8, width: 8, height: 16, rx: 2 }), svg("line", { class: "groove", x1: 0, x2: 0, y1: -5, y2: 5 })]));
  return parts;
}
