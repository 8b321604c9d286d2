"""The transport's parts: the budget, the pages on disk, what the vendor asks us to wait."""

import email.utils
import time

import pytest

from data.errors import UnavailableError
from data.sources.base import load_vendor, vendors
from data.sources.budget import Budget
from data.sources.http import Caller, Patience, Reply, Transient, retry_after
from data.sources.http_pages import Pages

QUICK = Patience(attempts=4, first_s=0.001, longest_s=0.002)


class FakeTime:
    def __init__(self):
        self.ns = 0

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += int(seconds * 1e9)

    async def pause(self, seconds):
        self.sleep(seconds)


@pytest.mark.parametrize("per_minute", [5, 30, 200])
def test_no_minute_ever_holds_more_than_the_budget(per_minute):
    clock = FakeTime()
    budget, sent = Budget(per_minute, clock), []
    for i in range(per_minute * 4):
        budget.wait()
        sent.append(clock.ns)
        if i == per_minute * 2:
            clock.sleep(300)  # a pause fills the bucket and no more
    for start in sent:
        assert sum(start <= at < start + 60 * 10**9 for at in sent) <= per_minute
    assert sent[-1] - 300e9 < 4.6 * 60e9 * (per_minute / max(per_minute - max(per_minute // 10, 1), 1))


def test_a_clock_that_steps_back_takes_no_tokens_away():
    clock = FakeTime()
    clock.ns = 10**12
    budget = Budget(60, clock)
    clock.ns = 0
    assert budget.claim() == 0.0


def test_pages_survive_and_a_damaged_one_is_asked_for_again(tmp_path):
    pages = Pages.of_pull(tmp_path, "x", ("A",), 1)
    pages.write("/bars?page=1", b"one")
    again = Pages.of_pull(tmp_path, "x", ("A",), 1)
    assert again.read("/bars?page=1") == b"one"
    assert again.read("/bars?page=2") is None
    assert Pages.of_pull(tmp_path, "x", ("A",), 2).read("/bars?page=1") is None  # another pull's
    (path,) = tmp_path.rglob("*.page")
    path.write_bytes(path.read_bytes()[:-4])
    assert again.read("/bars?page=1") is None
    assert not path.exists()
    assert len(again) == 0


def test_retry_after_is_a_number_or_a_date_and_never_an_hour():
    assert retry_after({}) is None
    assert retry_after({"retry-after": "2"}) == 2.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "7200"}) == 120.0
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < retry_after({"retry-after": date}) <= 30


def caller(**more):
    return Caller("Vendor", Budget(10**6, FakeTime()), QUICK, (), **more)


def test_each_way_of_failing_is_tried_again_and_named_in_the_end():
    cases = {
        "HTTP 429 Too Many Requests": lambda: Reply(429, {}, b""),
        "HTTP 503 Service Unavailable": lambda: Reply(503, {}, b""),
        "HTTP 520": lambda: Reply(520, {}, b""),
        "an answer that is not whole JSON": lambda: Reply(200, {}, b'{"bars": [1, 2'),
        "cut": lambda: (_ for _ in ()).throw(Transient("cut")),
    }
    for reason, send in cases.items():
        asked = caller()
        with pytest.raises(UnavailableError, match=rf"Vendor did not answer /bars in 4 attempts \(last: {reason}\)"):
            asked.fetch("/bars?a=1", send)
        assert asked.retries == 3


def test_a_redirect_is_not_followed_with_a_key_in_hand():
    with pytest.raises(UnavailableError, match="redirects /bars"):
        caller().fetch("/bars", lambda: Reply(302, {"location": "http://elsewhere"}, b""))


def test_a_page_that_was_kept_is_not_asked_for(tmp_path):
    pages = Pages(tmp_path)
    asked = caller(pages=pages)
    assert asked.fetch("/bars?x", lambda: Reply(200, {}, b"{}")).body == b"{}"
    assert asked.fetch("/bars?x", lambda: pytest.fail("asked again")).body == b"{}"


def test_every_vendor_keeps_the_protocol_and_says_what_it_has():
    assert set(vendors()) == {"alpaca", "polygon"}
    for name in vendors():
        vendor = load_vendor(name)
        has = vendor.capabilities()
        assert name == vendor.NAME
        assert not vendor.SIMULATED
        assert has.connections == 1
        assert has.history == ("bars", "trades", "quotes")
        assert "https://" in has.keys_from
    assert load_vendor("polygon").capabilities().symbols == 5
    assert load_vendor("alpaca").capabilities().requests_a_minute == 200
