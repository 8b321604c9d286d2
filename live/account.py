"""One account file: who trades what, with which rule, and where its journal lies. Never a secret.

    name = "paper"
    strategy = "momentum"
    broker = "paper"
    cash = 100_000

    [params]
    fast = 15

    [rule]
    max_positions = 3

    [costs]
    slippage_bps = 1.0

    [limits]
    max_order_usd = 2_500

`symbols` and `clock` are the tape's and the strategy's where they are not given; `state` is the folder of journal and
lock, relative to the checkout.

What only a live feed and a broker of its own need:

    feed = "alpaca:sip"          where the rows come from; also --feed
    watchlist = "today.toml"     symbols by rank, as `python -m research scan --out` writes them, instead of `symbols`
    needs = "L1"                 what must be fresh before a position is opened: L2, L1, or bars
    warm = 390                   rows of history that the indicators see first
    leveraged = []               which of the symbols are leveraged or inverse; a person says so, no vendor does
    unofficial = true            for broker "robinhood_private": that its standing is known
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from data.calendar import parse_clock
from data.door import did_you_mean
from data.errors import ConfigError, OnetapeError, UsageError
from data.rows import Header as FeedHeader
from live.brokers import broker_names
from live.core.plan import Plan
from live.header import CHECKOUT
from live.risk_limits import checked
from strategies.common.costs import Costs
from strategies.common.load import Strategy, load_strategy
from strategies.common.rule import Rule

VENDORS = ("alpaca", "polygon")
Level = Literal["L2", "L1", "bars"]
LEVELS: tuple[Level, ...] = ("L2", "L1", "bars")
MOST_WATCHED = 5
"""Symbols that the data plans stream; of a longer watchlist the first are taken."""
MOST_WARM = 100_000
SECRETS = re.compile(r"pass(word|wd)|secret|token|api_?key|private|mfa|otp", re.IGNORECASE)


@dataclass(frozen=True)
class Account:
    """An account file, checked.

    symbols: None for all of the feed's. trading: True lets orders go to a broker with money, once it is armed (see
    `live.risk_arming`): path, certificate and suffix are what arming asks for. feed: a vendor, with its feed behind a
    colon. watches: its symbols are a watchlist's. needs: what must be fresh to open. warm: rows of history first.
    leveraged: None where nobody said.
    """

    name: str
    strategy: Strategy
    params: dict[str, Any]
    rule: Rule
    costs: Costs
    symbols: tuple[str, ...] | None
    clock: str
    cash: float
    broker: str
    trading: bool
    state: Path
    limits: dict[str, Any]
    path: Path
    certificate: Path | None
    suffix: str
    feed: str = ""
    watches: bool = False
    needs: Level = "bars"
    warm: int = 0
    leveraged: tuple[str, ...] | None = None
    unofficial: bool = False

    @property
    def journal(self) -> Path:
        """Where the journal lies when no other place is given."""
        return self.state / f"{self.name}.journal"

    @property
    def lock(self) -> Path:
        """The file that one runner at a time holds."""
        return self.state / f"{self.name}.lock"

    def plan(self, feed: FeedHeader) -> Plan:
        """What to trade on this feed.

        Raises:
            ConfigError: another clock, or a symbol that the feed does not have.
        """
        if feed.clock != self.clock:
            raise ConfigError(
                f"account {self.name!r} trades rows of {self.clock}, the feed has {feed.clock}; "
                f'take another tape, or write clock = "{feed.clock}" in the account file'
            )
        for symbol in self.symbols or ():
            if symbol not in feed.symbols:
                hint = did_you_mean(symbol, feed.symbols)
                raise ConfigError(f"account {self.name!r}: symbol {symbol!r} is not in the feed{hint}")
        return self.plan_of(list(self.symbols or feed.symbols))

    def plan_of(self, symbols: list[str], *, async_cancels: bool = False) -> Plan:
        """What to trade of these symbols."""
        return Plan.of(
            self.strategy,
            symbols,
            account=self.name,
            params=self.params,
            rule=self.rule,
            costs=self.costs,
            clock=self.clock,
            cash=self.cash,
            broker=self.broker,
            limits=self.limits,
            async_cancels=async_cancels,
        )


@dataclass(frozen=True)
class _Key:
    """A key of the file: its type in words and in Python."""

    words: str
    kinds: tuple[type, ...]
    default: Any = None
    required: bool = False


_KEYS = {
    "name": _Key("a text", (str,), required=True),
    "strategy": _Key("a text", (str,), required=True),
    "broker": _Key("a text", (str,), "paper"),
    "trading": _Key("true or false", (bool,), False),
    "cash": _Key("a number", (int, float), 100_000.0),
    "clock": _Key("a text", (str,)),
    "symbols": _Key("a list of texts", (list,)),
    "state": _Key("a text", (str,), "out/live"),
    "certificate": _Key("a text", (str,), ""),
    "account_suffix": _Key("a text", (str,), ""),
    "feed": _Key("a text", (str,), ""),
    "watchlist": _Key("a text", (str,), ""),
    "needs": _Key("a text", (str,), ""),
    "warm": _Key("a whole number", (int,), 0),
    "leveraged": _Key("a list of texts", (list,)),
    "unofficial": _Key("true or false", (bool,), False),
    "params": _Key("a table", (dict,)),
    "rule": _Key("a table", (dict,)),
    "costs": _Key("a table", (dict,)),
    "limits": _Key("a table", (dict,)),
}


def with_feed(account: Account, feed: str) -> Account:
    """The account with another feed, where one is given.

    Raises:
        ConfigError: there is no such feed.
    """
    return account if not feed else replace(account, feed=_feed(feed))


def load_account(path: Path | str) -> Account:
    """The account of a file.

    Raises:
        ConfigError: the file cannot be read, a key is unknown, missing, secret or of the wrong type, a value is out of
            its range, or the account wants more than this version can do.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"account file {path} cannot be read ({error.strerror}); live/accounts/paper.toml is an example"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"account file {path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"account file {path} is not TOML: {error}") from None
    try:
        return _account(_values(table), path)
    except OnetapeError as error:
        raise ConfigError(f"account file {path.name}: {error}") from None


