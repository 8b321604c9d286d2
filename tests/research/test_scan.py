"""Movers before the open: by hand, point in time, with ties, holes and half days."""

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.calendar import MINUTE_NS, session_columns, session_of, sessions
from data.door import call, new_app
from data.errors import ConfigError, DataError, UsageError
from data.store import Store
from data.tape import write_tape
from data.types import PRICES, Bars
from research.scan import next_session, scan, sessions_before
from research.scan_cli import scan as command
from research.scan_watchlist import read_watchlist, watchlist_text, write_watchlist

nan = float("nan")


def bars_of(rows, symbols):
    """Bars of {(day, minutes after the open): [(price, volume) or None per symbol]}; a price is all four."""
    times = {session_of(day).open_ns + round(minutes * MINUTE_NS): cells for (day, minutes), cells in rows.items()}
    ts = np.array(sorted(times))
    cells = [times[int(each)] for each in ts]
    price = np.array([[nan if c is None else c[0] for c in row] for row in cells])
    volume = np.array([[0.0 if c is None else c[1] for c in row] for row in cells])
    session, since_open, to_close = session_columns(ts, "1m")
    return Bars(tuple(symbols), ts, price, price, price, price, volume, session, since_open, to_close)


def three_days():
    """Monday to Wednesday, 8 to 10 January 2024: a pre-market row an hour before the open, one row in the session."""
    return bars_of(
        {
            (20240108, -60): [(100, 50), (50, 100), (20, 10)],
            (20240108, 30): [(100, 900), (50, 900), (20, 900)],
            (20240109, -60): [(101, 150), (50, 100), None],
            (20240109, 30): [(110, 900), (49, 900), (20, 900)],
            (20240110, -60): [(121, 400), (50, 300), None],
            (20240110, 1): [(1, 10**6), (999, 10**6), (999, 10**6)],
        },
        ["AAA", "BBB", "CCC"],
    )


def test_the_measures_by_hand():
    found = scan(three_days(), "2024-01-10", lookback=1)
    assert (found.session, found.at_ns, found.pre_market) == (20240110, session_of(20240110).open_ns, True)
    one, two, three = found.movers
    # AAA: 121 / 110 - 1 = 10 %; 400 / 150 = 2.667; 110 / 100 - 1 = 10 %. Places 1, 2, 1.
    assert one.symbol == "AAA"
    assert (one.close, one.price) == (110.0, 121.0)
    assert (one.gap, one.relative_volume, one.momentum) == pytest.approx((0.1, 400 / 150, 0.1))
    assert one.ranks == {"gap": 1, "relative_volume": 2, "momentum": 1}
    # BBB: 50 / 49 - 1 = 2.04 %; 300 / 100 = 3; 49 / 50 - 1 = -2 %. Places 2, 1, 2.
    assert two.symbol == "BBB"
    assert (two.gap, two.relative_volume, two.momentum) == pytest.approx((50 / 49 - 1, 3.0, -0.02))
    assert two.ranks == {"gap": 2, "relative_volume": 1, "momentum": 2}
    # CCC did not trade before the open; the day before it did not either, so there is nothing to compare with.
    assert three.symbol == "CCC"
    assert three.missing == {"gap": "no pre-market trade", "relative_volume": "no volume in any earlier pre-market"}
    assert three.momentum == 0.0
    assert three.ranks == {"gap": 3, "relative_volume": 3, "momentum": 3}
    # score = 1 at three first places of three, 1/3 at three last ones: (9 + 3 - sum) / 9
    assert [mover.score for mover in found.movers] == pytest.approx([8 / 9, 7 / 9, 3 / 9])


