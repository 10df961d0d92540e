// Charts of the last two minutes as SVG. Everything that the services say goes in as text.

const seconds = 120; // that a chart shows
const left = 38; // of the plot
const bottom = 18;
const svgSpace = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function shape(name, attributes, text = "") {
  const made = document.createElementNS(svgSpace, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// fill puts as many values as a chart shows into a row: the newest is the last, what is not
// known is null.
function fill(values) {
  const shown = values.slice(-seconds);
  return Array(seconds - shown.length).fill(null).concat(shown);
}

// A Frame is what all charts have: a caption with keys, and a plot that follows its width and
// shows the values under the pointer.
class Frame {
  constructor(figure, title, height) {
    this.height = height;
    this.at = null; // the index under the pointer
    const caption = element("figcaption");
    caption.append(element("h2", {}, title));
    this.keys = element("span", { class: "keys" });
    caption.append(this.keys);
    this.svg = shape("svg", { role: "img", height });
    figure.replaceChildren(caption, this.svg);
    this.title = title;
    new ResizeObserver(() => this.draw()).observe(figure);
    this.svg.addEventListener("pointermove", (e) => {
      const box = this.svg.getBoundingClientRect();
      const part = (e.clientX - box.left - left) / (box.width - left);
      this.at = Math.max(0, Math.min(seconds - 1, Math.round(part * (seconds - 1))));
      this.draw();
    });
    this.svg.addEventListener("pointerleave", () => { this.at = null; this.draw(); });
  }

  set(data) {
    this.data = data;
    this.draw();
  }

  draw() {
    const width = this.svg.clientWidth;
    if (!this.data || width === 0) return;
    this.width = width;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.replaceChildren();
    this.shade();
    this.plot();
    this.axis();
    if (this.at !== null) this.line("cursor", this.x(this.at), this.x(this.at), 0, this.height - bottom);
  }

  x(index) { return left + (index / (seconds - 1)) * (this.width - left - 1); }

  add(name, attributes, text) { this.svg.append(shape(name, attributes, text)); }

  line(kind, x1, x2, y1, y2) { this.add("line", { class: kind, x1, x2, y1, y2 }); }

  // shade marks the time in which a service had a fault.
  shade() {
    this.runs(fill(this.data.faults), (from, to, struck) => {
      if (struck) this.add("rect", { class: "shade", x: this.x(from), y: 0, width: this.x(to) - this.x(from), height: this.height - bottom });
    });
  }

  // runs calls found for each run of equal values, with where it begins and ends.
  runs(row, found) {
    for (let from = 0; from < row.length;) {
      let to = from;
      while (to + 1 < row.length && row[to + 1] === row[from]) to++;
      found(from, Math.min(to + 1, seconds - 1), row[from]);
      from = to + 1;
    }
  }

  axis() {
    const y = this.height - 4;
    for (const [index, text, anchor] of [[0, "2 min ago", "start"], [(seconds - 1) / 2, "1 min", "middle"], [seconds - 1, "now", "end"]]) {
      this.add("text", { x: this.x(index), y, "text-anchor": anchor }, text);
    }
  }

  // key shows a value in the caption.
  setKeys(keys) {
    this.keys.replaceChildren(...keys.map(({ kind, name, text }) => {
      const key = element("span", { class: `key ${kind}` }, `${name} `);
      key.append(element("b", {}, text));
      return key;
    }));
    this.svg.setAttribute("aria-label", `${this.title}: ${keys.map((k) => `${k.name} ${k.text}`).join(", ")}`);
  }

  when(row) { return row[this.at ?? seconds - 1]; }
}

// LineChart draws rows: {name, kind, values, area, text}. text makes the text of a value.
export class LineChart extends Frame {
  constructor(figure, title, height, least) {
    super(figure, title, height);
    this.least = least; // the top of the axis is no lower
  }

  plot() {
    const rows = this.data.rows.map((row) => ({ ...row, values: fill(row.values) }));
    const most = Math.max(this.least, ...rows.flatMap((row) => row.values.map((v) => v ?? 0)));
    const step = niceStep(most / 3);
    const top = Math.ceil(most / step) * step;
    const y = (value) => 6 + (1 - value / top) * (this.height - bottom - 6);
    for (let value = 0; value <= top + step / 2; value += step) {
      this.line("grid", left, this.width, y(value), y(value));
      this.add("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, String(value));
    }
    for (const row of rows) {
      const first = row.values.findIndex((v) => v !== null);
      if (first < 0) continue;
      const points = row.values.slice(first).map((v, i) => `${this.x(first + i).toFixed(1)} ${y(v).toFixed(1)}`);
      const path = `M${points.join("L")}`;
      if (row.area) {
        this.add("path", { class: `area ${row.kind}`, d: `${path}L${this.x(seconds - 1)} ${y(0)}L${this.x(first)} ${y(0)}Z` });
      }
      this.add("path", { class: row.kind, d: path });
    }
    this.setKeys(rows.map((row, i) => {
      const value = this.when(row.values);
      return { kind: row.kind, name: row.name, text: value === null ? "–" : row.text(value, this.when(fill(this.data.rows[i].beside ?? []))) };
    }));
  }
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
}

const spoken = { closed: "closed", open: "open", half_open: "half-open", forced_open: "open", disabled: "off" };

// LaneChart draws a lane of states for each row: {name, values}.
export class LaneChart extends Frame {
  plot() {
    const rows = this.data.rows.map((row) => ({ ...row, values: fill(row.values) }));
    const tall = (this.height - bottom) / rows.length;
    rows.forEach((row, i) => {
      this.runs(row.values, (from, to, state) => {
        if (state === null) return;
        this.add("rect", { class: state, x: this.x(from), y: i * tall + 4, width: Math.max(2, this.x(to) - this.x(from)), height: tall - 8, rx: 2 });
        if (this.x(to) - this.x(from) > 60) this.add("text", { class: `on ${state}`, x: this.x(from) + 8, y: i * tall + tall / 2 + 4 }, spoken[state]);
      });
      this.add("text", { x: 0, y: i * tall + tall / 2 + 4 }, row.short);
    });
    this.setKeys(rows.map((row) => ({ kind: "plain", name: row.name, text: spoken[this.when(row.values)] ?? "–" })));
  }
}
