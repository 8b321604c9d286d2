"""A pull: history from a vendor into the store, symbol by symbol, so that what is done stays done.

A symbol is stored as soon as it is complete; of the one that was on its way, the pages received are kept (see
`data.sources.http_pages`). A list beside them says which symbols are done: `resume` skips those.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data.calendar import Day
from data.errors import DataError, UsageError
from data.settings import Settings
from data.sources import http_history
from data.sources.base import Adjustment, Clock, Progress, Vendor
from data.store import Store
from data.store_rows import Added
from data.tape import replacing


class Pulled(NamedTuple):
    """What a pull did. added: symbol by symbol. skipped: done by the pull that this one resumes.

    refused: symbol -> why the vendor, or the store, did not want it.
    """

    added: list[Added]
    skipped: tuple[str, ...]
    refused: dict[str, str]


def pull(
    vendor: Vendor,
    symbols: Sequence[str],
    start: Day,
    end: Day,
    clock: str,
    adjustment: Adjustment,
    store: Store,
    *,
    settings: Settings,
    wall: Clock,
    resume: bool = False,
    progress: Progress | None = None,
    stored: Callable[[Added], None] | None = None,
    **options: Any,
) -> Pulled:
    """Bring bars of these symbols from session `start` to session `end`, both included, into the store.

    A row that differs from the stored one is kept beside it, and the difference is in `Added.difference`.

    Args:
        settings: keys and addresses; its `store` is where unfinished pulls are kept. wall: tells the receive time.
        resume: do not ask again for symbols that an interrupted pull of the same terms has stored.
        progress, stored: told as it goes on. options: of the vendor's `history`; None is not passed.

    Raises:
        UsageError: range, clock, adjustment or an option the vendor does not know; nothing was asked for.
        AuthError, UnavailableError: the pull cannot go on; what is stored stays. DataError: the store cannot be
            written.
    """
    given = vendor_options(vendor, "history", options)
    names = http_history.check_tickers(symbols, vendor.NAME)
    first, last = http_history.check_range(start, end, wall)
    http_history.check_terms(clock, adjustment, bool(options.get("extended")), vendor.capabilities(), vendor.NAME)
    terms = (vendor.NAME, clock, str(first), str(last), adjustment, options.get("extended"), options.get("feed"))
    done = _Done(settings.store / ".pulls", terms)
    if not resume:
        done.forget()
    pulled = Pulled([], tuple(name for name in names if name in done.symbols), {})
    for name in names:
        if name in pulled.skipped:
            continue
        try:
            bars = vendor.history(
                [name], first, last, clock, adjustment=adjustment, settings=settings, progress=progress, **given
            )
        except UsageError as error:
            pulled.refused[name] = str(error)
            continue
        with _as_refusal(pulled.refused, name, store):
            (added,) = store.put(bars, clock, vendor.NAME, adjustment, revision=True, received=wall.now())
            pulled.added.append(added)
            done.add(name)
            if stored is not None:
                stored(added)
    done.forget()
    return pulled


@contextlib.contextmanager
def _as_refusal(refused: dict[str, str], name: str, store: Store) -> Iterator[None]:
    """Bars with errors are refused one symbol at a time; a store that cannot be written ends the pull."""
    try:
        yield
    except DataError as error:
        if str(store.root) in str(error):
            raise
        refused[name] = str(error)


def vendor_options(vendor: Vendor, call: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those of `options` that say something, for the vendor's `history`, `trades` or `quotes`.

    Raises:
        UsageError: one that this vendor does not know.
    """
    known = inspect.signature(getattr(vendor, call)).parameters
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    for name in given:
        if name not in known:
            raise UsageError(f"{vendor.NAME} knows no option {name!r}; leave it out")
    return given


class _Done:
    """The symbols that a pull of these terms has stored so far."""

    def __init__(self, folder: Path, terms: tuple[object, ...]) -> None:
        self._path = folder / f"{hashlib.sha256(repr(terms).encode()).hexdigest()[:24]}.done"
        try:
            self.symbols: list[str] = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            self.symbols = []

    def add(self, symbol: str) -> None:
        self.symbols.append(symbol)
        with replacing(self._path) as draft:
            draft.write_text(json.dumps(self.symbols), "utf-8")

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)
        self.symbols = []
