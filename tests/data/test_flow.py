"""Order flow by hand: Cont-Kukanov-Stoikov on every kind of change, Lee-Ready with and without quotes."""

import pytest

from data.flow import BUY, SELL, UNKNOWN, imbalance_of, microprice_of, order_flow, sell_share, side_of

nan = float("nan")
BEFORE = (10.0, 11.0, 5.0, 7.0)  # bid, ask, sizes


@pytest.mark.parametrize(
    ("after", "flow"),
    [
        pytest.param((10.0, 11.0, 5.0, 7.0), 0.0, id="nothing changes"),
        pytest.param((10.0, 11.0, 8.0, 7.0), 3.0, id="the bid grows by 3"),
        pytest.param((10.0, 11.0, 5.0, 9.0), -2.0, id="the offer grows by 2"),
        pytest.param((10.5, 11.0, 4.0, 7.0), 4.0, id="a better bid of 4"),
        pytest.param((9.5, 11.0, 6.0, 7.0), -5.0, id="the bid of 5 is gone"),
        pytest.param((10.0, 10.5, 5.0, 2.0), -2.0, id="a better offer of 2"),
        pytest.param((10.0, 11.5, 5.0, 1.0), 7.0, id="the offer of 7 is gone"),
        pytest.param((10.5, 11.5, 4.0, 1.0), 11.0, id="both move up"),
        pytest.param((nan, 11.0, nan, 7.0), 0.0, id="a side is lost"),
    ],
)
def test_order_flow_of_one_change(after, flow):
    assert order_flow(*BEFORE, *after) == flow


def test_order_flow_of_the_first_book_is_nothing():
    assert order_flow(nan, nan, nan, nan, *BEFORE) == 0.0


@pytest.mark.parametrize(
    ("price", "last", "direction", "side"),
    [
        pytest.param(10.6, 11.0, SELL, BUY, id="above the middle, whatever the tick"),
        pytest.param(10.4, 10.0, BUY, SELL, id="below the middle"),
        pytest.param(10.5, 10.4, SELL, BUY, id="at the middle after a lower price"),
        pytest.param(10.5, 10.6, BUY, SELL, id="at the middle after a higher price"),
        pytest.param(10.5, 10.5, SELL, SELL, id="at the middle after the same price, as before"),
        pytest.param(10.5, nan, UNKNOWN, UNKNOWN, id="at the middle, first of all"),
    ],
)
def test_lee_ready(price, last, direction, side):
    assert side_of(price, 10.0, 11.0, last, direction) == side


def test_lee_ready_without_quotes_is_the_tick_test():
    assert side_of(10.4, nan, 11.0, 10.3, UNKNOWN) == BUY


def test_nothing_is_divided_by_nothing():
    assert microprice_of(10.0, 11.0, 0.0, 0.0) != microprice_of(10.0, 11.0, 1.0, 0.0) == 11.0
    assert str([imbalance_of(0.0, 0.0), sell_share(0.0, 0.0), imbalance_of(nan, 1.0)]) == "[nan, nan, nan]"
    assert (imbalance_of(3.0, 1.0), sell_share(3.0, 1.0)) == (0.5, 0.25)
