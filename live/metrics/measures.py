"""Samples of accounts as they were last read; nothing is asked of a runner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from data.calendar import SECOND_NS
from live.control import Asked, FeedState, Status
from live.metrics.names import Sample
from live.watch.story import EXECUTIONS, Story
from live.watch.view import AccountView, share

LEVELS = {"L2": 2.0, "L1": 1.0, "bars": 0.5, "none": 0.0}
FEWEST_ATTEMPTS, FEWEST_REQUESTS = 20, 50
"""Below this a single failure would be a rate of its own."""
MB = 1e6
SIMULATED = "paper"
"""Its fills come with the next row: how long an execution takes is no fact of a broker."""


def measure(views: Iterable[AccountView], now_ns: int, label: Callable[[str], str] = str) -> list[Sample]:
    """Every figure of the accounts.

    Args:
        now_ns: UTC nanoseconds.
        label: what stands for an account's name.
    """
    views = list(views)
    samples = [Sample("onetape_accounts", (), float(len(views)))]
    samples.append(Sample("onetape_host_trade_records", (), float(sum(view.story.fills for view in views))))
    for view in views:
        samples += _account(view, label(view.name), now_ns)
    return [sample for sample in samples if sample.value == sample.value]


def _account(view: AccountView, account: str, now_ns: int) -> Iterator[Sample]:
    place, status = view.place, view.status

    def one(name: str, value: float, *labels: str) -> Sample:
        return Sample(f"onetape_{name}", (account, *labels), float(value))

    mode = "" if status is None else status.mode
    yield one("account_info", 1.0, Path(place.strategy).stem, place.broker, mode)
    yield one("state", 1.0, view.state)
    yield one("up", view.is_running)
    yield one("problem", bool(view.problem))
    yield one("halted", bool(view.halted))
    yield one("journal_bytes", view.journal_bytes)
    yield one("log_bytes", view.log_bytes)
    yield from _story(view.story, one)
    if place.broker != SIMULATED and view.story.executions:
        yield one("execution_seconds", view.story.executions[-1])
        if len(view.story.executions) == EXECUTIONS:
            yield one("execution_fastest_of_ten_seconds", min(view.story.executions))
    if status is None:
        return
    if not status.ended:
        yield one("silent_seconds", max(0.0, view.age_s))
    yield from _status(status, one, now_ns)
    for feed in status.feeds:
        yield from _feed(feed, one)
    gross = 0.0
    for line in view.positions():
        yield one("position_shares", line.ours, line.symbol)
        yield one("position_pnl_dollars", line.pnl, line.symbol)
        gross += abs(line.ours * line.last)
    yield one("gross_dollars", gross)


_One = Callable[..., Sample]


def _story(story: Story, one: _One) -> Iterator[Sample]:
    yield one("orders_total", story.attempts)
    yield one("order_failures_total", story.failures)
    yield one("fills_total", story.fills)
    yield one("fees_dollars_total", story.fees)
    lately = story.lately
    if len(lately) >= FEWEST_ATTEMPTS:
        yield one("order_failure_ratio", sum(lately) / len(lately))
    for (name, level), amount in sorted(story.alerted.items()):
        yield one("alerts_total", amount, name, level)


def _status(status: Status, one: _One, now_ns: int) -> Iterator[Sample]:
    yield one("rows_total", status.rows)
    yield one("equity_dollars", status.equity)
    yield one("cash_dollars", status.cash)
    yield one("day_pnl_dollars", status.day_pnl)
    yield one("open_orders", status.open_orders)
    yield one("unknown_orders", status.unknown)
    yield one("queue_orders", status.queue)
    yield one("reconciliation_differences", len(status.differences))
    if status.ts:
        yield one("row_timestamp_seconds", status.ts / SECOND_NS)
    if status.reconciled:
        yield one("reconciled_age_seconds", max(0.0, (status.ts - status.reconciled) / SECOND_NS))
    for control, amount in sorted(status.denied.items()):
        yield one("denied_total", amount, control)
    for gate in sorted(status.gates_closed):
        yield one("gate_closed", 1.0, gate)
    for limit, used in sorted(status.headroom.items()):
        yield one("headroom_used_ratio", share(used.used, used.limit), limit)
    if status.budget.limit:
        yield one("requests_used", status.budget.used)
        yield one("requests_limit", status.budget.limit)
        yield one("requests_used_ratio", share(status.budget.used, status.budget.limit))
    if status.asked is not None:
        yield from _asked(status.asked, one)
    for quantile, microseconds in (("0.5", status.p50_us), ("0.99", status.p99_us)):
        if microseconds:
            yield one("decision_seconds", microseconds / 1e6, quantile)
    if status.wire_p99_ms:
        yield one("wire_seconds", status.wire_p99_ms / 1e3, "0.99")
    if status.rss_mb:
        yield one("memory_bytes", status.rss_mb * MB)
        yield one("cpu_seconds_total", status.cpu_s)
    if status.certificate_until:
        yield one("certificate_left_seconds", (status.certificate_until - now_ns) / SECOND_NS)
    if status.token_until:
        yield one("token_left_seconds", (status.token_until - now_ns) / SECOND_NS)


def _asked(asked: Asked, one: _One) -> Iterator[Sample]:
    yield one("api_requests_total", asked.total)
    for kind, amount in sorted(asked.errors.items()):
        yield one("api_errors_total", amount, kind)
    if asked.lately >= FEWEST_REQUESTS:
        yield one("api_error_ratio", asked.lately_failed / asked.lately)


def _feed(feed: FeedState, one: _One) -> Iterator[Sample]:
    yield one("feed_stale", feed.state != "fresh", feed.name)
    if feed.age_s >= 0.0:  # it has been heard of
        yield one("feed_age_seconds", feed.age_s, feed.name)
    yield one("feed_level", LEVELS[feed.level], feed.name)
    yield one("feed_gaps_total", feed.gaps, feed.name)
