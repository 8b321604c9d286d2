// The comparison: growth and drawdown of two runs over the same instants.

const run = JSON.parse(document.getElementById("run").textContent);

function growthChart() {
  const trace = { daily: run.daily, rows: decoded(run.at, 1), time: decoded(run.time, 1) };
  for (const name of ["first", "second", "first_under", "second_under"]) trace[name] = decoded(run[name], run.unit);
  const view = new View(run.rows);
  const pane = (tall, a, b, styles, flush) => ({
    tall, flush,
    domain: (low, high) => { const [least, most] = extent(trace.rows, low, high, trace[a], trace[b]); return [least, flush ? 0 : most]; },
    ticks: (value, step) => percents(value, step < 0.01 ? 1 + (step < 0.001) : 0),
    draw: (layer, scales) => layer.append(
      make("path", { class: styles[0], d: line(trace.rows, trace[a], scales) }),
      make("path", { class: styles[1], d: line(trace.rows, trace[b], scales) }),
    ),
  });
  const panes = [pane(280, "first", "second", ["stroke tone-own", "stroke tone-loss dashed"]), pane(130, "first_under", "second_under", ["stroke tone-own", "stroke tone-loss dashed"], true)];
  const chart = new Chart(document.getElementById("growth-chart"), {
    label: "Growth of both runs, and their drawdowns below. Arrows move, plus and minus zoom, 0 shows everything.",
    view, trace: () => trace, panes,
    readout: (at) => ({
      parts: [
        html("span", {}, instant(trace.time[at], run.daily)),
        swatch("--accent", run.names[0], `${percents(trace.first[at], 2, true)} (drawdown ${percents(trace.first_under[at], 2)})`),
        swatch("--loss", run.names[1], `${percents(trace.second[at], 2, true)} (drawdown ${percents(trace.second_under[at], 2)})`, true),
      ],
      dots: [{ pane: panes[0], value: trace.first[at] }, { pane: panes[0], value: trace.second[at] }],
    }),
  });
  document.getElementById("growth-tools").append(...zoomTools(view));
  return chart;
}

themeButton();
growthChart();
for (const host of document.querySelectorAll("[data-figure]")) new Figure(host, run.figures[host.dataset.figure]);
