"""Figures: every one is declared, says what the files say, and carries neither a name nor a secret."""

import datetime as dt
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from data.errors import ConfigError
from live.control import Asked, FeedState, Used, Word
from live.core.commands import Alert, Submit
from live.core.events import Fill, OrderRefused, OrderSent
from live.metrics.endpoint import Collector, Figures, serve
from live.metrics.host import Costs, measure_host, measure_market
from live.metrics.labels import DIGITS, Hashed
from live.metrics.measures import measure
from live.metrics.names import METRICS, Sample
from live.watch.view import Watch

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


@pytest.fixture
def busy(desk):
    """An account at a broker of its own that says all there is to say, and one that has never run."""
    desk.account("alpha", broker="alpaca")
    desk.account("beta")
    journal = desk.journal("alpha")
    for i in range(30):
        key = f"o{i}"
        journal.append_commands([Submit(key, desk.now, "AAA", "buy", 1.0, "entry", "row")])
        journal.append_event(OrderSent(desk.now, key))
        if i % 10:
            journal.append_event(Fill(desk.now + (2 + i % 10) * SECOND, key, f"e{i}", 1.0, 50.0, 0.1))
        else:
            journal.append_event(OrderRefused(desk.now, key, "no"))
    journal.append_commands([Alert(desk.now, "warning", "gate.closed", "no")])
    journal.commit()
    desk.says(
        "alpha", broker="alpaca", mode="live", positions={"AAA": 27.0}, day_pnl=-120.5, equity=99_879.5, unknown=1,
        open_orders=2, queue=3, feeds=[FeedState("hub", "stale", "L1", 7.0, 2)], rss_mb=58.0, cpu_s=3.5,
        headroom={"max_positions": Used(1, 4)}, budget=Used(12, 30),
        asked=Asked(900, {"429": 3, "5xx": 0, "timeout": 1}, 200, 4), denied={"R02.order_notional": 3},
        gates_closed={"clock": "skew"}, differences=["AAA"], reconciled=desk.now - 90 * SECOND,
        token_until=desk.now + 2 * DAY, certificate_until=desk.now + DAY, p50_us=40.0, p99_us=180.0, wire_p99_ms=12.0,
    )  # fmt: skip
    (desk.state / "alpha.log").write_text("x" * 1_000)
    (desk.state / "alpha.log.2.gz").write_text("x" * 500)
    yield desk
    journal.close()


def samples(desk, label=str):
    return measure(Watch([desk.folder], desk.clock).look(), desk.now, label)


def values(desk, account="alpha"):
    return {
        (sample.name, *sample.labels[1:]): sample.value for sample in samples(desk) if sample.labels[:1] == (account,)
    }


def test_figures_say_what_the_files_say(busy):
    found = values(busy)
    expected = {
        ("onetape_account_info", "momentum", "alpaca", "live"): 1.0,
        ("onetape_state", "running"): 1.0,
        ("onetape_up",): 1.0,
        ("onetape_silent_seconds",): 0.0,
        ("onetape_halted",): 0.0,
        ("onetape_equity_dollars",): 99_879.5,
        ("onetape_day_pnl_dollars",): -120.5,
        ("onetape_position_shares", "AAA"): 27.0,
        ("onetape_orders_total",): 30.0,
        ("onetape_order_failures_total",): 3.0,
        ("onetape_order_failure_ratio",): 0.1,
        ("onetape_api_requests_total",): 900.0,
        ("onetape_api_errors_total", "429"): 3.0,
        ("onetape_api_errors_total", "timeout"): 1.0,
        ("onetape_api_error_ratio",): 0.02,
        ("onetape_fills_total",): 27.0,
        ("onetape_fees_dollars_total",): pytest.approx(2.7),
        ("onetape_denied_total", "R02.order_notional"): 3.0,
        ("onetape_unknown_orders",): 1.0,
        ("onetape_queue_orders",): 3.0,
        ("onetape_execution_seconds",): 11.0,
        ("onetape_execution_fastest_of_ten_seconds",): 3.0,
        ("onetape_alerts_total", "gate.closed", "warning"): 1.0,
        ("onetape_headroom_used_ratio", "max_positions"): 0.25,
        ("onetape_requests_used",): 12.0,
        ("onetape_gate_closed", "clock"): 1.0,
        ("onetape_reconciled_age_seconds",): 90.0,
        ("onetape_reconciliation_differences",): 1.0,
        ("onetape_certificate_left_seconds",): 86_400.0,
        ("onetape_token_left_seconds",): 172_800.0,
        ("onetape_feed_stale", "hub"): 1.0,
        ("onetape_feed_level", "hub"): 1.0,
        ("onetape_feed_gaps_total", "hub"): 2.0,
        ("onetape_decision_seconds", "0.99"): 180e-6,
        ("onetape_wire_seconds", "0.99"): 0.012,
        ("onetape_memory_bytes",): 58e6,
        ("onetape_log_bytes",): 1_500.0,
    }
    assert {key: found[key] for key in expected} == expected
    assert values(busy, "beta")["onetape_state", "never run"] == 1.0
    assert ("onetape_silent_seconds",) not in values(busy, "beta")


