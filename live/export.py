"""Every order of a journal as one flat record that says why: for a spreadsheet, a database, or an auditor.

    journal -> events and commands, in order -> `Records` -> JSONL or Parquet

The account's state at each decision is worked out here from rows and fills alone, not taken from the core: a record
is a second opinion.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from math import isfinite, nan
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from data.calendar import as_yyyymmdd, parse_day, session_columns
from data.errors import ConfigError, UsageError
from data.rows import Row
from data.types import FEATURES
from live.core.commands import Command, Denied, Protect, Submit, decode_command
from live.core.events import (
    Event,
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
    decode_event,
    encode,
)
from live.header import JournalHeader
from live.journal import SqliteJournal, steps


class _Traded(Protocol):
    symbol: str


Line = TypeVar("Line", bound=_Traded)

SUFFIXES = (".jsonl", ".parquet")
_ENDS: dict[type, str] = {
    OrderAccepted: "accepted",
    OrderRefused: "refused",
    OrderUnknown: "unknown",
    OrderQuarantined: "quarantined",
    OrderExpired: "expired",
    OrderCancelled: "cancelled",
}


class OrderRecord(msgspec.Struct):
    """One order and why it was. Times are UTC nanoseconds, 0 for never; amounts dollars; missing numbers NaN.

    seq: of the journal's record. config: SHA-256 of the plan (parameters, rule, costs, limits). code: SHA-256 of the
    sources that decided. reason: entry, exit, stop, target, trail, time, session end, reversal, operator. close,
    volume, bid, ask: of the row it was decided at. *_before: the account as that row left it. stop, target: levels that
    the broker keeps for the position. control, refusal: which control kept it back and its numbers, or the broker's
    words. attempts: sends. price: average of the fills. slippage_bps: against the close of the decision, positive is a
    cost. pnl: of the shares this order closed, less its fees and theirs. history: what became of it.
    """

    seq: int
    account: str
    broker: str
    strategy: str
    source: str
    config: str
    code: str
    params: dict[str, Any]
    clock: str
    order_id: str
    symbol: str
    side: str
    quantity: float
    kind: str
    limit: float
    reason: str
    session: int
    decided: int
    close: float
    volume: float
    bid: float
    ask: float
    position_before: float
    cash_before: float
    equity_before: float
    gross_before: float
    stop: float = nan
    target: float = nan
    state: str = "planned"
    control: str = ""
    refusal: str = ""
    attempts: int = 0
    sent: int = 0
    accepted: int = 0
    first_fill: int = 0
    last_fill: int = 0
    filled: float = 0.0
    price: float = nan
    fees: float = 0.0
    slippage_bps: float = nan
    pnl: float = nan
    position_after: float = nan
    executions: list[str] = []
    history: list[str] = []


class Records:
    """Reads a journal's steps in order; `orders` are its records so far, in the order of their decisions."""

    def __init__(self, header: JournalHeader) -> None:
        plan = header.plan
        self.orders: list[OrderRecord] = []
        self._plan, self._code = plan, header.built.code
        self._config = hashlib.sha256(encode(plan)).hexdigest()
        self._cash = plan.cash
        self._held = dict.fromkeys(plan.symbols, 0.0)
        self._basis = dict.fromkeys(plan.symbols, 0.0)  # dollars paid for what is held, fees included; signed
        self._marks = dict.fromkeys(plan.symbols, nan)
        self._row: Row | None = None
        self._by_id: dict[str, OrderRecord] = {}
        self._guards: dict[str, Protect] = {}
        self._seen: set[str] = set()

    def take(self, seq: int, event: Event, commands: Iterable[Command]) -> None:
        """One step of the journal."""
        if isinstance(event, Row):
            self._row = event
            for symbol, close in zip(self._plan.symbols, event.close, strict=True):
                if isfinite(close):
                    self._marks[symbol] = close
        elif isinstance(event, Fill):
            self._fill(seq, event)
        elif (record := self._by_id.get(getattr(event, "order_id", ""))) is not None:
            self._told(record, event)
        for command in commands:
            if isinstance(command, Submit):
                record = self._record(seq, command.order_id, command.symbol, command.side, command.quantity)
                record.reason, record.kind, record.limit = command.reason, command.kind, command.limit or nan
                record.decided = command.ts
            elif isinstance(command, Denied):
                record = self._record(seq, command.order_id, command.symbol, command.side, command.quantity)
                record.reason, record.decided, record.state = command.reason, command.ts, "denied"
                record.control, record.refusal = command.code, command.text
            elif isinstance(command, Protect):
                self._protect(command)

    def _protect(self, command: Protect) -> None:
        """Remember it, and note its levels with the order that opened the position."""
        self._guards[command.order_id] = command
        opened = (each for each in reversed(self.orders) if each.symbol == command.symbol and each.filled)
        if not command.amends and (record := next(opened, None)) is not None:
            record.stop, record.target = command.stop, command.target

    def _record(self, seq: int, order_id: str, symbol: str, side: str, quantity: float) -> OrderRecord:
        row, plan = self._row, self._plan
        j = plan.symbols.index(symbol)
        book = (
            {} if row is None or row.book is None else dict(zip(FEATURES, (each[j] for each in row.book), strict=True))
        )
        values = {name: held * self._marks[name] for name, held in self._held.items() if held != 0.0}
        record = OrderRecord(
            seq=seq,
            account=plan.account,
            broker=plan.broker,
            strategy=plan.strategy,
            source=plan.source_hash,
            config=self._config,
            code=self._code,
            params=plan.params,
            clock=plan.clock,
            order_id=order_id,
            symbol=symbol,
            side=side,
            quantity=quantity,
            kind="market",
            limit=nan,
            reason="",
            session=0 if row is None else row.session,
            decided=0 if row is None else row.ts,
            close=self._marks[symbol] if row is None else row.close[j],
            volume=nan if row is None else row.volume[j],
            bid=book.get("bid", nan),
            ask=book.get("ask", nan),
            position_before=self._held[symbol],
            cash_before=self._cash,
            equity_before=self._cash + sum(values.values(), 0.0),
            gross_before=sum((abs(value) for value in values.values()), 0.0),
        )
        self.orders.append(record)
        self._by_id[order_id] = record
        return record

    def _told(self, record: OrderRecord, event: Event) -> None:
        if isinstance(event, OrderSent):
            record.attempts, record.sent = event.attempt, event.ts
            record.history.append(f"sent ({event.attempt})")
            record.state = "sent"
            return
        state = _ENDS.get(type(event))
        if state is None:
            return
        record.history.append(state)
        if isinstance(event, OrderAccepted):
            record.accepted = record.accepted or event.ts
        if isinstance(event, OrderRefused | OrderUnknown | OrderQuarantined):
            record.refusal = event.reason
        if record.filled < record.quantity:
            record.state = state

    def _fill(self, seq: int, event: Fill) -> None:
        if event.execution_id in self._seen:
            return
        record = self._by_id.get(event.order_id)
        guard = self._guards.get(event.order_id)
        if record is None and guard is not None:  # a stop or target that stood and was met
            record = self._record(seq, event.order_id, guard.symbol, guard.side, guard.quantity)
            record.reason = "target" if event.leg == "target" else guard.stop_reason
            record.stop, record.target, record.decided = guard.stop, guard.target, event.ts
        if record is None:
            return
        self._seen.add(event.execution_id)
        signed = event.quantity if record.side == "buy" else -event.quantity
        self._book(record, signed, event)
        done = record.filled + event.quantity
        record.price = (
            event.price if not record.filled else ((record.price * record.filled + event.price * event.quantity) / done)
        )
        record.filled, record.fees = done, record.fees + event.fee
        record.first_fill, record.last_fill = record.first_fill or event.ts, event.ts
        record.executions.append(event.execution_id)
        record.state = "filled" if done >= record.quantity - 1e-9 else "partial"
        record.history.append(f"filled {event.quantity:g} at {event.price:g}")
        if isfinite(record.close) and record.close > 0.0:
            toward = 1.0 if record.side == "buy" else -1.0
            record.slippage_bps = toward * (record.price / record.close - 1.0) * 1e4

    def _book(self, record: OrderRecord, signed: float, event: Fill) -> None:
        """Cash, position and what the shares that leave had cost; a fill that turns a position is split by shares."""
        symbol, held = record.symbol, self._held[record.symbol]
        self._cash -= signed * event.price + event.fee
        closing = -held if held * signed < 0.0 and abs(signed) > abs(held) else signed if held * signed < 0.0 else 0.0
        opening, share = signed - closing, (event.fee / event.quantity if event.quantity else 0.0)
        if closing:
            part = self._basis[symbol] * (-closing / held)
            self._basis[symbol] -= part
            gained = -closing * event.price - part - share * abs(closing)
            record.pnl = gained if not isfinite(record.pnl) else record.pnl + gained
        self._basis[symbol] += opening * event.price + share * abs(opening)
        self._held[symbol] = held + signed
        record.position_after = self._held[symbol]


