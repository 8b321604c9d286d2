"""The dashboard: what is shown is what the files say, at any width, and a word goes out only once a name is typed."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
import uuid

import pytest
from textual.widgets import Static

from live.alerts.book import Active, Book, BookFile
from live.control import Asked, FeedState, Used, Word
from live.core.commands import Alert, Protect, Submit
from live.core.events import Fill, OrderSent, Snapshot
from live.journal import SqliteJournal
from live.top.app import Top
from live.top.confirm import Confirm, Reading
from live.top.page import page
from live.top.panes import Lines, Pane, styled
from live.top.words import age, bar, money, number, signed
from live.watch.lines import last_lines
from live.watch.view import Watch, share

nan = float("nan")
MINUTE = 60_000_000_000


@pytest.fixture
def busy(desk):
    """Two accounts: `alpha` runs with a position that the broker does not have, `beta` has never run."""
    desk.account("alpha")
    desk.account("beta")
    journal = desk.journal("alpha")
    for message in (
        Submit("o1", desk.now, "AAA", "buy", 10.0, "entry", "row"),
        OrderSent(desk.now, "o1"),
        Fill(desk.now + MINUTE, "o1", "e1", 10.0, 50.0, 0.1),
        Snapshot(desk.now + 2 * MINUTE, "timer", {"AAA": 8.0}, 1.0),
        Protect("o2", desk.now + MINUTE, "AAA", "sell", 10.0, 49.0, nan),
        Alert(desk.now, "warning", "gate.closed", "no new positions while feed is not in order: silent"),
    ):
        journal.append_commands([message]) if isinstance(message, Submit | Protect | Alert) else journal.append_event(
            message
        )
    journal.commit()
    desk.says(
        "alpha", positions={"AAA": 10.0}, day_pnl=-120.5, equity=99_879.5, open_orders=1, unknown=1,
        feeds=[FeedState("hub", "fresh", "L2", 0.4), FeedState("vendor", "stale", "L1", 7.0, 2)],
        headroom={"max_positions": Used(1, 4), "halt_loss_pct": Used(3.0, 3.0)}, budget=Used(12, 30),
        asked=Asked(900, {"429": 3, "5xx": 0, "timeout": 1}, 200, 4),
        denied={"R02.order_notional": 3}, gates_closed={"clock": ""}, differences=["AAA: we hold 10, the broker 8"],
        token_until=desk.now + 3 * 86_400_000_000_000, certificate_until=desk.now - 1, p99_us=180.0, rss_mb=58.0,
    )  # fmt: skip
    (desk.state / "alpha.log").write_text(
        '{"timestamp": "2026-09-21T14:13:20Z", "level": "info", "event": "row", "symbol": "AAA"}\nplain\n'
    )
    desk.close_journal = journal.close
    yield desk
    journal.close()


def shown(desk, *, wide=False, selected=""):
    watch = Watch([desk.folder], desk.clock)
    return page(watch.look(), selected, desk.now, wide=wide, alerts=desk.state, where="here")


def test_a_page_tells_what_the_files_say(busy):
    made = shown(busy)
    assert made.summary == "14:13:20 UTC | day P&L -120.50 | 2 accounts: 1 running, 1 never run"
    assert made.accounts[0].cells == (
        "alpha", "running", "99,879.50", "-120.50", "1", "1 !1", "! stale 7.0s", "0.0s",
    )  # fmt: skip
    assert made.accounts[1].cells == ("beta", "never run", "-", "-", "-", "-", "-", "-")
    assert made.positions[0].cells == ("AAA", "+10", "+8", "50.0000", "-", "-", "! differs")
    assert [line.cells[:4] for line in made.orders] == [
        ("14:14:20", "AAA", "-10", "planned"),
        ("14:13:20", "AAA", "+10", "filled"),
    ]
    assert made.orders[1].cells[-1] == "14:13:20 planned, 14:13:20 sent, 14:14:20 filled +10 at 50"
    risk = made.risk.splitlines()
    assert risk[0] == f"halt_loss_pct     {'█' * 20} 100%  3 of 3  ! at its limit"
    assert risk[1] == f"max_positions     {'█' * 5}{'░' * 15}  25%  1 of 4"
    assert risk[2].startswith("requests a minute")
    assert risk[3] == f"requests failed   █{'░' * 19}   2%  4 of 200; all: 429 3, timeout 1"
    assert len(risk[3]) <= 78
    assert "! waits for   clock: not yet in order" in risk
    assert "denied        R02.order_notional, 3 times" in risk
    assert "! differs     AAA: we hold 10, the broker 8" in risk
    assert "certificate   until 2026-09-21  ! over" in risk
    assert "token         until 2026-09-24, 3d left" in risk
    assert made.feeds.splitlines()[1] == "vendor  ! stale, gives L1, last 7.0s ago, 2 gaps"
    assert "warning  09-21 14:13:20 gate.closed: no new positions" in made.alerts
    assert made.log.splitlines() == ["14:13:20 info     row symbol=AAA", "plain"]


def test_a_page_without_accounts_or_runs_says_what_to_do(desk):
    assert "no account files in here" in shown(desk).hint
    desk.account()
    assert shown(desk).hint.startswith("no account has run yet: python -m live run ")
    desk.says()
    desk.account("other")
    assert shown(desk, selected=str(desk.folder / "other.toml")).hint.startswith("other has not run yet")
    desk.pass_(60)
    assert "desk has said nothing for 60s: its process, 1, may be gone" in shown(desk).hint
    desk.says(halted="ann said so")
    assert shown(desk).hint == "desk is halted: ann said so"


def test_alerts_that_stand_are_on_the_page(busy):
    alert = Active("k", "feed_stale", "alpha", "critical", "vendor is stale", busy.now, fired=busy.now, seen_by="ann")
    other = Active("j", "feed_stale", "beta", "critical", "of another account", busy.now, fired=busy.now)
    waits = Active("w", "ram_high", "", "warning", "not yet for an hour", busy.now)
    BookFile(busy.state).write(Book({each.key: each for each in (alert, other, waits)}))
    made = shown(busy)
    assert "| ! 2 alerts |" in made.summary
    assert "! critical 09-21 14:13:20 feed_stale: vendor is stale (seen by ann)" in made.alerts
    assert "! critical 09-21 14:13:20 feed_stale: of another account" in made.alerts
    assert "not yet" not in made.alerts


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (money(1234.5), "1,234.50"), (money(-2e6), "-2,000,000"), (signed(3.0), "+3.00"), (signed(0.0), "0.00"),
        (number(1500.0), "1,500"), (number(0.25), "0.25"), (number(12_345.6), "12,346"),
        (age(0.44), "0.4s"), (age(12.0), "12s"), (age(200.0), "3m"), (age(20_000.0), "6h"), (age(9e5), "10d"),
        (age(nan), "-"), (money(nan), "-"), (bar(0.0, 4), "░░░░"), (bar(0.001, 4), "█░░░"), (bar(0.999, 4), "███░"),
        (bar(7.0, 4), "████"), (share(1.0, 0.0), 1.0), (share(0.0, 0.0), 0.0), (share(1.0, 4.0), 0.25),
    ],
)  # fmt: skip
def test_numbers_are_short(made, text):
    assert made == text


def test_colour_says_nothing_that_the_text_does_not():
    for cell in ("! stale 7s", "-12.50", "+3.00"):
        assert styled(cell).plain == cell
    assert styled("! stale").style == "red"
    assert (styled("+3.00").justify, styled("halted").justify) == ("right", "left")


def test_a_log_that_is_long_or_damaged_is_shown_from_its_end(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(b'{"event": "n%d"}\n' % i for i in range(20_000)) + b"\xff[1]\n7\n")
    lines = last_lines(path, 3)
    assert lines[0].endswith("n19999")
    assert lines[2] == "7"
    assert last_lines(tmp_path / "none.log", 3) == []


def pilot(desk, size, steps, **options):
    """Run the dashboard without a terminal, `steps(app, pilot)` in it."""

    async def play():
        app = Top(
            Watch([desk.folder], desk.clock), every_s=options.get("every_s", 3600.0), alerts=desk.state, where="here",
            clock_ns=desk.clock, who="ann",
        )  # fmt: skip
        async with app.run_test(size=size, notifications=True) as hand:
            await until(hand, lambda: app.looks > 0)
            await steps(app, hand)

    asyncio.run(play())


async def until(hand, holds):
    for _ in range(600):
        await hand.pause(0.02)
        if holds():
            return
    raise AssertionError(f"it did not come to hold:\n{screen(hand.app)}")


def screen(app):
    """What is on screen, as lines of text."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize("size", [(80, 24), (120, 30), (160, 45), (220, 60)])
