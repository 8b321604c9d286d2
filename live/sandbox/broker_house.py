"""The sandbox's three brokers over one matching engine and one tape: an account at each of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Exchange, Venue
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.broker_floor import TapeFloor
from live.sandbox.broker_moments import Box, Moments
from live.sandbox.broker_record import record_of
from live.sandbox.clock import SandboxClock
from live.sandbox.market import Market
from live.sandbox.robinhood_mcp import RobinhoodAgent
from live.sandbox.robinhood_private import RobinhoodPrivate
from live.sandbox.robinhood_rest import RobinhoodRest
from live.sandbox.terms import Terms

NAMES = ("alpaca", "robinhood", "robinhood_private")
PACE_S = 0.01


class House:
    """The three brokers.

    Args:
        faults: the plan of each broker's faults; all have the same, each its own luck.
        cash: of each account at the start. stamps: which time orders and fills carry, the tape's or the wall's: the
            one that the client's clock shows.

    venues: the record that judges, by broker.
    """

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        terms: Terms,
        *,
        faults: str = "",
        cash: float = 100_000.0,
        stamps: str = "tape",
        horizon: Callable[[], int],
    ) -> None:
        now = clock.now if stamps == "tape" else time.time_ns
        self._clock, self._terms = clock, terms
        self.floor = TapeFloor(market, clock.now)
        self.exchange = Exchange(self.floor)
        plan, _, seed = faults.partition(";seed=")
        self.venues = {
            name: Venue(
                self.floor.quote,
                now,
                cash=cash,
                shorts=name == "alpaca",
                faults=BrokerFaults(f"{plan};seed={int(seed or 0) * len(NAMES) + i}"),
                exchange=self.exchange,
                fees="day end" if name == "alpaca" else "at once",
            )
            for i, name in enumerate(NAMES)
        }
        self.alpaca = AlpacaBroker(self.venues["alpaca"], terms)
        self.agent = RobinhoodAgent(self.venues["robinhood"], books=lambda symbol: market.book(symbol, horizon()))
        private = self.venues["robinhood_private"]
        token = f"{terms.key}-token"
        rest = RobinhoodRest(market, Terms(key=token, plan=terms.plan), horizon)
        self.private = RobinhoodPrivate(
            private, token=token, quotes=rest.add_to, user=("sandbox", f"{terms.secret}-password")
        )
        boxes: tuple[Box, ...] = (self.alpaca, self.agent, self.private)
        self.moments = [
            Moments(self.venues[name], box, self.floor, clock) for name, box in zip(NAMES, boxes, strict=True)
        ]
        self._pump: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on four ports, from `port` on (0: any), and let orders trade as time goes on."""
        await self.alpaca.start(port)
        await self.agent.start(port + 1 if port else 0)
        await self.private.start(port + 3 if port else 0)
        self._pump = asyncio.create_task(self._trade())

    async def stop(self) -> None:
        """Close every door."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        await self.alpaca.stop()
        await self.agent.stop()
        await self.private.stop()

    def close(self) -> None:
        """The market shuts for good, and everything works: what happened so far can be learnt."""
        self.floor.shut = True
        for moments in self.moments:
            moments.end()
        for venue in self.venues.values():
            venue.faults.paused = True
            venue.bill()

    def environment(self) -> dict[str, str]:
        """The variables that lead a client of each broker here."""
        return {
            "APCA_API_BASE_URL": self.alpaca.http_url,
            "ROBINHOOD_MCP_URL": self.agent.url,
            "ROBINHOOD_API_URL": self.private.http_url,
            "RH_USERNAME": "sandbox",
            "RH_PASSWORD": f"{self._terms.secret}-password",
        }

    def record(self) -> dict[str, Any]:
        """The brokers' own word on everything that happened."""
        return {name: record_of(venue) for name, venue in self.venues.items()}

    async def _trade(self) -> None:
        while True:
            for moments in self.moments:
                moments.step()
            self.exchange.step(asked=False)
            await asyncio.sleep(PACE_S)
