// Elements made and changed by calls. Text always goes in as text: names of policies and errors come from outside.

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
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Sets the text if it differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute if it differs; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}

/** Shows or hides. */
export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/** Shows a figure: text for the reader, the exact number for programs. */
export function setFigure(element, text, value) {
  setText(element, text);
  setAttribute(element, "data-value", value ?? "");
}

/** A name that may be anything, in any direction of writing. */
export function name(text) {
  return el("bdi", {}, text);
}

/** Puts the children into the given order and moves no more than needed. The focus stays where it is. */
export function reorder(parent, wanted, first = parent.firstElementChild) {
  const focused = document.activeElement;
  let at = first;
  for (const node of wanted) {
    if (node === at) {
      at = at.nextElementSibling;
    } else if (node === at?.nextElementSibling) {
      parent.append(at); // one went down: the others need not move up
      at = node.nextElementSibling;
    } else {
      parent.insertBefore(node, at);
    }
  }
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}