def test_the_screen_shows_accounts_and_panes_at_any_size(busy, size):
    async def steps(app, hand):
        words = [
            "alpha",
            "running",
            "99,879.50",
            "-120.50",
            "beta",
            "never run",
            "! differs",
            "Halt",
            "Flatten",
            "Quit",
        ]
        everything = size[0] >= 120 and size[1] >= 36
        words += ["filled", "max_positions", "vendor", "gate.closed", "plain"] if everything else []
        await until(hand, lambda: all(word in screen(app) for word in words))
        assert [pane.display for pane in app.query(Pane)] == [everything or i == 0 for i in range(6)]
        if everything:
            return
        for key, word in zip("23456", ("filled", "max_positions", "vendor", "gate.closed", "plain"), strict=True):
            await hand.press(key)
            await until(hand, lambda word=word: word in screen(app))

    pilot(busy, size, steps)


def test_every_line_fits_at_80_columns(busy):
    async def steps(app, _hand):
        table = app.query_one("#accounts", Lines)
        assert table.virtual_size.width <= 80
        assert app.query_one("#tabs", Static).size.width <= 80

    pilot(busy, (80, 24), steps)


@pytest.mark.parametrize(("key", "action"), [("h", "halt"), ("f", "flatten"), ("r", "resume")])
def test_a_word_goes_out_once_the_name_is_typed(busy, key, action):
    async def steps(app, hand):
        control = busy.control("alpha")
        await hand.press(key)
        assert isinstance(app.screen, Confirm)
        await hand.press(*"beta", "enter")
        await until(hand, lambda: "nothing was done" in screen(app))
        assert list(control.words()) == []
        await hand.press(*"alpha", "enter")
        await until(hand, lambda: not isinstance(app.screen, Confirm))
        assert list(control.words()) == [Word(action, "ann", "from top")]
        assert (control.standing() is not None) == (action != "resume")

    pilot(busy, (80, 24), steps)


