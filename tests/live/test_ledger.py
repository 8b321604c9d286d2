"""Orders, fills and trades as tables."""

import pytest

from live.core.commands import Protect, Submit
from live.core.events import Fill, OrderExpired, Timer
from live.ledger import Ledger

nan = float("nan")


def submit(order_id, ts, side, quantity, reason="entry", symbol="AAA"):
    return Submit(order_id, ts, symbol, side, quantity, reason, "row")


@pytest.fixture
def ledger():
    return Ledger()


def bought(ledger, quantity=100.0, price=10.0, fee=1.0):
    ledger.take(Timer(1), [submit("o1", 1, "buy", quantity)])
    ledger.take(Fill(2, "o1", "x1", quantity, price, fee), [])


def test_an_order_has_its_fill(ledger):
    bought(ledger)
    (line,) = ledger.orders
    assert (line.decided, line.quantity, line.filled, line.price, line.fee) == (1, 100.0, 2, 10.0, 1.0)
    assert line.state == "filled"


def test_an_expired_order_has_none(ledger):
    ledger.take(Timer(1), [submit("o1", 1, "sell", 5.0)])
    ledger.take(OrderExpired(2, "o1"), [])
    (line,) = ledger.orders
    assert (line.quantity, line.filled, line.state) == (-5.0, 0, "expired")


def test_fills_in_parts_are_averaged_and_told_once(ledger):
    ledger.take(Timer(1), [submit("o1", 1, "buy", 4.0)])
    ledger.take(Fill(2, "o1", "x1", 1.0, 10.0, 0.5), [])
    assert ledger.orders[0].state == "partial"
    ledger.take(Fill(3, "o1", "x2", 3.0, 12.0, 0.5), [])
    ledger.take(Fill(3, "o1", "x2", 3.0, 12.0, 0.5), [])
    (line,) = ledger.orders
    assert (line.price, line.fee, line.state) == (11.5, 1.0, "filled")  # (10 + 3 * 12) / 4
    assert len(ledger.fills) == 2


@pytest.mark.parametrize(("leg", "stop_reason", "reason"), [("stop", "stop", "stop"), ("stop", "trail", "trail"),
                                                            ("target", "trail", "target")])  # fmt: skip
def test_a_met_protection_is_an_order_with_its_reason(ledger, leg, stop_reason, reason):
    bought(ledger)
    ledger.take(Timer(3), [Protect("p1", 3, "AAA", "sell", 100.0, 9.0, nan, stop_reason=stop_reason)])
    ledger.take(Fill(5, "p1", "y1", 100.0, 9.0, 1.0, leg), [])
    line = ledger.orders[1]
    assert (line.decided, line.filled, line.quantity, line.reason) == (5, 5, -100.0, reason)
    (trade,) = ledger.trades()
    assert (trade.pnl, trade.fees, trade.reason) == (-102.0, 2.0, reason)  # 100 * (9 - 10) - 2


def test_a_turning_fill_ends_one_trade_and_begins_the_next(ledger):
    bought(ledger, 100.0, 10.0, 0.0)
    ledger.take(Timer(3), [submit("o2", 3, "sell", 150.0, "reversal")])
    ledger.take(Fill(4, "o2", "x2", 150.0, 11.0, 3.0), [])
    ledger.take(Timer(5), [submit("o3", 5, "buy", 50.0, "exit")])
    ledger.take(Fill(6, "o3", "x3", 50.0, 12.0, 1.0), [])
    first, second = ledger.trades()
    assert (first.quantity, first.pnl, first.fees) == (100.0, 98.0, 2.0)  # 100 * 1, two thirds of the fee of 3
    assert (second.quantity, second.pnl, second.fees) == (-50.0, -52.0, 2.0)  # 50 * -1, the last third and 1
    assert (second.entry_ts, second.exit_ts) == (4, 6)


def test_an_open_trade_is_not_closed(ledger):
    bought(ledger)
    assert ledger.trades() == []


def test_symbols_do_not_mix(ledger):
    bought(ledger)
    ledger.take(Timer(3), [submit("o2", 3, "sell", 100.0, symbol="BBB")])
    ledger.take(Fill(4, "o2", "x2", 100.0, 11.0, 0.0), [])
    assert ledger.trades() == []
