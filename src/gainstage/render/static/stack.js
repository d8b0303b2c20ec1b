// The initialisation bench: a stack of layers, its levels predicted and measured, its histograms.
import { newest } from "./computing.js";
import { clean, decibel, el, figure, panel, signed } from "./dom.js";
import { choiceOf, outcomeOf, resetOf, sliderOf, within } from "./knobs.js";
import { ridgesOf } from "./ridges.js";
import { savers } from "./save.js";
import { axis, chart, ink, narrow, plotlyThere } from "./theme.js";

const STEADY = 0.5; // dB a layer

export function stackBench(root, offered, values) {
  const bench = { offered, values, answer: null, asked: "", ridges: null, ended: false };
  bench.varied = el("div", { class: "varied" });
  bench.outcome = el("p", { class: "outcome", role: "status" });
  bench.drawn = el("p", { class: "note" });
  bench.levels = el("div", { class: "chart stack-chart", role: "img", "aria-label": "Levels of every layer, forward and backward, measured and predicted" });
  bench.code = el("pre", { class: "code" });
  bench.histograms = el("div", { class: "slot" });
  const note = "Level of each linear layer's output (left) and of its gradient (right). Marks are measured, the dashed line is predicted, the band is where two thirds of all seeds should lie.";
  const tools = savers("Levels", () => rowsOfStack(bench.answer), () => bench.levels);
  const view = panel("stack", "Levels", note, tools, bench.levels, bench.outcome, bench.drawn, el("details", { class: "manual" }, el("summary", {}, "The same in Python"), bench.code));
  root.replaceChildren(el("div", { class: "bench" }, panel("desk", "Network", "", resetOf("stack"), el("div", { class: "knobs" }, fixedOfStack(bench), bench.varied, seedOf(bench))), el("div", { class: "bench-views" }, view, bench.histograms)));
  const levels = newest((answer, question) => arrivedStack(bench, answer, question), (error) => troubledStack(bench, error));
  let shape = "";
  const renew = () => {
    if (bench.ended) return;
    const next = schemeOf(bench).name;
    if (next !== shape) { shape = next; bench.varied.replaceChildren(...variedOfStack(bench)); }
    showStack(bench);
    const question = questionOfStack(bench);
    const asked = JSON.stringify(question);
    if (asked !== bench.asked) { bench.asked = asked; levels.ask(question); }
  };
  bench.renew = renew;
  renew();
  return { renew, end: () => { bench.ended = true; levels.end(); } };
}

function schemeOf({ offered, values }) {
  return offered.schemes.find((one) => one.name === values.get("scheme")) || offered.schemes.find((one) => one.name === "kaiming_normal") || offered.schemes[0];
}

function activationOf({ offered, values }) {
  return offered.activations.includes(values.get("activation")) ? values.get("activation") : "relu";
}

const USUAL = { depth: 10, width: 128, seed: 0 };

function optionOf(bench, name) {
  const knob = bench.offered.knobs.options[name];
  const usual = schemeOf(bench).options[name];
  return knob.kind === "choice" ? (knob.values.includes(bench.values.get(name)) ? bench.values.get(name) : usual) : within(bench.values.get(name), knob, usual);
}

// Null: the gain is derived from the activation.
function gainOf(bench) {
  return schemeOf(bench).gain ? within(bench.values.get("gain"), bench.offered.knobs.stack.gain, null) : null;
}

function questionOfStack(bench) {
  const knobs = bench.offered.knobs.stack;
  const options = Object.fromEntries(Object.keys(schemeOf(bench).options).map((name) => [name, optionOf(bench, name)]));
  const whole = Object.fromEntries(Object.entries(USUAL).map(([name, usual]) => [name, within(bench.values.get(name), knobs[name], usual)]));
  return { what: "stack", activation: activationOf(bench), scheme: schemeOf(bench).name, gain: gainOf(bench), options, ...whole, values: bench.values.get("values").slice(0, 40) };
}

function keptOf(shows, { node, show }, now) {
  shows.push(() => { if (!node.contains(document.activeElement)) show(now()); });
  return node;
}

function showStack(bench) {
  [...bench.fixed, ...bench.shows].forEach((show) => show());
}

function wholeOf(bench, name) {
  const knob = bench.offered.knobs.stack[name];
  return keptOf(bench.fixed, sliderOf(name, knob, (value) => bench.values.set(name, value === USUAL[name] ? "" : String(value))), () => within(bench.values.get(name), knob, USUAL[name]));
}

