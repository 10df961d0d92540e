// The latest troubled calls of a policy, newest first.

import { el, setHidden, setText } from "./dom.js";
import { plural } from "./format.js";
import { callElement } from "./timeline.js";

/** How many are shown until the reader asks for more. */
const FEW = 5;

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
    const calls = policy.troubled.slice(0, all ? undefined : FEW);
    const wanted = new Set(calls.map((call) => call.id));
    for (const [id, element] of shown) {
      if (wanted.has(id)) continue;
      element.remove();
      shown.delete(id);
    }
    calls.forEach((call, i) => {
      if (!shown.has(call.id)) shown.set(call.id, callElement(call, state));
      const element = shown.get(call.id);
      if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
    });
    setHidden(none, calls.length > 0);
    setHidden(more, all || policy.troubled.length <= FEW);
    setText(more, `Show all ${policy.troubled.length}`);
    setHidden(dropped, !policy.dropped);
    setText(dropped, `${plural(policy.dropped ?? 0, "troubled call")} could not be kept, as the record was busy; all are counted.`);
  };
  more.addEventListener("click", () => {
    all = true;
    update(...last);
  });
  return { element: el("div", { class: "troubled" }, el("h3", {}, "Latest troubled calls"), list, more, none, dropped), update };
}
