// Sliders, switches and choices of the playground. Ranges come from the server, which refuses what
// lies outside.
import { clean, el } from "./dom.js";
import { link } from "./state.js";

// Where a value lies on its slider, 0 to 1, and the value at a place. "log" is even in decades and
// may begin with zero; "tail" is even in decades of what is missing to 1: 0, 0.9, 0.99, 0.999.
const SCALES = {
  linear: { at: (v, k) => (v - k.low) / (k.high - k.low), value: (t, k) => tidy(k.low + t * (k.high - k.low), 3) },
  log: {
    at: (v, k) => (k.low > 0 ? logShare(v, k.low, k.high) : v <= 0 ? 0 : FIRST + (1 - FIRST) * logShare(v, k.least, k.high)),
    value: (t, k) => (k.low > 0 ? tidy(k.low * (k.high / k.low) ** t, 2) : t < FIRST / 2 ? 0 : tidy(k.least * (k.high / k.least) ** Math.max(0, (t - FIRST) / (1 - FIRST)), 2)),
  },
  tail: { at: (v, k) => Math.log(1 - v) / Math.log(1 - k.high), value: (t, k) => tidy(1 - tidy((1 - k.high) ** t, 2), 6) },
};
const FIRST = 0.03; // of the way, for zero
const PLACES = 200;

function logShare(v, low, high) {
  return Math.log(Math.max(v, low) / low) / Math.log(high / low);
}

function tidy(value, digits) {
  return Number(value.toPrecision(digits));
}

// The nearest value that a knob can have; NaN becomes `usual`.
export function within(value, knob, usual) {
  if (value === "" || !Number.isFinite(Number(value))) return usual;
  const inside = Math.min(knob.high, Math.max(knob.low, Number(value)));
  return knob.kind === "whole" ? Math.round(inside) : inside;
}

// As short as it is exact: 0.001, 1e-8.
export function written(value) {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? Number(value).toExponential().replace("e+", "e") : String(Number(value.toPrecision(6)));
}

// A label, a slider and a field to type in. `change(value)` hears both; `show(value)` sets them.
export function sliderOf(label, knob, change) {
  const whole = knob.kind === "whole";
  const scale = SCALES[knob.scale];
  const places = whole && knob.scale === "linear" ? knob.high - knob.low : PLACES;
  const range = el("input", { type: "range", min: 0, max: places, step: 1, "aria-label": label });
  const field = el("input", { type: "number", class: "field", step: whole ? 1 : "any", min: knob.low, max: knob.high, "aria-label": label + ", exactly", autocomplete: "off" });
  let now = knob.low;
  const tell = () => range.setAttribute("aria-valuetext", written(now));
  const take = (value) => { now = value; tell(); change(value); };
  range.addEventListener("input", () => {
    const value = scale.value(Number(range.value) / places, knob);
    take(within(whole ? Math.round(value) : value, knob, now));
    field.value = written(now);
  });
  field.addEventListener("change", () => { const value = within(field.value, knob, now); show(value); take(value); });
  const show = (value) => {
    now = value;
    field.value = written(value);
    range.value = Math.round(scale.at(value, knob) * places);
    tell();
  };
  return { node: el("div", { class: "knob", role: "group", "aria-label": label }, el("span", { class: "knob-name", "aria-hidden": "true" }, label), field, range), show };
}

export function switchOf(label, change) {
  const box = el("input", { type: "checkbox", on: { change: () => change(box.checked) } });
  return { node: el("label", { class: "knob switch" }, box, el("span", { class: "knob-name" }, label)), show: (on) => { box.checked = on; }, box };
}

// `options`: [value, title, group?].
export function choiceOf(label, options, change) {
  const select = el("select", { "aria-label": label, on: { change: () => change(select.value) } }, options.map(([value, title]) => el("option", { value }, title || value)));
  return { node: el("label", { class: "knob choice-knob" }, el("span", { class: "knob-name" }, label), select), show: (value) => { select.value = value; } };
}

// What became of a question in one sentence, with a lamp; an error can be asked again.
export function outcomeOf(node, state, text, again) {
  node.className = "outcome " + state;
  node.replaceChildren(el("span", { class: "lamp", "aria-hidden": "true" }), el("span", {}, clean(text)), again ? el("button", { type: "button", class: "plain", on: { click: again } }, "Try again") : "");
}

// Back to what a bench begins with.
export function resetOf(bench) {
  return el("a", { class: "plain reset", href: link({ play: bench }), title: "Begin anew" }, "Reset");
}
