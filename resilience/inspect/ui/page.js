// The page of /debug/resilience. It asks for state.json every few seconds, merges the answer into what it knows, and
// changes what differs. state.js merges, figures.js judges, rows.js shows.

import { el, name, setAttribute, setHidden, setText } from "./dom.js";
import { clock, count, plural, span, words } from "./format.js";
import { SHOWS, formatView, parseView } from "./link.js";
import { emptyState, merge } from "./state.js";
import { BAD, WARN, sentence } from "./figures.js";
import { whenVisible } from "./visible.js";
import { Table } from "./rows.js";
import { poller } from "./poll.js";
import { keyboard } from "./keyboard.js";
import { themes } from "./themes.js";
import { policies } from "./policies.js";
import { budgets } from "./budgets.js";
import { guards } from "./guards.js";

const $ = (id) => document.getElementById(id);
const LABELS = { all: "All", trouble: "In trouble", policies: "Policies", budgets: "Budgets", guards: "Guards" };

/** How many of those in trouble are named at the top. */
const NAMED = 8;

/** For how long it is said that the process was restarted, in milliseconds. */
const RESTART_SHOWN = 120_000;

/** What to do about compositions that are known to be wrong. */
const WARNINGS = new Map([
  ["nested_retries", "Attempts multiply: let one layer retry, the outer or the inner one."],
  ["breaker_outside_retry", "The breaker does not see the failures that retries make good: put it inside of the retry."],
  ["timeout_too_short", "There is no time for a retry: give the timeout more, or the retry less."],
]);

let state = emptyState();
let view = parseView(location.hash);
let received = 0; // when the last answer came, by the clock of this page
let loading = true;
let paused = false;
let reason = ""; // why there is no answer, or ""
let restarted = 0; // when the process that answers now was found to be another one, by the clock of this page
let frame = 0;

const visible = whenVisible();
const page = { visible, state: () => state, toggled };
const tables = [policies, budgets, guards].map((section) => new Table(section, page));
$("sections").append(...tables.map((table) => table.element));

const buttons = new Map(SHOWS.map((show) => {
  const n = el("span", { class: "count" });
  const button = el("button", { type: "button", "data-show": show }, LABELS[show], " ", n);
  button.addEventListener("click", () => setView({ ...view, show }));
  return [show, { button, n }];
}));
$("filters").append(...[...buttons.values()].map((b) => b.button));

const polls = poller({
  address: "state.json",
  cursor: () => state.cursor,
  got(answer) {
    if (received && Date.parse(answer.since) !== state.since) restarted = Date.now();
    state = merge(state, answer);
    received = Date.now();
    reason = "";
    schedule();
    return state.interval;
  },
  lost(why) {
    reason = why;
    schedule();
  },
});

function schedule() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    render();
  });
}

function render() {
  showConnection();
  if (!received) return;
  const first = loading;
  loading = false;
  document.title = state.title ? `${state.title} · resilience` : "Resilience";
  setText($("title"), state.title || "This process");
  tables[0].update(state.policies, state);
  tables[1].update(state.budgets, state);
  tables[2].update(state.guards, state);
  showSummary();
  showWarnings();
  setHidden($("toolbar"), tables.every((table) => table.rows.size === 0));
  if (first) {
    showView();
  } else {
    showMatches();
  }
  visible.update();
}

// All rows as the summary needs them.
function items() {
  return tables.flatMap((table) => [...table.rows.values()].map((row) => (
    { section: table.section.id, key: row.key, name: row.name, kind: row.item.kind ?? table.section.noun, state: row.state })));
}

function showSummary() {
  const all = items();
  const troubled = all.filter((item) => item.state.level <= WARN).sort((a, b) => a.state.level - b.state.level);
  const none = !state.length && all.length && !troubled.length;
  setText($("sentence"), none ? "No figures yet: the first interval is not over." : sentence(all));
  setAttribute($("sentence"), "data-level", troubled.length ? Math.min(...troubled.map((item) => item.state.level)) : 2);
  const uptime = span((state.now - state.since) / 1000);
  const where = state.instance && `\u2068${state.instance}\u2069. `;
  const now = clock(state.now, state.now);
  setText($("watch"), `${where}Watched for ${uptime}, since ${clock(state.since, state.now)}. Figures of the last minute before ${now}.`);
  showTroubles(troubled);
  buttons.get("trouble").n.textContent = count(troubled.length);
  buttons.get("all").n.textContent = count(all.length);
  for (const table of tables) buttons.get(table.section.id).n.textContent = count(table.rows.size);
}

let troublesShown = "";

