// The charts of a report with their legend, and what can be taken along.

import { badge, chart, reference, sample } from "./chart.js";
import { toCSV } from "./csv.js";
import { button, byId, el, tell } from "./dom.js";
import { plural } from "./format.js";
import { CHARTS, moves } from "./kinds.js";
import { fileName, png, save } from "./picture.js";

/** Makes the results, which show one report after the other. */
export function results() {
  let report = null;
  let charts = [];
  let hidden = new Set(); // names of policies that are not drawn
  const cursor = {
    index: null,
    set(index) {
      if (index === cursor.index) return;
      cursor.index = index;
      for (const c of charts) c.point();
    },
  };
  new ResizeObserver(() => charts.forEach((c) => c.draw())).observe(byId("charts"));
  byId("csv").addEventListener("click", () => save(fileName(report.name, "series.csv"), new Blob([toCSV(report)], { type: "text/csv" })));
  byId("json").addEventListener("click", () => save(fileName(report.name, "report.json"),
    new Blob([JSON.stringify(report, null, 1)], { type: "application/json" })));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((c) => c.draw()));

  const picture = async (c) => save(fileName(report.name, `${c.kind.key}.png`), await png(c, report.name));

  function redraw() {
    const shown = report.policies.map((policy, index) => ({ policy, index })).filter((p) => !hidden.has(p.policy.name));
    for (const c of charts) c.show(shown);
  }

  return {
    cursor,
    show(next) {
      report = next;
      cursor.index = null;
      hidden = new Set([...hidden].filter((name) => report.policies.some((p) => p.name === name)));
      if (hidden.size === report.policies.length) hidden.clear();
      const drawn = CHARTS.filter((kind) => moves(kind, report));
      charts = drawn.map((kind) => chart(kind, report, cursor, picture));
      byId("results").hidden = false;
      byId("charts").replaceChildren(...charts.map((c) => c.element));
      byId("bands").textContent = about(report);
      const flat = CHARTS.filter((kind) => !drawn.includes(kind)).map((kind) => kind.title.toLowerCase());
      tell(byId("flat"), flat.length ? `Not drawn, as nothing of it happened: ${flat.join(", ")}.` : "");
      byId("legend").replaceChildren(...report.policies.map((p, i) => legend(p, i, hidden, redraw)));
      byId("code").replaceChildren(...report.policies.map(code));
      redraw();
    },
  };
}

function about(report) {
  const seeds = report.seeds > 1 ? `Lines are the medians of ${plural(report.seeds, "run")}, bands their 10th to 90th percentile. ` : "";
  const faults = report.faults.length ? `${report.faults.length === 1 ? "The fault is" : "Faults are"} shaded. ` : "";
  const calls = CHARTS.some((kind) => reference(kind, report).length) ? "The dotted grey line is the calls." : "";
  return seeds + faults + calls;
}

function legend(policy, index, hidden, redraw) {
  const toggle = button("", { "aria-pressed": String(!hidden.has(policy.name)), "data-policy": policy.name }, () => {
    if (!hidden.delete(policy.name)) hidden.add(policy.name);
    toggle.setAttribute("aria-pressed", String(!hidden.has(policy.name)));
    redraw();
  });
  toggle.append(badge(index), sample(index), el("bdi", {}, policy.name));
  return toggle;
}

/** A policy as Go code. */
function code(policy, index) {
  const text = el("code", {}, policy.go);
  const copied = button("Copy", { class: "quiet" }, async () => {
    copied.textContent = (await copy(policy.go)) ? "Copied" : "Not allowed: select it";
  });
  return el("details", { class: "code" }, el("summary", {}, badge(index), " ", el("bdi", {}, policy.name), " as Go code"),
    copied, el("pre", { tabindex: 0 }, text));
}

/** Copies a text, if the browser lets it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
