"""Alpaca's market-data stream: msgpack or JSON, as the client's upgrade asks for."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from data.events import Level
from live.sandbox.alpaca_rest import ROUND_LOT, levels, number, quote_fields, stamp
from live.sandbox.feed import Print
from live.sandbox.session import Session

CHANNELS = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
    "orderbooks",
)
OF_KIND = {
    "trade": "trades",
    "quote": "quotes",
    "bar": "bars",
    "updated": "updatedBars",
    "day": "dailyBars",
    "status": "statuses",
    "bands": "lulds",
}
LETTER = {"bar": "b", "updated": "u", "day": "d"}
COUNTED = ("trades", "quotes")
NS = 1_000_000_000
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}


class AlpacaSession(Session):
    """One client of `v2/{feed}` or `v1beta3/crypto/us`."""

    def __init__(self, *everything: Any) -> None:
        super().__init__(*everything)
        request = self.wire.request
        told = request.headers.get("Content-Type", "") if request is not None else ""
        self._binary = "msgpack" in told
        self._crypto = "crypto" in self.endpoint
        self._lot = 1 if self._crypto else ROUND_LOT
        self._subscribed: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
        self._books: dict[str, tuple[dict[float, float], dict[float, float]]] = {}

    async def greet(self) -> None:
        await self._say({"T": "success", "msg": "connected"})

    async def obey(self, message: bytes | str) -> None:
        told = _decoded(message)
        action = told.get("action")
        if action == "auth":
            await self._log_in(told)
        elif not self.ready:
            await self._refuse(401)
        elif action in ("subscribe", "unsubscribe"):
            await self._subscribe(told, adding=action == "subscribe")
        else:
            await self._refuse(400)

    async def late(self) -> None:
        await self._refuse(404, close=True)

    async def too_slow(self) -> None:
        await self._refuse(407, close=True)

    def item(self, each: Print) -> Any:
        if each.kind == "quote" and (book := self._book(each)) is not None:
            return book
        channel = OF_KIND.get(each.kind)
        if channel is None or not ({each.symbol, "*"} & self._subscribed[channel]):
            return None
        values = each.values
        if each.kind == "trade":
            price, size = values
            told = {"T": "t", "S": each.symbol, "i": each.ordinal + 1, "x": "V", "p": price, "s": number(size)}
            told |= {"tks": "B"} if self._crypto else {"c": ["@"], "z": "C"}
            return told | {"t": self._time(each.at)}
        if each.kind == "quote":
            bid, ask, bid_size, ask_size = values
            told = quote_fields(bid, ask, bid_size, ask_size, self._lot)
            return {"T": "q", "S": each.symbol, **told, "t": self._time(each.at)}
        if each.kind in LETTER:
            o, h, low, c, v, n, vw = values
            told = {"T": LETTER[each.kind], "S": each.symbol, "o": o, "h": h, "l": low, "c": c, "v": number(v)}
            return told | {"n": int(n), "vw": vw, "t": self._time(each.at)}
        if each.kind == "status":
            halted = values[0] == 0.0
            words = ("H", "Trading Halt", "T1", "News Pending") if halted else ("T", "Trading Resumption", "", "")
            told = {"T": "s", "S": each.symbol, **dict(zip(("sc", "sm", "rc", "rm"), words, strict=True))}
            return told | {"t": self._time(each.at), "z": "C"}
        up, down = values
        return {"T": "l", "S": each.symbol, "u": up, "d": down, "i": "B", "t": self._time(each.at), "z": "C"}

    def pack(self, items: list[Any]) -> bytes | str:
        return msgspec.msgpack.encode(items) if self._binary else msgspec.json.encode(items).decode()

    async def _log_in(self, told: dict[str, Any]) -> None:
        if self.ready:
            await self._refuse(403)
        elif not self.terms.knows(str(told.get("key", "")), str(told.get("secret", ""))):
            await self._refuse(402, close=True)
        elif not self.slots.take(self.endpoint, self):
            await self._refuse(406, close=True)
        else:
            await self._say({"T": "success", "msg": "authenticated"})
            self.ready = True

    async def _subscribe(self, told: dict[str, Any], *, adding: bool) -> None:
        asked = {name: set(symbols or ()) for name, symbols in told.items() if name != "action"}
        if not asked or not set(asked) <= set(CHANNELS):
            await self._refuse(400 if not asked else 410)
            return
        if self.terms.plan != "full" and self.endpoint.endswith("/sip"):
            await self._refuse(409)
            return
        wanted = {
            name: (have | asked.get(name, set())) if adding else (have - asked.get(name, set()))
            for name, have in self._subscribed.items()
        }
        if self.terms.alpaca_symbols and sum(len(wanted[name]) for name in COUNTED) > self.terms.alpaca_symbols:
            await self._refuse(405)
            return
        if adding and "trades" in asked:
            wanted["corrections"] = wanted["cancelErrors"] = set(wanted["trades"])
        shown = {name: sorted(symbols) for name, symbols in wanted.items() if name != "orderbooks" or self._crypto}
        if not self.subscription_is_lost():
            self._subscribed = wanted
        self._books.clear()
        await self._say({"T": "subscription", **shown})

    def _book(self, each: Print) -> dict[str, Any] | None:
        """The changed levels since the last book of this symbol; the first is whole."""
        if not ({each.symbol, "*"} & self._subscribed["orderbooks"]):
            return None
        book = self.market.book(each.symbol, each.at)
        if book is None:
            return None
        now = dict(book[1]), dict(book[2])
        before = self._books.get(each.symbol)
        self._books[each.symbol] = now
        told: dict[str, Any] = {"T": "o", "S": each.symbol, "t": self._time(each.at)}
        if before is None:
            return told | {"b": levels(book[1]), "a": levels(book[2]), "r": True}
        return told | {"b": _changes(before[0], now[0]), "a": _changes(before[1], now[1])}

    async def _say(self, told: dict[str, Any]) -> None:
        await self.wire.send(self.pack([told]))

    async def _refuse(self, code: int, *, close: bool = False) -> None:
        await self._say({"T": "error", "code": code, "msg": ERRORS[code]})
        if close:
            await self.wire.close(1000)

    def _time(self, ts: int) -> Any:
        return timestamp(ts) if self._binary else stamp(ts)


def timestamp(ts: int) -> msgspec.msgpack.Ext:
    """msgpack's own timestamp type, with nanoseconds."""
    return msgspec.msgpack.Ext(-1, struct.pack(">Q", ts % NS << 34 | ts // NS))


def _changes(before: dict[float, float], now: dict[float, float]) -> list[dict[str, float]]:
    changed: list[Level] = [(price, size) for price, size in now.items() if before.get(price) != size]
    return levels((*changed, *((price, 0) for price in before if price not in now)))


def _decoded(message: bytes | str) -> dict[str, Any]:
    try:
        told = msgspec.msgpack.decode(message) if isinstance(message, bytes) else msgspec.json.decode(message)
    except msgspec.DecodeError:
        return {}
    return told if isinstance(told, dict) else {}
