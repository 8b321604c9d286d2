"""What cannot be had is said in one sentence with its exit code, and nothing in it is a secret."""

import traceback

import pytest

from data.errors import AuthError, UnavailableError, UsageError
from data.settings import load_settings
from data.sources import alpaca, polygon
from data.sources.http import Patience

QUICK = Patience(attempts=2, first_s=0.001, longest_s=0.002, timeout_s=30.0)
VENDORS = {"alpaca": alpaca, "polygon": polygon}
each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)


def history(vendor, settings, symbols=("AAPL",), start=20240102, end=20240103, clock="1m", **more):
    return vendor.history(
        symbols,
        start,
        end,
        clock,
        settings=settings,
        **{"adjustment": "raw", "patience": QUICK, "requests_a_minute": 10**6, **more},
    )


def test_a_missing_key_names_the_variable_and_where_to_get_it(tmp_path):
    nothing = load_settings(tmp_path, environ={})
    with pytest.raises(AuthError, match=r"APCA_API_KEY_ID and APCA_API_SECRET_KEY are not set; make a key at https://"):
        history(alpaca, nothing)
    with pytest.raises(AuthError, match=r"MASSIVE_API_KEY is not set; make a key at https://.*POLYGON_API_KEY"):
        history(polygon, nothing)
    half = load_settings(tmp_path, environ={"APCA_API_KEY_ID": "AKHALF"})
    with pytest.raises(AuthError, match=r"^APCA_API_SECRET_KEY is not set") as caught:
        history(alpaca, half)
    assert caught.value.exit_code == 5


WRONG = {
    "a date that is none": ({"start": "2024-13-01"}, "'2024-13-01' is not a date"),
    "the wrong way round": ({"start": 20240105}, "before it starts"),
    "the future": ({"end": "2028-01-03"}, r"2028-01-03, which is in the future; today is"),
    "a closed exchange": ({"start": 20240106, "end": 20240107}, "the exchange was closed from 2024-01-06"),
    "no symbols": ({"symbols": []}, "no symbols asked of"),
    "one symbol as text": ({"symbols": "AAPL"}, r"write \['AAPL'\]"),
    "not a ticker": ({"symbols": ["AA PL"]}, "'AA PL' is not a ticker"),
    "twice": ({"symbols": ["AAPL", "AAPL"]}, "asked for twice"),
    "a clock": ({"clock": "1Min"}, "'1Min' is not a clock; write '1m'"),
    "hours and extended": ({"clock": "1h", "extended": True}, "ask for 30m"),
    "an unknown symbol": ({"symbols": ["ZZZZ"]}, "has no bars of 'ZZZZ'"),
}


@pytest.mark.parametrize("case", WRONG)
@each_vendor
def test_a_question_that_cannot_be_answered_is_a_usage_error(vendor, case, day_market, serve, settings_of):
    asked, sentence = WRONG[case]
    with pytest.raises(UsageError, match=sentence):
        history(vendor, settings_of(serve(day_market)), **asked)


def test_polygon_does_not_pretend_to_adjust_for_dividends(day_market, serve, settings_of):
    with pytest.raises(UsageError, match="Polygon has no prices adjusted by 'all'; there is raw, split"):
        history(polygon, settings_of(serve(day_market)), adjustment="all")


@each_vendor
def test_a_wrong_key_is_refused_without_showing_it(vendor, day_market, serve, settings_of):
    settings = settings_of(serve(day_market), APCA_API_SECRET_KEY="hunter2-secret", MASSIVE_API_KEY="hunter2-key")
    with pytest.raises(AuthError, match="refuses the key") as caught:
        history(vendor, settings)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


@each_vendor
def test_a_key_that_the_vendor_echoes_is_masked(vendor, day_market, serve, settings_of):
    from data.settings import Secret
    from data.sources.base import WallClock
    from data.sources.budget import Budget
    from data.sources.http import Caller, Reply

    caller = Caller("Vendor", Budget(1000, WallClock()), QUICK, [Secret("hunter2")])
    with pytest.raises(AuthError) as caught:
        caller.fetch("/bars?x=1", lambda: Reply(401, {}, b'{"message": "key hunter2 is unknown"}'))
    assert "hunter2" not in str(caught.value)
    assert "********" in str(caught.value)


def test_a_plan_without_permission_is_said(day_market, serve, settings_of):
    sandbox = serve(day_market, plan="basic")
    with pytest.raises(AuthError, match=r"does not allow /v3/trades/AAPL .*not entitled"):
        next(polygon.trades(["AAPL"], 20240102, 20240102, settings=settings_of(sandbox)))
    with pytest.raises(AuthError, match="recent SIP data"):
        next(alpaca.trades(["AAPL"], 20240102, 20240102, settings=settings_of(sandbox)))


@each_vendor
def test_a_full_disk_leaves_nothing_half_written(vendor, day_market, serve, settings_of, monkeypatch):
    from pathlib import Path

    from data.errors import DataError

    def full(path, body):
        raise OSError(28, "No space left on device")

    settings = settings_of(serve(day_market))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match="No space left on device"):
            history(vendor, settings)
    assert not [path for path in settings.store.rglob("*") if path.is_file()]


@each_vendor
def test_an_address_where_nobody_listens_is_unavailable(vendor, tmp_path):
    url = "http://127.0.0.1:9"
    keys = {"APCA_API_KEY_ID": "k", "APCA_API_SECRET_KEY": "s", "MASSIVE_API_KEY": "k"}
    settings = load_settings(tmp_path, environ={**keys, "APCA_API_DATA_URL": url, "MASSIVE_BASE_URL": url})
    with pytest.raises(UnavailableError, match=r"did not answer .* in 2 attempts \(last: the connection failed\)"):
        history(vendor, settings)
