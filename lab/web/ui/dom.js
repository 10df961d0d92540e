// Elements made by calls. Text always goes in as text: names of policies come from files of others.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element. Attributes that are null are left out; children are nodes or texts. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** The element of an id. */
export const byId = (id) => document.getElementById(id);

/** Shows a text in an element, or hides the element if there is none. */
export function tell(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** A button that does something. */
export function button(label, attributes, does) {
  const made = el("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", does);
  return made;
}
