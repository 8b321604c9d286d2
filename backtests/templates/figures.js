// Figures from a description: scales and marks as backtests/figures.py writes them, drawn at the width there is.

const TONES = { own: "--accent", other: "--other", gain: "--gain", loss: "--loss", ink: "--ink", shade: "--other" };

function written(value, unit, step) {
  const fine = (s) => Math.max(0, Math.ceil(-Math.log10(s) - 1e-9)) + (/25(0*)$/.test(String(s).replace(".", "")) && s < 1 ? 1 : 0);
  if (unit === "percent") return percents(value, Math.min(3, fine(step * 100)));
  if (value === 0 && unit === "dollars") return "$0";
  if (unit === "dollars") return step >= 1000 ? dollars(value / 1000, step % 1000 ? 1 : 0) + "k" : dollars(value, Math.min(2, fine(step)));
  if (unit === "times") return amount(value, Math.min(2, fine(step))) + "×";
  if (unit === "count") return amount(value, 0);
  return amount(value, Math.min(4, fine(step)));
}

function sessionText(day) { return `${String(day).slice(0, 4)}-${String(day).slice(4, 6)}-${String(day).slice(6)}`; }

class Figure {
  constructor(host, spec, pick) {
    Object.assign(this, { host, spec, pick });
    this.words = html("div", { class: "readout" });
    this.root = make("svg", { role: "img", "aria-label": spec.label });
    host.append(this.words, this.root);
    this.rest();
    this.root.addEventListener("pointermove", (event) => this.tell(event));
    this.root.addEventListener("pointerleave", () => { this.rest(); this.hover.replaceChildren(); });
    if (pick) this.root.addEventListener("click", (event) => { const found = this.near(event); if (found && found.key !== undefined) pick(found.key); });
    fitted(host, () => this.draw(), 340, (width) => { this.forced = width; });
    this.draw();
  }

  // The legend, while nothing is pointed at.
  rest() {
    const named = this.spec.marks.filter((m) => m.name);
    const keys = this.spec.marks.some((m) => m.kind === "cells")
      ? [["plateau", "plateau"], ["best", "best"], ["picked", "chosen"]].map(([style, word]) => html("span", { class: "key" }, make("svg", { viewBox: "0 0 14 12" }, make("rect", { class: style, x: 1.5, y: 1.5, width: 11, height: 9 })), word))
      : [];
    this.words.replaceChildren(...keys, ...named.map((m) => {
      const tone = Array.isArray(m.tone) ? "own" : m.tone;
      return swatch(TONES[tone], m.name, "", m.dash);
    }));
  }

  draw() {
    const { spec } = this, width = Math.max(240, (this.forced || this.host.clientWidth) - 28);
    const bands = spec.y.kind === "bands";
    const longest = bands ? Math.max(...spec.y.names.map((n) => n.length)) : 0;
    this.left = bands ? Math.min(96, 14 + longest * 6.5) : 0;
    this.right = width - (bands ? 8 : 54);
    this.top = spec.y.title ? 24 : 8;
    this.height = this.top + spec.tall * (this.forced ? 0.8 : 1) + (spec.x.title ? 44 : 28);
    this.bottom = this.height - (spec.x.title ? 44 : 28);
    this.root.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.root.replaceChildren();
    this.spots = [];
    this.x = this.across();
    this.y = this.up();
    this.axes(width);
    for (const mark of spec.marks) this[mark.kind](mark);
    this.hover = make("g", {});
    this.root.append(this.hover);
  }

  across() {
    const { x } = this.spec, room = this.right - this.left;
    if (x.kind === "bands") return (v) => this.left + ((v + 0.5) / x.names.length) * room;
    if (x.kind === "days") return (v) => this.left + (v / Math.max(1, x.sessions.length - 1)) * room;
    return (v) => this.left + ((v - x.low) / (x.high - x.low)) * room;
  }

  up() {
    const { y } = this.spec, top = this.top;
    if (y.kind === "bands") return (v) => this.bottom - ((v + 0.5) / y.names.length) * (this.bottom - top);
    return (v) => this.bottom - ((v - y.low) / (y.high - y.low)) * (this.bottom - top);
  }

