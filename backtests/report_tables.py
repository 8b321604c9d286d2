"""What the report says in words and tables, every number already written as a reader sees it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

import numpy as np

from backtests import metrics
from backtests.cost_parts import capacity
from backtests.report_costs import Spent, spent
from backtests.report_risk import Benchmark
from backtests.report_text import NOTHING, count, day_of, money, number, percent, plain
from backtests.result import Result
from data.calendar import parse_clock, periods_per_year
from strategies.common.position import K_FLAT, REASONS

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FULL_HEAT = 0.10
"""A month's return of this size, or a session's of a fifth of it, has the strongest colour."""
FEW_SESSIONS = 64


def tiles(result: Result, other: Benchmark | None = None) -> list[dict[str, str]]:
    """The six numbers of the verdict: {"label", "value", "note", "tone"}; `other` is what the return is beside."""
    m = result.metrics
    held = m["benchmark_return"] if other is None else float(other.value[-1]) / result.start_cash - 1.0
    name = "buy and hold" if other is None or not other.symbol else other.name
    costs = spent(result)
    return [
        _tile(
            "Total return",
            percent(m["total_return"], sign=True),
            f"{_a_year(result)} · {name} {percent(held, sign=True)}",
            m["total_return"],
        ),
        _tile(
            "Max drawdown",
            percent(m["max_drawdown"]),
            _under_water(m["max_drawdown_s"]),
            m["max_drawdown"],
        ),
        _tile(
            "Sharpe ratio",
            number(m["sharpe_ratio"]),
            f"PSR {percent(m['probabilistic_sharpe_ratio'], 1)}: the chance that the true one is above 0",
        ),
        _tile(
            "Trades",
            f"{int(m['total_trades']):,}",
            f"win rate {percent(m['win_rate'], 1)} · profit factor {number(m['profit_factor'])}",
        ),
        _tile("Costs", money(costs.total), _cost_note(result, costs)),
        _tile(
            "Time in market",
            percent(m["time_in_market"], 1),
            f"mean exposure {percent(m['mean_gross_exposure'], 1)} · largest {percent(m['max_gross_exposure'], 1)}",
        ),
    ]


def metric_rows(result: Result) -> list[tuple[str, str]]:
    """(name, value) of `Result.stats()`, vectorbt's names first, in its units."""
    return [(str(name), stat(value)) for name, value in result.stats().items()]


def stat(value: Any) -> str:
    """One statistic; pandas' missing times are a dash."""
    if value != value:
        return NOTHING
    if isinstance(value, (float, np.floating)):
        return number(float(value), 2 if abs(float(value)) >= 100.0 else 4)
    return plain(value)


def cost_rows(result: Result) -> list[tuple[str, str, str, str, str]]:
    """(part, dollars, share of all costs, basis points of the value traded, how it is known); the total last."""
    costs, model = spent(result), result.costs
    booked = model.use_book and result.book is not None
    spread = "half of the book's spread where it was known, else " if booked else ""
    parts = (
        ("Half-spread", costs.spread, f"modelled: {spread}{plain(model.half_spread_bps)} bps of the price"),
        ("Slippage", costs.slippage, f"modelled: {plain(model.slippage_bps)} bps of the price"),
        ("Market impact", costs.impact, f"modelled: {plain(model.impact_bps)} bps × √(quantity / volume of the row)"),
        ("SEC and FINRA fees", costs.regulatory, "dated rates, on sells" if model.regulatory else "not charged"),
        ("Commission", costs.commission, _commission(result)),
        ("Total", costs.total, f"{count(costs.fills, 'fill')}, {money(costs.traded, 0)} traded"),
    )
    return [
        (
            name,
            money(value),
            percent(value / costs.total, 1) if costs.total > 0.0 else NOTHING,
            number(value / costs.traded * 1e4, 3) if costs.traded > 0.0 else NOTHING,
            known,
        )
        for name, value, known in parts
    ]


def capacity_rows(result: Result) -> list[tuple[str, str]]:
    """(share of a row's volume, cash at the start at which 95 % of the fills stay below it)."""
    return [(percent(share, 0), money(capacity(result, share), 0)) for share in (0.01, 0.05)]


def months(result: Result) -> dict[str, Any]:
    """Returns by month, one row a year; a short intraday run by session instead.

    {"by": "month", "rows": [(year, [cell of each month], year's cell)]}, or
    {"by": "session", "rows": [(day, cell, pnl, equity, trades ended)]}. A cell is None or {"text", "heat", "tone"}.
    """
    session = result.bars.session
    ends = metrics.session_ends(session)
    if parse_clock(result.clock) < 86_400 and len(ends) <= FEW_SESSIONS:
        return {"by": "session", "rows": _session_rows(result, ends)}
    month = session // 100
    last = metrics.session_ends(month)
    returns = dict(zip(month[last].tolist(), _between(result, last), strict=True))
    years = session // 10_000
    last = metrics.session_ends(years)
    whole = dict(zip(years[last].tolist(), _between(result, last), strict=True))
    return {
        "by": "month",
        "rows": [
            (
                str(year),
                [_cell(returns.get(year * 100 + m + 1), FULL_HEAT) for m in range(12)],
                _cell(value, 3 * FULL_HEAT),
            )
            for year, value in whole.items()
        ],
    }


