"""Every check of a start: one sentence, its exit code, and nobody was logged in."""

import email.utils
import http.server
import os
import shutil
import threading
import time
from dataclasses import replace

import pytest

from data.door import call
from data.errors import AuthError, CertificateError, ConfigError, UnavailableError
from data.settings import Secret, Settings
from live.__main__ import app
from live.account import load_account, with_feed
from live.brokers import broker_address, venue_broker
from live.brokers.wire_skew import Skew
from live.checks import check_clock, check_folder, check_start
from live.core.limits import DEFAULTS
from live.login import keep_token
from live.opening import roll
from live.risk_arming import CERTIFICATE_DAYS, certificate_of, until_of
from live.risk_limits import proposed
from live.steady import SteadyClock

REHEARSAL = "0@0*1"
PRIVATE = "unofficial = true\ntrading = true"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def account(tmp_path):
    """`account("alpaca", 'more = "lines"')`: an account file with every limit."""

    def make(broker, more="", limits=None, rule=""):
        path = tmp_path / "a.toml"
        path.write_text(
            f'name = "a"\nstrategy = "momentum"\nbroker = "{broker}"\nstate = "{tmp_path}/state"\n'
            f'symbols = ["AAPL"]\n{more}\n{rule}\n{proposed() if limits is None else limits}'
        )
        return load_account(path)

    return make


@pytest.fixture
def server():
    """`server(seconds)`: the address of a server whose clock is off by so much."""
    running = []

    def make(off=0.0, dated=True):
        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                self.send_response_only(200)
                if dated:
                    self.send_header("Date", email.utils.formatdate(time.time() + off, usegmt=True))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        box = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=box.serve_forever)
        thread.start()
        running.append((box, thread))
        return f"http://127.0.0.1:{box.server_port}"

    yield make
    for box, thread in running:
        box.shutdown()
        thread.join()
        box.server_close()


def test_money_needs_the_word_and_the_word_needs_money(account):
    settings = Settings()
    told = account("robinhood_private", "unofficial = true")
    with pytest.raises(ConfigError, match="has no paper trading"):
        check_start(told, settings, live=False)
    with pytest.raises(ConfigError, match="is not for trading"):
        check_start(account("alpaca"), settings, live=True)
    assert call(app, ["run", str(account("alpaca", "trading = true").path), "--feed", "alpaca"]) == 78
    assert call(app, ["run", str(account("paper").path), "--feed", "alpaca", "--live"]) == 78


def test_a_live_key_in_paper_mode_and_the_reverse_are_refused(account):
    keys = {"apca_api_key_id": Secret("k"), "apca_api_secret_key": Secret("s")}
    live = Settings(**keys, apca_api_base_url="https://api.alpaca.markets")
    with pytest.raises(ConfigError, match="trades on paper"):
        venue_broker(account("alpaca"), live, SteadyClock())
    paper = Settings(**keys, apca_api_base_url="https://paper-api.alpaca.markets")
    with pytest.raises(ConfigError, match="trades on live"):
        venue_broker(account("alpaca", "trading = true"), paper, SteadyClock())


def test_a_missing_limit_is_refused(account):
    with pytest.raises(ConfigError, match="does not say max_order_usd"):
        account("alpaca", limits=proposed().replace("max_order_usd", "# max_order_usd"))


def test_a_certificate_that_is_too_old_is_refused(account, tmp_path):
    told = account("alpaca", 'certificate = "c.json"')
    assert until_of(told) == 0
    (tmp_path / "c.json").write_text(
        '{"source": 1, "parameters": 1, "clock": 1, "code": 1, "format": 1, "ok": true, "identity": 1}'
    )
    old = time.time() - (CERTIFICATE_DAYS + 1) * 86_400
    os.utime(tmp_path / "c.json", (old, old))
    with pytest.raises(CertificateError, match=f"older than {CERTIFICATE_DAYS} days"):
        certificate_of(told)


def test_a_rule_that_the_broker_cannot_keep_is_refused(account):
    with pytest.raises(ConfigError, match="keeps a stop or a target standing"):
        check_start(
            account("robinhood_private", "unofficial = true\ntrading = true", rule='[rule]\nstops = "touch"'),
            Settings(),
            live=True,
        )
    with pytest.raises(ConfigError, match="sells only what is held"):
        check_start(
            account(
                "robinhood_private", "unofficial = true\ntrading = true", rule="[rule]\nstops = 'close'\nshorts = true"
            ),
            Settings(),
            live=True,
        )


@pytest.mark.parametrize("off", [30.0, -30.0])
def test_a_skewed_clock_is_refused(account, server, off):
    word = "behind" if off > 0 else "ahead of"
    with pytest.raises(ConfigError, match=f"clock is (29|30)\\.\\d s {word}"):
        check_clock(server(off), 250.0)
    told = Settings(apca_api_base_url=server(off))
    with pytest.raises(ConfigError, match="timedatectl"):
        check_start(account("alpaca"), told, live=False)


