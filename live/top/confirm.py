"""Questions that take the whole screen: a word to an account, which its name must confirm, and an order in full."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from live.control import Action
from live.top.page import OrderPage
from live.top.words import moment

MEANS: dict[Action, str] = {
    "halt": "opens no new positions from now on; waiting entries are cancelled, stops stay",
    "flatten": "halts, and leaves every position at the market",
    "resume": "trades again; losses count from here",
}


class Confirm(ModalScreen[bool]):
    """True once the account's name was typed, False for anything else.

    Args:
        action: what is to be said.
        name: the account.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, action: Action, name: str) -> None:
        super().__init__()
        self._action, self._name = action, name

    def compose(self) -> ComposeResult:
        """The question, what it means, and where the name is typed."""
        with Vertical(id="box"):
            yield Static(f"{self._action.upper()} {self._name}", classes="title", markup=False)
            yield Static(f"{self._name} {MEANS[self._action]}.", markup=False)
            yield Static(f"Type {self._name} and Enter to {self._action} it; Escape leaves it as it is.", markup=False)
            yield Input(id="typed")
            yield Static("", id="wrong", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Compare what was typed."""
        typed = event.value.strip()
        if typed == self._name:
            self.dismiss(True)
        else:
            event.input.value = ""
            said = f"{typed!r} is not {self._name!r}" if typed else "nothing was typed"
            self.query_one("#wrong", Static).update(f"{said}; nothing was done")

    def action_leave(self) -> None:
        """Leave everything as it is."""
        self.dismiss(False)


class Reading(ModalScreen[None]):
    """Lines to read; Escape, Enter or q closes them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "leave", "Close")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._heading, self._text = title, text

    @classmethod
    def of_order(cls, order: OrderPage) -> Reading:
        """An order's history."""
        return cls(order.title, "\n".join(f"{moment(line.ts)}  {line.what}" for line in order.history))

    def compose(self) -> ComposeResult:
        """Title, lines, and how to leave."""
        with Vertical(id="box"):
            yield Static(self._heading, classes="title", markup=False)
            with VerticalScroll():
                yield Static(self._text, markup=False)
            yield Static("Escape closes", classes="dim", markup=False)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)
