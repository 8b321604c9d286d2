"""`Gatekeeper`: asks the controls of every order, and keeps back what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from live.core.commands import Command, Denied
from live.core.facts import Request
from live.core.orders import Order, State
from live.core.risk import Approved, Refused, check
from live.core.risk_market import worst_price
from live.core.risk_pace import too_many_denials
from strategies.common.position import MARK, SLOTS

if TYPE_CHECKING:
    from live.core.desk import Desk


class Gatekeeper:
    """Between the wish and the wire.

    Args:
        desk: whose orders go out.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def asked(self, order: Order, source: str) -> tuple[Request, Approved | Refused]:
        """The order as it would go out, and what the controls say to it."""
        desk, tally, j = self._desk, self._desk.tally, order.column
        state = tally.look(desk.last_ts, desk.positions, desk.slots[MARK::SLOTS])
        state.keys, state.halted = desk.orders, desk.halted
        request = Request(order.order_id, desk.last_ts, j, desk.symbols[j], order.side, order.quantity, source=source)
        if tally.reduces(request):
            request = msgspec.structs.replace(request, reduces=True)
        limits = tally.limits
        if limits.order_types is not None and "market" not in limits.order_types:
            request = msgspec.structs.replace(request, kind="limit", limit=worst_price(request, state, limits))
        return request, check(request, state, limits)

    def denied(self, order: Order, verdict: Refused, commands: list[Command]) -> None:
        """Put a refused order into the table and the journal; halt where the control says so."""
        desk, ts = self._desk, self._desk.last_ts
        order.kind, order.state = "denied", State.REFUSED
        desk.orders[order.order_id] = order
        desk.counts.denied[verdict.code] = desk.counts.denied.get(verdict.code, 0) + 1
        symbol = desk.symbols[order.column]
        commands.append(
            Denied(
                order.order_id, ts, symbol, order.side, order.quantity, order.reason, verdict.code, verdict.reason
            )
        )  # fmt: skip
        why = f"{verdict.code} {verdict.reason}" if verdict.halts else ""
        if verdict.code == "R07.messages":
            desk.tally.state.denials.append(ts)
            why = too_many_denials(desk.tally.state, desk.tally.limits)
        if why:
            desk.halt(ts, "risk.halted", why, commands)
