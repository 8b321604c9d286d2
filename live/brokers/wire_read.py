"""Values out of a broker's answer. An answer that cannot be read is no evidence: whatever is wrong with one is `Lost`.

JSON says nothing of what a field holds: a number may be a text, a list, `NaN`, or more than a float can hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from live.brokers.wire import Lost


def number(told: Any, least: float = -math.inf) -> float:
    """A finite number, told as one or as a text.

    Raises:
        Lost: it is none, or below `least`.
    """
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        raise Lost(f"{_short(told)} where a number was expected")
    try:
        value = float(told)
    except (ValueError, OverflowError):
        raise Lost(f"{_short(told)} where a number was expected") from None
    if not math.isfinite(value) or value < least:
        raise Lost(f"{_short(told)} where a number {'' if least == -math.inf else f'from {least:g} on '}was expected")
    return value


def amount(told: Any) -> float:
    """A number from 0 on; 0 where nothing is told.

    Raises:
        Lost: it is something else.
    """
    return 0.0 if told is None or told == "" else number(told, 0.0)


def text(told: Any) -> str:
    """A text that is not empty.

    Raises:
        Lost: it is none.
    """
    if not isinstance(told, str) or not told:
        raise Lost(f"{_short(told)} where a text was expected")
    return told


def row(told: Any) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        Lost: it is something else.
    """
    if not isinstance(told, dict):
        raise Lost(f"{_short(told)} where an object was expected")
    return told


def rows(told: Any) -> list[Mapping[str, Any]]:
    """A JSON array of objects.

    Raises:
        Lost: it is something else.
    """
    if not isinstance(told, list):
        raise Lost(f"{_short(told)} where a list was expected")
    return [row(each) for each in told]


def _short(told: Any) -> str:
    shown = repr(told)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
