"""A year of minutes through each real SDK: whatever fails on the way, the rows are the same."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from data.errors import UnavailableError, UsageError
from data.rowbuilder_batch import rows_from_events
from data.sources import alpaca, polygon
from data.sources.http import Patience
from data.tape import content_hash

SYMBOLS = ("AAPL", "MSFT")
QUICK = Patience(attempts=8, first_s=0.001, longest_s=0.01, timeout_s=5.0)
FAULTS = "429=0.05,429-after=0.05,500=0.05,503=0.03,cut=0.1,malformed=0.05,drip=0.02;seed=3"
SDKS = {
    "alpaca-py": (alpaca, {}),
    "massive": (polygon, {"package": "massive"}),
    "polygon": (polygon, {"package": "polygon"}),
}
TERMS = {"adjustment": "raw", "patience": QUICK, "requests_a_minute": 1_000_000}

each_sdk = pytest.mark.parametrize("sdk", SDKS)


def pull(sdk, year, settings, **more):
    vendor, own = SDKS[sdk]
    first, last = int(year.session[0]), int(year.session[-1])
    return vendor.history(SYMBOLS, first, last, "1m", settings=settings, **{**TERMS, **own, **more})


@each_sdk
def test_a_year_with_faults_on_is_the_tape_to_the_last_bit(sdk, year, year_market, serve, settings_of):
    sandbox = serve(year_market, FAULTS, page_limit=4_000)
    told = []
    bars = pull(sdk, year, settings_of(sandbox), progress=lambda *each: told.append(each))
    assert content_hash(bars) == content_hash(year)
    assert {each.name for each in sandbox.faults.injected} >= {"429", "500", "cut"}
    assert told[-1][0] == "MSFT"
    assert told[-1][1] == told[-1][2]


@each_sdk
def test_a_complete_pull_leaves_no_page_that_could_grow_stale(sdk, day_market, serve, settings_of):
    sandbox = serve(day_market, page_limit=500)
    settings = settings_of(sandbox)
    vendor, own = SDKS[sdk]
    pulls = [vendor.history(SYMBOLS, 20240102, 20240104, "1m", settings=settings, **TERMS, **own) for _ in range(2)]
    assert content_hash(pulls[0]) == content_hash(pulls[1])
    assert sandbox.http.requests == 2 * 2 * 3  # pulls, symbols, pages
    assert not list((settings.store / ".pulls").rglob("*.page"))


KILLED = """
import sys
from pathlib import Path
from data.settings import load_settings
from data.sources import {vendor}
from data.sources.http import Patience

