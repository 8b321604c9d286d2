"""The capacity plan in its own formulas, beside what was measured, and where the plan itself is wrong.

    RAM of a runner    = base 100 MB + market cache 50 MB + log buffer 50 MB
    API calls a day    = accounts x trades x 10 + accounts x 500
    storage            = trades x 1 KB x 90 days + 3 x 10 MB
    cost of a trade    = dollars a month / trades a month
    break-even         = dollars a month / 49

A trade is one order that filled; a month has 21 sessions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

BASE_MB, CACHE_MB, LOG_BUFFER_MB = 100.0, 50.0, 50.0
CALLS_A_TRADE, CALLS_AN_ACCOUNT = 10.0, 500.0
TRADE_KB, KEPT_DAYS, LOGS_MB = 1.0, 90.0, 3 * 10.0
FEE = 49.0
SESSIONS_A_MONTH = 21
SESSION_MINUTES = 390
TRADES_A_DAY = 20.0


class Tier(msgspec.Struct, frozen=True):
    """A stage of growth as the plan has it. dollars: a month. breaks: what gives first, by the plan's own figures."""

    number: int
    accounts: int
    dollars: float
    host_mb: float
    store: str
    breaks: str


TIERS = (
    Tier(0, 1, 131.0, 2_048.0, "SQLite journal, cache in the process", "nothing of the machine: the vendors' minutes"),
    Tier(1, 5, 267.0, 2_048.0, "the same, one hub and shared pages", "the plan's memory: 5 x 200 MB is half of 2 GB"),
    Tier(2, 20, 575.0, 8_192.0, "PostgreSQL, Redis, Prometheus, Grafana", "one file system's fsyncs at a common close"),
    Tier(3, 100, 2_976.0, 32_768.0, "RabbitMQ as courier, a schema per customer", "the broker's requests a minute"),
)


class Plan(msgspec.Struct, frozen=True):
    """The plan's figures for so many accounts. Memory and storage in MB, calls a day, dollars a month and a trade."""

    accounts: int
    trades: float
    ram_mb: float
    calls: float
    storage_mb: float
    dollars: float
    dollars_a_trade: float
    break_even: int


class Measured(msgspec.Struct, frozen=True):
    """What the journals and processes of a host say; NaN where nothing was measured.

    accounts: those with a journal; sessions: days in it, of the account with most. Per account and session: trades,
    rows, journal_mb, calls. pss_mb: of a runner, its share of shared pages included; rss_mb: without sharing.
    cpu_share: of one core, of a runner. p99_us: of a decision. records: trades kept in all.
    """

    accounts: int = 0
    sessions: int = 0
    trades: float = math.nan
    rows: float = math.nan
    journal_mb: float = math.nan
    calls: float = math.nan
    pss_mb: float = math.nan
    rss_mb: float = math.nan
    cpu_share: float = math.nan
    p99_us: float = math.nan
    records: int = 0


class Host(msgspec.Struct, frozen=True):
    """The machine. Memory and disk in MB and used shares; dollars a month; log_mb: the largest log file."""

    memory_mb: float
    memory_used: float
    disk_mb: float
    disk_used: float
    cpus: int
    log_mb: float = 0.0


class Trigger(msgspec.Struct, frozen=True):
    """A threshold of the plan. used: of it, 1.0 when it is reached. days: until then at this pace, infinite for never.

    at_accounts: how many accounts reach it, by what one was measured to take; 0 where that says nothing.
    """

    name: str
    value: float
    limit: float
    unit: str
    used: float
    days: float = math.inf
    at_accounts: int = 0


class Line(msgspec.Struct, frozen=True):
    """A figure of the plan beside the measured one. ratio: measured over plan."""

    name: str
    plan: float
    measured: float
    unit: str

    @property
    def ratio(self) -> float:
        """Measured over plan."""
        return self.measured / self.plan if self.plan else math.nan


def tier_of(accounts: int) -> Tier:
    """The smallest tier that has room for so many."""
    return next((tier for tier in TIERS if accounts <= tier.accounts), TIERS[-1])


def plan_of(accounts: int, trades: float = TRADES_A_DAY) -> Plan:
    """The plan's own formulas.

    Args:
        trades: of an account in a session.
    """
    dollars = tier_of(accounts).dollars
    monthly = accounts * trades * SESSIONS_A_MONTH
    return Plan(
        accounts=accounts,
        trades=trades,
        ram_mb=accounts * (BASE_MB + CACHE_MB + LOG_BUFFER_MB),
        calls=accounts * trades * CALLS_A_TRADE + accounts * CALLS_AN_ACCOUNT,
        storage_mb=accounts * trades * TRADE_KB * KEPT_DAYS / 1_000.0 + LOGS_MB,
        dollars=dollars,
        dollars_a_trade=dollars / monthly if monthly else math.inf,
        break_even=math.ceil(dollars / FEE),
    )


