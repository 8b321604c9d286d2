"""What was tested is what trades: the compiled scan and the live core with its paper broker agree to the last bit.

Both get the same rows. Compared are every order (row of the decision, symbol, quantity, reason, row of the fill, price,
fee), equity and cash at every row, and every position at every row; floats by their bytes.
"""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtests.engine import run_backtest
from backtests.scan import scan
from data.rows import rows_of
from data.types import FEATURES, Bars, Book
from live.brokers.paper import PaperBroker
from live.core.commands import decode_command
from live.core.core import Core
from live.core.events import decode_event
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import MEMORY, SqliteJournal, steps
from live.ledger import Ledger
from live.replay import replay
from live.session_paper import PaperSession as Session
from strategies.common.costs import Costs
from strategies.common.load import load_strategy, strategy_names
from strategies.common.position import REASONS
from strategies.common.rule import Rule
from strategies.types import Signals

MINUTE = 60_000_000_000
STRATEGIES = strategy_names()

NOISE = '''"""Signals drawn from the prices themselves: no memory, every output used, shorts included."""
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars, *, often: float = 0.7) -> Signals:
    noise = (bars.close * 1e4) % 1.0
    other = (bars.volume * 0.37) % 1.0
    distance = bars.close * 0.004
    return Signals(
        entries=noise > often,
        exits=other > 0.85,
        short_entries=noise < 1.0 - often,
        short_exits=other < 0.15,
        size=noise * 0.5 + 0.05,
        stop=distance * (0.5 + other),
        target=distance * (0.5 + noise),
        trail=distance * (0.4 + other),
    )
'''


def market(seed, rows=700, symbols=3, holes=0.03, session=60, l2=True):
    """A coarse random market: gaps, rows without a trade, ties in price, sessions of an hour."""
    rng = np.random.default_rng(seed)
    shape = (rows, symbols)
    close = np.round(50.0 * np.exp(np.cumsum(rng.normal(0, 3e-3, shape), axis=0)), 2)
    opening = np.round(np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 2e-3, shape)), 2)
    high = np.maximum(opening, close) + np.round(rng.exponential(0.08, shape), 2)
    low = np.minimum(opening, close) - np.round(rng.exponential(0.08, shape), 2)
    volume = np.floor(rng.exponential(5_000, shape))
    gone = rng.random(shape) < holes
    for column in (opening, high, low, close):
        column[gone] = np.nan
    volume[gone] = 0.0
    at = np.arange(rows)
    within = at % session
    bars = Bars(
        tuple(f"S{j}" for j in range(symbols)),
        (at + 1) * MINUTE,
        opening, high, low, close, volume,
        20250102 + at // session,
        (within + 1) * 60.0,
        (session - 1 - within) * 60.0,
    )  # fmt: skip
    if not l2:
        return bars, None
    features = {name: rng.normal(0, 1, shape) for name in FEATURES}
    features["spread"] = np.where(rng.random(shape) < 0.2, np.nan, np.round(rng.exponential(0.03, shape), 2))
    features |= {"sell_flow": rng.random(shape), "imbalance": rng.random(shape) * 2 - 1, "age": rng.random(shape) * 20}
    features |= {"bid": close - 0.01, "ask": close + 0.01}
    return bars, Book(bars.symbols, **features)


def live(bars, book, strategy, params, rule, costs, cash, clock):
    """The rows through core, paper broker and journal: orders as the scan has them, and what stood at every row."""
    plan = Plan.of(strategy, list(bars.symbols), params=params, rule=rule, costs=costs, clock=clock, cash=cash)
    journal = SqliteJournal.create(MEMORY, JournalHeader(plan, Feed("parity", True, ""), built()))
    core = Core(plan, strategy)
    session = Session(core, PaperBroker(plan.symbols, plan.the_costs(), plan.cash), journal, group=512)
    equity, held, positions = [], [], []
    for row in rows_of(bars, book):
        session.row(row)
        equity.append(core.equity)
        held.append(core.cash)
        positions.append(core.positions)
    assert session.differences() == []
    counts = core.counts
    assert (counts.late_rows, counts.duplicate_fills, counts.ignored, counts.contradictions) == (0, 0, 0, 0)
    ledger = Ledger()
    for step in steps(journal):
        ledger.take(decode_event(step.event), [decode_command(body) for body in step.commands])
    again = replay(Core(plan, strategy), journal)
    assert again.digest == core.digest()
    row_of = {int(ts): t for t, ts in enumerate(bars.ts)}
    orders = [
        (
            row_of[line.decided], bars.symbols.index(line.symbol), line.quantity, line.reason,
            row_of[line.filled] if line.filled else -1, line.price, line.fee,
        )
        for line in ledger.orders
    ]  # fmt: skip
    return orders, equity, held, positions


def told(order):
    return (
        int(order["decided"]), int(order["column"]), float(order["quantity"]), REASONS[int(order["reason"])],
        int(order["filled"]), float(order["price"]), float(order["fee"]),
    )  # fmt: skip


def bits(order):
    """NaN equals NaN, 0.0 does not equal -0.0."""
    return tuple(struct.pack("<d", v) if isinstance(v, float) else v for v in order)


def assert_same(bars, book, strategy, params, rule, costs, cash=100_000.0, clock="1m"):
    """Returns how many orders there were."""
    values = strategy.bind(params)
    tested = scan(bars, book, strategy.call(bars, book, values), rule.knobs(clock), costs, cash)
    orders, equity, held, positions = live(bars, book, strategy, params, rule, costs, cash, clock)
    expected = [told(order) for order in tested.orders]
    for i, (a, b) in enumerate(zip(expected, orders, strict=False)):
        assert bits(a) == bits(b), f"order {i}: tested {a}, traded {b}"
    assert len(orders) == len(expected)
    assert np.array(equity).tobytes() == tested.equity.tobytes()
    assert np.array(held).tobytes() == tested.cash.tobytes()
    assert np.array(positions).tobytes() == np.ascontiguousarray(tested.positions).tobytes()
    return len(orders)


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    path = tmp_path_factory.mktemp("strategy") / "noise.py"
    path.write_text(NOISE)
    return load_strategy(path)


