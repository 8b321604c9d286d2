"""Alerts: every rule fires and clears, none repeats within its window, and what is told arrives, without a secret."""

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from email import message_from_string
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError
from data.settings import load_settings
from live.alerts.book import Book, BookFile, Message, Seen, active_alerts
from live.alerts.daemon import Daemon
from live.alerts.judge import acknowledge, judge, key_of
from live.alerts.rules import TABLE, Rule, load_rules
from live.alerts.send import GIVEN_UP_NS, Targets, deliver, message_of
from live.control import Asked, FeedState, Used, Word
from live.core.commands import Alert, Submit
from live.core.events import Fill, OrderRefused, OrderSent
from live.logs import open_log
from live.logs_redact import Redactor
from live.metrics.endpoint import Figures
from live.metrics.host import Costs
from live.metrics.measures import measure
from live.metrics.names import METRICS, Sample
from live.watch.view import Watch

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
START = 1_790_000_000 * SECOND
RULES = load_rules(TABLE.parent)  # those of the table, whatever this checkout's onetape.toml changes


def series(rule, value):
    """A series that the rule is about."""
    labels = tuple(rule.where.get(label, f"a {label}") for label in METRICS[rule.metric].labels)
    return Sample(rule.metric, labels, value)


OPEN = Sample("onetape_market_open", (), 1.0)


def values_of(rule):
    """A value that the rule lets pass, and one that it does not."""
    if rule.above is not None:
        return rule.above, rule.above * 1.01 + 1e-9
    if rule.at_least is not None:
        return rule.at_least * 0.999, rule.at_least
    return rule.below, rule.below * 0.99


def up(account="a account"):
    return Sample("onetape_up", (account,), 1.0)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.grows_s is None])
def test_every_rule_fires_when_it_has_held_long_enough_and_clears(name):
    rule, book = RULES[name], Book()
    fine, wrong = values_of(rule)

    def at(seconds, value):
        return judge(book, {name: rule}, [series(rule, value), OPEN], START + int(seconds * SECOND))

    assert at(0, fine) == []
    first = at(1, wrong)
    if rule.for_s:
        assert first == at(rule.for_s, wrong) == []
        first = at(1 + rule.for_s, wrong)
    (notice,) = first
    assert (notice.what, notice.name, notice.severity, notice.do) == ("fires", name, rule.severity, rule.do)
    assert "{" not in notice.text
    fired = 1 + rule.for_s
    for share in (0.1, 0.5, 0.999):
        assert at(fired + share * rule.repeat, wrong) == []
    assert [each.what for each in at(fired + rule.repeat, wrong)] == ["stands"]
    assert [each.what for each in at(fired + rule.repeat + 1, fine)] == ["clears"]
    assert at(fired + rule.repeat + 2, fine) == []
    assert book.active == {}


def test_a_condition_that_does_not_hold_long_enough_is_never_told():
    rule, book = RULES["memory_high"], Book()
    for minute in range(600):
        value = 0.5 if minute % 59 == 0 else 0.95
        assert judge(book, {"memory_high": rule}, [series(rule, value)], START + minute * 60 * SECOND) == []


def test_a_rule_of_growth_fires_on_what_is_new_and_clears_later():
    rule, book = RULES["core_critical"], Book()

    def at(seconds, *counts):
        samples = [Sample("onetape_alerts_total", ("desk", name, level), value) for name, level, value in counts]
        return judge(book, {"core": rule}, [up("desk"), *samples], START + seconds * SECOND)

    old = ("cancel.silent", "critical", 3.0)
    assert at(0, old) == []  # it was there before we looked
    assert at(5, old, ("feed.silent", "warning", 1.0)) == []
    (notice,) = at(10, ("cancel.silent", "critical", 4.0))
    assert (notice.what, notice.account, notice.text) == ("fires", "desk", "desk: cancel.silent")
    (notice,) = at(15, ("cancel.silent", "critical", 4.0), ("exit.refused", "critical", 1.0))
    assert notice.text == "desk: exit.refused"  # a counter begins with its first event
    assert at(20, ("cancel.silent", "critical", 4.0), ("risk.halted", "critical", 1.0))[0].what == "clears"
    assert [each.what for each in at(611, ("cancel.silent", "critical", 4.0))] == ["clears"]