def reason_rows(result: Result) -> list[tuple[str, str, str, str, str]]:
    """(reason, orders, filled, pnl of the trades it ended, their win rate), in the order of `position.REASONS`."""
    closed = result.trades.closed
    rows = []
    for place, reason in enumerate(REASONS):
        orders = result.orders[result.orders["reason"] == place]
        if not len(orders):
            continue
        pnl = closed["pnl"][closed["reason_out"] == place]
        rows.append(
            (
                reason,
                f"{len(orders):,}",
                f"{int(np.sum(orders['filled'] >= 0)):,}",
                money(float(np.sum(pnl)), sign=True) if len(pnl) else NOTHING,
                percent(float(np.mean(pnl > 0.0)), 1) if len(pnl) else NOTHING,
            )
        )
    return rows


def settings(result: Result) -> list[tuple[str, list[tuple[str, str]]]]:
    """(title, rows of name and value): the parameters, the position rule, the cost model."""
    flat = {}
    if result.rule.flat_before_s is None:
        flat["flat_before_s"] = f"{plain(result.rule.knobs(result.clock)[K_FLAT])}, by the clock"
    return [
        ("Parameters", _pairs(result.params)),
        ("Position rule", _pairs(asdict(result.rule) | flat)),
        ("Cost model", _pairs(asdict(result.costs))),
    ]


def span(result: Result) -> str:
    """`2000-03-01 to 2013-03-01`."""
    first, last = (day_of(int(result.bars.session[t])) for t in (0, -1))
    return first if first == last else f"{first} to {last}"


def _tile(label: str, value: str, note: str, signed: float = 0.0) -> dict[str, str]:
    tone = "gain" if signed > 0.0 else "loss" if signed < 0.0 else ""
    return {"label": label, "value": value, "note": note, "tone": tone}


def _a_year(result: Result) -> str:
    """The return a year; a run of less than a quarter is not blown up to a year."""
    if len(result.bars) * 4 < periods_per_year(result.clock):
        return f"over {count(len(np.unique(result.bars.session)), 'session')}"
    return f"{percent(result.metrics['annual_return'], sign=True)} a year"


def _under_water(seconds: float) -> str:
    if not seconds > 0.0:
        return "never under water at a close"
    days = dt.timedelta(seconds=seconds).days
    return f"longest under water {count(days, 'day') if days else plain(dt.timedelta(seconds=seconds))}"


def _cost_note(result: Result, costs: Spent) -> str:
    share = result.metrics["costs_of_gross_profit"]
    if not costs.fills:
        return "nothing was traded"
    bps = f"{number(result.metrics['costs_of_value_traded'] * 1e4)} bps of the value traded"
    if not isfinite(share):
        return f"{bps} · no profit before costs"
    return f"{percent(share, 1)} of the profit before costs · {bps}"


def _commission(result: Result) -> str:
    per_share, least = result.costs.commission_per_share, result.costs.commission_min
    if not per_share and not least:
        return "none charged"
    return f"${per_share:g} a share, at least ${least:g} an order"


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, plain(value)) for name, value in values.items()]


def _between(result: Result, last: Any) -> list[float]:
    """Returns from one of these rows to the next, the first against the cash at the start."""
    return [float(r) for r in metrics.returns_of(result.equity[last], result.start_cash)]


def _session_rows(result: Result, ends: Any) -> list[tuple[str, Any, str, str, str]]:
    equity = result.equity[ends]
    gained = np.diff(equity, prepend=result.start_cash)
    sessions = result.bars.session[ends]
    left = result.bars.session[result.trades.closed["exit_row"]]
    return [
        (
            day_of(int(day)),
            _cell(value, FULL_HEAT / 5),
            money(float(pnl), sign=True),
            money(float(at)),
            f"{int(np.sum(left == day)):,}",
        )
        for day, value, pnl, at in zip(sessions, _between(result, ends), gained, equity, strict=True)
    ]


def _cell(value: float | None, full: float) -> dict[str, str] | None:
    if value is None:
        return None
    heat = min(abs(value) / full, 1.0) if isfinite(value) else 0.0
    tone = "gain" if value > 0.0 else "loss" if value < 0.0 else ""
    return {"text": number(value * 100.0, 2 if full < FULL_HEAT else 1, sign=True), "heat": f"{heat:.2f}", "tone": tone}
