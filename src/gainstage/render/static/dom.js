// Building blocks: elements, cleaned names, numbers as people read them.
// Every text enters the page through textContent; no markup is ever parsed.

const GROUPED = new Intl.NumberFormat("en");
const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// One line without control, bidirectional, zero-width or lone surrogate characters.
export function clean(text) {
  return String(text).slice(0, 2000).replace(/\s+/gu, " ").trim().replace(/\p{C}/gu, "");
}

export function short(text, most) {
  const letters = Array.from(clean(text));
  if (letters.length <= most) return letters.join("") || "–";
  const head = Math.ceil((most - 1) / 2);
  return letters.slice(0, head).join("") + "…" + letters.slice(letters.length - (most - 1 - head)).join("");
}

// The names without the modules that all of them begin with, which tell nothing apart.
export function distinct(names) {
  const parts = names.map((name) => name.split("."));
  let deep = 0;
  while (names.length > 1 && parts.every((one) => one.length > deep + 1 && one[deep] === parts[0][deep])) deep++;
  return parts.map((one) => one.slice(deep).join("."));
}

// For plotly, which reads a little html: a name must not become markup there.
export function forPlotly(text, most = 30) {
  return short(text, most).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");
}

// "-1e-3" with a real minus and a raised exponent, for plotly.
export function power(label) {
  const parts = /^(-?)1e(-?\d+)$/.exec(label);
  if (!parts) return label;
  const [, sign, exponent] = parts;
  if (exponent === "0") return (sign ? "−" : "") + "1";
  return (sign ? "−" : "") + "10<sup>" + exponent.replace("-", "−") + "</sup>";
}

export function decibel(level) {
  return level === null ? "–" : (Math.round(level * 10) / 10 || 0).toFixed(1).replace("-", "−");
}

export function signed(gain) {
  if (gain === null) return "";
  const text = decibel(gain);
  return gain > 0 && text !== "0.0" ? "+" + text : text;
}

export function figure(value) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return spell(value);
  if (Array.isArray(value)) return value.slice(0, 8).map(figure).join(", ") + (value.length > 8 ? ", …" : "");
  if (typeof value === "object") return Object.entries(value).slice(0, 8).map(([k, v]) => clean(k) + " " + figure(v)).join(", ");
  return short(value, 120);
}

function spell(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return GROUPED.format(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? Number(value.toPrecision(3)).toExponential() : String(Number(value.toPrecision(4)));
  return text.replace(/-/g, "−");
}

export function duration(seconds) {
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 120) return seconds.toFixed(1) + " s";
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? minutes + " min" : Math.floor(minutes / 60) + " h " + String(minutes % 60).padStart(2, "0") + " min";
}

export function plural(count, word) {
  return GROUPED.format(count) + " " + word + (count === 1 ? "" : "s");
}

// A titled panel; `note` says how to read what is in it.
export function panel(id, title, note, tools, ...children) {
  const head = el("header", { class: "panel-head" }, el("h2", {}, title), tools ? el("div", { class: "tools" }, tools) : null);
  return el("section", { class: "panel", id }, head, note ? el("p", { class: "note" }, note) : null, children);
}

export function emptyState(text) {
  return el("p", { class: "empty" }, text);
}

// A labelled select; `change` gets the chosen value.
export function choice(label, options, change, now) {
  const select = el("select", { "aria-label": label, on: { change: () => change(select.value) } },
    options.map(([value, title]) => el("option", { value, selected: value === now }, title)));
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

// A row of buttons of which one is pressed.
export function segments(label, options, change, now) {
  const buttons = options.map(([value, title]) => el("button", { type: "button", "data-value": value, on: { click: () => { press(value); change(value); } } }, title));
  const press = (value) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.value === value)));
  press(now || options[0][0]);
  const group = el("div", { class: "segments", role: "group", "aria-label": label }, buttons);
  return { group, press };
}

// The place of a panel whose data are on their way.
export function waiting(id, title) {
  return panel(id, title, "", null, el("div", { class: "skeleton", role: "status", "aria-label": "Reading" }));
}

// The place of a panel whose data did not come, and why.
export function failed(id, title, error, again) {
  const retry = again ? el("button", { type: "button", class: "plain", on: { click: again } }, "Try again") : null;
  return panel(id, title, "", null, el("div", { class: "failed", role: "alert" }, el("p", {}, clean(error.message || error)), retry));
}

// "3 min ago", in the unit that fits.
export function ago(seconds) {
  const units = [[86400, "day"], [3600, "hour"], [60, "minute"]];
  const [size, word] = units.find(([s]) => seconds >= s) || [1, "second"];
  return plural(Math.floor(seconds / size), word);
}
