"""How a session ended, in numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from live.session import Session


class Summary(msgspec.Struct, frozen=True):
    """How a session ended. rows: decided on in all, resumed: those of them that the journal held already.

    p50_us, p99_us: of decisions, row in to commands out. rss_mb: the most memory this process ever held.
    """

    account: str
    strategy: str
    rows: int
    resumed: int
    orders: int
    fills: int
    equity: float
    cash: float
    positions: dict[str, float]
    halted: str
    p50_us: float
    p99_us: float
    rss_mb: float
    digest: str
    journal: str
    stopped_by: str


def summary_of(session: Session, path: Path, stopped_by: str) -> Summary:
    """The numbers of a session; `path` is its journal's, `stopped_by` the signal that ended it or ''."""
    core = session.core
    done = list(core.orders.values())
    return Summary(
        account=core.plan.account,
        strategy=core.plan.strategy,
        rows=core.counts.rows,
        resumed=session.resumed,
        orders=sum(order.kind == "market" or order.filled > 0.0 for order in done),
        fills=sum(len(order.executions) for order in done),
        equity=core.equity,
        cash=core.cash,
        positions={s: held for s, held in zip(core.symbols, core.positions, strict=True) if held != 0.0},
        halted=core.halted,
        p50_us=session.latency.percentile(50),
        p99_us=session.latency.percentile(99),
        rss_mb=peak_rss_mb(),
        digest=core.digest(),
        journal=str(path),
        stopped_by=stopped_by,
    )


def peak_rss_mb() -> float:
    """The most resident memory this process ever held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory at the moment of the fork
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
