"""The position rule by hand: each case small enough to be done on paper. Random markets are in tests/backtests."""

import math

import numpy as np
import pytest

from strategies.common import position as p
from strategies.common.costs import Costs
from strategies.common.rule import Rule

nan = float("nan")
FREE = Costs.free().knobs(20240603)


class Account:
    """One row after another through the rule, for symbols that differ in what they are given."""

    def __init__(self, symbols=1, cash=1_000.0, **rule):
        self.k = Rule(**{"flat_before_s": 0.0, "size": 0.5, **rule}).knobs("1m")
        self.n = symbols
        self.s, self.a = p.fresh(symbols), [cash, cash]
        self.log = []

    def row(self, *prices, to_close=1e6):
        """`prices`: per symbol a close, or a dict of open, high, low, close, volume and signals."""
        x = []
        for j, given in enumerate(prices):
            cell = {"close": given} if not isinstance(given, dict) else given
            close = cell.get("close", nan)
            opening = cell.get("open", close)
            high, low = cell.get("high", max(opening, close)), cell.get("low", min(opening, close))
            flags = [float(cell.get(name, False)) for name in ("enter", "leave", "short", "cover")]
            levels = [float(cell.get(name, nan)) for name in ("size", "stop", "target", "trail")]
            x += [opening, high, low, close, float(cell.get("volume", 1e6)), nan, *flags, *levels]
            self.meet(j, opening, high, low)
        p.mark(self.s, self.a, x, self.k, self.n)
        p.decide(self.s, self.a, x, self.k, self.n, to_close)
        return self

    def meet(self, j, opening, high, low):
        b = j * p.SLOTS
        if self.s[b + p.ORDER] != 0.0:
            if not math.isnan(opening):
                quantity = self.s[b + p.ORDER]
                price, fee = p.open_fill(self.s, b, opening, FREE)
                p.clear_order(self.s, b)
                self.book(b, quantity, price, fee)
            elif p.opens_risk(self.s, b):
                p.clear_order(self.s, b)
        if self.k[p.K_TOUCH] and self.s[b + p.QTY] and not self.s[b + p.ORDER]:
            reason, level = p.touched(self.s, b, opening, high, low)
            if reason:
                quantity = -self.s[b + p.QTY]
                self.log.append(p.REASONS[int(reason)])
                self.book(b, quantity, *p.touch_fill(self.s, b, reason, level, FREE))

    def book(self, b, quantity, price, fee):
        p.apply_fill(self.s, self.a, b, quantity, price, fee, self.k)
        self.log.append((quantity, price))

    def wants(self, j=0):
        """(quantity, reason) of the waiting order."""
        b = j * p.SLOTS
        return self.s[b + p.ORDER], p.REASONS[int(self.s[b + p.REASON])]

    def holds(self, j=0):
        return self.s[j * p.SLOTS + p.QTY]


ENTER = {"close": 10.0, "enter": True}


def test_an_entry_waits_for_the_next_open():
    account = Account().row(ENTER)
    assert account.wants() == (50.0, "entry")
    assert account.holds() == 0.0
    account.row({"open": 11.0, "close": 12.0})
    assert account.log == [(50.0, 11.0)]
    assert account.a == [450.0, 450.0 + 50.0 * 12.0]


def test_an_entry_without_an_open_expires_and_an_exit_waits():
    account = Account().row(ENTER).row(nan)
    assert account.wants() == (0.0, "none")
    account.row(ENTER).row({"close": 10.0}).row({"close": 10.0, "leave": True}).row(nan).row(nan)
    assert account.wants() == (-50.0, "exit")
    account.row({"open": 8.0, "close": 9.0})
    assert account.log[-1] == (-50.0, 8.0)


def test_contradicting_signals_want_nothing():
    for more in ({"leave": True}, {"short": True}):
        assert Account(shorts=True).row(ENTER | more).wants() == (0.0, "none")
    assert Account(shorts=False).row(ENTER | {"short": True}).wants() == (50.0, "entry")


