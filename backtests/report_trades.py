"""What the trades have in common: how long they were held, when they were entered, how near they came to ruin."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from backtests.figures import Spec, bands, bars, figure, histogram_bars, scale
from backtests.report_text import count, local_seconds, money, percent
from backtests.result import Result
from data.calendar import SECOND_NS, parse_clock

DAY = 86_400
UNITS = ((2 * DAY, DAY, "days"), (2 * 3_600, 3_600, "hours"), (120, 60, "minutes"), (0, 1, "seconds"))
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def held_figure(result: Result) -> Spec | None:
    """How long the closed trades were held."""
    closed = result.trades.closed
    if not len(closed):
        return None
    seconds = (result.bars.ts[closed["exit_row"]] - result.bars.ts[closed["entry_row"]]) / SECOND_NS
    length, unit = next((size, name) for least, size, name in UNITS if np.median(seconds) >= least)
    made = histogram_bars(seconds / length, say=lambda a, b: f"{a:g} to {b:g} {unit}")
    if made is None:
        return None
    x, y, drawn = made
    x["title"], y["title"] = f"{unit} held", "trades"
    return figure(f"How long {count(len(closed), 'trade')} were held", x=x, y=y, marks=[drawn | {"tone": "own"}])


def entered_figures(result: Result) -> list[tuple[str, Spec]]:
    """(title, figure) of P&L by hour of entry, intraday only, and by weekday; exchange time."""
    closed = result.trades.closed
    if not len(closed):
        return []
    rows = closed["entry_row"]
    local = local_seconds(result.bars.ts, result.bars.session)[rows]
    found = []
    if parse_clock(result.clock) < DAY:
        hours = local % DAY // 3_600
        places = [int(hour) for hour in np.unique(hours)]
        found.append(("P&L by hour of entry", _summed(closed, hours, places, [f"{hour}:00" for hour in places])))
    weekday = np.array([dt.datetime.fromtimestamp(int(second), dt.UTC).weekday() for second in local])
    places = [int(day) for day in np.unique(weekday)]
    found.append(("P&L by weekday of entry", _summed(closed, weekday, places, [WEEKDAYS[day] for day in places])))
    return found


def _summed(closed: Any, key: Any, places: list[int], names: list[str]) -> Spec:
    pnl = [float(np.sum(closed["pnl"][key == place])) for place in places]
    many = [int(np.sum(key == place)) for place in places]
    won = [float(np.mean(closed["pnl"][key == place] > 0.0)) for place in places]
    texts = [
        f"{name}: {money(value, 0, sign=True)}, {count(n, 'trade')}, win rate {percent(rate, 0)}"
        for name, value, n, rate in zip(names, pnl, many, won, strict=True)
    ]
    return figure(
        f"P&L of trades by {names[0]} to {names[-1]}",
        x=bands(names),
        y=scale(pnl, unit="dollars", zero=True),
        marks=[
            bars(range(len(places)), pnl, width=0.7, texts=texts, tone=["gain" if v > 0.0 else "loss" for v in pnl])
        ],
    )
