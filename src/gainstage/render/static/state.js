// What is chosen on the page stands in the fragment of its address, so that a link shares it.
// The fragment is never sent to a server.

const listeners = [];
const writable = window.location.protocol !== "about:"; // a page inside a notebook has none of its own
let chosen = new URLSearchParams(window.location.hash.slice(1, 4000));

export function get(key) {
  return chosen.get(key) || "";
}

// Choose; an empty value is the usual one and leaves the address. Listeners hear the key.
export function set(key, value) {
  if (get(key) === value) return;
  if (value) chosen.set(key, value);
  else chosen.delete(key);
  if (writable) window.history.replaceState(null, "", "#" + chosen.toString());
  tell([key]);
}

// Call `hear(keys)` whenever something is chosen, here or in the address.
export function listen(hear) {
  listeners.push(hear);
  return () => listeners.splice(listeners.indexOf(hear), 1);
}

function tell(keys) {
  listeners.slice().forEach((hear) => hear(keys));
}

window.addEventListener("hashchange", () => {
  const next = new URLSearchParams(window.location.hash.slice(1, 4000));
  const keys = [...new Set([...chosen.keys(), ...next.keys()])].filter((key) => chosen.get(key) !== next.get(key));
  chosen = next;
  if (keys.length) tell(keys);
});

// The steps that the charts show: [first, last], or null for all.
export function span() {
  const parts = /^(\d{1,18})-(\d{1,18})$/.exec(get("steps"));
  return parts && Number(parts[1]) < Number(parts[2]) ? [Number(parts[1]), Number(parts[2])] : null;
}

export function setSpan(range) {
  set("steps", range ? Math.max(0, Math.floor(range[0])) + "-" + Math.max(1, Math.ceil(range[1])) : "");
}

// Whether a name is looked for: it contains the text, or is described by it if it has * or ?.
export function wanted(name) {
  const text = get("find").trim().slice(0, 200).toLowerCase();
  if (!text) return true;
  if (!/[*?]/.test(text)) return name.toLowerCase().includes(text);
  return glob(text, name.toLowerCase());
}

// Both walk on together; at a mismatch the last star swallows one letter more.
function glob(pattern, name) {
  let [p, n, star, mark] = [0, 0, -1, 0];
  while (n < name.length) {
    if (pattern[p] === "*") [star, mark, p] = [p, n, p + 1];
    else if (pattern[p] === "?" || pattern[p] === name[n]) [p, n] = [p + 1, n + 1];
    else if (star >= 0) [p, mark, n] = [star + 1, mark + 1, mark + 1];
    else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

// An address of this page with other choices; how it looks stays.
export function link(choices) {
  const next = new URLSearchParams(choices);
  if (get("theme")) next.set("theme", get("theme"));
  return "#" + next.toString();
}
