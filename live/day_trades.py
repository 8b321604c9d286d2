"""Day trades, counted by ourselves where the broker does not tell: opened and closed in one session."""

from __future__ import annotations

from live.core.core import Core
from live.core.events import Event, Fill, Row, Snapshot

SESSIONS = 5


class DayTrades:
    """Told of every event of the journal; `count` is of the last five sessions.

    One closing order of a symbol that was opened in the same session is one day trade, however many fills it has.
    """

    def __init__(self) -> None:
        self._session = 0
        self._opened: set[tuple[int, str]] = set()
        self._closed: dict[int, set[str]] = {}

    def take(self, event: Event, core: Core) -> None:
        """One event, after the core has taken it in."""
        if isinstance(event, Row) and event.session != self._session:
            self._session = event.session
            self._opened.clear()
            self._closed[event.session] = set()
            for old in sorted(self._closed)[:-SESSIONS]:
                del self._closed[old]
        elif isinstance(event, Fill):
            self._filled(event, core)
        elif isinstance(event, Snapshot):
            for fill in event.fills:
                self._filled(fill, core)

    def count(self) -> int:
        """Day trades of the last five sessions, this one included."""
        return sum(len(orders) for orders in self._closed.values())

    def _filled(self, fill: Fill, core: Core) -> None:
        order = core.orders.get(fill.order_id)
        if order is None:
            return
        opens = order.kind != "protect" and order.reason in ("entry", "reversal")
        if opens:
            self._opened.add((order.column, order.side))
        other = "sell" if order.side == "buy" else "buy"
        if (order.column, other) in self._opened:
            self._closed.setdefault(self._session, set()).add(order.order_id)