def test_a_new_journal_is_no_growth():
    rule, book = RULES["core_critical"], Book()
    for seconds, value in ((0, 9.0), (1, 2.0), (2, 2.0)):
        counted = Sample("onetape_alerts_total", ("desk", "exit.refused", "critical"), value)
        assert judge(book, {"core": rule}, [up("desk"), counted], START + seconds * SECOND) == []


def test_what_comes_and_goes_is_told_once_a_window():
    rule, book, told = RULES["queue_long"], Book(), []
    for minute in range(8 * 60):
        value = 50.0 if minute % 2 else 0.0
        notices = judge(book, {"queue_long": rule}, [series(rule, value)], START + minute * 60 * SECOND)
        told += [(minute, notice.what) for notice in notices]
    assert told == [(1, "fires"), (2, "clears"), (241, "fires"), (242, "clears")]


@given(st.lists(st.tuples(st.integers(1, 2_000), st.booleans(), st.booleans()), max_size=60))
def test_nothing_is_told_twice_within_its_window_and_what_is_over_was_told(steps):
    rule, book, now = RULES["books_differ"], Book(), START
    fires, open_notices = [], 0
    for seconds, wrong, seen in steps:
        now += seconds * SECOND
        if seen:
            acknowledge(book, Seen("books_differ", "ann"))
        for notice in judge(book, {"books_differ": rule}, [series(rule, float(wrong))], now):
            if notice.what == "clears":
                open_notices -= 1
            else:
                fires.append(now)
                open_notices += notice.what == "fires"
            assert open_notices in (0, 1)
    assert all(b - a >= rule.repeat * SECOND for a, b in pairwise(fires))


def test_what_is_acknowledged_is_silent_until_it_is_over():
    rule, book = RULES["account_halted"], Book()

    def at(hours, value):
        found = judge(book, {"account_halted": rule}, [series(rule, value)], START + hours * 3_600 * SECOND)
        return [notice.what for notice in found]

    assert at(0, 1.0) == ["fires"]
    assert acknowledge(book, Seen("account_halted", "ann", "another")) == []
    assert len(acknowledge(book, Seen("account_halted", "ann"))) == 1
    assert at(1, 1.0) == at(9, 1.0) == []
    assert at(10, 0.0) == ["clears"]
    assert at(11, 1.0) == ["fires"]


def test_a_series_that_is_gone_is_over_and_others_stand():
    rule, book = RULES["feed_stale"], Book()
    both = [Sample("onetape_feed_stale", ("desk", feed), 1.0) for feed in ("hub", "vendor")]
    judge(book, {"feed_stale": rule}, [*both, OPEN], START)
    assert len(judge(book, {"feed_stale": rule}, [*both, OPEN], START + 40 * SECOND)) == 2
    (notice,) = judge(book, {"feed_stale": rule}, [both[0], OPEN], START + 50 * SECOND)
    assert (notice.what, notice.text) == ("clears", "feed vendor of desk is stale")
    assert list(book.active) == [key_of("feed_stale", both[0])]


@pytest.mark.parametrize("name", ["feed_stale", "gate_closed"])
def test_what_is_silent_at_night_is_told_by_day(name):
    rule, book = RULES[name], Book()
    wrong, night = series(rule, 1.0), Sample("onetape_market_open", (), 0.0)

    def at(minute, *market):
        return [each.what for each in judge(book, {name: rule}, [wrong, *market], START + minute * 60 * SECOND)]

    assert at(0, night) == at(60, night) == at(61) == []
    assert at(70, OPEN) == []
    assert at(72, OPEN) == ["fires"]
    assert at(80, night) == ["clears"]


# --- from the files of an account to the rule ---------------------------------------------------------------------