def read_records(path: Path | str) -> list[OrderRecord]:
    """The records of a journal.

    Raises:
        JournalError: it is not one, or it is damaged.
    """
    journal = SqliteJournal.open(path)
    try:
        records = Records(journal.header)
        for step in steps(journal):
            records.take(step.seq, decode_event(step.event), [decode_command(body) for body in step.commands])
    finally:
        journal.close()
    return records.orders


def of_sessions(
    lines: Iterable[Line], instant: Callable[[Line], int], *, since: str = "", until: str = "", symbols: str = ""
) -> list[Line]:
    """Those whose instant lies in the sessions from `since` to `until`, of these symbols.

    Args:
        instant: UTC nanoseconds of a line; evenings and weekends belong to the session after.
        since, until: dates, both included; "" for no end.
        symbols: names separated by commas; "" for all.

    Raises:
        UsageError: not a date, or `until` before `since`.
    """
    low = as_yyyymmdd(parse_day(since)) if since else 0
    high = as_yyyymmdd(parse_day(until)) if until else 99_999_999
    if high < low:
        raise UsageError(f"--until {until} is before --since {since}; swap them")
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    chosen = [line for line in lines if not names or line.symbol in names]
    if not (since or until):
        return chosen
    session, _, _ = session_columns(np.array([instant(line) for line in chosen], dtype=np.int64), "1s")
    return [line for line, day in zip(chosen, session.tolist(), strict=True) if low <= day <= high]


def write_records(records: Iterable[OrderRecord], path: Path) -> int:
    """Write to a .jsonl or .parquet file, whole or not at all; how many there were.

    Raises:
        UsageError: another ending. ConfigError: the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path.name} ends on neither .jsonl nor .parquet; name the file by what it should be")
    records = list(records)
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jsonl":
            new.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in records))
        else:
            _write_parquet(records, new)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise ConfigError(f"{path} cannot be written ({error.strerror})") from None
    return len(records)


def _write_parquet(records: list[OrderRecord], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "list[str]": pa.list_(pa.string())}
    names = OrderRecord.__struct_fields__
    times = ("decided", "sent", "accepted", "first_fill", "last_fill")
    columns = {}
    for name in names:
        values = [getattr(each, name) for each in records]
        kind = OrderRecord.__annotations__[name]
        if name in times:
            columns[name] = pa.array([value or None for value in values], pa.timestamp("ns", "UTC"))
        elif name == "params":
            columns[name] = pa.array([msgspec.json.encode(value).decode() for value in values], pa.string())
        else:
            columns[name] = pa.array(values, kinds[kind])
    pq.write_table(pa.table(columns), path, compression="zstd")
