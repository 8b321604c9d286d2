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
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

SECRETS = re.compile(r"pass(word|wd)|secret|token|api_?key|private|mfa|otp", re.IGNORECASE)


@dataclass(frozen=True)
class Account:
    """An account file, checked.

    symbols: None for all of the feed's. trading: True lets orders go to a broker with money, once it is armed (see
    `live.risk_arming`): path, certificate and suffix are what arming asks for.
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
        return Plan.of(
            self.strategy,
            list(self.symbols or feed.symbols),
            account=self.name,
            params=self.params,
            rule=self.rule,
            costs=self.costs,
            clock=self.clock,
            cash=self.cash,
            broker=self.broker,
            limits=self.limits,
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
    "params": _Key("a table", (dict,)),
    "rule": _Key("a table", (dict,)),
    "costs": _Key("a table", (dict,)),
    "limits": _Key("a table", (dict,)),
}


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
        symbols=_symbols(values["symbols"]),
        clock=clock,
        cash=cash,
        broker=broker,
        trading=values["trading"],
        state=CHECKOUT / Path(values["state"]).expanduser(),
        limits=checked(values["limits"], live=broker != "paper"),
        path=path,
        certificate=path.parent / values["certificate"] if values["certificate"] else None,
        suffix=values["account_suffix"],
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