def test_escape_leaves_everything_as_it_is(busy):
    async def steps(app, hand):
        await hand.press("f", *"alpha", "escape")
        await until(hand, lambda: not isinstance(app.screen, Confirm))
        assert list(busy.control("alpha").words()) == []
        assert busy.control("alpha").standing() is None

    pilot(busy, (80, 24), steps)


def test_a_word_is_for_the_account_under_the_cursor_at_once(busy):
    async def steps(app, hand):
        await hand.press("down", "h", *"beta", "enter")
        await until(hand, lambda: busy.control("beta").standing() is not None)
        assert busy.control("alpha").standing() is None
        await until(hand, lambda: "beta is halted" in screen(app) or "beta has not run" in screen(app))

    pilot(busy, (80, 24), steps)


def test_what_is_written_shows_at_once_and_the_cursor_stays(busy):
    async def steps(app, hand):
        await until(hand, lambda: "alpha [1 Positions]" in screen(app))
        await hand.press("down")
        await until(hand, lambda: app.page.name == "beta" and "beta [1 Positions]" in screen(app))
        busy.account("aaa")
        busy.control("beta").say(Word("halt", "bob", "lunch"))
        await until(hand, lambda: "aaa" in screen(app))
        await until(hand, lambda: "beta has not run yet" in screen(app))
        assert app.query_one("#accounts", Lines).key_here().endswith("beta.toml")
        journal = busy.journal("beta")
        journal.append_commands([Submit("b1", 60 * MINUTE, "BBB", "sell", 3.0, "entry", "row")])
        journal.commit()
        await hand.press("2")
        await until(hand, lambda: "BBB" in screen(app))
        journal.close()

    pilot(busy, (80, 24), steps)


def test_a_status_alone_waits_for_the_next_look(busy):
    async def steps(app, hand):
        looks = app.looks
        busy.says("alpha", equity=123.0)
        await hand.pause(0.6)
        assert app.looks == looks
        await hand.press("space")
        await until(hand, lambda: "123.00" in screen(app))

    pilot(busy, (80, 24), steps)


