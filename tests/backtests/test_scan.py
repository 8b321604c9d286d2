"""The compiled scan against an oracle of plain objects, and against the rule's functions run by CPython on lists."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.scan import scan
from strategies.common import position as p
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.types import Signals

seeds = st.integers(min_value=0, max_value=2**32 - 1)
many = settings(max_examples=150, deadline=None, derandomize=True)


class OnLists:
    """The rule as live runs it: lists and floats, one row at a time."""

    def __init__(self, bars, book, signals, knobs, costs, cash):
        self.bars, self.knobs, self.costs, self.n = bars, knobs, costs, bars.shape[1]
        self.s, self.a, self.x = p.fresh(self.n), [cash, cash], [0.0] * (self.n * p.FIELDS)
        self.waiting = [-1] * self.n
        self.orders, self.equity, self.cash, self.positions = [], [], [], []
        blank = np.full(bars.shape, np.nan)
        columns = [bars.open, bars.high, bars.low, bars.close, bars.volume, blank if book is None else book.spread]
        for name in ("entries", "exits", "short_entries", "short_exits"):
            given = getattr(signals, name)
            columns.append(np.zeros(bars.shape) if given is None else given.astype(float))
        for name in ("size", "stop", "target", "trail"):
            given = getattr(signals, name)
            columns.append(blank if given is None else given)
        self.cells = [column.tolist() for column in columns]

    def run(self):
        for t in range(len(self.bars)):
            c = self.costs.knobs(int(self.bars.session[t]))
            for j in range(self.n):
                if self.s[j * p.SLOTS + p.ORDER] != 0.0:
                    self.meet_open(t, j, c)
            if self.knobs[p.K_TOUCH] > 0.0:
                for j in range(self.n):
                    self.meet_range(t, j, c)
            self.close(t)
        assert all(type(value) is float for value in (*self.s, *self.a))
        return self

    def meet_open(self, t, j, c):
        s, b, opening = self.s, j * p.SLOTS, self.cells[0][t][j]
        if opening == opening:
            quantity = s[b + p.ORDER]
            price, fee = p.open_fill(s, b, opening, c)
            p.clear_order(s, b)
            p.apply_fill(s, self.a, b, quantity, price, fee, self.knobs)
            self.orders[self.waiting[j]][4:] = [t, opening, price, fee]
            self.waiting[j] = -1
        elif p.opens_risk(s, b):
            p.clear_order(s, b)
            self.waiting[j] = -1

    def meet_range(self, t, j, c):
        s, b = self.s, j * p.SLOTS
        if s[b + p.ORDER] != 0.0:
            return
        reason, level = p.touched(s, b, *(self.cells[k][t][j] for k in range(3)))
        if reason:
            quantity = -s[b + p.QTY]
            price, fee = p.touch_fill(s, b, reason, level, c)
            p.apply_fill(s, self.a, b, quantity, price, fee, self.knobs)
            self.orders.append([t, j, quantity, reason, t, level, price, fee])

    def close(self, t):
        s, n = self.s, self.n
        for j in range(n):
            for field in range(p.FIELDS):
                self.x[j * p.FIELDS + field] = self.cells[field][t][j]
        p.mark(s, self.a, self.x, self.knobs, n)
        p.decide(s, self.a, self.x, self.knobs, n, float(self.bars.to_close[t]))
        for j in range(n):
            b = j * p.SLOTS
            if s[b + p.ORDER] != 0.0 and self.waiting[j] < 0:
                self.waiting[j] = len(self.orders)
                self.orders.append([t, j, s[b + p.ORDER], s[b + p.REASON], -1, p.nan, p.nan, 0.0])
        self.positions.append([s[j * p.SLOTS + p.QTY] for j in range(n)])
        self.equity.append(self.a[p.EQUITY])
        self.cash.append(self.a[p.CASH])


def bits(values):
    """The bytes of floats, every NaN the same."""
    flat = [float(v) for v in np.ravel(np.asarray(values, dtype=float))]
    return struct.pack(f"<{len(flat)}d", *(v if v == v else p.nan for v in flat))


def scanned(made, seed):
    bars, book, signals = made.random_market(seed)
    rule, costs, cash = made.random_options(seed)
    knobs = rule.knobs("30m")
    return (bars, book, signals, knobs, costs, cash), scan(bars, book, signals, knobs, costs, cash), rule


@many
@given(seed=seeds)
def test_compiled_scan_equals_the_interpreted_rule_bit_for_bit(made, seed):
    given, done, _ = scanned(made, seed)
    other = OnLists(*given).run()
    assert bits([list(order) for order in done.orders.tolist()]) == bits(other.orders)
    for name in ("equity", "cash", "positions"):
        assert bits(getattr(done, name)) == bits(getattr(other, name)), name


@many
@given(seed=seeds)
def test_scan_equals_the_oracle(made, seed):
    (bars, book, signals, _, costs, cash), done, rule = scanned(made, seed)
    spread = np.full(bars.shape, np.nan) if book is None else book.spread
    oracle = made.Oracle(bars, spread, signals, rule, costs, cash, made.row_seconds).run()

    ours = [(o["decided"], o["column"], p.REASONS[o["reason"]], o["filled"]) for o in done.orders]
    theirs = [(o.decided, o.symbol, o.reason, o.filled) for o in oracle.orders]
    assert sorted(ours) == sorted(theirs)
    figures = sorted((o["decided"], o["column"], o["quantity"], o["price"], o["fee"]) for o in done.orders)
    expected = sorted((o.decided, o.symbol, o.quantity, o.price, o.fee) for o in oracle.orders)
    if expected:
        np.testing.assert_allclose(np.array(figures), np.array(expected), rtol=1e-10)
    np.testing.assert_allclose(done.equity, oracle.equity_by_row, rtol=1e-10, atol=1e-6)
    np.testing.assert_allclose(done.cash, oracle.cash_by_row, rtol=1e-10, atol=1e-6)
    held = [[row.get(j, 0.0) for j in range(bars.shape[1])] for row in oracle.held_by_row]
    np.testing.assert_allclose(done.positions, held, rtol=1e-12)


@many
@given(seed=seeds)
def test_what_must_hold_on_any_market(made, seed):
    (bars, _, _, _, _, cash), done, rule = scanned(made, seed)
    filled = done.orders[done.orders["filled"] >= 0]

    # equity is cash and positions at the last known closes
    marks, last = np.zeros(bars.shape), np.zeros(bars.shape[1])
    for t in range(len(bars)):
        last = np.where(np.isnan(bars.close[t]), last, bars.close[t])
        marks[t] = last
    np.testing.assert_allclose(done.equity, done.cash + np.sum(done.positions * marks, axis=1), rtol=1e-10, atol=1e-6)
    # cash is the start less what every fill cost
    spent = np.zeros(len(bars))
    np.add.at(spent, filled["filled"], filled["quantity"] * filled["price"] + filled["fee"])
    np.testing.assert_allclose(done.cash, cash - np.cumsum(spent), rtol=1e-10, atol=1e-6)
    # positions are the sum of the fills
    held = np.zeros(bars.shape)
    np.add.at(held, (filled["filled"], filled["column"]), filled["quantity"])
    np.testing.assert_allclose(done.positions, np.cumsum(held, axis=0), atol=1e-6)

    assert (filled["filled"] >= filled["decided"]).all()
    touched = filled["filled"] == filled["decided"]
    assert np.isin(filled["reason"][touched], [p.STOP_HIT, p.TARGET_HIT, p.TRAIL_HIT]).all()
    assert rule.stops == "touch" or not touched.any()
    # nobody pays less, or gets more, than the price before costs
    assert ((filled["price"] - filled["reference"]) * np.sign(filled["quantity"]) >= 0.0).all()
    assert (np.count_nonzero(done.positions, axis=1) <= rule.max_positions).all()
    if not rule.shorts:
        assert (done.positions >= 0.0).all()
    if not rule.fractional:
        assert (done.orders["quantity"] == np.round(done.orders["quantity"])).all()


@many
@given(seed=seeds)
def test_what_comes_later_changes_nothing_before(made, seed):
    given, done, _ = scanned(made, seed)
    bars, book, signals, knobs, costs, cash = given
    cut = int(np.random.default_rng(seed).integers(1, len(bars) + 1))
    short = Signals(**{name: column[:cut] for name, column in signals.columns()})
    part = scan(bars.rows(0, cut), None if book is None else book.rows(0, cut), short, knobs, costs, cash)
    assert bits(part.equity) == bits(done.equity[:cut])
    assert bits(part.positions) == bits(done.positions[:cut])
    known = done.orders[done.orders["decided"] < cut]
    assert np.array_equal(part.orders["quantity"], known["quantity"])


def test_many_orders_outgrow_the_first_table_and_are_all_kept(made):
    bars = made.bars_of(np.full(6_000, 10.0))
    rows = np.arange(6_000).reshape(-1, 1)
    signals = Signals(entries=rows % 2 == 0, exits=rows % 2 == 1)
    done = scan(bars, None, signals.checked(bars.shape, "test"), Rule().knobs("1d"), Costs.free(), 1_000.0)
    assert len(done.orders) == 6_000
    assert done.orders["decided"].tolist() == list(range(6_000))
    assert done.equity[-1] == 1_000.0


def test_orders_never_filled_are_marked_so(made):
    bars = made.bars_of([10.0, np.nan, 10.0], opening=[10.0, np.nan, 10.0], volume=[1.0, np.nan, 1.0])
    entries = np.array([[True], [False], [True]])
    signals = Signals(entries, ~entries).checked(bars.shape, "test")
    done = scan(bars, None, signals, Rule().knobs("1d"), Costs.free(), 1_000.0)
    # The first entry meets no open and expires; the second still waits when the rows end.
    assert done.orders["filled"].tolist() == [-1, -1]
    assert np.isnan(done.orders["price"]).all()
    assert done.equity.tolist() == [1_000.0] * 3


@pytest.mark.parametrize("symbols", [1, 5])
def test_layout_of_the_columns_does_not_matter(made, symbols):
    bars, _, signals = made.random_market(5, rows=80, symbols=symbols)
    rule, costs, cash = made.random_options(5)
    one = scan(bars, None, signals, rule.knobs("30m"), costs, cash)
    rows = Signals(**{name: np.ascontiguousarray(column) for name, column in signals.columns()})
    other = scan(bars, None, rows, rule.knobs("30m"), costs, cash)
    assert bits(one.equity) == bits(other.equity)