RULES = {
    "as it is": Rule(),
    "touch": Rule(stops="touch"),
    "touch, shorts": Rule(stops="touch", shorts=True),
    "touch, shorts, fractional, borrowed": Rule(stops="touch", shorts=True, fractional=True, max_gross=3.0),
    "close, shorts": Rule(shorts=True),
    "risk-sized": Rule(risk=0.002, size=0.4),
    "risk-sized, touch": Rule(risk=0.002, size=0.4, stops="touch", shorts=True),
    "one slot, by volume": Rule(max_positions=1, priority="volume"),
    "two slots, by volume, touch": Rule(max_positions=2, priority="volume", stops="touch", shorts=True),
    "time stop": Rule(time_stop=7),
    "time stop, touch, cooldown": Rule(time_stop=3, stops="touch", cooldown=4, shorts=True),
    "cooldown": Rule(cooldown=9),
    "overnight": Rule(flat_before_s=0.0, stops="touch"),
    "flat early": Rule(flat_before_s=900.0, shorts=True),
    "tight gross": Rule(max_gross=0.25, size=0.2, shorts=True),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_rule_trades_as_it_tests(noise, rule, seed):
    bars, book = market(seed)
    assert assert_same(bars, book, noise, {}, rule, Costs()) > 20


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("seed", [11, 12])
def test_every_strategy_trades_as_it_tests_on_random_rows(name, seed):
    strategy = load_strategy(name)
    bars, book = market(seed, rows=1_200, holes=0.01)
    for rule in (strategy.rule, replace(strategy.rule, stops="touch", shorts=True, flat_before_s=0.0, max_positions=2)):
        assert_same(bars, book, strategy, {}, rule, Costs())


def test_rows_without_a_book_trade_as_they_test(noise):
    bars, book = market(5, l2=False)
    assert assert_same(bars, book, noise, {}, Rule(stops="touch", shorts=True), Costs()) > 20


def test_one_symbol_and_eleven_trade_as_they_test(noise):
    for symbols in (1, 11):
        bars, book = market(6, rows=400, symbols=symbols)
        assert assert_same(bars, book, noise, {}, Rule(stops="touch", shorts=True, size=0.2), Costs()) > 10


RULE_OPTIONS = st.builds(
    Rule,
    size=st.sampled_from([0.05, 0.1, 0.5, 1.5]),
    risk=st.sampled_from([0.0, 0.001, 0.02]),
    max_positions=st.integers(1, 5),
    max_gross=st.sampled_from([0.2, 0.98, 2.5]),
    fractional=st.booleans(),
    stops=st.sampled_from(["close", "touch"]),
    time_stop=st.sampled_from([0, 1, 2, 9]),
    cooldown=st.sampled_from([0, 1, 5]),
    flat_before_s=st.sampled_from([None, 0.0, 60.0, 600.0]),
    shorts=st.booleans(),
    priority=st.sampled_from(["order", "volume"]),
)
COST_OPTIONS = st.builds(
    Costs,
    half_spread_bps=st.sampled_from([0.0, 1.0, 25.0]),
    use_book=st.booleans(),
    slippage_bps=st.sampled_from([0.0, 0.5]),
    impact_bps=st.sampled_from([0.0, 10.0, 500.0]),
    commission_per_share=st.sampled_from([0.0, 0.005]),
    commission_min=st.sampled_from([0.0, 1.0]),
    regulatory=st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    rule=RULE_OPTIONS,
    costs=COST_OPTIONS,
    symbols=st.integers(1, 5),
    holes=st.sampled_from([0.0, 0.05, 0.4]),
    often=st.sampled_from([0.55, 0.8, 0.95]),
    l2=st.booleans(),
)
def test_any_rule_and_costs_trade_as_they_test(noise, seed, rule, costs, symbols, holes, often, l2):
    bars, book = market(seed, rows=240, symbols=symbols, holes=holes, session=40, l2=l2)
    assert_same(bars, book, noise, {"often": often}, rule, costs)


def test_signals_of_the_scan_are_the_stream_s(noise):
    """The test's own ground: the noise strategy has all eight outputs."""
    bars, book = market(1, rows=10)
    assert len(list(noise.call(bars, book, noise.bind()).columns())) == len(Signals.__dataclass_fields__)


@pytest.fixture(scope="session")
def simulated():
    from data.sources.simulated import market as simulated_market

    return simulated_market(("AAA", "BBB", "CCC"), 3, 7, "1m")


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_trades_as_it_tests_on_the_simulated_market(simulated, name):
    bars, book = simulated
    strategy = load_strategy(name)
    result = run_backtest(bars, strategy, {}, book=book, clock="1m")
    orders, equity, _, positions = live(bars, book, strategy, {}, strategy.rule, Costs(), 100_000.0, "1m")
    assert [bits(told(order)) for order in result.orders] == [bits(order) for order in orders]
    assert np.array(equity).tobytes() == np.asarray(result.equity).tobytes()
    assert np.array(positions).tobytes() == np.ascontiguousarray(result.positions).tobytes()


def test_order_flow_trades_on_the_simulated_book(simulated):
    """Parity over no orders would say nothing."""
    bars, book = simulated
    strategy = load_strategy("order_flow")
    loose = {"lean": 0.05, "push": 0.3, "stale": 60.0}
    assert assert_same(bars, book, strategy, loose, strategy.rule, Costs()) > 4