@given(seed=st.integers(0, 2**32), minutes=st.sampled_from([0.0, 30.0, 90.0]))
@settings(max_examples=60, deadline=None)
def test_rows_after_the_scan_change_nothing(seed, minutes):
    bars = three_days()
    at_ns = session_of(20240110).open_ns - round(minutes * MINUTE_NS)
    later = bars.ts > at_ns
    random = np.random.Generator(np.random.PCG64(seed))
    columns = {name: getattr(bars, name).copy() for name in PRICES}
    for column in columns.values():
        column[later] = random.uniform(0.0, 1e6, column[later].shape)
    times = {name: getattr(bars, name) for name in ("ts", "session", "since_open", "to_close")}
    told = {str(scan(each, 20240110, lookback=1, minutes_before=minutes)) for each in (
        bars, Bars(bars.symbols, **times, **columns), bars.rows(0, int((~later).sum())),
    )}  # fmt: skip
    assert len(told) == 1


def test_a_scan_an_hour_before_the_open_compares_like_with_like():
    rows = {
        (20240108, 30): [(100, 900)],
        (20240109, -90): [(100, 10)],
        (20240109, -30): [(100, 990)],
        (20240109, 30): [(100, 900)],
        (20240110, -90): [(102, 30)],
        (20240110, -30): [(150, 10**6)],
    }
    (mover,) = scan(bars_of(rows, ["AAA"]), 20240110, lookback=1, minutes_before=60).movers
    assert (mover.gap, mover.relative_volume) == pytest.approx((0.02, 3.0))
    (mover,) = scan(bars_of(rows, ["AAA"]), 20240110, lookback=1).movers
    assert (mover.gap, mover.relative_volume) == pytest.approx((0.5, (10**6 + 30) / 1000))


def test_the_row_that_closes_at_the_open_is_the_last_one_known():
    rows = {(20240109, 30): [(10, 1)], (20240110, 0): [(11, 1)], (20240110, 1): [(20, 1)]}
    (mover,) = scan(bars_of(rows, ["AAA"]), 20240110, lookback=1).movers
    assert (mover.price, mover.gap) == (11.0, pytest.approx(0.1))


def daily(closes, volumes, symbols, end=20240110):
    """Daily bars that end with session `end`; (T, N) closes and volumes."""
    close, volume = np.array(closes, float), np.array(volumes, float)
    days = sessions(20230101, end)[-len(close) :]
    ts = np.array([day.close_ns for day in days])
    session, since_open, to_close = session_columns(ts, "1d")
    return Bars(tuple(symbols), ts, close, close, close, close, volume, session, since_open, to_close)


def test_daily_rows_have_no_gap_and_say_so():
    bars = daily([[10, 10], [11, 10], [12, 11]], [[100, 100], [100, 300], [400, 200]], ["AAA", "BBB"])
    found = scan(bars, 20240111, lookback=2)
    assert not found.pre_market
    assert found.counted == ("relative_volume", "momentum")
    one, two = found.movers
    # AAA: 400 / mean(100, 100) = 4, 12 / 10 - 1; BBB: 200 / mean(100, 300) = 1, 11 / 10 - 1
    assert (one.symbol, one.relative_volume, one.momentum) == ("AAA", pytest.approx(4.0), pytest.approx(0.2))
    assert (two.symbol, two.relative_volume, two.momentum) == ("BBB", pytest.approx(1.0), pytest.approx(0.1))
    assert one.missing == {"gap": "the rows have no pre-market"}
    assert one.price == one.close == 12.0


def test_a_daily_row_of_the_session_itself_is_not_known_before_it_opens():
    bars = daily([[10], [11], [99]], [[100], [100], [10**6]], ["AAA"], end=20240110)
    (mover,) = scan(bars, 20240110, lookback=1).movers
    assert (mover.close, mover.momentum) == (11.0, pytest.approx(0.1))


