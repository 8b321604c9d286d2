"""The `[patterns]` table of onetape.toml; every key has a default, and a command's option is stronger.

[patterns]
model = "gpt-4o-mini"
api = "chat"                      # or "responses"
budget = 5.0                      # dollars a month
timeout_s = 15.0
rows = 60                         # of the picture
anonymous = false                 # leave out ticker, price level and date
price = [0.15, 0.075, 0.60]       # dollars per million tokens; needed for a model that is not in the table
cutoff = 2023-10-01               # last day of the model's training data, where the table is wrong or silent
journal = "backtests/runs/patterns.sqlite"
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any

from data.door import did_you_mean
from data.errors import ConfigError
from data.settings import CHECKOUT
from research.patterns.client import TIMEOUT_S
from research.patterns.models import PICO, Model, model_of
from research.patterns.picture import FEWEST, ROWS

_WORDS = {
    "model": ("a text", (str,)),
    "api": ("a text", (str,)),
    "budget": ("a number of dollars", (int, float)),
    "timeout_s": ("a number of seconds", (int, float)),
    "rows": ("a whole number", (int,)),
    "anonymous": ("true or false", (bool,)),
    "price": ("a list of three numbers", (list, tuple)),
    "cutoff": ("a date such as 2023-10-01", (dt.date,)),
    "journal": ("a path", (str, Path)),
}


@dataclass(frozen=True)
class PatternSettings:
    """How notes are made; see the module.

    Raises:
        ConfigError: a value of the wrong type or out of its range.
    """

    model: str = "gpt-4o-mini"
    api: str = "chat"
    budget: float = 5.0
    timeout_s: float = TIMEOUT_S
    rows: int = ROWS
    anonymous: bool = False
    price: tuple[float, ...] | None = None
    cutoff: dt.date | None = None
    journal: Path = Path("backtests/runs/patterns.sqlite")

    def __post_init__(self) -> None:
        for name, (words, kinds) in _WORDS.items():
            value = getattr(self, name)
            if value is None and name in ("price", "cutoff"):
                continue
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise ConfigError(f"patterns.{name} must be {words}, got {value!r}")
        if self.api not in ("chat", "responses"):
            raise ConfigError(f"patterns.api must be chat or responses, got {self.api!r}")
        if not 0.0 <= self.budget < inf or not 0.0 < self.timeout_s < inf:
            raise ConfigError(
                f"patterns.budget must be at least 0 and patterns.timeout_s above 0, got {self.budget!r} and "
                f"{self.timeout_s!r}"
            )
        if self.rows < FEWEST:
            raise ConfigError(f"patterns.rows must be at least {FEWEST}, got {self.rows}")
        if self.price is not None and len(self.price) != 3:
            raise ConfigError(f"patterns.price must be {_WORDS['price'][0]}, got {list(self.price)!r}")

    @property
    def limit(self) -> int:
        """The month's budget in picodollars."""
        return int(Decimal(str(self.budget)) * PICO)

    def terms(self) -> Model:
        """Price and cutoff of the model.

        Raises:
            ConfigError: no price is known.
        """
        return model_of(self.model, self.price, self.cutoff)

    def changed(self, **given: Any) -> PatternSettings:
        """These with some replaced; None means not given."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def load_pattern_settings(root: Path = CHECKOUT, **given: Any) -> PatternSettings:
    """The settings in force: `given`, then the table of onetape.toml, then the defaults.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or of the wrong type.
    """
    path = root / "onetape.toml"
    table: Any = {}
    if path.exists():
        try:
            table = tomllib.loads(path.read_text("utf-8")).get("patterns", {})
        except (OSError, ValueError) as error:
            raise ConfigError(f"onetape.toml cannot be read: {error}") from None
    if not isinstance(table, dict):
        raise ConfigError(f"[patterns] in onetape.toml must be a table, got {table!r}")
    known = {field.name for field in fields(PatternSettings)}
    for name in table:
        if name not in known:
            raise ConfigError(f"[patterns] in onetape.toml has no key {name!r}{did_you_mean(name, known)}")
    told: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
    settings = PatternSettings().changed(**told).changed(**given)
    return replace(settings, journal=root / Path(settings.journal).expanduser())
