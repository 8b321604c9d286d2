"""Alpaca's trading side on loopback: orders, positions and account over REST, `trade_updates` over a websocket."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from live.sandbox.broker_alpaca_stream import TradeUpdates
from live.sandbox.broker_engine import Kind, Refusal, Side, Venue, VenueOrder, new_id
from live.sandbox.broker_http import BrokerServer
from live.sandbox.broker_orders import CashMove
from live.sandbox.http import Request, Response, Routes, answer
from live.sandbox.terms import Terms

STREAM = "/stream"
MOST = 500
STATUS = {"new": "accepted", "working": "new", "partial": "partially_filled", "cancelling": "pending_cancel"}
STATUS |= {"cancelled": "canceled"}
REFUSALS = {
    "duplicate": (422, 40010001, "client_order_id must be unique"),
    "cash": (403, 40310000, "insufficient buying power"),
    "shares": (403, 40310000, "insufficient qty available for order"),
    "symbol": (422, 42210000, "asset not found"),
    "shape": (422, 42210000, "invalid order"),
    "late": (422, 42210000, "order is already in a final state"),
    "unknown": (404, 40410000, "order not found"),
    "blocked": (403, 40310000, "account is restricted from trading"),
}


class AlpacaBroker:
    """A paper account. `http_url` and `ws_url` are known once it has started; `venue` is the record that judges.

    revoked: the key is no longer good.
    """

    def __init__(self, venue: Venue, terms: Terms | None = None, number: str = "PA3SANDBOX01") -> None:
        self.venue = venue
        self.number = number
        self.http_url = self.ws_url = ""
        self.revoked = False
        self._terms = terms or Terms()
        routes = Routes()
        routes.add("POST", "/v2/orders", self._guarded(self._place))
        routes.add("GET", "/v2/orders", self._guarded(self._list))
        routes.add("GET", "/v2/orders:by_client_order_id", self._guarded(self._by_key))
        routes.add("GET", "/v2/orders/{order_id}", self._guarded(self._get))
        routes.add("DELETE", "/v2/orders/{order_id}", self._guarded(self._cancel))
        routes.add("GET", "/v2/positions", self._guarded(self._positions))
        routes.add("GET", "/v2/account", self._guarded(self._account))
        routes.add("GET", "/v2/account/activities", self._guarded(self._activities))
        self.http = BrokerServer(routes, venue.faults, _operation)
        self.updates = TradeUpdates(venue, self._terms, order_body)

    async def start(self, port: int = 0) -> None:
        """Listen on a port of loopback, for REST and for the stream of updates, as the vendor has both on one host."""
        self.http.socket = (STREAM, await self.updates.start())
        port = await self.http.start("127.0.0.1", port)
        self.http_url, self.ws_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}{STREAM}"

    async def stop(self) -> None:
        """Close it."""
        await self.http.stop()  # before what its tunnels lead to
        await self.updates.stop()

    def _guarded(self, handler: Any) -> Any:
        def handle(request: Request, **parts: str) -> Response:
            key = request.headers.get("apca-api-key-id", "")
            if self.revoked or not self._terms.knows(key, request.headers.get("apca-api-secret-key", "")):
                return answer({"code": 40110000, "message": "request is not authorized"}, 401)
            self.venue.step()
            try:
                return cast("Response", handler(request, **parts))
            except Refusal as no:
                status, code, text = REFUSALS[no.why]
                return answer({"code": code, "message": text}, status)

        return handle

    def _place(self, request: Request) -> Response:
        asked = request.json()
        try:
            order, partner = self._order(asked)
        except (InvalidOperation, KeyError, TypeError, ValueError) as error:
            return answer({"code": 40010001, "message": f"{error} is invalid"}, 422)
        return answer(order_body(self.venue.submit(order, partner), self.venue))

    def _order(self, asked: dict[str, Any]) -> tuple[VenueOrder, VenueOrder | None]:
        kind, side = asked["type"], asked["side"]
        if kind not in ("market", "limit", "stop", "stop_limit") or side not in ("buy", "sell"):
            raise ValueError(kind)
        order = VenueOrder(
            new_id(), asked.get("client_order_id") or str(uuid.uuid4()), asked["symbol"], cast("Side", side),
            cast("Kind", kind), Decimal(str(asked["qty"])), self.venue.now(), _price(asked, "limit_price"),
            _price(asked, "stop_price"), asked["time_in_force"],
        )  # fmt: skip
        if asked.get("order_class") != "oco":
            return order, None
        order.kind, order.limit = "limit", _price(asked["take_profit"], "limit_price")
        return order, VenueOrder(
            new_id(), str(uuid.uuid4()), order.symbol, order.side, "stop", order.quantity, order.created,
            stop=_price(asked["stop_loss"], "stop_price"), life=order.life,
        )  # fmt: skip

    def _list(self, request: Request) -> Response:
        wanted, limit = request.query.get("status", "open"), min(int(request.query.get("limit", 50)), MOST)
        after = request.query.get("after", "")
        since = int(dt.datetime.fromisoformat(after).timestamp() * 1e9) if after else 0
        rows = [
            order
            for order in self.venue.orders.values()
            if not order.parent
            and order.created > since
            and (wanted == "all" or (self._alive(order)) == (wanted == "open"))
        ]
        rows.sort(key=lambda order: order.created, reverse=request.query.get("direction", "desc") == "desc")
        return answer([order_body(order, self.venue) for order in rows[:limit]])

    def _alive(self, order: VenueOrder) -> bool:
        return order.is_open or (bool(order.pair) and self.venue.orders[order.pair].is_open)

    def _get(self, _request: Request, order_id: str) -> Response:
        if order_id not in self.venue.orders:
            raise Refusal("unknown")
        return answer(order_body(self.venue.orders[order_id], self.venue))

    def _by_key(self, request: Request) -> Response:
        order = self.venue.by_key(request.query.get("client_order_id", ""))
        if order is None:
            raise Refusal("unknown")
        return answer(order_body(order, self.venue))

    def _cancel(self, _request: Request, order_id: str) -> Response:
        self.venue.cancel(order_id)
        return Response(204, b"")

    def _positions(self, _request: Request) -> Response:
        rows = []
        for symbol, held in sorted(self.venue.positions.items()):
            price = self._mark(symbol)
            rows.append(
                {
                    "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)),
                    "symbol": symbol,
                    "exchange": "NASDAQ",
                    "asset_class": "us_equity",
                    "avg_entry_price": str(price),
                    "qty": f"{held.normalize():f}",
                    "qty_available": str(held - self.venue.held_for_sells(symbol)),
                    "side": "long" if held > 0 else "short",
                    "market_value": str(held * price),
                    "cost_basis": str(held * price),
                    "current_price": str(price),
                }
            )
        return answer(rows)

    def _activities(self, request: Request) -> Response:
        """What moved cash without a trade, the newest first, a page at a time."""
        query = request.query
        if query.get("category", "non_trade_activity") != "non_trade_activity":
            return answer([])
        rows = [_activity(move) for move in reversed(self.venue.moves)]
        rows = [row for row in rows if row["date"] > query.get("after", "")[:10]]
        if token := query.get("page_token"):
            rows = rows[next((i for i, row in enumerate(rows) if row["id"] == token), len(rows)) + 1 :]
        return answer(rows[: min(int(query.get("page_size", 100)), 100)])

    def _mark(self, symbol: str) -> Decimal:
        told = self.venue.price(symbol)
        return told[0] if told else Decimal(0)

    def _account(self, _request: Request) -> Response:
        """Without the day-trading fields, which the vendor took away in July 2026."""
        cash = self.venue.cash
        equity = str(cash + sum(held * self._mark(symbol) for symbol, held in self.venue.positions.items()))
        return answer(
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, self.number)),
                "account_number": self.number,
                "status": "ACTIVE",
                "currency": "USD",
                "cash": f"{cash.normalize():f}",
                "buying_power": str(self.venue.buying_power),
                "equity": equity,
                "last_equity": equity,
                "portfolio_value": equity,
                "multiplier": "1",
                "shorting_enabled": True,
                "trading_blocked": bool(self.venue.blocked),
                "account_blocked": False,
                "transfers_blocked": False,
                "trade_suspended_by_user": False,
                "created_at": "2024-01-02T14:30:00Z",
            }
        )


def order_body(order: VenueOrder, venue: Venue) -> dict[str, Any]:
    """An order as Alpaca writes it: numbers as texts, absent ones null."""
    ended = {"filled_at": "filled", "canceled_at": "cancelled", "expired_at": "expired", "failed_at": "rejected"}
    average = order.average
    legs = [order_body(venue.orders[order.pair], venue)] if order.pair and not order.parent else None
    return {
        "id": order.id,
        "client_order_id": order.key,
        "created_at": stamp(order.created),
        "updated_at": stamp(order.updated or order.created),
        "submitted_at": stamp(order.created),
        **{name: stamp(order.updated) if order.status == status else None for name, status in ended.items()},
        "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, order.symbol)),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": f"{order.quantity.normalize():f}",
        "filled_qty": f"{order.filled.normalize():f}",
        "filled_avg_price": None if average is None else str(average),
        "order_class": "oco" if order.pair else "",
        "order_type": order.kind,
        "type": order.kind,
        "side": order.side,
        "time_in_force": order.life,
        "limit_price": None if order.limit is None else str(order.limit),
        "stop_price": None if order.stop is None else str(order.stop),
        "status": STATUS.get(order.status, order.status),
        "extended_hours": False,
        "legs": legs,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def stamp(ts: int) -> str:
    """RFC 3339 in UTC, to the nanosecond."""
    seconds, ns = divmod(ts, 1_000_000_000)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"


def _activity(move: CashMove) -> dict[str, Any]:
    """A move of cash as Alpaca lists it."""
    when = stamp(move.ts)
    row = {
        "activity_type": {"fee": "FEE", "dividend": "DIV", "deposit": "CSD", "withdrawal": "CSW"}[move.kind],
        "id": f"{when[:10].replace('-', '')}000000000::{move.id}",
        "date": when[:10],
        "net_amount": f"{move.amount:f}",
        "description": "",
        "status": "executed",
    }
    return row | ({"symbol": move.symbol, "qty": "0", "per_share_amount": "0"} if move.symbol else {})


def _price(told: dict[str, Any], name: str) -> Decimal | None:
    return None if told.get(name) is None else Decimal(str(told[name]))


def _operation(request: Request) -> str:
    if request.method == "DELETE":
        return "cancel"
    return "place" if request.method == "POST" else "look"
