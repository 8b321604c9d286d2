"""A result as one file: every array to the last bit, what went in as JSON beside them, and a hash over both.

The file is a zip of `manifest.json` and one `.npy` an array, so that it opens without us; it holds no pickles and no
times of writing, and the same result gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.errors import DataError
from data.tape import replacing
from data.types import FEATURES, PRICES, TIMES, Bars, Book
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.types import Signals

if TYPE_CHECKING:
    from backtests.result import Result

KIND, VERSION = "onetape result", 1
MANIFEST = "manifest.json"
OUT = ("orders", "equity", "cash", "positions")
LEVEL = 1  # of deflate: prices hardly shrink more with higher ones, and take several times as long


def save_result(result: Result, path: str | Path) -> Path:
    """Write a result whole or not at all; returns the path.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    told, arrays = told_of(result), dict(arrays_of(result))
    manifest = {"kind": KIND, "version": VERSION, "content": content_hash(told, arrays)} | told
    with replacing(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(manifest, indent=1), zipfile.ZIP_DEFLATED, LEVEL)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return path


def load_result(path: str | Path) -> Result:
    """The result that `save_result` wrote, equal to the last bit.

    Raises:
        DataError: no such file, another kind of file, one of a later version, or one that was damaged or changed.
    """
    from backtests.result import Result

    path = Path(path)
    manifest, arrays = _read(path)
    told = {name: value for name, value in manifest.items() if name not in ("kind", "version", "content")}
    if content_hash(told, arrays) != manifest.get("content"):
        raise DataError(f"{path} does not have the content hash it was saved with; it was changed or damaged")
    symbols = tuple(told["symbols"])
    book = None
    if told["book"]:
        book = Book(symbols, **{name: arrays[f"book.{name}"] for name in FEATURES})
    result = Result(
        strategy=told["strategy"],
        source_hash=told["source_hash"],
        params=told["params"],
        bars=Bars(symbols, **{name: arrays[f"bars.{name}"] for name in (*TIMES, *PRICES)}),
        book=book,
        signals=Signals(
            **{field.name: arrays.get(f"signals.{field.name}") for field in fields(Signals)},
        ),
        rule=Rule(**told["rule"]),
        costs=Costs(**told["costs"]),
        clock=told["clock"],
        start_cash=told["start_cash"],
        **{name: arrays[name] for name in OUT},
        origin=told["origin"],
        strategy_path=told["strategy_path"],
        strategy_source=told["strategy_source"],
    )
    result.__dict__["provenance"] = told["provenance"]  # of the run, not of this machine today
    return result


def told_of(result: Result) -> dict[str, Any]:
    """All of a result that is no array, plain values for JSON."""
    return {
        "strategy": result.strategy,
        "strategy_path": result.strategy_path,
        "strategy_source": result.strategy_source,
        "source_hash": result.source_hash,
        "params": dict(result.params),
        "symbols": list(result.bars.symbols),
        "book": result.book is not None,
        "rule": asdict(result.rule),
        "costs": asdict(result.costs),
        "clock": result.clock,
        "start_cash": result.start_cash,
        "origin": dict(result.origin),
        "provenance": result.provenance,
    }


def arrays_of(result: Result) -> list[tuple[str, npt.NDArray[Any]]]:
    """(name, array) of all that is one, in an order that stays."""
    found = [(f"bars.{name}", getattr(result.bars, name)) for name in (*TIMES, *PRICES)]
    if result.book is not None:
        found += [(f"book.{name}", getattr(result.book, name)) for name in FEATURES]
    found += [(f"signals.{name}", np.asarray(array)) for name, array in result.signals.columns()]
    return found + [(name, getattr(result, name)) for name in OUT]


def content_hash(told: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> str:
    """SHA-256 over both, whatever the order of the arrays in memory."""
    digest = hashlib.sha256(f"{KIND} {VERSION}\n{json.dumps(told, sort_keys=True)}".encode())
    for name, array in arrays.items():
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
                raise DataError(f"{path} is not a saved result; Result.save writes them")
            if manifest["version"] != VERSION:
                raise DataError(
                    f"{path} is a result of version {manifest['version']}, this code reads version {VERSION}; "
                    f"update the checkout, or run the backtest again"
                )
            arrays = {}
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as file:
                        arrays[name[:-4]] = np.lib.format.read_array(file, allow_pickle=False)
            return manifest, arrays
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give a file that Result.save wrote") from None
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a saved result ({error}); save it again") from error