  text(x, y, anchor, words, more) {
    const node = make("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor, ...more });
    node.textContent = words;
    this.root.append(node);
    return node;
  }

  axes(width) {
    const { x, y } = this.spec;
    if (y.kind === "bands") {
      const every = Math.ceil(y.names.length / Math.max(2, (this.bottom - this.top) / 16));
      y.names.forEach((name, i) => { if (i % every === 0) this.text(this.left - 6, this.y(i) + 4, "end", name); });
      this.text(0, 11, "start", y.title, { class: "title" });
    } else {
      const { step, values } = ticks(y.low, y.high, Math.max(3, (this.bottom - this.top) / 50));
      for (const value of values) {
        const at = this.y(value);
        this.root.append(make("line", { class: Math.abs(value) < step * 1e-9 ? "zero" : "axis", x1: this.left, x2: this.right, y1: at, y2: at }));
        if (y.unit !== "count" || value % 1 === 0) this.text(width - 2, at + 4, "end", written(value, y.unit, step));
      }
      if (y.title) this.text(this.left, 11, "start", y.title, { class: "title" });
    }
    if (x.title) this.text((this.left + this.right) / 2, this.height - 6, "middle", x.title, { class: "title" });
    const under = this.bottom + 17;
    if (x.kind === "bands") {
      const room = (this.right - this.left) / x.names.length, longest = Math.max(...x.names.map((n) => n.length)) * 6.2 + 10;
      const every = Math.max(1, Math.ceil(longest / room));
      x.names.forEach((name, i) => {
        if (i % every) return;
        const at = this.x(i), half = name.length * 3.1;
        const anchor = at + half > width ? "end" : at - half < 0 ? "start" : "middle";
        this.text(anchor === "end" ? width : anchor === "start" ? 0 : at, under, anchor, name);
      });
    } else if (x.kind === "days") {
      const many = Math.max(2, Math.floor((this.right - this.left) / 110)), last = x.sessions.length - 1;
      for (let k = 0; k <= many; k++) {
        const at = Math.round((last * k) / many), anchor = k === 0 ? "start" : k === many ? "end" : "middle";
        if (k === 0 || at > Math.round((last * (k - 1)) / many)) this.text(this.x(at), under, anchor, sessionText(x.sessions[at]));
      }
    } else {
      const { step, values } = ticks(x.low, x.high, Math.max(2, (this.right - this.left) / 80));
      for (const value of values) {
        if (x.unit === "count" && value % 1) continue;
        const at = this.x(value);
        this.text(at, under, at < 18 ? "start" : at > width - 24 ? "end" : "middle", written(value, x.unit, step));
        this.root.append(make("line", { class: "axis", x1: at, x2: at, y1: this.bottom, y2: this.bottom + 4 }));
      }
    }
  }

  line(mark) {
    let d = "", open = false;
    mark.x.forEach((x, i) => {
      if (mark.y[i] === null || x === null) { open = false; return; }
      d += `${open ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(mark.y[i]).toFixed(1)}`;
      open = true;
    });
    this.root.append(make("path", { class: `stroke tone-${mark.tone}${mark.dash ? " dashed" : ""}${mark.thin ? " thin" : ""}`, d }));
  }

  area(mark) {
    const go = (values, order) => order.map((i) => `${this.x(mark.x[i]).toFixed(1)} ${this.y(values[i]).toFixed(1)}`).join("L");
    const places = mark.x.map((_, i) => i);
    this.root.append(make("path", { class: `fill tone-${mark.tone}`, d: `M${go(mark.high, places)}L${go(mark.low, places.slice().reverse())}Z` }));
  }

  bars(mark) {
    mark.x.forEach((x, i) => {
      if (mark.y[i] === null || mark.y[i] === 0) return;
      const from = this.x(x - mark.width / 2), to = this.x(x + mark.width / 2), a = this.y(0), b = this.y(mark.y[i]);
      const tone = Array.isArray(mark.tone) ? mark.tone[i] : mark.tone, gap = to - from > 4 ? 0.75 : 0;
      const shape = { x: (from + gap).toFixed(1), width: Math.max(1, to - from - 2 * gap).toFixed(1), y: Math.min(a, b).toFixed(1), height: Math.max(1, Math.abs(a - b)).toFixed(1) };
      this.root.append(make("rect", { class: `fill solid tone-${tone}`, rx: 1.5, ...shape }));
      this.spots.push({ from, to, top: 0, bottom: this.height, text: mark.texts[i], shape });
    });
  }

  dots(mark) {
    const paths = {};
    mark.x.forEach((x, i) => {
      if (x === null || mark.y[i] === null) return;
      const tone = Array.isArray(mark.tone) ? mark.tone[i] : mark.tone, a = this.x(x), b = this.y(mark.y[i]);
      paths[tone] = (paths[tone] || "") + `M${a.toFixed(1)} ${b.toFixed(1)}h0`;
      this.spots.push({ x: a, y: b, text: mark.texts[i], key: mark.keys ? mark.keys[i] : undefined });
    });
    const many = mark.x.length > 60 ? " small" : "";
    for (const [tone, d] of Object.entries(paths)) this.root.append(make("path", { class: `points tone-${tone}${many}`, d }));
  }

  rule(mark) {
    const at = mark.axis === "x" ? this.x(mark.at) : this.y(mark.at);
    const ends = mark.axis === "x" ? { x1: at, x2: at, y1: this.top, y2: this.bottom } : { x1: this.left, x2: this.right, y1: at, y2: at };
    this.root.append(make("line", { class: `stroke rule tone-${mark.tone}${mark.dash ? " dashed" : ""}`, ...ends }));
  }

  cells(mark) {
    const { x, y } = this.spec, wide = (this.right - this.left) / x.names.length, tall = (this.bottom - this.top) / y.names.length;
    const box = (r, c) => [this.x(c) - wide / 2, this.y(r) - tall / 2];
    mark.values.forEach((row, r) => row.forEach((value, c) => {
      const [left, top] = box(r, c);
      const share = value === null ? 0 : Math.min(1, Math.max(0, (value - mark.low) / (mark.high - mark.low || 1)));
      const rect = make("rect", { class: value === null ? "cell none" : "cell", x: (left + 0.5).toFixed(1), y: (top + 0.5).toFixed(1), width: Math.max(1, wide - 1).toFixed(1), height: Math.max(1, tall - 1).toFixed(1) });
      rect.style.setProperty("--share", share.toFixed(3));
      this.root.append(rect);
      if (value !== null && wide > 38 && tall > 17) this.text(this.x(c), this.y(r) + 4, "middle", amount(value, 2), { class: "inside" });
      this.spots.push({ from: left, to: left + wide, top, bottom: top + tall, text: mark.texts[r][c], shape: { x: left, y: top, width: wide, height: tall } });
    }));
    let edge = "";
    const inside = (r, c) => Boolean(mark.outlined[r] && mark.outlined[r][c]);
    mark.outlined.forEach((row, r) => row.forEach((on, c) => {
      if (!on) return;
      const [left, top] = box(r, c);
      if (!inside(r + 1, c)) edge += `M${left} ${top}h${wide}`;
      if (!inside(r - 1, c)) edge += `M${left} ${top + tall}h${wide}`;
      if (!inside(r, c - 1)) edge += `M${left} ${top}v${tall}`;
      if (!inside(r, c + 1)) edge += `M${left + wide} ${top}v${tall}`;
    }));
    this.root.append(make("path", { class: "plateau", d: edge }));
    for (const [at, name] of [[mark.best, "best"], [mark.chosen, "picked"]]) {
      const [left, top] = box(at[0], at[1]);
      this.root.append(make("rect", { class: name, x: left + 2, y: top + 2, width: wide - 4, height: tall - 4, rx: 3 }));
    }
  }

  at(event) {
    const box = this.root.getBoundingClientRect(), share = box.width ? this.root.viewBox.baseVal.width / box.width : 1;
    return [(event.clientX - box.left) * share, (event.clientY - box.top) * share];
  }

  near(event) {
    const [x, y] = this.at(event);
    let best = null, least = 18 * 18;
    for (const spot of this.spots) {
      if (spot.shape) {
        if (x >= spot.from && x < spot.to && y >= spot.top && y < spot.bottom) best = spot;
        continue;
      }
      const away = (spot.x - x) ** 2 + (spot.y - y) ** 2;
      if (away < least) { least = away; best = spot; }
    }
    return best;
  }

  tell(event) {
    this.hover.replaceChildren();
    const spot = this.near(event);
    if (spot) {
      this.words.textContent = spot.text;
      if (spot.shape) this.hover.append(make("rect", { class: "ring", ...spot.shape }));
      else this.hover.append(make("circle", { class: "ring", cx: spot.x, cy: spot.y, r: 6 }));
      return;
    }
    if (this.spec.x.kind !== "days") { this.rest(); return; }
    const [x] = this.at(event), last = this.spec.x.sessions.length - 1;
    const i = Math.min(last, Math.max(0, Math.round(((x - this.left) / (this.right - this.left)) * last)));
    const parts = this.spec.marks.filter((m) => m.kind === "line" && m.name && m.y[i] !== null && m.y[i] !== undefined)
      .map((m) => swatch(TONES[m.tone], m.name, written(m.y[i], this.spec.y.unit, this.spec.y.unit === "percent" ? 0.001 : 0.01), m.dash));
    this.words.replaceChildren(html("span", {}, sessionText(this.spec.x.sessions[i])), ...parts);
    this.hover.append(make("line", { class: "cross", x1: this.x(i), x2: this.x(i), y1: this.top, y2: this.bottom }));
  }
}