function fixedOfStack(bench) {
  const { offered, values } = bench;
  bench.fixed = [];
  const activation = choiceOf("Activation", offered.activations.map((name) => [name, name.replace(/_/g, " ")]), (name) => values.set("activation", name));
  const scheme = choiceOf("Scheme", offered.schemes.map(({ name }) => [name, name.replace(/_/g, " ")]), (name) => values.set("scheme", name));
  return [wholeOf(bench, "depth"), wholeOf(bench, "width"), keptOf(bench.fixed, activation, () => activationOf(bench)), keptOf(bench.fixed, scheme, () => schemeOf(bench).name)];
}

function seedOf(bench) {
  return wholeOf(bench, "seed");
}

// The controls of this scheme: what it does not have is not there.
function variedOfStack(bench) {
  const { offered, values } = bench;
  const scheme = schemeOf(bench);
  bench.shows = [];
  const options = Object.entries(scheme.options).map(([name, usual]) => {
    const knob = offered.knobs.options[name];
    const control = knob.kind === "choice" ? choiceOf(name, knob.values.map((value) => [value, value.replace(/_/g, " ")]), (value) => values.set(name, value === usual ? "" : value))
      : sliderOf(name, knob, (value) => values.set(name, value === usual ? "" : String(value)));
    return keptOf(bench.shows, control, () => optionOf(bench, name));
  });
  return [el("p", { class: "note" }, clean(scheme.about.split("\n")[0])), ...(scheme.gain ? gainOfStack(bench) : []), ...options];
}

// The gain: the scheme's own, until the slider is moved.
function gainOfStack(bench) {
  const { offered, values } = bench;
  const derived = () => (bench.answer && bench.answer.weights.gain !== null ? bench.answer.weights.gain : 1);
  const slider = keptOf(bench.shows, sliderOf("gain", offered.knobs.stack.gain, (value) => values.set("gain", String(value))), () => (gainOf(bench) === null ? derived() : gainOf(bench)));
  const [is, make] = schemeOf(bench).gained ? ["Derived from the activation", "Derive it from the activation"] : ["As this scheme has it", "Back to what this scheme has"];
  const again = el("button", { type: "button", class: "plain derive", on: { click: () => values.set("gain", "") } });
  bench.shows.push(() => { again.disabled = gainOf(bench) === null; again.textContent = again.disabled ? is : make; });
  return [slider, again];
}

function arrivedStack(bench, answer, question) {
  bench.answer = answer;
  bench.code.textContent = answer.code;
  outcomeOf(bench.outcome, verdictOf(answer).state, verdictOf(answer).text);
  bench.drawn.textContent = drawnOf(answer.weights, question, bench);
  showStack(bench);
  plotlyThere(() => { chart(bench.levels, () => chartOfStack(answer)); showRidges(bench); });
}

function troubledStack(bench, error) {
  bench.asked = "";
  outcomeOf(bench.outcome, "warning", error.message, bench.renew);
}

// The ridges of a run's page, which tells them of a run.
function showRidges(bench) {
  const data = { histograms: bench.answer.histograms };
  if (!bench.ridges || bench.ridges.update(data) === false) {
    bench.ridges = ridgesOf(data);
    bench.histograms.replaceChildren(bench.ridges.node);
    if (bench.ridges.draw) bench.ridges.draw();
  }
  const note = bench.ridges.node.querySelector(".note");
  if (note) note.textContent = note.textContent.replace("over the whole run", "in one pass");
}

function linearOf(answer) {
  return answer.stages.filter((stage) => stage.op === "linear");
}

// How many dB a layer changes the level by, forward and backward.
function driftOf(levels) {
  const known = levels.map((level, i) => [i, level]).filter(([, level]) => level !== null);
  if (known.length < 2) return null;
  const [[i, first], [j, last]] = [known[0], known[known.length - 1]];
  return (last - first) / (j - i);
}

function verdictOf(answer) {
  const layers = linearOf(answer);
  const forward = driftOf(layers.map((stage) => stage.level));
  const backward = driftOf(layers.map((stage) => stage.grad).reverse());
  const word = (drift) => (drift === null ? "cannot be told" : Math.abs(drift) < STEADY ? "keeps its level" : drift < 0 ? "fades" : "grows");
  const silent = layers.filter((stage) => stage.level === null || stage.grad === null).length;
  const lost = silent ? " At " + figure(silent) + " of " + figure(layers.length) + " layers a level is silent or no finite number." : "";
  const amount = (drift) => (drift === null ? "" : " (" + (signed(drift) || "0.0") + " dB a layer)");
  const steady = [forward, backward].every((drift) => drift !== null && Math.abs(drift) < STEADY) && !silent;
  return { state: steady ? "healthy" : "warning", text: "The signal " + word(forward) + amount(forward) + ", the gradient " + word(backward) + amount(backward) + " on its way back." + lost };
}

