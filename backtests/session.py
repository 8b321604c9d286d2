"""A live or paper session beside the backtest of the same rows: are the decisions equal, where did the dollars go?

    told = read_session("session.json")            # backtests.session_file
    apart = reconcile(result, told)
    apart.equal, apart.first, apart.buckets, apart.total

Both sides are orders with signed quantities and UTC nanoseconds. An order is the same on both sides where row of
decision, symbol, side and reason are. Every order's part in the difference is an identity, not an estimate:

    both filled      price   backtest's quantity * (backtest's price - live's price), fee, and for other quantities
                     the shares between them, from their price to the last close
    one side only    its shares from their price to the last close, and its fee

Added over all orders that is the difference of the two equities, to the rounding of the last digit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from backtests.metrics import marks_of
from backtests.result import Result
from data.calendar import utc
from data.errors import DataError
from strategies.common.position import REASONS

BUCKETS = ("price", "fee", "quantity", "missed", "denied", "not decided", "only live")
"""Where a dollar of difference can lie; see `Line.bucket`."""
EXACT = 1e-9
"""Relative to the cash at the start: what rounding can leave of an identity."""


class Order(NamedTuple):
    """One order on either side. decided, filled: rows as UTC ns, filled 0 for not. quantity: signed shares."""

    decided: int
    symbol: str
    quantity: float
    reason: str
    filled: int
    price: float
    fee: float
    state: str

    @property
    def key(self) -> tuple[int, str, bool, str]:
        """What makes it the same decision on both sides."""
        return self.decided, self.symbol, self.quantity > 0.0, self.reason

    @property
    def shares(self) -> float:
        """Signed shares that were filled."""
        return self.quantity if self.filled else 0.0


class Line(NamedTuple):
    """One order of either side or both, and the dollars live made more (negative: less) because of it.

    bucket: the largest part of the difference. `price`, `fee`, `quantity` where both were filled; `missed`: decided on
    both sides, filled in the backtest only; `denied`: kept back by a risk control; `not decided`: in the backtest only;
    `only live`: in the session only. "" where nothing differs.
    parts: dollars by bucket.
    """

    backtest: Order | None
    live: Order | None
    bucket: str
    parts: Mapping[str, float]
    note: str

    @property
    def dollars(self) -> float:
        """All its parts."""
        return sum(self.parts.values())

    @property
    def order(self) -> Order:
        """Either side."""
        found = self.backtest or self.live
        assert found is not None  # noqa: S101  a line has a side
        return found


@dataclass(frozen=True)
class Apart:
    """How far a session is from its backtest.

    lines: every order of either side, by time. buckets: dollars by `BUCKETS`, live against the backtest. total: their
    sum. difference: of the two equities at the last row, counted from cash and positions. first: the first order that
    is not the same bit by bit, as a sentence; "" where all are. rows: the same on both sides.
    """

    account: str
    broker: str
    lines: tuple[Line, ...]
    buckets: Mapping[str, float]
    total: float
    difference: float
    first: str
    rows: bool
    settings: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """True where every order has the same bits on both sides."""
        return not self.first

    @property
    def decided(self) -> tuple[int, int]:
        """(orders decided on both sides, orders of either side)."""
        return sum(line.backtest is not None and line.live is not None for line in self.lines), len(self.lines)


def orders_of(result: Result) -> list[Order]:
    """The orders of a backtest, in the order they were decided."""
    bars = result.bars
    return [
        Order(
            decided=int(bars.ts[o["decided"]]),
            symbol=bars.symbols[o["column"]],
            quantity=float(o["quantity"]),
            reason=REASONS[o["reason"]],
            filled=int(bars.ts[o["filled"]]) if o["filled"] >= 0 else 0,
            price=float(o["price"]),
            fee=float(o["fee"]),
            state="filled" if o["filled"] >= 0 else "not filled",
        )
        for o in result.orders
    ]


def orders_of_session(told: Mapping[str, Any]) -> list[Order]:
    """The orders of a session; a partly filled one counts with the shares it got."""
    got: dict[str, float] = defaultdict(float)
    for fill in told.get("fills", ()):
        got[fill["order_id"]] += fill["quantity"]
    done = []
    for o in told["orders"]:
        filled = int(o["filled"] or 0)
        quantity = float(o["quantity"])
        if filled and o["state"] == "partial":
            quantity = got.get(o["order_id"], quantity)
        price = float("nan") if o["price"] is None else float(o["price"])
        done.append(
            Order(
                int(o["decided"]), o["symbol"], quantity, o["reason"], filled, price, float(o["fee"] or 0.0), o["state"]
            )
        )
    return done


def first_difference(backtest: list[Order], live: list[Order]) -> str:
    """The first order that is not the same on both sides, every bit of price and fee; "" where all are."""
    for number, (one, other) in enumerate(zip(backtest, live, strict=False)):
        for name in ("decided", "symbol", "quantity", "reason", "filled", "price", "fee"):
            mine, theirs = getattr(one, name), getattr(other, name)
            if name in ("price", "fee") and not one.filled and not other.filled:
                continue
            if mine != theirs:
                if name in ("decided", "filled"):
                    mine, theirs = (utc(value) if value else "never" for value in (mine, theirs))
                where = f"order {number + 1} ({one.symbol}, {one.reason}, decided {utc(one.decided)})"
                return f"{where}: {name} is {mine} in the backtest, {theirs} in the session"
    if len(backtest) != len(live):
        return f"{len(backtest):,} orders in the backtest, {len(live):,} in the session"
    return ""


def reconcile(result: Result, told: Mapping[str, Any]) -> Apart:
    """A session against the backtest of the same rows."""
    plan, feed = told["header"]["plan"], told["header"]["feed"]
    backtest, live = orders_of(result), orders_of_session(told)
    last = dict(zip(result.bars.symbols, marks_of(result.bars.close)[-1].tolist(), strict=True))
    denied = {
        (int(d["ts"]), d["symbol"], d["side"] == "buy", d["reason"]): f"{d['code']}: {d['text']}"
        for d in told.get("denied", ())
    }
    waiting: dict[Any, list[Order]] = defaultdict(list)
    for order in live:
        waiting[order.key].append(order)
    lines = []
    for order in backtest:
        there = waiting[order.key].pop(0) if waiting[order.key] else None
        lines.append(_line(order, there, last, denied))
    lines += [_line(None, order, last, denied) for rest in waiting.values() for order in rest]
    lines.sort(key=lambda line: (line.order.decided, line.order.symbol))
    buckets = {name: sum(line.parts.get(name, 0.0) for line in lines) for name in BUCKETS}
    return Apart(
        account=str(plan["account"]),
        broker=str(plan["broker"]),
        lines=tuple(lines),
        buckets=buckets,
        total=sum(buckets.values()),
        difference=_gain(live, last) - _gain(backtest, last),
        first=first_difference(backtest, live),
        rows=feed["content"] == result.provenance["rows_hash"],
        settings=tuple(_settings(result, plan)),
    )


def _line(mine: Order | None, theirs: Order | None, last: Mapping[str, float], denied: Mapping[Any, str]) -> Line:
    parts: dict[str, float] = {}
    note = ""
    if mine is not None and theirs is not None and mine.filled and theirs.filled:
        parts["price"] = mine.shares * (mine.price - theirs.price)
        parts["fee"] = mine.fee - theirs.fee
        parts["quantity"] = (theirs.shares - mine.shares) * (last[mine.symbol] - theirs.price)
        if mine.filled != theirs.filled:
            note = f"filled {utc(theirs.filled)} instead of {utc(mine.filled)}"
    elif mine is not None and mine.filled:
        bucket = "missed" if theirs is not None else "denied" if mine.key in denied else "not decided"
        parts[bucket] = -_worth(mine, last)
        note = theirs.state if theirs is not None else denied.get(mine.key, "")
    elif theirs is not None and theirs.filled:
        parts["only live"] = _worth(theirs, last)
        note = "" if mine is None else "the backtest decided it too, and was not filled"
    real = {name: value for name, value in parts.items() if value != 0.0}
    bucket = max(real, key=lambda name: abs(real[name])) if real else ""
    return Line(mine, theirs, bucket, real, note)


def _worth(order: Order, last: Mapping[str, float]) -> float:
    """What a fill added to the equity at the last row."""
    return order.shares * (last[order.symbol] - order.price) - order.fee


def _gain(orders: list[Order], last: Mapping[str, float]) -> float:
    """Equity at the last row less the cash at the start, counted from cash and positions."""
    cash, held = 0.0, dict.fromkeys(last, 0.0)
    for order in orders:
        if order.filled:
            if order.symbol not in held:
                raise DataError(f"the session traded {order.symbol}, which the rows do not have; give its rows")
            cash -= order.shares * order.price + order.fee
            held[order.symbol] += order.shares
    return cash + sum(shares * last[symbol] for symbol, shares in held.items() if shares)


def _settings(result: Result, plan: Mapping[str, Any]) -> list[str]:
    """What of the plan is not as in the backtest, a sentence each."""
    from dataclasses import asdict

    found = []
    if plan["source_hash"] != result.source_hash:
        found.append(f"strategy: source {plan['source_hash'][:12]} live, {result.source_hash[:12]} here")
    for title, live, here in (
        ("parameter", plan["params"], dict(result.params)),
        ("rule", plan["rule"], asdict(result.rule)),
        ("costs", plan["costs"], asdict(result.costs)),
    ):
        apart = [name for name in sorted({*live, *here}) if live.get(name) != here.get(name)]
        found += [f"{title} {name}: {live.get(name)} live, {here.get(name)} here" for name in apart]
    if plan["cash"] != result.start_cash:
        found.append(f"cash: {plan['cash']:,.2f} live, {result.start_cash:,.2f} here")
    return found