function showTroubles(troubled) {
  const shape = JSON.stringify(troubled.map((item) => [item.key, item.state.word]));
  if (shape === troublesShown) return;
  troublesShown = shape;
  const focused = document.activeElement?.dataset.trouble;
  const entries = troubled.slice(0, NAMED).map((item) => {
    const button = el("button", { type: "button", "data-trouble": item.key, "data-level": item.state.level },
      el("span", { class: "symbol", "aria-hidden": "true" }, item.state.level === BAD ? "▲" : "◆"),
      el("span", { class: "kind" }, words(item.kind)), name(item.name), el("span", { class: "word" }, item.state.word));
    button.addEventListener("click", () => reveal(item.key));
    return el("li", {}, button);
  });
  if (troubled.length > NAMED) {
    const more = el("button", { type: "button", "data-trouble": "more" }, `and ${count(troubled.length - NAMED)} more`);
    more.addEventListener("click", () => setView({ ...view, show: "trouble", query: "" }));
    entries.push(el("li", {}, more));
  }
  $("troubles").replaceChildren(...entries);
  setHidden($("troubles"), entries.length === 0);
  if (focused) [...$("troubles").querySelectorAll("button")].find((b) => b.dataset.trouble === focused)?.focus();
}

// Opens a row and goes there, whatever was filtered.
function reveal(key) {
  const row = tables.map((table) => table.rows.get(key)).find(Boolean);
  if (!row) return;
  const { show, query } = row.element.hidden ? { show: "all", query: "" } : view;
  setView({ show, query, open: new Set(view.open).add(key) });
  row.button.focus({ preventScroll: true });
  row.element.scrollIntoView({ block: "start" });
}

function showWarnings() {
  const shape = JSON.stringify(state.warnings);
  if ($("warnings").dataset.shown === shape) return;
  $("warnings").dataset.shown = shape;
  $("warning-list").replaceChildren(...state.warnings.map((w) => el("li", { "data-warning": w.reason, "data-value": w.count },
    el("strong", {}, name(w.policy)), ": ", name(words(w.reason)), w.count > 1 ? ` (${count(w.count)} times)` : "",
    WARNINGS.has(w.reason) ? `. ${WARNINGS.get(w.reason)}` : "")));
  setHidden($("warnings"), state.warnings.length === 0);
}

function showConnection() {
  const live = paused ? "paused" : reason ? "lost" : received ? "live" : "loading";
  setAttribute($("live"), "data-live", live);
  const texts = { paused: "Paused", lost: "No answer", live: `Live, every ${span(state.interval)}`, loading: "Loading" };
  setText($("live"), texts[live]);
  setText($("pause"), paused ? "Resume" : "Pause");
  setHidden($("lost"), !reason && !paused);
  const old = span((Date.now() - received) / 1000);
  const what = received ? `These figures are ${old} old, of ${clock(state.now, Date.now())}.` : "There are no figures yet.";
  setText($("lost"), paused ? `Paused. ${what}` : `Connection lost: ${reason}. ${what} Trying again.`);
  $("lost").classList.toggle("bad", !paused);
  setHidden($("restarted"), !restarted || Date.now() - restarted > RESTART_SHOWN);
  setText($("restarted"), `The process was restarted: it is watched since ${clock(state.since, Date.now())}, and counts begin anew.`);
}

// The address keeps what is shown, so that a link shows the same to somebody else.
function setView(next) {
  view = next;
  history.replaceState(null, "", formatView(view) || location.pathname + location.search);
  showView();
}

function showView() {
  if ($("search").value !== view.query) $("search").value = view.query;
  for (const [show, b] of buttons) setAttribute(b.button, "aria-pressed", show === view.show);
  for (const table of tables) table.open(view.open);
  showMatches();
  visible.update();
}

function showMatches() {
  const shown = tables.reduce((n, table) => n + table.filter(view), 0);
  const searched = view.query.trim() !== "";
  const filtered = searched || view.show === "trouble";
  const none = searched ? "Nothing matches." : "Nothing is in trouble.";
  setText($("matches"), filtered ? (shown ? plural(shown, "match", "matches") : none) : "");
}

function toggled(key, open) {
  const keys = new Set(view.open);
  if (open) keys.add(key);
  else keys.delete(key);
  view = { ...view, open: keys };
  history.replaceState(null, "", formatView(view) || location.pathname + location.search);
}

$("search").addEventListener("input", () => setView({ ...view, query: $("search").value }));
$("pause").addEventListener("click", () => {
  paused = !paused;
  if (paused) polls.pause();
  else polls.resume();
  schedule();
});
addEventListener("hashchange", () => {
  view = parseView(location.hash);
  if (!loading) showView();
});
setInterval(() => {
  if (paused || reason || restarted) showConnection();
}, 1000);

keyboard($("search"), () => setView({ ...view, query: "" }));
themes($("theme"));
polls.ask();
