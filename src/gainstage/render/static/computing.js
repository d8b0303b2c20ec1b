// Questions to the process that computes: one at a time, and of those that wait the newest.
import { post } from "./server.js";

const page = crypto.randomUUID();

// The answer to a question, or an error with a sentence: the server's, or the library's own.
export async function compute(question) {
  const told = await post("/api/playground", { page, question });
  if (told.refused) throw new Error(told.refused);
  return told;
}

// `show(answer, question, ms)`, `fail(error)`. The function that is given back takes a question; one that waits
// is dropped for a newer one.
export function newest(show, fail) {
  let [busy, next, ended] = [false, null, false];
  const run = async (question) => {
    if (busy) { next = question; return; }
    busy = true;
    const began = performance.now();
    try {
      const told = await compute(question);
      if (!ended) show(told, question, performance.now() - began);
    } catch (error) {
      if (!ended) fail(error);
    }
    busy = false;
    if (next && !ended) { const waiting = next; next = null; run(waiting); }
  };
  return { ask: run, end: () => { ended = true; } };
}
