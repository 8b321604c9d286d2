"""What a source is: one file in this folder, found by its module name.

A `Source` has its history at hand (`load`). A `Vendor` is asked over the network, with keys, limits and a stream
(`history`, `trades`, `quotes`, `stream`, `capabilities`). Vendors' SDKs are imported inside the functions.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from data.calendar import Day
from data.door import did_you_mean
from data.errors import UsageError
from data.events import Quote, Trade
from data.settings import Settings
from data.types import Bars

if TYPE_CHECKING:
    from data.sources.stream import Stream

Adjustment = Literal["all", "split", "raw"]
"""`all`: splits and dividends. `split`: splits only. `raw`: as printed."""

Channel = Literal["trades", "quotes", "bars", "second_bars", "updated_bars", "daily_bars", "statuses", "bands", "books"]
"""What a stream can carry; `books` is L2, `bands` are the limit-up limit-down prices."""

Progress = Callable[[str, int, int], None]
"""Told (what, done, total) as a pull goes on; `what` is a symbol, the numbers count its parts."""


class Clock(Protocol):
    """Time as a source knows it: the wall's, or that of a sandbox that runs faster."""

    def now(self) -> int:
        """UTC nanoseconds."""

    def sleep(self, seconds: float) -> None:
        """Wait in a thread."""

    async def pause(self, seconds: float) -> None:
        """Wait on an event loop."""


class WallClock:
    """This machine's time."""

    def now(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Capabilities(NamedTuple):
    """What a vendor has, before it is asked.

    history: which of bars, trades, quotes. clocks: of its bars. adjustments: of its bars.
    channels: of its stream. depth: what its L2 is of, "" for none, and how it comes (`stream` or `poll`).
    requests_a_minute: the budget kept. connections: at one time for one key. symbols: of one stream, 0 for any number.
    variables: the settings a user must give. keys_from: where to get them.
    """

    history: tuple[str, ...]
    clocks: tuple[str, ...]
    adjustments: tuple[Adjustment, ...]
    channels: tuple[Channel, ...]
    depth: str
    requests_a_minute: int
    connections: int
    symbols: int
    variables: tuple[str, ...]
    keys_from: str


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


@runtime_checkable
class Vendor(Protocol):
    """A module that asks a vendor through its own SDK.

    NAME: how results name it. SIMULATED: False, its prices were printed by venues.
    """

    NAME: str
    SIMULATED: bool

    def capabilities(self) -> Capabilities:
        """What can be asked, and on which terms."""

    def history(
        self,
        symbols: Sequence[str],
        start: Day,
        end: Day,
        clock: str = "1m",
        *,
        adjustment: Adjustment,
        extended: bool = False,
        settings: Settings | None = None,
        progress: Progress | None = None,
        wall: Clock | None = None,
        requests_a_minute: int = 0,
    ) -> Bars:
        """Rows from session `start` to session `end`, both included; a killed pull resumes at its last page.

        Args:
            adjustment: always said, one of `capabilities().adjustments`.
            extended: rows outside the regular session too; `data.calendar.is_regular` tells them apart.
            settings: where keys, addresses and the store are; default: this machine's. wall: the clock of limits.
            requests_a_minute: of the user's plan; each vendor's own default is its cheapest.

        Raises:
            AuthError: no key, a refused key, a plan that does not cover it. UsageError: the question.
            UnavailableError: no answer after all attempts; what was received is kept. DataError: bars out of order.
        """

    def trades(
        self,
        symbols: Sequence[str],
        start: Day,
        end: Day,
        *,
        settings: Settings | None = None,
        progress: Progress | None = None,
        wall: Clock | None = None,
        requests_a_minute: int = 0,
    ) -> Iterator[Trade]:
        """Every trade of these sessions, symbol by symbol, in memory that does not grow with the range."""

    def quotes(
        self,
        symbols: Sequence[str],
        start: Day,
        end: Day,
        *,
        settings: Settings | None = None,
        progress: Progress | None = None,
        wall: Clock | None = None,
        requests_a_minute: int = 0,
    ) -> Iterator[Quote]:
        """Every quote of these sessions, likewise."""

    def stream(
        self,
        symbols: Sequence[str],
        channels: Sequence[Channel] = ("trades", "quotes", "bars"),
        *,
        settings: Settings | None = None,
        wall: Clock | None = None,
    ) -> Stream:
        """Events as they come, with a `Gap` wherever the feed was lost; ends only when closed or refused.

        Used as `async with vendor.stream(...) as events: async for event in events: ...`.
        """


def sources() -> tuple[str, ...]:
    """The names of the sources that hold history, sorted."""
    return _files_with("load")


def vendors() -> tuple[str, ...]:
    """The names of the vendors that can be asked for history, sorted."""
    return _files_with("history")


def _files_with(function: str) -> tuple[str, ...]:
    folder = Path(__file__).parent
    names = (path.stem for path in folder.glob("*.py") if f"\ndef {function}(" in path.read_text("utf-8"))
    return tuple(sorted(names))


def load_vendor(name: str) -> Vendor:
    """The vendor of this name.

    Raises:
        UsageError: there is none; the nearest name is offered.
    """
    known = vendors()
    if name not in known:
        raise UsageError(f"there is no vendor {name!r}{did_you_mean(name, known)}")
    module = importlib.import_module(f"data.sources.{name}")
    if not isinstance(module, Vendor):
        raise UsageError(f"vendor {name!r} lacks one of NAME, SIMULATED, capabilities, history, trades, quotes, stream")
    return module


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
