// The page: a scenario is chosen or edited, run, and its report shown.

import { showAnswer, showScenario } from "./answer.js";
import * as api from "./api.js";
import { button, byId, el, tell } from "./dom.js";
import { editor } from "./editor.js";
import { duration, percent } from "./format.js";
import { forms } from "./forms.js";
import { copy, results } from "./results.js";
import { runner } from "./runner.js";
import { decode, encode } from "./share.js";

let gallery = [];
let ran = null; // the text whose report is shown

const shown = results();
const scenario = editor(changed);
const form = forms((edits) => scenario.change(edits));
const runs = runner(progress);
const yaml = byId("yaml");

function changed({ text, tree, error }) {
  if (yaml.value !== text && document.activeElement !== yaml) yaml.value = text;
  tell(byId("invalid"), error);
  yaml.setAttribute("aria-invalid", String(Boolean(error)));
  byId("run").disabled = Boolean(error);
  if (tree) {
    form.show(tree);
    showScenario(tree);
  }
  mark();
}

/** Says whether what is shown is what is written. */
function mark() {
  const stale = ran !== null && ran !== scenario.state.text;
  document.body.dataset.stale = String(stale);
  if (byId("cancel").hidden) byId("status").textContent = stale ? "Changed since the last run." : "";
  const entry = gallery.find((e) => e.text === scenario.state.text);
  for (const b of byId("gallery").querySelectorAll("button")) b.setAttribute("aria-pressed", String(b.dataset.name === entry?.name));
  byId("chosen").textContent = entry?.name ?? scenario.state.tree?.name ?? "";
}

function progress({ done, left_seconds: left, waiting }) {
  busy(true);
  byId("progress").value = done;
  const text = waiting ? "Waits for another run" : `${percent(done)}${left === undefined ? "" : `, ${duration(left)} left`}`;
  byId("status").textContent = text;
}

function busy(is) {
  byId("run").hidden = is;
  byId("cancel").hidden = !is;
  byId("progress").hidden = !is;
  document.body.dataset.running = String(is);
}

async function run() {
  await scenario.settled();
  if (scenario.state.error) return;
  const { text, tree } = scenario.state;
  tell(byId("problem"), "");
  try {
    const report = await runs.run(text);
    if (report === null) return;
    ran = text;
    showAnswer(report, Object.keys(tree?.expect ?? {}).length > 0);
    shown.show(report);
    history.replaceState(null, "", await address(text));
  } catch (error) {
    tell(byId("problem"), error.message);
  }
  busy(false);
  mark();
}

async function cancel() {
  await runs.cancel();
  busy(false);
  byId("status").textContent = "Cancelled.";
}

/** The fragment for a text: that of the gallery by its name. */
async function address(text) {
  const entry = gallery.find((e) => e.text === text);
  return entry ? `#${encodeURIComponent(entry.name)}` : encode(text);
}

async function choose(entry) {
  yaml.blur();
  await scenario.write(entry.text);
  await run();
}

/** Opens what the address says, or the first scenario. */
async function open() {
  let text = null;
  try {
    text = await decode(location.hash);
  } catch (error) {
    tell(byId("problem"), error.message);
  }
  if (text !== null) { // it comes from somebody else, so that it is for the reader to run it
    await scenario.write(text);
    byId("sentence").replaceChildren(el("p", {}, "This scenario came with the link. Press Run to see what its policies do to the callee."));
    byId("run").scrollIntoView({ block: "nearest" });
    return;
  }
  let name = location.hash.slice(1);
  try {
    name = decodeURIComponent(name);
  } catch {
    // it is no name then
  }
  const entry = gallery.find((e) => e.name === name) ?? gallery[0];
  if (entry) await choose(entry);
}

byId("run").addEventListener("click", run);
byId("cancel").addEventListener("click", cancel);
byId("share").addEventListener("click", async () => {
  await scenario.settled();
  const link = new URL(await address(scenario.state.text), location.href);
  history.replaceState(null, "", link);
  byId("status").textContent = (await copy(link.href)) ? "Copied. It opens wherever a lab runs at this address."
    : "The link is in the address bar.";
});
let typing = 0;
yaml.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => scenario.write(yaml.value), 250);
});
yaml.addEventListener("change", () => {
  clearTimeout(typing);
  scenario.write(yaml.value);
});
addEventListener("hashchange", open);
addEventListener("pagehide", () => runs.cancel());
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    document.activeElement?.dispatchEvent(new Event("change", { bubbles: true })); // what is being written counts
    if (byId("cancel").hidden) run();
  } else if (event.key === "Escape") {
    if (!byId("cancel").hidden) cancel();
    else shown.cursor.set(null);
  }
});

if (matchMedia("(max-width: 900px)").matches) byId("scenarios").open = false;
try {
  gallery = await api.gallery();
  byId("gallery").replaceChildren(...gallery.map((entry) => {
    const item = button("", { "data-name": entry.name, "aria-pressed": "false" }, () => choose(entry));
    item.append(el("bdi", { class: "name" }, entry.name), el("span", {}, entry.title));
    return el("li", {}, item);
  }));
  await open();
} catch (error) {
  tell(byId("problem"), error.message);
}
