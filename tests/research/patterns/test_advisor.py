"""The real SDK against OpenAI on loopback: a fault is "no opinion", every cent is counted, nothing is asked twice."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from data.errors import AuthError, JournalError
from data.settings import Secret
from data.sources.random_walk import random_bars
from research.patterns.advisor import Record
from research.patterns.cache import SqliteCache
from research.patterns.client import Client
from research.patterns.journal import Journal
from research.patterns.models import PICO, model_of
from research.patterns.picture import picture_at
from research.patterns.reply import REASONS
from research.patterns.request import request_of

KEY = "sk-test-7f3a9c51d2e84b60-never-shown"  # of conftest's desk
BARS, _ = random_bars(400, ["AAA", "BBB"], seed=5)
MINI = model_of("gpt-4o-mini")


class Clock:
    """Time that stands at `at` and moves 5 ms at every look."""

    def __init__(self, at=1_790_000_000_000_000_000):  # 2026-09-21
        self.at = at

    def now(self):
        self.at += 5_000_000
        return self.at


def pictures(count, symbol="AAA"):
    return [picture_at(BARS, 60 + 3 * i, symbol, "1m") for i in range(count)]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_answer_becomes_an_opinion(served, desk, said, api):
    server = served([said(confidence=0.75, support=98.0, resistance=102.0)])
    advisor, journal = desk(server, api=api)
    (picture,) = pictures(1)
    opinion = advisor.ask(picture)
    assert (opinion.outcome, opinion.answer.bias, opinion.answer.confidence) == ("answered", "down", 0.75)
    assert opinion.support == pytest.approx(0.98 * picture.last)
    assert opinion.resistance == pytest.approx(1.02 * picture.last)
    assert opinion.model == "gpt-4o-mini-2024-07-18"
    assert (opinion.cutoff, opinion.contaminated) == ("2023-10-01", True)  # the bars are of 2010
    (call,) = journal.calls()
    assert call["content"] == said(confidence=0.75, support=98.0, resistance=102.0)
    assert (call["given"], call["output"]) == server.rest.usage[0]
    assert call["cost"] == MINI.cost(call["given"], 0, call["output"]) == opinion.cost
    assert call["latency_ms"] > 0


def test_the_sdk_sends_a_strict_schema_and_no_key_in_the_body(served, desk):
    server = served()
    advisor, _ = desk(server)
    advisor.ask(pictures(1)[0])
    (body,) = server.rest.seen
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["temperature"] == 0
    assert body["max_completion_tokens"] == 500
    assert KEY not in str(body)


SCRIPTED = {
    "429": "limited",
    "429-after": "limited",
    "quota": "no credit",
    "500": "failed",
    "503": "failed",
    "401": "key refused",
    "400": "rejected",
    "refusal": "refused",
    "filter": "filtered",
    "length": "truncated",
    "malformed": "malformed",
    "schema": "malformed",
    "garbage": "garbled",
}
PAID = ("refused", "filtered", "truncated", "malformed")


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(("step", "outcome"), SCRIPTED.items(), ids=SCRIPTED)
def test_every_fault_is_no_opinion_with_its_reason(served, desk, step, outcome, api):
    server = served([step])
    advisor, journal = desk(server, api=api)
    (picture,) = pictures(1)
    opinion = advisor.ask(picture)
    assert (opinion.answer, opinion.outcome, opinion.reason) == (None, outcome, REASONS[outcome])
    (call,) = journal.calls()
    told = MINI.cost(server.rest.usage[0][0], 0, server.rest.usage[0][1]) if outcome in PAID else None
    assert call["cost"] == (told if outcome in PAID else call["bound"] if outcome == "garbled" else 0)
    # What was paid for is kept and not asked again; what failed is asked anew and answered.
    again = advisor.ask(picture)
    assert (again.outcome, again.how) == ((outcome, "cache") if outcome in PAID else ("answered", "call"))
    assert server.http.requests == (1 if outcome in PAID else 2)


@pytest.mark.parametrize(
    ("fault", "outcome"), [("cut@1", "cut"), ("hang@1", "late"), ("drip@1", "late"), ("malformed@1", "garbled")]
)
def test_every_fault_of_the_wire_is_no_opinion(served, desk, fault, outcome):
    server = served(faults=fault)
    clock = Clock()
    advisor, journal = desk(server, timeout_s={"drip@1": 0.04, "hang@1": 1.0}.get(fault, 60.0), clock=clock)
    opinion = advisor.ask(pictures(1)[0])
    assert (opinion.answer, opinion.outcome) == (None, outcome)
    (call,) = journal.calls()
    assert call["cost"] == call["bound"]  # the vendor may have worked, and did not say how much


def test_a_vendor_that_is_not_there_costs_nothing(served, desk):
    server = served()
    advisor, journal = desk(server)
    server.close()
    opinion = advisor.ask(pictures(1)[0])
    assert (opinion.outcome, journal.calls()[0]["cost"]) == ("unreachable", 0)
    server.__init__()  # so that the fixture has something to close


def test_usage_that_is_missing_counts_as_the_bound(served, desk):
    advisor, journal = desk(served(["no-usage"]))
    assert advisor.ask(pictures(1)[0]).outcome == "answered"
    assert journal.calls()[0]["cost"] == journal.calls()[0]["bound"]


def test_cached_input_is_cheaper(served, desk):
    server = served(cached=100)
    advisor, journal = desk(server)
    advisor.ask(pictures(1)[0])
    given, output = server.rest.usage[0]
    assert journal.calls()[0]["cost"] == (given - 100) * 150_000 + 100 * 75_000 + output * 600_000


def test_a_second_pass_is_answered_by_the_cache(served, desk):
    server = served()
    advisor, journal = desk(server)
    first = [advisor.ask(picture) for picture in pictures(12)]
    second = [advisor.ask(picture) for picture in pictures(12)]
    assert server.http.requests == 12
    assert {opinion.how for opinion in second} == {"cache"}
    assert [o.answer for o in first] == [o.answer for o in second]
    assert sum(o.cost for o in second) == 0
    spending = journal.spending("2026-09")
    assert (spending.asks, spending.hits, spending.hit_rate) == (24, 12, 0.5)


def test_the_budget_stops_before_the_call_that_could_overrun_it(served, desk):
    server = served()
    (picture, *_rest) = pictures(1)
    bound = request_of(picture, MINI).bound
    dollars = 8.0 * bound / PICO
    advisor, journal = desk(server, dollars=dollars)
    with pytest.warns(UserWarning, match=r"pattern notes have spent \$0\.\d\d of \$0\.\d\d in 2026-09"):
        opinions = [advisor.ask(picture) for picture in pictures(110)]
    called = [opinion for opinion in opinions if opinion.how == "call"]
    refused = [opinion for opinion in opinions if opinion.outcome == "over budget"]
    assert len(called) == server.http.requests
    assert len(called) + len(refused) == 110
    assert refused
    by_hand = sum(given * 150_000 + output * 600_000 for given, output in server.rest.usage)
    spending = journal.spending("2026-09")
    assert spending.spent == by_hand == sum(opinion.cost for opinion in opinions)
    assert spending.spent <= int(dollars * PICO)
    assert int(dollars * PICO) - spending.spent < PICO // 100  # less than a cent is left unused
    assert refused[0].reason == REASONS["over budget"]


def test_the_alert_comes_once_a_month_at_80_percent(served, desk, recwarn):
    advisor, journal = desk(served(), dollars=0.011)
    spent, warned = [], []
    for picture in pictures(80):
        advisor.ask(picture)
        spent.append(journal.spending("2026-09").spent)
        warned.append(len(recwarn))
    crossed = next(i for i, value in enumerate(spent) if value >= 0.8 * 0.011 * PICO)
    assert warned[crossed] == warned[-1] == 1
    assert warned[crossed - 1] == 0


def test_a_new_month_is_a_new_budget(served, desk):
    clock = Clock()
    advisor, journal = desk(served(), dollars=8.0 * request_of(pictures(1)[0], MINI).bound / PICO, clock=clock)
    with pytest.warns(UserWarning, match="in 2026-09"):
        assert "over budget" in [advisor.ask(picture).outcome for picture in pictures(110)]
    clock.at += 31 * 86_400 * 10**9
    assert advisor.ask(pictures(110)[-1]).how == "call"
    assert journal.spending("2026-10").calls == 1


def test_threads_together_do_not_overrun_the_budget(tmp_path, monkeypatch):
    """Twenty at once, each taking a bound of which only three fit, with time to interfere between check and entry."""
    from research.patterns import journal as module

    summed = module._spent

    def slowly(db, month):
        spent = summed(db, month)
        time.sleep(0.01)
        return spent

    monkeypatch.setattr(module, "_spent", slowly)
    request = request_of(pictures(1)[0], MINI)
    barrier = threading.Barrier(20)

    def reserve(_):
        journal = Journal(tmp_path / "notes.sqlite")
        barrier.wait()
        return journal.reserve(request, at_ns=Clock().now(), symbol="AAA", ts=1, limit=3 * request.bound)

    Journal(tmp_path / "notes.sqlite")
    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(reserve, range(20)))
    assert sum(each is not None for each in taken) == 3


def test_the_bound_is_above_any_real_cost(served, desk):
    server = served()
    advisor, journal = desk(server)
    for picture in pictures(8, "BBB"):
        advisor.ask(picture)
    for call in journal.calls():
        # A token is at least one byte: even a tokenizer of single bytes would stay below the bound.
        assert MINI.cost(len(call["body"].encode()), 0, 500) <= call["bound"]


def test_a_replay_gives_the_same_opinions_and_never_calls(served, desk):
    server = served(["ok", "refusal", "500", "ok"])
    advisor, journal = desk(server)
    asked = [advisor.ask(picture) for picture in pictures(4)]
    record = Record(MINI, journal)
    replayed = [record.ask(picture) for picture in pictures(5)]
    assert server.http.requests == 4
    assert [o.answer for o in replayed[:4]] == [o.answer for o in asked]
    assert [o.outcome for o in replayed] == ["answered", "refused", "unrecorded", "answered", "unrecorded"]
    assert [o.how for o in replayed] == ["replay", "replay", "none", "replay", "none"]
    assert replayed[0].cost == asked[0].cost


def test_another_model_picture_or_api_is_another_request():
    one, two = pictures(2)
    keys = {
        request_of(one, MINI).key,
        request_of(two, MINI).key,
        request_of(one, model_of("gpt-4o")).key,
        request_of(one, MINI, "responses").key,
        request_of(picture_at(BARS, 60, "AAA", "1m", anonymous=True), MINI).key,
    }
    assert len(keys) == 5
    assert request_of(one, MINI) == request_of(pictures(1)[0], MINI)


def test_the_model_s_cutoff_marks_what_it_may_know(served, desk):
    fresh, _ = random_bars(100, ["AAA"], seed=5, start="2025-01-02")
    advisor, _ = desk(served())
    assert not advisor.ask(picture_at(fresh, 99, "AAA", "1m")).contaminated
    assert advisor.ask(pictures(1)[0]).contaminated


def test_an_altered_request_is_found(served, desk):
    import sqlite3

    advisor, journal = desk(served())
    advisor.ask(pictures(1)[0])
    with sqlite3.connect(journal.path) as db:
        with pytest.raises(sqlite3.DatabaseError, match="a call ends once"):
            db.execute("UPDATE calls SET cost = 0")
        with pytest.raises(sqlite3.DatabaseError, match="calls are kept"):
            db.execute("DELETE FROM calls")
        db.execute("DROP TRIGGER calls_end_once")
        db.execute("UPDATE calls SET body = replace(body, 'AAA', 'ABC')")
    db.close()
    with pytest.raises(JournalError, match=r"call 1 of notes\.sqlite was altered"):
        journal.calls()


def test_a_damaged_cache_entry_is_a_miss(served, desk, tmp_path):
    import sqlite3

    server = served()
    advisor, _ = desk(server)
    advisor.ask(pictures(1)[0])
    with sqlite3.connect(tmp_path / "cache.sqlite") as db:
        db.execute("""UPDATE replies SET reply = replace(reply, 'confidence', 'certainty')""")
    db.close()
    assert advisor.ask(pictures(1)[0]).how == "call"


def test_the_key_is_nowhere(served, desk, tmp_path, capfd, caplog):
    caplog.set_level("DEBUG")
    server = served(["ok", "401", "500", "refusal"])
    advisor, journal = desk(server)
    opinions = [advisor.ask(picture) for picture in pictures(4)]
    client = Client(Secret(KEY), Clock(), base_url=server.url)
    told = [repr(advisor), repr(client), repr(client.__dict__), repr(opinions), repr(journal), str(journal.calls())]
    client.close()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 2
    out, err = capfd.readouterr()
    assert not re.search(KEY[:12], "".join([*told, out, err, caplog.text]))
    assert not any(KEY[:12].encode() in content for content in files)


def test_a_missing_key_is_one_sentence():
    with pytest.raises(
        AuthError, match=r"OPENAI_API_KEY is not set; make a key at https://platform\.openai\.com"
    ) as error:
        Client(None, Clock())
    assert error.value.exit_code == 5


@pytest.mark.parametrize("key", ["sk-\u00e9", "sk-a b", "sk-a\n"])
def test_a_key_that_cannot_be_one_is_not_quoted(key):
    with pytest.raises(AuthError, match="a character that no key has") as error:
        Client(Secret(key), Clock())
    assert key not in str(error.value)


def test_a_file_that_is_no_journal_is_said(tmp_path):
    (tmp_path / "notes.sqlite").write_text("no database at all, just text that is long enough")
    with pytest.raises(JournalError, match="not a journal of pattern notes"):
        Journal(tmp_path / "notes.sqlite")


def test_the_first_reply_under_a_key_stays(tmp_path, said):
    from research.patterns.reply import Reply

    cache = SqliteCache(tmp_path / "cache.sqlite")
    cache.put("k", Reply("answered", said(bias="up")))
    cache.put("k", Reply("answered", said(bias="down")))
    assert '"up"' in cache.get("k").content
    assert cache.get("other") is None