def test_what_does_not_apply_is_absent(desk):
    desk.account("alpha")
    journal = desk.journal("alpha")
    for i in range(12):
        journal.append_commands([Submit(f"o{i}", 1, "AAA", "buy", 1.0, "entry", "row")])
        journal.append_event(OrderSent(1, f"o{i}"))
        journal.append_event(Fill(61 * SECOND, f"o{i}", f"e{i}", 1.0, 50.0, 0.1))
    journal.commit()
    desk.says("alpha", ended=True)
    found = {name for name, *_ in values(desk)}
    for name in ("execution_seconds", "api_error_ratio", "api_requests_total", "order_failure_ratio", "silent_seconds",
                 "requests_used", "token_left_seconds"):  # fmt: skip
        assert f"onetape_{name}" not in found  # paper, too few orders, ended, no budget, no token
    journal.close()


def test_silence_and_halts_are_figures(busy):
    busy.pass_(25)
    busy.control("alpha").say(Word("halt", "ann"))
    found = values(busy)
    assert (found["onetape_up",], found["onetape_silent_seconds",], found["onetape_halted",]) == (0.0, 25.0, 1.0)


def test_every_figure_is_declared_with_its_labels(busy):
    figures = Figures(Watch([busy.folder], busy.clock), Costs(busy.folder), clock_ns=busy.clock)
    found = figures.samples()
    for sample in found:
        assert len(sample.labels) == len(METRICS[sample.name].labels), sample
    keys = [sample[:2] for sample in found]
    assert len(keys) == len(set(keys))
    for name, metric in METRICS.items():
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert re.fullmatch(r"onetape_[a-z0-9_]+", name)


