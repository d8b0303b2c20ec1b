// Who ran, how long, and the verdict; the meter bridge shows every stage at a glance.
import { clean, duration, el, figure, plural, short, svg } from "./dom.js";
import { entryLevel, outside } from "./levels.js";

const WORDS = [["error", "error"], ["warning", "warning"], ["info", "note"]];

export function headerOf(data) {
  const { run } = data;
  const title = clean(run.script) ? clean(run.script).split("/").pop() : run.id;
  document.title = "Gainstage · " + short(title, 60);
  const brand = el("div", { class: "brand" }, logo(), el("span", { class: "wordmark" }, "Gainstage"), el("span", { class: "run-id", title: clean(run.id) }, short(run.id, 40)));
  const name = el("h1", { title: clean(run.script) }, short(title, 64));
  return el("header", { class: "masthead" }, el("div", { class: "inner" }, brand,
    el("div", { class: "hero" }, el("div", { class: "hero-text" }, name, verdict(data), first(data), facts(data)), bridge(data.levels))));
}

// The main finding in one line.
function first({ findings }) {
  if (!findings) return null;
  const main = findings.cards[0];
  if (findings.healthy || !main) return null;
  const place = clean(main.site) ? [" at ", el("code", {}, short(main.site, 40))] : [];
  return el("p", { class: "first" }, "First of all: ", el("code", {}, short(main.code, 48)), place);
}

export function logo() {
  const bars = [9, 15, 20, 15, 9].map((h, i) => svg("rect", { x: i * 5, y: (22 - h) / 2, width: 3, height: h, rx: 1.5 }));
  return svg("svg", { class: "logo", width: 23, height: 22, viewBox: "0 0 23 22", "aria-hidden": "true" }, bars);
}

function verdict({ findings, run }) {
  if (!findings) return verdictLine("info", "Judging", run.steps ? "by every rule" : "", null);
  const counts = WORDS.map(([key, word]) => [findings.cards.filter((c) => c.severity === key).length, word]).filter(([n]) => n);
  const worst = findings.cards.some((c) => c.severity === "error") ? "error" : "warning";
  const state = findings.healthy ? "healthy" : worst;
  if (!run.steps) return verdictLine("info", "No verdict", "no step was recorded", null);
  const text = findings.healthy ? "Healthy" : plural(findings.cards.length, "finding");
  const detail = findings.healthy ? "nothing hurts this training" : counts.map(([n, word]) => plural(n, word)).join(", ");
  const failed = ["failed", "interrupted"].includes(run.status) ? el("span", { class: "tag" }, run.status) : null;
  return verdictLine(state, text, detail, failed);
}

function verdictLine(state, text, detail, failed) {
  const lamp = el("span", { class: "lamp", "aria-hidden": "true" });
  return el("p", { class: "verdict " + state, id: "verdict" }, lamp, el("strong", {}, text), el("span", { class: "verdict-detail" }, detail), failed);
}

function facts({ run, loss }) {
  const items = [["Steps", figure(run.steps)], ["Time", duration(run.seconds)]];
  if (run.overhead !== null) items.push(["Overhead", (run.overhead * 100).toFixed(1) + " %"]);
  if (loss.first !== null) items.push(["Loss", figure(loss.first) + " → " + figure(loss.last)]);
  if (loss.chance !== null) items.push(["Chance", figure(loss.chance)]);
  return el("dl", { class: "facts" }, items.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))));
}

const TALL = 72;
const REACH = 60; // dB from the middle of a meter to its ends

// One small meter a stage; the middle is 0 dB forward, and backward where the gradient enters.
function bridge(levels) {
  if (!levels || !levels.stages.length) return null;
  const step = Math.ceil(levels.stages.length / 96);
  const stages = levels.stages.filter((_, i) => i % step === 0);
  const entry = entryLevel(levels, (s) => s.backward.level);
  return el("div", { class: "bridge", "aria-hidden": "true" },
    bank("forward", stages.map((s) => s.forward), 0, levels.limit), bank("backward", stages.map((s) => s.backward), entry, levels.limit));
}

function bank(kind, meters, reference, limit) {
  const node = svg("svg", { class: "bank " + kind, width: "100%", height: TALL });
  const pitch = 100 / meters.length;
  meters.forEach((meter, i) => {
    const x = i * pitch + "%";
    const width = pitch * 0.72 + "%";
    node.append(svg("rect", { class: "well", x, y: 0, width, height: TALL }));
    if (meter.level === null && !meter.silent) return;
    const share = meter.silent ? 0.04 : Math.min(1, Math.max(0.04, (meter.level - reference + REACH) / (2 * REACH)));
    const hot = outside(meter.level, meter.silent, reference, limit);
    node.append(svg("rect", { class: "lit" + (hot ? " hot" : ""), x, y: TALL * (1 - share), width, height: TALL * share }));
  });
  for (let y = 3; y < TALL; y += 4) node.append(svg("rect", { class: "gap", x: 0, y, width: "100%", height: 1 }));
  node.append(svg("rect", { class: "mid", x: 0, y: TALL / 2 - 0.5, width: "100%", height: 1 }));
  return el("figure", {}, node, el("figcaption", {}, kind === "forward" ? "signal, first to last stage" : "gradient, first to last stage"));
}
