// Modules as folders: neighbours whose names begin alike are one row until it is unfolded. What is
// unfolded stands in the address and holds for every panel; a search finds within what is folded.
import { clean, el, plural } from "./dom.js";
import { get, set, wanted } from "./state.js";

const FEW = 60; // as many rows need no folding
const ROWS = 48; // as many are shown unfolded, level by level, before anything is chosen

// Nodes in the order of the names: { name, from, to, children }, a leaf without children.
export function treeOf(names) {
  return nodesOf(names.map((name, i) => ({ i, parts: name.split(".") })), 0);
}

function nodesOf(items, depth) {
  const nodes = [];
  for (let first = 0, last; first < items.length; first = last) {
    const part = items[first].parts[depth];
    for (last = first + 1; part !== undefined && last < items.length && items[last].parts[depth] === part; last++);
    nodes.push(last - first > 1 ? folderOf(items.slice(first, last), depth + 1) : { name: items[first].parts.join("."), from: items[first].i, to: items[first].i + 1, children: [] });
  }
  return nodes;
}

// As much of the names as all of them have is the folder's name.
function folderOf(items, depth) {
  const { parts } = items[0];
  const alike = (at) => items.every((item) => item.parts.length > at && item.parts[at] === parts[at]);
  let deep = depth;
  while (alike(deep)) deep++;
  return { name: parts.slice(0, deep).join("."), from: items[0].i, to: items[items.length - 1].i + 1, children: nodesOf(items, deep) };
}

// The rows that are shown: { node, deep, open }. With a search its leaves, and no folders.
export function rowsOf(tree, names) {
  const leaf = (i) => ({ node: { name: names[i], from: i, to: i + 1, children: [] }, deep: 0, open: false });
  const all = names.map((_, i) => i);
  if (get("find")) return all.filter((i) => wanted(names[i])).map(leaf);
  if (!folds(names)) return all.map(leaf);
  const usual = usuallyOpen(tree);
  const said = sayings();
  const isOpen = (node) => (said.has(keyOf(node)) ? said.get(keyOf(node)) : said.has("*") || usual.has(node));
  const rows = [];
  const walk = (nodes, deep) => nodes.forEach((node) => {
    const open = node.children.length > 0 && isOpen(node);
    rows.push({ node, deep, open });
    if (open) walk(node.children, deep + 1);
  });
  walk(tree, 0);
  return rows;
}

export function folds(names) {
  return names.length > FEW;
}

// Whole levels of folders, as long as the rows stay few.
function usuallyOpen(tree) {
  const open = new Set();
  let [level, rows] = [tree, tree.length];
  for (;;) {
    const folders = level.filter((node) => node.children.length);
    const inside = folders.flatMap((node) => node.children);
    rows += inside.length;
    if (!folders.length || rows > ROWS) return open;
    folders.forEach((node) => open.add(node));
    level = inside;
  }
}

function keyOf(node) {
  return clean(node.name).slice(0, 120);
}

// What was said of folders: name to whether it is open; "*" if all are.
function sayings() {
  return new Map(get("fold").split("\n").filter(Boolean).map((line) => (line === "*" ? ["*", true] : [line.slice(1), line[0] === "+"])));
}

function say(changes) {
  const said = new Map([...sayings(), ...changes].slice(-60));
  set("fold", [...said].map(([key, open]) => (key === "*" ? "*" : (open ? "+" : "-") + key)).join("\n"));
}

export function toggle({ node, open }) {
  say([[keyOf(node), !open]]);
}

// Unfold all that holds the row of one name.
export function unfoldTo(tree, index) {
  const path = [];
  let nodes = tree;
  for (;;) {
    const node = nodes.find(({ from, to }) => from <= index && index < to);
    if (!node || !node.children.length) break;
    path.push([keyOf(node), true]);
    nodes = node.children;
  }
  if (path.length) say(path);
}

// A button for all of them; nothing where there is nothing to fold.
export function folding(names) {
  if (!folds(names)) return null;
  const button = el("button", { type: "button", class: "plain fold-all", on: { click: () => set("fold", get("fold") === "*" ? "" : "*") } });
  const renew = () => { button.textContent = get("fold") === "*" ? "Fold modules" : "Unfold all " + plural(names.length, "row"); };
  renew();
  return { button, renew };
}
