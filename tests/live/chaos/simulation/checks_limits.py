"""I5, I9: every entry that the venue received, asked again by a second and slower implementation of the limits.

It knows nothing of `live.core`: it adds up the journal's records by itself, counts every order that may still fill in
full, UNKNOWN ones too, and reads the calendar with zoneinfo.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from data.rows import Row
from data.types import FEATURES
from live.core.commands import Alert, Cancel, Protect, Submit
from live.core.events import (
    Fill,
    Gate,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
    PersonSays,
    Snapshot,
    SymbolFacts,
)

from .clock import SECOND
from .trail import Trail
from .world import Evidence

NEW_YORK = ZoneInfo("America/New_York")
HALF_DAYS = ("2025-07-03", "2025-11-28", "2025-12-24")
_BID, _ASK, _AGE = (FEATURES.index(name) for name in ("bid", "ask", "age"))
_DEPTHS = {"buy": FEATURES.index("ask_depth"), "sell": FEATURES.index("bid_depth")}


@dataclass
class Alive:
    """An order that may still fill."""

    symbol: str
    side: str
    quantity: float
    kind: str
    filled: float = 0.0
    lost: bool = False

    @property
    def left(self) -> float:
        """Shares it may still do."""
        return self.quantity - self.filled


@dataclass
class Account:
    """What the records say so far."""

    limits: dict[str, Any]
    symbols: list[str]
    cash: float
    held: dict[str, float] = field(default_factory=dict)
    close: dict[str, float] = field(default_factory=dict)
    alive: dict[str, Alive] = field(default_factory=dict)
    over: dict[str, Alive] = field(default_factory=dict)
    facts: dict[str, SymbolFacts] = field(default_factory=dict)
    gates: dict[str, bool] = field(default_factory=dict)
    sent: list[tuple[int, str, str, str]] = field(default_factory=list)
    executions: set[str] = field(default_factory=set)
    equity: float = 0.0
    first_equity: float = 0.0
    session: int = 0
    told_equity: float = float("nan")
    row: Row | None = None
    halted: bool = False
    contradicted: bool = False

    def worth(self) -> float:
        """Equity, the lower of ours and the broker's."""
        told = self.told_equity
        return min(self.equity, told) if told == told else self.equity


