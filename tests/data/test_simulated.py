"""The simulated market: one order book behind rows and events, the same everywhere, and looking like a stock."""

import hashlib

import numpy as np
import pytest

from data.calendar import session_of
from data.errors import DataError, UsageError
from data.sources.simulated import events, market
from data.types import FEATURES, PRICES

pytest.importorskip("numba")

SESSIONS = 3


@pytest.fixture(scope="module")
def week():
    return market(("AAA", "BBB"), SESSIONS, 7)


@pytest.fixture(scope="module")
def tape():
    return events("BBB", 1, seed=7)


def bits(columns, names) -> str:
    words = hashlib.sha256()
    for name in names:
        column = getattr(columns, name)
        words.update(np.where(np.isnan(column), np.nan, column).tobytes("F"))
    return words.hexdigest()[:16]


def test_the_bits_of_a_seed_never_change(week):
    bars, book = week
    assert (bits(bars, PRICES), bits(book, FEATURES)) == ("ab111e528364e383", "25c5f78ab68d51d9")


def test_a_symbol_does_not_depend_on_the_others_nor_on_how_many_sessions_follow(week):
    alone, book = market(("BBB",), 1, 7)
    assert alone.close[:, 0].tobytes() == week[0].close[:390, 1].tobytes()
    assert book.ofi[:, 0].tobytes() == week[1].ofi[:390, 1].tobytes()


def test_another_seed_is_another_market(week):
    assert not np.array_equal(market(("AAA",), 1, 8)[0].close[:, 0], week[0].close[:390, 0])


def test_rows_are_what_their_trades_make_of_them(week, tape):
    bars = week[0].rows(390, 780)
    row = np.searchsorted(bars.ts, tape.trades["ts"], side="left")  # a row holds what came up to its close
    for t in range(len(bars)):
        prices, sizes = tape.trades["price"][row == t], tape.trades["size"][row == t]
        wanted = [prices[0], prices.max(), prices.min(), prices[-1], sizes.sum()]
        assert [getattr(bars, name)[t, 1] for name in PRICES] == wanted


def test_book_features_are_what_quotes_and_snapshots_make_of_them(week, tape):
    bars, book = week[0].rows(390, 780), week[1].rows(390, 780)
    last = np.searchsorted(tape.quotes["ts"], bars.ts, side="right") - 1
    for name in ("bid", "ask", "bid_size", "ask_size"):
        np.testing.assert_array_equal(getattr(book, name)[:, 1], tape.quotes[name][last])
    snapshots = tape.snapshots[59::60]
    np.testing.assert_array_equal(snapshots["ts"], bars.ts)
    np.testing.assert_array_equal(book.bid_depth[:, 1], snapshots["bid_size"].sum(axis=1))
    np.testing.assert_array_equal(book.ask_depth[:, 1], snapshots["ask_size"].sum(axis=1))
    np.testing.assert_array_equal(book.bid[:, 1], snapshots["bid"][:, 0])
    bought, sold = (tape.trades[tape.trades["aggressor"] == side] for side in (1, -1))
    edges = np.concatenate([[0], bars.ts])
    flows = [np.histogram(side["ts"] - 1, edges - 0.5, weights=side["size"])[0] for side in (bought, sold)]
    np.testing.assert_allclose(book.sell_flow[:, 1], flows[1] / (flows[0] + flows[1]), rtol=1e-15)


def test_flow_imbalance_is_that_of_cont_kukanov_stoikov(week, tape):
    quotes = tape.quotes
    flow = np.zeros(len(week[0].rows(390, 780)))
    row = np.searchsorted(week[0].ts[390:780], quotes["ts"], side="left")
    for before, after, t in zip(quotes[:-1], quotes[1:], row[1:], strict=True):
        flow[t] += after["bid_size"] * (after["bid"] >= before["bid"]) - before["bid_size"] * (
            after["bid"] <= before["bid"]
        )
        flow[t] += before["ask_size"] * (after["ask"] >= before["ask"]) - after["ask_size"] * (
            after["ask"] <= before["ask"]
        )
    np.testing.assert_array_equal(week[1].ofi[390:780, 1], flow)


