"""The private endpoints that Robinhood's own apps use, on loopback: orders as forms, lists with absolute addresses.

The user logs in with name and password, without a second device, and gets the one token that is good.

Every address in an answer is `https://api.robinhood.com/...`, as the vendor writes it; a client must send all of them
here itself.
"""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from live.sandbox.broker_engine import Kind, Refusal, Side, Venue, VenueOrder, new_id
from live.sandbox.broker_http import BrokerServer
from live.sandbox.http import Request, Response, Routes, answer
from live.sandbox.robinhood_rest import API, instrument_id
from live.sandbox.robinhood_tools import order_row, stamp

PAGE = 10
FORM_VERSION = 2
REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "duplicate": (400, {"ref_id": ["Order with this ref_id already exists."]}),
    "cash": (400, {"detail": "You can only purchase 0 shares."}),
    "shares": (400, {"detail": "Not enough shares to sell."}),
    "symbol": (400, {"detail": "Invalid instrument."}),
    "shape": (400, {"non_field_errors": ["Invalid order."]}),
    "late": (400, {"detail": "Order cannot be cancelled at this time."}),
    "unknown": (404, {"detail": "Not found."}),
    "blocked": (403, {"detail": "Your account is restricted from trading."}),
}


class RobinhoodPrivate:
    """One customer with one account. `http_url` is known once it has started; `token` is the one that is good.

    quotes: serves quotes, instruments and books of a market instead of the venue's prices. user: name and password.
    """

    def __init__(
        self,
        venue: Venue,
        number: str = "5SANDBOX1",
        token: str = "sandbox-token",  # noqa: S107  # of a market that has nothing to protect
        *,
        quotes: Callable[[Routes], None] | None = None,
        user: tuple[str, str] = ("sandbox", "sandbox-password"),
    ) -> None:
        self.venue, self.number, self.token, self._user = venue, number, token, user
        self.http_url = ""
        self.places: list[dict[str, str]] = []
        self._symbols: dict[str, str] = {}
        routes = Routes()
        routes.add("POST", "/orders/", self._guarded(self._place))
        routes.add("GET", "/orders/", self._guarded(self._list))
        routes.add("POST", "/orders/{order_id}/cancel/", self._guarded(self._cancel))
        routes.add("GET", "/positions/", self._guarded(self._positions))
        routes.add("GET", "/orders/{order_id}/", self._guarded(self._get))
        routes.add("GET", "/accounts/", self._guarded(self._accounts))
        routes.add("GET", "/dividends/", self._guarded(self._dividends))
        routes.add("GET", "/ach/transfers/", self._guarded(self._transfers))
        routes.add("GET", "/accounts/{number}", self._guarded(self._account))
        routes.add("POST", "/oauth2/token/", self._log_in)
        if quotes is not None:
            quotes(routes)
        routes.add("GET", "/instruments/", self._instruments)
        routes.add("GET", "/quotes/", self._quotes)
        self.http = BrokerServer(routes, venue.faults, _operation)

    async def start(self, port: int = 0) -> None:
        """Listen on a port of loopback."""
        self.http_url = f"http://127.0.0.1:{await self.http.start('127.0.0.1', port)}"

    async def stop(self) -> None:
        """Close it."""
        await self.http.stop()

    def _guarded(self, handler: Any) -> Any:
        def handle(request: Request, **parts: str) -> Response:
            if request.headers.get("authorization") != f"Bearer {self.token}":
                return answer({"detail": "Incorrect authentication credentials."}, 401)
            self.venue.step()
            try:
                return cast("Response", handler(request, **parts))
            except Refusal as no:
                status, body = REFUSALS[no.why]
                return answer(body, status)

        return handle

    def _place(self, request: Request) -> Response:
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        self.places.append(form)
        if int(form.get("order_form_version", "0")) < FORM_VERSION:
            return answer({"non_field_errors": ["Your app version is missing important stock trading updates."]}, 400)
        trigger, kind = form["trigger"], form["type"]
        if kind == "market" and trigger == "immediate" and form["time_in_force"] == "gtc":
            return answer({"non_field_errors": ["Invalid Good Til Canceled order."]}, 400)
        if (form["extended_hours"].lower() == "true") != (form["market_hours"] != "regular_hours"):
            return answer({"non_field_errors": ["Extended hours and market hours mismatch."]}, 400)
        stop = form.get("stop_price")
        kinds: dict[tuple[str, str], Kind] = {("stop", "market"): "stop", ("stop", "limit"): "stop_limit"}
        try:
            order = VenueOrder(
                new_id(), form["ref_id"], form["symbol"], cast("Side", form["side"]),
                kinds.get((trigger, kind), "limit" if kind == "limit" else "market"), Decimal(form["quantity"]),
                self.venue.now(), Decimal(form["price"]) if kind == "limit" else None,
                Decimal(stop) if stop else None, form["time_in_force"],
            )  # fmt: skip
        except InvalidOperation:
            raise Refusal("shape") from None
        return answer(self._row(self.venue.submit(order)), 201)

    def _list(self, request: Request) -> Response:
        since = request.query.get("updated_at[gte]", "")
        begin = dt.datetime.fromisoformat(since).timestamp() * 1e9 if since else 0.0
        rows = sorted(self.venue.orders.values(), key=lambda order: -order.created)
        rows = [order for order in rows if max(order.updated, order.created) >= begin - 1_000]
        start = int(request.query.get("cursor", "0"))
        after = f"{API}/orders/?cursor={start + PAGE}&updated_at%5Bgte%5D={urllib.parse.quote(since)}"
        page = [self._row(order) for order in rows[start : start + PAGE]]
        return answer({"next": after if start + PAGE < len(rows) else None, "previous": None, "results": page})

    def _get(self, _request: Request, order_id: str) -> Response:
        if order_id not in self.venue.orders:
            raise Refusal("unknown")
        return answer(self._row(self.venue.orders[order_id]))

    def _cancel(self, _request: Request, order_id: str) -> Response:
        self.venue.cancel(order_id)
        return answer({})

    def _positions(self, _request: Request) -> Response:
        rows = [
            {
                "symbol": symbol,
                "account_number": self.number,
                "instrument": f"{API}/instruments/{instrument_id(symbol)}/",
                "quantity": f"{held:.8f}",
                "average_buy_price": "0.0000",
                "shares_held_for_sells": f"{self.venue.held_for_sells(symbol):.8f}",
            }
            for symbol, held in self.venue.positions.items()
        ]
        return answer({"next": None, "previous": None, "results": rows})

    def _dividends(self, _request: Request) -> Response:
        rows = [
            {
                "id": move.id,
                "account": f"{API}/accounts/{self.number}/",
                "amount": f"{move.amount:f}",
                "state": "paid",
                "paid_at": stamp(move.ts),
            }
            for move in self.venue.moves
            if move.kind == "dividend"
        ]
        return answer({"next": None, "previous": None, "results": rows})

    def _transfers(self, _request: Request) -> Response:
        rows = [
            {
                "id": move.id,
                "amount": f"{abs(move.amount):f}",
                "direction": move.kind.removesuffix("al"),
                "state": "completed",
                "rhs_state": "submitted",
                "updated_at": stamp(move.ts),
            }
            for move in self.venue.moves
            if move.kind in ("deposit", "withdrawal")
        ]
        return answer({"next": None, "previous": None, "results": rows})

    def _accounts(self, _request: Request) -> Response:
        return answer({"next": None, "previous": None, "results": [self._account_row()]})

    def _account(self, _request: Request, number: str) -> Response:
        if number != self.number:
            raise Refusal("unknown")
        return answer(self._account_row())

    def _account_row(self) -> dict[str, Any]:
        return {
            "url": f"{API}/accounts/{self.number}/",
            "account_number": self.number,
            "type": "cash",
            "cash": f"{self.venue.cash:.4f}",
            "portfolio_cash": f"{self.venue.cash:.4f}",
            "buying_power": f"{self.venue.buying_power:.4f}",
            "deactivated": False,
            "locked": bool(self.venue.blocked),
            "only_position_closing_trades": False,
        }

    def _log_in(self, request: Request) -> Response:
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if (form.get("username"), form.get("password")) != self._user:
            return answer({"detail": "Unable to log in with provided credentials."}, 400)
        told = {"access_token": self.token, "token_type": "Bearer", "expires_in": 86_400, "scope": "internal"}
        return answer({**told, "refresh_token": "sandbox-refresh", "mfa_code": None, "backup_code": None})

    def _instruments(self, request: Request) -> Response:
        symbol = request.query.get("symbol", "")
        row = {"id": instrument_id(symbol), "url": f"{API}/instruments/{instrument_id(symbol)}/", "symbol": symbol}
        rows = [row] if self.venue.price(symbol) else []
        return answer({"next": None, "previous": None, "results": rows})

    def _quotes(self, request: Request) -> Response:
        rows: list[dict[str, Any] | None] = []
        for symbol in request.query.get("symbols", "").split(","):
            told = self.venue.price(symbol)
            quote = (
                None
                if told is None
                else {"symbol": symbol, "bid_price": f"{told[0]:.6f}", "ask_price": f"{told[1]:.6f}"}
            )
            rows.append(quote)
        return answer({"results": rows})

    def _row(self, order: VenueOrder) -> dict[str, Any]:
        where = f"{API}/orders/{order.id}/"
        return {
            **order_row(order, echo=True),
            "url": where,
            "account": f"{API}/accounts/{self.number}/",
            "cancel": f"{where}cancel/" if order.is_open else None,
            "instrument": f"{API}/instruments/{instrument_id(order.symbol)}/",
            "updated_at": stamp(order.updated or order.created),
            "reject_reason": "rejected by the exchange" if order.status == "rejected" else None,
            "placed_agent": "user",
        }


def _operation(request: Request) -> str:
    if request.path == "/oauth2/token/":
        return "token"
    if request.path.endswith("/cancel/"):
        return "cancel"
    if request.method == "POST":
        return "place"
    return "review" if request.path in ("/quotes/", "/instruments/") else "look"
