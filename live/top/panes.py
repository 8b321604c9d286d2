"""The parts of the screen: a table that keeps its place when its lines change, and a text that scrolls."""

from __future__ import annotations

import re
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import DataTable, Static

from live.top.page import Line

_FIGURE = re.compile(r"[-+]?[\d,]*\.?\d+([a-zA-Z%/ ].*)?|-")
_GOOD, _BAD = re.compile(r"\+[\d,]+\.\d\d"), re.compile(r"!|-[\d,]+\.\d\d$")
PANES = ("Positions", "Orders", "Risk", "Feeds", "Alerts", "Log")
WORDS = ("account", "state", "strategy", "broker", "feed", "symbol", "decided", "reason", "history", "")
"""Columns of words; figures stand to the right under a heading that does too."""


class Lines(DataTable[Any]):
    """A table whose lines are given whole each time; the cursor stays on its line, and what did not change is left."""

    def __init__(self, columns: tuple[str, ...], **given: Any) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, show_cursor=True, **given)
        self._columns = columns

    def on_mount(self) -> None:
        """Make the columns."""
        self.set_columns(self._columns)

    def set_columns(self, columns: tuple[str, ...]) -> None:
        """Other columns; the lines must be given anew."""
        self._columns = columns
        self.clear(columns=True)
        for name in columns:
            self.add_column(Text(name, justify="left" if name in WORDS else "right"), key=name or "note")

    def show(self, lines: list[Line], selected: str = "") -> None:
        """Show these lines, with the cursor on `selected` where it is among them; else on its line, or still on top."""
        if [key.value for key in self.rows] == [line.key for line in lines]:
            for line in lines:
                for name, cell in zip(self._columns, line.cells, strict=True):
                    shown = styled(cell)
                    if self.get_cell(line.key, name or "note") != shown:
                        self.update_cell(line.key, name or "note", shown, update_width=True)
        else:
            at = selected or (self.key_here() if self.cursor_row else "")
            top = self.scroll_offset.y
            self.clear()
            for line in lines:
                self.add_row(*(styled(cell) for cell in line.cells), key=line.key)
            keys = [line.key for line in lines]
            if at in keys:
                self.move_cursor(row=keys.index(at), scroll=False)
                self.scroll_to(y=top, animate=False)

    def key_here(self) -> str:
        """The key of the line that the cursor is on, '' without lines."""
        if not self.row_count:
            return ""
        return str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)


class Pane(Vertical):
    """One of `PANES` in a frame with its name and number."""

    def __init__(self, name: str, columns: tuple[str, ...] = ()) -> None:
        super().__init__(id=name.lower(), classes="pane")
        self.border_title = f"{PANES.index(name) + 1} {name}"
        self._table = Lines(columns) if columns else None
        self._text = Static("", markup=False)

    def compose(self) -> ComposeResult:
        """A table, or a text that scrolls; and what stands in place of a table without lines."""
        if self._table is not None:
            yield self._table
            yield self._text
        else:
            with VerticalScroll():
                yield self._text

    def show_text(self, text: str) -> None:
        """Show this text."""
        self._text.update(Text(text))

    def show_lines(self, lines: list[Line], empty: str) -> None:
        """Show these lines, or in their place the reason why there are none."""
        if self._table is not None:
            self._table.display = bool(lines)
            self._text.display = not lines
            self._table.show(lines)
            self._text.update(Text(empty))

    @property
    def table(self) -> Lines:
        """Its table."""
        if self._table is None:
            raise LookupError(f"{self.border_title} has no table")
        return self._table


def styled(cell: str) -> Text:
    """Figures to the right; gains, losses and what needs attention also in colour, which says nothing of its own."""
    style = "green" if _GOOD.fullmatch(cell) else "red" if _BAD.match(cell) else ""
    return Text(cell, style=style, justify="right" if _FIGURE.fullmatch(cell) else "left")
