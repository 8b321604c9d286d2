"""An answer that is cut short anywhere, or that does not say where it ends, is lost, however well what came reads."""

import http.client
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.settings import Secret
from live.brokers.robinhood_private_wire import Fence
from live.brokers.wire import MOST_BODY, HttpWire, Lost
from live.brokers.wire_deadline import WholeResponse

PATIENT_S = 60.0
OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"a":1}'
COUNTED = OK + b"Content-Length: 7\r\n\r\n" + BODY
CHUNKED = OK + b'Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'
NO_END = {
    "nothing of its length": OK + b"\r\n" + BODY,
    "nothing but that it closes": OK + b"Connection: close\r\n\r\n" + BODY,
    "a length that is no number": OK + b"Content-Length: x\r\n\r\n" + BODY,
    "a length below nothing": OK + b"Content-Length: -1\r\n\r\n" + BODY,
    "two lengths": OK + b"Content-Length: 7\r\nContent-Length: 9\r\n\r\n" + BODY,
    "a longer body": OK + b"Content-Length: 8\r\n\r\n" + BODY,
    "a body that is not there": OK + b"Content-Length: 7\r\n\r\n",
}


def parsed(told, closed=True):
    """What is read of these bytes; closed: nothing comes after them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(told)
        if closed:
            theirs.shutdown(socket.SHUT_WR)
        ours.settimeout(PATIENT_S)
        with WholeResponse(ours) as reply:
            reply.begin()
            return reply.read(MOST_BODY + 1)


@pytest.fixture
def serving():
    """`serving(told)`: the address of a server that says these bytes to one request and hangs up."""
    threads = []

    def make(told):
        listening = socket.create_server(("127.0.0.1", 0))

        def serve():
            with listening, listening.accept()[0] as wire:
                wire.recv(65_536)
                wire.sendall(told)
                wire.shutdown(socket.SHUT_WR)
                while wire.recv(65_536):
                    pass

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield make
    for thread in threads:
        thread.join(PATIENT_S)


@pytest.fixture(params=["http", "fence"])
def ask(request):
    """`ask(base)`: (what one request over it gave, the count of its requests)."""
    made = []

    def go(base):
        if request.param == "http":
            made.append(HttpWire(base, PATIENT_S))
            return made[-1].calls, lambda: made[-1].send("GET", "/x", {}).body
        made.append(Fence(Secret("t"), base, read_s=PATIENT_S))
        return made[-1].calls, lambda: made[-1].send("GET", "/x").body

    yield go
    for each in made:
        each.close()


@pytest.mark.parametrize("told", [COUNTED, CHUNKED])
def test_a_whole_answer_is_read_and_every_part_of_it_is_none(told):
    assert parsed(told) == parsed(told, closed=False) == BODY
    for end in range(len(told)):
        with pytest.raises((OSError, http.client.HTTPException)):
            parsed(told[:end])


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.booleans(), st.data())
def test_no_body_that_is_cut_is_ever_read_as_whole(parts, in_chunks, data):
    body = b"".join(parts)
    if in_chunks:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        told = OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    else:
        told = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert parsed(told) == body
    with pytest.raises((OSError, http.client.HTTPException)):
        parsed(told[: data.draw(st.integers(0, len(told) - 1))])


@pytest.mark.parametrize("told", [OK + b"Content-Length: 0\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_an_answer_without_a_body_is_whole(serving, ask, told):
    calls, request = ask(serving(told))
    assert request() == b""
    assert (calls.total, sum(calls.errors.values())) == (1, 0)


@pytest.mark.parametrize("what", NO_END)
def test_an_answer_that_does_not_end_where_it_says_is_lost(serving, ask, what):
    calls, request = ask(serving(NO_END[what]))
    with pytest.raises(Lost):
        request()
    assert (calls.total, calls.errors["broken"], sum(calls.errors.values())) == (1, 1, 1)


@pytest.mark.parametrize("end", [len(OK), len(CHUNKED) - 2, len(CHUNKED) - 7])
def test_a_cut_that_leaves_good_json_is_lost_over_a_connection_too(serving, ask, end):
    calls, request = ask(serving(CHUNKED[:end]))
    with pytest.raises(Lost):
        request()
    assert (calls.total, calls.errors["broken"]) == (1, 1)


def test_an_answer_that_nobody_reads_to_its_end_is_counted_once(serving):
    told = OK + b"Content-Length: %d\r\n\r\n" % (MOST_BODY + 1) + bytes(MOST_BODY + 1)
    wire = HttpWire(serving(told), PATIENT_S)
    with pytest.raises(Lost, match="more than 8,000,000 bytes"):
        wire.send("GET", "/x", {})
    wire.calls.unreadable()  # as a desk does with it
    assert (wire.calls.total, wire.calls.errors["unreadable"]) == (1, 1)
    wire.close()
