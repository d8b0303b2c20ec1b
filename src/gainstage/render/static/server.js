// Questions to the live server, and its news.

// An answer as data; an error has the server's own sentence.
export async function ask(path, question) {
  const parameters = new URLSearchParams(Object.entries(question).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return tellOf(path + "?" + parameters.toString(), {});
}

// A question that takes more words than an address should have.
export async function post(path, question) {
  return tellOf(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question) });
}

async function tellOf(address, options) {
  let response;
  try {
    response = await fetch(address, { credentials: "same-origin", ...options });
  } catch {
    throw new Error("The server does not answer: is gainstage ui still running?");
  }
  if (response.status === 401) throw new Error("The server was started anew: open the address that the terminal shows.");
  const json = (response.headers.get("content-type") || "").startsWith("application/json");
  const told = json ? await response.json() : null;
  if (!response.ok) throw new Error((told && told.error) || "The server could not answer (" + response.status + ").");
  return told;
}

// Hear of what is written: `news({ changed, mark, quiet })`, `lost()` when nobody answers. Returns
// its end. A page that nobody sees does not listen: a browser has few connections to a server.
export function follow(question, news, lost) {
  let events = null;
  const listen = () => {
    if (document.hidden === (events === null)) return;
    if (events) { events.close(); events = null; return; }
    events = new EventSource("/api/events?" + new URLSearchParams(question).toString());
    events.addEventListener("message", (event) => news(JSON.parse(event.data)));
    events.addEventListener("error", lost);
  };
  listen();
  document.addEventListener("visibilitychange", listen);
  return () => { document.removeEventListener("visibilitychange", listen); if (events) events.close(); events = null; };
}
