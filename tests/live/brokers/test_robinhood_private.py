"""The fence around robin_stocks: opted into, said plainly, and none of the library's traps behind it."""

import pytest

from data.errors import AuthError, ConfigError, UnavailableError
from data.settings import Secret
from live.brokers.robinhood_private import CAPABILITIES, WARNING, broker, read_token
from live.brokers.robinhood_private_wire import Fence
from live.brokers.wire import NotSent
from live.brokers.wire_budget import Budget
from live.brokers.wire_route import Patience
from live.core.commands import Protect, Submit
from live.core.events import Fill, OrderRefused, OrderUnknown
from live.login import keep_token
from live.sandbox.broker_http import on_a_thread
from live.sandbox.robinhood_private import RobinhoodPrivate

nan = float("nan")


@pytest.fixture
def box(venue):
    made = RobinhoodPrivate(venue)
    with on_a_thread(made.start, made.stop):
        yield made


@pytest.fixture
def open_broker(box, tmp_path):
    """`open_broker()`: a desk in front of the sandbox."""
    made = []

    def make(name="rh", token=box.token, url=box.http_url, said=None):
        keep_token(tmp_path / f"{name}.token", token)
        desk = broker(
            tmp_path / f"{name}.token", "the login", unofficial=True, patience=Patience(look_s=0.0), base=url,
            say=(said if said is not None else []).append,
        )  # fmt: skip
        desk.budget = Budget(0, desk.clock)  # what the budget does is told elsewhere
        made.append(desk)
        desk.open()
        return desk

    yield make
    for desk in made:
        desk.close()


def submit(desk, side="buy", quantity=4.0):
    return desk.handle(Submit(side, desk.now(), "AAPL", side, quantity, "entry" if side == "buy" else "exit", "fill"))


def test_an_account_that_does_not_say_unofficial_is_refused(tmp_path):
    keep_token(tmp_path / "t", "abc")
    with pytest.raises(ConfigError, match="unofficial = true"):
        broker(tmp_path / "t", "x", unofficial=False)


def test_it_says_what_it_is(open_broker):
    said = []
    open_broker(said=said)
    assert said == [WARNING]
    assert all(word in WARNING for word in ("unofficial", "restricted accounts", "does not allow"))


def test_an_order_says_its_type_its_life_and_our_key_and_costs_one_post(open_broker, box, venue):
    desk = open_broker()
    submit(desk)
    form = box.places[0]
    assert len(box.places) == 1
    wanted = {"type": "limit", "price": "105.02", "time_in_force": "gfd", "trigger": "immediate", "ref_id": "buy"}
    assert form.items() >= (wanted | {"market_hours": "regular_hours", "extended_hours": "false"}).items()
    assert [fill.price for fill in desk.poll() if isinstance(fill, Fill)] == [100.02]
    submit(desk, "sell")
    assert (box.places[1]["type"], box.places[1]["time_in_force"]) == ("market", "gfd")
    assert "price" not in box.places[1]


def test_a_stop_outlives_the_day(open_broker, box):
    desk = open_broker()
    submit(desk)
    desk.poll()
    desk.handle(Protect("p", desk.now(), "AAPL", "sell", 4.0, 90.0, nan))
    assert (box.places[1]["trigger"], box.places[1]["stop_price"], box.places[1]["time_in_force"]) == (
        "stop", "90.00", "gtc",
    )  # fmt: skip


def test_what_robin_stocks_calls_flat_is_an_error_here(open_broker, box, venue, monkeypatch):
    """The library's own answer to the same failure is an empty list."""
    from robin_stocks.robinhood import account, helper

    desk = open_broker()
    submit(desk)
    desk.poll()
    venue.faults.add("look.503=1.0")
    monkeypatch.setattr(helper, "LOGGED_IN", True)
    assert account.get_open_stock_positions() == []
    with pytest.raises(UnavailableError):
        desk.books()


def test_a_lost_answer_is_never_posted_again(open_broker, box, venue):
    desk = open_broker()
    venue.faults.add("place.lost@1")
    assert [type(e) for e in submit(desk)] == [OrderUnknown]
    for _ in range(5):
        desk.poll()
    assert len(box.places) == 1
    assert len(venue.orders) == 1


def test_a_list_is_read_to_its_last_page(open_broker, box, venue):
    desk = open_broker()
    venue.faults.add("order.hold@1-25")
    for number in range(25):
        desk.handle(Submit(f"o{number}", desk.now(), "MSFT", "buy", 1.0, "entry", "fill"))
    assert len(desk.books().open_orders) == 25


def test_half_a_list_is_no_list(open_broker, box, venue):
    desk = open_broker()
    venue.faults.add("order.hold@1-25")
    for number in range(25):
        desk.handle(Submit(f"o{number}", desk.now(), "MSFT", "buy", 1.0, "entry", "fill"))
    venue.faults.add("look.503@4")  # positions, account, the first page, and then
    with pytest.raises(UnavailableError):
        desk.books()


def test_two_accounts_in_one_process_are_refused(open_broker, venue):
    open_broker()
    other = RobinhoodPrivate(venue, number="5OTHER", token="other")
    with on_a_thread(other.start, other.stop), pytest.raises(ConfigError, match="one session per process"):
        open_broker("two", "other", other.http_url)


def test_a_token_that_is_over_needs_a_person(open_broker, box):
    desk = open_broker()
    box.token = "another"
    assert [type(e) for e in submit(desk)] == [OrderRefused]
    assert "run: the login" in desk.trouble
    with pytest.raises(AuthError):
        open_broker("stale", "old")


def test_the_token_is_private_and_plain_to_no_one(tmp_path, open_broker):
    path = tmp_path / "t"
    keep_token(path, " Bearer canary-1234 ")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "canary" not in repr(read_token(path, "x"))
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_token(path, "x")
    with pytest.raises(AuthError):
        keep_token(path, "two words")


def test_a_closed_session_holds_no_token(open_broker):
    from robin_stocks.robinhood import globals as shared

    desk = open_broker()
    desk.close()
    assert "Authorization" not in shared.SESSION.headers


def test_nothing_is_printed(open_broker, venue, capsys):
    desk = open_broker()
    venue.faults.add("any.503=0.5")
    submit(desk)
    desk.poll()
    assert capsys.readouterr() == ("", "")


def test_orders_are_not_sent_to_another_machine(tmp_path):
    from data.settings import Secret

    with pytest.raises(ConfigError):
        Fence(Secret("x"), "https://example.com")


def test_the_capability_sheet_says_what_the_sandbox_does(open_broker, box, venue):
    """No resend, whatever the venue does with a key; a stop or a target; no shorts."""
    assert (CAPABILITIES.dedupes, CAPABILITIES.lookup_by_key) == ("no", True)
    desk = open_broker()
    (no,) = submit(desk, "sell")
    assert "Not enough shares" in no.reason
    assert not CAPABILITIES.shorts
    assert not CAPABILITIES.pairs


def test_no_other_adapter_leads_around_the_fence():
    """`requests` takes the adapter of the longest prefix, and the session is the library's one for all."""
    import requests
    from robin_stocks.robinhood import globals as shared

    from live.brokers.robinhood_private_wire import API

    shared.SESSION.mount(API, requests.adapters.HTTPAdapter())
    fence = Fence(Secret("token"), "http://127.0.0.1:1")
    try:
        assert type(shared.SESSION.get_adapter(f"{API}/orders/")).__name__ == "Fenced"
        with pytest.raises(NotSent):
            fence.send("GET", "/orders/")
    finally:
        fence.close()
