// Entry of the live page: which run, asked of the server, and followed as it is written.
import { compareWith, comparisonPage } from "./compare.js";
import { clean, el, failed, waiting } from "./dom.js";
import { labPage } from "./lab.js";
import { mount } from "./page.js";
import { playgroundPage } from "./playground.js";
import { listPage } from "./runs.js";
import { ask, follow } from "./server.js";
import { get, link, listen, span } from "./state.js";
import { dress } from "./theme.js";

const root = document.getElementById("gainstage");
let shown = { end: () => {} };

function route() {
  shown.end();
  window.scrollTo(0, 0);
  dress(get("theme"));
  shown = get("play") ? playgroundPage(root) : get("lab") ? labPage(root) : get("run") && get("with") ? comparisonPage(root) : get("run") ? runPage(get("run")) : listPage(root);
}

// What goes with the question for the page itself.
function question(name) {
  const range = span();
  return { run: name, ...(range ? { start: range[0], stop: range[1] } : {}) };
}

function runPage(name) {
  let [page, data, following, busy, again, ended, heard] = [null, null, null, false, false, false, ""];
  root.replaceChildren(el("main", { class: "first-sight" }, waiting("opening", clean(name))));
  // What a page shows first is asked for at once, while charts are still on their way.
  let early = { run: ask("/api/run", question(name)), levels: ask("/api/levels", question(name)), asked: JSON.stringify(span()) };
  early.levels.catch(() => {}); // told when the page asks
  const source = {
    links: [el("a", { class: "plain", href: link({}) }, "All runs"), compareWith(name)],
    steps: () => renew(false),
    view: (view, { span: range, find, only, site }) => {
      const known = view === "levels" && early && early.asked === JSON.stringify(range);
      const told = known ? early.levels : ask("/api/" + view, { run: name, match: find, only, site, ...(range ? { start: range[0], stop: range[1] } : {}) });
      if (known) early = null;
      if (view === "levels") levels = told.then(() => {}, () => {}); // the page shows why they did not come
      return told;
    },
  };
  let levels = null;
  // The verdict takes the server longest: the levels go first.
  const judge = async () => {
    await levels;
    const findings = await ask("/api/findings", { run: name });
    if (ended) return;
    data = { ...data, findings };
    page.renew(data, false);
  };
  // One at a time, and no oftener than the server can answer with ease.
  const renew = async (written) => {
    if (ended) return;
    if (busy) { again = written || again === "written" ? "written" : "chosen"; return; }
    busy = true;
    const began = performance.now();
    try {
      const told = await (page || !early ? ask("/api/run", question(name)) : early.run);
      if (ended) return;
      data = { levels: null, ...told, findings: data ? data.findings : null };
      if (page) page.renew(data, written);
      else page = mount(root, data, source);
      page.tell({ quiet: data.run.quiet });
      if (written) await judge();
    } catch (error) {
      if (!ended && !page) root.replaceChildren(el("main", { class: "first-sight" }, failed("opening", clean(name), error, () => renew(true)), el("p", { class: "note" }, el("a", { href: link({}) }, "All runs"))));
      else if (!ended) page.tell({ lost: true });
    }
    setTimeout(() => { busy = false; if (heard && data && heard !== data.mark) again = "written"; if (again) { const why = again; again = false; renew(why === "written"); } }, Math.max(400, performance.now() - began));
  };
  renew(true);
  following = follow({ run: name }, (news) => { if (page) page.tell(news); heard = news.mark || heard; if (data && heard !== data.mark) renew(true); }, () => page && page.tell({ lost: true }));
  return { end: () => { ended = true; following(); if (page) page.end(); } };
}

listen((keys) => { if (["run", "with", "lab", "play"].some((key) => keys.includes(key))) route(); });
route();