def test_time_never_runs_back_and_the_book_never_crosses(tape):
    for part in tape[2:]:
        assert (np.diff(part["ts"]) >= 0).all()
    quotes, snapshots = tape.quotes, tape.snapshots
    assert (quotes["bid"] < quotes["ask"]).all()
    assert (quotes["bid_size"] > 0).all()
    assert (quotes["ask_size"] > 0).all()
    assert not (np.diff(snapshots["bid"], axis=1) >= 0).any()  # NaN where there are fewer than ten levels
    assert not (np.diff(snapshots["ask"], axis=1) <= 0).any()
    assert np.isfinite(snapshots["bid"]).mean() > 0.99
    cents = tape.trades["price"] * 100
    np.testing.assert_allclose(cents, np.rint(cents), atol=1e-9)


def test_a_coarser_clock_holds_the_same_trades(week):
    fine, coarse = week[0], market(("AAA", "BBB"), SESSIONS, 7, "5m")[0]
    np.testing.assert_array_equal(coarse.volume, fine.volume.reshape(-1, 5, 2).sum(axis=1))
    np.testing.assert_array_equal(coarse.high, np.nanmax(fine.high.reshape(-1, 5, 2), axis=1))
    daily = market(("AAA", "BBB"), SESSIONS, 7, "1d")[0]
    np.testing.assert_array_equal(daily.close, fine.close[389::390])
    np.testing.assert_array_equal(daily.volume, fine.volume.reshape(SESSIONS, 390, 2).sum(axis=1))


def test_a_half_day_ends_at_13_00():
    bars, _ = market(("AAA",), 1, 7, start="2024-11-29")
    assert len(bars) == 210
    assert bars.ts[-1] == session_of("2024-11-29").close_ns
    assert bars.volume[-1, 0] > 5 * np.median(bars.volume)  # the closing auction


def test_it_looks_like_a_stock():
    bars, book = market(("AAA", "BBB", "CCC"), 10, 3)
    spread = np.nanmean(book.spread, axis=0)
    assert ((spread > 0.01) & (spread < 0.03)).all()
    returns = np.diff(np.log(book.mid), axis=0)
    deviation = np.nanstd(returns, axis=0) * 390**0.5
    assert ((deviation > 0.008) & (deviation < 0.025)).all()
    by_minute = np.nanmean(bars.volume.reshape(10, 390, 3), axis=(0, 2))
    assert by_minute[:30].sum() > 1.8 * by_minute[180:210].sum()  # the smile of the day
    assert by_minute[-30:].sum() > 1.5 * by_minute[180:210].sum()
    known = np.isfinite(returns).all(axis=1)
    assert np.corrcoef(returns[known].T)[0, 1] > 0.1  # a common factor
    quiet = np.abs(np.where(known[:, None], returns, 0.0))
    assert np.corrcoef(quiet[10:, 0], quiet[:-10, 0])[0, 1] > 0.05  # volatility clusters
    same = np.isfinite(book.ofi[1:]) & np.isfinite(returns)
    assert np.corrcoef(book.ofi[1:][same], returns[same])[0, 1] > 0.5  # order flow moves prices
    assert np.corrcoef(book.imbalance[:-1][same], returns[same])[0, 1] > 0.02  # and the book knows a little


def test_a_pause_has_no_trades_and_no_quotes_and_ends():
    bars, book = market(("AAA", "BBB", "CCC"), 5, 7)
    paused = np.isnan(book.bid)
    assert paused.any()  # seed 7 has one
    for column in range(3):
        rows = np.flatnonzero(paused[:, column])
        if len(rows):
            assert (np.diff(rows) == 1).all()
            assert len(rows) in (4, 5)
            inside = rows[:-1] + 1  # its first row may hold trades from before
            assert np.isnan(bars.close[inside, column]).all()
            assert (bars.volume[inside, column] == 0).all()
            assert bars.volume[rows[-1] + 1, column] > 0


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"symbols": ()}, UsageError, "one or more different names"),
        ({"symbols": ("A", "A")}, UsageError, "one or more different names"),
        ({"sessions": 0}, UsageError, "at least 1"),
        ({"clock": "7m"}, UsageError, "not a clock"),
        ({"start": "2028-12-28", "sessions": 9}, DataError, "outside the exchange calendar"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        market(**arguments)