def test_a_half_day_counts_as_the_hours_it_had():
    # Wednesday 22, half Friday 24 November 2023 (210 minutes for 390), Monday 27 opens.
    bars = daily([[10], [10], [10]], [[390_000], [390_000], [210_000]], ["AAA"], end=20231124)
    (mover,) = scan(bars, 20231127, lookback=2).movers
    assert mover.relative_volume == pytest.approx(1.0)
    bars = daily([[10], [10], [10]], [[390_000], [210_000], [390_000]], ["AAA"], end=20231127)
    (mover,) = scan(bars, 20231128, lookback=2).movers
    assert mover.relative_volume == pytest.approx(1.0)


def test_a_half_day_s_last_row_is_its_close():
    rows = {
        (20231122, 389): [(10, 1)],
        (20231124, 210): [(11, 1)],
        (20231124, 240): [(50, 1)],
        (20231127, -5): [(12, 1)],
    }
    (mover,) = scan(bars_of(rows, ["AAA"]), 20231127, lookback=1).movers
    assert (mover.close, mover.gap) == (11.0, pytest.approx(12 / 11 - 1))


def test_equals_share_a_place_and_stand_by_name():
    bars = daily([[10, 10, 10], [11, 12, 11]], [[1, 1, 1], [1, 1, 1]], ["CCC", "BBB", "AAA"])
    movers = scan(bars, 20240111, lookback=1).movers
    assert [mover.symbol for mover in movers] == ["BBB", "AAA", "CCC"]
    assert [mover.ranks["momentum"] for mover in movers] == [1, 2, 2]
    assert [mover.ranks["relative_volume"] for mover in movers] == [1, 1, 1]
    turned = bars.pick([2, 0, 1])
    assert scan(turned, 20240111, lookback=1) == scan(bars, 20240111, lookback=1)


def test_directions():
    bars = daily([[10, 10], [11, 8]], [[1, 1], [1, 1]], ["UPP", "DWN"])
    first = {d: scan(bars, 20240111, lookback=1, direction=d).symbols[0] for d in ("up", "down", "both")}
    assert first == {"up": "UPP", "down": "DWN", "both": "DWN"}


def test_what_is_missing_is_said():
    bars = daily(
        [[10, nan, 10, nan], [11, 12, nan, nan], [12, 13, nan, nan]],
        [[1, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]],
        ["AAA", "NEW", "OLD", "NIL"],
    )
    found = scan(bars, 20240111, lookback=2)
    assert found.left_out == {
        "OLD": "no price in the session before (2024-01-10); its last is of 2024-01-08",
        "NIL": "no price in the session before (2024-01-10); it has none at all",
    }
    new = next(mover for mover in found.movers if mover.symbol == "NEW")
    assert new.missing["momentum"] == "no price on 2024-01-08, 2 sessions earlier"
    assert np.isnan(new.momentum)
    assert new.relative_volume == 1.0


def test_the_plan_s_five_symbols_are_the_best_five():
    count = 8
    bars = daily([[10] * count, [10 + i for i in range(count)]], [[1] * count] * 2, [f"S{i}" for i in range(count)])
    found = scan(bars, 20240111, lookback=1)
    assert found.symbols == ("S7", "S6", "S5", "S4", "S3")
    assert len(found.movers) == 8
    assert scan(bars, 20240111, lookback=1, limit=2).symbols == ("S7", "S6")


def test_sessions_are_those_of_the_exchange():
    assert [day.date for day in sessions_before(20240102, 3)] == [20231227, 20231228, 20231229]
    bars = daily([[10], [11]], [[1], [1]], ["AAA"], end=20240112)
    assert next_session(bars) == 20240116  # a weekend and Martin Luther King's day
    assert next_session(three_days()) == 20240111
    assert next_session(three_days().rows(0, 5)) == 20240110
    with pytest.raises(DataError, match="the exchange was closed on 2024-01-15"):
        scan(bars, 20240115)
    with pytest.raises(DataError, match="the calendar has 1 sessions before"):
        sessions_before(19900103, 2)
    for wrong in ({"limit": 0}, {"lookback": 0}, {"minutes_before": -1.0}):
        with pytest.raises(UsageError, match="must be at least"):
            scan(bars, 20240116, **wrong)
    with pytest.raises(UsageError, match="direction 'sideways' is not one of both, up, down"):
        scan(bars, 20240116, direction="sideways")


