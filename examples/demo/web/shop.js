// The page asks the storefront each second how things are, and shows it.

import { element, LaneChart, LineChart } from "./charts.js";

const byId = (id) => document.getElementById(id);
const callees = ["inventory", "payments"];
const faults = { healthy: "Healthy", slow: "Slow", fail: "Fail", reset: "Reset", outage: "Down" };
const explained = {
  healthy: "answers in a few milliseconds", slow: "takes 100 to 700 ms; callers wait for 400 ms",
  fail: "answers 30 % of the requests with an error", reset: "resets the connection of 30 % of the requests",
  outage: "answers every request with an error",
};
const steps = {
  healthy: "Healthy", outage_without_budget: "Outage, no budget", outage_with_budget: "With budget",
  outage_with_breaker: "With breaker", recovery: "Recovery",
};

const charts = {
  load: new LineChart(byId("chart-load"), "Requests a second that each service gets", 214, 100),
  orders: new LineChart(byId("chart-orders"), "Orders a second", 170, 20),
  tokens: new LineChart(byId("chart-tokens"), "Retry budgets, tokens", 170, 20),
  breakers: new LaneChart(byId("chart-breakers"), "Circuit breakers", 84),
};

let asked = 0; // how many answers were asked for, so that an old one does not undo a new one
let shown = 0;
let sending = 0; // controls that were turned, and not answered yet
let sliding = false;

async function ask(path, body) {
  const number = ++asked;
  const request = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, { ...request, signal: AbortSignal.timeout(5000) });
  const state = await answer.json();
  if (!answer.ok) throw new Error(state.error);
  const overtaken = body === undefined && sending > 0; // by a control that was turned meanwhile
  if (number > shown && !overtaken) {
    shown = number;
    show(state);
  }
}

async function turn(path, body) {
  sending++;
  try {
    await ask(path, body);
    byId("refused").hidden = true;
  } catch (failure) {
    byId("refused").textContent = failure.message;
    byId("refused").hidden = false;
  } finally {
    sending--;
  }
}

async function poll() {
  let wait = 1000;
  if (!document.hidden && sending === 0) {
    try {
      await ask("api/state");
      byId("closed").hidden = true;
    } catch {
      byId("closed").hidden = false;
      wait = 2000;
    }
  }
  setTimeout(poll, wait);
}

// The controls.

for (const name of ["inventory", "payments", "storefront"]) {
  const set = element("fieldset");
  set.append(element("legend", {}, name));
  const choices = element("div", { class: "choices" });
  for (const [fault, text] of Object.entries(faults)) {
    const label = element("label", { title: `${name} ${explained[fault]}` });
    const input = element("input", { type: "radio", name: `fault-${name}`, value: fault, "aria-description": explained[fault] });
    input.addEventListener("change", () => turn("api/faults", { service: name, fault }));
    label.append(input, element("span", {}, text));
    choices.append(label);
  }
  set.append(choices);
  byId("faults").append(set);
}
for (const id of ["budget", "breaker"]) {
  byId(id).addEventListener("change", (e) => turn("api/settings", { [id]: e.target.checked }));
}
byId("rate").addEventListener("input", (e) => {
  sliding = true;
  byId("rate-value").textContent = e.target.value;
});
byId("rate").addEventListener("change", (e) => {
  sliding = false;
  turn("api/settings", { rate: Number(e.target.value) });
});
byId("heal").addEventListener("click", () => turn("api/faults", { service: "all", fault: "healthy" }));
byId("play").addEventListener("click", () => turn("api/story", { play: byId("story").hidden }));
for (const [step, text] of Object.entries(steps)) byId("steps").append(element("li", { "data-step": step }, text));

// What is shown.

function show(state) {
  showFigures(state);
  showControls(state);
  showStory(state.story);
  showCharts(state.history);
  showLists(state);
}

// latest returns the sum of the newest values, of a few seconds.
const latest = (values = [], count = 3) => values.slice(-count).reduce((sum, value) => sum + value, 0);

function showFigures({ history }) {
  const spans = Math.min(3, history.orders.length);
  if (spans === 0) return;
  const orders = latest(history.orders);
  const succeeded = latest(history.succeeded);
  const ended = succeeded + latest(history.failed);
  figure("now-orders", (orders / spans).toFixed(0));
  figure("now-share", ended ? percent(succeeded / ended) : "–", ended && succeeded / ended < 0.95);
  byId("now-failed").textContent = ended > succeeded ? `${((ended - succeeded) / spans).toFixed(0)} a second fail` : "";
  for (const name of callees) {
    const requests = latest(history.requests[name]);
    figure(`now-${name}`, orders ? times(requests / orders) : "–", orders && requests / orders > 1.5);
    byId(`now-${name}-rate`).textContent = `${(requests / spans).toFixed(0)} requests a second`;
  }
}

