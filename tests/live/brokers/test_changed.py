"""Another account, changed tools, an answer without end: met while the process runs, and nothing new is sent."""

import pytest

from data.errors import UnavailableError
from data.settings import Secret
from live.brokers import robinhood_private_wire, robinhood_transport, wire
from live.brokers.alpaca import AlpacaRoute
from live.brokers.robinhood import RobinhoodRoute
from live.brokers.robinhood_grant import Grant
from live.brokers.robinhood_private import PrivateRoute
from live.brokers.wire import Changed, HttpWire, Lost
from live.brokers.wire_budget import Budget
from live.brokers.wire_desk import Desk
from live.core.commands import Submit
from live.core.events import OrderRefused, OrderUnknown
from live.sandbox.broker_http import on_a_thread
from live.sandbox.robinhood_private import RobinhoodPrivate
from tests.live.brokers.test_absent import ENTRY, Clock, Silent, waited
from tests.live.brokers.test_robinhood import consent

EXIT = Submit("k3", ENTRY.ts, "AAPL", "sell", 10.0, "exit", "fill")


class Checked(Silent):
    """A route whose login may turn out to be another's."""

    def __init__(self, *, ours):
        super().__init__()
        self.ours, self.checks, self.fresh, self.other, self.down = ours, 0, False, False, False

    def renewed(self):
        return self.fresh

    def check(self):
        self.checks += 1
        if self.down:
            raise Lost("the connection broke")
        self.fresh = False
        if self.other:
            raise Changed("another account", ours=self.ours)


@pytest.mark.parametrize(("ours", "sent"), [(True, OrderUnknown), (False, OrderRefused)])
def test_new_risk_ends_with_the_account_and_an_exit_goes_only_where_it_is_provably_ours(ours, sent):
    route, clock = Checked(ours=ours), Clock()
    desk = Desk(route, clock)
    desk.open()
    route.other = route.fresh = True
    (no,) = desk.handle(ENTRY)
    assert isinstance(no, OrderRefused)
    assert no.reason == desk.trouble == "another account"
    assert [type(event) for event in desk.handle(EXIT)] == [sent]
    waited(desk, clock, 5)
    assert desk.books().cash == 1_000.0
    assert desk.trouble == "another account"  # no answer of the broker's makes it the old one again


def test_it_is_looked_at_again_at_a_slow_pace_and_after_each_new_connection():
    route, clock = Checked(ours=True), Clock()
    desk = Desk(route, clock)
    desk.open()
    waited(desk, clock, 599)
    assert route.checks == 0
    waited(desk, clock, 2)
    assert route.checks == 1
    route.fresh = True
    waited(desk, clock, 2)
    assert route.checks == 2


def test_an_entry_waits_while_nobody_can_say_whose_the_new_connection_is():
    route, clock = Checked(ours=True), Clock()
    desk = Desk(route, clock)
    desk.open()
    route.fresh = route.down = True
    assert desk.handle(ENTRY) == []
    route.down = False
    assert any(isinstance(event, OrderUnknown) for event in waited(desk, clock, 5))  # it left, and got no answer


@pytest.fixture
def official(log_in):
    route = RobinhoodRoute(Grant(log_in(consent), "the login"), read_s=5.0)
    desk = Desk(route)
    desk.budget = Budget(0, desk.clock)
    desk.open()
    yield desk
    desk.close()


def test_robinhoods_account_is_looked_at_again_after_a_new_connection(official, agent):
    agent.agentic = ["900000999"]
    official.route.session.close()  # the next call connects anew
    (no,) = official.handle(ENTRY)
    assert isinstance(no, OrderRefused)
    official.poll()
    assert "Robinhood now has its agent trade the one ending in 0999" in official.trouble
    (no,) = official.handle(EXIT)
    assert no.reason == official.trouble
    assert not agent.venue.orders


def test_robinhoods_tools_are_compared_again_and_exits_still_go(official, agent, monkeypatch):
    monkeypatch.setattr(type(official.route.session), "schema_hash", lambda _: "another")
    with pytest.raises(Changed, match="has changed the tools") as changed:
        official.route.check()
    assert changed.value.ours


def test_alpacas_and_the_private_account_are_compared_with_every_look_at_the_books(alpaca, venue):
    route = AlpacaRoute(alpaca.http_url, Secret("sandbox-key"), Secret("sandbox-secret"), "paper", alpaca.ws_url)
    desk = Desk(route)
    desk.open()
    alpaca.number = "PA3ANOTHER"
    with pytest.raises(UnavailableError, match="now lead to the account ending in THER"):
        desk.books()
    (no,) = desk.handle(ENTRY)
    desk.close()
    assert isinstance(no, OrderRefused)
    box = RobinhoodPrivate(venue)
    with on_a_thread(box.start, box.stop):
        desk = Desk(PrivateRoute(Secret(box.token), "x", base=box.http_url))
        desk.open()
        box.number = "5ANOTHER1"
        with pytest.raises(UnavailableError, match="the first ending in HER1"):
            desk.books()
        (no,) = desk.handle(ENTRY)
        desk.close()
    assert isinstance(no, OrderRefused)
    assert not venue.orders


@pytest.fixture
def small(monkeypatch):
    """Every fence takes no more than a hundred bytes."""
    for module in (wire, robinhood_private_wire, robinhood_transport):
        monkeypatch.setattr(module, "MOST_BODY", 100)


def test_an_answer_without_end_is_lost_and_never_read(official, alpaca, venue, small):
    with pytest.raises(Lost, match="more than 100 bytes"):
        HttpWire(alpaca.http_url, 5.0).send(
            "GET", "/v2/account", {"APCA-API-KEY-ID": "sandbox-key", "APCA-API-SECRET-KEY": "sandbox-secret"}
        )
    box = RobinhoodPrivate(venue)
    with on_a_thread(box.start, box.stop):
        fence = robinhood_private_wire.Fence(Secret(box.token), box.http_url)
        with pytest.raises(Lost, match="more than 100 bytes"):
            fence.send("GET", "/accounts/")
        fence.close()
    with pytest.raises(Lost):
        official.route.session.call("get_accounts", {})