@pytest.mark.parametrize(
    ("given", "row", "fill"),
    [
        ({"stop": 1.0}, {"open": 9.8, "high": 9.9, "low": 9.0, "close": 9.5}, ("stop", 9.0)),
        ({"stop": 1.0}, {"open": 8.0, "high": 8.5, "low": 7.0, "close": 8.0}, ("stop", 8.0)),  # a gap: at the open
        ({"target": 1.0}, {"open": 10.2, "high": 11.0, "low": 10.0, "close": 10.1}, ("target", 11.0)),
        ({"target": 1.0}, {"open": 12.0, "high": 12.0, "low": 11.0, "close": 11.5}, ("target", 12.0)),
        ({"stop": 1.0, "target": 1.0}, {"open": 10.0, "high": 11.5, "low": 8.5, "close": 10.0}, ("stop", 9.0)),
        ({"trail": 1.0}, {"open": 11.0, "high": 11.0, "low": 9.9, "close": 10.5}, ("trail", 10.0)),
        ({"trail": 1.0, "stop": 0.5}, {"open": 10.5, "high": 10.5, "low": 9.0, "close": 9.0}, ("trail", 10.0)),
        ({"stop": 1.0}, {"open": 9.9, "high": 9.9, "low": 9.1, "close": 9.5}, None),
        ({"stop": 0.0, "target": -1.0, "trail": 0.0}, {"open": 10.0, "high": 20.0, "low": 1.0, "close": 10.0}, None),
    ],
)
def test_a_standing_stop_or_target_is_met_within_the_row(given, row, fill):
    # bought at 10; where there is a trailing stop the row of the fill reaches 11, which it follows from the next row on
    high = 11.0 if "trail" in given else 10.9
    account = Account(stops="touch").row(ENTER | given).row({"open": 10.0, "high": high, "low": 9.6, "close": 10.5})
    account.row(row)
    assert account.log[1:] == ([] if fill is None else [fill[0], (-50.0, fill[1])])


def test_shorts_are_the_mirror():
    short = {"close": 10.0, "short": True, "stop": 1.0, "target": 2.0}
    account = Account(stops="touch", shorts=True).row(short).row({"close": 10.0})
    assert account.holds() == -50.0
    assert account.a[p.CASH] == 1_500.0
    account.row({"open": 10.0, "high": 11.2, "low": 7.0, "close": 8.0})
    assert account.log[-2:] == ["stop", (50.0, 11.0)]
    assert Account(shorts=False).row(short).wants() == (0.0, "none")


def test_stops_at_the_close_are_filled_at_the_next_open():
    account = Account().row(ENTER | {"stop": 1.0}).row({"open": 10.0, "low": 5.0, "close": 9.5})
    assert account.wants() == (0.0, "none")  # the low was below the stop, the close was not
    account.row({"close": 9.0})
    assert account.wants() == (-50.0, "stop")
    account.row({"open": 7.0, "close": 7.0})
    assert account.log[-1] == (-50.0, 7.0)


def test_a_trailing_stop_follows_the_best_close():
    account = Account().row(ENTER | {"trail": 1.0}).row({"close": 10.0}).row({"close": 13.0, "high": 20.0})
    assert account.row({"close": 12.1}).wants() == (0.0, "none")
    assert account.row({"close": 12.0}).wants() == (-50.0, "trail")


def test_time_stop_counts_the_row_of_the_fill():
    account = Account(time_stop=2).row(ENTER).row(10.0)
    assert account.wants() == (0.0, "none")
    assert account.row(10.0).wants() == (-50.0, "time")


def test_cooldown_blocks_so_many_rows_after_the_exit():
    account = Account(cooldown=2).row(ENTER).row({"close": 10.0, "leave": True})
    for expected in (0.0, 0.0, 50.0):  # the row of the exit, one more, then free
        account.row(ENTER)
        assert account.wants()[0] == expected


def test_near_the_close_everything_is_left_and_nothing_opened():
    account = Account(symbols=2, flat_before_s=120.0, size=0.2).row(ENTER, 10.0).row(10.0, 10.0)
    account.row(10.0, ENTER, to_close=120.0)
    assert account.wants(0) == (-20.0, "session end")
    assert account.wants(1) == (0.0, "none")


def test_a_halted_position_is_left_at_the_session_end_all_the_same():
    account = Account(flat_before_s=120.0).row(ENTER).row(10.0).row(nan, to_close=60.0).row(nan, to_close=0.0)
    assert account.wants() == (-50.0, "session end")
    account.row({"open": 8.0, "close": 8.0}, to_close=23_400.0)
    assert account.log[-1] == (-50.0, 8.0)


