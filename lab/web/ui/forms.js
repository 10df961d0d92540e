// The knobs and the cards of the policies. They show what the text says, and send edits.

import { badge } from "./chart.js";
import { button, byId, el } from "./dom.js";
import { GROUPS, KNOBS, at, freshName, isOn, parseField, summary } from "./fields.js";

const MAX_CARDS = 4; // that can be added; a text may have more

/** Makes the forms. Change is called with edits, or with what makes them of the tree. */
export function forms(change) {
  const open = new Set(); // names of policies whose cards are open
  byId("knobs").addEventListener("submit", (event) => event.preventDefault());

  return {
    /** Shows the fields of a tree. The one that has the focus keeps it. */
    show(tree) {
      const focused = document.activeElement;
      const focus = focused?.dataset?.field;
      const writing = focused?.type === "text" && focused.value !== focused.dataset.was;
      byId("knobs").replaceChildren(...KNOBS.filter((k) => k.shown(tree)).map((k) => knob(k, tree, change)), note(tree));
      const policies = Array.isArray(tree?.policies) ? tree.policies : [];
      byId("policies").replaceChildren(...policies.map((p, i) => card(p, i, policies, open, change)), adder(policies, change));
      if (!focus) return;
      const again = document.querySelector(`[data-field="${CSS.escape(focus)}"]`);
      again?.focus({ preventScroll: true });
      if (writing && again?.type === "text") again.value = focused.value; // the reader is not done yet
    },
  };
}

function note(tree) {
  const more = (tree?.faults?.length ?? 0) - 1;
  return more > 0 ? el("p", { class: "of" }, `The outage is the first of ${more + 1} faults; the others are in the YAML.`) : "";
}

function knob(k, tree, change) {
  const value = k.get(tree);
  const input = k.options
    ? choice(k.options.map((o) => [o.key, o.label]), value, `knob.${k.key}`)
    : entry(value, k.usual, `knob.${k.key}`);
  input.addEventListener("change", () => change((now) => k.edits(now, input.value)));
  return el("label", {}, k.label, input);
}

function entry(value, usual, field) {
  const input = el("input", { type: "text", inputmode: "text", autocomplete: "off", spellcheck: "false", placeholder: usual,
    "data-field": field, size: 8 });
  input.value = value ?? "";
  input.dataset.was = input.value;
  return input;
}

function choice(options, value, field) {
  const known = options.some(([key]) => key === value) || value === undefined ? options : [...options, [value, String(value)]];
  const select = el("select", { "data-field": field }, ...known.map(([key, label]) => el("option", { value: key }, label)));
  select.value = value ?? options[0][0];
  return select;
}

function card(policy, i, policies, open, change) {
  const path = ["policies", String(i)];
  const edits = (...list) => change(list.map(({ path: below, value }) => ({ path: [...path, ...below], value })));
  const name = entry(policy?.name, "", `${i}.name`);
  name.addEventListener("change", () => {
    if (open.delete(policy?.name)) open.add(name.value);
    edits({ path: ["name"], value: name.value });
  });
  const details = el("details", { class: "card", "data-policy": policy?.name ?? "" },
    el("summary", {}, badge(i), " ", el("bdi", {}, policy?.name ?? ""), el("span", { class: "brief" }, summary(policy))),
    el("label", { class: "wide" }, "Name", name),
    ...GROUPS.map((g) => group(g, policy, i, edits)),
    el("p", { class: "actions" },
      button("Duplicate", { disabled: policies.length >= MAX_CARDS ? "" : null }, () => change([{
        path: ["policies", String(policies.length)], value: { ...policy, name: freshName(policies, policy.name) },
      }])),
      button("Remove", { disabled: policies.length < 2 ? "" : null }, () => change([{ path, value: null }]))));
  details.open = open.has(policy?.name);
  details.addEventListener("toggle", () => {
    if (details.open) open.add(policy?.name);
    else if (details.isConnected) open.delete(policy?.name);
  });
  return details;
}

function group(g, policy, i, edits) {
  const on = isOn(policy, g);
  const toggle = el("input", { type: "checkbox", "data-field": `${i}.${g.path.join(".")}` });
  toggle.checked = on;
  toggle.addEventListener("change", () => edits({ path: g.path, value: toggle.checked ? {} : null }));
  return el("fieldset", {}, el("legend", {}, el("label", {}, toggle, " ", g.title)), ...(on ? g.fields.map((f) => field(f, policy, i,
    edits)) : []));
}

function field(f, policy, i, edits) {
  const value = at(policy, f.path);
  const name = `${i}.${f.path.join(".")}`;
  if (f.flag) {
    const box = el("input", { type: "checkbox", "data-field": name });
    box.checked = value === true;
    box.addEventListener("change", () => edits({ path: f.path, value: box.checked ? true : null }));
    return el("label", { class: "flag" }, box, " ", f.label);
  }
  const input = f.options ? choice(f.options.map((o) => [o, o]), value, name) : entry(value, f.usual, name);
  input.addEventListener("change", () => edits({ path: f.path, value: f.options && input.value === f.options[0] ? null
    : parseField(input.value) }));
  return el("label", {}, f.label, input);
}

function adder(policies, change) {
  if (policies.length >= MAX_CARDS) return "";
  return button("+ Add a policy", { class: "add" }, () => change([{
    path: ["policies", String(policies.length)],
    value: { name: freshName(policies, "policy"), retry: { max_retries: 3 }, budget: {} },
  }]));
}
