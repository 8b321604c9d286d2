"""`Guards`: the standing stop and target of each position, kept in step with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from live.core.commands import Command, Protect, Side
from live.core.orders import OPEN, Order, State
from strategies.common.position import ORDER, QTY, SLOTS, STOP, TARGET, nan, stop_level

if TYPE_CHECKING:
    from live.core.desk import Desk


class Guards:
    """The protections of one account, at most one per symbol.

    Args:
        desk: whose positions they guard.
        standing: False where stops and targets are looked at on closes only; nothing is then ever sent.
    """

    def __init__(self, desk: Desk, *, standing: bool) -> None:
        self._desk, self._standing = desk, standing
        self._guards: list[Protect | None] = [None] * len(desk.symbols)

    def follow_all(self, ts: int, commands: list[Command]) -> None:
        """Let every protection follow its position."""
        if self._standing:
            for j in range(len(self._guards)):
                self.follow(j, ts, commands)

    def follow(self, j: int, ts: int, commands: list[Command]) -> None:
        """Let the protection of symbol j follow its position: place it, change it, or take it back."""
        if not self._standing:
            return
        s, b = self._desk.slots, j * SLOTS
        quantity = s[b + QTY]
        stop, target = nan, nan
        size = self._desk.shared.room(j, quantity)
        if size > 0.0 and s[b + ORDER] == 0.0:
            stop, target = stop_level(s, b), s[b + TARGET]
        if stop != stop and target != target:
            self.take_back(j, ts, commands)
            return
        old = self._guards[j]
        if old is not None and old.quantity == size and _same(old.stop, stop) and _same(old.target, target):
            return
        side: Side = "sell" if quantity > 0.0 else "buy"
        if old is None:
            order = self._desk.planned(j, "protect", side, size, "protect")
        else:
            order = self._desk.orders[old.order_id]
            order.quantity = order.filled + size
        new = Protect(
            order_id=order.order_id,
            ts=ts,
            symbol=self._desk.symbols[j],
            side=side,
            quantity=size,
            stop=stop,
            target=target,
            stop_reason="stop" if stop == s[b + STOP] else "trail",
            amends=old is not None,
            filled=order.filled,
        )
        self._guards[j] = new
        self._desk.tally.went_out(ts, j, side, size, "protect")
        commands.append(new)

    def blocks(self, j: int) -> bool:
        """True where the protection of symbol j may still fill after it was asked back: nothing may go out against it.

        With a broker whose cancels are final at once that is only one whose answer was lost.
        """
        lost = (State.UNKNOWN, State.QUARANTINED)
        return any(
            order.column == j
            and order.kind == "protect"
            and order.state in OPEN
            and (self._desk.plan.async_cancels or order.state in lost)
            for order in self._desk.tally.state.open
        )

    def take_back(self, j: int, ts: int, commands: list[Command]) -> None:
        """Cancel the protection of symbol j."""
        guard = self._guards[j]
        if guard is not None:
            self._guards[j] = None
            self._desk.cancel(self._desk.orders[guard.order_id], ts, commands)

    def met(self, order: Order, left: float) -> None:
        """Of `order` this much is left; with nothing left it stands no more."""
        guard = self._guards[order.column]
        if guard is not None and guard.order_id == order.order_id:
            self._guards[order.column] = msgspec.structs.replace(guard, quantity=left) if left > 0.0 else None


def _same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)
