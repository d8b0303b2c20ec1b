// The optimiser bench: a surface, an optimiser, and its way down.
import { newest } from "./computing.js";
import { clean, el, figure, panel, plural } from "./dom.js";
import { choiceOf, outcomeOf, resetOf, sliderOf, switchOf, within, written } from "./knobs.js";
import { savers } from "./save.js";
import { pictureOfWay, terrainOf } from "./terrain.js";
import { axis, chart, ink, narrow, plotlyThere } from "./theme.js";

export function descentBench(root, offered, values) {
  const bench = { offered, values, map: null, way: null, asked: "", question: null, ended: false };
  bench.terrain = terrainOf((point) => { values.set("x", written(point[0])); values.set("y", written(point[1])); });
  bench.curve = el("div", { class: "chart value-chart", role: "img", "aria-label": "Value before each step" });
  bench.varied = el("div", { class: "varied" });
  bench.outcome = el("p", { class: "outcome", role: "status" });
  bench.code = el("pre", { class: "code" });
  bench.about = el("p", { class: "note" });
  bench.drawCurve = () => {};
  const desk = panel("desk", "Optimiser", "", resetOf("descent"), el("div", { class: "knobs" }, fixedOf(bench), bench.varied));
  const tools = savers("Trajectory", () => rowsOfWay(bench), () => pictureOfWay(bench.map, bench.way));
  const view = panel("terrain", "Trajectory", "", tools, bench.about, bench.terrain.node, bench.outcome);
  const below = panel("value", "Value before each step", "", null, bench.curve, el("details", { class: "manual" }, el("summary", {}, "The same in Python"), bench.code));
  root.replaceChildren(el("div", { class: "bench" }, desk, el("div", { class: "bench-views" }, view, below)));
  const maps = newest((map) => {
    bench.map = map;
    renew();
    if (bench.way && bench.question.surface === map.name) bench.terrain.draw(map, bench.way); // the knee alone is another
  }, (error) => troubled(bench, error));
  const ways = newest((way, question) => arrived(bench, way, question), (error) => troubled(bench, error));
  let shape = "";
  const renew = () => {
    if (bench.ended) return;
    const terrain = { what: "terrain", surface: surfaceOf(bench).name, ...kneeOf(bench) };
    const wanted = JSON.stringify(terrain);
    if (wanted !== bench.wanted) { bench.wanted = wanted; maps.ask(terrain); }
    if (!bench.map) return;
    const next = surfaceOf(bench).name + optimizerOf(bench).name;
    if (next !== shape) { shape = next; bench.varied.replaceChildren(...variedOf(bench)); }
    [...bench.fixed, ...bench.shows].forEach((show) => show());
    if (bench.map.name === terrain.surface) askWay(bench, ways);
  };
  bench.renew = renew;
  renew();
  return { renew, end: () => { bench.ended = true; maps.end(); ways.end(); bench.terrain.end(); } };
}

function surfaceOf({ offered, values }) {
  return offered.surfaces.find((one) => one.name === values.get("surface")) || offered.surfaces.find((one) => one.name === "ill-conditioned-quadratic") || offered.surfaces[0];
}

function optimizerOf({ offered, values }) {
  return offered.optimizers.find((one) => one.name === values.get("optimizer")) || offered.optimizers.find((one) => one.name === "SGD") || offered.optimizers[0];
}

function kneeOf(bench) {
  const knob = { ...bench.offered.knobs.descent.knee };
  return surfaceOf(bench).knee ? { knee: within(bench.values.get("knee"), knob, 1) } : {};
}

// What a setting is now: chosen, or the optimiser's default; its rate by the surface.
function settingOf(bench, name, knob, usual) {
  const text = bench.values.get(name);
  if (knob.kind === "switch") return text ? text === "yes" : usual;
  return within(text, knob, usual);
}

function usualOf(bench, name) {
  const { settings, scaled } = optimizerOf(bench);
  return name === "lr" ? bench.map.rates[scaled ? 1 : 0] : settings[name];
}

function questionOf(bench) {
  const { offered, values, map } = bench;
  const settings = {};
  for (const name of Object.keys(optimizerOf(bench).settings)) {
    const knob = offered.knobs.settings[name];
    const usual = usualOf(bench, name);
    settings[name] = knob.kind === "pair" ? usual.map((one, i) => settingOf(bench, name.replace(/s$/, "") + (i + 1), knob, one)) : settingOf(bench, name, knob, usual);
  }
  const place = (key, i) => within(values.get(key), { low: -1000, high: 1000 }, map.start[i]);
  return { what: "descent", surface: surfaceOf(bench).name, optimizer: optimizerOf(bench).name, start: [place("x", 0), place("y", 1)], settings, steps: within(values.get("points"), offered.knobs.descent.steps, 100), ...kneeOf(bench) };
}

function askWay(bench, ways) {
  const question = questionOf(bench);
  const asked = JSON.stringify(question);
  if (asked === bench.asked) return;
  bench.asked = asked;
  bench.terrain.start(question.start);
  ways.ask(question);
}

// A control that shows what is chosen, unless a hand is on it.
function kept(shows, { node, show }, now) {
  shows.push(() => { if (!node.contains(document.activeElement)) show(now()); });
  return node;
}