def test_a_right_clock_passes_and_one_that_cannot_be_checked_does_not(server):
    check_clock(server(), 250.0)
    with pytest.raises(UnavailableError, match="does not say what time"):
        check_clock(server(dated=False), 250.0)
    with pytest.raises(UnavailableError, match="did not answer"):
        check_clock("http://127.0.0.1:1", 250.0)


def test_a_full_disk_is_refused(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("live.checks.shutil.disk_usage", lambda _: usage._replace(free=50_000_000))
    with pytest.raises(ConfigError, match="50 MB left, 100 are needed"):
        check_folder(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        check_folder(tmp_path / "file" / "state")
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(ConfigError, match="anyone may write"):
        check_folder(open_to_all)


def test_a_token_that_others_may_read_is_refused(account, tmp_path):
    told = account("robinhood_private", "unofficial = true\ntrading = true")
    with pytest.raises(AuthError, match="no login"):
        venue_broker(told, Settings(), SteadyClock())
    keep_token(tmp_path / "state/a.token", "secret")
    (tmp_path / "state/a.token").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        venue_broker(told, Settings(), SteadyClock())
    with pytest.raises(AuthError, match="no login"):
        broker_address(account("robinhood", "trading = true"), Settings())


def test_a_rehearsal_never_leaves_this_machine(account):
    told = Settings(rehearsal=REHEARSAL, apca_api_base_url="https://paper-api.alpaca.markets")
    with pytest.raises(ConfigError, match="would go to paper-api"):
        check_start(account("alpaca"), told, live=False)
    check_start(account("alpaca"), replace(told, apca_api_base_url="http://127.0.0.1:9"), live=False)


def test_a_live_run_needs_a_feed_and_symbols(account, tmp_path, capsys):
    told = account("paper")
    assert call(app, ["run", str(told.path)]) == 2
    assert "names no feed" in capsys.readouterr().err
    assert call(app, ["run", str(told.path), "--feed", "alpca"]) == 78
    assert "did you mean 'alpaca'" in capsys.readouterr().err
    assert call(app, ["run", str(told.path), "--feed", "alpaca", "--replay", "x"]) == 2
    told.path.write_text(told.path.read_text().replace('symbols = ["AAPL"]', ""))
    assert call(app, ["run", str(told.path), "--feed", "alpaca"]) == 78
    assert "names no symbols" in capsys.readouterr().err


KEYS = {
    "a feed": ('feed = "bloomberg"', "is none; there is alpaca and polygon"),
    "needs": ('needs = "L3"', "is none of L2, L1, bars"),
    "warm": ("warm = -1", "from 0 to"),
    "unofficial": ("unofficial = true", "is official, leave it out"),
    "leveraged": ("leveraged = [1]", "must be a list of texts"),
    "both": ('watchlist = "w.toml"', "are both given"),
}


@pytest.mark.parametrize(("line", "says"), KEYS.values(), ids=KEYS)
def test_a_wrong_key_is_one_sentence(account, line, says):
    with pytest.raises(ConfigError, match=says):
        account("alpaca", line)


def test_a_watchlist_names_the_symbols_and_only_five_are_streamed(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f'name = "a"\nstrategy = "momentum"\nstate = "{tmp_path}"\nwatchlist = "w.toml"\n')
    with pytest.raises(ConfigError, match="python -m research scan"):
        load_account(path)
    (tmp_path / "w.toml").write_text("symbols = 3")
    with pytest.raises(ConfigError, match="names no symbols"):
        load_account(path)
    (tmp_path / "w.toml").write_text('symbols = ["A", "B", "C", "D", "E", "F"]')
    told = load_account(path)
    assert told.symbols == ("A", "B", "C", "D", "E")
    assert told.watches
    assert with_feed(told, "polygon").feed == "polygon"


def test_another_days_watchlist_begins_another_journal(tmp_path):
    from live.header import Feed, JournalHeader, built
    from live.journal import SqliteJournal

    path = tmp_path / "a.toml"
    path.write_text(f'name = "a"\nstrategy = "momentum"\nstate = "{tmp_path}"\nwatchlist = "w.toml"\n')
    (tmp_path / "w.toml").write_text('symbols = ["A"]')
    told = load_account(path)
    SqliteJournal.create(told.journal, JournalHeader(told.plan_of(["B"]), Feed("x", True, ""), built())).close()
    roll(told.plan_of(["A"]), told, told.journal)
    assert not told.journal.exists()
    assert [each.name for each in tmp_path.glob("*.journal")] == ["a.0.journal"]


def test_dates_of_whole_seconds_add_up_to_a_narrow_skew():
    skew = Skew()
    assert skew.ms() != skew.ms()
    for tenth in range(40):
        theirs = 1_700_000_000.0 + tenth * 0.31
        ours = theirs + 0.4
        date = email.utils.formatdate(int(theirs), usegmt=True)
        skew.add(int(ours * 1e9), int((ours + 0.01) * 1e9), date)
    assert 300.0 < skew.ms() < 410.0
    skew.add(0, 1, "not a date")
    skew.add(0, 1, None)
    assert 300.0 < skew.ms() < 410.0


def test_every_limit_is_proposed():
    assert all(name in proposed() for name in DEFAULTS)
