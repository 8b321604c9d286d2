"""Robinhood's official agentic route: its trading tools over MCP, for the one account an agent may trade.

An order is reviewed, then placed under our key as `ref_id`. The reply of a placement is a receipt, not a resting order:
what became of it is asked for. The same `ref_id` twice is an error (409), which proves that the first one registered.
Orders do not always carry their `ref_id` in lists; then one is known by what it is, when only one can be it.

A stop stands at the broker, or a target, not both: one sell order holds the shares. Nothing is sold short.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from data.calendar import DAY_SECONDS, SECOND_NS
from data.errors import ConfigError, UnavailableError
from data.rows import BookSnap
from data.settings import Settings
from data.sources.base import Clock, WallClock
from live.brokers.base import Books, Capabilities
from live.brokers.robinhood_grant import Grant
from live.brokers.robinhood_rows import STATES, instant, likeness, order_arguments, seen_of, wanted
from live.brokers.robinhood_session import READ_S, Session, ToolError
from live.brokers.wire import Changed, Duplicate, Lost, NotSent, Refused, TooLate, WireError
from live.brokers.wire_desk import Desk
from live.brokers.wire_orders import Seen, Ticket
from live.brokers.wire_read import number, row, rows, text
from live.brokers.wire_route import Patience
from strategies.common.position import nan

if TYPE_CHECKING:
    from live.account import Account

CAPABILITIES = Capabilities(
    dedupes="refuses",
    key_window_s=3600.0,  # nobody has published for how long a ref_id is remembered
    lookup_by_key=False,
    list_includes_closed=True,
    visibility_delay_s=5.0,
    cancel_is_async=True,
    replace_is_cancel_new=True,
    order_stream=False,
    stream_replays=False,
    busy_is_refusal=False,  # seen once, by one user: too little to call it proof
    standing_stops=True,
    pairs=False,
    fractional=True,
    shorts=False,
    requests_a_minute=30,
)
URL = "https://agent.robinhood.com/mcp/trading"
BLOCKING = ("EQUITY_NOT_ENOUGH_BP", "EQUITY_MAX_SELL_SHARES_EXCEEDED", "EQUITY_EXTREMELY_UNMARKETABLE_LIMIT_PRICE")
SKEW_NS = 10 * SECOND_NS
BOOKS_DAYS = 100
"""Open orders are looked for so far back; a `gtc` order is said to live for 90 days."""
PAGES = 200


def broker(grant: Path, command: str, clock: Clock | None = None, patience: Patience | None = None) -> Desk:
    """The broker of a login that `python -m live login` wrote.

    Args:
        grant: the login's file. command: what to run to log in, for messages.

    Raises:
        AuthError: there is no login. ConfigError: others may read it.
    """
    return Desk(RobinhoodRoute(Grant(grant, command), clock), clock, patience)


def for_account(account: Account, settings: Settings, clock: Clock) -> Desk:  # noqa: ARG001  # of every broker
    """The broker of an account that someone has logged in to."""
    return broker(account.state / f"{account.name}.grant", f"python -m live login {account.path}", clock)


def address(account: Account, settings: Settings) -> str:
    """Where its orders go: to the server that someone logged in to.

    Raises:
        AuthError: nobody did. ConfigError: the settings name another server, or others may read the login.
    """
    resource = Grant(account.state / f"{account.name}.grant", f"python -m live login {account.path}").resource
    meant = settings.robinhood_mcp_url or URL
    if resource.rstrip("/") != meant.rstrip("/"):
        raise ConfigError(
            f"the login of account {account.name!r} is for {resource}, orders were meant for {meant}; set "
            f"ROBINHOOD_MCP_URL, or run: python -m live login {account.path}"
        )
    return resource


class RobinhoodRoute:
    """Robinhood's dialect of `live.brokers.wire_route.Route`. session: for the price book, too."""

    capabilities = CAPABILITIES
    place_requests = 2

    def __init__(self, grant: Grant, clock: Clock | None = None, read_s: float = READ_S) -> None:
        self.session = Session(grant, read_s)
        self.calls = self.session.calls
        self._grant = grant
        self._clock = WallClock() if clock is None else clock
        self._claimed: dict[str, str] = {}
        self._type = ""
        self._checked = (0, 0.0)

    def open(self) -> None:
        """Connect; refuse another account, and tools that are not those of the login.

        Raises:
            AuthError, ConfigError, UnavailableError: as `Desk.open` has them.
        """
        self.session.open()
        self._compare()

    def renewed(self) -> bool:
        """A new connection listed the tools anew, or the token is another."""
        return self._checked != (self.session.lists, self._grant.expires)

    def check(self) -> None:
        """Tools and account, as at the login.

        Raises:
            Changed, WireError, AuthError: as `CheckedRoute` has them.
        """
        self.session.list_again()
        try:
            self._compare()
        except UnavailableError as error:
            raise Lost(str(error)) from None

    def _still(self, ticket: Ticket) -> None:
        """After a connection or a token that is new since the last check: nothing is ordered before another one.

        Raises:
            Changed: it is another account; or its tools are others, and this is no exit. NotSent: nobody can say.
        """
        if not self.renewed():
            return
        try:
            self._compare()
        except Changed as other:
            if not (ticket.exits and other.ours):
                raise
        except UnavailableError as error:
            raise NotSent(f"nothing was ordered: {error}") from None

    def _compare(self) -> None:
        lists, token = self.session.lists, self._grant.expires
        try:
            account = agentic_row(self.session)
        except ConfigError as none:
            raise Changed(str(none), ours=False) from None
        account_number, self._type = account["account_number"], str(account.get("type", ""))
        if account_number != self._grant.account:
            raise Changed(
                f"this login was made for the account ending in {self._grant.account[-4:]}, Robinhood now has its "
                f"agent trade the one ending in {account_number[-4:]}; log in again if that is meant",
                ours=False,
            )
        if self.session.schema_hash() != self._grant.schemas:
            raise Changed(
                "Robinhood has changed the tools that orders go through since this login; nothing is sent until "
                "someone has compared them and logged in again",
                ours=True,
            )
        self._checked = (lists, token)

    def close(self) -> None:
        """Disconnect."""
        self.session.close()

    def place(self, ticket: Ticket) -> Seen:
        """Review, then place."""
        asked = order_arguments(ticket, self._grant.account)
        checks = self.session_call("review_equity_order", asked).get("order_checks") or {}
        alert = str(checks.get("alertType", "")) if isinstance(checks, Mapping) else ""
        if alert and (alert in BLOCKING or not ticket.exits):
            raise Refused(f"Robinhood's review warns of {alert}")
        self._still(ticket)
        told = self._place({**asked, "ref_id": ticket.key})
        order = row(told.get("order"))
        self._claimed[text(order.get("id"))] = ticket.key
        return seen_of(order, ticket.key)

    def cancel(self, ticket: Ticket) -> None:
        """Ask for a cancel; it happens later, or not."""
        asked = {"account_number": self._grant.account, "order_id": ticket.venue_id}
        try:
            self.session.call("cancel_equity_order", asked)
        except ToolError as no:
            raise TooLate(str(no)) from None

    def look(self, tickets: Sequence[Ticket]) -> dict[str, Seen]:
        """Every order of since the oldest of these, matched by id, by `ref_id`, or by what it is."""
        oldest = min(ticket.sent_ns or ticket.born_ns for ticket in tickets)
        told = self._orders(oldest - 60 * SECOND_NS)
        found: dict[str, Seen] = {}
        for ticket in tickets:
            order = next((each for each in told if self._is(each, ticket)), None)
            ticket.likely = False
            if order is None and not ticket.venue_id:
                order = self._bylikeness(ticket, tickets, told)
                ticket.likely = order is None and any(self._may_be(each, ticket) for each in told)
            if order is not None:
                self._claimed[text(order.get("id"))] = ticket.key
                found[ticket.key] = seen_of(order, ticket.key)
        return found

    def pushed(self) -> list[Seen]:
        """Nothing is pushed here."""
        return []

    def stream_was_down(self) -> bool:
        """There is none."""
        return False

    def deaf(self) -> str:
        """There is no stream: what is asked for is heard."""
        return ""

    def books(self) -> Books:
        """Positions without the empty rows, cash, open orders by `ref_id` or, without one, by Robinhood's id."""
        account = {"account_number": self._grant.account}
        try:
            told = self._pages("get_equity_positions", account, "positions")
            held = {text(each["symbol"]): number(each["quantity"]) for each in told if each.get("type") != "empty"}
            portfolio = self.session.call("get_portfolio", account)
            cash = number(portfolio["cash"])
            equity = number(portfolio["total_value"]) if portfolio.get("total_value") else nan
            power = row(portfolio.get("buying_power") or {}).get("unleveraged_buying_power")
            settled = min(cash, number(power)) if power else cash
            orders = self._orders(self._clock.now() - BOOKS_DAYS * DAY_SECONDS * SECOND_NS)
            alive = [each for each in orders if STATES.get(text(each["state"]), "working") in ("pending", "working")]
            keys = [text(each.get("ref_id") or self._claimed.get(text(each["id"])) or each["id"]) for each in alive]
        except (WireError, KeyError, TypeError, ValueError) as error:
            raise UnavailableError(f"Robinhood's books are not to be had ({type(error).__name__}: {error})") from None
        return Books(
            {symbol: shares for symbol, shares in held.items() if shares},
            cash,
            keys,
            equity=equity,
            settled_cash=settled,
            good_faith_violations=0,  # none is told; with settled cash only there is nothing to violate
            day_trade_regime="off" if self._type == "cash" else "",  # the rule is about margin accounts
            clock_skew_ms=self.session.skew.ms(),
        )

    @property
    def token_until(self) -> int:
        """When the login ends unless it is renewed, UTC ns."""
        return int(self._grant.expires * SECOND_NS)

    def depth(self, symbols: Sequence[str]) -> list[BookSnap]:
        """Price books, as old as the venue says they are."""
        told = self.session.call("get_equity_price_book", {"symbols": list(symbols)})
        now = self._clock.now()
        try:
            return [
                BookSnap(
                    now,
                    str(book["symbol"]),
                    sorted(map(_level, book.get("bids") or ()), reverse=True),
                    sorted(map(_level, book.get("asks") or ())),
                    instant(book.get("updated_at")),
                )
                for book in told["books"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Lost(f"an answer that is no price book ({type(error).__name__}: {error})") from None

    def session_call(self, tool: str, asked: dict[str, Any]) -> dict[str, Any]:
        """A call that orders nothing: when its answer is lost, nothing was sent."""
        try:
            return self.session.call(tool, asked)
        except Lost as lost:
            raise NotSent(f"no review: {lost}") from None

    def _place(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.session.call("place_equity_order", asked)
        except ToolError as no:
            if no.status == 409:
                raise Duplicate("Robinhood has an order of this ref_id") from None
            raise

    def _orders(self, since_ns: int) -> list[Mapping[str, Any]]:
        since = dt.datetime.fromtimestamp(since_ns / SECOND_NS, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked = {"account_number": self._grant.account, "created_at_gte": since}
        return self._pages("get_equity_orders", asked, "orders")

    def _pages(self, tool: str, asked: dict[str, Any], name: str) -> list[Mapping[str, Any]]:
        """All rows of a list; part of one is none."""
        found: list[Mapping[str, Any]] = []
        cursor = ""
        for _ in range(PAGES):
            told = self.session.call(tool, {**asked, **({"cursor": cursor} if cursor else {})})
            found += rows(told.get(name))
            after = str(told.get("next") or "")
            if not after:
                return found
            named = parse_qs(urlsplit(after).query).get("cursor") if "://" in after else None
            cursor = named[0] if named else after
        raise Lost(f"{name}: more than {PAGES} pages")

    def _is(self, row: Mapping[str, Any], ticket: Ticket) -> bool:
        return bool(ticket.venue_id and row.get("id") == ticket.venue_id) or row.get("ref_id") == ticket.key

    def _may_be(self, row: Mapping[str, Any], ticket: Ticket) -> bool:
        """Whether the order may be this one, whoever else's it may be, and whenever it says that it was made."""
        mine = self._claimed.get(str(row.get("id")), ticket.key) == ticket.key
        return mine and not row.get("ref_id") and likeness(row) == wanted(ticket)

    def _bylikeness(
        self, ticket: Ticket, tickets: Sequence[Ticket], rows: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        """The one order that can be this one; None where there is none, or more than one could be meant."""
        like = [
            row
            for row in rows
            if not row.get("ref_id")
            and row.get("placed_agent", "agentic") == "agentic"
            and self._claimed.get(str(row.get("id")), ticket.key) == ticket.key
            and likeness(row) == wanted(ticket)
            and instant(row.get("created_at")) >= ticket.sent_ns - SKEW_NS
        ]
        rivals = [t for t in tickets if not t.venue_id and wanted(t) == wanted(ticket)]
        return like[0] if len(like) == 1 and len(rivals) == 1 else None


def _level(told: Mapping[str, Any]) -> tuple[float, float]:
    price = told["price"]
    return number(price["amount"] if isinstance(price, Mapping) else price, 0.0), number(told["quantity"], 0.0)


def agentic_account(session: Session) -> str:
    """The number of the one account that an agent may trade; raises as `agentic_row`."""
    told: str = agentic_row(session)["account_number"]
    return told


def agentic_row(session: Session) -> Mapping[str, Any]:
    """The one account that an agent may trade, as it is listed; its number is a text.

    Raises:
        ConfigError: there is none, more than one, or it is not active.
        UnavailableError: no answer, or one that cannot be read.
    """
    try:
        agentic = [
            each
            for each in rows(session.call("get_accounts", {}).get("accounts"))
            if each.get("agentic_allowed") is True
        ]
        for each in agentic:
            text(each.get("account_number"))
    except WireError as error:
        raise UnavailableError(f"Robinhood did not list the accounts ({error}); try again") from None
    if len(agentic) != 1:
        raise ConfigError(f"exactly one account must allow agents, Robinhood lists {len(agentic)}; see its app")
    if agentic[0].get("state") != "active" or agentic[0].get("deactivated"):
        raise ConfigError("the agentic account is not active; see Robinhood's app")
    return agentic[0]
