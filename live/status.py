"""How a session stands, as `NAME.status` says it: everything that a dashboard shows and a journal does not."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from data.calendar import SECOND_NS
from live.account import Account
from live.brokers.wire_calls import calls_of
from live.control import Asked, FeedState, Status, Used
from live.headroom import headroom
from live.latency import Latency
from live.quotes import Quotes
from live.session import Session
from live.session_venue import VenueSession
from live.standing import Standing


@dataclass(frozen=True)
class Around:
    """What is around a session on a live feed. certificate_until: UTC ns, 0 where there is none."""

    account: Account
    standing: Standing
    quotes: Quotes
    wire: Latency
    certificate_until: int = 0


def status_of(session: Session, around: Around | None = None, now: int = 0) -> Status:
    """How it stands. now: UTC ns on the feed's clock; the last row's without a live feed."""
    core = session.core
    state = core.desk.tally.state
    now = now or core.last_ts
    alive = [order for order in state.open if not order.is_over]
    orders = list(core.orders.values())
    status = Status(
        account=core.plan.account,
        strategy=core.plan.strategy,
        pid=os.getpid(),
        rows=core.counts.rows,
        ts=core.last_ts,
        equity=core.equity,
        cash=core.cash,
        positions={s: held for s, held in zip(core.symbols, core.positions, strict=True) if held != 0.0},
        open_orders=len(alive),
        unknown=sum(order.state in ("unknown", "quarantined") for order in alive),
        halted=core.halted,
        gates_closed=dict(state.closed),
        denied=dict(core.counts.denied),
        said=time.time_ns(),
        broker=core.plan.broker,
        day_pnl=state.value() - state.day_equity,
        orders=sum(order.kind == "market" or order.filled > 0.0 for order in orders),
        fills=sum(len(order.executions) for order in orders),
        headroom=headroom(core, now),
        differences=list(core.findings.differences),
        reconciled=session.reconciled_ns,
        rss_mb=rss_mb(),
        cpu_s=time.process_time(),
        p50_us=_number(session.latency.percentile(50)),
        p99_us=_number(session.latency.percentile(99)),
    )
    if isinstance(session, VenueSession):
        used, allowed = session.broker.requests()
        calls = calls_of(session.broker)
        status = msgspec.structs.replace(
            status,
            budget=Used(float(used), float(allowed)),
            asked=None if calls is None else Asked(calls.total, dict(calls.errors), *calls.lately),
            queue=session.queue,
            token_until=session.broker.token_until,
        )
    if around is None:
        return status
    return msgspec.structs.replace(
        status,
        mode="live" if around.account.trading else "paper",
        equity=marked(session, around.quotes, now),
        feeds=[
            FeedState(part.name, part.state, part.level, _age(part.age_s, part.ts, now), part.gaps)
            for part in around.standing.parts.values()
        ],
        wire_p99_ms=_number(around.wire.percentile(99)) / 1_000.0,
        certificate_until=around.certificate_until,
    )


def marked(session: Session, quotes: Quotes, now: int) -> float:
    """Equity at the newest quotes, at the last row's closes where none is fresh."""
    core = session.core
    prices = core.desk.tally.state.market.price
    value = core.cash
    for j, (symbol, held) in enumerate(zip(core.symbols, core.positions, strict=True)):
        if held != 0.0:
            mid = quotes.mid(symbol, now)
            value += held * (mid if mid == mid else prices[j] if prices else 0.0)
    return value


def rss_mb() -> float:
    """Resident memory of this process now, in MB."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _age(age_s: float, said: int, now: int) -> float:
    """How old the last message is now."""
    return age_s if age_s < 0.0 else age_s + max(now - said, 0) / SECOND_NS


def _number(value: float) -> float:
    """0 for what was never measured."""
    return value if value == value else 0.0
