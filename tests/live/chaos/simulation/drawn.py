"""What a schedule is made of, drawn from its chance: the market, the venue, the plan, and where the process is killed.

The order of the draws is part of what a seed means: another order makes another schedule of every seed.
"""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path
from typing import Any

from live.core.events import SymbolFacts
from live.core.limits import DEFAULTS
from live.core.plan import Plan
from live.header import Feed as FeedOf
from live.header import JournalHeader, built
from live.points import POINTS
from strategies.common.costs import Costs
from strategies.common.load import Strategy, load_strategy
from strategies.common.rule import Rule

from .clock import Timeline
from .faults import Weather
from .market import DAYS, SYMBOLS, Feed, Market
from .venue import Venue

REQUESTS = tuple(f"{kind} {when}" for kind in ("place", "cancel", "look", "books") for when in ("arrives", "answered"))
CASH = 100_000.0


@lru_cache(maxsize=1)
def toy() -> Strategy:
    """The strategy of all schedules."""
    return load_strategy(Path(__file__).with_name("toy.py"))


@lru_cache(maxsize=1)
def code() -> Any:
    """What the header says of the code."""
    return built()


def header(plan: Plan) -> JournalHeader:
    """The first record of the journal."""
    return JournalHeader(plan, FeedOf("toy", True, ""), code())


def market(chance: random.Random, weather: Weather) -> Market:
    """Prices of a piece of a session, or of the end of one and the begin of the next."""
    where = chance.choice(["open", "middle", "middle", "close"]) if weather.has("F30") else "middle"
    days = 2 if weather.has("F30") and chance.random() < 0.5 else 1
    return Market.made(
        chance, chance.choice([16, 20, 24]), days=days, where=where if days == 1 else "close",
        day=chance.choice(DAYS) if weather.has("F30") else DAYS[0],
    )  # fmt: skip


def venue(chance: random.Random, weather: Weather, timeline: Timeline, market: Market, capabilities: Any) -> Venue:
    """The exchange, as wild as the faults of the schedule make it."""
    wild = {"partial": 0.3, "slow_cancel": 0.1}
    if weather.has("F21"):
        wild |= {"partial": 0.7, "early": 0.3, "late_fill": 0.3}
        if chance.random() < 0.1:
            wild["bust"] = 0.05
    if weather.has("F22"):
        wild |= {"late_reject": 0.2, "expire": 0.2}
    if weather.has("F23"):
        wild["slow_cancel"] = 0.5
    return Venue(
        timeline, market, chance, cash=CASH, dedupes=capabilities.dedupes, shorts=capabilities.shorts,
        visible_s=capabilities.visibility_delay_s, remembers_s=max(capabilities.key_window_s, 1.0), wild=wild,
    )  # fmt: skip


def plan(chance: random.Random, weather: Weather, broker: str, capabilities: Any) -> Plan:
    """What the account is to do, with limits that are met now and then."""
    touch = capabilities.pairs and chance.random() < 0.5
    shorts = capabilities.shorts and chance.random() < 0.5
    limits = DEFAULTS | {
        "max_order_usd": chance.choice([2_500.0, 6_000.0]),
        "max_order_pct": 10.0,
        "max_position_pct": chance.choice([6.0, 10.0]),
        "max_gross_pct": chance.choice([8.0, 100.0]),
        "max_messages_minute": chance.choice([10, 30]),
        "max_messages_symbol_minute": chance.choice([4, 20]),
        "max_messages_hour": chance.choice([12, 200]),
        "max_entries_symbol_10_minutes": chance.choice([3, 50]),
        "max_entries_symbol_day": chance.choice([10, 100]),
        "cooldown_rows": chance.choice([0, 2]),
        "max_loss_streak": chance.choice([2, 50]),
        "max_stop_outs_day": 50,
        "allow_shorts": shorts,
        "first_entry_s": chance.choice([10.0, 60.0]),
        "last_entry_s": chance.choice([60.0, 300.0]),
        "settled_cash_only": False,
        "day_trade_policy": "off",
        "max_unknown_symbol": chance.choice([1, 2]),
    }
    mood = 0
    if weather.has("F38"):
        mood = chance.choice([1, 2, 3, 4, 5])
    elif chance.random() < 0.3:
        mood = 1
    rule = Rule(
        size=chance.choice([0.02, 0.024, 0.05]), stops="touch" if touch else "close", shorts=shorts,
        flat_before_s=chance.choice([0.0, 30.0]), time_stop=chance.choice([0, 4]), cooldown=chance.choice([0, 1]),
    )  # fmt: skip
    return Plan.of(
        toy(), list(SYMBOLS), account="toy", rule=rule, costs=Costs.free(), cash=CASH, broker=broker,
        params={"mood": mood, "trail": chance.choice([0.0, 0.3])}, limits=limits,
        async_cancels=capabilities.cancel_is_async,
    )  # fmt: skip


def kills(chance: random.Random, weather: Weather) -> dict[tuple[str, int], str]:
    """(point, occurrence) to how the process dies there: killed, or with the power."""
    planned = {}
    for fault, how in (("F01", "killed"), ("F02", "power")):
        if weather.has(fault):
            names = chance.sample(POINTS + REQUESTS, 8) + chance.sample(REQUESTS[:2] + POINTS[:24], 4)
            for name in names:
                planned[(name, chance.randint(1, 3))] = how
    return planned


def feed(chance: random.Random, weather: Weather, market: Market) -> Feed:
    """The rows as the process is told them; their codes are what the strategy does."""
    menu = [0, 0, 1, 1, 2, 3, 4, 5] + ([7] if weather.has("F38") else [])
    codes = [[chance.choice(menu) for _ in SYMBOLS] for _ in market.times]
    rows = market.rows(codes, with_book=True)
    faults = ("F14", "F15", "F16", "F17", "F18", "F32")
    return Feed(rows, chance, {name: weather.odds[name] for name in faults if weather.has(name)})


def facts_of(
    market: Market, symbol: str, ts: int, *, halted: bool = False, resumed: int = 0, action: bool = False
) -> SymbolFacts:
    """What is known of a symbol besides its rows."""
    close = market.paths[SYMBOLS.index(symbol)][0]
    return SymbolFacts(
        ts, symbol, average_volume=5e6, average_dollar_volume=5e8, reference_close=close, listed_days=5_000,
        is_leveraged=False, has_corporate_action=action, is_halted=halted, resumed_ts=resumed,
        is_easy_to_borrow=True,
    )  # fmt: skip
