"""Orders to trades: hand-computed, with parts and reversals, and against vectorbt's exit trades."""

import numpy as np
import pytest

from backtests.scan import ORDERS
from backtests.trades import TRADES, trades_of
from strategies.common.position import ENTRY_SIGNAL, EXIT_SIGNAL, REVERSAL

CLOSE = [10.0, 11.0, 12.0, 9.0, 8.0, 10.0]


def orders_of(*rows):
    """Orders from (column, filled, quantity, price, fee, reason), decided a row before their fill."""
    orders = np.zeros(len(rows), dtype=ORDERS)
    for order, (column, filled, quantity, price, fee, reason) in zip(orders, rows, strict=True):
        order["column"], order["filled"], order["quantity"] = column, filled, quantity
        order["price"], order["fee"], order["reason"] = price, fee, reason
        order["decided"] = filled - 1
    return orders


def test_a_long_trade_by_hand(made):
    bars = made.bars_of(CLOSE, high=[10.5, 11.5, 13.0, 12.0, 9.0, 10.0], low=[9.5, 10.0, 11.0, 8.5, 8.0, 8.0])
    orders = orders_of((0, 1, 10.0, 10.0, 1.0, ENTRY_SIGNAL), (0, 3, -10.0, 12.0, 2.0, EXIT_SIGNAL))
    (trade,) = trades_of(orders, bars).records
    assert (trade["entry_row"], trade["exit_row"], trade["rows"], trade["side"], trade["open"]) == (1, 3, 2, 1, False)
    # 10 * (12 - 10) - 1 - 2 = 17, over an entry of 100
    assert (trade["pnl"], trade["return"]) == (17.0, 0.17)
    # rows 1 and 2: highest 13, lowest 10; the exit's own row does not count
    assert (trade["mfe"], trade["mae"]) == (pytest.approx(0.3), 0.0)
    assert (trade["reason_in"], trade["reason_out"]) == (ENTRY_SIGNAL, EXIT_SIGNAL)


def test_a_reversal_ends_one_trade_and_begins_the_next(made):
    orders = orders_of((0, 1, 10.0, 10.0, 1.0, ENTRY_SIGNAL), (0, 3, -15.0, 12.0, 3.0, REVERSAL))
    first, second = trades_of(orders, made.bars_of(CLOSE)).records
    # two thirds of the fee belong to the exit: 20 - 1 - 2
    assert (first["pnl"], first["exit_fee"]) == (pytest.approx(17.0), pytest.approx(2.0))
    # 5 short from 12, still open at 10: 5 * 2 - 1
    assert (second["side"], second["quantity"], second["open"]) == (-1, 5.0, True)
    assert (second["pnl"], second["entry_fee"], second["exit_fee"]) == (pytest.approx(9.0), pytest.approx(1.0), 0.0)
    assert second["mfe"] == pytest.approx(4.0 / 12.0)  # the low of row 4 was 8


def test_parts_average_the_entry_and_split_its_fee(made):
    orders = orders_of(
        (0, 1, 10.0, 10.0, 2.0, ENTRY_SIGNAL),
        (0, 2, 10.0, 12.0, 2.0, ENTRY_SIGNAL),
        (0, 3, -5.0, 12.0, 1.0, EXIT_SIGNAL),
        (0, 4, -15.0, 8.0, 1.0, EXIT_SIGNAL),
    )
    first, second = trades_of(orders, made.bars_of(CLOSE)).records
    # the entry averages 11; a quarter is left at 12: 5 - 1 - 1; the rest at 8: -45 - 3 - 1
    assert (first["entry_price"], first["pnl"]) == (11.0, pytest.approx(3.0))
    assert (second["entry_price"], second["pnl"]) == (11.0, pytest.approx(-49.0))


def test_unfilled_orders_and_no_orders_make_no_trades(made):
    bars = made.bars_of(CLOSE)
    assert len(trades_of(np.empty(0, dtype=ORDERS), bars)) == 0
    assert len(trades_of(orders_of((0, -1, 10.0, np.nan, 0.0, ENTRY_SIGNAL)), bars)) == 0


def test_an_open_trade_is_valued_at_the_last_known_close(made):
    close = [10.0, 11.0, 12.0, np.nan]
    bars = made.bars_of(close, opening=close, high=close, low=close)
    (trade,) = trades_of(orders_of((0, 1, 1.0, 10.0, 0.0, ENTRY_SIGNAL)), bars).records
    assert (trade["open"], trade["exit_row"], trade["exit_price"]) == (True, 3, 12.0)


def test_trades_are_readable_under_vectorbts_names(made):
    bars = made.bars_of(np.array([CLOSE, CLOSE]).T)
    orders = orders_of((1, 1, 10.0, 10.0, 1.0, ENTRY_SIGNAL), (0, 2, -5.0, 12.0, 0.0, ENTRY_SIGNAL))
    frame = trades_of(orders, bars).records_readable
    assert frame["Column"].tolist() == ["A", "B"]
    assert frame["Direction"].tolist() == ["Short", "Long"]
    assert frame["Reason Out"].tolist() == ["open", "open"]
    assert list(frame.columns[:6]) == [
        "Exit Trade Id", "Column", "Size", "Entry Timestamp", "Avg Entry Price", "Entry Fees",
    ]  # fmt: skip
    assert len(TRADES) == 17


@pytest.mark.parametrize("seed", range(8))
def test_trades_equal_vectorbts_on_random_orders(made, seed):
    from vectorbt.portfolio.enums import order_dt
    from vectorbt.portfolio.nb import get_exit_trades_nb

    r = np.random.default_rng(seed)
    close = np.round(50.0 * np.exp(np.cumsum(r.normal(0, 0.02, (60, 3)), axis=0)), 2)
    rows = sorted(
        (int(r.integers(3)), int(t), float(r.integers(1, 9)) * r.choice([-1.0, 1.0]), 50.0 + r.normal(), 0.5, 1)
        for t in r.integers(0, 60, 80)
    )
    ours = trades_of(orders_of(*rows), made.bars_of(close)).records
    records = np.zeros(len(rows), dtype=order_dt)
    for place, name in enumerate(("col", "idx", "size", "price", "fees")):
        records[name] = [abs(row[place]) for row in rows]
    records["side"] = [0 if row[2] > 0 else 1 for row in rows]
    records["id"] = np.arange(len(rows))
    lengths = np.bincount(records["col"], minlength=3)
    theirs = get_exit_trades_nb(records, close, (np.arange(len(rows)), lengths))
    ours = ours[np.lexsort((ours["quantity"], ours["exit_row"], ours["column"]))]
    theirs = theirs[np.lexsort((theirs["size"], theirs["exit_idx"], theirs["col"]))]
    assert len(ours) == len(theirs)
    for mine, other in (
        ("column", "col"), ("quantity", "size"), ("entry_row", "entry_idx"), ("entry_price", "entry_price"),
        ("entry_fee", "entry_fees"), ("exit_row", "exit_idx"), ("exit_price", "exit_price"),
        ("exit_fee", "exit_fees"), ("pnl", "pnl"), ("return", "return"),
    ):  # fmt: skip
        np.testing.assert_allclose(ours[mine], theirs[other], rtol=1e-9, atol=1e-9, err_msg=mine)