def lost_orders(journal, now):
    for i in range(30):
        journal.append_commands([Submit(f"o{i}", now, "AAA", "buy", 1.0, "entry", "row")])
        journal.append_event(OrderSent(now, f"o{i}"))
        journal.append_event(
            OrderRefused(now, f"o{i}", "no") if i < 2 else Fill(now + 3 * SECOND, f"o{i}", f"e{i}", 1.0, 5.0, 0.0)
        )


CAUSES = {
    "runner_silent": lambda desk, _journal: desk.pass_(16),
    "account_problem": lambda desk, _journal: desk.control().status_file.write_text("{"),
    "account_halted": lambda desk, _journal: desk.control().say(Word("halt", "ann")),
    "order_unknown": lambda desk, _journal: desk.says(unknown=1),
    "books_differ": lambda desk, _journal: desk.says(differences=["AAA: we hold 10, the broker 8"]),
    "core_critical": lambda desk, journal: journal.append_commands([Alert(desk.now, "critical", "cancel.silent", "x")]),
    "feed_stale": lambda desk, _journal: desk.says(feeds=[FeedState("hub", "stale", "L1", 9.0)]),
    "gate_closed": lambda desk, _journal: desk.says(gates_closed={"clock": "skew"}),
    "loss_near_halt": lambda desk, _journal: desk.says(headroom={"halt_loss_pct": Used(2.4, 3.0)}),
    "queue_long": lambda desk, _journal: desk.says(queue=11),
    "requests_near_limit": lambda desk, _journal: desk.says(budget=Used(29, 30)),
    "api_errors": lambda desk, _journal: desk.says(asked=Asked(900, {"429": 3, "timeout": 2}, 200, 5)),
    "order_failures": lambda desk, journal: lost_orders(journal, desk.now),
    "execution_slow": lambda desk, journal: lost_orders(journal, desk.now),
    "certificate_ends": lambda desk, _journal: desk.says(certificate_until=desk.now + 6 * DAY),
    "token_ends": lambda desk, _journal: desk.says(token_until=desk.now + 3_600 * SECOND),
    "log_large": lambda desk, _journal: os.truncate(desk.state / "desk.log", 100_000_001),
}
OF_THE_HOST = {
    "memory_high", "cpu_high", "disk_full", "trade_records", "month_cost", "llm_budget", "alerts_silent",
}  # fmt: skip


def test_every_rule_has_a_cause():
    assert CAUSES.keys() | OF_THE_HOST == RULES.keys()


@pytest.mark.parametrize("name", CAUSES)
def test_what_an_account_s_files_say_fires_the_rule(desk, name):
    watch = Watch([desk.account(broker="alpaca")], desk.clock)
    journal = desk.journal()
    (desk.state / "desk.log").touch()
    desk.says()
    book, rules = Book(), {name: RULES[name]}

    def figures():
        return [*measure(watch.look(), desk.now), OPEN]

    assert judge(book, rules, figures(), desk.now) == []
    CAUSES[name](desk, journal)
    journal.commit()
    judge(book, rules, figures(), desk.now)
    now = desk.now + int(RULES[name].for_s * SECOND)
    told = judge(book, rules, figures(), now)
    standing = [alert for alert in book.active.values() if alert.fired]
    assert [alert.name for alert in standing] == [name]
    assert "desk" in standing[0].text
    assert standing[0].account == "desk"
    assert len(told) == (RULES[name].for_s > 0)
    journal.close()


# --- who is told --------------------------------------------------------------------------------------------------