def test_a_watchlist_is_toml_and_reads_back(tmp_path):
    found = scan(three_days(), 20240110, lookback=1, limit=2)
    path = write_watchlist(tmp_path / "watchlist.toml", found)
    told = tomllib.loads(path.read_text())
    assert told["symbols"] == ["AAA", "BBB"] == list(read_watchlist(path))
    assert told["known_at"] == "2024-01-10 14:30 UTC"
    assert [each["symbol"] for each in told["ranked"]] == ["AAA", "BBB", "CCC"]
    assert told["ranked"][0]["gap"] == pytest.approx(0.1)
    assert "gap" not in told["ranked"][2]
    assert told["ranked"][2]["missing"][0] == "gap: no pre-market trade"
    assert read_watchlist(path, limit=1) == ("AAA",)
    assert watchlist_text(found) == path.read_text()
    odd = found._replace(movers=(found.movers[0]._replace(symbol='A"B\n'),), left_out={'x"\x7f': "why\n"})
    assert tomllib.loads(watchlist_text(odd))["symbols"] == ['A"B\n']


def test_a_watchlist_that_is_none_is_said(tmp_path):
    path = tmp_path / "w.toml"
    with pytest.raises(ConfigError, match="python -m research scan"):
        read_watchlist(path)
    for text in ("symbols = 3", "symbols = ['A', 'A']", "symbols = ['']", "x = 1", "symbols ="):
        path.write_text(text)
        with pytest.raises(ConfigError):
            read_watchlist(path)


@pytest.fixture
def run(capsys):
    app = new_app("Scan.")
    app.command()(command)

    def go(*arguments):
        code = call(app, ["scan", *map(str, arguments)])
        return code, *capsys.readouterr()

    return go


def test_the_command_scans_the_sample(run, tmp_path):
    code, out, _ = run("sample", "--session", "2012-06-01", "--limit", "3", "--out", tmp_path / "w.toml")
    assert code == 0
    assert "movers of 2012-06-01, known at 2012-06-01 13:30 UTC, volume of the last session" in out
    assert "left out  FB" not in out
    assert out.count("* ") == 3
    assert len(read_watchlist(tmp_path / "w.toml")) == 3
    code, out, _ = run("sample", "--json")
    told = json.loads(out)
    assert told["session"] == 20130304  # the sample ends on Friday, 1 March 2013
    assert sorted(told["symbols"]) == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert told["movers"][0]["gap"] is None


def test_the_command_scans_a_tape_and_the_store(run, tmp_path):
    bars = three_days()
    write_tape(tmp_path / "m.parquet", bars, clock="1m", source="by hand", simulated=True)
    code, out, _ = run(tmp_path / "m.parquet", "--session", "2024-01-10", "--lookback", "1")
    assert code == 0
    assert out.startswith("SIMULATED movers of 2024-01-10")
    assert "gap: no pre-market trade" in out
    Store(tmp_path / "store").put(bars, "1m", "by hand")
    code, out, err = run("store", "--store", tmp_path / "store", "--session", "2024-01-10", "--lookback", "1", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["symbols"] == ["AAA", "BBB", "CCC"]


def test_the_command_s_errors_are_one_sentence(run, tmp_path):
    assert run("smaple")[2].endswith("did you mean 'sample'?\n")
    assert run("store", "--store", tmp_path)[2] == (
        "error: the store is empty; bring bars in with: python -m data import FILE\n"
    )
    assert "closed on 2012-06-02" in run("sample", "--session", "2012-06-02")[2]
    assert run("alpaca")[2] == "error: alpaca has to be told what to send: name the symbols and the sessions\n"