def test_enter_on_an_order_shows_its_history(busy):
    async def steps(app, hand):
        await hand.press("2", "tab", "down", "enter")
        await until(hand, lambda: isinstance(app.screen, Reading))
        await until(hand, lambda: "buy 10 AAA, market (entry)" in screen(app))
        await until(hand, lambda: "09-21 14:14:20  filled +10 at 50" in screen(app))
        await hand.press("escape", "question_mark")
        await until(hand, lambda: "leave; the accounts go on" in screen(app))

    pilot(busy, (80, 24), steps)


def test_new_orders_come_on_top_and_a_chosen_one_stays(busy):
    async def steps(app, hand):
        def submit(i):
            watch = busy.state / "alpha.journal"
            journal = SqliteJournal.open(watch)
            list(journal.read())
            journal.append_commands([Submit(f"n{i}", busy.now + i * MINUTE, f"N{i}", "buy", 3.0, "entry", "row")])
            journal.close()

        table = app.query_one("#orders", Pane).table
        await hand.press("2", "tab")
        for i in range(10, 40):
            submit(i)
        await until(hand, lambda: "N39" in screen(app))
        assert (table.cursor_row, table.key_here()) == (0, "n39")
        await hand.press("down")
        submit(50)
        await until(hand, lambda: table.row_count == 33)
        assert (table.cursor_row, table.key_here()) == (2, "n38")

    busy.close_journal()
    pilot(busy, (80, 24), steps)


def test_an_account_file_that_cannot_be_read_takes_no_word(desk):
    (desk.folder / "bad.toml").write_text("name = ")

    async def steps(app, hand):
        await until(hand, lambda: "! problem" in screen(app) and "bad.toml cannot be read" in screen(app))
        await hand.press("h")
        await until(hand, lambda: "cannot halt" in screen(app))
        assert not isinstance(app.screen, Confirm)

    pilot(desk, (80, 24), steps)


def test_a_size_that_changes_changes_the_columns(busy):
    async def steps(app, hand):
        await until(hand, lambda: "99,879.50" in screen(app) and "memory" not in screen(app))
        await hand.resize_terminal(160, 45)
        await until(hand, lambda: "58 MB" in screen(app))
        await hand.resize_terminal(80, 24)
        await until(hand, lambda: "memory" not in screen(app) and "99,879.50" in screen(app))

    pilot(busy, (80, 24), steps)


def test_top_in_a_real_terminal(busy, checkout):
    """tmux at 80 by 24: the screen is drawn, a name is typed, and q leaves the terminal as it was."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    socket = f"onetape-{uuid.uuid4().hex[:8]}"

    def tmux(*arguments):
        done = subprocess.run(["tmux", "-L", socket, *arguments], capture_output=True, text=True, check=False)
        return done.stdout

    def sees(word):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            text = tmux("capture-pane", "-p", "-t", "top")
            if word in text:
                return text
            time.sleep(0.1)
        raise AssertionError(f"no {word!r} in:\n{text}")

    busy.says("alpha", said=time.time_ns())
    run = f"{sys.executable} -m live top {busy.folder} --book {busy.state}; echo left with $?; sleep 60"
    environment = os.environ | {"PYTHONPATH": str(checkout), "TERM": "screen-256color"}
    subprocess.run(
        ["tmux", "-L", socket, "-f", "/dev/null", "new-session", "-d", "-s", "top", "-x", "80", "-y", "24", run],
        cwd=checkout, env=environment, check=True,
    )  # fmt: skip
    try:
        text = sees("alpha")
        assert all(len(line) <= 80 for line in text.splitlines())
        tmux("send-keys", "-t", "top", "h")
        sees("HALT alpha")
        tmux("send-keys", "-t", "top", "alpha", "Enter")
        sees("halted: halt by")
        assert busy.control("alpha").standing() is not None
        tmux("send-keys", "-t", "top", "q")
        assert "left with 0" in sees("left with")
    finally:
        tmux("kill-server")


def test_top_without_a_terminal_says_so(busy, python):
    done = python("-m", "live", "top", str(busy.folder))
    assert done.returncode == 2
    assert "top needs a terminal" in done.stderr