class Hook:
    """A real HTTP server on loopback: what was posted, and what it answers."""

    def __init__(self):
        self.posts, self.status, hook = [], 200, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posts.append(json.loads(body))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"json://127.0.0.1:{self.server.server_port}/alerts"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook():
    hook = Hook()
    yield hook
    hook.close()


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to leave a mail; `server.mails` holds (sender, recipients, text)."""

    def handle(self):
        def say(line):
            self.wfile.write(line.encode() + b"\r\n")

        sender, recipients = "", []
        say("220 loopback")
        for raw in self.rfile:
            line = raw.decode().strip()
            word = line.upper()
            if word.startswith(("EHLO", "HELO")):
                say("250 loopback")
            elif word.startswith("MAIL FROM:"):
                sender, recipients = line[10:].split()[0], []
                say("250 ok")
            elif word.startswith("RCPT TO:"):
                recipients.append(line[8:])
                say("250 ok")
            elif word == "DATA":
                say("354 go on")
                lines = []
                for part in self.rfile:
                    text = part.decode().rstrip("\r\n")
                    if text == ".":
                        break
                    lines.append(text.removeprefix("."))
                self.server.mails.append((sender, recipients, "\n".join(lines)))
                say("250 ok")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@pytest.fixture
def mailbox():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.daemon_threads = True
        server.mails = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = (
            f"mailto://127.0.0.1:{server.server_address[1]}?from=desk@example.com&to=ann@example.com&mode=insecure"
        )
        yield server
        server.shutdown()


@pytest.fixture
def told(desk, tmp_path):
    """`told(urls)`: a daemon over the desk's accounts."""
    logs = []

    def make(*urls, redactor=None):
        log = open_log(desk.state / "alerts.log", redactor=redactor or Redactor([]))
        logs.append(log)
        figures = Figures(Watch([desk.folder], desk.clock), Costs(tmp_path), clock_ns=desk.clock)
        rules = {name: rule for name, rule in RULES.items() if name in CAUSES}  # this host's own load is not the test's
        return Daemon(
            figures, rules, Targets(urls), BookFile(desk.state), log, redactor=redactor or Redactor([]),
            clock_ns=desk.clock,
        )  # fmt: skip

    yield make
    for log in logs:
        log.close()


def test_an_alert_comes_as_a_mail(desk, told, mailbox):
    desk.account()
    desk.says(queue=20)
    assert len(told(mailbox.url).step()) == 1
    ((_, recipients, text),) = mailbox.mails
    assert recipients == ["<ann@example.com>"]
    mail = message_from_string(text)
    assert str(make_header(decode_header(mail["Subject"]))) == "warning: queue_long (desk)"
    assert "20 orders of desk wait to be sent" in text


def test_an_alert_goes_to_a_webhook_and_so_does_its_end(desk, told, hook):
    desk.account()
    desk.says()
    daemon = told(hook.url)
    assert daemon.step() == []
    desk.control().say(Word("halt", "ann"))
    daemon.step()
    desk.pass_(5)
    desk.says()
    daemon.step()
    desk.control().say(Word("resume", "ann"))
    daemon.step()
    assert [post["title"] for post in hook.posts] == [
        "critical: account_halted (desk)",
        "CLEAR critical: account_halted (desk)",
    ]
    assert hook.posts[0]["message"].splitlines() == [
        "critical account_halted: desk opens no new positions",
        "  python -m live status ACCOUNT.toml says why; python -m live resume lifts it",
    ]
    assert [post["type"] for post in hook.posts] == ["failure", "success"]
    assert daemon.book.unsent == []


def test_everything_of_one_look_is_one_message_the_gravest_first(desk, told, hook):
    desk.account()
    desk.says(queue=20, differences=["AAA"])
    told(hook.url).step()
    (post,) = hook.posts
    assert post["title"] == "critical: books_differ (desk) and 1 more"
    assert [line.split(":")[0] for line in post["message"].splitlines() if line[0] != " "] == [
        "critical books_differ",
        "warning queue_long",
    ]


def test_who_did_not_take_it_gets_it_later_and_nobody_twice(desk, told, hook):
    other = Hook()
    other.status = 503
    desk.account()
    desk.says(queue=20)
    daemon = told(hook.url, other.url)
    daemon.step()
    assert (len(hook.posts), len(other.posts), len(daemon.book.unsent)) == (1, 1, 1)
    daemon.step()
    assert len(other.posts) == 1  # not before its pause is over
    other.status = 200
    desk.pass_(31)
    desk.says(queue=20)
    daemon.step()
    assert (len(hook.posts), len(other.posts), daemon.book.unsent) == (1, 2, [])
    other.close()
    wait(lambda: (desk.state / "alerts.log").read_text().count("alert.unsent") == 1)


