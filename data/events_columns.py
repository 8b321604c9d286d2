"""Market events as columns: what batches work on and recordings store. Every conversion is exact, both ways.

A batch (`Columns`) holds one table per kind of event, each a dict of NumPy columns named like the fields of its
Struct in `data.events`. Types: int64, float64, bool; texts are int32 codes into `Columns.texts`. Two columns are
special: `place` (int64, rising) is the event's place in the stream, so that the tables merge back in order of arrival;
`trade_id` and `new_id` (int64) hold a plain decimal number as it is and any other text as -1 - its code. The levels
of books lie in `level_price`, `level_size` (float64, all events one after the other, bids before asks), and `bids`,
`asks` count them.

As Parquet (`to_arrow`) a table is named by its kind, texts are dictionary columns and levels are
`list<struct<price, size>>`, so that any reader understands them. pyarrow is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from data.errors import DataError
from data.events import KINDS, Level, MarketEvent

Table = dict[str, npt.NDArray[Any]]
IDENTITIES = ("trade_id", "new_id")
LEVELS = ("bids", "asks")
_NUMBERS: dict[Any, type] = {int: np.int64, float: np.float64, bool: np.bool_, "int": np.int64, "float": np.float64}
_KIND_OF = {struct: kind for kind, struct in KINDS.items()}


def _described() -> dict[str, dict[str, str]]:
    """For each kind the sort of every field: `number`, `text`, `identity` or `levels`."""
    described = {}
    for kind, struct in KINDS.items():
        sorts = {}
        for item in msgspec.structs.fields(struct):
            if item.name in LEVELS:
                sorts[item.name] = "levels"
            elif item.name in IDENTITIES:
                sorts[item.name] = "identity"
            else:
                sorts[item.name] = "number" if item.type in _NUMBERS else "text"
        described[kind] = sorts
    return described


SORTS = _described()
DTYPES = {
    kind: {item.name: _NUMBERS[item.type] for item in msgspec.structs.fields(struct) if item.type in _NUMBERS}
    for kind, struct in KINDS.items()
}


@dataclass
class Columns:
    """A batch of events: `tables` by kind (only kinds that occur), and the `texts` their codes stand for."""

    tables: dict[str, Table] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(table["place"]) for table in self.tables.values())

    def text(self, codes: npt.NDArray[Any]) -> list[str]:
        """The texts of these codes."""
        texts = self.texts
        return [texts[code] for code in codes.tolist()]


def columns_of(events: Iterable[MarketEvent]) -> Columns:
    """The events as columns, in the order given."""
    codes: dict[str, int] = {}
    kept: dict[str, list[MarketEvent]] = {}
    places: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        kind = _KIND_OF[type(event)]
        kept.setdefault(kind, []).append(event)
        places.setdefault(kind, []).append(place)
    tables = {}
    for kind, rows in kept.items():
        table: Table = {"place": np.array(places[kind], dtype=np.int64)}
        for name, sort in SORTS[kind].items():
            values = [getattr(row, name) for row in rows]
            if sort == "number":
                table[name] = np.array(values, dtype=DTYPES[kind][name])
            elif sort == "text":
                table[name] = np.array([codes.setdefault(text, len(codes)) for text in values], dtype=np.int32)
            elif sort == "identity":
                table[name] = np.array([_identity(text, codes) for text in values], dtype=np.int64)
            else:
                table[name] = np.array([len(side) for side in values], dtype=np.int64)
        if "bids" in table:
            levels = [level for row in rows for side in (row.bids, row.asks) for level in side]  # type: ignore[union-attr]  # the two kinds with books
            pairs = np.array(levels, dtype=np.float64).reshape(len(levels), 2)
            table["level_price"], table["level_size"] = pairs[:, 0].copy(), pairs[:, 1].copy()
        tables[kind] = table
    return Columns(tables, list(codes))


def events_of(columns: Columns) -> Iterator[MarketEvent]:
    """The events of a batch in the order of arrival, bit for bit."""
    made: dict[str, Iterator[MarketEvent]] = {}
    for kind, table in columns.tables.items():
        made[kind] = _structs(kind, table, columns.texts)
    kinds = list(made)
    if not kinds:
        return
    places = np.concatenate([columns.tables[kind]["place"] for kind in kinds])
    which = np.concatenate([np.full(len(columns.tables[kind]["place"]), i) for i, kind in enumerate(kinds)])
    for i in which[np.argsort(places, kind="stable")].tolist():
        yield next(made[kinds[i]])


def _structs(kind: str, table: Table, texts: list[str]) -> Iterator[MarketEvent]:
    struct, columns = KINDS[kind], []
    for name, sort in SORTS[kind].items():
        if sort == "number":
            columns.append(table[name].tolist())
        elif sort == "text":
            columns.append([texts[code] for code in table[name].tolist()])
        elif sort == "identity":
            columns.append([str(code) if code >= 0 else texts[-1 - code] for code in table[name].tolist()])
        else:
            columns.append(ladders(table, name))
    return (struct(*row) for row in zip(*columns, strict=True))


def ladders(table: Table, side: str) -> list[tuple[Level, ...]]:
    """The levels of one side (`bids` or `asks`) of every event of a table."""
    bids, asks = table["bids"], table["asks"]
    ends = np.cumsum(bids + asks)
    starts = ends - asks if side == "asks" else ends - asks - bids
    pairs = list(zip(table["level_price"].tolist(), table["level_size"].tolist(), strict=True))
    stops = (starts + table[side]).tolist()
    return [tuple(pairs[start:stop]) for start, stop in zip(starts.tolist(), stops, strict=True)]


def _identity(text: str, codes: dict[str, int]) -> int:
    if text.isascii() and text.isdigit() and len(text) < 19 and (text == "0" or text[0] != "0"):
        return int(text)
    return -1 - codes.setdefault(text, len(codes))


def to_arrow(columns: Columns) -> dict[str, Any]:
    """One pyarrow table per kind, ready to be written as Parquet."""
    import pyarrow as pa

    texts = pa.array(columns.texts, pa.string())
    made = {}
    for kind, table in columns.tables.items():
        arrays = {"place": pa.array(table["place"])}
        for name, sort in SORTS[kind].items():
            if sort == "text":
                arrays[name] = pa.DictionaryArray.from_arrays(pa.array(table[name]), texts)
            elif sort == "identity":
                arrays[name] = pa.array([str(i) if i >= 0 else columns.texts[-1 - i] for i in table[name].tolist()])
            elif sort == "levels":
                arrays[name] = _level_lists(table, name)
            else:
                arrays[name] = pa.array(table[name])
        made[kind] = pa.table(arrays)
    return made


def from_arrow(tables: dict[str, Any]) -> Columns:
    """The batch that `to_arrow` gave, also after it was stored and read.

    Raises:
        DataError: a table of an unknown kind, or one that lacks a column.
    """
    codes: dict[str, int] = {}
    made = {}
    for kind, arrow in tables.items():
        if kind not in SORTS:
            raise DataError(f"a recording holds a table {kind!r}; known are {', '.join(SORTS)}")
        missing = {"place", *SORTS[kind]} - set(arrow.column_names)
        if missing:
            raise DataError(f"table {kind!r} of a recording lacks {', '.join(sorted(missing))}; record it again")
        table: Table = {"place": arrow.column("place").to_numpy()}
        for name, sort in SORTS[kind].items():
            column = arrow.column(name)
            if sort == "number":
                table[name] = column.to_numpy()
            elif sort == "levels":
                table[name] = np.array([len(side) for side in column.to_pylist()], dtype=np.int64)
            elif sort == "text":
                values = column.cast("string").to_pylist()
                table[name] = np.array([codes.setdefault(text, len(codes)) for text in values], dtype=np.int32)
            else:
                table[name] = np.array([_identity(text, codes) for text in column.to_pylist()], dtype=np.int64)
        if "bids" in table:
            both = zip(arrow.column("bids").to_pylist(), arrow.column("asks").to_pylist(), strict=True)
            pairs = [(level["price"], level["size"]) for sides in both for side in sides for level in side]
            levels = np.array(pairs, dtype=np.float64).reshape(len(pairs), 2)
            table["level_price"], table["level_size"] = levels[:, 0].copy(), levels[:, 1].copy()
        made[kind] = table
    return Columns(made, list(codes))


def _level_lists(table: Table, side: str) -> Any:
    import pyarrow as pa

    ends = np.cumsum(table["bids"] + table["asks"])
    starts = ends - table["asks"] if side == "asks" else ends - table["asks"] - table["bids"]
    counts = table[side]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    index = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts) + np.repeat(starts, counts)
    levels = pa.StructArray.from_arrays(
        [pa.array(table["level_price"][index]), pa.array(table["level_size"][index])], names=["price", "size"]
    )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), levels)
