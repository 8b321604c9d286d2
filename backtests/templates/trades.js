// The price chart with its trades, and the list of trades beside it; choosing in one shows in the other.

class Prices {
  constructor(run, host, tools) {
    this.run = run;
    this.trades = run.trades;
    this.view = new View(run.rows);
    this.symbol = -1;
    this.chosen = -1;
    this.onpick = () => {};
    this.pane = {
      tall: 340,
      domain: (low, high) => this.domain(low, high),
      ticks: (value, step) => amount(value, this.digits(step)),
      draw: (layer, scales) => this.draw(layer, scales),
    };
    this.select = html("select", { on: { change: () => this.show(Number(this.select.value)) } });
    run.symbols.forEach((name, i) => this.select.append(html("option", { value: i }, name)));
    tools.append(html("label", {}, "Symbol ", this.select), ...zoomTools(this.view));
    this.load(this.first());
    this.chart = new Chart(host, {
      label: "Price with entries, exits and stops. Arrows move, plus and minus zoom, 0 shows everything.",
      view: this.view, trace: () => this.trace, panes: [this.pane],
      readout: (at) => this.readout(at), pick: (at, chart) => this.pick(at, chart),
    });
  }

  // The symbol traded most, the first of equals.
  first() {
    const counts = this.run.symbols.map((_, i) => this.trades.symbol.filter((s) => s === i).length);
    return counts.indexOf(Math.max(...counts));
  }

  load(symbol) {
    const given = this.run.prices[symbol];
    const close = decoded(given.close, given.unit);
    const whole = Math.round(1 / given.unit);
    const beside = (steps) => Float64Array.from(steps, (s, i) => (s === null ? NaN : Math.round(close[i] * whole + s) / whole));
    this.trace = {
      daily: this.run.daily, rows: decoded(given.rows, 1), time: decoded(given.time, 1),
      open: beside(given.open), high: beside(given.high), low: beside(given.low), close,
    };
    this.symbol = symbol;
    this.decimals = Math.max(0, Math.round(-Math.log10(given.unit)));
    this.mine = [];
    for (let i = 0; i < this.trades.symbol.length; i++) if (this.trades.symbol[i] === symbol) this.mine.push(i);
    this.select.value = String(symbol);
  }

  show(symbol) {
    if (symbol === this.symbol) return;
    this.load(symbol);
    this.chart.draw();
  }

  // Go to a trade: its symbol, with room on both sides of it.
  go(i) {
    this.chosen = i;
    this.load(this.trades.symbol[i]);
    const from = this.trades.entry_row[i], to = this.trades.exit_row[i];
    const room = Math.max(15, (to - from) * 0.6);
    this.view.set(from - room, to + room);
  }

