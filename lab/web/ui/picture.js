// A chart as a picture, and files that the browser saves.

import { el, svg } from "./dom.js";
import { look } from "./chart.js";

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-size",
  "font-family"];
const HEAD = 30;
const FOOT = 24;

/** Saves bytes as a file. */
export function save(name, blob) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link); // some browsers click no others
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A name of a file, of what any system allows. */
export const fileName = (...parts) => parts.join("-").toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^-+|-+$/g, "") || "lab";

/** The chart as a PNG, with its title and its legend, at twice its size. */
export async function png(chart, name) {
  const [, , width, height] = chart.drawing.getAttribute("viewBox").split(" ").map(Number);
  const style = getComputedStyle(document.body);
  const text = { fill: style.color, "font-family": style.fontFamily };
  const copy = inlined(chart.drawing);
  copy.setAttribute("y", HEAD);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const rows = chart.shown().length;
  const total = HEAD + height + FOOT * rows;
  const picture = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height: total, viewBox: `0 0 ${width} ${total}` },
    svg("rect", { width, height: total, fill: style.backgroundColor }),
    svg("text", { ...text, x: 10, y: 19, "font-size": 13, "font-weight": 600 }, `${name}: ${chart.kind.title}, ${chart.kind.unit}`), copy,
    ...chart.shown().map((p, i) => svg("text", { ...text, x: 10, y: HEAD + height + FOOT * i + 14, "font-size": 12 },
      svg("tspan", { fill: color(chart.drawing, p.index), "font-weight": 700 }, `${p.index + 1}  `), p.policy.name)));
  const image = new Image();
  const source = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(picture)], { type: "image/svg+xml" }));
  try {
    image.src = source;
    await image.decode();
    const canvas = el("canvas", { width: 2 * width, height: 2 * total });
    canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * total);
    return await new Promise((done) => canvas.toBlob(done, "image/png"));
  } finally {
    URL.revokeObjectURL(source);
  }
}

function color(drawing, index) {
  const line = drawing.querySelector(`.line.${look(index)}`);
  return line ? getComputedStyle(line).stroke : "currentColor";
}

/** A copy of a drawing that needs no style sheet. */
function inlined(drawing) {
  const copy = drawing.cloneNode(true);
  const from = drawing.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, i) => {
    const style = getComputedStyle(from[i]);
    for (const name of STYLES) node.setAttribute(name, style.getPropertyValue(name));
    node.removeAttribute("class");
  });
  return copy;
}
