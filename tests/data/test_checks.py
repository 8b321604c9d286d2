"""Each kind of bad data planted and found, with symbol, time and what to do; and real data known to be bad or good."""

import dataclasses

import numpy as np
import pytest

from data.checks import Finding, check_bars, clock_of, require_good
from data.errors import DataError
from data.sources.random_walk import random_bars
from data.sources.sample import load


def planted(**changes):
    """400 clean minutes of A and B, then `column=[(row, symbol, value), ...]` written over them."""
    bars, _ = random_bars(400, ("A", "B"), 5)
    columns = {}
    for name, cells in changes.items():
        column = getattr(bars, name).copy()
        for *place, value in cells:
            column[tuple(place)] = value
        columns[name] = column
    return dataclasses.replace(bars, **columns)


def kinds(bars) -> list[tuple[str, str]]:
    return [(finding.symbol, finding.kind) for finding in check_bars(bars)]


def test_clean_bars_have_no_findings():
    for clock in ("1m", "1h", "1d"):
        assert check_bars(random_bars(400, 2, 5, clock)[0]) == []


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        (
            {"close": [(7, 1, NAN)]},
            "nan",
            "bars for 'B': 1 rows with a NaN price or volume, first 2010-01-04 14:38 UTC",
        ),
        ({"volume": [(7, 1, NAN)]}, "nan", "NaN price or volume"),
        ({"high": [(7, 1, float("inf"))]}, "infinite", "infinite value"),
        ({"high": [(7, 1, 1.0), (9, 1, 1.0)]}, "order", "2 rows whose high and low do not enclose"),
        ({"low": [(7, 1, 9e9)]}, "order", "do not enclose"),
        ({"low": [(7, 1, 0.0)]}, "price", "zero or less"),
        ({"volume": [(7, 1, -1.0)]}, "volume", "negative volume"),
    ],
)
def test_a_planted_error_is_found_at_its_place(changes, kind, sentence):
    bars = planted(**changes)
    (found,) = check_bars(bars)
    assert (found.symbol, found.kind, found.level, found.ts) == ("B", kind, "error", int(bars.ts[7]))
    assert sentence in found.sentence
    with pytest.raises(DataError) as caught:
        require_good(bars)
    assert str(caught.value) == found.sentence


def test_duplicate_and_unsorted_times_are_errors_of_all_symbols():
    bars = planted()
    for value, word in ((bars.ts[6], "duplicate"), (bars.ts[0], "unsorted")):
        ts = bars.ts.copy()
        ts[7] = value
        (found,) = check_bars(dataclasses.replace(bars, ts=ts))
        assert (found.symbol, found.kind, found.level) == ("", "times", "error")
        assert f"1 {word} times" in found.sentence


def test_a_row_in_which_a_symbol_did_not_trade_is_no_error_but_a_gap():
    names = ("open", "high", "low", "close")
    halted = planted(**{name: [(7, 1, NAN)] for name in names}, volume=[(7, 1, 0.0)])
    (found,) = require_good(halted)
    assert (found.symbol, found.kind, found.level, found.ts) == ("B", "gap", "warning", int(halted.ts[7]))
    traded = planted(**{name: [(7, 1, NAN)] for name in names})
    assert kinds(traded) == [("B", "nan")]  # volume without a price


def test_rows_before_a_listing_are_no_gap():
    assert check_bars(load(["FB", "IBM"])) == []


def test_missing_rows_are_counted_across_half_days():
    bars, _ = random_bars(3_000, 1, 5, start="2024-11-25")
    cut = dataclasses.replace(
        bars,
        **{
            field.name: np.delete(getattr(bars, field.name), [5, 6, 1000], axis=0)
            for field in dataclasses.fields(bars)
            if field.name != "symbols"
        },
    )
    (found,) = check_bars(cut)
    assert "3 rows of the exchange calendar are missing, first 2024-11-25 14:36 UTC" in found.sentence


def test_a_print_that_comes_back_is_an_outlier_and_a_move_that_stays_is_not():
    bars = planted()
    close, low = bars.close.copy(), bars.low.copy()
    close[50, 0] *= 0.8
    low[50, 0] = close[50, 0]
    assert kinds(dataclasses.replace(bars, close=close, low=low)) == [("A", "outlier")]
    stays = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for column in stays.values():
        column[51:, 0] *= 0.8
    assert kinds(dataclasses.replace(bars, **stays)) == []


def test_raw_prices_show_their_splits_and_adjusted_ones_do_not():
    found = check_bars(load(adjustment="raw"))
    assert [(finding.symbol, finding.kind) for finding in found] == [("AAPL", "split"), ("MSFT", "split")]
    assert "2 jumps overnight by the ratio of a split, first 2000-06-21" in found[0].sentence
    assert check_bars(load()) == []


def test_errors_come_before_warnings_and_are_counted():
    bars = planted(volume=[(3, 1, -1.0)], low=[(9, 0, -1.0)])
    close = bars.close.copy()
    close[50, 0] *= 0.8
    found = check_bars(dataclasses.replace(bars, close=close))
    assert [finding.level for finding in found] == sorted(finding.level for finding in found)
    with pytest.raises(DataError, match=r"\(and 2 more\)"):
        require_good(dataclasses.replace(bars, close=close))


def test_no_rows_and_a_symbol_without_prices_are_errors():
    bars = planted()
    assert check_bars(bars.rows(0, 0)) == [Finding("", 0, "empty", "error", "there are no rows; widen the range")]
    names = ("open", "high", "low", "close", "volume")
    empty = dataclasses.replace(bars, **{name: np.where([False, True], np.nan, getattr(bars, name)) for name in names})
    assert kinds(empty) == [("B", "empty")]


@pytest.mark.parametrize("clock", ["1s", "1m", "15m", "1h", "1d"])
def test_bars_know_their_clock(clock):
    assert clock_of(random_bars(100, 1, 1, clock)[0]) == clock


def test_the_two_rows_known_to_be_wrong_are_found_in_a_real_file(shared):
    pandas = pytest.importorskip("pandas")
    from data.frames import bars_from_pandas

    frame = pandas.read_parquet(shared("equity_daily/SPY_2008_2017.parquet"))
    found = check_bars(bars_from_pandas(frame.drop(columns="date"), label="close"))
    assert [(finding.kind, finding.level) for finding in found if finding.level == "error"] == [("order", "error")]
    assert "2 rows whose high and low do not enclose open and close, first 2015-03-05" in found[0].sentence
