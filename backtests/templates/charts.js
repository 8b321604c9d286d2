"use strict";
// Charts over rows: panes that share one view, drawn as SVG. No library, no request, no random number.

const SVG = document.querySelector("svg").namespaceURI;
const GUTTER = 64;
const POINTS = 2000;
const MINUS = "\u2212";

function make(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function html(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") for (const [event, action] of Object.entries(value)) node.addEventListener(event, action);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// The file writes a trace as differences of multiples of its unit; null is an unknown value.
function decoded(steps, unit) {
  const values = new Float64Array(steps.length);
  const whole = unit < 1 ? Math.round(1 / unit) : 0;
  let last = 0;
  for (let i = 0; i < steps.length; i++) {
    if (steps[i] === null) values[i] = NaN;
    else {
      last += steps[i];
      values[i] = whole ? last / whole : last * unit;
    }
  }
  return values;
}

function signed(text, value, plus) {
  if (!/[1-9]/.test(text)) return text;
  return (value < 0 ? MINUS : plus ? "+" : "") + text;
}

function amount(value, digits, plus) {
  if (value === null || !Number.isFinite(value)) return "–";
  const [whole, part] = Math.abs(value).toFixed(digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return signed(part ? grouped + "." + part : grouped, value, plus);
}

function dollars(value, digits, plus) {
  const text = amount(value, digits, plus);
  return /^[\d]/.test(text) ? "$" + text : text === "–" ? text : text[0] + "$" + text.slice(1);
}

function percents(value, digits, plus) {
  const text = amount(value === null ? null : value * 100, digits, plus);
  return text === "–" ? text : text + "\u00a0%";
}

const MONTH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function instant(seconds, daily) {
  const text = new Date(seconds * 1000).toISOString();
  return daily ? text.slice(0, 10) : text.slice(0, 10) + " " + (seconds % 60 ? text.slice(11, 19) : text.slice(11, 16));
}

// First index whose value is not below `wanted`.
function seek(values, wanted) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nearest(rows, wanted) {
  const at = seek(rows, wanted);
  if (at === 0) return 0;
  if (at === rows.length) return at - 1;
  return rows[at] - wanted < wanted - rows[at - 1] ? at : at - 1;
}

// Indices of what is drawn: everything in view, or the lowest and highest of each bucket where that is too much.
function shown(rows, values, low, high) {
  const from = Math.max(0, seek(rows, low) - 1), to = Math.min(rows.length, seek(rows, high) + 1);
  const kept = [];
  if (to - from <= POINTS) {
    for (let i = from; i < to; i++) kept.push(i);
    return kept;
  }
  const buckets = POINTS / 2;
  for (let b = 0; b < buckets; b++) {
    const first = from + Math.floor(((to - from) * b) / buckets), last = from + Math.floor(((to - from) * (b + 1)) / buckets);
    let least = -1, most = -1;
    for (let i = first; i < last; i++) {
      if (Number.isNaN(values[i])) continue;
      if (least < 0 || values[i] < values[least]) least = i;
      if (most < 0 || values[i] > values[most]) most = i;
    }
    if (least < 0) kept.push(first);
    else if (least === most) kept.push(least);
    else kept.push(Math.min(least, most), Math.max(least, most));
  }
  return kept;
}

// Round values between low and high, about `count` of them.
function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return { step, values: found };
}

// Round values on a logarithmic scale; the plain ones where the range is narrow.
function logTicks(low, high, count) {
  for (const steps of [[1, 2, 5], [1, 1.5, 2, 3, 5, 7]]) {
    const found = [];
    for (let power = Math.pow(10, Math.floor(Math.log10(low))); power <= high; power *= 10) {
      found.push(...steps.map((m) => m * power).filter((v) => v >= low && v <= high));
    }
    if (found.length >= Math.min(count, 4)) return { step: found[0], values: found };
  }
  return ticks(low, high, count);
}

const CLOCKS = [60, 300, 900, 1800, 3600, 7200, 14400].map((s) => ({
  seconds: s, key: (t) => Math.floor(t / s), label: (t) => new Date(t * 1000).toISOString().slice(11, 16),
}));
const DAYS = [1, 2, 5, 10].map((n) => ({
  seconds: n * 86400, key: (t) => Math.floor(t / 86400 / n),
  label: (t) => { const d = new Date(t * 1000); return d.getUTCDate() + " " + MONTH[d.getUTCMonth()]; },
}));
const LONG = [1, 3, 6, 12, 24, 60, 120].map((n) => ({
  seconds: n * 30.4 * 86400,
  key: (t) => { const d = new Date(t * 1000); return Math.floor((d.getUTCFullYear() * 12 + d.getUTCMonth()) / n); },
  label: (t) => {
    const d = new Date(t * 1000);
    return n >= 12 || d.getUTCMonth() === 0 ? String(d.getUTCFullYear()) : MONTH[d.getUTCMonth()] + " " + d.getUTCFullYear();
  },
}));
const LEVELS = [...CLOCKS, ...DAYS, ...LONG];

// Where the calendar turns in view: [{row, text}], at least 70 pixels apart.
function timeTicks(trace, low, high, x) {
  const from = seek(trace.rows, low), to = Math.min(trace.rows.length, seek(trace.rows, high + 1e-9));
  if (to - from < 1) return [];
  const span = trace.time[to - 1] - trace.time[from];
  const room = Math.max(2, (x(high) - x(low)) / 110);
  const usable = LEVELS.filter((level) => !trace.daily || level.seconds >= 86400);
  const level = usable.find((l) => span / l.seconds <= room) || usable[usable.length - 1];
  const found = [];
  let before = from > 0 ? level.key(trace.time[from - 1]) : null, day = null, at = -Infinity;
  for (let i = from; i < to; i++) {
    const key = level.key(trace.time[i]);
    if (key === before) continue;
    before = key;
    const place = x(trace.rows[i]);
    if (place - at < 70) continue;
    at = place;
    const today = Math.floor(trace.time[i] / 86400);
    const turn = level.seconds < 86400 && today !== day;
    day = today;
    const year = !found.length && level.seconds < 28 * 86400 ? " " + new Date(trace.time[i] * 1000).getUTCFullYear() : "";
    found.push({ row: trace.rows[i], text: level.seconds >= 86400 ? level.label(trace.time[i]) + year : turn ? DAYS[0].label(trace.time[i]) + " " + level.label(trace.time[i]) : level.label(trace.time[i]) });
  }
  return found;
}

// Draw again when the host's width changes, and for paper at the width a page has.
function fitted(host, draw, paper, force) {
  let drawn = host.clientWidth;
  new ResizeObserver(() => {
    if (host.clientWidth === drawn) return;
    drawn = host.clientWidth;
    draw();
  }).observe(host);
  window.addEventListener("beforeprint", () => { force(paper); draw(); });
  window.addEventListener("afterprint", () => { force(0); draw(); });
}

class View {
  constructor(rows) {
    this.most = Math.max(rows - 1, 1);
    this.low = 0;
    this.high = this.most;
    this.heard = [];
  }
  set(low, high) {
    const least = Math.min(12, this.most);
    let width = Math.min(Math.max(high - low, least), this.most);
    const middle = (low + high) / 2;
    this.low = Math.min(Math.max(middle - width / 2, 0), this.most - width);
    this.high = this.low + width;
    for (const hear of this.heard) hear();
  }
  zoom(factor, at) {
    const centre = at === undefined ? (this.low + this.high) / 2 : at;
    this.set(centre - (centre - this.low) * factor, centre + (this.high - centre) * factor);
  }
  pan(share) {
    const by = (this.high - this.low) * share;
    const kept = Math.min(Math.max(this.low + by, 0), this.most - (this.high - this.low));
    this.set(kept, kept + this.high - this.low);
  }
  all() { this.set(0, this.most); }
  get whole() { return this.low <= 0 && this.high >= this.most; }
}

// Panes: {tall: pixels, domain(low, high) -> [min, max], log(), ticks: text of a value, draw(layer, scales)}.
class Chart {
  constructor(host, { label, view, trace, panes, readout, pick }) {
    Object.assign(this, { host, view, trace, panes, readout, pick });
    this.words = html("div", { class: "readout", "aria-live": "off" });
    this.root = make("svg", { class: "zooms", tabindex: "0", role: "group", "aria-label": label });
    host.append(this.words, this.root);
    view.heard.push(() => this.draw());
    this.listen();
    fitted(host, () => this.draw(), 700, (width) => { this.forced = width; });
    this.draw();
  }

  x(row) { return ((row - this.view.low) / (this.view.high - this.view.low)) * this.plot; }
  row(x) { return this.view.low + (x / this.plot) * (this.view.high - this.view.low); }

  draw() {
    const width = Math.max(280, (this.forced || this.host.clientWidth) - 16);
    this.plot = width - GUTTER;
    const x = (row) => this.x(row);
    const below = 24, gap = 14;
    for (const pane of this.panes) pane.height = pane.tall * (this.forced ? 0.62 : 1);
    const height = this.panes.reduce((sum, pane) => sum + pane.height + gap, below);
    this.root.replaceChildren();
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const turns = timeTicks(this.trace(), this.view.low, this.view.high, x);
    for (const turn of turns) {
      this.root.append(make("line", { class: "axis", x1: x(turn.row), x2: x(turn.row), y1: 0, y2: height - below }));
      const text = make("text", { x: x(turn.row), y: height - 7, "text-anchor": x(turn.row) < 24 ? "start" : x(turn.row) > this.plot - 20 ? "end" : "middle" });
      text.textContent = turn.text;
      this.root.append(text);
    }
    let top = 8;
    for (const [place, pane] of this.panes.entries()) {
      const clip = `${this.host.id}-clip-${place}`;
      this.root.append(make("clipPath", { id: clip }, make("rect", { x: -1, y: top - 6, width: this.plot + 2, height: pane.height + 12 })));
      pane.top = top;
      pane.y = this.scale(pane);
      const layer = make("g", { "clip-path": `url(#${clip})` });
      this.root.append(this.axis(pane, width), layer);
      pane.draw(layer, { x, y: pane.y, top, bottom: top + pane.height, plot: this.plot, low: this.view.low, high: this.view.high });
      top += pane.height + gap;
    }
    this.top = make("g", {});
    this.root.append(this.top);
    this.point(null);
  }

  scale(pane) {
    let [least, most] = pane.domain(this.view.low, this.view.high);
    if (!(most > least)) {
      const room = Math.abs(most) * 0.01 || 1;
      least = (Number.isFinite(least) ? least : 0) - room;
      most = (Number.isFinite(most) ? most : 0) + room;
    }
    const turn = pane.log && pane.log() && least > 0 ? Math.log : (v) => v;
    const a = turn(least), b = turn(most), pad = pane.flush ? 0 : (b - a) * 0.06;
    const low = pane.flush ? a - (b - a) * 0.08 : a - pad, high = b + pad;
    pane.least = turn === Math.log ? Math.exp(low) : low;
    pane.most = turn === Math.log ? Math.exp(high) : high;
    return (value) => pane.top + pane.height * (1 - (turn(value) - low) / (high - low));
  }

  axis(pane, width) {
    const group = make("g", {});
    const count = Math.max(pane.tall < 100 ? 3 : 2, pane.height / 52);
    const { step, values } = (pane.log && pane.log() && pane.least > 0 ? logTicks : ticks)(pane.least, pane.most, count);
    for (const value of values) {
      const y = pane.y(value);
      if (y < pane.top - 1 || y > pane.top + pane.height + 1) continue;
      group.append(make("line", { class: pane.flush && value === 0 ? "zero" : "axis", x1: 0, x2: this.plot, y1: y, y2: y }));
      const text = make("text", { x: width - 6, y: y + 4, "text-anchor": "end" });
      text.textContent = pane.ticks(value, step);
      group.append(text);
    }
    return group;
  }

  listen() {
    let from = null, brush = null;
    const place = (event) => {
      const box = this.root.getBoundingClientRect();
      const share = box.width ? (this.plot + GUTTER) / box.width : 1;
      return { x: Math.min(Math.max((event.clientX - box.left) * share, 0), this.plot), y: (event.clientY - box.top) * share };
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button === 0) from = place(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      const at = place(event);
      if (from && Math.abs(at.x - from.x) > 5) {
        if (!brush) {
          this.root.setPointerCapture(event.pointerId);
          brush = make("rect", { class: "brush", y: 0, height: "100%" });
          this.root.append(brush);
        }
        brush.setAttribute("x", Math.min(at.x, from.x));
        brush.setAttribute("width", Math.abs(at.x - from.x));
      } else if (!from) this.point(this.row(at.x));
    });
    this.root.addEventListener("pointerup", (event) => {
      const at = place(event), start = from;
      from = null;
      if (brush) {
        brush.remove();
        brush = null;
        this.view.set(...[this.row(start.x), this.row(at.x)].sort((a, b) => a - b));
      } else if (start && this.pick) this.pick(at, this);
    });
    this.root.addEventListener("pointercancel", () => {
      if (brush) brush.remove();
      from = brush = null;
    });
    this.root.addEventListener("pointerleave", () => { if (!from) this.point(null); });
    this.root.addEventListener("dblclick", () => this.view.all());
    this.root.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) this.view.zoom(Math.exp(event.deltaY * 0.004), this.row(place(event).x));
      else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.view.pan(event.deltaX / 600);
      else return;
      event.preventDefault();
    }, { passive: false });
    this.root.addEventListener("keydown", (event) => {
      const act = {
        ArrowLeft: () => this.view.pan(-0.2), ArrowRight: () => this.view.pan(0.2),
        "+": () => this.view.zoom(0.6), "=": () => this.view.zoom(0.6), "-": () => this.view.zoom(1 / 0.6),
        0: () => this.view.all(), Home: () => this.view.all(),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      act();
      event.preventDefault();
    });
  }

  // Cross hair and readout at a row, or at the end of the view where the pointer is away.
  point(row) {
    const trace = this.trace();
    this.top.replaceChildren();
    if (!trace.rows.length) return;
    const at = nearest(trace.rows, row === null ? this.view.high : row);
    const place = this.x(trace.rows[at]);
    const { parts, dots } = this.readout(at);
    this.words.replaceChildren(...parts);
    if (row === null || place < 0 || place > this.plot) return;
    const last = this.panes[this.panes.length - 1];
    this.top.append(make("line", { class: "cross", x1: place, x2: place, y1: 0, y2: last.top + last.height }));
    for (const { pane, value } of dots) {
      if (Number.isFinite(value)) this.top.append(make("circle", { class: "dot", cx: place, cy: pane.y(value), r: 3.5 }));
    }
  }
}

