"""The parts of `backtests.evidence.Evidence` as figures, in the order of a reader's questions."""

from __future__ import annotations

from typing import Any

import numpy as np

from backtests.evidence import Bands, Delay, Evidence, Left, Luck, Null, Paths, Regime, Surface, WalkForward
from backtests.figures import (
    Spec,
    area,
    bands,
    bars,
    cells,
    days,
    dots,
    figure,
    histogram_bars,
    line,
    rule,
    scale,
)
from backtests.report_text import count, day_of, known, number, percent, plain


def figures(evidence: Evidence) -> list[dict[str, Any]]:
    """{"id", "title", "said", "figure"} of every part that was asked, in the order of a reader's questions."""
    found = []
    if evidence.surface:
        found.append(_surface(evidence.surface))
    if evidence.walk_forward:
        found += _walk_forward(evidence.walk_forward)
    if evidence.paths:
        found.append(_paths(evidence.paths))
    if evidence.null:
        found.append(_null(evidence.null))
    if evidence.luck:
        found += _luck(evidence.luck)
    if evidence.bands:
        found += _bands(evidence.bands)
    if evidence.delay:
        found.append(_delay(evidence.delay))
    if evidence.regimes:
        found.append(_regimes(evidence.regimes))
    left = [*evidence.symbols_left_out, *([evidence.best_sessions] if evidence.best_sessions else [])]
    if left:
        found.append(_left(left))
    return found


def _part(name: str, title: str, said: str, drawn: Spec) -> dict[str, Any]:
    return {"id": f"robust-{name}", "title": title, "said": said, "figure": drawn}


def _surface(surface: Surface) -> dict[str, Any]:
    metric = surface.metric.replace("_", " ")
    row, column = surface.chosen
    where = f"{surface.x}={plain(surface.xs[column])}" + (
        f", {surface.y}={plain(surface.ys[row])}" if surface.y else ""
    )
    wide = sum(map(sum, surface.plateau))
    asked = sum(value is not None for each in surface.values for value in each)
    said = (
        f"{surface.sets:,} sets around {where}. The outlined plateau, {count(wide, 'cell')} of {asked:,}, keeps half "
        f"of the best's lead over the median; the neighbours keep {known(surface.score)} of the chosen set's "
        f"Sharpe."
    )
    if surface.over:
        said += f" Of sets that differ in {', '.join(surface.over)}, the highest."
    if surface.edge:
        said += " The best set lies at an edge: its hill may go on outside."
    if surface.y is None:
        values = surface.values[0]
        names = [plain(value) for value in surface.xs]
        texts = [f"{surface.x}={n}: {known(v)}" for n, v in zip(names, values, strict=True)]
        drawn = figure(
            f"{metric} over {surface.x}",
            x=bands(names, surface.x),
            y=scale(values, title=metric, zero=True),
            marks=[line(range(len(values)), values), dots(range(len(values)), values, texts=texts)],
        )
        return _part("surface", "Parameters around", said, drawn)
    names, ups = [plain(value) for value in surface.xs], [plain(value) for value in surface.ys]
    cell_texts = [
        [f"{surface.x}={x}, {surface.y}={y}: {known(value)}" for x, value in zip(names, values, strict=True)]
        for y, values in zip(ups, surface.values, strict=True)
    ]
    drawn = figure(
        f"{metric} over {surface.x} and {surface.y}",
        x=bands(names, surface.x),
        y=bands(ups, surface.y),
        marks=[
            cells(
                surface.values,
                texts=cell_texts,
                outlined=surface.plateau,
                best=surface.best,
                chosen=surface.chosen,
            )
        ],
        tall=280,
    )
    return _part("surface", f"Parameters around: {metric}", said, drawn)


