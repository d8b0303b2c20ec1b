// Entry of the self-contained report: the data stand in the page itself.
import { mount } from "./page.js";

const source = document.getElementById("gainstage-data");
mount(document.getElementById("gainstage"), JSON.parse(source.textContent));
