"""The [limits] table of an account file: read, checked, and printed with what it could say.

    [limits]
    max_order_usd = 2_500
    max_order_pct = 5

On paper what is left out is no limit: the account then trades what its backtest traded. With another broker every limit
must be there; `python -m live limits` prints them all with values for a small account.
"""

from __future__ import annotations

from typing import Any

from data.door import did_you_mean
from data.errors import ConfigError
from live.core.limits import DAY_TRADE_POLICIES, DEFAULTS

CHOICES = {"day_trade_policy": DAY_TRADE_POLICIES}
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list of texts"}


def checked(table: dict[str, Any], *, live: bool) -> dict[str, Any]:
    """The limits of a table, each of its type; `live` wants them all.

    Raises:
        ConfigError: an unknown, missing or wrong one.
    """
    for name in table:
        if name not in DEFAULTS:
            raise ConfigError(f"[limits] has no {name!r}{did_you_mean(name, DEFAULTS)}")
    values = {name: _checked(name, table[name]) for name in DEFAULTS if name in table}
    missing = [name for name in DEFAULTS if name not in values]
    if live and missing:
        raise ConfigError(
            f"[limits] does not say {missing[0]}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; "
            f"with a broker of its own every limit must be set: python -m live limits prints them"
        )
    return values


def _checked(name: str, value: Any) -> Any:
    kind = type(DEFAULTS[name])
    right = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not right or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"[limits] {name} must be {WORDS[kind]}, got {value!r}")
    if kind in (int, float) and not 0 <= value < 1e15:
        raise ConfigError(f"[limits] {name} must be a finite number of 0 or more, got {value!r}")
    if kind is list and not all(isinstance(item, str) for item in value):
        raise ConfigError(f"[limits] {name} must be {WORDS[kind]}, got {value!r}")
    if value not in CHOICES.get(name, (value,)):
        raise ConfigError(f"[limits] {name} must be one of {', '.join(CHOICES[name])}, got {value!r}")
    return float(value) if kind is float else value


def proposed() -> str:
    """The whole table as TOML, with the values proposed for a small account."""
    lines = ["[limits]"]
    for name, value in DEFAULTS.items():
        if isinstance(value, bool):
            shown = "true" if value else "false"
        elif isinstance(value, list):
            shown = "[" + ", ".join(f'"{item}"' for item in value) + "]"
        else:
            shown = f'"{value}"' if isinstance(value, str) else f"{value:_}"
        lines.append(f"{name} = {shown}")
    return "\n".join(lines)
