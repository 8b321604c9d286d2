// The page: equity and drawdown, the trades' returns, light and dark.

const run = JSON.parse(document.getElementById("run").textContent);

function equityChart(view) {
  const given = run.equity, start = given.start;
  const trace = {
    daily: run.daily, rows: decoded(given.rows, 1), time: decoded(given.time, 1), value: decoded(given.value, given.unit),
    held: decoded(given.benchmark, given.unit), under: decoded(given.under, given.under_unit),
    backtest: given.backtest ? decoded(given.backtest, given.unit) : null,
  };
  const lines = trace.backtest ? [trace.value, trace.held, trace.backtest] : [trace.value, trace.held];
  const [least, most] = extent(trace.rows, 0, run.rows, ...lines);
  let log = least > 0 && most / least > 4;
  const equity = {
    tall: 300,
    log: () => log,
    domain: (low, high) => extent(trace.rows, low, high, ...lines),
    ticks: (value, step) => dollars(step >= 1000 ? value / 1000 : value, step >= 1000 ? 0 : step < 1 ? 2 : 0) + (step >= 1000 ? "k" : ""),
    draw: (layer, scales) => {
      layer.append(
        make("path", { class: "held", d: line(trace.rows, trace.held, scales) }),
        ...(trace.backtest ? [make("path", { class: "stroke tone-ink", d: line(trace.rows, trace.backtest, scales) })] : []),
        make("path", { class: "line", d: line(trace.rows, trace.value, scales) }),
      );
    },
  };
  const under = {
    tall: 110,
    flush: true,
    domain: (low, high) => [extent(trace.rows, low, high, trace.under)[0], 0],
    ticks: (value, step) => percents(value, step < 0.01 ? 1 + (step < 0.001) : 0),
    draw: (layer, scales) => {
      const d = line(trace.rows, trace.under, scales);
      if (!d) return;
      const points = shown(trace.rows, trace.under, scales.low, scales.high);
      const left = scales.x(trace.rows[points[0]]).toFixed(1), right = scales.x(trace.rows[points[points.length - 1]]).toFixed(1);
      const zero = scales.y(0).toFixed(1);
      layer.append(make("path", { class: "under", d: `${d}L${right} ${zero}L${left} ${zero}Z` }), make("path", { class: "under-line", d }));
    },
  };
  const change = (value) => percents(value / start - 1, 2, true);
  const chart = new Chart(document.getElementById("equity-chart"), {
    label: "Equity against the benchmark, and drawdown below. Arrows move, plus and minus zoom, 0 shows everything.",
    view, trace: () => trace, panes: [equity, under],
    readout: (at) => ({
      parts: [
        html("span", {}, instant(trace.time[at], run.daily)),
        swatch("--accent", given.name, `${dollars(trace.value[at], 0)} (${change(trace.value[at])})`),
        ...(trace.backtest ? [swatch("--ink", "Backtest", `${dollars(trace.backtest[at], 0)} (${change(trace.backtest[at])})`)] : []),
        swatch("--other", given.benchmark_name, `${dollars(trace.held[at], 0)} (${change(trace.held[at])})`, true),
        swatch("--loss", "Drawdown", percents(trace.under[at], 2)),
      ],
      dots: [{ pane: equity, value: trace.value[at] }, { pane: under, value: trace.under[at] }],
    }),
  });
  const scale = tool("Log", "Logarithmic scale", () => {
    log = !log;
    scale.setAttribute("aria-pressed", String(log));
    chart.draw();
  });
  scale.setAttribute("aria-pressed", String(log));
  document.getElementById("equity-tools").append(scale, ...zoomTools(view));
  return chart;
}

// Sharpe ratio, volatility and beta of the last sessions, below the equity and zoomed with it.
function rollingChart(view) {
  const host = document.getElementById("rolling-chart"), given = run.rolling;
  if (!given) {
    host.replaceChildren(html("p", { class: "empty" }, "Fewer than 63 sessions: too few for a rolling window."));
    return;
  }
  document.getElementById("rolling-title").textContent = `Rolling risk over ${given.window} sessions`;
  const trace = { daily: true, rows: decoded(given.rows, 1), time: decoded(given.time, 1) };
  const panes = [["sharpe", "Sharpe", "--accent", (v) => amount(v, 2), "line"], ["volatility", "Volatility a year", "--loss", (v) => percents(v, 1), "under-line"],
    ["beta", `Beta to ${run.equity.benchmark_name}`, "--other", (v) => amount(v, 2), "held"]].map(([name, title, color, say, style]) => {
    trace[name] = decoded(given[name], given.unit);
    const zero = (range) => [Math.min(0, range[0]), Math.max(0, range[1])];
    return {
      name, title, color, say, tall: 84,
      domain: (low, high) => zero(extent(trace.rows, low, high, trace[name])),
      ticks: (value, step) => (name === "volatility" ? percents(value, step < 0.01 ? 1 : 0) : amount(value, step < 0.1 ? 2 : step < 1 ? 1 : 0)),
      draw: (layer, scales) => layer.append(
        make("line", { class: "zero", x1: 0, x2: scales.plot, y1: scales.y(0), y2: scales.y(0) }),
        make("path", { class: style, d: line(trace.rows, trace[name], scales) }),
      ),
    };
  });
  return new Chart(host, {
    label: `Sharpe ratio, volatility and beta over ${given.window} sessions. Arrows move, plus and minus zoom, 0 shows everything.`,
    view, trace: () => trace, panes,
    readout: (at) => ({
      parts: [html("span", {}, instant(trace.time[at], true)), ...panes.map((pane) => swatch(pane.color, pane.title, pane.say(trace[pane.name][at])))],
      dots: panes.map((pane) => ({ pane, value: trace[pane.name][at] })),
    }),
  });
}

