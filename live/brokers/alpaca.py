"""Alpaca, paper and live: orders over REST under our `client_order_id`, news of them over `trade_updates`.

Both go over the same wire as alpaca-py, but not through it: its client posts an order again by itself after a 429 or a
504, gives no time limit to a request, and its stream neither notices silence nor says that it was away.

A stop and a target stand together, as one order of class `oco`. The fields of the pattern day trader rule, which
Alpaca took away in July 2026, are not asked for.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from data.errors import AuthError, ConfigError, UnavailableError
from data.settings import Secret, Settings
from data.sources.base import Clock
from live.brokers.alpaca_rows import move_of, order_body, seen_of
from live.brokers.alpaca_updates import Updates
from live.brokers.base import Books, Capabilities
from live.brokers.wire import Answer, Changed, Duplicate, HttpWire, Lost, Refused, TooLate, WireError
from live.brokers.wire_desk import Desk
from live.brokers.wire_orders import Done, Seen, Ticket
from live.brokers.wire_read import number, row, rows, text
from live.brokers.wire_route import Patience
from live.core.events import CashMoved
from strategies.common.position import nan

if TYPE_CHECKING:
    from live.account import Account

CAPABILITIES = Capabilities(
    dedupes="refuses",
    key_window_s=float("inf"),  # a key is refused even after its order was cancelled
    lookup_by_key=True,
    list_includes_closed=True,
    visibility_delay_s=2.0,
    cancel_is_async=True,
    replace_is_cancel_new=True,  # there is a replace, but it may fail half-way as this may, and no other broker has it
    order_stream=True,
    stream_replays=False,
    busy_is_refusal=True,  # the limit stands in front of the order service
    standing_stops=True,
    pairs=True,
    fractional=True,
    shorts=True,
    requests_a_minute=150,  # of the 200 that an account has; the rest is for a person's own tools
)
PAPER, LIVE = "https://paper-api.alpaca.markets", "https://api.alpaca.markets"
READ_S = 10.0
PAGE = 500
ACTIVITY_PAGES = 2
NO_ORDER = (40010001, "client_order_id must be unique")


def broker(
    settings: Settings,
    kind: Literal["paper", "live"],
    clock: Clock | None = None,
    patience: Patience | None = None,
    stream_url: str = "",
) -> Desk:
    """The broker of the account that the settings have the keys of.

    Args:
        kind: which of Alpaca's two worlds is meant. Keys of the other one are refused there.
        stream_url: another stream than the address's own.

    Raises:
        ConfigError: a key is missing, or the address in the settings is of the other world.
    """
    key, secret = settings.apca_api_key_id, settings.apca_api_secret_key
    if key is None or secret is None:
        raise ConfigError("Alpaca needs APCA_API_KEY_ID and APCA_API_SECRET_KEY, in the environment or in .env")
    url = settings.apca_api_base_url or (PAPER if kind == "paper" else LIVE)
    if url == (LIVE if kind == "paper" else PAPER):
        raise ConfigError(f"this account trades on {kind}, APCA_API_BASE_URL is {url}; change one of the two")
    return Desk(AlpacaRoute(url, key, secret, kind, stream_url), clock, patience)


def for_account(account: Account, settings: Settings, clock: Clock) -> Desk:
    """The broker of an account: the live world where it may trade money, else the paper one."""
    return broker(settings, "live" if account.trading else "paper", clock)


def address(account: Account, settings: Settings) -> str:
    """Where its orders go."""
    return settings.apca_api_base_url or (LIVE if account.trading else PAPER)


class AlpacaRoute:
    """Alpaca's dialect of `live.brokers.wire_route.Route`.

    Args:
        url: of the REST service. kind: paper or live, for the account number to agree with.
    """

    capabilities = CAPABILITIES
    place_requests = 1

    def __init__(
        self, url: str, key: Secret, secret: Secret, kind: str = "paper", stream_url: str = "", read_s: float = READ_S
    ) -> None:
        self._url, self._key, self._secret, self._kind = url, key, secret, kind
        self._wire = HttpWire(url, read_s)
        self.calls = self._wire.calls
        self._updates = Updates(stream_url or f"ws{url.removeprefix('http')}/stream", key, secret)
        self._legs: dict[str, str] = {}
        self._number = ""

    def open(self) -> None:
        """Connect; refuse an account that may not trade, and one of the other world.

        Raises:
            AuthError, ConfigError, UnavailableError: as `Desk.open` has them.
        """
        try:
            answer = self._ask("GET", "/v2/account")
            if answer.status == 403:
                raise AuthError(f"Alpaca forbids the account to this key: {_said(answer)[1]}")
            account = row(self._whole(answer))
            account_number, status = text(account.get("account_number")), text(account.get("status"))
        except WireError as error:
            raise UnavailableError(f"Alpaca did not answer ({error}); try again") from None
        if account_number.startswith("PA") != (self._kind == "paper"):
            raise ConfigError(
                f"these are keys of an account ending in {account_number[-4:]}, which is not on {self._kind}"
            )
        blocked = [
            name for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user") if account.get(name)
        ]
        if status != "ACTIVE" or blocked:
            raise ConfigError(f"Alpaca's account may not trade ({status}, {', '.join(blocked) or 'open'})")
        self._number = account_number
        self._updates.start()

    def close(self) -> None:
        """Disconnect."""
        self._updates.stop()
        self._wire.close()

    def place(self, ticket: Ticket) -> Seen:
        """Post the order under our key."""
        answer = self._ask("POST", "/v2/orders", order_body(ticket))
        if answer.status in (200, 201):
            return self._seen(row(answer.json()), ticket.key)
        code, text = _said(answer)
        if answer.status == 422 and (code == NO_ORDER[0] and NO_ORDER[1] in text):
            raise Duplicate("Alpaca has an order of this client_order_id")
        if answer.status in (400, 403, 404, 422):
            raise Refused(f"{text} (HTTP {answer.status})")
        raise answer.lost()

    def cancel(self, ticket: Ticket) -> None:
        """Ask for a cancel; it happens later, or not."""
        answer = self._ask("DELETE", f"/v2/orders/{ticket.venue_id}")
        if answer.status in (404, 422):
            raise TooLate(_said(answer)[1])
        if answer.status not in (200, 204):
            raise answer.lost()

    def look(self, tickets: Sequence[Ticket]) -> dict[str, Seen]:
        """Each of these by its key."""
        found: dict[str, Seen] = {}
        for ticket in tickets:
            query = urllib.parse.urlencode({"client_order_id": ticket.key})
            answer = self._ask("GET", f"/v2/orders:by_client_order_id?{query}")
            if answer.status == 200:
                order = row(answer.json())
                if order.get("order_class") == "oco" and not order.get("legs"):
                    venue_id = text(order.get("id"))
                    order = row(self._whole(self._ask("GET", f"/v2/orders/{venue_id}?nested=true")))
                found[ticket.key] = self._seen(order, ticket.key)
            elif answer.status != 404:
                raise answer.lost()
        return found

    def pushed(self) -> list[Seen]:
        """What `trade_updates` has told since; the legs of a pair count for the pair."""
        told: list[Seen] = []
        for data in self._updates.take():
            try:
                order = row(data["order"])
                key = self._legs.get(str(order["id"]), "")
                if order.get("order_class") == "oco" or key:
                    self._updates.down = True  # two orders in one: the whole of it is asked for
                    continue
                last = None
                if data.get("execution_id") and data.get("price") and data.get("qty"):
                    last = Done(str(data["execution_id"]), number(data["qty"], 0.0), number(data["price"], 0.0))
                told.append(seen_of(order, text(order["client_order_id"]), last))
            except (KeyError, TypeError, ValueError, Lost):
                self._updates.down = True  # news that cannot be read: ask
        return told

    def stream_was_down(self) -> bool:
        """True once after the stream was away."""
        down, self._updates.down = self._updates.down, False
        return down

    def deaf(self) -> str:
        """The stream tells of orders, or why it does not."""
        return "" if self._updates.listening else "Alpaca's stream of order updates is down"

    def books(self) -> Books:
        """Positions, cash, and open orders by `client_order_id`."""
        try:
            positions = rows(self._whole(self._ask("GET", "/v2/positions")))
            account = row(self._whole(self._ask("GET", "/v2/account")))
            if (told_number := text(account.get("account_number"))) != self._number:
                raise Changed(
                    f"these keys now lead to the account ending in {told_number[-4:]}, at the start "
                    f"it was the one ending in {self._number[-4:]}; nothing is sent until someone has looked",
                    ours=False,
                )
            orders = rows(self._whole(self._ask("GET", f"/v2/orders?status=open&limit={PAGE}&nested=true")))
            if len(orders) >= PAGE:
                raise Lost(f"{PAGE} open orders or more; the list may not be whole")
            held = {text(each["symbol"]): number(each["qty"]) for each in positions}
            return Books(
                held,
                number(account["cash"]),
                [text(each["client_order_id"]) for each in orders],
                equity=number(account["equity"]) if account.get("equity") else nan,
                settled_cash=number(account.get("non_marginable_buying_power") or account["cash"]),
                good_faith_violations=0,  # every account here is a margin account, with buying power of its own
                day_trade_regime="intraday_margin",
                clock_skew_ms=self._wire.skew.ms(),
                moves=self._activities(),
            )
        except (WireError, AuthError, KeyError, TypeError, ValueError) as error:
            raise UnavailableError(f"Alpaca's books are not to be had ({type(error).__name__}: {error})") from None

    def _activities(self) -> list[CashMoved]:
        """What moved cash without a trade, the newest first; nothing where that is not to be had now."""
        asked = {"category": "non_trade_activity", "page_size": "100", "direction": "desc"}
        found: list[CashMoved] = []
        try:
            for _ in range(ACTIVITY_PAGES):
                told = rows(self._whole(self._ask("GET", f"/v2/account/activities?{urllib.parse.urlencode(asked)}")))
                found += [move for move in map(move_of, told) if move is not None]
                if len(told) < 100:
                    break
                asked["page_token"] = text(told[-1].get("id"))
        except WireError:  # no evidence this time: it is asked for again
            return []
        return found

    def _seen(self, order: Mapping[str, Any], key: str) -> Seen:
        for leg in rows(order.get("legs") or []):
            self._legs[text(leg.get("id"))] = key
        return seen_of(order, key)

    def _whole(self, answer: Answer) -> Any:
        if answer.status != 200:
            raise answer.lost()
        return answer.json()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        headers = {
            "APCA-API-KEY-ID": self._key.get_secret_value(),
            "APCA-API-SECRET-KEY": self._secret.get_secret_value(),
            "Content-Type": "application/json",
        }
        data = None if body is None else msgspec.json.encode(body)
        try:
            answer = self._wire.send(method, path, headers, data)
        except Lost:
            if method != "GET":
                raise
            answer = self._wire.send(method, path, headers, data)  # reading twice does no harm
        if answer.status == 401:
            raise AuthError("Alpaca refuses the key; check APCA_API_KEY_ID and APCA_API_SECRET_KEY")
        if answer.status == 429:
            raise answer.busy()
        return answer


def _said(answer: Answer) -> tuple[int, str]:
    told = answer.json()
    if not isinstance(told, dict):
        raise answer.lost(" without a reason")
    return int(number(told.get("code") or 0)), str(told.get("message", ""))[:200]
