// The latest troubled calls of a policy, newest first.

import { el, setHidden, setText } from "./dom.js";
import { plural } from "./format.js";
import { callElement } from "./timeline.js";

/** How many are shown until the reader asks for more, and how many of each outcome and first error among them at least. */
const FEW = 5;
const OF_EACH = 2;

/** The calls to begin with: the newest, but not so that a flood of one kind hides the others. */
export function few(calls) {
  const seen = new Map();
  const picked = new Set(calls.filter(({ outcome, timeline }) => {
    const kind = `${outcome} ${timeline?.[0]?.error_type ?? ""}`;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    return seen.get(kind) <= OF_EACH;
  }));
  for (const call of calls) {
    if (picked.size >= FEW) break;
    picked.add(call);
  }
  return calls.filter((call) => picked.has(call));
}

// Ids begin again when the process is restarted.
const keyOf = (call) => `${call.id} ${call.began}`;

/** Makes the list. A call never changes, so that each is made once. */
export function troubledCalls() {
  const list = el("ol", { class: "calls" });
  const none = el("p", { class: "none" }, "No call was in trouble yet.");
  const more = el("button", { type: "button", class: "more" });
  const dropped = el("p", { class: "none" });
  const shown = new Map();
  let all = false;
  let last = null;
  const update = (policy, state) => {
    last = [policy, state];
    const calls = all ? policy.troubled : few(policy.troubled);
    const wanted = new Set(calls.map(keyOf));
    for (const [key, element] of shown) {
      if (wanted.has(key)) continue;
      element.remove();
      shown.delete(key);
    }
    calls.forEach((call, i) => {
      const key = keyOf(call);
      if (!shown.has(key)) shown.set(key, callElement(call, state));
      const element = shown.get(key);
      if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
    });
    setHidden(none, calls.length > 0);
    setHidden(more, calls.length === policy.troubled.length);
    setText(more, `Show all ${policy.troubled.length}`);
    setHidden(dropped, !policy.dropped);
    setText(dropped, `${plural(policy.dropped ?? 0, "more call")} in trouble came too fast to be kept; all are counted.`);
  };
  more.addEventListener("click", () => {
    all = true;
    update(...last);
  });
  return { element: el("div", { class: "troubled" }, el("h3", {}, "Latest troubled calls"), list, more, none, dropped), update };
}