// Worst and best price met against how the trade ended; a point leads to its trade.
function excursions(id, values, title, list) {
  const host = document.getElementById(id), t = run.trades, kept = [];
  t.return.forEach((value, i) => { if (!t.open[i] && value !== null && values[i] !== null) kept.push(i); });
  if (!kept.length) {
    host.replaceChildren(html("p", { class: "empty" }, "No trade has ended."));
    return;
  }
  const range = (series) => [Math.min(0, ...series), Math.max(0, ...series)];
  const axis = (series, unit, text) => {
    const [low, high] = range(series), room = (high - low) * 0.06 || 0.01;
    return { kind: "line", low: low < 0 ? low - room : 0, high: high > 0 ? high + room : 0, unit, title: text };
  };
  const spec = {
    label: `${title} of ${amount(kept.length, 0)} trades against their return`, tall: 240,
    x: axis(kept.map((i) => values[i]), "percent", title), y: axis(kept.map((i) => t.return[i]), "percent", "return after costs"),
    marks: [{
      kind: "dots", x: kept.map((i) => values[i]), y: kept.map((i) => t.return[i]), keys: kept, name: "",
      tone: kept.map((i) => (t.pnl[i] > 0 ? "gain" : "loss")),
      texts: kept.map((i) => `Trade ${i + 1}, ${run.symbols[t.symbol[i]]}: ${percents(values[i], 2, true)}, ended ${percents(t.return[i], 2, true)}`),
    }],
  };
  new Figure(host, spec, (i) => { list.reveal(i); list.choose(i); });
}

// Bars of trades by return; the sign is in the place and the label, not only in the colour.
function returnsChart() {
  const host = document.getElementById("returns-chart"), given = run.returns;
  const total = given.counts.reduce((sum, n) => sum + n, 0);
  if (!total) {
    host.replaceChildren(html("p", { class: "empty" }, "No trade has ended."));
    return;
  }
  const digits = Math.max(0, Math.ceil(-Math.log10(given.width * 100) - 1e-9));
  const said = `Mean ${percents(given.mean, 2, true)}, median ${percents(given.median, 2, true)}, ${amount(total, 0)} trades ended`;
  const words = html("div", { class: "readout" }, said);
  const root = make("svg", { role: "img", "aria-label": `Distribution of trade returns. ${said}.` });
  host.append(words, root);
  let forced = 0;
  const draw = () => {
    const width = Math.max(280, (forced || host.clientWidth) - 32), height = 240, bottom = height - 24, right = width - 34;
    const most = Math.max(...given.counts), first = given.first, pitch = right / given.counts.length;
    const x = (value) => (value / given.width - first) * pitch, y = (n) => bottom - (n / most) * (bottom - 12);
    root.replaceChildren();
    root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const levels = ticks(0, most, 4);
    for (const value of levels.values) {
      if (value % 1) continue;
      const text = make("text", { x: width - 2, y: y(value) + 4, "text-anchor": "end" });
      text.textContent = amount(value, 0);
      root.append(make("line", { class: "axis", x1: 0, x2: right, y1: y(value), y2: y(value) }), text);
    }
    given.counts.forEach((n, i) => {
      if (!n) return;
      const from = (first + i) * given.width, bar = make("rect", {
        class: "bin " + (first + i >= 0 ? "gain" : "loss"), x: (i * pitch + 0.75).toFixed(1), width: Math.max(1, pitch - 1.5).toFixed(1),
        y: y(n).toFixed(1), height: (bottom - y(n)).toFixed(1), rx: 1.5,
      });
      const text = `${percents(from, digits, true)} to ${percents(from + given.width, digits, true)}: ${amount(n, 0)}`;
      bar.append(make("title", {}, text));
      bar.addEventListener("pointerenter", () => { words.textContent = text; });
      bar.addEventListener("pointerleave", () => { words.textContent = said; });
      root.append(bar);
    });
    const low = first * given.width, high = (first + given.counts.length) * given.width;
    const marks = ticks(low, high, Math.max(2, width / 90));
    for (const value of marks.values) {
      const text = make("text", { x: Math.max(x(value), 2), y: height - 6, "text-anchor": x(value) < 16 ? "start" : x(value) > right - 12 ? "end" : "middle" });
      text.textContent = percents(value, marks.step < 0.01 ? Math.ceil(-Math.log10(marks.step * 100) - 1e-9) : 0);
      root.append(text);
    }
    root.append(make("line", { class: "middle", x1: x(given.mean), x2: x(given.mean), y1: 4, y2: bottom }));
  };
  fitted(host, draw, 350, (width) => { forced = width; });
  draw();
}

themeButton();
const sight = new View(run.rows);
const equity = equityChart(sight);
const risk = rollingChart(sight);
const prices = new Prices(run, document.getElementById("price-chart"), document.getElementById("price-tools"));
const list = new TradeList(run, prices);
returnsChart();
excursions("mae-chart", run.trades.mae, "worst price met (MAE)", list);
excursions("mfe-chart", run.trades.mfe, "best price met (MFE)", list);
for (const host of document.querySelectorAll("[data-figure]")) new Figure(host, run.figures[host.dataset.figure]);
