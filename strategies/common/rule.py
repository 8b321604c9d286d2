"""`Rule`: how signals become positions, in the words of an account file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.errors import UsageError
from strategies.common.options import changed, settle

_LIMITS = {
    "size": (0.0, 10.0),
    "risk": (0.0, 1.0),
    "max_positions": (1, 10_000),
    "max_gross": (0.0, 10.0),
    "time_stop": (0, 10**9),
    "cooldown": (0, 10**9),
    "flat_before_s": (0.0, 86_400.0),
}


@dataclass(frozen=True)
class Rule:
    """The position rule's parameters. Long-only, ten positions, a tenth of equity each, flat overnight when intraday.

    size: fraction of equity per entry where the signals give none.
    risk: fraction of equity lost when the stop is hit at its level; 0 sizes by `size` alone, else `size` is the cap
        and an entry without a stop distance is not taken.
    max_positions: concurrent positions and waiting entries.
    max_gross: notional of all positions over equity, at the row of the decision; 0.98 leaves room for the next open.
        Above 1 the account borrows, without interest.
    fractional: shares in millionths instead of whole ones.
    stops: "close" decides stops and targets at row closes, fills at the next open; "touch" keeps them standing and
        fills within the row, the stop first when both are met, gaps at the open.
    time_stop: rows held, the one of the fill included, after which a position is left; 0 never.
    cooldown: rows without a new entry after a position was left, the row it was left on included.
    flat_before_s: seconds before the session's close from which positions are left and none opened; 0 keeps
        positions overnight. None takes two rows of the clock for intraday clocks and 0 for daily ones.
    shorts: take short entries, and reverse in one order where the opposite entry comes.
    priority: which symbols get the last free slots: "order" (as listed) or "volume" (dollar volume of the row).
    """

    size: float = 0.1
    risk: float = 0.0
    max_positions: int = 10
    max_gross: float = 0.98
    fractional: bool = False
    stops: str = "close"
    time_stop: int = 0
    cooldown: int = 0
    flat_before_s: float | None = None
    shorts: bool = False
    priority: str = "order"

    def __post_init__(self) -> None:
        settle(self, "rule", _LIMITS)
        for name, choices in (("stops", ("close", "touch")), ("priority", ("order", "volume"))):
            if getattr(self, name) not in choices:
                raise UsageError(f"rule {name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")

    def changed(self, changes: Mapping[str, Any]) -> Rule:
        """This rule with some parameters replaced; texts are read as the parameter's type.

        Raises:
            UsageError: an unknown parameter, or a value of the wrong type.
        """
        return changed(self, "rule", changes)

    def knobs(self, clock: str) -> tuple[float, ...]:
        """The numbers `strategies.common.position` takes, in the order of its K_ constants."""
        from data.calendar import parse_clock

        flat = self.flat_before_s
        if flat is None:
            seconds = parse_clock(clock)
            flat = 0.0 if seconds >= 86_400 else 2.0 * seconds
        return (
            float(self.size),
            float(self.risk),
            float(self.max_positions),
            float(self.max_gross),
            1e-6 if self.fractional else 1.0,
            1.0 if self.stops == "touch" else 0.0,
            float(self.time_stop),
            float(self.cooldown),
            float(flat),
            1.0 if self.shorts else 0.0,
            1.0 if self.priority == "volume" else 0.0,
        )
