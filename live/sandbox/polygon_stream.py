"""Polygon's (Massive's) stream: JSON arrays, topics such as `T.AAPL`, one cluster to a path."""

from __future__ import annotations

from typing import Any

import msgspec

from live.sandbox.alpaca_rest import number
from live.sandbox.feed import Print
from live.sandbox.session import Session

MS = 1_000_000
STOCKS = {"trade": "T", "quote": "Q", "second": "A", "bar": "AM", "bands": "LULD"}
CRYPTO = {"trade": "XT", "quote": "XQ", "second": "XAS", "bar": "XA"}
BOOK = "XL2"


class PolygonSession(Session):
    """One client of a cluster: `stocks` or `crypto`."""

    def __init__(self, *everything: Any) -> None:
        super().__init__(*everything)
        self._crypto = self.endpoint.endswith("crypto")
        self._topics = CRYPTO if self._crypto else STOCKS
        self._subscribed: set[str] = set()
        self._totals: dict[str, float] = {}

    async def greet(self) -> None:
        await self._status("connected", "Connected Successfully")

    async def obey(self, message: bytes | str) -> None:
        try:
            told = msgspec.json.decode(message)
            action, params = told["action"], str(told["params"])
        except (msgspec.DecodeError, KeyError, TypeError):
            await self._status("error", "invalid message")
            return
        if action == "auth":
            await self._log_in(params)
        elif not self.ready:
            await self._status("auth_required", "not authenticated")
        elif self.terms.plan != "full":
            await self._status("error", "Your plan doesn't include websocket access.")
        elif action == "subscribe":
            await self._subscribe(params.split(","))
        elif action == "unsubscribe":
            for topic in params.split(","):
                self._subscribed.discard(topic)
                await self._status("success", f"unsubscribed to: {topic}")
        else:
            await self._status("error", f"unknown action: {action}")

    async def late(self) -> None:
        await self._status("auth_timeout", "authentication timed out")
        await self.wire.close(1000)

    async def too_slow(self) -> None:
        await self._status("slow_consumer", "you are consuming too slowly")
        await self.wire.close(1000)

    def item(self, each: Print) -> Any:
        if each.kind == "quote" and self._crypto and self._hears(BOOK, each.symbol):
            return self._book(each)
        topic = self._topics.get(each.kind)
        if topic is None or not self._hears(topic, each.symbol):
            return None
        return self._crypto_item(topic, each) if self._crypto else self._stock_item(topic, each)

    def pack(self, items: list[Any]) -> bytes | str:
        return msgspec.json.encode(items).decode()

    def _stock_item(self, topic: str, each: Print) -> dict[str, Any]:
        values = each.values
        ms = each.at // MS
        if topic == "T":
            told = {"ev": "T", "sym": each.symbol, "x": 15, "i": str(each.ordinal + 1), "z": 3, "p": values[0]}
            return told | {"s": number(values[1]), "c": [], "t": ms, "q": each.ordinal + 1}
        if topic == "Q":
            bid, ask, bid_size, ask_size = values
            told = {"ev": "Q", "sym": each.symbol, "bx": 15, "bp": bid, "bs": number(bid_size), "ax": 15, "ap": ask}
            return told | {"as": number(ask_size), "c": 0, "i": [], "t": ms, "q": each.ordinal + 1, "z": 3}
        if topic == "LULD":
            told = {"ev": "LULD", "T": each.symbol, "h": values[0], "l": values[1], "i": [], "z": 3}
            return told | {"t": each.at // 1_000, "q": each.at // MS}  # the vendor's example is in microseconds
        o, h, low, c, v, n, vw = values
        day = self._totals[each.symbol] = self._totals.get(each.symbol, 0.0) + (v if topic == "AM" else 0.0)
        end = ms + (60_000 if topic == "AM" else 1_000)
        told = {"ev": topic, "sym": each.symbol, "v": number(v), "av": number(day), "op": o, "vw": vw, "o": o, "c": c}
        return told | {"h": h, "l": low, "a": vw, "z": int(v / max(n, 1)), "s": ms, "e": end}

    def _crypto_item(self, topic: str, each: Print) -> dict[str, Any]:
        values = each.values
        ms = each.at // MS
        head = {"ev": topic, "pair": each.symbol}
        if topic == "XT":
            told = {"p": values[0], "s": values[1], "c": [1], "i": str(each.ordinal + 1)}
            return head | told | {"t": ms, "r": ms, "x": 1}
        if topic == "XQ":
            return head | dict(zip(("bp", "ap", "bs", "as"), values, strict=True)) | {"t": ms, "r": ms, "x": 1}
        o, h, low, c, v, n, vw = values
        end = ms + (60_000 if topic == "XA" else 1_000)
        return head | {"o": o, "c": c, "h": h, "l": low, "v": v, "vw": vw, "z": int(v / max(n, 1)), "s": ms, "e": end}

    def _book(self, each: Print) -> dict[str, Any] | None:
        book = self.market.book(each.symbol, each.at)
        if book is None:
            return None
        ms = each.at // MS
        return {"ev": BOOK, "pair": each.symbol, "b": book[1], "a": book[2], "t": ms, "r": ms, "x": 1}

    async def _log_in(self, key: str) -> None:
        if not self.terms.knows(key):
            await self._status("auth_failed", "authentication failed")
            await self.wire.close(1000)
        elif not self.slots.take(self.endpoint, self):
            await self._status("max_connections", "Maximum number of websocket connections exceeded")
            await self.wire.close(1008)
        else:
            await self._status("auth_success", "authenticated")
            self.ready = True

    async def _subscribe(self, topics: list[str]) -> None:
        lost = self.subscription_is_lost()
        for topic in topics:
            name, _, symbol = topic.strip().partition(".")
            known = (*self._topics.values(), BOOK) if self._crypto else tuple(self._topics.values())
            symbols = {each.partition(".")[2] for each in self._subscribed} | {symbol}
            if name not in known or not symbol:
                await self._status("error", f"not authorized or unknown: {topic}")
            elif self.terms.polygon_symbols and len(symbols) > self.terms.polygon_symbols:
                await self._status("error", f"your plan is limited to {self.terms.polygon_symbols} symbols: {topic}")
            else:
                if not lost:
                    self._subscribed.add(topic.strip())
                await self._status("success", f"subscribed to: {topic.strip()}")

    def _hears(self, topic: str, symbol: str) -> bool:
        return f"{topic}.{symbol}" in self._subscribed or f"{topic}.*" in self._subscribed

    async def _status(self, status: str, message: str) -> None:
        await self.wire.send(self.pack([{"ev": "status", "status": status, "message": message}]))