def test_after_a_crash_the_daemon_goes_on_where_it_was(desk, told, hook):
    desk.account()
    desk.says(queue=20)
    hook.status = 500
    told(hook.url).step()
    hook.status = 200
    desk.pass_(60)
    desk.says(queue=20)
    again = told(hook.url)
    assert again.step() == []  # it fired before
    assert [post["title"] for post in hook.posts] == ["warning: queue_long (desk)"] * 2  # refused, then taken
    assert again.book.unsent == []


def test_a_message_nobody_takes_is_given_up_after_a_day_and_one_to_nobody_known_at_once(hook):
    hook.status = 500
    targets = Targets([hook.url])
    book = Book(unsent=[Message("info", "old", "x", targets.names, START), Message("info", "gone", "x", ["?"], START)])
    now, tries = START, 0
    while book.unsent:
        tries += len(deliver(book, targets, now))
        now = max(now + SECOND, book.unsent[0].after if book.unsent else 0)
    assert now - START >= GIVEN_UP_NS
    assert 20 < tries < 60
    assert len(hook.posts) == tries


def test_no_secret_leaves_in_an_alert(desk, told, hook):
    secret = "cAnAry7f3b9xQ"
    desk.account()
    desk.says(gates_closed={secret: "why"}, queue=20)
    daemon = told(hook.url, redactor=Redactor([secret]))
    daemon.step()
    desk.pass_(61)
    desk.says(gates_closed={secret: "why"}, queue=20)
    daemon.step()
    assert len(hook.posts) == 2
    assert secret not in json.dumps(hook.posts)
    assert secret not in (desk.state / "alerts.log").read_text()


def test_addresses_are_secrets_everywhere(tmp_path, hook):
    token = "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"
    url = f"tgram://{token}/12315544"
    settings = load_settings(tmp_path, {"ALERT_URLS": f"{url}\n {hook.url} "})
    targets = Targets.of_settings(settings)
    assert [targets.kind(name) for name in targets.names] == ["Telegram", "JSON"]
    assert token not in repr(targets) + repr(settings) + "".join(targets.names)
    said = Redactor.of_settings(settings, {}).text(
        f"POST https://api.telegram.org/bot{quote(token)}/sendMessage {token}"
    )
    assert token not in said
    assert quote(token) not in said
    with pytest.raises(ConfigError) as refused:
        Targets([hook.url, "nonsense-with-" + token])
    assert "address 2 of ALERT_URLS" in str(refused.value)
    assert token not in str(refused.value)


def test_a_message_tells_of_new_before_old():
    from live.alerts.judge import Notice

    notices = [
        Notice("clears", "b", "", "critical", "it is over"),
        Notice("fires", "a", "desk", "warning", "look", "do this"),
    ]
    made = message_of(notices, ["t"], START, Redactor([]))
    assert made.title == "warning: a (desk) and 1 more"
    assert made.body == "warning a: look\n  do this\nCLEAR critical b: it is over"


# --- rules as files -----------------------------------------------------------------------------------------------


