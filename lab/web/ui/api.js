// What the page asks of the server.

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The lab does not answer. Is it still running?");
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) {
    const error = new Error(body?.error ?? `The lab answers ${response.status}.`);
    error.status = response.status;
    throw error;
  }
  return body;
}

const post = (path, body, type) => ask(path, { method: "POST", body, headers: { "Content-Type": type } });

/** The scenarios that are offered. */
export const gallery = () => ask("gallery.json");

/** Makes edits in a text: { text, tree, error }. */
export const edit = (text, edits = []) => post("edit", JSON.stringify({ text, edits }), "application/json");

/** Begins a run: { id }. */
export const start = (text) => post("runs", text, "application/yaml");

/** How far a run is. */
export const look = (id) => ask(`runs/${id}`);

/** Ends a run, and has it forgotten. It may be so already. */
export const drop = (id) => ask(`runs/${id}`, { method: "DELETE", keepalive: true }).catch(() => null);