{vendor}.history(
    ["AAPL", "MSFT"], {first}, {last}, "1m", adjustment="raw", settings=load_settings(Path({root!r})),
    patience=Patience(first_s=0.001, longest_s=0.01), requests_a_minute=1_000_000,
)
"""


@pytest.mark.parametrize("sdk", ["alpaca-py", "massive"])
def test_a_pull_killed_half_way_resumes_at_its_last_page(
    sdk, year, year_market, serve, settings_of, tmp_path, checkout
):
    sandbox = serve(year_market, "429=0.02,500=0.02,cut=0.02,hang@30;seed=5", page_limit=2_000)
    settings = settings_of(sandbox)
    vendor = "alpaca" if sdk == "alpaca-py" else "polygon"
    code = KILLED.format(vendor=vendor, first=int(year.session[0]), last=int(year.session[-1]), root=str(tmp_path))
    environment = os.environ | sandbox.environment() | {"PYTHONPATH": str(checkout)}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=checkout)
    deadline = time.monotonic() + 120  # the thirtieth request hangs until the process is killed
    while sandbox.http.requests < 30 and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    begun = sandbox.http.requests
    kept = len(list((settings.store / ".pulls").rglob("*.page")))
    assert 20 <= kept <= begun

    assert content_hash(pull(sdk, year, settings)) == content_hash(year)
    faults = len(sandbox.faults.injected)
    assert sandbox.http.requests - faults <= pages_of(sdk) + 1  # the page in flight may be asked for twice
    assert not list((settings.store / ".pulls").rglob("*.page"))


def pages_of(sdk):
    """Pages of 2,000 rows: Alpaca's windows are months (4 to 5 pages each), Polygon's a year of 49."""
    return {"alpaca-py": 130, "massive": 110}[sdk]


def test_a_pull_that_fails_for_good_keeps_what_it_received(year, year_market, serve, settings_of):
    sandbox = serve(year_market, "500@20,500@21,500@22", page_limit=4_000)
    settings = settings_of(sandbox)
    with pytest.raises(UnavailableError, match=r"did not answer .* in 3 attempts \(last: HTTP 500 .*same pull again"):
        pull("massive", year, settings, patience=Patience(attempts=3, first_s=0.001, longest_s=0.01))
    before = sandbox.http.requests
    assert content_hash(pull("massive", year, settings)) == content_hash(year)
    assert sandbox.http.requests - before < 50


@pytest.mark.parametrize("clock", ["5m", "30m", "1h", "1d"])
@pytest.mark.parametrize("sdk", ["alpaca-py", "massive"])
def test_coarser_clocks_agree_with_the_minutes(sdk, clock, day_market, serve, settings_of):
    vendor, own = SDKS[sdk]
    settings = settings_of(serve(day_market))
    minutes = vendor.history(["AAPL"], 20240102, 20240104, "1m", settings=settings, **TERMS, **own)
    bars = vendor.history(["AAPL"], 20240102, 20240104, clock, settings=settings, **TERMS, **own)
    assert bars.volume.sum() == minutes.volume.sum()
    assert set(bars.ts) <= set(minutes.ts)
    for t in range(len(bars)):
        before = bars.ts[t - 1] if t and bars.session[t - 1] == bars.session[t] else 0
        inside = (minutes.ts > before) & (minutes.ts <= bars.ts[t]) & (minutes.session == bars.session[t])
        assert bars.high[t, 0] == np.nanmax(minutes.high[inside])
        assert bars.low[t, 0] == np.nanmin(minutes.low[inside])
        assert bars.open[t, 0] == minutes.open[inside][0]
        assert bars.close[t, 0] == minutes.close[inside][-1]


def test_seconds_come_from_polygon_only(day_market, serve, settings_of):
    settings = settings_of(serve(day_market))
    bars = polygon.history(["AAPL"], 20240102, 20240102, "1s", settings=settings, **TERMS)
    assert len(bars) == 4 * 390  # the tape prints four trades a minute
    with pytest.raises(UsageError, match="Alpaca has no bars of 1s; there is 1m, 2m"):
        alpaca.history(["AAPL"], 20240102, 20240102, "1s", settings=settings, **TERMS)


@pytest.mark.parametrize("sdk", ["alpaca-py", "massive"])
def test_trades_and_quotes_are_the_tape_s(sdk, day_market, serve, settings_of):
    vendor, own = SDKS[sdk]
    sandbox = serve(day_market, "cut=0.1,500=0.1;seed=2", page_limit=500)
    terms = {"settings": settings_of(sandbox), "patience": QUICK, "requests_a_minute": 1_000_000, **own}
    trades = list(vendor.trades(["MSFT"], 20240102, 20240104, **terms))
    tape = day_market.tape("MSFT")
    assert [each.venue_ts for each in trades] == tape.trades.ts.tolist()
    assert [(each.price, each.size) for each in trades] == list(zip(tape.trades.price, tape.trades.size, strict=True))
    assert len({each.trade_id for each in trades}) == len(trades)
    quotes = list(vendor.quotes(["MSFT"], 20240102, 20240102, **terms))
    count = len(quotes)
    assert count > 10_000
    assert [each.venue_ts for each in quotes] == tape.quotes.ts[:count].tolist()
    assert [each.bid for each in quotes] == tape.quotes.bid[:count].tolist()
    shares = tape.quotes.ask_size[:count]
    if sdk == "alpaca-py":  # tells whole round lots
        shares = np.maximum(shares // 100, 1) * 100
    assert [each.ask_size for each in quotes] == shares.tolist()


@pytest.mark.parametrize("sdk", ["alpaca-py", "massive"])
def test_minute_bars_from_a_vendor_s_trades_equal_its_own(sdk, day_market, serve, settings_of):
    """Both through the real SDK: the bars as the vendor made them, and its trades through the row builder."""
    vendor, own = SDKS[sdk]
    terms = {"settings": settings_of(serve(day_market)), "patience": QUICK, "requests_a_minute": 1_000_000, **own}
    bars = vendor.history(["AAPL"], 20240102, 20240104, "1m", adjustment="raw", **terms)
    trades = sorted(vendor.trades(["AAPL"], 20240102, 20240104, **terms), key=lambda each: each.venue_ts)
    built = rows_from_events(trades, ["AAPL"], "1m", empty=False)
    assert built.bars.ts.tolist() == bars.ts.tolist()
    for name in ("open", "high", "low", "close", "volume", "session", "since_open", "to_close"):
        assert getattr(built.bars, name).tobytes() == getattr(bars, name).tobytes(), name
    assert len(bars) == 3 * 390