function drawnOf(weights, question, bench) {
  const gain = weights.gain === null ? "" : ", gain " + figure(weights.gain) + (question.gain === null && schemeOf(bench).gained ? " as the activation asks" : "");
  const first = weights.first_std !== weights.std ? " (the first layer " + figure(weights.first_std) + ", its input comes from no activation)" : "";
  return "Drawn " + clean(weights.law) + " with a standard deviation of " + figure(weights.std) + first + gain + ". Input: " + figure(bench.offered.samples) + " standard normal samples; a random gradient of rms 1 is sent back from the output.";
}

function rowsOfStack(answer) {
  return [["stage", "operation", "level (dB)", "predicted (dB)", "band (dB)", "gradient (dB)", "predicted gradient (dB)"],
    ...answer.stages.map((stage) => [stage.name, stage.op, stage.level, stage.predicted, stage.band, stage.grad, stage.predicted_grad])];
}

function chartOfStack(answer) {
  const layers = linearOf(answer);
  const x = layers.map((_, i) => i + 1);
  const small = narrow();
  const traces = [["forward", "level", "predicted", ""], ["backward", "grad", "predicted_grad", "2"]].flatMap(([way, level, predicted, at]) => tracesOfStack(layers, x, way, level, predicted, at));
  const title = (text, i) => ({ text, x: i ? 0.54 : 0, xref: "paper", xanchor: "left", y: 1, yref: "paper", yanchor: "bottom", showarrow: false, font: { size: 13, color: ink(i ? "backward" : "forward") } });
  const across = [[0, 0.46], [0.54, 1]];
  const levels = (i, key) => axis({ anchor: "x" + (i ? "2" : ""), title: small ? undefined : "dB", zeroline: true, zerolinecolor: ink("muted"), nticks: small ? 5 : 7, range: roomFor(layers, key) });
  return {
    traces,
    layout: {
      height: small ? 230 : 330, margin: { l: small ? 30 : 52, r: 12, t: 26, b: 40 }, hovermode: "closest", annotations: (small ? ["signal, dB", "gradient, dB"] : ["signal, forward", "gradient, backward"]).map(title),
      xaxis: axis({ domain: across[0], anchor: "y", title: "layer", range: [0.5, layers.length + 0.5], nticks: 8, tickformat: "d" }), xaxis2: axis({ domain: across[1], anchor: "y2", title: "layer", range: [0.5, layers.length + 0.5], nticks: 8, tickformat: "d" }),
      yaxis: levels(0, ["level", "predicted"]), yaxis2: levels(1, ["grad", "predicted_grad"]),
    },
  };
}

// At least 12 dB, so that a level that is kept looks so.
function roomFor(layers, keys) {
  const known = layers.flatMap((stage) => keys.map((key) => stage[key])).filter((level) => level !== null);
  if (!known.length) return [-6, 6];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = Math.max((12 - (high - low)) / 2, (high - low) * 0.08, 2);
  return [low - room, high + room];
}

function tracesOfStack(layers, x, way, level, predicted, at) {
  const axes = { xaxis: "x" + at, yaxis: "y" + at };
  const edge = (sign) => layers.map((stage) => (stage[predicted] === null || stage.band === null ? null : stage[predicted] + sign * stage.band));
  const hover = layers.map((stage, i) => "layer " + (i + 1) + "<br>measured " + decibel(stage[level]) + " dB<br>predicted " + decibel(stage[predicted]) + " dB");
  const band = way === "forward" ? [{ type: "scatter", mode: "lines", x, y: edge(-1), ...axes, line: { width: 0 }, hoverinfo: "skip" }, { type: "scatter", mode: "lines", x, y: edge(1), ...axes, line: { width: 0 }, fill: "tonexty", fillcolor: ink(way + "-soft"), hoverinfo: "skip" }] : [];
  return [...band,
    { type: "scatter", mode: "lines", x, y: layers.map((stage) => stage[predicted]), ...axes, line: { color: ink(way), width: 1.4, dash: "dash" }, hoverinfo: "skip" },
    { type: "scatter", mode: "markers", x, y: layers.map((stage) => stage[level]), ...axes, marker: { size: layers.length > 30 ? 5 : 8, color: ink(way), symbol: "square" }, text: hover, hovertemplate: "%{text}<extra></extra>" }];
}
