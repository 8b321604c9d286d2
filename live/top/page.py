"""What the dashboard shows at one time, as plain text in tables: made apart from the screen, so that it can be tested.

A cell that is a number is right-aligned on screen; `!` before a word asks for attention.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from live.alerts.book import Active, active_alerts
from live.control import Asked, FeedState, Status
from live.metrics.measures import FEWEST_REQUESTS
from live.top.words import age, bar, clock, count, day, moment, money, number, signed
from live.watch.lines import last_lines
from live.watch.roster import Place
from live.watch.story import Happened, OrderStory
from live.watch.view import AccountView, share

NARROW = ("account", "state", "equity", "day P&L", "pos", "ord", "feed", "said")
WIDE = (
    "account", "state", "strategy", "broker", "equity", "day P&L", "pos", "ord", "unk", "denied", "feed", "requests",
    "queue", "p99", "to wire", "memory", "said",
)  # fmt: skip
POSITIONS = ("symbol", "ours", "theirs", "price", "last", "P&L", "")
ORDERS = ("decided", "symbol", "quantity", "state", "filled", "price", "reason", "history")
SHOWN_ORDERS = 100
SHOWN_ALERTS = 50
SHOWN_LINES = 200
BAR = 20
FAILED, MOST_FAILED = "requests failed", 0.02


class Line(NamedTuple):
    """One row of a table; key: the same row of the next page."""

    key: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class OrderPage:
    """An order in full. title: what it is; history: oldest first."""

    title: str
    history: tuple[Happened, ...]


@dataclass(frozen=True)
class Page:
    """One screenful. selected: the key of the account shown below. places: the files of every account that has any."""

    summary: str
    accounts: list[Line]
    selected: str = ""
    places: dict[str, Place] = field(default_factory=dict)
    name: str = ""
    positions: list[Line] = field(default_factory=list)
    orders: list[Line] = field(default_factory=list)
    details: dict[str, OrderPage] = field(default_factory=dict)
    risk: str = ""
    feeds: str = ""
    alerts: str = ""
    log: str = ""
    hint: str = ""


def page(views: list[AccountView], selected: str, now_ns: int, *, wide: bool, alerts: Path, where: str) -> Page:
    """What to show.

    Args:
        selected: key of the account to show below; the first one where it is not there.
        alerts: folder of the alert daemon's book.
        where: where accounts were looked for, for the page without any.
    """
    lines = [Line(key_of(view), _account(view, wide=wide)) for view in views]
    standing = active_alerts(alerts)
    top = _summary(views, standing, now_ns)
    chosen = next((view for view in views if key_of(view) == selected), views[0] if views else None)
    if chosen is None:
        hint = f"no account files in {where}: copy live/accounts/paper.toml there, and run it"
        return Page(top, lines, hint=hint)
    orders = sorted(chosen.story.orders.values(), key=lambda order: order.decided, reverse=True)[:SHOWN_ORDERS]
    return Page(
        summary=top,
        accounts=lines,
        selected=key_of(chosen),
        places={key_of(view): view.place for view in views if not view.place.problem},
        name=chosen.name,
        positions=[Line(line[0], line) for line in _positions(chosen)],
        orders=[Line(order.order_id, _order(order, wide=wide)) for order in orders],
        details={order.order_id: _detail(order) for order in orders},
        risk=_risk(chosen, now_ns),
        feeds=_feeds(chosen),
        alerts=_alerts(chosen, standing),
        log=_log(chosen),
        hint=_hint(views, chosen),
    )


def key_of(view: AccountView) -> str:
    """What names an account among those shown."""
    return str(view.place.path)


def _summary(views: list[AccountView], standing: list[Active], now_ns: int) -> str:
    states: Counter[str] = Counter(view.state for view in views)
    order = ("problem", "silent", "halted", "running", "ended", "never run")
    said = ", ".join(f"{states[state]} {state}" for state in order if states[state])
    made = sum(view.status.day_pnl for view in views if view.status is not None)
    parts = [f"{clock(now_ns)} UTC", f"day P&L {signed(made)}"]
    parts += [f"! {count(len(standing), 'alert')}"] if standing else []
    return " | ".join([*parts, f"{count(len(views), 'account')}{': ' if said else ''}{said}"])


def _account(view: AccountView, *, wide: bool) -> tuple[str, ...]:
    status, names = view.status, WIDE if wide else NARROW
    state = f"! {view.state}" if view.state in ("problem", "silent", "halted") else view.state
    cells = {"account": view.name, "state": state, "said": age(view.age_s)}
    cells |= {"strategy": Path(view.place.strategy).stem, "broker": view.place.broker}
    if status is not None:
        cells |= _figures(status)
    return tuple(cells.get(name, "-") for name in names)


def _figures(status: Status) -> dict[str, str]:
    lost = f"!{status.unknown}" if status.unknown else "0"
    return {
        "broker": status.broker + (" LIVE" if status.mode == "live" else ""),
        "strategy": status.strategy,
        "equity": money(status.equity),
        "day P&L": signed(status.day_pnl),
        "pos": str(len(status.positions)),
        "ord": str(status.open_orders) + (f" {lost}" if status.unknown else ""),
        "unk": lost,
        "denied": str(sum(status.denied.values())),
        "feed": _worst(status.feeds),
        "requests": f"{number(status.budget.used)}/{number(status.budget.limit)}" if status.budget.limit else "-",
        "queue": str(status.queue),
        "p99": f"{status.p99_us:.0f} us" if status.p99_us == status.p99_us and status.p99_us else "-",
        "to wire": f"{status.wire_p99_ms:.1f} ms" if status.wire_p99_ms else "-",
        "memory": f"{status.rss_mb:.0f} MB" if status.rss_mb else "-",
    }


def _worst(feeds: Iterable[FeedState]) -> str:
    found = sorted(feeds, key=lambda feed: (("fresh", "stale", "absent").index(feed.state), feed.age_s))
    if not found:
        return "-"
    feed = found[-1]
    return f"fresh {age(feed.age_s)}" if feed.state == "fresh" else f"! {feed.state} {age(feed.age_s)}"


def _positions(view: AccountView) -> list[tuple[str, ...]]:
    return [
        (
            line.symbol,
            f"{line.ours:+,g}",
            "-" if line.broker is None else f"{line.broker:+,g}",
            f"{line.price:.4f}" if line.price == line.price else "-",
            f"{line.last:.4f}" if line.last == line.last else "-",
            signed(line.pnl),
            "! differs" if line.differs else "",
        )
        for line in view.positions()
    ]


def _order(order: OrderStory, *, wide: bool) -> tuple[str, ...]:
    alert = "! " if order.state in ("unknown", "quarantined") else ""
    return (
        moment(order.decided) if wide else clock(order.decided),
        order.symbol,
        f"{order.quantity:+,g}",
        alert + order.state,
        f"{order.filled:+,g}" if order.filled else "-",
        f"{order.price:.4f}" if order.price == order.price else "-",
        order.reason,
        ", ".join(f"{clock(line.ts)} {line.what}" for line in order.history),
    )


def _detail(order: OrderStory) -> OrderPage:
    side = "buy" if order.quantity > 0.0 else "sell"
    what = f"{order.kind} {order.terms}".strip()
    title = f"{side} {abs(order.quantity):g} {order.symbol}, {what} ({order.reason})\n{order.order_id}"
    return OrderPage(title, tuple(order.history))


def _risk(view: AccountView, now_ns: int) -> str:
    status = view.status
    if status is None:
        return "nothing yet: the account has not run"
    used = sorted(status.headroom.items(), key=lambda item: -share(item[1].used, item[1].limit))
    if status.budget.limit:
        used.append(("requests a minute", status.budget))
    names = [name for name, _ in used] + ([FAILED] if status.asked is not None else [])
    width = max(map(len, names), default=0)
    lines = []
    for name, part in used:
        taken = share(part.used, part.limit)
        full = "  ! at its limit" if taken >= 1.0 else ""
        lines.append(
            f"{name.ljust(width)} {bar(taken, BAR)} {taken:4.0%}  {number(part.used)} of {number(part.limit)}{full}"
        )
    lines += _asked(status.asked, width)
    if not status.headroom:
        lines.append("its runner names no limits; python -m live limits prints those there are")
    lines += [f"! halted      {view.halted}"] if view.halted else []
    lines += [f"! waits for   {gate}: {why or 'not yet in order'}" for gate, why in sorted(status.gates_closed.items())]
    lines += [f"denied        {code}, {count(amount, 'time')}" for code, amount in sorted(status.denied.items())]
    lines += [f"! differs     {difference}" for difference in status.differences]
    if status.reconciled:
        lines.append(f"compared      {moment(status.reconciled)} UTC")
    lines += _ends("certificate", status.certificate_until, now_ns) + _ends("token", status.token_until, now_ns)
    return "\n".join(lines)


def _asked(asked: Asked | None, width: int) -> list[str]:
    """How requests to the broker went: lately, and what failed since its runner started, by kind."""
    if asked is None:
        return []
    taken = share(asked.lately_failed, asked.lately)
    kinds = ", ".join(f"{kind} {number(amount)}" for kind, amount in sorted(asked.errors.items()) if amount)
    attention = "! " if taken > MOST_FAILED and asked.lately >= FEWEST_REQUESTS else ""
    said = f"{number(asked.lately_failed)} of {number(asked.lately)}; all: {kinds or 'none'}"  # within 80 columns
    return [f"{FAILED.ljust(width)} {bar(taken, BAR)} {taken:4.0%}  {attention}{said}"]


def _ends(what: str, until: int, now_ns: int) -> list[str]:
    if not until:
        return []
    left = (until - now_ns) / 1e9
    return [f"{what.ljust(13)} until {day(until)}" + (f", {age(left)} left" if left > 0.0 else "  ! over")]


def _feeds(view: AccountView) -> str:
    if view.status is None or not view.status.feeds:
        return "no feed has been heard of"
    width = max(len(feed.name) for feed in view.status.feeds)
    return "\n".join(
        f"{feed.name.ljust(width)}  {'' if feed.state == 'fresh' else '! '}{feed.state}, gives {feed.level}, "
        f"last {age(feed.age_s)} ago, {count(feed.gaps, 'gap')}"
        for feed in view.status.feeds
    )


def _alerts(view: AccountView, standing: list[Active]) -> str:
    """What stands, of every account; then what the core of this one told, the newest first."""
    lines = [
        f"! {alert.severity:<8} {moment(alert.since)} {alert.name}: {alert.text}"
        + (f" (seen by {alert.seen_by})" if alert.seen_by else "")
        for alert in standing
    ]
    told = list(view.story.alerts)[-SHOWN_ALERTS:]
    lines += [f"  {alert.level:<8} {moment(alert.ts)} {alert.name}: {alert.text}" for alert in reversed(told)]
    return "\n".join(lines) or "no alerts"


def _log(view: AccountView) -> str:
    return "\n".join(last_lines(view.place.log, SHOWN_LINES)) or f"no log: {view.place.log.name} is empty"


def _hint(views: list[AccountView], chosen: AccountView) -> str:
    if chosen.problem:
        return chosen.problem
    if all(view.status is None for view in views):
        return f"no account has run yet: python -m live run {chosen.place.path} --replay TAPE"
    if chosen.status is None:
        return f"{chosen.name} has not run yet: python -m live run {chosen.place.path} --replay TAPE"
    if chosen.is_silent:
        gone = f"{chosen.name} has said nothing for {age(chosen.age_s)}: its process, {chosen.status.pid}, may be gone"
        return f"{gone}; it is halted: {chosen.halted}" if chosen.halted else gone
    return f"{chosen.name} is halted: {chosen.halted}" if chosen.halted else ""