  digits(step) { return Math.min(this.decimals, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9) + (String(step).includes("25") ? 1 : 0))); }

  inView(low, high) {
    const t = this.trades;
    return this.mine.filter((i) => t.exit_row[i] >= low && t.entry_row[i] <= high);
  }

  domain(low, high) {
    const t = this.trades;
    let [least, most] = extent(this.trace.rows, low, high, this.trace.high, this.trace.low, this.trace.close);
    for (const i of this.inView(low, high)) {
      for (const value of [t.entry_row[i] >= low ? t.entry[i] : null, t.exit_row[i] <= high ? t.exit[i] : null]) {
        if (value === null) continue;
        least = Math.min(least, value);
        most = Math.max(most, value);
      }
    }
    // Room for the levels of the chosen trade, where they do not flatten the prices.
    const room = most - least, i = this.chosen;
    const levels = i >= 0 && t.symbol[i] === this.symbol ? [t.stop[i], t.target[i]] : [];
    const near = levels.filter((value) => value !== null && value > least - room && value < most + room);
    return [Math.min(least, ...near), Math.max(most, ...near)];
  }

  draw(layer, scales) {
    const { x, y } = scales, trace = this.trace, t = this.trades;
    const seen = this.inView(scales.low, scales.high);
    if (this.chosen >= 0 && t.symbol[this.chosen] === this.symbol) {
      const from = x(t.entry_row[this.chosen]), to = x(t.exit_row[this.chosen]);
      layer.append(make("rect", { class: "chosen", x: from - 4, width: Math.max(8, to - from + 8), y: scales.top, height: scales.bottom - scales.top }));
    }
    if (!this.candles(layer, scales)) {
      layer.append(make("path", { class: "range", d: this.ranges(scales) }));
      layer.append(make("path", { class: "price", d: line(trace.rows, trace.close, scales) }));
    }
    if (seen.length <= 400) {
      for (const i of seen) {
        const tone = t.pnl[i] > 0 ? "gain" : "loss";
        layer.append(make("path", { class: "link " + tone, d: `M${x(t.entry_row[i]).toFixed(1)} ${y(t.entry[i]).toFixed(1)}L${x(t.exit_row[i]).toFixed(1)} ${y(t.exit[i]).toFixed(1)}` }));
        this.levels(layer, scales, i);
      }
    }
    const size = seen.length > 400 ? 3 : seen.length > 150 ? 4 : 6;
    const paths = { "buy in": "", "sell in": "", "buy out": "", "sell out": "" };
    for (const i of seen) {
      const buys = t.side[i] > 0;
      paths[buys ? "buy in" : "sell in"] += this.mark(x(t.entry_row[i]), y(t.entry[i]), size, buys);
      if (!t.open[i]) paths[buys ? "sell out" : "buy out"] += this.mark(x(t.exit_row[i]), y(t.exit[i]), size, !buys);
    }
    for (const [name, d] of Object.entries(paths)) if (d) layer.append(make("path", { class: "mark " + name, d }));
    if (this.chosen >= 0 && t.symbol[this.chosen] === this.symbol) {
      for (const [row, price] of [[t.entry_row[this.chosen], t.entry[this.chosen]], [t.exit_row[this.chosen], t.exit[this.chosen]]]) {
        layer.append(make("circle", { class: "ring", cx: x(row), cy: y(price), r: 10 }));
      }
    }
  }

  // A triangle with its tip at the price: from below for a purchase, from above for a sale.
  mark(x, y, size, up) {
    const away = up ? size * 1.7 : -size * 1.7;
    return `M${x.toFixed(1)} ${y.toFixed(1)}l${size} ${away.toFixed(1)}h${-2 * size}z`;
  }

  // Highest and lowest price of what is drawn, as vertical strokes.
  ranges(scales) {
    const trace = this.trace;
    let text = "";
    for (const i of shown(trace.rows, trace.close, scales.low, scales.high)) {
      if (Number.isNaN(trace.high[i])) continue;
      text += `M${scales.x(trace.rows[i]).toFixed(1)} ${scales.y(trace.high[i]).toFixed(1)}V${scales.y(trace.low[i]).toFixed(1)}`;
    }
    return text;
  }

  // Candles where most rows in view are there and have a few pixels; a hollow body closed above its open.
  candles(layer, scales) {
    const { rows, open, high, low, close } = this.trace;
    const from = Math.max(0, seek(rows, scales.low) - 1), to = Math.min(rows.length, seek(rows, scales.high) + 1);
    const pitch = scales.plot / (scales.high - scales.low);
    if (pitch < 3.6 || to - from < 2 || to - from < (scales.high - scales.low) / 2) return false;
    const half = Math.min(pitch * 0.32, 9);
    let wicks = "", up = "", down = "", gaps = "";
    for (let i = from; i < to; i++) {
      if (Number.isNaN(close[i])) continue;
      if (i > from && rows[i] - rows[i - 1] > 1 && !Number.isNaN(close[i - 1])) {
        gaps += `M${scales.x(rows[i - 1]).toFixed(1)} ${scales.y(close[i - 1]).toFixed(1)}L${scales.x(rows[i]).toFixed(1)} ${scales.y(open[i]).toFixed(1)}`;
      }
      const x = scales.x(rows[i]), a = scales.y(open[i]), b = scales.y(close[i]);
      const top = Math.min(a, b), tall = Math.max(1, Math.abs(a - b));
      wicks += `M${x.toFixed(1)} ${scales.y(high[i]).toFixed(1)}V${top.toFixed(1)}M${x.toFixed(1)} ${(top + tall).toFixed(1)}V${scales.y(low[i]).toFixed(1)}`;
      const body = `M${(x - half).toFixed(1)} ${top.toFixed(1)}h${(2 * half).toFixed(1)}v${tall.toFixed(1)}h${(-2 * half).toFixed(1)}z`;
      if (close[i] >= open[i]) up += body;
      else down += body;
    }
    layer.append(make("path", { class: "range", d: gaps }), make("path", { class: "wick", d: wicks }), make("path", { class: "up", d: up }), make("path", { class: "down", d: down }));
    return true;
  }

  // Stop (trailing behind the best close) and target of a trade while it was held.
  levels(layer, scales, i) {
    const t = this.trades, trace = this.trace, side = t.side[i];
    const end = scales.x(t.exit_row[i]).toFixed(1);
    if (t.target[i] !== null) {
      const y = scales.y(t.target[i]).toFixed(1);
      layer.append(make("path", { class: "goal", d: `M${scales.x(t.entry_row[i]).toFixed(1)} ${y}H${end}` }));
    }
    if (t.stop[i] === null && t.trail[i] === null) return;
    let best = t.entry[i], text = "";
    const reach = this.run.touch ? (side > 0 ? trace.high : trace.low) : trace.close;
    const level = () => {
      const trail = t.trail[i] === null ? null : best - side * t.trail[i];
      if (trail === null) return t.stop[i];
      return t.stop[i] === null ? trail : side > 0 ? Math.max(trail, t.stop[i]) : Math.min(trail, t.stop[i]);
    };
    text = `M${scales.x(t.entry_row[i]).toFixed(1)} ${scales.y(level()).toFixed(1)}`;
    if (t.trail[i] !== null) {
      const to = seek(trace.rows, t.exit_row[i]);
      let drawn = level();
      for (let k = seek(trace.rows, t.entry_row[i]); k < to; k++) {
        if (side > 0 ? reach[k] > best : reach[k] < best) best = reach[k];
        if (level() !== drawn) {
          drawn = level();
          text += `H${scales.x(trace.rows[k]).toFixed(1)}V${scales.y(drawn).toFixed(1)}`;
        }
      }
    }
    layer.append(make("path", { class: "stop", d: text + `H${end}` }));
  }

  readout(at) {
    const trace = this.trace, d = this.decimals;
    const value = (name, series) => swatch("--other", name, amount(series[at], d));
    return {
      parts: [
        html("b", {}, this.run.symbols[this.symbol]), html("span", {}, instant(trace.time[at], this.run.daily)),
        value("open", trace.open), value("high", trace.high), value("low", trace.low), value("close", trace.close),
      ],
      dots: [{ pane: this.pane, value: trace.close[at] }],
    };
  }

  pick(at, chart) {
    const t = this.trades;
    let best = -1, least = 14 * 14;
    for (const i of this.inView(this.view.low, this.view.high)) {
      for (const [row, price] of [[t.entry_row[i], t.entry[i]], [t.exit_row[i], t.exit[i]]]) {
        const away = (chart.x(row) - at.x) ** 2 + (this.pane.y(price) - at.y) ** 2;
        if (away < least) { least = away; best = i; }
      }
    }
    if (best < 0) return;
    this.chosen = best;
    chart.draw();
    this.onpick(best);
  }
}

