"""The live page: what a session did beside the backtest of the same rows, in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backtests.report_text import NOTHING, count, money, number
from backtests.session import Apart, Line
from data.calendar import utc

MEANING = {
    "price": "filled at other prices",
    "fee": "other fees",
    "quantity": "other quantities",
    "missed": "decided, but not filled",
    "denied": "kept back by a risk control",
    "not decided": "decided in the backtest only",
    "only live": "decided in the session only",
}
LISTED = 60


def verdict(apart: Apart) -> dict[str, str]:
    """{"state", "title", "note"} of the comparison."""
    same, every = apart.decided
    if apart.equal:
        note = f"{count(every, 'order')}: row, quantity, reason, fill, price and fee have the same bits on both sides."
        return {"state": "pass", "title": "Every order equals the backtest's", "note": note}
    note = f"{same:,} of {count(every, 'order')} were decided on both sides. First difference: {apart.first}."
    return {"state": "fail", "title": "The session is not the backtest", "note": note}


def bucket_rows(apart: Apart) -> list[tuple[str, str, str, str]]:
    """(where the dollars lie, what it means, orders, dollars live against backtest); together last."""
    rows = [
        (
            name,
            MEANING[name],
            f"{sum(name in line.parts for line in apart.lines):,}",
            money(apart.buckets[name], sign=True),
        )
        for name in MEANING
    ]
    return [
        *rows,
        ("together", "", f"{sum(bool(line.parts) for line in apart.lines):,}", money(apart.total, sign=True)),
    ]


def explained(apart: Apart, start_cash: float) -> tuple[str, str]:
    """(state, sentence): whether the orders' dollars are the difference of the two equities."""
    left = apart.difference - apart.total
    sentence = (
        f"The session ended {money(apart.difference, sign=True)} against the backtest, counted from cash and "
        f"positions; its orders explain {money(apart.total, sign=True)}, unexplained: {money(left, sign=True)}."
    )
    return ("pass" if abs(left) <= 1e-9 * start_cash else "fail"), sentence


def order_rows(apart: Apart) -> list[tuple[str, ...]]:
    """(decided, symbol, reason, quantity, price here, price live, fee here, fee live, where it lies, dollars, note) of
    the orders that differ, the largest first, at most `LISTED`."""
    lines = [line for line in apart.lines if line.parts]
    lines.sort(key=lambda line: -abs(line.dollars))
    return [_row(line) for line in lines[:LISTED]]


def about(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of the session."""
    plan, feed, built = (told["header"][name] for name in ("plan", "feed", "built"))
    states: dict[str, int] = {}
    for order in told["orders"]:
        states[order["state"]] = states.get(order["state"], 0) + 1
    return [
        ("account", str(plan["account"])),
        ("broker", str(plan["broker"])),
        ("rows decided on", f"{told['rows']:,} of {plan['clock']}"),
        ("feed", f"{feed['source']}{' (simulated)' if feed['simulated'] else ''}"),
        ("orders by state", ", ".join(f"{name} {n:,}" for name, n in sorted(states.items())) or NOTHING),
        ("kept back by risk controls", f"{len(told['denied']):,}" if "denied" in told else "not told"),
        ("code that decided, SHA-256", str(built["code"])),
    ]


def suspects(apart: Apart) -> list[str]:
    """What else was not the same: rows, settings."""
    found = [] if apart.rows else ["rows: the session was fed other rows than these (their content hashes differ)"]
    return found + list(apart.settings)


def _row(line: Line) -> tuple[str, ...]:
    order = line.order

    def price(side: Any) -> str:
        return number(side.price, 4) if side is not None and side.filled else NOTHING

    def fee(side: Any) -> str:
        return number(side.fee, 4) if side is not None and side.filled else NOTHING

    return (
        utc(order.decided), order.symbol, order.reason, number(order.quantity, 0 if order.quantity % 1 == 0 else 4),
        price(line.backtest), price(line.live), fee(line.backtest), fee(line.live),
        line.bucket, money(line.dollars, sign=True), line.note,
    )  # fmt: skip