def _walk_forward(done: WalkForward) -> list[dict[str, Any]]:
    names = [day_of(fold.first) for fold in done.folds]
    place = np.arange(len(names))
    chosen = [", ".join(f"{k}={plain(v)}" for k, v in fold.params.items()) for fold in done.folds]

    def texts(which: str) -> list[str]:
        values = [getattr(fold, which) for fold in done.folds]
        return [
            f"from {name}, {which}: Sharpe {known(v)} ({c})" for name, v, c in zip(names, values, chosen, strict=True)
        ]

    inside, outside = [fold.inside for fold in done.folds], [fold.outside for fold in done.folds]
    folds = figure(
        f"Sharpe ratio inside and outside of {len(names)} folds",
        x=bands(names, "first session judged"),
        y=scale([*inside, *outside], title="Sharpe ratio", zero=True),
        marks=[
            bars(place - 0.19, inside, width=0.36, texts=texts("inside"), tone="other", name="where it was chosen"),
            bars(place + 0.19, outside, width=0.36, texts=texts("outside"), tone="own", name="on the sessions after"),
        ],
    )
    at = np.arange(len(done.sessions))
    stitched = figure(
        "Return on sessions unseen by each choice",
        x=days(done.sessions),
        y=scale([*done.stitched, *done.chosen], unit="percent", title="return since the first test", zero=True),
        marks=[
            line(at, done.chosen, name="this set, which saw them all", tone="other", dash=True),
            line(at, done.stitched, name="stitched from unseen sessions"),
        ],
    )
    sharpe, efficiency = known(done.sharpe), known(done.efficiency)
    return [
        _part(
            "folds",
            f"Walk-forward: {count(len(names), 'fold')}",
            f"Sharpe {sharpe} on sessions no choice had seen, {efficiency} of what it was where they were chosen.",
            folds,
        ),
        _part("stitched", "Walk-forward: equity of unseen sessions", "", stitched),
    ]


def _paths(done: Paths) -> dict[str, Any]:
    lines = np.array(done.lines)
    at = np.arange(len(done.sessions))
    marks = [area(at, lines.min(axis=0), lines.max(axis=0), name="the fan")]
    marks += [
        line(at, each, tone="loss" if sharpe < 0.0 else "own", thin=True)
        for each, sharpe in zip(lines, done.sharpes, strict=True)
    ]
    marks.append(line(at, np.median(lines, axis=0), name="middle of the paths", tone="ink"))
    drawn = figure(
        f"{len(lines)} paths of combinatorial purged cross-validation",
        x=days(done.sessions),
        y=scale(lines.ravel().tolist(), unit="percent", title="return", zero=True),
        marks=marks,
        tall=260,
    )
    low, high = min(done.sharpes), max(done.sharpes)
    said = f"{percent(done.losing, 0)} of {len(lines)} paths lose; Sharpe from {number(low)} to {number(high)}" + (
        "." if done.own is None else f", {number(done.own)} as tested."
    )
    return _part("paths", "Paths of unseen sessions (CPCV)", said, drawn)


def _null(null: Null) -> dict[str, Any]:
    made = histogram_bars(np.array(null.sharpes), say=lambda a, b: f"Sharpe {number(a)} to {number(b)}")
    assert made is not None  # noqa: S101  a null of no draws cannot be made
    x, y, drawn = made
    wide = scale([x["low"], x["high"], null.own], title="Sharpe ratio of the same trades at other times")
    y["title"] = "draws"
    tone = "gain" if null.own > null.limit else "loss"
    marks = [
        drawn | {"tone": "other"},
        rule("x", null.limit, name=f"95 % lie below {number(null.limit)}"),
        rule("x", null.own, name=f"this strategy {number(null.own)}", tone=tone, dash=False),
    ]
    said = f"p = {number(null.p_value, 3)}: the share of {count(len(null.sharpes), 'draw')} at or above the strategy."
    return _part(
        "null", "Luck of entry", said, figure("Null distribution of the Sharpe ratio", x=wide, y=y, marks=marks)
    )


def _luck(luck: Luck) -> list[dict[str, Any]]:
    if not luck.logit_counts or luck.overfitting is None:
        return []
    edges = np.array(luck.logit_edges)
    centres, width = (edges[:-1] + edges[1:]) / 2, float(np.min(np.diff(edges)))
    tones = ["loss" if centre <= 0.0 else "gain" for centre in centres]
    texts = [
        f"log odds {number(a)} to {number(b)}: {count(n, 'split')}"
        for a, b, n in zip(edges[:-1], edges[1:], luck.logit_counts, strict=True)
    ]
    drawn = figure(
        "Out-of-sample rank of the winner in every split",
        x=scale([*edges, 0.0], title="winner's rank outside, log odds; 0 is the median"),
        y=scale(luck.logit_counts, unit="count", title="splits", zero=True),
        marks=[
            bars(centres, luck.logit_counts, width=width, texts=texts, tone=tones),
            rule("x", 0.0, name="left of it the winner was in the lower half"),
        ],
    )
    said = f"In {percent(luck.overfitting, 0)} of {luck.splits:,} splits the winner ended in the lower half."
    return [_part("pbo", "Probability of overfitting", said, drawn)]


