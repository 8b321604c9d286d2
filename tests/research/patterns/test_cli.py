"""The four commands, as a terminal and a script see them."""

import json

import pytest

from data.door import call, new_app
from research.patterns import cli

KEY = "sk-test-7f3a9c51d2e84b60-never-shown"


@pytest.fixture
def run(served, tmp_path, monkeypatch, capsys):
    """`run("note", ...)`: (exit code, stdout, stderr) of a command on a server of its own."""
    app = new_app("Notes.")
    for command in (cli.note, cli.budget, cli.replay, cli.ledger):
        app.command()(command)
    server = served()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.delenv("REDIS_URL", raising=False)

    def go(*arguments):
        code = call(app, [*arguments, "--journal", str(tmp_path / "notes.sqlite")])
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return code, out, err

    go.server = server
    return go


def test_a_note_is_told_and_the_second_one_is_free(run):
    code, out, _ = run("note", "sample", "AAPL", "--at", "2012-03-01")
    assert code == 0
    assert "2012-03-01 21:00 UTC AAPL: " in out
    assert "(contaminated: the model may know what followed)" in out
    assert "1 notes, 0 from the cache, $0.00" in out
    code, out, _ = run("note", "sample", "AAPL", "--at", "2012-03-01", "--json")
    (told,) = json.loads(out)
    assert (told["how"], told["cost"], told["symbol"], told["contaminated"]) == ("cache", 0.0, "AAPL", True)
    code, out, _ = run("budget", "--json")
    told = json.loads(out)
    assert (told["calls"], told["asks"], told["cache_hits"], told["hit_rate"]) == (1, 2, 1, 0.5)
    assert 0 < told["spent"] < 0.01
    assert told["left"] == pytest.approx(5.0 - told["spent"])


def test_an_anonymous_note_sends_no_name(run):
    assert run("note", "sample", "AAPL", "--anonymous")[0] == 0
    said = run.server.rest.seen[0]["messages"][1]["content"]
    assert "AAPL" not in said
    assert "2013" not in said


def test_an_instant_cuts_the_rows(run, tmp_path):
    from data.sources.random_walk import random_bars
    from data.tape import write_tape

    bars, _ = random_bars(300, ["AAA"], seed=5)  # minutes of 2010-01-04, 14:31 UTC on
    write_tape(tmp_path / "m.parquet", bars, clock="1m", source="random", simulated=True)
    tape = str(tmp_path / "m.parquet")
    for at in ("2010-01-04T16:00", "2010-01-04T11:00-05:00", "2010-01-04T16:00:59"):
        assert "2010-01-04 16:00 UTC AAA: " in run("note", tape, "AAA", "--at", at)[1]
    assert run.server.http.requests == 1
    assert run("note", tape, "AAA", "--at", "2010-01-04T14:30")[2] == (
        "error: no row had closed at 2010-01-04T14:30; the first closes at 2010-01-04 14:31 UTC\n"
    )
    assert "is not a time" in run("note", tape, "AAA", "--at", "2010-01-04T26:00")[2]


def test_entries_are_noted_replayed_and_judged(run):
    rows = ("--symbols", "AAPL,MSFT", "--start", "2010-01-04", "--end", "2012-12-31")
    code, out, _ = run("note", "sample", "--entries", "ma_cross", "--most", "4", *rows)
    assert code == 0
    assert "4 notes, 0 from the cache" in out
    asked = run.server.http.requests
    code, out, _ = run("replay", "sample", "ma_cross", *rows)
    assert code == 0
    assert "with a recorded note" in out
    code, out, _ = run("replay", "sample", "ma_cross", *rows, "--json")
    told = json.loads(out)
    assert [each["how"] for each in told[:4]] == ["replay"] * 4
    assert {each["how"] for each in told[4:]} <= {"none"}
    code, out, _ = run("ledger", "sample", "ma_cross", *rows, "--json")
    verdict = json.loads(out)
    assert (code, verdict["recorded"], verdict["contaminated"]) == (0, 4, 4)
    assert verdict["net"] == pytest.approx(verdict["earned"] - verdict["bill"])
    assert "ma_cross" in run("ledger")[1]
    assert run("ledger", "sample", "ma_cross", *rows)[0] == 0
    assert run.server.http.requests == asked == 4


def test_a_spent_budget_is_told(run):
    code, out, _ = run("note", "sample", "AAPL", "--budget", "0.00001")
    assert code == 0
    assert "AAPL: no opinion, the month's budget does not allow the call" in out
    assert "refused by the budget: 1" in run("budget")[1]
    assert run.server.http.requests == 0


def test_errors_are_one_sentence_with_their_code(run, monkeypatch):
    assert run("note", "sample")[0] == 2
    assert run("note", "sample", "APPL")[2] == "error: the sample has no symbol 'APPL'; did you mean 'AAPL'?\n"
    assert run("note", "smaple", "AAPL")[2].endswith("did you mean 'sample'?\n")
    code, _, err = run("note", "sample", "AAPL", "--model", "gpt-9")
    assert (code, "no price is known for model 'gpt-9'" in err) == (78, True)
    run.server.rest.script.append("401")
    code, _, err = run("note", "sample", "AAPL")
    assert (code, "the vendor refused OPENAI_API_KEY" in err) == (5, True)
    monkeypatch.delenv("OPENAI_API_KEY")
    code, _, err = run("note", "sample", "AAPL", "--at", "2011-03-01")
    assert (code, err.startswith("error: OPENAI_API_KEY is not set; make a key at https://")) == (5, True)
