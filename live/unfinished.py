"""What a journal left unfinished: orders that the broker may have, and commands that never left.

marked as sent   -> `Known`: the broker is asked what became of it
never marked     -> it provably never left: it waits in the queue again, and expires there where it is stale
"""

from __future__ import annotations

from collections.abc import Sequence

from live.brokers.base import Known
from live.brokers.wire_orders import key_of
from live.core.commands import Cancel, Command, Protect, Submit
from live.core.core import Core
from live.core.events import AmendSent, Event, Fill, OrderSent, Snapshot
from live.core.orders import State


class Unfinished:
    """Told of every step of the journal and of the session after it; asked at a start."""

    def __init__(self) -> None:
        self._said: dict[str, list[Submit | Protect]] = {}
        self._sent: dict[str, None] = {}
        self._fills: dict[str, list[Fill]] = {}

    def take(self, event: Event, commands: Sequence[Command]) -> None:
        """One step."""
        if isinstance(event, OrderSent):
            self._sent[event.order_id] = None
        elif isinstance(event, AmendSent):
            self._sent[event.key] = None
        elif isinstance(event, Fill):
            self._fills.setdefault(event.order_id, []).append(event)
        elif isinstance(event, Snapshot):
            for fill in event.fills:
                self._fills.setdefault(fill.order_id, []).append(fill)
        for command in commands:
            if isinstance(command, Submit | Protect):
                self._said.setdefault(command.order_id, []).append(command)

    def was_sent(self, command: Submit | Protect) -> bool:
        """Whether it was marked as sent."""
        return key_of(command) in self._sent

    def forget(self, core: Core) -> None:
        """Let go of the orders that have ended."""
        for order_id in [key for key in self._said if core.orders[key].is_over]:
            for command in self._said.pop(order_id):
                self._sent.pop(key_of(command), None)
            self._fills.pop(order_id, None)

    def known(self, core: Core) -> list[Known]:
        """Orders that have not ended and that the broker may have, in the order in which they were sent."""
        found = []
        for order_id, said in self._alive(core):
            fills = {fill.execution_id: fill for fill in self._fills.get(order_id, ())}
            keys = [key_of(command) for command in said]
            for command, key in zip(said, keys, strict=True):
                if key not in self._sent:
                    continue
                mine = [fill for fill in fills.values() if key == _key_of_fill(fill, order_id, keys)]
                found.append(
                    Known(
                        command,
                        filled=round(sum(fill.quantity for fill in mine), 9),
                        paid=sum(fill.quantity * fill.price for fill in mine),
                        executions=tuple(fill.execution_id.removeprefix(f"{key}/") for fill in mine),
                        fees=sum(fill.fee for fill in mine),
                    )
                )
        return found

    def unsent(self, core: Core) -> list[Command]:
        """Commands that never left and are still wanted; cancels too, for asking twice does no harm."""
        waiting: list[Command] = []
        for order_id, said in self._alive(core):
            order, last = core.orders[order_id], said[-1]
            waiting += [each for each in said if not self.was_sent(each) and (each is said[0] or each is last)]
            if order.cancelling and order.state is not State.JOURNALED:
                waiting.append(Cancel(order_id, core.last_ts, last.symbol))
        return waiting

    def _alive(self, core: Core) -> list[tuple[str, list[Submit | Protect]]]:
        return [(key, said) for key, said in self._said.items() if not core.orders[key].is_over]


def _key_of_fill(fill: Fill, order_id: str, keys: list[str]) -> str:
    """Under which of the order's keys it was done: an amended protection's executions carry theirs."""
    key, found, _ = fill.execution_id.partition("/")
    return key if found and key in keys else order_id
