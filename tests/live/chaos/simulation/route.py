"""The dialect of the toy exchange for `live.brokers.wire_desk.Desk`, over a network that fails in every known way."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from data.errors import AuthError, UnavailableError
from live.brokers.alpaca import CAPABILITIES as ALPACA
from live.brokers.base import Books, Capabilities
from live.brokers.robinhood import CAPABILITIES as ROBINHOOD
from live.brokers.robinhood_private import CAPABILITIES as PRIVATE
from live.brokers.wire import Busy, Duplicate, Lost, NotSent, Refused, TooLate
from live.brokers.wire_orders import Done, Seen, Ticket

from .clock import SECOND, Timeline
from .faults import Weather
from .venue import ENDED, Body, Execution, No, Order, Venue

DIALECTS: dict[str, Capabilities] = {
    "alpaca": ALPACA,
    "robinhood": ROBINHOOD,
    "private": PRIVATE,
    "returning": msgspec.structs.replace(ALPACA, dedupes="returns first", busy_is_refusal=False),
    "forgetful": msgspec.structs.replace(ROBINHOOD, key_window_s=30.0),
}
"""The sheets of the real brokers, one that answers a known key with its order, and one that soon forgets a key: behind
its window the same `ref_id` is another order."""
CANARY = "canary-7f3e-token-that-must-stay-here"


class Network:
    """What one machine's requests go through: it outlives a process, as its faults do."""

    def __init__(
        self, timeline: Timeline, venue: Venue, weather: Weather, chance: random.Random, capabilities: Capabilities
    ) -> None:
        self.timeline, self.venue, self.weather, self.chance = timeline, venue, weather, chance
        self.capabilities = capabilities
        self.durable: Callable[[str], bool] = lambda _key: True
        self.met: Callable[[str, Sequence[Ticket]], None] = lambda _fault, _tickets: None
        self.point: Callable[[str], None] = lambda _name: None
        self.elapse: Callable[[int], None] = timeline.advance
        self.life = 0
        self.maintenance_until = 0
        self.no_token_until = 0
        self.closed: list[tuple[int, int, int]] = []
        self.stream_down_until = 0
        self.missed_news = False
        self.news: list[tuple[int, Seen]] = []
        if capabilities.order_stream:
            venue.listeners.append(self._hear)

    def _hear(self, order: Order, done: Execution | None) -> None:
        """News of an order goes out, comes later, twice, or gets lost with the stream."""
        if order.by_hand:
            return
        now = self.timeline.now
        if self.weather.strikes("F14", 0.5):
            self.venue.met("F14", order)
            self.stream_down_until = now + self.chance.choice([1, 5, 20]) * SECOND
        if now < self.stream_down_until:
            self.missed_news = True
            return
        told = seen(order, sums=True, last=done)
        self.news.append((now + int(self.chance.uniform(0.0, 1.0) * SECOND), told))
        if self.weather.strikes("F14"):
            self.venue.met("F14", order)
            self.news.append((now + int(self.chance.uniform(0.0, 9.0) * SECOND), told))

    def ask(self, kind: str, tickets: Sequence[Ticket], act: Callable[[], Any]) -> Any:
        """One request: it leaves, arrives, is acted on, and its answer comes back; or something goes wrong.

        Raises:
            WireError, AuthError: what a client would know of it.
        """
        weather, chance, timeline = self.weather, self.chance, self.timeline
        scale = 1.0 if kind == "place" else 0.5
        fault = weather.request(scale)
        if weather.strikes("F33", 0.05):
            self.maintenance_until = timeline.now + chance.choice([5, 30]) * SECOND
        if timeline.now < self.maintenance_until and not weather.calm:
            fault = "F33"
        if fault == "F13":
            self.no_token_until = timeline.now + chance.choice([1, 20]) * SECOND
        if timeline.now < self.no_token_until and not weather.calm:
            fault = "F13"
        if fault:
            self.met(fault, tickets)
        if fault == "F05":
            raise NotSent("no connection (simulated)")
        life, left = self.life, timeline.now
        self.point(f"{kind} leaves")
        try:
            self._takes(0.01, 0.2)
        except BaseException:  # the process is gone, and what it had sent is on its way, or is not
            if chance.random() < 0.5:
                self.venue.requests.append((timeline.now, left, kind, life))
                self._quietly(act)
            raise
        self.venue.requests.append((timeline.now, left, kind, life))
        self.point(f"{kind} arrives")
        answer = self._acted(fault, act, life) if fault else act()
        self._takes(0.01, 0.2)
        self.point(f"{kind} answered")
        return answer

    def _takes(self, least: float, most: float) -> None:
        """So many seconds of a request go by, in which the world and the rest of the process go on."""
        self.elapse(self.timeline.now + int(self.chance.uniform(least, most) * SECOND))

    def _acted(self, fault: str, act: Callable[[], Any], life: int) -> Any:
        chance, timeline = self.chance, self.timeline
        if fault == "F07":
            answer = act()
            self._takes(2.0, 9.5)
            return answer
        if fault == "F13":
            raise AuthError("the login has expired")
        if fault == "F33":
            raise Lost("HTTP 503, maintenance", status=503)
        if fault == "F08":
            if not self.capabilities.busy_is_refusal and chance.random() < 0.3:
                self._quietly(act)
            wait = chance.choice([None, 1.0, 7.0, 20.0])
            if wait is not None:
                self.closed.append((timeline.now, timeline.now + int(wait * SECOND), life))
            raise Busy("HTTP 429, too many requests", wait)
        if fault == "F10":
            arrives = chance.choice(["at once", "later", "never"])
            if arrives == "at once":
                self._quietly(act)
            elif arrives == "later":
                timeline.after(chance.uniform(0.5, 11.0), lambda: self._quietly(act))
            self._takes(10.0, 10.0)
            raise Lost("no whole answer (TimeoutError)")
        if fault == "F12" and chance.random() < 0.3:
            raise Refused("HTTP 200, and in it: the order was not taken")
        if fault in ("F09", "F12") and chance.random() < 0.5:
            raise Lost(f"{fault} before it was done", status=500 if fault == "F09" else 0)
        act()
        if fault == "F09":
            raise Lost("HTTP 502", status=502)
        raise Lost({"F06": "no whole answer", "F11": "an answer that is not JSON"}.get(fault, "no body"))

    def _quietly(self, act: Callable[[], Any]) -> None:
        """Done at the venue, told to nobody."""
        with contextlib.suppress(Refused, Duplicate, TooLate, Lost):
            act()