def test_a_reversal_is_one_order():
    account = Account(shorts=True).row(ENTER).row({"close": 10.0, "short": True})
    assert account.wants() == (-100.0, "reversal")
    account.row(10.0)
    assert account.holds() == -50.0


def test_a_reversal_keeps_the_gross_limit_beside_other_positions():
    # 50 % in each of two; turning the first may take 0.98 - 0.5 of 1000 dollars at 10
    account = Account(symbols=2, shorts=True, size=0.5, max_gross=1.0).row(ENTER, ENTER).row(10.0, 10.0)
    assert (account.holds(0), account.holds(1)) == (50.0, 50.0)
    account.row({"close": 10.0, "short": True, "size": 2.0}, 10.0)
    assert account.wants(0) == (-100.0, "reversal")


def test_a_reversal_without_room_only_leaves():
    account = Account(shorts=True).row(ENTER).row({"close": 10.0, "short": True, "size": 0.0})
    assert account.wants() == (-50.0, "exit")


def test_risk_sizing_divides_by_the_stop():
    # 1 % of 1000 dollars over 0.5 a share is 20 shares; size is the cap
    assert Account(risk=0.01).row(ENTER | {"stop": 0.5}).wants() == (20.0, "entry")
    assert Account(risk=0.01).row(ENTER | {"stop": 0.1}).wants() == (50.0, "entry")
    for stop in (nan, 0.0, -1.0):
        assert Account(risk=0.01).row(ENTER | {"stop": stop}).wants() == (0.0, "none")


def test_slots_go_to_the_first_symbols_or_to_the_busiest():
    cells = [ENTER | {"volume": volume} for volume in (5.0, 9.0, 9.0, nan)]
    first = Account(symbols=4, size=0.1, max_positions=2).row(*cells)
    assert [first.wants(j)[0] for j in range(4)] == [10.0, 10.0, 0.0, 0.0]
    busy = Account(symbols=4, size=0.1, max_positions=3, priority="volume").row(*cells)
    assert [busy.wants(j)[0] for j in range(4)] == [10.0, 10.0, 10.0, 0.0]
    busy = Account(symbols=4, size=0.1, max_positions=1, priority="volume").row(*cells)
    assert [busy.wants(j)[0] for j in range(4)] == [0.0, 10.0, 0.0, 0.0]


def test_an_entry_that_does_not_fit_takes_no_slot():
    account = Account(symbols=2, size=0.1, max_positions=1).row({"close": 2_000.0, "enter": True}, ENTER)
    assert (account.wants(0)[0], account.wants(1)[0]) == (0.0, 10.0)


def test_the_gross_limit_is_shared():
    account = Account(symbols=3, size=0.5, max_gross=0.8).row(ENTER, ENTER, ENTER)
    assert [account.wants(j)[0] for j in range(3)] == [50.0, 30.0, 0.0]


def test_fills_in_parts_average_the_entry():
    account = Account()
    for quantity, price in ((10.0, 10.0), (30.0, 12.0)):
        account.book(0, quantity, price, 1.0)
    assert account.s[p.ENTRY] == 11.5
    assert account.a[p.CASH] == 1_000.0 - 100.0 - 360.0 - 2.0
    account.book(0, -20.0, 13.0, 0.0)
    assert (account.s[p.ENTRY], account.holds()) == (11.5, 20.0)


@pytest.mark.parametrize("quantity", [0.1, 0.3, 12.3456789, 1234.000001, 5e-7, 7.9, 1e8 + 0.1])
def test_lots_round_down_to_numbers_that_print_as_such(quantity):
    whole, part = p.lots(quantity, 1.0), p.lots(quantity, 1e-6)
    assert whole == math.floor(quantity)
    assert part <= quantity * (1.0 + 1e-15)
    assert quantity - part < 1.1e-6
    assert part == round(part, 6)


@pytest.mark.parametrize("quantity", [0.0, -1.0, nan, math.inf, 1e16])
def test_lots_of_what_cannot_be_bought_are_none(quantity):
    assert p.lots(quantity, 1.0) == 0.0


def test_reasons_have_their_names():
    assert len(p.REASONS) == p.REVERSAL + 1
    assert p.REASONS[p.SESSION_END] == "session end"


def test_state_of_plain_floats_only():
    account = Account().row(ENTER).row(10.0)
    assert {type(value) for value in account.s} == {float}
    assert not np.isnan(account.a).any()
