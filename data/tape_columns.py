"""Event columns as Parquet tables without pandas: `data.events_columns.to_arrow` for a process that must stay small.

pyarrow loads pandas, 50 MB, as soon as it is asked to make an array of a NumPy one. The tables here are made of the
columns' own memory, and are equal to those of `to_arrow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data.events_columns import SORTS, Columns, Table


def tables_of(columns: Columns) -> dict[str, Any]:
    """One pyarrow table for each kind of event, by kind."""
    import pyarrow as pa

    texts = _strings(columns.texts)
    made = {}
    for kind, table in columns.tables.items():
        arrays = {"place": _numbers(table["place"])}
        for name, sort in SORTS[kind].items():
            if sort == "text":
                arrays[name] = pa.DictionaryArray.from_arrays(_numbers(table[name]), texts)
            elif sort == "identity":
                identities = table[name].tolist()
                arrays[name] = _strings([str(i) if i >= 0 else columns.texts[-1 - i] for i in identities])
            elif sort == "levels":
                arrays[name] = _levels(table, name)
            else:
                arrays[name] = _numbers(table[name])
        made[kind] = pa.Table.from_arrays(list(arrays.values()), names=list(arrays))
    return made


def _numbers(values: npt.NDArray[Any]) -> Any:
    import pyarrow as pa

    if values.dtype == np.bool_:
        bits = pa.py_buffer(np.packbits(values, bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])
    kinds = {np.dtype(np.int32): pa.int32(), np.dtype(np.int64): pa.int64(), np.dtype(np.float64): pa.float64()}
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kinds[values.dtype], len(values), [None, buffer])


def _strings(texts: Sequence[str]) -> Any:
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def _levels(table: Table, side: str) -> Any:
    """The levels of one side of every event, as `list<struct<price, size>>`."""
    import pyarrow as pa

    counts = table[side]
    ends = np.cumsum(table["bids"] + table["asks"])
    starts = ends - table["asks"] if side == "asks" else ends - table["asks"] - table["bids"]
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    index = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts) + np.repeat(starts, counts)
    columns = [_numbers(table["level_price"][index]), _numbers(table["level_size"][index])]
    levels = pa.StructArray.from_arrays(columns, names=["price", "size"])
    return pa.ListArray.from_arrays(_numbers(offsets.astype(np.int32)), levels)