class Toy:
    """One process's connection (`live.brokers.wire_route.Route`)."""

    place_requests = 1

    def __init__(self, network: Network) -> None:
        self.capabilities = network.capabilities
        self._network = network
        self._token = CANARY
        self._stale: list[Order] | None = None

    def open(self) -> None:
        """Connect; old news is gone with the old connection."""
        self._network.news.clear()
        self._network.missed_news = True
        try:
            self._network.ask("open", (), lambda: None)
        except (NotSent, Lost, Busy, Refused) as error:
            raise UnavailableError(f"the toy exchange did not answer ({error})") from None

    def close(self) -> None:
        """Disconnect."""

    def place(self, ticket: Ticket) -> Seen:
        """Send the order under its key."""
        command, network = ticket.command, self._network
        stop = getattr(command, "stop", float("nan"))
        target = getattr(command, "target", float("nan"))
        body = Body(
            command.symbol, command.side, ticket.quantity, ticket.kind, ticket.limit, stop, target, ticket.exits
        )
        key, life, left, durable = ticket.key, network.life, network.timeline.now, network.durable(ticket.order_id)

        def act() -> Order:
            try:
                return network.venue.submit(key, body, left=left, durable=durable, life=life)
            except No as no:
                if no.why == "duplicate":
                    raise Duplicate("an order of this key is there") from None
                network.met("F22", [ticket])
                raise Refused(str(no)) from None

        order = network.ask("place", [ticket], act)
        return seen(order, sums=self.capabilities.order_stream, status="pending" if not order.executions else None)

    def cancel(self, ticket: Ticket) -> None:
        """Ask for a cancel."""
        network = self._network

        venue_id = ticket.venue_id

        def act() -> None:
            if network.weather.strikes("F23"):
                network.met("F23", [ticket])
                if network.chance.random() < 0.5:
                    raise Lost("the cancel got lost")
                network.venue.cancel(venue_id)
            if late := network.venue.cancel(venue_id):
                raise TooLate(late)

        network.ask("cancel", [ticket], act)

    def look(self, tickets: Sequence[Ticket]) -> dict[str, Seen]:
        """Those of these orders that the venue shows."""
        network = self._network

        def act() -> dict[str, Seen]:
            now = network.timeline.now
            sums = self.capabilities.order_stream
            if network.weather.strikes("F06", 0.5):  # an old copy of the list, older than the broker promises
                now -= int(network.chance.uniform(0.0, 20.0) * SECOND)
            return {
                order.key: seen(order, sums=sums, lag=network.weather.strikes("F21", 0.5))
                for order in network.venue.orders
                if order.visible <= now and not order.by_hand
            }

        shown: dict[str, Seen] = network.ask("look", tickets, act)
        return {ticket.key: shown[ticket.key] for ticket in tickets if ticket.key in shown}

    def pushed(self) -> list[Seen]:
        """What the stream has told since."""
        network = self._network
        now = network.timeline.now
        due = [told for ts, told in network.news if ts <= now]
        network.news = [each for each in network.news if each[0] > now]
        return due

    def stream_was_down(self) -> bool:
        """True once after news was missed."""
        network = self._network
        if network.timeline.now < network.stream_down_until:
            return False
        missed, network.missed_news = network.missed_news, False
        return missed

    def deaf(self) -> str:
        """Why the stream does not tell of orders."""
        return "the stream is away" if self._network.timeline.now < self._network.stream_down_until else ""

    def books(self) -> Books:
        """Positions, cash, and open orders."""
        network = self._network

        def act() -> Books:
            venue, now = network.venue, network.timeline.now
            alive = [o.key for o in venue.orders if o.status not in ENDED and o.visible <= now]
            worth = sum(shares * venue.market.mid(symbol, now) for symbol, shares in venue.positions.items())
            return Books(
                dict(venue.positions), venue.cash, alive, equity=venue.cash + worth, settled_cash=venue.cash,
                day_trades=0, good_faith_violations=0, day_trade_regime="off",
            )  # fmt: skip

        try:
            told: Books = network.ask("books", (), act)
        except (NotSent, Lost, Busy, Refused, AuthError) as error:
            raise UnavailableError(f"the toy exchange's books are not to be had ({error})") from None
        return told


def seen(
    order: Order, *, sums: bool, last: Execution | None = None, status: str | None = None, lag: bool = False
) -> Seen:
    """The order in the words of `live.brokers.wire_orders`. sums: no list of executions. lag: its last is missing."""
    told = [Done(each.id, each.quantity, each.price, leg=each.leg) for each in order.executions]
    filled = order.filled
    paid = sum(each.quantity * each.price for each in order.executions)
    leg = next((each.leg for each in order.executions if each.leg), "")
    newest = Done(last.id, last.quantity, last.price, leg=last.leg) if last is not None else None
    if newest is None and leg:
        newest = Done("", 0.0, 0.0, leg=leg)
    return Seen(
        venue_id=order.id,
        key=order.key,
        symbol=order.body.symbol,
        side="buy" if order.body.side == "buy" else "sell",
        kind=order.body.kind,
        quantity=order.body.quantity,
        status=status or order.status,  # type: ignore[arg-type]
        filled=filled,
        average=paid / filled if filled else 0.0,
        created_ns=order.created,
        done=None if sums else tuple(told[:-1] if lag else told),
        last=newest,
        reason="the venue rejects it" if order.status == "rejected" else "",
    )
