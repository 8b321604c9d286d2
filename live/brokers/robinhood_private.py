"""Robinhood's private endpoints, through the session of robin_stocks: unofficial, and for an account that says so.

What is left of robin_stocks is its session, headers and addresses. Its functions are not called: they print a failure
and return None or an empty list, which reads as flat; make a new key inside each order; send a market buy as a limit
order that is good till cancelled; and keep the login in a pickle that everyone may read. Here each request has a time
limit and a status, each order our `ref_id`, its own type and time in force, and a list that is not whole is none.

One account per process: the session is one for all.
"""

from __future__ import annotations

import datetime as dt
import io
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import typer

from data.calendar import DAY_SECONDS, SECOND_NS
from data.errors import AuthError, ConfigError, UnavailableError
from data.settings import Secret, Settings
from data.sources.base import Clock, WallClock
from live.brokers.base import Books, Capabilities
from live.brokers.robinhood_grant import read_private
from live.brokers.robinhood_private_wire import Fence
from live.brokers.robinhood_rows import STATES, price_text, seen_of
from live.brokers.wire import Answer, Changed, Duplicate, Lost, NotSent, Refused, TooLate, WireError
from live.brokers.wire_calls import Calls
from live.brokers.wire_desk import Desk
from live.brokers.wire_orders import Seen, Ticket
from live.brokers.wire_read import amount, number, row, rows, text
from live.brokers.wire_route import Patience
from live.core.commands import Protect
from live.core.events import CashMoved
from strategies.common.position import nan

if TYPE_CHECKING:
    from live.account import Account

CAPABILITIES = Capabilities(
    dedupes="no",  # a repeated ref_id was seen refused for crypto only: nothing is ever sent twice here
    key_window_s=0.0,
    lookup_by_key=True,
    list_includes_closed=True,
    visibility_delay_s=5.0,
    cancel_is_async=True,
    replace_is_cancel_new=True,
    order_stream=False,
    stream_replays=False,
    busy_is_refusal=False,
    standing_stops=True,
    pairs=False,
    fractional=True,
    shorts=False,
    requests_a_minute=20,  # about eight orders in a row were throttled
)
WARNING = (
    "This account uses Robinhood's private endpoints through robin_stocks. They are unofficial: Robinhood has written "
    "to users that it does not allow trading through them, and has restricted accounts; they have broken without "
    'notice; an order whose answer is lost is never sent again. The official route is broker = "robinhood".'
)
FORM_VERSION = "7"
COLLAR = Decimal("1.05")
"""A buy at the market is a limit order at most 5 % above the ask; the venue takes no other."""
BOOKS_DAYS = 100
PAGES = 500
MOVES_ASKED = 5
_in_use: list[str] = []


def broker(
    token: Path,
    command: str,
    *,
    unofficial: bool,
    clock: Clock | None = None,
    patience: Patience | None = None,
    base: str = "",
    say: Callable[[str], None] = lambda text: typer.echo(text, err=True),
) -> Desk:
    """The broker of a token that `python -m live login` wrote; says what it is.

    Args:
        token: its file. command: what to run to log in. unofficial: the account file says that it knows.
        base: another machine than Robinhood's, for a sandbox.

    Raises:
        ConfigError: the account does not say so, or another one is in use in this process. AuthError: no token.
    """
    if not unofficial:
        raise ConfigError(
            'broker = "robinhood_private" is unofficial and may cost the account; write unofficial = true if that is '
            'meant, or broker = "robinhood" for the official route'
        )
    say(WARNING)
    return Desk(PrivateRoute(read_token(token, command), command, clock, base), clock, patience)


def for_account(account: Account, settings: Settings, clock: Clock) -> Desk:
    """The broker of an account that says that it knows what this is."""
    return broker(
        account.state / f"{account.name}.token",
        f"python -m live login {account.path}",
        unofficial=account.unofficial,
        clock=clock,
        base=settings.robinhood_api_url or "",
    )


def address(account: Account, settings: Settings) -> str:  # noqa: ARG001  # of every broker
    """Where its orders go."""
    return settings.robinhood_api_url or "https://api.robinhood.com"


def read_token(path: Path, command: str) -> Secret:
    """
    Raises:
        AuthError: there is none. ConfigError: others may read it.
    """
    try:
        told = msgspec.json.decode(read_private(path, command))
        return Secret(str(told["access"]))
    except (msgspec.DecodeError, KeyError, TypeError):
        raise AuthError(f"{path} is no token that this version can read; run: {command}") from None


