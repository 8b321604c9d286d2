"""A dress rehearsal of each broker under harsh faults: equal books, the same decisions, and no secret anywhere."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from data.errors import ConfigError
from data.sources.random_walk import random_bars
from data.tape import write_tape
from live.account import load_account
from live.core.limits import DEFAULTS
from live.rehearse import Wishes, rehearse
from live.rehearse_account import rehearsal_text, stretched
from live.rehearse_books import compare_books
from live.rehearse_parity import parity
from live.sandbox.broker_accounts import LOOSE
from strategies.common.load import load_strategy

FLIP = '''"""Buy after a row that rose, leave after one that fell."""

from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars, *, n: int = 2) -> Signals:
    rising = bars.close > sma(bars.close, n)
    return Signals(entries=rising, exits=~rising)
'''
SYMBOLS = ("AAPL", "MSFT")
CANARY, CANARY_SECRET = "canary-key-5f81", "canary-secret-77c2"
NUMBERS = {"alpaca": "PA3SANDBOX01", "robinhood": "900000123", "robinhood_private": "5SANDBOX1"}


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    path = tmp_path_factory.mktemp("tape") / "a.parquet"
    bars, book = random_bars(2 * 390, SYMBOLS, 11, "1m", start=20240102)
    write_tape(path, bars, book, clock="1m", source="random walk", simulated=True)
    return path


def account_file(folder, broker, strategy=FLIP, **more):
    (folder / "flip.py").write_text(strategy)
    lines = [
        f'name = "{broker}"', 'strategy = "flip.py"', f'broker = "{broker}"', 'feed = "alpaca"', "warm = 20",
        'symbols = ["AAPL", "MSFT"]', 'needs = "bars"',
        *(["unofficial = true"] if broker == "robinhood_private" else []),
        *(f"{name} = {json.dumps(value)}" for name, value in more.items()),
        "", "[rule]", 'stops = "close"', "size = 0.05", "", "[limits]",
        *(f"{name} = {json.dumps(LOOSE.get(name, value))}" for name, value in DEFAULTS.items()),
    ]  # fmt: skip
    path = folder / f"{broker}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


class ProcessList(threading.Thread):
    """Reads the command lines of all processes, again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.over = set(), threading.Event()

    def run(self):
        while not self.over.wait(0.2):
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(line.read_bytes())
                except OSError:
                    continue  # it has ended meanwhile


@pytest.mark.parametrize("broker", NUMBERS)
def test_a_rehearsal_under_harsh_faults_and_a_death_ends_with_equal_books(checkout, tape, tmp_path, broker):
    path = account_file(tmp_path, broker)
    looking = ProcessList()
    looking.start()
    done = subprocess.run(
        [
            sys.executable, "-m", "live", "rehearse", str(path), "--tape", str(tape), "--begin", "1", "--speed", "40",
            "--minutes", "12", "--faults", "harsh;seed=4", "--kills", "1", "--out", str(tmp_path / "out"), "--json",
        ],
        cwd=checkout,
        env=os.environ
        | {"PYTHONPATH": str(checkout), "SANDBOX_KEY": f"{CANARY}-{broker}", "SANDBOX_SECRET": CANARY_SECRET},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )  # fmt: skip
    looking.over.set()
    looking.join(10)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["books"]["differences"] == []
    assert told["parity"]["different"] == ""
    assert told["parity"]["rows"] >= 5
    assert told["starts"] >= 2
    assert sum(told["injected"].values()) > 0
    assert all(line["reason"] for line in told["books"]["orders"])
    ended = [line for line in told["books"]["orders"] if line["state"] in ("denied", "refused")]
    assert [line for line in ended if not line["why"]] == []
    unexplained = [line for line in told["books"]["orders"] if line["state"] != "filled" and not line["why"]]
    assert unexplained == []
    assert [line for line in told["books"]["orders"] if line["state"] in ("unknown", "quarantined")] == []
    assert any(line["filled"] > 0.0 for line in told["books"]["orders"])
    secrets = secrets_of(tmp_path / "out", broker)
    places = {str(file): file.read_bytes() for file in files_of(tmp_path / "out")}
    places |= {"standard output": done.stdout.encode(), "standard error": done.stderr.encode()}
    places |= {"the process list": b"\n".join(looking.seen)}
    found = [
        f"{secret[:6]}... in {place}" for place, body in places.items() for secret in secrets if secret.encode() in body
    ]
    assert found == []
    assert any(place.endswith(".journal") for place in places)
    assert any(place.endswith(".status") for place in places)