function figure(id, text, bad = false) {
  byId(id).textContent = text;
  byId(id).classList.toggle("bad", Boolean(bad));
}

const times = (n) => `${n > 0 && n < 0.05 ? "<0.1" : n === 0 ? 0 : n.toFixed(1)}×`;
const percent = (share) => `${share >= 0.9995 ? 100 : (100 * share).toFixed(share > 0.9 ? 1 : 0)} %`;

function showControls(state) {
  for (const { name, fault } of state.services) {
    const input = document.querySelector(`input[name="fault-${name}"][value="${fault}"]`);
    if (input) input.checked = true;
  }
  byId("budget").checked = state.budget;
  byId("breaker").checked = state.breaker;
  if (!sliding) {
    byId("rate").max = Math.max(200, state.rate);
    byId("rate").value = state.rate;
    byId("rate-value").textContent = state.rate;
  }
}

function showStory({ playing, step, text, remaining_seconds: remaining }) {
  byId("story").hidden = !playing;
  byId("play").textContent = playing ? "Stop the story" : "Play the story, 1 min";
  if (!playing) return;
  if (byId("story-text").textContent !== text) byId("story-text").textContent = text;
  let before = true;
  for (const item of byId("steps").children) {
    const current = item.dataset.step === step;
    if (current) {
      before = false;
      item.setAttribute("aria-current", "step");
      item.textContent = `${steps[step]} · ${Math.ceil(remaining)} s`;
    } else {
      item.removeAttribute("aria-current");
      item.textContent = steps[item.dataset.step];
    }
    item.classList.toggle("done", before);
  }
}

const kinds = { inventory: "accent", payments: "ink" };

function showCharts(history) {
  const whole = (value) => value.toFixed(0);
  const load = (requests, orders) => (orders ? `${requests} · ${times(requests / orders)}` : `${requests}`);
  charts.load.set({
    faults: history.faults,
    rows: [
      { name: "orders", kind: "quiet", values: history.orders, text: whole },
      ...callees.map((name) => ({
        name, kind: kinds[name], values: history.requests[name] ?? [], beside: history.orders, text: load, area: name === "inventory",
      })),
    ],
  });
  charts.orders.set({
    faults: history.faults,
    rows: [
      { name: "succeeded", kind: "accent", values: history.succeeded, text: whole, area: true },
      { name: "failed", kind: "bad", values: history.failed, text: whole, area: true },
    ],
  });
  charts.tokens.set({
    faults: history.faults,
    rows: callees.map((name) => ({ name, kind: kinds[name], values: history.tokens[name] ?? [], text: (v) => v.toFixed(1) })),
  });
  charts.breakers.set({
    faults: history.faults,
    rows: callees.map((name) => ({ name, short: { inventory: "inv.", payments: "pay." }[name], values: history.breaker[name] ?? [] })),
  });
}

const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

function showLists(state) {
  list("events", state.events, ({ time, kind, text }) => {
    const bad = kind === "fault" && !text.endsWith("is healthy");
    return [element("time", { datetime: time }, clock(time)), element("span", { class: bad ? "bad" : kind }, text)];
  });
  list("failed", state.failed_orders ?? [], (failed) => {
    const says = element("span", {}, `${failed.order} `);
    says.append(element("span", { class: "bad" }, `${failed.callee} ${failed.error_type}`));
    return [element("time", { datetime: failed.time }, clock(failed.time)), says, trace(state.trace_url, failed.trace_id)];
  });
  const links = state.services.map(({ name, port }) => (
    { href: `${location.protocol}//${location.hostname}:${port}/debug/resilience/`, text: `Debug page of ${name}` }));
  if (state.trace_url) links.push({ href: new URL(state.trace_url).origin, text: "Traces" });
  list("links", links, ({ href, text }) => [element("a", { href }, text)]);
}

const listed = {};

// list shows items, and leaves alone what is the same as before, so that the focus stays.
function list(id, items, parts) {
  const now = JSON.stringify(items);
  if (listed[id] === now) return;
  listed[id] = now;
  const lines = items.map((item) => {
    const line = element("li");
    line.append(...parts(item));
    return line;
  });
  byId(id).replaceChildren(...(lines.length ? lines : [element("li", { class: "hint" }, "None yet.")]));
}

// trace returns a link to a trace, or the beginning of its id where there is nowhere to link to.
function trace(template, id) {
  if (!id || !template) return element("code", { class: "end", title: id ?? "" }, (id ?? "").slice(0, 8));
  const made = element("a", { class: "end", href: template.replaceAll("{trace_id}", id), target: "_blank", rel: "noopener" }, "trace");
  made.setAttribute("aria-label", `Trace ${id}`);
  return made;
}

poll();