const PAGE = 25;
const PRINTED = 250;

class TradeList {
  constructor(run, prices) {
    this.run = run;
    this.t = run.trades;
    this.prices = prices;
    this.page = 0;
    this.chosen = -1;
    this.table = document.getElementById("trade-table");
    this.filters = document.getElementById("trade-filters");
    this.pager = document.getElementById("trade-pager");
    this.order = { by: "number", down: false };
    this.every = this.t.symbol.map((_, i) => i);
    this.fields = this.columns();
    if (!this.every.length) {
      document.getElementById("trade-list").replaceChildren(html("p", { class: "empty" }, "No trade was made."));
      return;
    }
    this.head();
    this.choices();
    this.sort();
    prices.onpick = (i) => this.reveal(i);
    window.addEventListener("beforeprint", () => this.fill(true));
    window.addEventListener("afterprint", () => this.fill(false));
  }

  columns() {
    const t = this.t, daily = this.run.daily;
    const held = (i) => t.exit_row[i] - t.entry_row[i];
    return [
      { id: "number", name: "#", key: (i) => i, text: (i) => String(i + 1) },
      { id: "symbol", name: "Symbol", left: true, key: (i) => this.run.symbols[t.symbol[i]], text: (i) => this.run.symbols[t.symbol[i]] },
      { id: "side", name: "Side", left: true, key: (i) => t.side[i], text: (i) => (t.side[i] > 0 ? "long" : "short") },
      { id: "entry_time", name: "Entry", left: true, key: (i) => t.entry_row[i], text: (i) => instant(t.entry_time[i], daily) },
      { id: "exit_time", name: "Exit", left: true, key: (i) => t.exit_row[i], text: (i) => (t.open[i] ? "open" : instant(t.exit_time[i], daily)) },
      { id: "quantity", name: "Quantity", key: (i) => t.quantity[i], text: (i) => amount(t.quantity[i], t.quantity[i] % 1 ? 4 : 0) },
      { id: "entry", name: "Entry, $", key: (i) => t.entry[i], text: (i) => amount(t.entry[i], t.entry[i] < 10 ? 4 : 2) },
      { id: "exit", name: "Exit, $", key: (i) => t.exit[i], text: (i) => amount(t.exit[i], t.exit[i] < 10 ? 4 : 2) },
      { id: "pnl", name: "P&L, $", tone: true, key: (i) => t.pnl[i], text: (i) => amount(t.pnl[i], 2, true) },
      { id: "return", name: "Return, %", tone: true, key: (i) => t.return[i], text: (i) => amount(t.return[i] * 100, 2, true) },
      { id: "mae", name: "MAE, %", key: (i) => t.mae[i], text: (i) => amount(t.mae[i] * 100, 2, true) },
      { id: "mfe", name: "MFE, %", key: (i) => t.mfe[i], text: (i) => amount(t.mfe[i] * 100, 2, true) },
      { id: "rows", name: "Rows", key: held, text: (i) => amount(held(i), 0) },
      { id: "reason", name: "Exit reason", left: true, key: (i) => this.reason(i), text: (i) => this.reason(i) },
    ];
  }