@pytest.mark.long
@pytest.mark.timeout(1800)  # 390 minutes of tape at 60 times its pace, and what the faults cost
@pytest.mark.parametrize("broker", NUMBERS)
def test_a_whole_day_under_harsh_faults_ends_with_equal_books_and_every_order_explained(
    checkout, tape, tmp_path, broker
):
    path = account_file(tmp_path, broker)
    done = subprocess.run(
        [
            sys.executable, "-m", "live", "rehearse", str(path), "--tape", str(tape), "--begin", "1", "--speed", "60",
            "--faults", "harsh;seed=7", "--out", str(tmp_path / "out"), "--json",
        ],
        cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    lines = told["books"]["orders"]
    assert told["books"]["differences"] == []
    assert told["parity"]["different"] == ""
    assert [line for line in lines if line["state"] != "filled" and not line["why"]] == []
    assert [line for line in lines if line["state"] in ("unknown", "quarantined")] == []
    # A pause after losses is the account's own wish; what trouble keeps back must be the less.
    wanted = [line for line in lines if not line["why"].startswith("R18.streak")]
    assert sum(line["filled"] > 0.0 for line in wanted) > len(wanted) / 2


def test_limits_that_a_rehearsal_cannot_keep_are_wider_in_the_copy_and_no_others(tmp_path):
    account = load_account(account_file(tmp_path, "alpaca"))
    wider = stretched(account, 60.0, 1)
    assert wider == {"max_quote_age_s": 3_600.0, "unknown_alarm_s": 1_800.0, "unknown_page_s": 18_000.0}
    assert stretched(account, 1.0, 1) == {}
    copy = tmp_path / "copy.toml"
    copy.write_text(rehearsal_text(account, list(SYMBOLS), tmp_path / "state", 0, wider))
    assert load_account(copy).limits == account.limits | wider


def secrets_of(folder, broker):
    """Everything that only its owner may know: what was planted, and what the login was given."""
    values = {CANARY, CANARY_SECRET, NUMBERS[broker]}  # the token and the password have these in them
    for grant in (folder / "state").glob("*.grant"):
        kept = msgspec.json.decode(grant.read_bytes())
        values |= {kept["access"], kept["refresh"]}
    return sorted(values)


def files_of(folder):
    """Every file but the logins themselves, which nobody else may read."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".grant", ".token"):
            assert file.stat().st_mode & 0o077 == 0
        elif file.is_file():
            yield file


def test_a_copy_for_rehearsal_holds_nothing_that_money_could_follow(tmp_path):
    path = account_file(tmp_path, "alpaca", trading=True, certificate="c.json", account_suffix="1234")
    text = rehearsal_text(load_account(path), list(SYMBOLS), tmp_path / "state", 0)
    copy = tmp_path / "copy.toml"
    copy.write_text(text)
    account = load_account(copy)
    assert (account.trading, account.certificate, account.suffix) == (False, None, "")
    assert (account.state, account.warm) == (tmp_path / "state", 0)
    assert account.limits == load_account(path).limits
    with pytest.raises(ConfigError, match="trades 'MSFT', the tape has AAPL"):
        rehearsal_text(load_account(path), ["AAPL"], tmp_path / "state", 0)


def test_paper_has_no_broker_to_rehearse_with(tmp_path, tape):
    path = tmp_path / "p.toml"
    path.write_text('name = "p"\nstrategy = "momentum"\n')
    with pytest.raises(ConfigError, match="has no broker to rehearse with"):
        rehearse(path, Wishes(tape, 60.0, "none", tmp_path / "out"))


PEEKING = FLIP.replace(
    "rising = bars.close > sma(bars.close, n)",
    "rising = bars.close >= bars.close.max(axis=0) + 0.0 * sma(bars.close, n)",
)


@pytest.mark.parametrize(("source", "same"), [(FLIP, True), (PEEKING, False)])
def test_parity_finds_a_strategy_that_decides_otherwise_once_it_has_seen_all_rows(tmp_path, session_of, source, same):
    from data.rows import rows_of
    from live.brokers.paper import PaperBroker
    from live.core.core import Core
    from live.core.plan import Plan
    from live.header import Feed, JournalHeader, built
    from live.journal import SqliteJournal
    from live.session_paper import PaperSession

    (tmp_path / "flip.py").write_text(source)
    strategy = load_strategy(tmp_path / "flip.py")
    bars, book = random_bars(60, SYMBOLS, 3, "1m", start=20240102)
    plan = Plan.of(strategy, list(SYMBOLS))
    journal = SqliteJournal.create(tmp_path / "a.journal", JournalHeader(plan, Feed("test", True, ""), built()))
    session = PaperSession(Core(plan, strategy), PaperBroker(plan.symbols, plan.the_costs(), plan.cash), journal)
    for row in rows_of(bars, book):
        session.row(row)
    session.close()
    found = parity(tmp_path / "a.journal", strategy)
    assert found.rows == 60
    assert found.decisions >= 2
    assert (found.different == "") is same
    books = compare_books(tmp_path / "a.journal", strategy, {"cash": "1", "positions": {"AAPL": "7"}, "orders": []})
    assert any(line.startswith("AAPL: we hold") for line in books.differences)
    assert any(line.startswith("cash: we have") for line in books.differences)
