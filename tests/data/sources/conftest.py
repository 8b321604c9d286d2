"""A market on loopback for every test of a source: two symbols, a year of minutes, and the rows to compare with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from data.settings import Settings, load_settings
from data.sources.http import Patience
from data.sources.random_walk import random_bars
from data.types import Bars
from live.sandbox.faults import Faults
from live.sandbox.market import Market
from live.sandbox.market_tape import market_of_rows
from live.sandbox.server import Sandbox, running
from live.sandbox.terms import Terms

SYMBOLS = ("AAPL", "MSFT")
QUICK = Patience(attempts=8, first_s=0.001, longest_s=0.01, timeout_s=5.0)


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Loopback stays on loopback, whatever the machine's environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def year() -> Bars:
    """252 sessions of minutes with holes and halts, but for the minutes in which neither symbol traded."""
    bars, _ = random_bars(252 * 390, SYMBOLS, 7, "1m", gaps=True, start=20230103)
    kept = np.isfinite(bars.close).any(axis=1)
    columns = (getattr(bars, name)[kept] for name in ("open", "high", "low", "close", "volume"))
    return Bars(SYMBOLS, bars.ts[kept], *columns, bars.session[kept], bars.since_open[kept], bars.to_close[kept])


@pytest.fixture(scope="session")
def year_market() -> Market:
    """The market of that year."""
    return market_of_rows(*random_bars(252 * 390, SYMBOLS, 7, "1m", gaps=True, start=20230103))


@pytest.fixture(scope="session")
def day_market() -> Market:
    """Three sessions from 2 January 2024 on."""
    return market_of_rows(*random_bars(3 * 390, SYMBOLS, 7, "1m", start=20240102))


@pytest.fixture
def serve() -> Iterator[Callable[..., Sandbox]]:
    """`serve(market, faults="429@1", page_limit=500)`: a sandbox that ends with the test."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def start(market: Market, faults: str = "", **options: object) -> Sandbox:
            names = {"speed", "live", "begin_ns", "skip_closed"}
            own = {name: value for name, value in options.items() if name in names}
            terms = Terms(**{name: value for name, value in options.items() if name not in names})
            return stack.enter_context(running(Sandbox(market, faults=Faults.parse(faults), terms=terms, **own)))

        yield start


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[..., Settings]:
    """`settings_of(sandbox)`: settings that know only this sandbox; further variables by name."""

    def make(sandbox: Sandbox, **more: str) -> Settings:
        environ = {name: value for name, value in sandbox.environment().items() if name != "no_proxy"}
        return load_settings(tmp_path, environ=environ | more)

    return make
