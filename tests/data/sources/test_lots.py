"""The unit of a quoted size is said by a setting, with dates."""

import datetime as dt

import pytest

from data.calendar import NEW_YORK
from data.errors import ConfigError
from data.sources import alpaca, polygon
from data.sources.http import Patience
from data.sources.lots import Lots

NOON = int(dt.datetime(2024, 1, 3, 12, tzinfo=NEW_YORK).timestamp()) * 10**9
TERMS = {"patience": Patience(attempts=3, first_s=0.001, longest_s=0.01), "requests_a_minute": 1_000_000}


def test_each_size_holds_from_its_day_on():
    lots = Lots("100,2024-01-03:40,2025-11-03:1")
    day = 86_400 * 10**9
    assert [lots.at(ts) for ts in (0, NOON - day, NOON - day // 2 - 1, NOON - day // 2, NOON, NOON + 2_000 * day)] == [
        100.0,
        100.0,
        100.0,
        40.0,
        40.0,
        1.0,
    ]
    assert Lots("100").at(NOON) == 100.0


@pytest.mark.parametrize(
    "text", ["", "x", "0", "-1", "100,200", "2024-01-03:100", "1,2024-13-01:2", "1,2025-01-01:2,2024-01-01:3"]
)
def test_what_is_not_of_the_form_is_a_config_error(text):
    with pytest.raises(ConfigError, match=r"write shares, such as 100, or with dates"):
        Lots(text)


@pytest.mark.parametrize(("vendor", "variable"), [(alpaca, "ONETAPE_ALPACA_LOT"), (polygon, "ONETAPE_POLYGON_LOT")])
def test_a_vendor_s_history_obeys_it(vendor, variable, day_market, serve, settings_of):
    settings = settings_of(serve(day_market), **{variable: "7,2024-01-03:3"})
    plain = settings_of(serve(day_market), **{variable: "1"})
    days = ("2024-01-02", "2024-01-03")
    found = [list(vendor.quotes(["AAPL"], *days, settings=each, **TERMS)) for each in (settings, plain)]
    assert {each.bid_size / unit.bid_size for each, unit in zip(*found, strict=True)} == {7.0, 3.0}
    last = [each for each, unit in zip(*found, strict=True) if each.bid_size / unit.bid_size == 7.0][-1]
    assert last.venue_ts < NOON
