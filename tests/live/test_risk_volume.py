"""R33 over a day: an entry counts with the shares that the account has traded since the session began.

The limit is half of the average volume, so that the shares it allows are exact numbers.
"""

from itertools import count

import msgspec
import pytest

from live.core.commands import Denied, Submit
from live.core.core import Core
from live.core.events import Fill, OrderAccepted, OrderExpired, OrderSent, SymbolFacts
from live.core.plan import Plan
from strategies.common.costs import Costs
from strategies.common.rule import Rule

FLAT, BUY, SELL = range(3)
LOT = {False: 1.0, True: 1e-6}
PRICE = 128.0
FRACTION = 390.625  # shares for half of 100,000 dollars at 128, a number without rounding
WHOLE = 390.0


class Day:
    """An account that may trade `shares` of AAA a session; `says` gives the answer to each row."""

    def __init__(self, scripted, rows, shares, *, fractional=False):
        limits = {"max_accounts_volume_pct": 50.0}
        rule = Rule(size=0.5, fractional=fractional)
        self.core = Core(Plan.of(scripted, ["AAA"], rule=rule, costs=Costs.free(), clock="1m", limits=limits), scripted)
        self.core.step(SymbolFacts(1, "AAA", average_volume=2.0 * shares))
        self._rows, self._number, self.row = rows, count(), None

    def says(self, what, session=20250102):
        """The one order or refusal that a row brings."""
        number = next(self._number)
        row = self._rows([(PRICE,) * 4 + (what,)] * (number + 1))[-1]
        self.row = msgspec.structs.replace(row, session=session)
        (command,) = self.core.step(self.row)
        if isinstance(command, Submit):
            self.core.step(OrderSent(command.ts, command.order_id))
            self.core.step(OrderAccepted(command.ts, command.order_id))
        return command

    def fills(self, order, *parts):
        """The venue fills an order in these parts."""
        for part in parts:
            self.core.step(Fill(self.row.ts + 1, order.order_id, f"{order.order_id}/{part}", part, PRICE, 0.0))

    def turn(self):
        """Buy in two parts and sell again: the shares of one side."""
        bought = self.says(BUY)
        self.fills(bought, 90.0, bought.quantity - 90.0)
        sold = self.says(SELL)
        self.fills(sold, sold.quantity)
        assert self.core.positions == [0.0]
        return bought.quantity


@pytest.mark.parametrize("fractional", [False, True], ids=["whole shares", "millionths"])
@pytest.mark.parametrize(("lots", "passes"), [(1, True), (0, True), (-1, False)], ids=["limit-1", "limit", "limit+1"])
def test_buys_and_sells_of_the_day_count_at_the_limit(scripted, rows, fractional, lots, passes):
    each = FRACTION if fractional else WHOLE
    allowed = 3 * each + lots * LOT[fractional]
    day = Day(scripted, rows, allowed, fractional=fractional)
    assert day.turn() == each
    third = day.says(BUY)
    assert (type(third), third.quantity) == (Submit if passes else Denied, each)
    if not passes:
        assert (third.code, third.text) == ("R33.accounts", f"accounts_shares={3 * each:g} limit={allowed:g}")


@pytest.mark.parametrize(("room", "passes"), [(1.0, True), (0.0, True), (-1.0, False)])
def test_of_an_order_that_ended_only_what_was_filled_counts(scripted, rows, room, passes):
    day = Day(scripted, rows, 2 * 100.0 + WHOLE + room)
    entry = day.says(BUY)
    day.fills(entry, 100.0)
    day.core.step(OrderExpired(day.row.ts + 2, entry.order_id))
    day.fills(day.says(SELL), 100.0)
    assert isinstance(day.says(BUY), Submit if passes else Denied)


def test_a_fill_that_is_told_twice_counts_once(scripted, rows):
    day = Day(scripted, rows, 3 * WHOLE)
    entry = day.says(BUY)
    day.fills(entry, WHOLE)
    day.fills(entry, WHOLE)
    assert day.core.counts.duplicate_fills == 1
    day.fills(day.says(SELL), WHOLE)
    assert isinstance(day.says(BUY), Submit)


def test_the_position_is_left_also_where_the_day_s_shares_are_used_up(scripted, rows):
    day = Day(scripted, rows, WHOLE)
    day.fills(day.says(BUY), WHOLE)
    left = day.says(SELL)
    assert (type(left), left.side, left.quantity) == (Submit, "sell", WHOLE)
    day.fills(left, WHOLE)
    assert day.says(BUY).code == "R33.accounts"


def test_a_new_session_begins_at_nothing(scripted, rows):
    day = Day(scripted, rows, 2 * WHOLE)
    day.turn()
    assert day.says(BUY).code == "R33.accounts"
    assert isinstance(day.says(BUY, session=20250103), Submit)
