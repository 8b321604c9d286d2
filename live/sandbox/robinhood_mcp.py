"""Robinhood's agentic trading server on loopback: MCP over streamable HTTP, its tools, errors and quirks.

    with RobinhoodAgent(venue) as agent: ... agent.url

Written against what was publicly seen of the vendor's; the `mcp` SDK runs against it unmodified.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import msgspec

from live.sandbox.broker_engine import Kind, Refusal, Side, Venue, VenueOrder, new_id
from live.sandbox.broker_http import BrokerServer, failure
from live.sandbox.http import Request, Response, Routes, answer
from live.sandbox.robinhood_market import BookOf, MarketTools
from live.sandbox.robinhood_oauth import RESOURCE, Authorization
from live.sandbox.robinhood_tools import SCHEMAS, misfit, order_row, position_rows

PROTOCOL = "2025-06-18"
PAGE = 4
ORDERS_A_PAGE = 25
KINDS = {"market": "market", "limit": "limit", "stop_market": "stop", "stop_limit": "stop_limit"}
ERRORS = {
    "duplicate": (409, {"detail": "Reference ID must be unique."}),
    "cash": (400, {"detail": "Not enough buying power."}),
    "shares": (400, {"detail": "Not enough shares to sell."}),
    "late": (403, {"detail": "Order cannot be cancelled at this time."}),
    "unknown": (404, {"detail": "Not found."}),
    "shape": (400, {"detail": "Invalid order."}),
    "blocked": (403, {"detail": "This account is restricted."}),
}


class RobinhoodAgent:
    """One customer with an agentic account and another one that is only readable.

    echo: orders carry their `ref_id`, as since October; without it they must be known by what they are.
    sse: answers come as server-sent events. opaque: page cursors are values, not addresses. schemas: the tools listed.
    books: the price book of a symbol now; without it one is made around the quote.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        number: str = "900000123",
        echo: bool = True,
        sse: bool = False,
        opaque: bool = True,
        books: BookOf | None = None,
    ) -> None:
        self.venue, self.number = venue, number
        self.echo, self.sse, self.opaque = echo, sse, opaque
        self.schemas = {name: dict(schema) for name, schema in SCHEMAS.items()}
        self.agentic = [number]
        self.url = self.origin = self.api = ""
        self.calls: list[str] = []
        self.told = MarketTools(venue, books)
        self.oauth = Authorization(lambda: self.origin, lambda: self.api)
        routes = Routes()
        self.oauth.add_to(routes)
        routes.add("POST", RESOURCE, self._post)
        for method in ("GET", "DELETE"):
            routes.add(method, RESOURCE, lambda _request: answer({"detail": "Method not allowed."}, 405))
        self._servers = [BrokerServer(routes, venue.faults, _operation) for _ in range(2)]
        for server in self._servers:
            server.broken = self._broken
        self._tools: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "get_accounts": self._accounts,
            "get_portfolio": self._portfolio,
            "get_equity_positions": lambda _: {"positions": position_rows(venue)},
            "get_equity_quotes": self.told.quotes,
            "get_equity_price_book": self.told.books,
            "get_equity_tradability": self.told.tradability,
            "review_equity_order": self._review,
            "place_equity_order": self._place,
            "get_equity_orders": self._orders,
            "cancel_equity_order": self._cancel,
            "get_watchlists": lambda _: {"watchlists": []},
        }

    async def start(self, port: int = 0) -> None:
        """Listen on two ports of loopback: the tools, and the authorization (0: any; else `port` and the next)."""
        asked = (port, port + 1 if port else 0)
        ports = [await server.start("127.0.0.1", at) for server, at in zip(self._servers, asked, strict=True)]
        self.origin, self.api = (f"http://127.0.0.1:{port}" for port in ports)
        self.url = self.origin + RESOURCE

    async def stop(self) -> None:
        """Close both."""
        for server in self._servers:
            await server.stop()

    # --- the protocol -----------------------------------------------------------------------------------------------

    def _post(self, request: Request) -> Response:
        if not self.oauth.knows(request):
            return self.oauth.challenge()
        told = request.json()
        if not isinstance(told, dict) or "method" not in told:
            return answer({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}, 400)
        if "id" not in told:
            return Response(202, b"")
        method, asked = told["method"], told.get("params") or {}
        if method == "initialize":
            info = {"name": "robinhood-trading-sandbox", "version": "1"}
            session = {"Mcp-Session-Id": uuid.uuid4().hex}
            result = {"protocolVersion": PROTOCOL, "capabilities": {"tools": {}}, "serverInfo": info}
            return self._wire(told["id"], {"result": result}, session)
        if method == "tools/list":
            return self._wire(told["id"], {"result": self._list(asked)})
        if method == "tools/call":
            return self._wire(told["id"], {"result": self._call(asked)})
        if method == "ping":
            return self._wire(told["id"], {"result": {}})
        return self._wire(told["id"], {"error": {"code": -32601, "message": f"unknown method {method}"}})

    def _wire(self, number: Any, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
        text = msgspec.json.encode({"jsonrpc": "2.0", "id": number, **body})
        if not self.sse:
            return Response(200, text, headers or {})
        return Response(
            200, b"event: message\ndata: " + text + b"\n\n", {"Content-Type": "text/event-stream", **(headers or {})}
        )

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("cursor") or 0)
        names = list(self.schemas)
        tools = [
            {"name": name, "description": f"{name} of the sandbox", "inputSchema": self.schemas[name]}
            for name in names[start : start + PAGE]
        ]
        return {"tools": tools, **({"nextCursor": str(start + PAGE)} if start + PAGE < len(names) else {})}

    def _call(self, asked: dict[str, Any]) -> dict[str, Any]:
        name, arguments = asked.get("name", ""), asked.get("arguments") or {}
        self.calls.append(name)
        if name not in self.schemas or name not in self._tools:
            return _error("the tool you requested cannot be found or does not exist")
        if text := misfit(name, arguments):
            return _error(f"invalid arguments: {text}")
        number = arguments.get("account_number", self.number)
        trades = name in ("review_equity_order", "place_equity_order", "cancel_equity_order")
        if trades and number not in self.agentic:
            return _error("API error 403: FORBIDDEN: agent not authorized to access this account", "unauthorized")
        self.venue.step()
        try:
            data = self._tools[name](arguments)
        except Refusal as no:
            if no.why == "symbol":
                return _api_error(404, {"missing_instruments": [arguments.get("symbol") or str(no)]})
            return _api_error(*ERRORS[no.why])
        except (InvalidOperation, ValueError) as error:
            return _error(f"invalid value: {error}")
        text = msgspec.json.encode({"data": data, "guide": "Text for a model; a program ignores it."}).decode()
        return {"content": [{"type": "text", "text": text}], "isError": False}

    def maintenance(self, down: bool) -> None:
        """Answer nothing but 503 for as long as it is down."""
        for server in self._servers:
            server.down = down

    def _broken(self, fault: str) -> Response:
        if fault == "401":
            self.oauth.expire()
            return self.oauth.challenge()
        return failure(fault)

    # --- the tools --------------------------------------------------------------------------------------------------

    def _accounts(self, _asked: dict[str, Any]) -> dict[str, Any]:
        numbers = ["100000001", *sorted({self.number, *self.agentic})]
        return {
            "accounts": [
                {
                    "account_number": number,
                    "rhs_account_number": number,
                    "type": "limited_margin",
                    "brokerage_account_type": "individual",
                    "is_default": number == numbers[0],
                    "agentic_allowed": number in self.agentic,
                    "state": "active",
                    "deactivated": False,
                    "permanently_deactivated": False,
                }
                for number in numbers
            ]
        }

    def _portfolio(self, _asked: dict[str, Any]) -> dict[str, Any]:
        held = f"{self.venue.buying_power:.4f}"
        power = {"buying_power": held, "unleveraged_buying_power": held, "display_currency": "USD"}
        return {"cash": f"{self.venue.cash:.8f}", "currency": "USD", "buying_power": power}

    def _order(self, asked: dict[str, Any]) -> VenueOrder:
        if asked["type"] not in KINDS or asked["side"] not in ("buy", "sell") or "quantity" not in asked:
            raise Refusal("shape")
        hours = asked.get("market_hours", "regular_hours")
        if hours != "regular_hours" and asked["type"] != "limit":
            raise Refusal("shape")
        return VenueOrder(
            new_id(), asked.get("ref_id", ""), asked["symbol"], cast("Side", asked["side"]),
            cast("Kind", KINDS[asked["type"]]), Decimal(asked["quantity"]), self.venue.now(),
            _price(asked, "limit_price"), _price(asked, "stop_price"), asked.get("time_in_force", "gfd"), hours,
        )  # fmt: skip

    def _review(self, asked: dict[str, Any]) -> dict[str, Any]:
        checks: dict[str, Any] = {}
        try:
            self.venue.check(self._order(asked))
        except Refusal as no:
            alerts = {"cash": "EQUITY_NOT_ENOUGH_BP", "shares": "EQUITY_MAX_SELL_SHARES_EXCEEDED"}
            if no.why not in alerts:
                raise
            checks = {"alertType": alerts[no.why]}
        echo: dict[str, Any] = {name: asked[name] for name in ("symbol", "side", "type", "quantity") if name in asked}
        return {**echo, "order_checks": checks, "quote_data": {}, "market_data_disclosure": ""}

    def _place(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"order": order_row(self.venue.submit(self._order(asked)), self.echo)}

    def _orders(self, asked: dict[str, Any]) -> dict[str, Any]:
        since = asked.get("created_at_gte")
        begin = dt.datetime.fromisoformat(since).timestamp() * 1e9 if since else 0.0
        rows = [
            order
            for order in sorted(self.venue.orders.values(), key=lambda order: -order.created)
            if asked.get("order_id") in (None, order.id)
            and asked.get("symbol") in (None, order.symbol)
            and order.created >= begin - 1_000
        ]
        cursor = asked.get("cursor") or "0"
        found = re.search(r"cursor=(\d+)", cursor)
        start = int(found[1] if found else cursor)
        page: dict[str, Any] = {"orders": [order_row(each, self.echo) for each in rows[start : start + ORDERS_A_PAGE]]}
        if start + ORDERS_A_PAGE < len(rows):
            after = str(start + ORDERS_A_PAGE)
            page["next"] = after if self.opaque else f"https://api.robinhood.com/orders/?cursor={after}"
        return page

    def _cancel(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.venue.cancel(asked["order_id"])
        return {"accepted": True}


def _error(text: str, category: str = "invalid_request") -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": True, "_meta": {"rh_error_category": category}}


def _api_error(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return _error(f"API error {status}: {msgspec.json.encode(body).decode()}")


def _price(asked: dict[str, Any], name: str) -> Decimal | None:
    return Decimal(asked[name]) if name in asked else None


def _operation(request: Request) -> str:
    if request.path == "/oauth2/token/":
        return "token"
    told = request.json() if request.path == RESOURCE and request.method == "POST" else None
    if not isinstance(told, dict) or told.get("method") != "tools/call":
        return ""
    name = (told.get("params") or {}).get("name", "")
    return {"place_equity_order": "place", "cancel_equity_order": "cancel", "review_equity_order": "review"}.get(
        name, "look"
    )