def test_thresholds_are_changed_in_onetape_toml(tmp_path):
    (tmp_path / "onetape.toml").write_text(
        "[alerts.memory_high]\nabove = 0.9\nfor_s = 60\n[alerts.cpu_high]\nenabled = false\n"
    )
    rules = load_rules(tmp_path)
    assert rules["memory_high"].expression() == "onetape_host_memory_used_ratio > 0.9"
    assert rules["memory_high"].for_s == 60.0
    assert "cpu_high" not in rules


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[alerts.memry_high]\nabove = 1", "did you mean 'memory_high'"),
        ("[alerts.memory_high]\nbelow = 1", "exactly one of above, from, below and grows_s"),
        ("[alerts.memory_high]\nabov = 1", "unknown field `abov`"),
        ("[alerts.memory_high]\nabove = 'x'", "Expected `float"),
        ("[alerts.memory_high]\nmetric = 'onetape_memory'", "there is no metric 'onetape_memory'"),
        ("[alerts.memory_high]\nsays = '{feed}'", "has no label 'feed'"),
        ("[alerts]\nmemory_high = 3", "must be a table"),
        ("alerts = 3", "must be a table of tables"),
    ],
)
def test_changes_that_are_wrong_are_refused(tmp_path, text, why):
    (tmp_path / "onetape.toml").write_text(text)
    with pytest.raises(ConfigError, match=why.replace("(", r"\(")):
        load_rules(tmp_path)


def test_thresholds_are_those_of_the_capacity_plan():
    plan = {
        "memory_high": ("above", 0.8, 3_600), "cpu_high": ("above", 0.7, 1_800), "disk_full": ("above", 0.8, 0),
        "log_large": ("above", 100e6, 0), "api_errors": ("above", 0.02, 0), "execution_slow": ("above", 2, 0),
        "trade_records": ("above", 100_000, 0), "month_cost": ("above", 200, 0), "llm_budget": ("at_least", 0.8, 0),
        "queue_long": ("above", 10, 0),
    }  # fmt: skip
    for name, (field, threshold, for_s) in plan.items():
        assert (getattr(RULES[name], field), RULES[name].for_s) == (threshold, for_s), name


def test_a_rule_says_its_value_in_words():
    rule = Rule("onetape_silent_seconds", "critical", "{account} {value} {percent} {duration}", "", above=1.0)
    assert rule.text(Sample("onetape_silent_seconds", ("desk",), 90.0)) == "desk 90 9000% 90s"


# --- as a process -------------------------------------------------------------------------------------------------


def test_the_daemon_runs_is_acknowledged_and_ends_in_good_order(desk, hook, checkout):
    desk.account()
    desk.says(said=time.time_ns(), ended=True, differences=["AAA"])
    environment = os.environ | {"PYTHONPATH": str(checkout), "ALERT_URLS": hook.url}
    live = [sys.executable, "-m", "live", "alerts"]
    options = {"cwd": checkout, "env": environment, "text": True}
    process = subprocess.Popen(
        [*live, str(desk.folder), "--book", str(desk.state), "--every", "0.1"], stdout=subprocess.PIPE, **options
    )
    try:
        wait(lambda: hook.posts)
        wait(lambda: any(alert.name == "books_differ" for alert in active_alerts(desk.state)))
        done = subprocess.run(
            [*live, "ack", "books_differ", "--book", str(desk.state)], capture_output=True, check=True, **options
        )
        assert done.stdout == "seen: books_differ the books of desk and its broker differ in 1 places\n"
        wait(lambda: any(alert.seen_by for alert in active_alerts(desk.state)))
        wrong = subprocess.run(
            [*live, "ack", "book_differ", "--book", str(desk.state)], capture_output=True, check=False, **options
        )
        assert wrong.returncode == 2
        assert "did you mean 'books_differ'" in wrong.stderr
        listed = subprocess.run(
            [*live, "list", "--book", str(desk.state)], capture_output=True, check=True, **options
        ).stdout
        assert "(seen by " in listed
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0]
    assert process.returncode == 0
    assert "1 accounts, told to JSON" in said
    assert "critical: books_differ (desk)" in [post["title"].split(" and ")[0] for post in hook.posts]
    tried = subprocess.run([*live, "test"], capture_output=True, check=False, **options)
    assert (tried.returncode, tried.stdout) == (0, "JSON: taken\n")
    hook.status = 500
    tried = subprocess.run([*live, "test"], capture_output=True, check=False, **options)
    assert (tried.returncode, tried.stdout) == (6, "JSON: NOT taken\n")


def wait(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
