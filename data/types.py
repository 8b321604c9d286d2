"""The market nouns: `Bars` and `Book`, columns of float64 arrays `(T, N)`: T rows, N symbols.

A row is known at its timestamp: bars are labelled by the instant they **closed**, UTC nanoseconds. Arrays are
stored column by column (Fortran order), so that one symbol's history is contiguous, and are read-only: a signal
function that writes into its input is stopped by NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from data.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRICES = ("open", "high", "low", "close", "volume")
TIMES = ("ts", "session", "since_open", "to_close")
FEATURES = (
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "spread",
    "mid",
    "microprice",
    "imbalance",
    "ofi",
    "bid_depth",
    "ask_depth",
    "sell_flow",
    "age",
)


def frozen_column(values: Any, dtype: type = np.float64) -> npt.NDArray[Any]:
    """A read-only Fortran-ordered view of `values`; copies only where type or order ask for it."""
    array: npt.NDArray[Any] = np.asarray(values, dtype=dtype, order="F").view()
    array.flags.writeable = False
    return array


class _Columns:
    """Slicing shared by `Bars` and `Book`: rows by slice, symbols by position, always views."""

    def rows(self, start: int | None = None, stop: int | None = None) -> Self:
        """Rows `start:stop` as views, nothing copied."""
        cut = slice(start, stop)
        return self._with(lambda name, a: a if name == "symbols" else a[cut])

    def pick(self, columns: Sequence[int]) -> Self:
        """The symbols at these positions, in this order (copies)."""
        index = list(columns)
        return self._with(
            lambda name, a: (
                tuple(a[i] for i in index) if name == "symbols" else (a if a.ndim == 1 else frozen_column(a[:, index]))
            )
        )

    def _with(self, change: Any) -> Self:
        new = object.__new__(type(self))
        for field in fields(self):  # type: ignore[arg-type]  # both subclasses are dataclasses
            object.__setattr__(new, field.name, change(field.name, getattr(self, field.name)))
        return new


@dataclass(frozen=True, eq=False)
class Bars(_Columns):
    """Prices of N symbols over T rows.

    Args:
        symbols: N names, in column order.
        ts: (T,) int64, UTC nanoseconds of the instant the row closed, strictly increasing.
        open, high, low, close: (T, N) prices in quote currency; NaN where a symbol had no trade in the row.
        volume: (T, N) units traded.
        session: (T,) int64, exchange session the row belongs to as yyyymmdd.
        since_open: (T,) float64 seconds from the session's open to `ts`.
        to_close: (T,) float64 seconds from `ts` to the session's close; 0 on the last row of a session.

    Raises:
        DataError: shapes that do not agree. Prices are checked by `data.checks`, not here.
    """

    symbols: tuple[str, ...]
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    session: Ints
    since_open: Floats
    to_close: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        for name in ("ts", "session"):
            object.__setattr__(self, name, frozen_column(getattr(self, name), np.int64))
        for name in (*PRICES, "since_open", "to_close"):
            object.__setattr__(self, name, frozen_column(getattr(self, name)))
        _check_shapes(self, self.ts.shape[0], len(self.symbols))

    def __len__(self) -> int:
        return int(self.ts.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """(T, N)."""
        return len(self), len(self.symbols)

    def __repr__(self) -> str:
        return f"Bars({len(self)} rows x {len(self.symbols)} symbols: {', '.join(self.symbols[:6])})"


@dataclass(frozen=True, eq=False)
class Book(_Columns):
    """L2 features sampled at each row of the `Bars` beside it, each (T, N) float64. NaN: nothing known.

    bid, ask, bid_size, ask_size: best prices and displayed sizes. spread = ask - bid. mid = (bid + ask) / 2.
    microprice: mid weighted by the opposite sizes. imbalance: (bid_depth - ask_depth) / (both), -1 to 1.
    ofi: order-flow imbalance of the row (Cont, Kukanov, Stoikov 2014), units. bid_depth, ask_depth: size over the
    levels kept. sell_flow: share of the row's volume that hit the bid, 0 to 1. age: seconds since the last update.

    Any comparison with NaN is False: no L2, no new entry.
    """

    symbols: tuple[str, ...]
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    spread: Floats
    mid: Floats
    microprice: Floats
    imbalance: Floats
    ofi: Floats
    bid_depth: Floats
    ask_depth: Floats
    sell_flow: Floats
    age: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        for name in FEATURES:
            object.__setattr__(self, name, frozen_column(getattr(self, name)))
        _check_shapes(self, self.bid.shape[0], len(self.symbols))

    def __len__(self) -> int:
        return int(self.bid.shape[0])

    @classmethod
    def absent(cls, rows: int, symbols: Sequence[str]) -> Book:
        """The book of a market without L2: every feature NaN. One row of memory, whatever `rows` is."""
        nothing = np.broadcast_to(np.float64(np.nan), (rows, len(symbols)))
        return cls._of_views(tuple(symbols), nothing)

    @classmethod
    def _of_views(cls, symbols: tuple[str, ...], view: Floats) -> Book:
        book = object.__new__(cls)
        object.__setattr__(book, "symbols", symbols)
        for name in FEATURES:
            object.__setattr__(book, name, view)
        return book

    @property
    def present(self) -> bool:
        """True where at least one row has a bid or an ask."""
        return bool(np.isfinite(self.bid).any() or np.isfinite(self.ask).any())

    def __repr__(self) -> str:
        state = "" if self.present else ", absent"
        return f"Book({len(self)} rows x {len(self.symbols)} symbols{state})"


def _check_shapes(columns: Bars | Book, rows: int, symbols: int) -> None:
    for field in fields(columns):
        if field.name == "symbols":
            continue
        array = getattr(columns, field.name)
        want = (rows,) if field.name in TIMES else (rows, symbols)
        if array.shape != want:
            raise DataError(
                f"{type(columns).__name__}.{field.name} has shape {array.shape}, expected {want} "
                f"({rows} rows, {symbols} symbols); give one column per symbol, e.g. close.reshape(-1, 1)"
            )