  reason(i) { return this.t.open[i] ? "still open" : this.run.reasons[this.t.reason[i]]; }

  head() {
    const row = html("tr");
    for (const field of this.fields) {
      const button = html("button", { type: "button", on: { click: () => this.turn(field.id) } }, field.name);
      row.append(html("th", { scope: "col", "data-field": field.id, "aria-sort": "none", ...(field.left ? { class: "text" } : {}) }, button));
    }
    this.table.tHead.replaceChildren(row);
  }

  turn(id) {
    this.order = { by: id, down: this.order.by === id ? !this.order.down : ["pnl", "return", "mfe"].includes(id) };
    this.sort();
  }

  choices() {
    const choice = (name, texts) => {
      const select = html("select", { id: "only-" + name, on: { change: () => this.sort() } }, html("option", { value: "" }, "all"));
      texts.forEach((text, i) => select.append(html("option", { value: i }, text)));
      select.texts = texts;
      this.filters.append(html("label", {}, name[0].toUpperCase() + name.slice(1), select));
      return select;
    };
    const used = (text) => [...new Set(this.every.map(text))].sort();
    this.only = {
      symbol: choice("symbol", used((i) => this.run.symbols[this.t.symbol[i]])),
      side: choice("side", used((i) => (this.t.side[i] > 0 ? "long" : "short"))),
      reason: choice("reason", used((i) => this.reason(i))),
      result: choice("result", ["gains", "losses"]),
    };
    this.summary = html("output", { "aria-live": "polite" });
    this.filters.append(this.summary);
  }

