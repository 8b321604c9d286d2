"""Requests to a broker are counted where their answers come in: every one once, its failure by what it was."""

import http.server
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UnavailableError
from data.settings import Secret
from live.brokers.alpaca import CAPABILITIES
from live.brokers.robinhood_private_wire import Fence
from live.brokers.wire import HttpWire, Lost, NotSent
from live.brokers.wire_calls import KINDS, LATELY, Calls, calls_of
from live.brokers.wire_desk import Desk

IMPATIENT_S = 0.3


def errors_of(calls):
    return {kind: amount for kind, amount in calls.errors.items() if amount}


@given(st.lists(st.sampled_from([200, 204, 404, 422, 401, 429, 500, 503, "timeout", "broken", "unsent", "unreadable"])))
def test_every_request_is_counted_once_and_a_documented_no_is_no_error(happened):
    calls, expected, failed, requests = Calls(), dict.fromkeys(KINDS, 0), [], 0
    for what in happened:
        requests += 1
        if what == "unreadable":
            calls.answered(200)
            calls.unreadable()
            calls.unreadable()  # told of twice
        elif what == "timeout":
            calls.failed(TimeoutError())
        elif what == "broken":
            calls.failed(ConnectionResetError())
            calls.unreadable()  # that it is of no use is nothing new
        elif what == "unsent":
            calls.failed(ConnectionRefusedError(), sent=False)
        else:
            calls.answered(what)
        kind = {401: "401", 429: "429", 500: "5xx", 503: "5xx"}.get(what, what if isinstance(what, str) else "")
        failed.append(bool(kind))
        if kind:
            expected[kind] += 1
    assert (calls.total, calls.errors) == (requests, expected)
    assert calls.lately == (min(requests, LATELY), sum(failed[-LATELY:]))


class Strange(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the path; or says half of it, or nothing for a while."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        what = self.path.strip("/")
        if what == "slow":
            time.sleep(4 * IMPATIENT_S)
        elif what == "cut":
            self.wfile.write(b"HTTP/1.1 2")
        else:
            self.send_response(int(what))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            return
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def strange():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["http", "fence"])
def wire_to(request):
    made = []

    def make(base):
        made.append(
            HttpWire(base, IMPATIENT_S) if request.param == "http" else Fence(Secret("t"), base, read_s=IMPATIENT_S)
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_wire_counts_what_really_came_over_it(strange, wire_to):
    wire = wire_to(strange)
    for path in ("/200", "/404", "/429", "/500", "/503", "/401", "/200"):
        wire.send("GET", path, {}) if isinstance(wire, HttpWire) else wire.send("GET", path)
    for path in ("/slow", "/cut"):
        with pytest.raises(Lost):
            wire.send("GET", path, {}) if isinstance(wire, HttpWire) else wire.send("GET", path)
    assert errors_of(wire.calls) == {"429": 1, "5xx": 2, "401": 1, "timeout": 1, "broken": 1}
    assert (wire.calls.total, wire.calls.lately) == (9, (9, 6))


def test_a_wire_that_leads_nowhere_has_sent_nothing(wire_to):
    wire = wire_to("http://127.0.0.1:1")
    with pytest.raises(NotSent):
        wire.send("GET", "/200", {}) if isinstance(wire, HttpWire) else wire.send("GET", "/200")
    assert (wire.calls.total, errors_of(wire.calls)) == (1, {"unsent": 1})


def test_a_desk_counts_answers_that_were_no_use_and_a_broker_without_a_wire_has_no_count():
    calls = Calls()
    route = SimpleNamespace(calls=calls, capabilities=CAPABILITIES, place_requests=1)

    def books():
        calls.answered(200)
        try:
            raise Lost("a list where an object was expected")
        except Lost as error:
            raise UnavailableError("the books are not to be had") from error

    route.books = books
    desk = Desk(route)
    with pytest.raises(UnavailableError):
        desk.books()
    assert calls_of(desk) is calls
    assert (calls.total, errors_of(calls)) == (1, {"unreadable": 1})
    assert calls_of(object()) is None
