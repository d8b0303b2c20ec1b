// Questions to the process that computes: one at a time, and of those that wait the newest.
import { post } from "./server.js";

// The answer to a question, or an error with a sentence: the server's, or the library's own. The server
// drops a question that waits for a newer one of the same asker.
export async function compute(question, asker = crypto.randomUUID()) {
  const told = await post("/api/playground", { page: asker, question });
  if (told.refused) throw new Error(told.refused);
  return told;
}

// `show(answer, question)`, `fail(error)`. What is given back asks; a question that waits is dropped
// for a newer one.
export function newest(show, fail) {
  const asker = crypto.randomUUID();
  let [busy, next, ended] = [false, null, false];
  const ask = async (question) => {
    if (busy) { next = question; return; }
    busy = true;
    try {
      const told = await compute(question, asker);
      if (!ended) show(told, question);
    } catch (error) {
      if (!ended) fail(error);
    }
    busy = false;
    if (next && !ended) { const waiting = next; next = null; ask(waiting); }
  };
  return { ask, end: () => { ended = true; } };
}
