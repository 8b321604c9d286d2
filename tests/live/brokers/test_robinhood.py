"""Logging in to Robinhood, keeping the login, and what makes the broker refuse to start."""

import asyncio
import logging
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from data.errors import AuthError, ConfigError, UnavailableError
from data.sources.robinhood_book import stream
from live.brokers.robinhood import CAPABILITIES, broker
from live.brokers.robinhood_grant import Grant
from live.brokers.robinhood_session import Session
from live.brokers.wire import HttpWire, Lost
from live.brokers.wire_budget import Budget
from live.core.commands import Protect, Submit
from live.core.events import OrderRefused
from live.login import authorize
from live.sandbox.robinhood_oauth import RESOURCE


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
def grant(log_in):
    return Grant(log_in(consent), "the login")


@pytest.fixture
def desk(log_in):
    made = broker(log_in(consent), "the login")
    yield made
    made.close()


def test_a_login_keeps_a_private_file_with_the_account_and_the_tools_pinned(log_in, agent):
    path = log_in(consent)
    assert path.stat().st_mode & 0o777 == 0o600
    kept = Grant(path, "x")
    assert kept.account == agent.number
    assert len(kept.schemas) == 64
    assert not [each for each in path.parent.iterdir() if each.name.startswith(".")]


def test_the_browser_comes_back_to_a_listener_of_one_answer(agent, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    errors = []

    def browse(text):
        def go():
            back = consent(text.partition("\n")[2])
            for stray in (back.replace("/callback", "/favicon.ico"), back):
                try:
                    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(stray, timeout=60).close()
                except urllib.error.HTTPError as error:
                    errors.append(error.code)
                    error.close()

        threading.Thread(target=go, daemon=True).start()

    told = authorize(tmp_path / "g", command="x", url=agent.url, port=port, show=browse, wait_s=60)
    assert told == agent.number[-4:]
    assert errors == [404]


def test_nobody_consents_in_time(agent, tmp_path):
    with pytest.raises(AuthError, match="nobody consented"):
        authorize(tmp_path / "g", command="x", url=agent.url, port=18765, show=lambda _: None, wait_s=0.2)


def test_a_user_who_says_no_is_not_logged_in(agent, log_in, tmp_path):
    agent.oauth.consents = False
    with pytest.raises(AuthError, match="access_denied"):
        log_in(consent)
    assert not (tmp_path / "rh.grant").exists()


def test_an_answer_to_another_login_is_refused(log_in):
    with pytest.raises(AuthError, match="not to this login"):
        log_in(lambda page: consent(page).replace("state=", "state=x"))


def test_a_login_is_renewed_with_a_token_that_rotates(grant, agent, tmp_path):
    first = grant.access
    grant.refresh(first)
    assert grant.access != first
    assert Grant(tmp_path / "rh.grant", "x").access == grant.access
    grant.refresh(first)  # another thread saw the same 401: the pair is fresh already
    assert agent.oauth.refreshes == 1


def test_two_processes_that_renew_at_once_use_the_refresh_token_once(grant, agent, tmp_path):
    other = Grant(tmp_path / "rh.grant", "x")
    used = grant.access
    threads = [threading.Thread(target=each.refresh, args=(used,)) for each in (grant, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert agent.oauth.refreshes == 1
    assert grant.access == other.access


def test_a_login_is_renewed_when_most_of_its_life_is_over(log_in, agent):
    path = log_in(consent)
    late = Grant(path, "x", now=lambda: time.time() + 0.9 * agent.oauth.lifetime_s)
    session = Session(late)
    session.open()
    session.close()
    assert agent.oauth.refreshes == 1


def test_a_token_that_ends_in_the_middle_is_renewed_and_the_order_goes_out_once(desk, agent, venue):
    desk.open()
    agent.oauth.expire()
    desk.handle(Submit("11111111-1111-4111-8111-111111111111", desk.now(), "AAPL", "buy", 1.0, "entry", "row"))
    assert len(venue.orders) == 1
    assert agent.oauth.refreshes == 1


def test_a_login_that_was_taken_back_refuses_orders_and_calls_a_person(desk, agent, venue):
    desk.open()
    agent.oauth.revoke()
    order = Submit("11111111-1111-4111-8111-111111111111", desk.now(), "AAPL", "buy", 1.0, "entry", "row")
    told = desk.handle(order)
    assert [type(e) for e in told] == [OrderRefused]
    assert "the login" in desk.trouble
    assert not venue.orders


def test_a_changed_tool_stops_the_start(desk, agent):
    agent.schemas["place_equity_order"] = {**agent.schemas["place_equity_order"], "required": ["account_number"]}
    with pytest.raises(ConfigError, match="changed the tools"):
        desk.open()


def test_a_tool_that_is_not_used_may_change(desk, agent):
    agent.schemas["get_watchlists"] = {"type": "object", "properties": {"new": {"type": "string"}}}
    desk.open()


@pytest.mark.parametrize("agentic", [[], ["900000123", "900000999"], ["900000999"]])
def test_another_account_stops_the_start(desk, agent, agentic):
    agent.agentic = agentic
    with pytest.raises(ConfigError, match="account"):
        desk.open()


def test_a_file_that_others_may_read_is_refused(log_in):
    path = log_in(consent)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Grant(path, "x")


def test_a_link_in_the_place_of_the_file_is_refused(log_in, tmp_path):
    path = log_in(consent)
    link = tmp_path / "link.grant"
    link.symlink_to(path)
    with pytest.raises(ConfigError):
        Grant(link, "x")


def test_without_a_login_the_sentence_says_what_to_run(tmp_path):
    with pytest.raises(AuthError, match=r"run: python -m live login my\.toml"):
        Grant(tmp_path / "none", "python -m live login my.toml")


def test_a_dead_server_is_unavailable(log_in, agent, venue):
    made = broker(log_in(consent), "x")
    venue.faults.add("any.drop=1.0")
    agent.url = ""
    for server in agent._servers:
        server._server.close()
    with pytest.raises(UnavailableError):
        made.open()


def test_a_session_that_the_server_forgot_is_made_anew_for_a_read(desk, agent, venue):
    desk.open()
    seen = agent._post
    forgets = [True]

    def forget(request):
        told = request.json() or {}
        if forgets and told.get("method") == "tools/call":
            forgets.clear()
            from live.sandbox.http import answer

            return answer({"detail": "session not found"}, 404)
        return seen(request)

    agent._servers[0]._routes._routes.insert(0, ("POST", __import__("re").compile(RESOURCE), forget))
    assert desk.books().positions == {}
    assert not forgets


def test_only_the_tools_in_use_are_ever_called(desk):
    desk.open()
    with pytest.raises(Exception, match="none of the tools"):
        desk.route.session.call("get_watchlists", {})


def test_a_fraction_is_bought_at_market_and_gets_no_stop(desk, venue):
    desk.open()
    desk.handle(Submit("11111111-1111-4111-8111-111111111111", desk.now(), "AAPL", "buy", 0.5, "entry", "row"))
    assert [str(o.quantity) for o in venue.orders.values()] == ["0.5"]
    (no,) = desk.handle(
        Protect("22222222-1111-4111-8111-111111111111", desk.now(), "AAPL", "sell", 0.5, 90.0, float("nan"))
    )
    assert "fraction" in no.reason


def test_the_price_book_streams_through_the_session(desk):
    desk.open()

    async def first():
        async for event in stream(["AAPL", "MSFT"], fetch=desk.route.session.price_book):
            return event
        return None

    book = asyncio.run(first())
    assert (book.symbol, book.bids[0][0], book.asks[0][0]) == ("AAPL", 100.0, 100.02)


def test_secrets_are_in_no_text(grant, log_in, caplog, capsys, agent, venue):
    caplog.set_level(logging.DEBUG)
    secrets = [each.get_secret_value() for each in grant.secrets()]
    made = broker(log_in(consent), "x")
    made.open()
    secrets += [each.get_secret_value() for each in made.route._grant.secrets()]
    venue.faults.add("any.503=0.5")
    told = [repr(made.handle(Submit("1" * 8, made.now(), "AAPL", "buy", 1.0, "entry", "row"))), repr(made.poll())]
    agent.oauth.revoke()
    told += [repr(made.handle(Submit("2" * 8, made.now(), "AAPL", "buy", 1.0, "entry", "row"))), made.trouble]
    told += [repr(grant), str(grant), repr(made.route.session), *capsys.readouterr(), caplog.text]
    made.close()
    for secret in secrets:
        assert not [text for text in told if secret in text]


class Stopped:
    """A clock that stands still."""

    ns = 0

    def now(self):
        return self.ns


def test_exits_come_before_entries_and_entries_before_polls():
    clock = Stopped()
    budget = Budget(30, clock)
    sent = {"poll": 0, "entry": 0, "exit": 0}
    for kind in sent:
        while budget.claim(kind):
            sent[kind] += 1
    assert sent == {"poll": 6, "entry": 2, "exit": 2}  # of a bucket of 10
    assert budget.wait_s("exit") == pytest.approx(3.0)  # 20 a minute come in


def test_no_minute_holds_more_than_the_budget():
    clock = Stopped()
    budget = Budget(30, clock)
    times = []
    for clock.ns in range(0, 300 * 10**9, 10**8):
        if budget.claim("exit"):
            times.append(clock.ns)
    assert max(sum(t <= u < t + 60 * 10**9 for u in times) for t in times) <= 30


def test_retry_after_holds_everything_back():
    clock = Stopped()
    budget = Budget(30, clock)
    budget.hold(7.0)
    assert not budget.claim("exit")
    clock.ns = 7 * 10**9
    assert budget.claim("exit")


def test_orders_do_not_go_to_another_machine_in_the_clear():
    with pytest.raises(ConfigError):
        HttpWire("http://example.com", 1.0)


def test_a_broken_body_is_lost_not_empty(agent):
    wire = HttpWire(agent.origin, 1.0)
    answer = wire.send("GET", f"/.well-known/oauth-protected-resource{RESOURCE}", {})
    wire.close()
    with pytest.raises(Lost):
        answer._replace(body=answer.body[:-3]).json()


def test_the_capability_sheet_says_what_the_sandbox_does(desk, agent, venue):
    """409 for the same ref_id; no lookup by it; no shorts; one exit order for a share."""
    desk.open()
    assert (CAPABILITIES.dedupes, CAPABILITIES.lookup_by_key) == ("refuses", False)
    session = desk.route.session
    asked = {"account_number": agent.number, "symbol": "AAPL", "side": "buy", "type": "market", "quantity": "1"}
    session.call("place_equity_order", {**asked, "ref_id": "a"})
    with pytest.raises(Exception, match="unique") as twice:
        session.call("place_equity_order", {**asked, "ref_id": "a"})
    assert twice.value.status == 409
    assert not CAPABILITIES.shorts
    with pytest.raises(Exception, match="Not enough shares"):
        session.call("place_equity_order", {**asked, "side": "sell", "quantity": "5", "ref_id": "b"})
    assert not CAPABILITIES.pairs
    stop = {"type": "stop_market", "side": "sell", "stop_price": "90.00"}
    session.call("place_equity_order", {**asked, **stop, "ref_id": "c"})
    with pytest.raises(Exception, match="Not enough shares"):
        session.call("place_equity_order", {**asked, "type": "limit", "side": "sell", "limit_price": "120.00"})
