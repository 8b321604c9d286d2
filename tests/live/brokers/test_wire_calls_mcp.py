"""Requests through Robinhood's MCP session are counted where the sandbox hears them: every one once, by what it was."""

import contextlib
import urllib.error
import urllib.request

import pytest

from data.errors import OnetapeError
from live.brokers.robinhood import broker
from live.brokers.wire_calls import calls_of
from live.core.commands import Submit
from live.sandbox.robinhood_oauth import RESOURCE

ORDER = "11111111-1111-4111-8111-111111111111"


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


def consent(page):
    """What a user's browser does: the address it ends up at."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay).open(page, timeout=60)
    except urllib.error.HTTPError as redirected:
        with redirected:
            return redirected.headers["Location"]
    raise AssertionError(page)


@pytest.fixture
def heard(agent, monkeypatch):
    """Methods of the requests that came to the server of the tools, faults or not."""
    found = []
    for server in agent._servers:
        reply = server._reply

        async def noted(request, writer, reply=reply):
            if request.method == "POST" and request.path == RESOURCE:
                found.append((request.json() or {}).get("method", ""))
            return await reply(request, writer)

        monkeypatch.setattr(server, "_reply", noted)
    return found


@pytest.fixture
def desk(heard, log_in):
    path = log_in(consent)
    heard.clear()
    made = broker(path, "the login")
    made.open()
    yield made
    made.close()


def errors_of(calls):
    return {kind: amount for kind, amount in calls.errors.items() if amount}


def test_a_start_and_a_look_are_as_many_requests_as_the_server_heard(desk, heard):
    calls = calls_of(desk)
    assert calls is desk.route.session.calls
    assert calls.total == len(heard) >= 4
    assert {"initialize", "tools/list", "tools/call"} <= set(heard)
    desk.books()
    assert calls.total == len(heard)
    assert errors_of(calls) == {}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("429", {"429": 1}), ("503", {"5xx": 1}), ("401", {"401": 1}), ("drop", {"broken": 1}), ("lost", {"broken": 1}),
        ("cut", {"broken": 1}), ("504-after", {"5xx": 1}), ("null", {"unreadable": 1}), ("slow", {}),
    ],
)  # fmt: skip
def test_a_look_that_fails_is_counted_by_what_failed(desk, heard, venue, fault, expected):
    calls = calls_of(desk)
    venue.faults.add(f"look.{fault}@1")
    with contextlib.suppress(OnetapeError):
        desk.books()
    assert [name for _, name in venue.faults.injected] == [fault]
    assert errors_of(calls) == expected
    assert calls.total == len(heard)
    assert calls.lately == (calls.total, sum(expected.values()))


@pytest.mark.parametrize(
    ("fault", "expected"), [("lost", {"broken": 1}), ("401", {"401": 1}), ("502-after", {"5xx": 1})]
)
def test_an_order_whose_answer_fails_is_one_failed_request(desk, heard, venue, fault, expected):
    calls = calls_of(desk)
    venue.faults.add(f"place.{fault}@1")
    desk.handle(Submit(ORDER, desk.now(), "AAPL", "buy", 1.0, "entry", "row"))
    assert len(venue.orders) == 1
    assert errors_of(calls) == expected
    assert calls.total == len(heard)


def test_a_documented_no_is_an_answer(desk, heard, venue):
    calls = calls_of(desk)
    venue.faults.add("order.no-cash@1")
    desk.handle(Submit(ORDER, desk.now(), "AAPL", "buy", 1.0, "entry", "row"))
    assert venue.faults.injected
    assert errors_of(calls) == {}
    assert calls.total == len(heard)
