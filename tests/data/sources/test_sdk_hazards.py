"""Each hazard of the vendors' SDKs, shown on the SDK itself where that is quick, and gone behind our transport."""

import logging
import subprocess
import sys
import time

import pytest

from data.errors import UnavailableError
from data.sources import alpaca, polygon
from data.sources.http import Patience
from data.sources.polygon_http import load_package

PATIENT = {"adjustment": "raw", "requests_a_minute": 10**6}
BRIEF = Patience(attempts=2, first_s=0.001, longest_s=0.002, timeout_s=0.2)
QUICK = Patience(attempts=8, first_s=0.001, longest_s=0.01, timeout_s=30.0)
PACKAGES = pytest.mark.parametrize("package", ["massive", "polygon"])


@PACKAGES
def test_a_page_that_is_not_json_ends_the_sdk_s_history_in_silence_and_not_ours(
    package, day_market, serve, settings_of
):
    sandbox = serve(day_market, "malformed@2,malformed@4", page_limit=300)
    client = load_package(package).RESTClient(api_key=sandbox.terms.key, base=sandbox.http_url)
    alone = list(client.list_aggs("AAPL", 1, "minute", "2024-01-02", "2024-01-04", limit=50_000))
    assert len(alone) == 300  # of 1,170
    bars = polygon.history(
        ["AAPL"], 20240102, 20240104, settings=settings_of(sandbox), package=package, patience=QUICK, **PATIENT
    )
    assert len(bars) == 3 * 390


@PACKAGES
def test_the_sdk_gives_up_on_429_within_a_second_and_ours_obeys_the_vendor(package, day_market, serve, settings_of):
    storm = ",".join(f"429@{i}" for i in range(1, 5)) + ",429-after@5,429-after@6"
    sandbox = serve(day_market, storm)
    client = load_package(package).RESTClient(api_key=sandbox.terms.key, base=sandbox.http_url)
    with pytest.raises(Exception, match="429"):
        list(client.list_aggs("AAPL", 1, "minute", "2024-01-02", "2024-01-02"))
    began = time.monotonic()
    terms = {"settings": settings_of(sandbox), "package": package, "patience": QUICK, **PATIENT}
    assert len(polygon.history(["AAPL"], 20240102, 20240102, **terms)) == 390
    assert time.monotonic() - began >= 2 * 0.05  # Retry-After, twice


@pytest.mark.parametrize(
    ("vendor", "own"), [(alpaca, {}), (polygon, {"package": "massive"}), (polygon, {"package": "polygon"})]
)
def test_a_silent_server_costs_the_time_limit_and_no_more(vendor, own, day_market, serve, settings_of):
    sandbox = serve(day_market, "hang=1.0")
    began = time.monotonic()  # two attempts of 0.2 s; on a machine that does something else, later
    with pytest.raises(UnavailableError, match="no answer in time"):
        vendor.history(["AAPL"], 20240102, 20240102, settings=settings_of(sandbox), patience=BRIEF, **PATIENT, **own)
    assert time.monotonic() - began < 60.0  # polygon-api-client alone would wait without end


def test_a_pause_before_the_next_attempt_says_nothing_where_frames_and_tables_go(day_market, serve, settings_of, capfd):
    sandbox = serve(day_market, "429@1,500@2")
    assert len(alpaca.history(["AAPL"], 20240102, 20240102, settings=settings_of(sandbox), patience=QUICK, **PATIENT))
    assert len(sandbox.faults.injected) == 2
    assert capfd.readouterr().out == ""


def test_next_url_on_a_foreign_host_is_asked_of_the_host_in_the_settings(day_market, serve, settings_of):
    sandbox = serve(day_market, page_limit=300)  # its next_url names the vendor's host
    bars = polygon.history(["AAPL"], 20240102, 20240104, settings=settings_of(sandbox), **PATIENT)
    assert len(bars) == 3 * 390


def test_a_page_without_results_is_not_the_last_page(day_market, serve, settings_of):
    from data.sources.polygon_http import _with_results

    assert b'"results":[]' in _with_results(b'{"status":"OK","next_url":"https://x/y?cursor=1"}')
    assert _with_results(b'{"status":"OK"}') == b'{"status":"OK"}'


def test_alpaca_s_null_is_no_entries():
    from data.sources.alpaca_http import _without_null

    assert _without_null(b'{"bars":null,"next_page_token":null}') == b'{"bars":{},"next_page_token":null}'
    assert _without_null(b'{"bars":{},"next_page_token":null}') == b'{"bars":{},"next_page_token":null}'


def test_500_is_final_for_alpaca_py_and_passes_for_us(day_market, serve, settings_of):
    from alpaca.common.exceptions import APIError
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.requests import StockBarsRequest
    from alpaca.data.timeframe import TimeFrame

    sandbox = serve(day_market, "500@1,500@2")
    client = StockHistoricalDataClient(sandbox.terms.key, sandbox.terms.secret, url_override=sandbox.http_url)
    with pytest.raises(APIError):
        client.get_stock_bars(StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute))
    terms = {"settings": settings_of(sandbox), "patience": QUICK, **PATIENT}
    assert len(alpaca.history(["AAPL"], 20240102, 20240102, **terms)) == 390


@PACKAGES
def test_the_sdk_s_loggers_leave_stdout_to_the_command(package):
    load_package(package)
    for name in ("RESTClient", "WebSocketClient"):
        assert not logging.getLogger(name).handlers


def test_naming_a_source_imports_no_sdk():
    code = (
        "import sys; import data.sources.alpaca, data.sources.polygon, data.sources.alpaca_stream, "
        "data.sources.polygon_stream; print([name for name in ('alpaca', 'polygon', 'massive', 'pandas', 'requests') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