def _bands(resampled: Bands) -> list[dict[str, Any]]:
    at = np.arange(len(resampled.sessions))
    drawn = figure(
        "Return of histories resampled in blocks",
        x=days(resampled.sessions),
        y=scale([*resampled.low, *resampled.high, *resampled.own], unit="percent", title="return", zero=True),
        marks=[
            area(at, resampled.low, resampled.high, name="nine in ten histories"),
            line(at, resampled.middle, name="half lie below", tone="other", dash=True),
            line(at, resampled.own, name="as it was"),
        ],
        tall=260,
    )
    said = f"In blocks of sessions drawn again; one in twenty ends below {percent(resampled.low[-1], sign=True)}."
    found = [_part("bands", "The same sessions, drawn again", said, drawn)]
    made = histogram_bars(np.array(resampled.drawdowns), say=lambda a, b: f"drawdown {percent(a)} to {percent(b)}")
    if made is None or resampled.limit is None or resampled.own_drawdown is None:
        return found
    x, y, counted = made
    wide = scale([x["low"], x["high"], resampled.own_drawdown], unit="percent", title="deepest drawdown")
    y["title"] = "hundredths of the orders"
    orders = figure(
        "Deepest drawdown of the same trades in other orders",
        x=wide,
        y=y,
        marks=[
            counted | {"tone": "other"},
            rule("x", resampled.limit, name=f"5 % of the orders go below {percent(resampled.limit)}"),
            rule("x", resampled.own_drawdown, name=f"as it was {percent(resampled.own_drawdown)}", dash=False),
        ],
    )
    said = f"{count(resampled.trades, 'closed trade')} shuffled: the order they came in was one of many."
    return [*found, _part("orders", "The same trades in other orders", said, orders)]


def _delay(delay: Delay) -> dict[str, Any]:
    late = zip(delay.rows, delay.sharpes, strict=True)
    texts = [f"{count(rows, 'row')} late: Sharpe {number(sharpe)}" for rows, sharpe in late]
    drawn = figure(
        "Sharpe ratio by rows of delay",
        x=scale(delay.rows, unit="count", title=f"rows of {delay.clock} later"),
        y=scale(delay.sharpes, title="Sharpe ratio", zero=True),
        marks=[line(delay.rows, delay.sharpes), dots(delay.rows, delay.sharpes, texts=texts)],
    )
    said = f"Sharpe {number(delay.sharpes[0])} on time"
    if len(delay.sharpes) > 1:
        said += f", {number(delay.sharpes[1])} one row of {delay.clock} late"
    return _part("delay", "Signals known later", f"{said}.", drawn)


def _regimes(regimes: list[Regime]) -> dict[str, Any]:
    texts = [
        f"{each.name}: Sharpe {number(each.sharpe)}, {percent(each.total_return, sign=True)} "
        f"over {count(each.sessions, 'session')}"
        for each in regimes
    ]
    sharpes = [each.sharpe for each in regimes]
    drawn = figure(
        "Sharpe ratio by kind of market",
        x=bands([each.name for each in regimes]),
        y=scale(sharpes, title="Sharpe ratio", zero=True),
        marks=[
            bars(
                range(len(regimes)),
                sharpes,
                width=0.6,
                texts=texts,
                tone=["own" if each.kind == "volatility" else "other" for each in regimes],
            )
        ],
    )
    worst = min(regimes, key=lambda each: each.sharpe)
    said = f"Known before each session began. Worst: {worst.name}, Sharpe {number(worst.sharpe)}."
    return _part("regimes", "Kinds of market", said, drawn)


def _left(left: list[Left]) -> dict[str, Any]:
    names = ["best days" if "session" in each.name else each.name.removeprefix("without ") for each in left]
    sharpes = [each.sharpe for each in left]
    texts = [f"{each.name}: Sharpe {number(each.sharpe)}, {percent(each.total_return, sign=True)}" for each in left]
    drawn = figure(
        "Sharpe ratio with something left out",
        x=bands(names, "left out"),
        y=scale(sharpes, title="Sharpe ratio", zero=True),
        marks=[bars(range(len(left)), sharpes, width=0.6, texts=texts)],
    )
    worst = min(left, key=lambda each: each.sharpe)
    return _part("left", "With something left out", f"Worst {worst.name}: Sharpe {number(worst.sharpe)}.", drawn)