function fixedOf(bench) {
  const { offered } = bench;
  bench.fixed = [];
  const surface = choiceOf("Surface", offered.surfaces.map(({ name }) => [name, name.replace(/-/g, " ")]), (name) => elsewhere(bench, { surface: name }));
  const optimizer = choiceOf("Optimiser", offered.optimizers.map(({ name }) => [name, name]), (name) => elsewhere(bench, { optimizer: name }));
  return [kept(bench.fixed, surface, () => surfaceOf(bench).name), kept(bench.fixed, optimizer, () => optimizerOf(bench).name)];
}

// The controls of this surface and this optimiser: what they do not have is not there.
function variedOf(bench) {
  const { offered, values } = bench;
  bench.shows = [];
  const slide = (name, key, knob, usual) => kept(bench.shows, sliderOf(name, knob, (value) => values.set(key, value === usual() ? "" : String(value))), () => settingOf(bench, key, knob, usual()));
  const knee = surfaceOf(bench).knee ? slide(surfaceOf(bench).knee, "knee", offered.knobs.descent.knee, () => 1) : null;
  const settings = Object.keys(optimizerOf(bench).settings).flatMap((name) => {
    const knob = offered.knobs.settings[name];
    if (knob.kind === "switch") return kept(bench.shows, switchOf(name.replace(/_/g, " "), (on) => values.set(name, on === usualOf(bench, name) ? "" : on ? "yes" : "no")), () => settingOf(bench, name, knob, usualOf(bench, name)));
    if (knob.kind === "pair") return usualOf(bench, name).map((_, i) => slide(name.replace(/s$/, "") + (i + 1), name.replace(/s$/, "") + (i + 1), knob, () => usualOf(bench, name)[i]));
    return slide(name.replace(/_/g, " "), name, knob, () => usualOf(bench, name));
  });
  const steps = slide("steps", "points", offered.knobs.descent.steps, () => 100);
  return [el("p", { class: "note" }, optimizerOf(bench).about), knee, ...settings, steps].filter(Boolean);
}

// Another surface has its own start and rate; another optimiser its own rate.
function elsewhere(bench, choice) {
  const { values } = bench;
  ["lr", ...(choice.surface ? ["x", "y", "knee"] : [])].forEach((key) => values.put(key, ""));
  Object.entries(choice).forEach(([key, value]) => values.set(key, value));
}

function arrived(bench, way, question) {
  bench.way = way;
  bench.question = question;
  bench.about.textContent = clean(bench.map.about) + " Darker is lower. Click to begin elsewhere.";
  bench.terrain.draw(bench.map, way);
  outcomeOf(bench.outcome, way.diverged ? "error" : way.arrived !== null ? "healthy" : "info", told(way, question, bench.map.axes));
  bench.code.textContent = way.code;
  const make = () => curveOf(way);
  if (bench.curve.isConnected) plotlyThere(() => { bench.drawCurve = chart(bench.curve, make); });
}

function troubled(bench, error) {
  bench.asked = bench.wanted = "";
  outcomeOf(bench.outcome, "warning", error.message, bench.renew);
}

function told(way, question, axes) {
  const known = way.values.filter((value) => value !== null);
  const end = known.length ? figure(known[known.length - 1]) : "–";
  const turns = " It turned round " + plural(way.flips[0], "time") + " in " + clean(axes[0]) + ", " + plural(way.flips[1], "time") + " in " + clean(axes[1]) + ".";
  if (way.diverged) return "Diverged: after " + plural(way.lost, "step") + " it is no finite number any more. A smaller rate may hold it.";
  if (way.outside !== null) return "It left the map after " + plural(way.outside, "step") + " and did not come back; the value at the end is " + end + ". A smaller rate may hold it.";
  if (way.arrived !== null) return "Arrived: from step " + figure(way.arrived) + " on it stays within 1 % of the map of an optimum; the value at the end is " + end + "." + turns;
  if (way.resting) return "At rest, and not at the lowest point: after " + plural(question.steps, "step") + " it hardly moves; the value is " + end + "." + turns;
  return "Under way: after " + plural(question.steps, "step") + " the value is " + end + "." + turns;
}

function rowsOfWay({ map, way }) {
  return [["step", ...map.axes.map(clean), "value"], ...way.x.map((x, i) => [i, x, way.y[i], way.values[i]])];
}

function curveOf(way) {
  const known = way.values.filter((value) => value !== null);
  const decades = known.length > 1 && Math.min(...known) > 0;
  return {
    traces: [{ type: "scatter", mode: "lines", x: way.values.map((_, i) => i), y: way.values, line: { color: ink("fault"), width: 1.8 }, hovertemplate: "step %{x}<br>value %{y:.6g}<extra></extra>" }],
    layout: { height: 200, margin: { l: 60, r: 16, t: 8, b: 40 }, xaxis: axis({ title: "step", range: [0, way.values.length - 1], nticks: narrow() ? 5 : 10 }), yaxis: axis({ type: decades ? "log" : "linear", nticks: 5, exponentformat: "power", tickformat: "~g" }) },
  };
}
