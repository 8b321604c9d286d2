"""A small market, a strategy that trades on it, and sessions over both."""

import numpy as np
import pytest

from data.rows import rows_of
from data.types import Bars
from live.brokers.paper import PaperBroker
from live.core.core import Core
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import MEMORY, SqliteJournal
from live.session_paper import PaperSession as Session
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.common.rule import Rule

MINUTE = 60_000_000_000

SCRIPTED = '''"""The volume of a row says what is wanted: 1 buy, 2 sell, 3 short, 4 cover, else nothing."""
from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars, *, stop: float = 1.0, target: float = 2.0) -> Signals:
    said = bars.volume + 0.0 * sma(bars.close, 1)
    return Signals(said == 1, said == 2, said == 3, said == 4, stop=stop, target=target)
'''


@pytest.fixture(scope="session")
def scripted(tmp_path_factory):
    """A strategy that does what the volumes say."""
    path = tmp_path_factory.mktemp("strategies") / "scripted.py"
    path.write_text(SCRIPTED)
    return load_strategy(path)


@pytest.fixture(scope="session")
def bars_of():
    """`bars_of([(open, high, low, close, says), ...])`: one symbol, a row a minute, far from any session's end."""

    def make(lines, symbols=("AAA",)):
        table = np.array(lines, dtype=float).reshape(len(lines), 5)
        columns = [np.repeat(table[:, [i]], len(symbols), axis=1) for i in range(5)]
        count = len(lines)
        return Bars(
            symbols, (np.arange(count) + 1) * MINUTE, *columns, np.full(count, 20250102),
            np.arange(count) * 60.0, np.full(count, 20_000.0),
        )  # fmt: skip

    return make


@pytest.fixture
def session_of(scripted):
    """`session_of(rule, symbols=..., journal=...)`: a fresh session of the scripted strategy, without costs."""

    def make(rule=None, symbols=("AAA",), journal=None, params=None, costs=None, tell=lambda _: None, limits=None):
        plan = Plan.of(
            scripted,
            list(symbols),
            rule=rule or Rule(size=0.5),
            costs=costs or Costs.free(),
            params=params,
            clock="1m",
            limits=limits,
        )  # fmt: skip
        journal = journal or SqliteJournal.create(MEMORY, JournalHeader(plan, Feed("test", True, ""), built()))
        broker = PaperBroker(plan.symbols, plan.the_costs(), plan.cash)
        return Session(Core(plan, scripted), broker, journal, tell=tell)

    return make


@pytest.fixture
def rows(bars_of):
    """`rows([...])`: the messages of `bars_of`."""
    return lambda lines, symbols=("AAA",): list(rows_of(bars_of(lines, symbols)))
