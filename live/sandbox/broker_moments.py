"""What happens to an account or its stream as a whole, at times of the tape: see `broker_faults`."""

from __future__ import annotations

from decimal import Decimal

from data.calendar import SECOND_NS
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue, VenueOrder, new_id
from live.sandbox.broker_floor import TapeFloor
from live.sandbox.broker_orders import MoveKind
from live.sandbox.clock import SandboxClock
from live.sandbox.robinhood_mcp import RobinhoodAgent
from live.sandbox.robinhood_private import RobinhoodPrivate

Box = AlpacaBroker | RobinhoodAgent | RobinhoodPrivate
MINUTE_S = 60.0
LONGEST_S = 40 * 24 * 3600.0
FAR_BELOW = Decimal("0.5")
PAID: dict[str, tuple[MoveKind, Decimal]] = {
    "deposit": ("deposit", Decimal("1000.00")),
    "withdrawal": ("withdrawal", Decimal("-500.00")),
    "dividend": ("dividend", Decimal("12.34")),
}


class Moments:
    """Plays the timed part of a broker's faults."""

    def __init__(
        self,
        venue: Venue,
        box: Box,
        floor: TapeFloor,
        clock: SandboxClock,
    ) -> None:
        self._venue, self._box, self._floor, self._clock = venue, box, floor, clock
        self._due = list(venue.faults.moments(LONGEST_S))[::-1]
        self._down_until = self._silent_until = 0

    def step(self) -> None:
        """Let happen what has come due, and end what has lasted long enough."""
        now = self._clock.now()
        passed_s = (now - self._clock.start_ns) / SECOND_NS
        while self._due and self._due[-1][0] <= passed_s and not self._venue.faults.paused:
            self._happen(self._due.pop()[1], now)
        if self._down_until and now >= self._down_until:
            self._down_until = 0
            self._maintenance(False)
        if self._silent_until and now >= self._silent_until and isinstance(self._box, AlpacaBroker):
            self._silent_until = 0
            self._box.updates.silence(False)

    def end(self) -> None:
        """Nothing more happens, and what lasts is over."""
        self._due = []
        self._down_until = min(self._down_until, 1)
        self._silent_until = min(self._silent_until, 1)

    def _happen(self, name: str, now: int) -> None:
        what, _, fault = name.partition(".")
        venue, box = self._venue, self._box
        until = now + int(MINUTE_S * SECOND_NS)
        if what == "stream":
            if not isinstance(box, AlpacaBroker):
                return
            if fault == "cut":
                box.updates.cut()
            else:
                box.updates.silence(True)
                self._silent_until = until
        elif fault == "maintenance":
            self._maintenance(True)
            self._down_until = until
        elif fault == "logout":
            self._log_out()
        elif fault in PAID:
            kind, dollars = PAID[fault]
            venue.move_cash(kind, dollars, self._symbol() if kind == "dividend" else "")
        elif fault == "restrict":
            venue.blocked = "account is restricted from trading"
        elif (symbol := self._symbol()) == "":
            return  # nobody has traded yet: there is nothing to halt, split or take back
        elif fault == "halt":
            self._floor.halt(symbol, MINUTE_S)
        elif fault == "split":
            venue.split(symbol, 2)
        elif fault == "bust":
            venue.bust(next(o.id for o in reversed(venue.orders.values()) if o.executions))
        else:
            self._by_hand(symbol, rests=fault == "hand-order")
        venue.faults.note(what, fault)

    def _symbol(self) -> str:
        """The one that was traded last."""
        return next((order.symbol for order in reversed(self._venue.orders.values()) if order.executions), "")

    def _by_hand(self, symbol: str, *, rests: bool) -> None:
        told = self._venue.price(symbol)
        if told is None:
            return
        limit = (told[0] * FAR_BELOW).quantize(Decimal("0.01")) if rests else None
        order = VenueOrder(
            new_id(), new_id(), symbol, "buy", "limit" if rests else "market", Decimal(1), self._venue.now(), limit,
            by_hand=True,
        )  # fmt: skip
        self._venue.submit(order)

    def _maintenance(self, down: bool) -> None:
        if isinstance(self._box, RobinhoodAgent):
            self._box.maintenance(down)
        else:
            self._box.http.down = down

    def _log_out(self) -> None:
        if isinstance(self._box, RobinhoodAgent):
            self._box.oauth.revoke()
        elif isinstance(self._box, RobinhoodPrivate):
            self._box.token = new_id()
        else:
            self._box.revoked = True
