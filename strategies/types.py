"""The agreement between a strategy and its two users: what goes in (`Bars`, `Book`) and what comes out (`Signals`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import StrategyError
from data.types import Bars, Book, Floats

__all__ = ["Bars", "Book", "Bools", "Floats", "Signals"]

Bools = npt.NDArray[np.bool_]
FLAGS = ("entries", "exits", "short_entries", "short_exits")
LEVELS = ("size", "stop", "target", "trail")


@dataclass(frozen=True, eq=False)
class Signals:
    """What a strategy wants, row by row; every field (T, N), known at the row's close.

    entries, exits: open and leave a long. short_entries, short_exits: the same for shorts (optional).
    size: fraction of equity for an entry of this row (optional; NaN: the rule's own).
    stop, target, trail: distances from the entry price in quote currency, taken at the row of the entry
        decision (optional; NaN, 0 or less: none). `stop` is also the distance that risk-based sizing divides by.
    """

    entries: Any
    exits: Any
    short_entries: Any = None
    short_exits: Any = None
    size: Any = None
    stop: Any = None
    target: Any = None
    trail: Any = None

    def columns(self) -> Iterator[tuple[str, Any]]:
        """(name, array) of the fields that are given, in field order."""
        for field in fields(self):
            array = getattr(self, field.name)
            if array is not None:
                yield field.name, array

    def checked(self, shape: tuple[int, int], where: str) -> Signals:
        """The same signals, each field broadcast to `shape` with its proper dtype.

        Raises:
            StrategyError: a field of another shape, or flags that are not bool.
        """
        done: dict[str, Any] = {}
        for name, given in self.columns():
            array = np.asarray(given)
            if name in FLAGS and array.dtype != np.bool_:
                raise StrategyError(
                    f"{where}: {name} has dtype {array.dtype}, expected bool; "
                    f"compare with something, e.g. {name}=score > 0"
                )
            if name in LEVELS:
                array = array.astype(np.float64, copy=False)
            if array.shape != shape:
                if array.ndim > 2 or array.shape not in ((), (1,), (1, 1), (1, shape[1])):
                    raise StrategyError(
                        f"{where}: {name} has shape {array.shape}, expected {shape}; every output has the rows "
                        f"and symbols of bars.close"
                    )
                array = np.broadcast_to(array, shape)
            done[name] = array
        return Signals(**done)