def test_the_endpoint_answers_as_prometheus_reads_it(busy):
    figures = Figures(Watch([busy.folder], busy.clock), Costs(busy.folder), clock_ns=busy.clock)
    server, port = serve(figures, "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
    found = {
        Sample(sample.name, tuple(sample.labels.values()), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert Sample("onetape_equity_dollars", ("alpha",), 99_879.5) in found
    assert Sample("onetape_orders_total", ("alpha",), 30.0) in found
    assert {sample.name for sample in found} <= METRICS.keys()


def test_a_second_scrape_sees_what_was_written_since(busy):
    collector = Collector(Figures(Watch([busy.folder], busy.clock), Costs(busy.folder), clock_ns=busy.clock))

    def equity():
        return {f.name: f.samples[0].value for f in collector.collect()}["onetape_equity_dollars"]

    assert equity() == 99_879.5
    busy.says("alpha", equity=5.0)
    assert equity() == 5.0


def test_a_hash_stands_for_a_name_and_stays_the_same(tmp_path):
    first, again = Hashed(tmp_path / "a.salt"), Hashed(tmp_path / "a.salt")
    other = Hashed(tmp_path / "b.salt")
    assert first("alpha") == again("alpha") != other("alpha")
    assert len(first("alpha")) == DIGITS
    assert (tmp_path / "a.salt").stat().st_mode & 0o777 == 0o600
    (tmp_path / "c.salt").write_bytes(b"short")
    with pytest.raises(ConfigError, match="holds 5 bytes"):
        Hashed(tmp_path / "c.salt")


def test_an_address_that_is_taken_is_said(busy):
    figures = Figures(Watch([busy.folder], busy.clock), Costs(busy.folder), clock_ns=busy.clock)
    server, port = serve(figures, "127.0.0.1", 0)
    try:
        with pytest.raises(ConfigError, match="cannot be listened on"):
            serve(figures, "127.0.0.1", port)
    finally:
        server.shutdown()
        server.server_close()


def test_the_host_is_measured(tmp_path):
    found = {sample.name: sample.value for sample in measure_host([tmp_path / "not" / "yet", tmp_path])}
    assert 0.0 < found["onetape_host_memory_used_ratio"] < 1.0
    assert 0.0 <= found["onetape_host_cpu_used_ratio"] <= 1.0
    assert found["onetape_host_disk_free_bytes"] > 0.0
    assert {sample.name for sample in measure_host([])} < found.keys()


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-09-21T13:29:59", 0.0), ("2026-09-21T13:30:00", 1.0), ("2026-09-21T19:59:59", 1.0),
        ("2026-09-21T20:00:00", 0.0), ("2026-09-20T15:00:00", 0.0), ("2026-11-27T17:59:59", 1.0),
        ("2026-11-27T18:00:00", 0.0), ("2126-01-05T03:00:00", 1.0),
    ],
)  # fmt: skip
def test_the_exchange_has_hours(moment, is_open):
    at = int(dt.datetime.fromisoformat(f"{moment}+00:00").timestamp()) * SECOND
    assert measure_market(at).value == is_open


def notes(path, month, *costs):
    """A journal of pattern notes with these costs in dollars; None for a call that has not ended."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, month TEXT, bound INTEGER, cost INTEGER)")
        for cost in costs:
            paid = None if cost is None else round(cost * 1e12)
            db.execute("INSERT INTO calls (month, bound, cost) VALUES (?, ?, ?)", (month, 10**12, paid))
    db.close()


def test_a_month_costs_what_is_fixed_and_what_notes_cost(desk, tmp_path):
    (tmp_path / "onetape.toml").write_text(
        '[operations.costs]\nserver = 12\nmarket_data = 199\n[patterns]\nbudget = 4.0\njournal = "notes.sqlite"\n'
    )
    costs = Costs(tmp_path)
    assert costs.measure(desk.now) == [Sample("onetape_month_cost_dollars", (), 211.0)]
    notes(tmp_path / "notes.sqlite", "2026-09", 1.5, None)
    assert {sample.name: sample.value for sample in costs.measure(desk.now)} == {
        "onetape_llm_spent_dollars": 2.5,
        "onetape_llm_budget_dollars": 4.0,
        "onetape_llm_budget_used_ratio": 0.625,
        "onetape_month_cost_dollars": 213.5,
    }
    assert costs.measure(desk.now + 40 * DAY)[0].value == 0.0


def test_notes_are_read_from_the_journal_that_research_writes(desk, tmp_path):
    from research.patterns.config import PatternSettings
    from research.patterns.journal import Journal

    defaults = PatternSettings()
    Journal(tmp_path / defaults.journal)
    found = {sample.name: sample.value for sample in Costs(tmp_path).measure(desk.now)}
    assert (found["onetape_llm_spent_dollars"], found["onetape_llm_budget_dollars"]) == (0.0, defaults.budget)


@pytest.mark.parametrize("table", ["[operations.costs]\nserver = -1", "[operations]\ncosts = 3", "operations = 1", "["])
def test_costs_that_are_none_are_refused(tmp_path, table):
    (tmp_path / "onetape.toml").write_text(table)
    with pytest.raises(ConfigError, match=r"onetape\.toml|operations\.costs"):
        Costs(tmp_path)


def test_the_command_shows_neither_names_nor_secrets(busy, checkout):
    """As a process: scraped, and ended in good order."""
    canary = "cAnAry7f3b9xQ"
    environment = os.environ | {"PYTHONPATH": str(checkout), "OPENAI_API_KEY": canary, "RH_PASSWORD": canary}
    run = [sys.executable, "-m", "live", "metrics", str(busy.folder), "--port", "0", "--state", str(busy.state)]
    process = subprocess.Popen(run, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        with urllib.request.urlopen(re.search(r"http\S+", said)[0]) as answer:
            text = answer.read().decode()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0
    assert "metrics of 2 accounts at http://127.0.0.1:" in said
    assert "onetape_equity_dollars" in text
    for word in ("alpha", "beta", canary):
        assert word not in text
    listed = subprocess.run([*run, "--who"], cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    label = next(line.split()[0] for line in listed.stdout.splitlines() if line.endswith("alpha"))
    assert f'onetape_equity_dollars{{account="{label}"}}' in text
    assert json.dumps(label) in text
