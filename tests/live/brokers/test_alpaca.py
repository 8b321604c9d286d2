"""Alpaca's own promises: pairs, the stream that comes back, and the account that was meant."""

import time

import pytest

from data.errors import AuthError, ConfigError, UnavailableError
from data.settings import Secret, Settings
from live.brokers.alpaca import CAPABILITIES, LIVE, AlpacaRoute, broker
from live.brokers.alpaca_rows import order_body
from live.brokers.wire_desk import Desk
from live.brokers.wire_orders import Ticket
from live.brokers.wire_route import Patience
from live.core.commands import Protect, Submit
from live.core.events import Fill, OrderAccepted, OrderUnknown

nan = float("nan")
KEYS = {"apca_api_key_id": Secret("sandbox-key"), "apca_api_secret_key": Secret("sandbox-secret")}


@pytest.fixture
def desk(alpaca):
    settings = Settings(**KEYS, apca_api_base_url=alpaca.http_url)
    made = broker(
        settings, "paper", patience=Patience(look_s=0.05, look_behind_stream_s=600.0), stream_url=alpaca.ws_url
    )
    yield made
    made.close()


def heard(desk, condition, seconds=60.0):
    """Poll until it holds; everything said."""
    events, end = [], time.monotonic() + seconds
    while not condition(events):
        assert time.monotonic() < end, events
        events += desk.poll()
        time.sleep(0.02)
    return events


def fills(events):
    return [(fill.quantity, fill.price, fill.leg) for fill in events if isinstance(fill, Fill)]


def bought(desk, quantity=4.0):
    desk.handle(Submit("buy", desk.now(), "AAPL", "buy", quantity, "entry", "row"))
    heard(desk, fills)


@pytest.mark.parametrize(("bid", "leg", "price"), [(89.5, "stop", 89.5), (120.5, "target", 120.5)])
def test_a_stop_and_a_target_stand_together_and_one_ends_the_other(desk, venue, bid, leg, price):
    desk.open()
    bought(desk)
    told = desk.handle(Protect("pair", desk.now(), "AAPL", "sell", 4.0, 90.0, 120.0))
    assert [type(e) for e in told] == [OrderAccepted]
    venue.put_price("AAPL", bid, bid + 0.02)
    assert fills(heard(desk, fills)) == [(4.0, price, leg)]
    assert not venue.positions
    assert [o.status for o in venue.orders.values() if o.pair and not o.executions] == ["cancelled"]


def test_fills_come_over_the_stream_without_a_look(desk, venue, alpaca):
    desk.open()
    heard(desk, lambda _: alpaca.updates.listening)
    venue.faults.add("order.hold@1")
    desk.handle(Submit("one", desk.now(), "AAPL", "buy", 4.0, "entry", "row"))
    heard(desk, lambda _: desk.route._updates.listening and not desk.route._updates.down)
    venue.faults.add("look.503=1.0")
    order = next(iter(venue.orders.values()))
    venue.fill(order.id, 1.0, 100.5)
    venue.fill(order.id, 3.0, 100.25)
    assert fills(heard(desk, lambda e: len(fills(e)) == 2)) == [(1.0, 100.5, ""), (3.0, 100.25, "")]


def test_what_the_stream_missed_while_it_was_away_is_asked_for(desk, venue, alpaca):
    desk.open()
    heard(desk, lambda _: alpaca.updates.listening)
    venue.faults.add("order.hold@1")
    desk.handle(Submit("one", desk.now(), "AAPL", "buy", 4.0, "entry", "row"))
    alpaca.updates.mute = True
    venue.fill(next(iter(venue.orders)), 4.0, 100.5)
    alpaca.updates.cut()
    alpaca.updates.mute = False
    assert fills(heard(desk, fills)) == [(4.0, 100.5, "")]


def test_a_504_is_not_posted_again_but_asked_about(desk, venue):
    desk.open()
    venue.faults.add("place.504-after@1")
    told = desk.handle(Submit("one", desk.now(), "AAPL", "buy", 4.0, "entry", "row"))
    assert [type(e) for e in told] == [OrderUnknown]
    heard(desk, fills)
    assert venue.faults.counts["place"] == 1


def test_an_account_without_the_day_trading_fields_is_taken(desk):
    desk.open()
    assert desk.books().cash == 100_000.0


def test_keys_of_the_other_world_are_refused(alpaca, desk):
    alpaca.number = "123456789"
    with pytest.raises(ConfigError, match="not on paper"):
        desk.open()


def test_an_address_of_the_other_world_is_refused():
    with pytest.raises(ConfigError, match="change one of the two"):
        broker(Settings(**KEYS, apca_api_base_url=LIVE), "paper")


def test_without_keys_the_sentence_names_them():
    with pytest.raises(ConfigError, match="APCA_API_KEY_ID"):
        broker(Settings(), "paper")


def test_a_wrong_key_is_a_persons_business(alpaca):
    route = AlpacaRoute(alpaca.http_url, Secret("wrong"), Secret("keys"), "paper", alpaca.ws_url)
    with pytest.raises(AuthError, match="refuses the key"):
        Desk(route).open()


def test_a_dead_server_is_unavailable(alpaca, venue, desk):
    venue.faults.add("any.drop=1.0")
    with pytest.raises(UnavailableError):
        desk.open()


@pytest.mark.parametrize(
    ("stop", "target", "shape"),
    [
        (90.0, nan, {"type": "stop", "stop_price": "90.00"}),
        (nan, 120.0, {"type": "limit", "limit_price": "120.00"}),
        (
            90.006,
            120.0,
            {
                "type": "limit",
                "order_class": "oco",
                "take_profit": {"limit_price": "120.00"},
                "stop_loss": {"stop_price": "90.01"},
            },
        ),
    ],
)
def test_a_protection_says_its_type_and_that_it_outlives_the_day(stop, target, shape):
    command = Protect("p", 1, "AAPL", "sell", 4.0, stop, target)
    told = order_body(Ticket("p", "p", command, 4.0, exits=True))
    common = {"client_order_id": "p", "symbol": "AAPL", "side": "sell", "qty": "4", "time_in_force": "gtc"}
    assert told == common | shape


def test_the_capability_sheet_says_what_the_sandbox_does(desk, alpaca, venue):
    """422 for the same key, even after a cancel; lookup by it; a pair; no replay of news."""
    desk.open()
    assert (CAPABILITIES.dedupes, CAPABILITIES.lookup_by_key, CAPABILITIES.pairs) == ("refuses", True, True)
    route = desk.route
    body = {"symbol": "AAPL", "side": "buy", "qty": "1", "type": "limit", "limit_price": "90", "time_in_force": "day"}
    first = route._ask("POST", "/v2/orders", body | {"client_order_id": "k"}).json()
    route._ask("DELETE", f"/v2/orders/{first['id']}")
    again = route._ask("POST", "/v2/orders", body | {"client_order_id": "k"})
    assert (again.status, again.json()["code"]) == (422, 40010001)
    assert route._ask("GET", "/v2/orders:by_client_order_id?client_order_id=k").json()["id"] == first["id"]
    assert not CAPABILITIES.stream_replays