def side_by_side(accounts: int, plan: Plan, measured: Measured) -> list[Line]:
    """The plan's figures and the measured ones, both for so many accounts."""
    return [
        Line("memory of all runners", plan.ram_mb, accounts * measured.pss_mb, "MB"),
        Line("memory of one runner", plan.ram_mb / accounts, measured.pss_mb, "MB"),
        Line("API calls a day", plan.calls, accounts * measured.calls, "calls"),
        Line("storage of 90 days", plan.storage_mb, accounts * measured.journal_mb * KEPT_DAYS + LOGS_MB, "MB"),
        Line("trades of an account a day", plan.trades, measured.trades, "trades"),
        Line("one trade in the journal", TRADE_KB, _kb_a_trade(measured), "KB"),
    ]


def _kb_a_trade(measured: Measured) -> float:
    return measured.journal_mb * 1_000.0 / measured.trades if measured.trades > 0.0 else math.nan


def triggers(accounts: int, measured: Measured, host: Host, dollars: float) -> list[Trigger]:
    """Every threshold of the plan that can be told ahead, the nearest first.

    Args:
        dollars: spent in a month.
    """
    trades_a_day = accounts * measured.trades
    mb_a_day = accounts * measured.journal_mb
    base_mb = host.memory_mb * host.memory_used - measured.accounts * _or(measured.pss_mb, 0.0)
    room = (0.8 * host.memory_mb - base_mb) / measured.pss_mb if measured.pss_mb > 0.0 else 0.0
    cores = 0.7 * host.cpus / measured.cpu_share if measured.cpu_share > 0.0 else 0.0
    found = [
        Trigger("memory", 100.0 * host.memory_used, 80.0, "%", host.memory_used / 0.8, at_accounts=max(0, int(room))),
        Trigger("cpu", 100.0 * accounts * measured.cpu_share / host.cpus, 70.0, "%",
                accounts * measured.cpu_share / host.cpus / 0.7, at_accounts=int(min(cores, 1e6))),
        Trigger("disk", 100.0 * host.disk_used, 80.0, "%", host.disk_used / 0.8,
                _days((0.8 - host.disk_used) * host.disk_mb, mb_a_day)),
        Trigger("log file", host.log_mb, 100.0, "MB", host.log_mb / 100.0),
        Trigger("trade records", float(measured.records), 100_000.0, "records", measured.records / 100_000.0,
                _days(100_000.0 - measured.records, trades_a_day)),
        Trigger("monthly cost", dollars, 200.0, "dollars", dollars / 200.0),
    ]  # fmt: skip
    return sorted(found, key=lambda each: -_or(each.used, 0.0))


def nearest(found: Sequence[Trigger]) -> str:
    """Which threshold comes first, and when, in one sentence."""
    over = [each for each in found if each.used >= 1.0]
    if over:
        return "reached already: " + ", ".join(f"{each.name} ({each.value:,.0f} {each.unit})" for each in over)
    soon = min(found, key=lambda each: each.days)
    if soon.days < math.inf:
        return f"{soon.name} comes first, in {soon.days:,.0f} calendar days at this pace"
    return f"{found[0].name} is nearest, at {found[0].used:.0%} of its limit; no pace is known yet"


def mistakes(trades: float, measured: Measured) -> Iterator[str]:
    """Where the plan's own figures do not hold, by themselves or against what was measured."""
    session = 60 * SESSION_MINUTES
    yield (
        f"60 calls a minute are 86,400 a day only if all 1,440 minutes are used; a session has {SESSION_MINUTES}, "
        f"so {session:,} at most, and half of that at the 30 a minute this program keeps to"
    )
    yield "the market-data plan it prices has no depth for US equities: L2 is polled from Robinhood or not there"
    for tier in TIERS:
        need = math.ceil(tier.dollars / FEE)
        if need > tier.accounts:
            yield (
                f"tier {tier.number} never breaks even: {tier.dollars:,.0f} dollars need {need} accounts, it has "
                f"{tier.accounts}"
            )
    yield "the alarm at 200 dollars a month rings from the first day of tier 1, which costs 267"
    hundred = 100 * trades * SESSIONS_A_MONTH
    if hundred > 0.0:
        months = 100_000 / hundred
        made = f"100 accounts with {trades:g} trades a day make {hundred:,.0f} records a month: the alarm at 100,000"
        early = f"{made} rings after {months:.1f} months, inside the 90 days that are kept"
        yield early if months <= 3.0 else f"{made} rings after {months:.0f} months, too late to warn of anything"
    yield (
        f"500 calls a day for an account are less than two a minute of a session: comparing the books every 60 s is "
        f"{SESSION_MINUTES} of them before anything is polled"
    )
    if measured.pss_mb == measured.pss_mb:
        plan = BASE_MB + CACHE_MB + LOG_BUFFER_MB
        yield f"a runner takes {measured.pss_mb:.0f} MB here, not {plan:.0f}: base, cache and log share their pages"
    if measured.journal_mb == measured.journal_mb and measured.trades > 0.0:
        yield (
            f"a trade is not what fills the disk: an account writes {measured.journal_mb:.2f} MB a session here, of "
            f"{measured.rows:,.0f} rows and {measured.trades:.0f} trades, which makes {_kb_a_trade(measured):,.1f} KB "
            f"a trade, not 1"
        )


def _days(left: float, a_session: float) -> float:
    """Calendar days until something is used up that grows by sessions."""
    if not a_session > 0.0:
        return math.inf
    return max(0.0, left) / a_session * 365.0 / 252.0


def _or(value: float, other: float) -> float:
    return value if value == value else other