  wanted(i) {
    const has = (name, text) => this.only[name].value === "" || this.only[name].texts[Number(this.only[name].value)] === text;
    return has("symbol", this.run.symbols[this.t.symbol[i]]) && has("side", this.t.side[i] > 0 ? "long" : "short")
      && has("reason", this.reason(i)) && has("result", this.t.pnl[i] > 0 ? "gains" : "losses");
  }

  sort() {
    const field = this.fields.find((f) => f.id === this.order.by), sign = this.order.down ? -1 : 1;
    const compare = (a, b) => {
      const x = field.key(a), y = field.key(b);
      return (x < y ? -sign : x > y ? sign : 0) || a - b;
    };
    this.listed = this.every.filter((i) => this.wanted(i)).sort(compare);
    for (const cell of this.table.tHead.rows[0].cells) {
      const mine = cell.dataset.field === this.order.by;
      cell.setAttribute("aria-sort", mine ? (this.order.down ? "descending" : "ascending") : "none");
    }
    const pnl = this.listed.reduce((sum, i) => sum + this.t.pnl[i], 0);
    const ended = this.listed.filter((i) => !this.t.open[i]), won = ended.filter((i) => this.t.pnl[i] > 0);
    this.summary.value = `${amount(this.listed.length, 0)} of ${amount(this.every.length, 0)} trades · P&L ${dollars(pnl, 2, true)} · `
      + `win rate ${ended.length ? percents(won.length / ended.length, 1) : "–"}`;
    this.page = 0;
    this.fill(false);
  }

  fill(printing) {
    const pages = Math.max(1, Math.ceil(this.listed.length / PAGE));
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    const part = printing ? this.listed.slice(0, PRINTED) : this.listed.slice(this.page * PAGE, (this.page + 1) * PAGE);
    this.table.tBodies[0].replaceChildren(...part.map((i) => this.line(i)));
    const go = (text, label, by, off) => {
      const button = tool(text, label, () => { this.page += by; this.fill(false); });
      button.disabled = off;
      return button;
    };
    const first = printing ? 0 : this.page * PAGE;
    const said = part.length ? `${amount(first + 1, 0)} to ${amount(first + part.length, 0)} of ${amount(this.listed.length, 0)}` : "no such trade";
    this.pager.replaceChildren(html("span", {}, said), go("Previous", "Previous trades", -1, this.page === 0), go("Next", "Next trades", 1, this.page === pages - 1));
  }

  line(i) {
    const row = html("tr", { "data-trade": i, "aria-selected": i === this.chosen ? "true" : "false", on: { click: () => this.choose(i) } });
    for (const field of this.fields) {
      const cell = html("td", field.left ? { class: "text" } : {});
      if (field.id === "number") cell.append(html("button", { type: "button", "aria-label": `Show trade ${i + 1} on the chart` }, field.text(i)));
      else cell.textContent = field.text(i);
      if (field.tone) cell.className = field.key(i) > 0 ? "gain" : field.key(i) < 0 ? "loss" : "";
      row.append(cell);
    }
    return row;
  }

  select(i) {
    this.chosen = i;
    for (const row of this.table.tBodies[0].rows) row.setAttribute("aria-selected", String(Number(row.dataset.trade) === i));
  }

  choose(i) {
    this.select(i);
    this.prices.go(i);
    const box = this.prices.chart.host.getBoundingClientRect();
    if (box.top < 50) window.scrollTo({ top: window.scrollY + box.top - 110, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  // Turn to the page of a trade chosen on the chart; filters that hide it are lifted.
  reveal(i) {
    if (!this.listed.includes(i)) {
      for (const select of Object.values(this.only)) select.value = "";
      this.sort();
    }
    this.page = Math.floor(this.listed.indexOf(i) / PAGE);
    this.chosen = i;
    this.fill(false);
  }
}
