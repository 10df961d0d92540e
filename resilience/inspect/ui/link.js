// What the address of the page keeps, and the addresses that it leads to.

/** What can be shown, in the order of the buttons. */
export const SHOWS = ["all", "trouble", "policies", "budgets", "guards"];

/** Reads the fragment of an address: "#show=trouble&q=redis&open=policy/inventory.get". */
export function parseView(hash) {
  const params = new URLSearchParams(hash.replace(/^#/, ""));
  const show = params.get("show");
  return {
    show: SHOWS.includes(show) ? show : "all",
    query: params.get("q") ?? "",
    open: new Set(params.getAll("open")),
  };
}

/** The fragment for a view, "" for the one that the page begins with. */
export function formatView(view) {
  const params = new URLSearchParams();
  if (view.show !== "all") params.set("show", view.show);
  if (view.query.trim()) params.set("q", view.query);
  for (const key of view.open) params.append("open", key);
  const text = params.toString();
  return text && `#${text}`;
}

/**
 * The address of a trace by a template such as "http://localhost:16686/trace/{trace_id}", or "" if there is none.
 * What is no address on the web is never linked.
 */
export function traceAddress(template, traceID, spanID) {
  if (!template || !traceID) return "";
  const address = template
    .replaceAll("{trace_id}", () => encodeURIComponent(traceID))
    .replaceAll("{span_id}", () => encodeURIComponent(spanID ?? ""));
  try {
    const url = new URL(address);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : "";
  } catch {
    return "";
  }
}
