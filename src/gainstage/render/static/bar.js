// The bar that stays in sight: what is looked for, which steps are shown, how the run is doing, keys.
import { ago, el, figure } from "./dom.js";
import { get, set, setSpan, span } from "./state.js";

const KEYS = [["/", "look for a layer"], ["j  k", "next panel, previous panel"], ["Esc", "all steps, all layers"], ["t", "light, dark, as the system"], ["?", "these keys"]];
const THEMES = { "": ["Auto", "dark"], dark: ["Dark", "light"], light: ["Light", ""] };

// `source.links` are shown first. `tell({ quiet, lost })` says how a live run is doing.
export function barOf(page, source) {
  const find = el("input", { type: "search", class: "find", placeholder: "Find layers", "aria-label": "Find layers by name; * and ? stand for anything", maxlength: 200, value: get("find"), spellcheck: "false", autocomplete: "off" });
  let pause = 0;
  find.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(() => set("find", find.value.trim()), 160); });
  const steps = el("button", { type: "button", class: "chip", title: "Show all steps (Esc, or a double click in a chart)", on: { click: () => setSpan(null) } });
  const pulse = el("span", { class: "pulse", role: "status" });
  const theme = el("button", { type: "button", class: "plain theme", title: "Light, dark, or as the system (t)", on: { click: dressNext } });
  const help = helpOf();
  const keys = el("button", { type: "button", class: "plain keys", "aria-label": "Keys", title: "Keys (?)", on: { click: () => help.showModal() } }, "?");
  const node = el("nav", { class: "bar", "aria-label": "Page" }, el("div", { class: "inner" }, source.links || [], find, steps, pulse, el("span", { class: "spring" }), theme, keys), help);
  const heart = heartOf(pulse);
  const press = (event) => pressed(event, find, help);
  document.addEventListener("keydown", press);
  return {
    node,
    tell: heart.tell,
    end: () => { document.removeEventListener("keydown", press); heart.end(); },
    renew: ({ run }) => {
      const range = span();
      steps.hidden = !range;
      steps.textContent = range ? "Steps " + figure(range[0]) + " to " + figure(range[1]) + " ×" : "";
      theme.textContent = (THEMES[get("theme")] || THEMES[""])[0];
      if (document.activeElement !== find) find.value = get("find");
      heart.renew(run);
    },
  };
}

// Live while it is written, quiet when it is not, stale when nobody may be there any more.
function heartOf(pulse) {
  let [run, quiet, since, lost] = [null, null, Date.now(), false];
  const show = () => {
    const silent = quiet === null ? null : quiet + (Date.now() - since) / 1000;
    const [state, text] = lost ? ["stale", "Connection lost: is gainstage ui still running?"]
      : !run || run.status !== "running" || silent === null ? ["", ""]
        : silent < 15 ? ["live", "Live, step " + figure(run.last_step === null ? 0 : run.last_step)]
          : silent < 600 ? ["quiet", "Quiet for " + ago(silent)] : ["stale", "Nothing written for " + ago(silent) + ": it may have ended without a word"];
    if (pulse.textContent !== text) pulse.textContent = text;
    pulse.className = "pulse " + state;
    pulse.hidden = !text;
  };
  const clock = setInterval(show, 1000);
  return {
    renew: (next) => { run = next; show(); },
    tell: (news) => { lost = Boolean(news.lost); if (news.quiet !== undefined && news.quiet !== null) [quiet, since] = [news.quiet, Date.now()]; show(); },
    end: () => clearInterval(clock),
  };
}

export function dressNext() {
  set("theme", (THEMES[get("theme")] || THEMES[""])[1]);
}

function helpOf() {
  const rows = KEYS.map(([key, does]) => el("div", {}, el("dt", {}, key.split("  ").map((one) => el("kbd", {}, one))), el("dd", {}, does)));
  const node = el("dialog", { class: "help" }, el("h2", {}, "Keys"), el("dl", {}, rows),
    el("p", { class: "note" }, "Drag over a chart to look at some steps; a double click shows all. What is chosen stands in the address: a link to it shows the same."),
    el("form", { method: "dialog" }, el("button", { class: "plain" }, "Close")));
  node.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); node.close(); }); // the policy forbids forms
  return node;
}

function pressed(event, find, help) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "range";
  if (event.key === "Escape" && !help.open) { find.value = ""; find.blur(); set("find", ""); setSpan(null); return; }
  if (typing) return;
  const does = { "/": () => find.focus(), t: dressNext, j: () => step(1), k: () => step(-1), "?": () => (help.open ? help.close() : help.showModal()) }[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

// To the next panel below the bar, or the one before.
function step(way) {
  const tops = [...document.querySelectorAll(".panel")].map((panel) => ({ panel, top: panel.getBoundingClientRect().top - 64 }));
  const next = way > 0 ? tops.find(({ top }) => top > 4) : tops.reverse().find(({ top }) => top < -4);
  if (next) window.scrollBy({ top: next.top, behavior: "smooth" });
  else if (way < 0) window.scrollTo({ top: 0, behavior: "smooth" });
}