def inside_all_limits(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I5 and I9 for every entry that the venue received."""
    received = {receipt.key for receipt in evidence.venue.receipts}
    plan = evidence.plan
    account = Account(plan.limits, plan.symbols, plan.cash, equity=plan.cash, first_equity=plan.cash)
    for step in trail.steps:
        _take(account, step.event)
        for command in step.commands:
            if isinstance(command, Submit):
                entry = not _only_reduces(account, command)
                if entry and command.order_id in received:
                    for why in _against(account, command):
                        yield f"{command.symbol} {command.side} {command.quantity:g} (record {step.seq}): {why}"
                account.alive[command.order_id] = Alive(
                    command.symbol, command.side, command.quantity, "entry" if entry else "exit"
                )
                account.sent.append((command.ts, command.symbol, command.side, "entry" if entry else "exit"))
            elif isinstance(command, Protect):
                old = account.alive.get(command.order_id)
                done = old.filled if old is not None else 0.0
                account.alive[command.order_id] = Alive(
                    command.symbol, command.side, done + command.quantity, "protect", done
                )
                account.sent.append((command.ts, command.symbol, command.side, "protect"))
            elif isinstance(command, Cancel):
                account.sent.append((command.ts, command.symbol, "", "cancel"))
            elif isinstance(command, Alert) and command.name in ("risk.halted", "books.differ", "books.contradiction"):
                account.halted = True
                account.contradicted |= command.name == "books.contradiction"
                account.gates["reconciled"] &= command.name != "books.differ"


def _take(account: Account, event: Any) -> None:  # noqa: C901  # one line per kind of event
    if isinstance(event, Row):
        if account.row is None or event.ts > account.row.ts:
            _row(account, event)
    elif isinstance(event, Fill):
        _fill(account, event)
    elif isinstance(event, OrderRefused | OrderCancelled | OrderExpired | PersonSays):
        _over(account, event.order_id)
    elif isinstance(event, OrderUnknown | OrderQuarantined):
        _doubt(account, event.order_id, lost=True)
    elif isinstance(event, OrderSent | OrderAccepted):
        _doubt(account, event.order_id, lost=False)
    elif isinstance(event, SymbolFacts):
        account.facts[event.symbol] = event
    elif isinstance(event, Gate):
        account.gates[event.name] = event.open
    elif isinstance(event, Snapshot):
        account.gates["reconciled"] = True
        for fill in event.fills:
            _fill(account, fill)
        for key in event.absent:
            _over(account, key)
    elif isinstance(event, Operator):
        account.halted = event.action != "resume"
        if event.action == "resume":
            account.first_equity = account.worth()
    elif hasattr(event, "settled_cash"):
        account.told_equity = event.equity


def _over(account: Account, order_id: str) -> None:
    """It counts no more; the venue may still tell of a fill of before."""
    if order_id in account.alive:
        account.over[order_id] = account.alive.pop(order_id)


def _doubt(account: Account, order_id: str, *, lost: bool) -> None:
    if order_id in account.alive:
        account.alive[order_id].lost = lost


def _row(account: Account, row: Row) -> None:
    account.row = row
    for symbol, close in zip(account.symbols, row.close, strict=True):
        if close == close:
            account.close[symbol] = close
    worth = sum(shares * account.close.get(symbol, 0.0) for symbol, shares in account.held.items())
    account.equity = account.cash + worth
    if row.session != account.session:
        account.session, account.first_equity = row.session, account.worth()


def _fill(account: Account, fill: Fill) -> None:
    order = account.alive.get(fill.order_id) or account.over.get(fill.order_id)
    if order is None or fill.execution_id in account.executions:
        return
    account.executions.add(fill.execution_id)
    sign = 1.0 if order.side == "buy" else -1.0
    order.filled += fill.quantity
    order.lost = False
    account.held[order.symbol] = account.held.get(order.symbol, 0.0) + sign * fill.quantity
    account.cash -= sign * fill.quantity * fill.price + fill.fee
    if order.left < 1e-9:
        _over(account, fill.order_id)


def _only_reduces(account: Account, command: Submit) -> bool:
    if account.contradicted and command.reason not in ("entry", "reversal"):
        return True  # the venue's word did not add up: what is held is for a person to say
    held = account.held.get(command.symbol, 0.0)
    if command.reason not in ("entry", "reversal") and held * (1.0 if command.side == "sell" else -1.0) > 0.0:
        return command.quantity <= abs(held) + 1e-9
    return False


def _worst(account: Account, symbol: str, command: Submit) -> tuple[float, float]:
    """(most, least) signed shares the symbol can come to with the order out."""
    held = account.held.get(symbol, 0.0)
    orders = [*account.alive.values(), *([_new(command)] if command.symbol == symbol else [])]
    most = held + sum(order.left for order in orders if order.symbol == symbol and order.side == "buy")
    least = held - sum(order.left for order in orders if order.symbol == symbol and order.side == "sell")
    return most, least


def _new(command: Submit) -> Alive:
    return Alive(command.symbol, command.side, command.quantity, "entry")


def _against(account: Account, command: Submit) -> Iterator[str]:
    yield from _size(account, command)
    yield from _pace(account, command)
    yield from _market(account, command)
    yield from _hours(account, command)
    red = [name for name in ("armed", "clock", "orders", "heartbeat", "venue", "data", "journal", "reconciled")
           if not account.gates.get(name, False)]  # fmt: skip
    if red:
        yield f"I5 the lights {', '.join(red)} were red"
    if account.halted:
        yield "I5 the account was halted"
    loss = account.limits["reduce_only_loss_pct"]
    if account.worth() < account.first_equity * (1.0 - loss / 100.0) - 1e-6:
        yield f"I5 the day's loss was over {loss:g}%"


def _size(account: Account, command: Submit) -> Iterator[str]:
    limits, worth = account.limits, account.worth()
    price = max(command.limit, account.close.get(command.symbol, 0.0))
    value = command.quantity * price
    if value > min(limits["max_order_usd"], limits["max_order_pct"] / 100.0 * worth) + 1e-6:
        yield f"I5 an order of {value:.2f} dollars"
    if command.quantity > limits["max_order_shares"]:
        yield f"I5 an order of {command.quantity:g} shares"
    gross = long = short = 0.0
    for symbol in account.symbols:
        most, least = _worst(account, symbol, command)
        at = price if symbol == command.symbol else account.close.get(symbol, 0.0)
        reach = max(abs(most), abs(least)) * at
        gross, long, short = gross + reach, long + most * at, short + least * at
        if symbol == command.symbol and reach > limits["max_position_pct"] / 100.0 * worth + 1e-6:
            yield f"I5 a position of up to {reach:.2f} dollars, open and unknown orders in full"
        if symbol == command.symbol and least < -1e-9 and command.side == "sell":
            if not limits["allow_shorts"]:
                yield f"I5 a short of {-least:g} shares, which the account does not allow"
            elif -least > limits["max_short_shares"]:
                yield f"I5 a short of {-least:g} shares"
    if gross > limits["max_gross_pct"] / 100.0 * worth + 1e-6:
        yield f"I5 a gross exposure of up to {gross:.2f} dollars"
    if max(abs(long), abs(short)) > limits["max_net_pct"] / 100.0 * worth + 1e-6:
        yield "I5 a net exposure over the limit"


def _pace(account: Account, command: Submit) -> Iterator[str]:
    limits, alive, now = account.limits, account.alive.values(), command.ts
    here = [order for order in alive if order.symbol == command.symbol]
    if len(alive) + 1 > limits["max_open_orders"] or len(here) + 1 > limits["max_open_orders_symbol"]:
        yield f"I5 {len(alive) + 1} open orders"
    if sum(order.lost for order in alive) >= limits["max_unknown"]:
        yield "I5 a new order while others are unknown"
    if sum(order.lost for order in here) >= limits["max_unknown_symbol"]:
        yield f"I5 a new order while one of {command.symbol} is unknown"
    if any(order.side == command.side and order.kind != "protect" for order in here):
        yield f"I5 a second {command.side} order of {command.symbol} while the first may still fill"
    if any(order.side != command.side for order in here):
        yield "I5 it could meet an order of our own"
    windows = (("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400))
    for name, seconds in windows:
        count = 1 + sum(ts > now - seconds * SECOND for ts, _, _, _ in account.sent)
        if count > limits[f"max_messages_{name}"]:
            yield f"I5 {count} messages in a {name}"
    count = 1 + sum(ts > now - 60 * SECOND and of == command.symbol for ts, of, _, _ in account.sent)
    if count > limits["max_messages_symbol_minute"]:
        yield f"I5 {count} messages of {command.symbol} in a minute"
    if command.reason == "entry":
        for name, seconds in (("10_minutes", 600), ("day", 86_400)):
            same = (command.symbol, command.side, "entry")
            count = 1 + sum(ts > now - seconds * SECOND and tuple(rest) == same for ts, *rest in account.sent)
            if count > limits[f"max_entries_symbol_{name}"]:
                yield f"I5 {count} entries of {command.symbol} in {name}"


def _market(account: Account, command: Submit) -> Iterator[str]:
    limits, row = account.limits, account.row
    if row is None:
        yield "I8 an entry before the first row"
        return
    j = account.symbols.index(command.symbol)
    price = command.limit or account.close[command.symbol]
    facts = account.facts.get(command.symbol)
    if facts is None or not abs(price - facts.reference_close) <= limits["max_from_close_pct"] / 100.0 * (
        facts.reference_close
    ):
        yield f"I5 a price of {price} too far from the last close"
    if facts is not None and facts.is_halted:
        yield "I5 the symbol was halted"
    if facts is not None and facts.resumed_ts and row.ts - facts.resumed_ts < limits["halt_quiet_s"] * SECOND:
        yield "I5 the symbol had only just resumed"
    if facts is not None and facts.has_corporate_action:
        yield "I5 the symbol had a corporate action"
    if not account.close[command.symbol] >= limits["min_price_usd"]:
        yield f"I5 a price of {account.close[command.symbol]}"
    if row.book is None:
        yield "I9 no book"
        return
    bid, ask, age = row.book[_BID][j], row.book[_ASK][j], row.book[_AGE][j]
    if not ask >= bid:
        yield f"I9 a crossed book, {bid} over {ask}"
    if not age <= limits["max_quote_age_s"]:
        yield f"I9 a book of {age} s ago"
    depth = row.book[_DEPTHS[command.side]][j]
    if not command.quantity <= limits["max_order_depth_pct"] / 100.0 * depth:
        yield f"I9 {command.quantity:g} shares against a depth of {depth}"
    mid = (bid + ask) / 2.0
    if not abs(command.limit - mid) <= limits["hard_collar_pct"] / 100.0 * mid + 1e-6:
        yield f"I5 a limit of {command.limit} where the middle is {mid}"


def _hours(account: Account, command: Submit) -> Iterator[str]:
    row = account.row
    if row is None:
        return
    local = dt.datetime.fromtimestamp(row.ts / SECOND, NEW_YORK)
    noon = local.replace(hour=0, minute=0, second=0, microsecond=0)
    opens, closes = noon.replace(hour=9, minute=30), noon.replace(hour=16)
    if f"{local:%Y-%m-%d}" in HALF_DAYS:
        closes = noon.replace(hour=13)
    since, left = (local - opens).total_seconds(), (closes - local).total_seconds()
    if since < account.limits["first_entry_s"] - 1e-6 or left < account.limits["last_entry_s"] - 1e-6:
        yield f"I5 an entry {since:.0f} s after the open and {left:.0f} s before the close"
    if command.side == "sell" and left < account.limits["short_close_s"] and account.held.get(command.symbol, 0.0) <= 0:
        yield f"I5 a short {left:.0f} s before the close"