class PrivateRoute:
    """The private dialect of `live.brokers.wire_route.Route`."""

    capabilities = CAPABILITIES
    place_requests = 2

    def __init__(self, token: Secret, command: str, clock: Clock | None = None, base: str = "") -> None:
        self._token, self._command, self._base = token, command, base
        self._clock = WallClock() if clock is None else clock
        self._fence: Fence | None = None
        self.calls = Calls()
        self._account: Mapping[str, Any] = {}
        self._instruments: dict[str, str] = {}
        self._cash, self._asked = nan, 0
        self._moves: list[CashMoved] = []

    def open(self) -> None:
        """Take the session for this account.

        Raises:
            AuthError, ConfigError, UnavailableError: as `Desk.open` has them.
        """
        from robin_stocks.robinhood import helper

        helper.set_output(io.StringIO())  # whatever it prints is not for our output
        self._fence = Fence(self._token, self._base, calls=self.calls)
        try:
            told = self._pages("/accounts/?default_to_all_accounts=true")
            account_number = text(told[0].get("account_number")) if len(told) == 1 else ""
        except WireError as error:
            raise UnavailableError(f"Robinhood did not answer ({error}); try again") from None
        if len(told) != 1:
            raise ConfigError(f"this token sees {len(told)} accounts; this route trades a login with one")
        account = told[0]
        if account.get("deactivated") or account.get("locked") or account.get("only_position_closing_trades"):
            raise ConfigError(f"Robinhood's account ending in {account_number[-4:]} may not trade; see its app")
        if _in_use and _in_use[0] != account_number:
            raise ConfigError("robin_stocks has one session per process, and another account is using it")
        _in_use[:] = [account_number]
        self._account = account

    def close(self) -> None:
        """Let go of connections and of the token."""
        if self._fence is not None:
            self._fence.close()
            self._fence = None
        _in_use.clear()

    def place(self, ticket: Ticket) -> Seen:
        """Post one form, once."""
        try:
            form = self._form(ticket)
        except Lost as lost:
            raise NotSent(f"nothing was ordered: {lost}") from None
        answer = self._ask("POST", "/orders/", form)
        told = answer.json()
        if answer.status in (200, 201) and isinstance(told, dict) and told.get("id"):
            return seen_of(told, ticket.key)
        if not isinstance(told, dict) or answer.status not in (400, 403, 404):
            raise answer.lost()
        if "ref_id" in told:
            raise Duplicate("Robinhood has an order of this ref_id")
        raise Refused(_reason(told, answer.status))

    def cancel(self, ticket: Ticket) -> None:
        """Ask for a cancel; it happens later, or not."""
        answer = self._ask("POST", f"/orders/{ticket.venue_id}/cancel/", {})
        if answer.status in (400, 404):
            raise TooLate(_reason(answer.json(), answer.status))
        if answer.status != 200:
            raise answer.lost()

    def look(self, tickets: Sequence[Ticket]) -> dict[str, Seen]:
        """Every order of since the oldest of these, by `ref_id`."""
        oldest = min(ticket.sent_ns or ticket.born_ns for ticket in tickets)
        told = {str(each.get("ref_id")): each for each in self._orders(oldest - 60 * SECOND_NS)}
        return {ticket.key: seen_of(told[ticket.key], ticket.key) for ticket in tickets if ticket.key in told}

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
        """Positions, cash, and open orders by `ref_id`."""
        try:
            held = self._pages("/positions/?nonzero=true")
            accounts = self._pages("/accounts/?default_to_all_accounts=true")
            orders = self._orders(self._clock.now() - BOOKS_DAYS * DAY_SECONDS * SECOND_NS)
            told_number, number_then = accounts[0].get("account_number"), self._account.get("account_number")
            if len(accounts) != 1 or told_number != number_then:
                raise Changed(
                    f"this token now sees {len(accounts)} accounts, the first ending in {str(told_number)[-4:]}; at "
                    f"the start it was the one ending in {str(number_then)[-4:]}; "
                    "nothing is sent until someone has looked",
                    ours=False,
                )
            positions = {text(each["symbol"]): number(each["quantity"]) for each in held}
            cash = number(accounts[0]["portfolio_cash"])
            unsettled = amount(accounts[0].get("unsettled_funds"))
            alive = [each for each in orders if STATES.get(text(each["state"]), "working") in ("pending", "working")]
            keys = [text(each.get("ref_id") or each["id"]) for each in alive]
        except (WireError, AuthError, KeyError, IndexError, TypeError, ValueError) as error:
            raise UnavailableError(f"Robinhood's books are not to be had ({type(error).__name__}: {error})") from None
        is_cash = accounts[0].get("type") == "cash"
        return Books(
            positions,
            cash,
            keys,
            settled_cash=cash - unsettled if is_cash else cash,
            good_faith_violations=0,  # none is told; with settled cash only there is nothing to violate
            day_trade_regime="off" if is_cash else "",  # the rule is about margin accounts
            clock_skew_ms=self._fence.skew.ms() if self._fence is not None else nan,
            moves=self._told_moves(cash),
        )

    def _told_moves(self, cash: float) -> list[CashMoved]:
        """Dividends and bank transfers; asked for where cash is not what it was, and for a while after that."""
        self._cash, self._asked = cash, self._asked + 1 if cash == self._cash else 0
        if self._asked >= MOVES_ASKED:
            return self._moves
        try:
            found = [
                CashMoved(0, number(each["amount"], 0.0), "dividend", "broker", text(each["id"]), "dividend")
                for each in self._pages("/dividends/")
                if each.get("state") in ("paid", "reinvested")
            ]
            for each in self._pages("/ach/transfers/"):
                if each.get("state") == "completed":
                    paid_in, dollars = each.get("direction") == "deposit", number(each["amount"], 0.0)
                    kind: Literal["deposit", "withdrawal"] = "deposit" if paid_in else "withdrawal"
                    signed = dollars if paid_in else -dollars
                    found.append(CashMoved(0, signed, kind, "broker", text(each["id"]), f"bank transfer, {kind}"))
        except (WireError, KeyError):
            return []
        self._moves = found
        return found

    def _form(self, ticket: Ticket) -> dict[str, str]:
        """The order with everything said: type, trigger, time in force, hours, and our key."""
        command = ticket.command
        quantity = Decimal(repr(ticket.quantity)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN).normalize()
        if quantity != quantity.to_integral_value() and isinstance(command, Protect):
            raise Refused("Robinhood keeps no stop and no target for a fraction of a share")
        form = {
            "account": str(self._account["url"]),
            "instrument": self._instrument(command.symbol),
            "symbol": command.symbol,
            "side": command.side,
            "quantity": f"{quantity:f}",
            "ref_id": ticket.key,
            "type": "market",
            "trigger": "immediate",
            "time_in_force": "gtc" if isinstance(command, Protect) else "gfd",
            "market_hours": "regular_hours",
            "extended_hours": "false",
            "order_form_version": FORM_VERSION,
        }
        if isinstance(command, Protect) and ticket.kind in ("stop", "pair"):
            form |= {"trigger": "stop", "stop_price": price_text(command.stop)}
        elif ticket.kind == "limit":
            form |= {"type": "limit", "price": price_text(ticket.limit)}
        elif command.side == "buy":
            form |= {"type": "limit", "price": price_text(float(self._ask_price(command.symbol) * COLLAR))}
        return form

    def _instrument(self, symbol: str) -> str:
        if symbol not in self._instruments:
            query = urllib.parse.urlencode({"symbol": symbol})
            told = self._pages(f"/instruments/?{query}")
            if len(told) != 1:
                raise Refused(f"Robinhood lists {len(told)} instruments named {symbol}")
            self._instruments[symbol] = text(told[0].get("url"))
        return self._instruments[symbol]

    def _ask_price(self, symbol: str) -> Decimal:
        answer = self._ask("GET", f"/quotes/?{urllib.parse.urlencode({'symbols': symbol})}")
        if answer.status != 200:
            raise answer.lost(" for a quote")
        try:
            told = rows(row(answer.json()).get("results"))[0]["ask_price"]
            number(told)
            price = Decimal(str(told))
        except (KeyError, IndexError, ArithmeticError):
            raise Lost(f"no quote of {symbol}") from None
        if not price > 0:
            raise Refused(f"{symbol} is not offered now, so a buy has no price to be held to")
        return price

    def _orders(self, since_ns: int) -> list[Mapping[str, Any]]:
        since = dt.datetime.fromtimestamp(since_ns / SECOND_NS, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._pages(f"/orders/?{urllib.parse.urlencode({'updated_at[gte]': since})}")

    def _pages(self, path: str) -> list[Mapping[str, Any]]:
        """All rows of a list; part of one is none."""
        found: list[Mapping[str, Any]] = []
        for _ in range(PAGES):
            answer = self._ask("GET", path)
            told = answer.json() if answer.status == 200 else None
            if not isinstance(told, dict) or not isinstance(told.get("results"), list) or "next" not in told:
                raise answer.lost(" without a whole list")
            found += rows(told["results"])
            if not told["next"]:
                return found
            parts = urllib.parse.urlsplit(str(told["next"]))
            path = f"{parts.path}?{parts.query}"
        raise Lost(f"more than {PAGES} pages")

    def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        if self._fence is None:
            raise NotSent("the session is closed")
        answer = self._fence.send(method, path, form)
        if answer.status == 401:
            raise AuthError(f"Robinhood does not know this token any more; run: {self._command}")
        if answer.status == 429:
            raise answer.busy()
        return answer


def _reason(told: Any, status: int) -> str:
    text = msgspec.json.encode(told).decode() if not isinstance(told, dict) else str(next(iter(told.values()), status))
    return f"{text[:200]} (HTTP {status})"
