// The runs of the folder, newest first; two of them can be compared.
import { ago, clean, duration, el, failed, figure, plural, short, svg, waiting } from "./dom.js";
import { logo } from "./header.js";
import { experimentsPanel } from "./lab.js";
import { ask, follow } from "./server.js";
import { get, link, set } from "./state.js";
import { dress } from "./theme.js";

const STATES = { finished: "healthy", stopped: "healthy", running: "info", failed: "error", interrupted: "warning", unreadable: "error" };

export function listPage(root) {
  let [ended, busy, again, told] = [false, false, false, null];
  const picked = new Set();
  const body = el("div", {}, waiting("runs", "Runs"));
  const lab = el("div", {});
  const find = el("input", { type: "search", class: "find", placeholder: "Find runs", "aria-label": "Find runs by name or script", maxlength: 200, value: get("find") });
  find.addEventListener("input", () => { set("find", find.value); show(); });
  const compare = el("a", { class: "chip", hidden: true }, "Compare these two");
  const theme = el("button", { type: "button", class: "plain", on: { click: () => { set("theme", { "": "dark", dark: "light", light: "" }[get("theme")] || ""); dress(get("theme")); } } }, "Light or dark");
  const brand = el("div", { class: "brand" }, logo(), el("span", { class: "wordmark" }, "Gainstage"));
  root.replaceChildren(el("header", { class: "masthead slim" }, el("div", { class: "inner" }, brand)),
    el("nav", { class: "bar", "aria-label": "Page" }, el("div", { class: "inner" }, find, compare, el("span", { class: "spring" }), el("a", { class: "plain", href: link({ play: "descent" }) }, "Playground"), theme)), el("main", {}, body, lab));
  document.title = "Gainstage · runs";
  const pick = (name, on) => {
    if (on) picked.add(name); else picked.delete(name);
    const [a, b] = [...picked].reverse();
    compare.hidden = picked.size !== 2;
    if (b) compare.href = link({ run: a, with: b });
    show();
  };
  const show = () => { if (told) body.replaceChildren(tableOf(told, picked, pick)); };
  const renew = async () => {
    if (ended) return;
    if (busy) { again = true; return; }
    busy = true;
    try {
      told = await ask("/api/runs", {});
      if (!ended) show();
    } catch (error) {
      if (!ended) body.replaceChildren(failed("runs", "Runs", error, renew));
    }
    setTimeout(() => { busy = false; if (again) { again = false; renew(); } }, 900);
  };
  renew();
  experimentsPanel().then((experiments) => { if (!ended && experiments) lab.replaceChildren(experiments); }, () => {}); // the list says it if nobody answers
  const moved = (event) => { if (event.key === "/" && event.target !== find) { event.preventDefault(); find.focus(); } };
  document.addEventListener("keydown", moved);
  const following = follow({}, (news) => { if (news.changed) renew(); }, () => {});
  document.documentElement.dataset.ready = "true";
  return { end: () => { ended = true; following(); document.removeEventListener("keydown", moved); } };
}

function tableOf({ folder, runs }, picked, pick) {
  if (!runs.length) return nothing(folder);
  const wanted = get("find").toLowerCase();
  const found = runs.filter((run) => (run.name + " " + run.script).toLowerCase().includes(wanted));
  const head = ["", "run", "script", "loss", "", "steps", "started", "status"];
  const table = el("table", { class: "runs" }, el("thead", {}, el("tr", {}, head.map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, found.map((run) => rowOfRun(run, picked, pick))));
  return el("section", { class: "panel", id: "runs" }, el("header", { class: "panel-head" }, el("h1", {}, "Runs"), el("span", { class: "note" }, plural(found.length, "run") + " in " + short(folder, 60))),
    found.length ? table : el("p", { class: "empty" }, "No run has a name like this."));
}

function nothing(folder) {
  return el("section", { class: "panel", id: "runs" }, el("div", { class: "blank" }, el("h1", {}, "No runs yet"),
    el("p", {}, "Runs in ", el("code", {}, short(folder, 80)), " show up here by themselves, while they train. Make one:"), el("pre", {}, "gainstage run train.py")));
}

function rowOfRun(run, picked, pick) {
  const name = clean(run.name);
  const broken = run.status === "unreadable";
  const chosen = el("input", { type: "checkbox", "aria-label": "Compare " + short(name, 60), checked: picked.has(run.name), disabled: broken || (picked.size >= 2 && !picked.has(run.name)), on: { change: (event) => pick(run.name, event.target.checked) } });
  const title = broken ? el("span", { class: "name" }, short(name, 40)) : el("a", { class: "name", href: link({ run: run.name }) }, short(name, 40));
  const worst = ["error", "warning", "info"].find((one) => run.findings.includes(one));
  const verdict = worst ? el("span", { class: "tag " + worst }, plural(run.findings.length, "finding")) : null;
  const script = broken ? el("span", { class: "problem", title: clean(run.problem).slice(0, 600) }, short(run.problem, 160)) : short(run.script.split(/[\\/]/).pop() || "watched in a program", 40);
  const cells = [["pick", chosen], ["run", title], ["script", script], ["spark", spark(run.curve)], ["loss", run.last === null ? null : el("span", {}, figure(run.first) + " → ", el("b", {}, figure(run.last)))],
    ["steps", broken ? null : figure(run.steps)], ["when", el("span", { title: new Date(run.started * 1000).toISOString() }, sinceThen(run.started))], ["state", [stateOf(run), verdict].filter(Boolean)]];
  return el("tr", {}, cells.map(([kind, cell]) => el("td", { class: kind }, cell)));
}

function stateOf(run) {
  const lost = run.status === "running" && run.quiet > 600;
  const state = lost ? "warning" : STATES[run.status] || "info";
  const word = run.status === "running" ? (lost ? "silent" : run.quiet > 15 ? "quiet" : "live") : clean(run.status);
  const live = word === "live" ? " beating" : "";
  return el("span", { class: "state " + state + live, title: run.status === "running" ? "Last written " + ago(run.quiet) + " ago" : duration(run.seconds) }, el("span", { class: "lamp", "aria-hidden": "true" }), word);
}

function sinceThen(started) {
  const seconds = Date.now() / 1000 - started;
  if (!(started > 0)) return "–";
  return seconds < 7 * 86400 ? ago(Math.max(seconds, 0)) + " ago" : new Date(started * 1000).toISOString().slice(0, 10);
}

// The loss at a glance.
function spark(curve) {
  const known = curve.filter((v) => v !== null);
  if (known.length < 2) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const middle = (low + high) / 2;
  const reach = Math.max(high - low, 0.2 * Math.abs(middle), 1e-12); // a flat loss looks flat
  const place = (v) => 12 - 18 * ((v - middle) / reach);
  const points = curve.map((v, i) => (v === null ? null : (2 + (92 * i) / (curve.length - 1)).toFixed(1) + "," + place(v).toFixed(1))).filter(Boolean);
  return svg("svg", { class: "sparkline", width: 96, height: 24, viewBox: "0 0 96 24", "aria-hidden": "true" }, svg("polyline", { points: points.join(" ") }));
}
