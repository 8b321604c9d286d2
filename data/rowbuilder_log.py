"""What a row builder remembers so that a row can be made again: the trades, and the rows already shown."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import Any

BITS = 6
FRESH = 1_024


class TradeLog:
    """The trades and smaller bars of one symbol in order of arrival, as columns; the oldest are forgotten.

    columns: t, a, b, c, d, e, bits, side, exchange (see `data.rowbuilder_steps.rebuild`). Entries are counted from
    the first one ever; `base` is the number of the oldest still here. `fresh` holds the newest as they came: tuples
    in the order of the columns, the identity last; `settle` makes columns of them.
    """

    __slots__ = ("base", "columns", "fresh", "identities")

    def __init__(self) -> None:
        self.base = 0
        self.columns: tuple[Any, ...] = (array("q"), *[array("d") for _ in range(5)], *[array("q") for _ in range(3)])
        self.identities = array("q")
        self.fresh: list[tuple[Any, ...]] = []

    def add(self, entry: tuple[Any, ...]) -> None:
        """Remember one entry."""
        self.fresh.append(entry)
        if len(self.fresh) == FRESH:
            self.settle()

    def settle(self) -> None:
        """Everything is in the columns; to be called before they are read."""
        if self.fresh:
            for column, values in zip((*self.columns, self.identities), zip(*self.fresh, strict=True), strict=True):
                column.extend(values)
            self.fresh.clear()

    def extend(self, columns: tuple[Any, ...], identities: Any) -> None:
        """Remember many: NumPy columns in the same order."""
        self.settle()
        for column, values in zip(self.columns, columns, strict=True):
            column.frombytes(values.tobytes())
        self.identities.frombytes(identities.tobytes())

    def forget(self, before: int) -> None:
        """Drop the entries older than this number, once they are worth the trouble."""
        count = before - self.base
        if count > FRESH:
            self.settle()
        if count > FRESH and count * 2 > len(self.identities):
            for column in (*self.columns, self.identities):
                del column[:count]
            self.base = before

    def find(self, identity: int) -> int:
        """Position of the newest entry of this identity in `columns`, -1 where it is not remembered."""
        self.settle()
        for position in range(len(self.identities) - 1, -1, -1):
            if self.identities[position] == identity:
                return position
        return -1


@dataclass
class Shown:
    """A row that was given out.

    values: for each symbol its prices and features. marks: for each symbol what `data.rowbuilder_state.take` says.
    seen: quotes of at least one symbol were known.
    """

    start: int
    close: int
    segment: int
    values: list[list[float]]
    marks: list[list[int]]
    seen: bool = False


def identity_of(text: str) -> int:
    """A trade's identity as one number: a plain decimal as it is, anything else by 62 bits of its BLAKE2 hash."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    return -2 - (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 2)
