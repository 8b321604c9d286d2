"""The dashboard: reads the accounts' files every few seconds, and at once when a journal or a halt changes.

Everything is read and made ready in a thread of its own; the screen only shows it. A word to an account goes the way
it goes from the command line: a file beside its journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult, ScreenStackError
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.css.query import NoMatches
from textual.events import Resize
from textual.widgets import DataTable, Footer, Static

from data.errors import OnetapeError
from live.control import Action, Control, Word
from live.top.confirm import Confirm, Reading
from live.top.page import NARROW, ORDERS, POSITIONS, WIDE, Page, page
from live.top.panes import PANES, Lines, Pane
from live.watch.roster import Place
from live.watch.view import Watch

LOOK_S = 0.25
WIDE_FROM, TALL_FROM = 120, 36
NAME_AT_MOST = 14
"""Characters of a name that fit beside the names of the panes."""
KEYS = """\
up, down    choose the account, or a line of the pane with the focus
1 ... 6     positions, orders, risk, feeds, alerts, log
tab         go to the next table or text; arrows move in it
enter       on an order: its whole history
h, f, r     halt, flatten or resume the account: type its name
space       read everything now
q           leave; the accounts go on

! before a word asks for attention.
Times are UTC; those of orders and alerts are the feed's.
"theirs" is the broker's record when it was last compared; - where
something was filled since."""


class Top(App[None]):
    """The dashboard of some accounts.

    Args:
        watch: the accounts.
        every_s: seconds between looks when nothing changes.
        alerts: folder of the alert daemon's book.
        where: where accounts were looked for, in words.
        clock_ns: UTC nanoseconds.
        who: the person at the keyboard.
    """

    CSS_PATH = "top.tcss"
    TITLE = "onetape top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "say('halt')", "Halt"),
        Binding("f", "say('flatten')", "Flatten"),
        Binding("r", "say('resume')", "Resume"),
        *(Binding(str(i + 1), f"pane('{name}')", name, show=False) for i, name in enumerate(PANES)),
        Binding("1-6", "nothing", "Pane", key_display="1-6"),
        Binding("space", "now", "Now", show=False),
        Binding("question_mark", "keys", "Keys", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_FROM, "-wide")]  # noqa: RUF012  # as textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (TALL_FROM, "-tall")]  # noqa: RUF012

    def __init__(
        self,
        watch: Watch,
        *,
        every_s: float,
        alerts: Path,
        where: str,
        clock_ns: Callable[[], int] = time.time_ns,
        who: str = "",
    ) -> None:
        super().__init__()
        self._watch, self._every_s, self._alerts, self._where = watch, every_s, alerts, where
        self._clock_ns, self._who = clock_ns, who or getpass.getuser()
        self._reading = asyncio.Lock()
        self._stamp: tuple[object, ...] = ()
        self._read_at = float("-inf")
        self._selected = ""
        self._wide = False
        self._pane = PANES[0]
        self.page = Page("", [])
        self.looks = 0

    def compose(self) -> ComposeResult:
        """Summary, accounts, a hint, the panes, the keys."""
        yield Static("reading ...", id="summary", markup=False)
        yield Lines(NARROW, id="accounts")
        yield Static("", id="hint", markup=False)
        yield Static("", id="tabs", markup=False)
        with Container(id="panes"):
            yield Pane("Positions", POSITIONS)
            yield Pane("Orders", ORDERS)
            for name in PANES[2:]:
                yield Pane(name)
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        """Begin to look."""
        self.action_pane(PANES[0])
        self.query_one("#accounts", Lines).focus()
        self.set_interval(LOOK_S, self._look)
        await self._read()

    def on_resize(self, event: Resize) -> None:
        """Show more columns where there is room."""
        wide = event.size.width >= WIDE_FROM
        if wide != self._wide:
            self._wide = wide
            self.query_one("#accounts", Lines).set_columns(WIDE if wide else NARROW)
            self.call_later(self._read)

    async def _look(self) -> None:
        """Read where something was written since, or it is time to."""
        if self._reading.locked():
            return
        stamp = await asyncio.to_thread(self._watch.stamp)
        if stamp != self._stamp or time.monotonic() - self._read_at >= self._every_s:
            await self._read()

    async def _read(self) -> None:
        async with self._reading:
            self._stamp, self.page = await asyncio.to_thread(self._made, self._selected, wide=self._wide)
            self._read_at = time.monotonic()
        with contextlib.suppress(NoMatches, ScreenStackError):  # the screen is being taken down meanwhile
            self._show(self.page)
        self.looks += 1

    def _made(self, selected: str, *, wide: bool) -> tuple[tuple[object, ...], Page]:
        views = self._watch.look()
        made = page(views, selected, self._clock_ns(), wide=wide, alerts=self._alerts, where=self._where)
        return self._watch.stamp(), made

    def _show(self, page: Page) -> None:
        self.query_one("#summary", Static).update(page.summary)
        hint = self.query_one("#hint", Static)
        hint.update(page.hint)
        hint.display = bool(page.hint)
        accounts = self.query_one("#accounts", Lines)
        if page.accounts and len(page.accounts[0].cells) == len(WIDE if self._wide else NARROW):
            accounts.show(page.accounts, self._selected)
        elif not page.accounts:
            accounts.clear()
        self._selected = self._selected or page.selected
        quiet = "nothing yet" if page.name else "no account"
        for name, lines, empty in (
            ("positions", page.positions, f"{page.name} holds nothing" if page.name else quiet),
            ("orders", page.orders, f"{page.name} has sent no orders" if page.name else quiet),
        ):
            self.query_one(f"#{name}", Pane).show_lines(lines, empty)
        for name, text in (("risk", page.risk), ("feeds", page.feeds), ("alerts", page.alerts), ("log", page.log)):
            self.query_one(f"#{name}", Pane).show_text(text or quiet)
        self._name_panes()

    async def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another account is chosen."""
        if event.data_table.id == "accounts" and event.row_key is not None:
            chosen = str(event.row_key.value)
            if chosen != self._selected and event.data_table.row_count:
                self._selected = chosen
                await self._read()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on an order shows its history."""
        order = self.page.details.get(str(event.row_key.value))
        if order is not None:
            self.push_screen(Reading.of_order(order))

    def action_pane(self, name: str) -> None:
        """Show a pane, or go to it where all are shown."""
        for pane in self.query(Pane):
            pane.set_class(pane.id == name.lower(), "-shown")
        self._pane = name
        self._name_panes()
        if self.screen.has_class("-wide") and self.screen.has_class("-tall"):
            chosen = self.query_one(f"#{name.lower()}", Pane)
            target = chosen.query("Lines, VerticalScroll").first()
            target.focus()

    def _name_panes(self) -> None:
        """Say whose panes these are, and which one is shown: the highlighted line alone would be colour alone."""
        name = self.page.name if len(self.page.name) <= NAME_AT_MOST else f"{self.page.name[: NAME_AT_MOST - 1]}…"
        tabs = (f"[{i + 1} {each}]" if each == self._pane else f" {i + 1} {each} " for i, each in enumerate(PANES))
        self.query_one("#tabs", Static).update(" ".join([name, *tabs]))
        for i, pane in enumerate(self.query(Pane)):
            of = f" of {name}" if name and PANES[i] != "Alerts" else ""
            pane.border_title = f"{i + 1} {PANES[i]}{of}"

    async def action_now(self) -> None:
        """Read everything now."""
        await self._read()

    def action_keys(self) -> None:
        """Show the keys."""
        self.push_screen(Reading("Keys", KEYS))

    def action_nothing(self) -> None:
        """For a line of the footer that stands for several keys."""

    def action_say(self, action: Action) -> None:
        """Ask for the name, then leave the word."""
        place = self.page.places.get(self.query_one("#accounts", Lines).key_here())
        if place is None:
            why = "its account file cannot be read" if self.page.name else "there is no account"
            self.notify(why, title=f"cannot {action}", severity="error", markup=False)
            return
        self.push_screen(Confirm(action, place.name), partial(self._said, action, place))

    def _said(self, action: Action, place: Place, done: bool | None) -> None:
        if not done:
            return
        try:
            Control(place.state, place.name).say(Word(action, self._who, "from top"))
        except OnetapeError as error:
            self.notify(str(error), title=f"{action} {place.name} failed", severity="error", markup=False)
            return
        told = "its runner takes it within half a second; one that is down obeys at its next start"
        self.notify(f"{place.name}: {told}", title=f"{action} said", markup=False)