def _values(table: dict[str, Any]) -> dict[str, Any]:
    """Every key of the file with its type checked, the others at their defaults."""
    _refuse_secrets(table)
    for given in table:
        if given not in _KEYS:
            raise ConfigError(f"there is no key {given!r}{did_you_mean(given, _KEYS)}")
    values: dict[str, Any] = {}
    for name, key in _KEYS.items():
        value = table.get(name)
        if value is None:
            if key.required:
                raise ConfigError(f"key {name!r} is missing; write {name} = ...")
            value = {} if key.kinds == (dict,) else key.default
        elif not isinstance(value, key.kinds) or (isinstance(value, bool) and bool not in key.kinds):
            raise ConfigError(f"{name} must be {key.words}, got {value!r}")
        values[name] = value
    return values


def _refuse_secrets(table: dict[str, Any], where: str = "") -> None:
    for key, value in table.items():
        if SECRETS.search(key):
            raise ConfigError(f"{where}{key} looks like a secret; account files hold none, put it in .env")
        if isinstance(value, dict):
            _refuse_secrets(value, f"{key}.")


def _account(values: dict[str, Any], path: Path) -> Account:
    name = values["name"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise ConfigError(f"name must be letters, digits, - and _, got {name!r}")
    broker, brokers = values["broker"], broker_names()
    if broker == "paper" and values["trading"]:
        raise ConfigError('trading = true with broker "paper" is refused: paper has no money; leave trading out')
    if broker not in brokers:
        raise ConfigError(f"there is no broker {broker!r}{did_you_mean(broker, brokers)}")
    if values["unofficial"] and broker != "robinhood_private":
        raise ConfigError(f'unofficial = true is for broker "robinhood_private"; {broker!r} is official, leave it out')
    strategy = load_strategy(_strategy_name(values["strategy"], path))
    clock = values["clock"] or strategy.clock
    parse_clock(clock)
    cash = float(values["cash"])
    if not 0.0 < cash < 1e12:
        raise ConfigError(f"cash must be a positive number of dollars, got {values['cash']!r}")
    return Account(
        name=name,
        strategy=strategy,
        params=strategy.bind(values["params"]),
        rule=_overridden(strategy.rule, values["rule"]),
        costs=_overridden(Costs(), values["costs"]),
        symbols=_watched(values, path),
        clock=clock,
        cash=cash,
        broker=broker,
        trading=values["trading"],
        state=CHECKOUT / Path(values["state"]).expanduser(),
        limits=checked(values["limits"], live=broker != "paper"),
        path=path,
        certificate=path.parent / values["certificate"] if values["certificate"] else None,
        suffix=values["account_suffix"],
        feed=_feed(values["feed"]),
        watches=bool(values["watchlist"]),
        needs=_needs(values["needs"], strategy),
        warm=_warm(values["warm"]),
        leveraged=_leveraged(values["leveraged"]),
        unofficial=values["unofficial"],
    )


def _strategy_name(given: str, path: Path) -> str:
    """A name stays one; a file is looked for beside the account file."""
    if given.endswith(".py") or "/" in given:
        return str(path.parent / Path(given).expanduser())
    return given


def _overridden(base: Any, table: dict[str, Any]) -> Any:
    for key, value in table.items():
        if not isinstance(value, str | bool | int | float):
            raise UsageError(f"{key} must be a single value, got {value!r}")
    return base.changed(table)


def _feed(given: str) -> str:
    vendor, _, _ = given.partition(":")
    if given and vendor not in VENDORS:
        raise ConfigError(
            f"feed = {given!r} is none; there is {' and '.join(VENDORS)}, each with its own feed behind a colon, such "
            f'as "alpaca:sip"{did_you_mean(vendor, VENDORS)}'
        )
    return given


def _needs(given: str, strategy: Strategy) -> Level:
    """What was said; else best quotes for a strategy that takes a book, rows alone for any other."""
    if not given:
        return "L1" if strategy.needs_book else "bars"
    if given not in LEVELS:
        raise ConfigError(f"needs = {given!r} is none of {', '.join(LEVELS)}{did_you_mean(given, LEVELS)}")
    return given


def _warm(given: int) -> int:
    if not 0 <= given <= MOST_WARM:
        raise ConfigError(f"warm must be a number of rows from 0 to {MOST_WARM}, got {given}")
    return given


def _leveraged(given: list[Any] | None) -> tuple[str, ...] | None:
    if given is not None and not all(isinstance(symbol, str) for symbol in given):
        raise ConfigError(f"leveraged must be a list of texts, got {given!r}")
    return None if given is None else tuple(given)


def _watched(values: dict[str, Any], path: Path) -> tuple[str, ...] | None:
    """The account's symbols: its own, or the first of a watchlist."""
    if not values["watchlist"]:
        return _symbols(values["symbols"])
    if values["symbols"] is not None:
        raise ConfigError("symbols and watchlist are both given; a watchlist names the symbols, keep one of the two")
    file = path.parent / Path(values["watchlist"]).expanduser()
    make = f"make one: python -m research scan ... --out {file.name}"
    try:
        ranked = tomllib.loads(file.read_text("utf-8")).get("symbols")
    except OSError as error:
        raise ConfigError(f"watchlist {file} cannot be read ({error.strerror}); {make}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"watchlist {file} is not TOML ({error}); {make}") from None
    if not isinstance(ranked, list) or not ranked:
        raise ConfigError(f"watchlist {file} names no symbols; {make}")
    return (_symbols(ranked) or ())[:MOST_WATCHED]


def _symbols(given: list[Any] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    for symbol in given:
        if not isinstance(symbol, str) or not symbol:
            raise ConfigError(f"symbols must be a list of texts, got {symbol!r} in it")
        if given.count(symbol) > 1:
            raise ConfigError(f"symbols names {symbol!r} twice")
    if not given:
        raise ConfigError("symbols is empty; name some, or leave the key out to trade all of the feed's")
    return tuple(given)
