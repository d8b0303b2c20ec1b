// Entry of the self-contained report: the data stand in the page itself.
import { mount } from "./page.js";

const stored = JSON.parse(document.getElementById("gainstage-data").textContent);
mount(document.getElementById("gainstage"), stored, { view: (name) => stored[name] });
