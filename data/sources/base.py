"""What a source of history is: one file in this folder with a `load` of this form, found by its module name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from data.calendar import Day
from data.door import did_you_mean
from data.errors import UsageError
from data.types import Bars

Adjustment = Literal["all", "raw"]


@runtime_checkable
class Source(Protocol):
    """A module with history to give.

    NAME: how results name it. CLOCK: the clock of its rows. SIMULATED: True unless a venue printed its prices.
    """

    NAME: str
    CLOCK: str
    SIMULATED: bool

    def symbols(self) -> tuple[str, ...]:
        """Every symbol it has, sorted."""

    def load(
        self,
        symbols: Sequence[str] | None = None,
        start: Day | None = None,
        end: Day | None = None,
        adjustment: Adjustment = "all",
    ) -> Bars:
        """Rows of `symbols` (default: all) from session `start` to session `end`, both included.

        adjustment: `all` for splits and dividends, `raw` for prices as they were printed.

        Raises:
            UsageError: an unknown symbol, a symbol twice, or a range without rows.
        """


def sources() -> tuple[str, ...]:
    """The names of the sources that hold history, sorted."""
    folder = Path(__file__).parent
    names = (path.stem for path in folder.glob("*.py") if "\ndef load(" in path.read_text("utf-8"))
    return tuple(sorted(names))


def load_source(name: str) -> Source:
    """The source of this name.

    Raises:
        UsageError: there is none; the nearest name is offered.
    """
    known = sources()
    if name not in known:
        raise UsageError(f"there is no source {name!r}{did_you_mean(name, known)}")
    module = importlib.import_module(f"data.sources.{name}")
    if not isinstance(module, Source):
        raise UsageError(f"source {name!r} lacks one of NAME, CLOCK, SIMULATED, symbols, load")
    return module


def check_symbols(wanted: Sequence[str], known: Sequence[str], where: str) -> tuple[str, ...]:
    """The symbols in the order wanted.

    Raises:
        UsageError: none, one that is not known, or one twice.
    """
    if not wanted:
        raise UsageError(f"no symbols asked for; {where} has {', '.join(known)}")
    for symbol in wanted:
        if symbol not in known:
            raise UsageError(f"{where} has no symbol {symbol!r}{did_you_mean(symbol, known)}")
    if len(set(wanted)) < len(wanted):
        twice = next(symbol for symbol in wanted if wanted.count(symbol) > 1)
        raise UsageError(f"symbol {twice!r} is asked for twice; once is enough")
    return tuple(wanted)
