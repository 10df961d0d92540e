// The answer: the sentence, what was expected and is not so, and the figures.

import { badge } from "./chart.js";
import { byId, el, tell } from "./dom.js";
import { best, cell, columns, reasons } from "./figures.js";
import { number, percent } from "./format.js";
import { parts } from "./sentence.js";

const SHAPES = { good: "✓", bad: "✕" };

/** Shows what came of a run. Expects says whether the scenario has thresholds. */
export function showAnswer(report, expects) {
  byId("sentence").replaceChildren(...parts(report).map((part) => el("p", { "data-policy": part.name, "data-tone": part.tone },
    badge(part.index), " ", el("bdi", { class: "policy" }, part.name), ": ", `${part.text}\u00a0`,
    el("span", { class: "shape", "aria-hidden": "true" }, SHAPES[part.tone]))));
  byId("broken").hidden = report.broken.length === 0;
  byId("broken").replaceChildren(el("strong", {}, "Thresholds that are broken"),
    el("ul", {}, ...report.broken.map((b) => el("li", {}, b))));
  tell(byId("met"), expects && report.broken.length === 0 ? "All thresholds of the scenario are met." : "");
  byId("figures").replaceChildren(table(report));
}

/** Shows what a scenario is about. */
export function showScenario({ title, name, source }) {
  byId("title").textContent = title || name || "A scenario of your own";
  const line = byId("source");
  line.hidden = !source;
  if (!source) return;
  const address = /https?:\/\/[^\s)]+/.exec(source)?.[0];
  const at = address ? source.indexOf(address) : 0;
  line.replaceChildren("After: ", ...(address
    ? [source.slice(0, at), el("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, address),
      source.slice(at + address.length)]
    : [source]));
}

function table(report) {
  const shown = columns(report);
  const bests = new Map(shown.map((c) => [c.key, best(c, report)]));
  const head = el("tr", {}, el("th", { scope: "col" }, "Policy"), ...shown.map((c) => el("th", { scope: "col", class: "num",
    title: c.help }, c.title)),
    el("th", { scope: "col" }, "Why calls failed"));
  const rows = report.policies.map((policy, i) => el("tr", { "data-policy": policy.name },
    el("th", { scope: "row" }, badge(i), " ", el("bdi", {}, policy.name)),
    ...shown.map((c) => figure(c, policy, bests.get(c.key).includes(i))),
    el("td", { "data-title": "Why calls failed" }, ...why(policy))));
  const caption = `Medians of ${report.seeds} ${report.seeds === 1 ? "run" : "runs"} a policy; below them the 10th and 90th percentile. ` +
    "Figures in bold are the best ones.";
  return el("table", {}, el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, ...rows));
}

function figure(column, policy, isBest) {
  const { value, text, range } = cell(column, policy);
  const children = [el(isBest ? "strong" : "span", {}, text)];
  if (range) children.push(el("small", {}, range));
  return el("td", { class: "num", "data-title": column.title, "data-field": column.key, "data-value": value }, el("span", {}, ...children));
}

function why(policy) {
  const all = reasons(policy);
  if (all.length === 0) return ["none did"];
  return [el("ul", { class: "reasons" }, ...all.map((r) => el("li", { title: `${number(r.n)} calls of all runs` },
    `${r.reason} `, el("span", { class: "of" }, percent(r.share)))))];
}