// The path through the values in view; unknown values are gaps, a value between two of them is a dot.
function line(rows, values, scales) {
  let text = "", open = false;
  for (const i of shown(rows, values, scales.low, scales.high)) {
    if (Number.isNaN(values[i])) { open = false; continue; }
    const x = scales.x(rows[i]).toFixed(1), y = scales.y(values[i]).toFixed(1);
    text += open ? `L${x} ${y}` : `M${x} ${y}h0`;
    open = true;
  }
  return text;
}

// Lowest and highest value in view; of the rows around it where it holds fewer than two.
function extent(rows, low, high, ...series) {
  let from = seek(rows, low), to = seek(rows, high + 1e-9);
  if (to - from < 2) [from, to] = [Math.max(0, from - 1), Math.min(rows.length, to + 1)];
  let least = Infinity, most = -Infinity;
  for (const values of series) {
    for (let i = from; i < to; i++) {
      if (values[i] < least) least = values[i];
      if (values[i] > most) most = values[i];
    }
  }
  return [least, most];
}

function swatch(color, name, value, dashed) {
  const item = html("i", dashed ? { class: "dashed" } : {}, name, html("b", {}, value));
  item.style.setProperty("--swatch", `var(${color})`);
  return item;
}

function tool(text, label, action) {
  return html("button", { type: "button", "aria-label": label, on: { click: action } }, text);
}

function zoomTools(view) {
  const all = tool("All", "Show everything", () => view.all());
  const follow = () => { all.disabled = view.whole; };
  view.heard.push(follow);
  follow();
  return [tool("+", "Zoom in", () => view.zoom(0.6)), tool(MINUS, "Zoom out", () => view.zoom(1 / 0.6)), all];
}

function themeButton() {
  const button = document.getElementById("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  let own = null;
  const show = () => {
    const dark = own === null ? system.matches : own;
    button.setAttribute("aria-pressed", String(dark));
    document.documentElement.style.colorScheme = own === null ? "" : dark ? "dark" : "light";
  };
  button.addEventListener("click", () => {
    own = !(own === null ? system.matches : own);
    show();
  });
  system.addEventListener("change", show);
  show();
}
