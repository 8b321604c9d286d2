"""Splits, dividends and renames from a vendor, through its own SDK, for raw prices that are adjusted on read.

Everything from `start` to today is asked for: a split after the last row changes the rows before it as well. Polygon
gives splits and dividends; Alpaca stock dividends (as splits) and changes of name too. Foreign currencies are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from data.actions import Action
from data.calendar import NEW_YORK, SECOND_NS, Day, as_yyyymmdd, parse_day
from data.door import did_you_mean
from data.errors import UsageError
from data.settings import Settings
from data.sources import alpaca, http_history, polygon
from data.sources.base import Clock
from data.sources.budget import shared_budget
from data.sources.http import Caller, Patience


def actions_of(
    name: str,
    symbols: Sequence[str],
    start: Day,
    *,
    settings: Settings,
    wall: Clock,
    patience: Patience | None = None,
    requests_a_minute: int | None = None,
) -> list[Action]:
    """The corporate actions of these symbols since `start`, as vendor `name` has them.

    Raises:
        UsageError: another vendor, a symbol or date that cannot be. AuthError: a key is not set or refused.
        UnavailableError: no answer after all attempts.
    """
    if name not in _VENDORS:
        raise UsageError(f"{name!r} has no corporate actions{did_you_mean(name, _VENDORS)}")
    vendor: Any = {"alpaca": alpaca, "polygon": polygon}[name]
    names = http_history.check_tickers(symbols, vendor.VENDOR)
    first = parse_day(start)
    today = dt.datetime.fromtimestamp(wall.now() / SECOND_NS, NEW_YORK).date()
    secrets = http_history.need(settings, vendor.VARIABLES, vendor.KEYS_FROM)
    budget = shared_budget(vendor.VENDOR, secrets[0], requests_a_minute or vendor.capabilities().requests_a_minute)
    caller = Caller(vendor.VENDOR, budget, patience or Patience(), secrets, None, vendor.KEYS_FROM)
    keys = [secret.get_secret_value() for secret in secrets]
    return [action for action in _VENDORS[name](names, first, today, keys, settings, caller) if action.value > 0]


def _polygon(
    symbols: Sequence[str], first: dt.date, today: dt.date, keys: list[str], settings: Settings, caller: Caller
) -> Iterator[Action]:
    from data.sources.polygon_http import rest_client

    client = rest_client(keys[0], settings.massive_base_url, caller)
    for symbol in symbols:
        for split in client.list_splits(ticker=symbol, execution_date_gte=str(first), limit=1_000):
            if split.execution_date <= str(today):
                yield Action(symbol, _date(split.execution_date), "split", split.split_to / split.split_from)
        for paid in client.list_dividends(ticker=symbol, ex_dividend_date_gte=str(first), limit=1_000):
            if paid.ex_dividend_date <= str(today) and (paid.currency or "USD") == "USD":
                yield Action(symbol, _date(paid.ex_dividend_date), "dividend", float(paid.cash_amount))


def _alpaca(
    symbols: Sequence[str], first: dt.date, today: dt.date, keys: list[str], settings: Settings, caller: Caller
) -> Iterator[Action]:
    from alpaca.data.enums import CorporateActionsType
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.requests import CorporateActionsRequest

    from data.sources.alpaca_http import Adapter

    client = CorporateActionsClient(keys[0], keys[1], raw_data=True, url_override=settings.apca_data_url)
    for scheme in ("https://", "http://"):
        client._session.mount(scheme, Adapter(caller))
    kinds = ("forward_split", "reverse_split", "stock_dividend", "cash_dividend", "name_change")
    asked = CorporateActionsRequest(
        symbols=list(symbols), types=[CorporateActionsType(kind) for kind in kinds], start=first, end=today
    )
    told: Any = client.get_corporate_actions(asked)
    for kind, rows in told.items():
        for row in rows:
            if kind in ("forward_splits", "reverse_splits"):
                yield Action(row["symbol"], _date(row["ex_date"]), "split", row["new_rate"] / row["old_rate"])
            elif kind == "stock_dividends":
                yield Action(row["symbol"], _date(row["ex_date"]), "split", 1.0 + row["rate"])
            elif kind == "cash_dividends" and not row.get("foreign"):
                yield Action(row["symbol"], _date(row["ex_date"]), "dividend", float(row["rate"]))
            elif kind == "name_changes":
                yield Action(row["old_symbol"], _date(row["process_date"]), "rename", 1.0, row["new_symbol"])


def _date(text: str) -> int:
    return as_yyyymmdd(parse_day(text))


_Ask = Callable[[Sequence[str], dt.date, dt.date, list[str], Settings, Caller], Iterator[Action]]
_VENDORS: dict[str, _Ask] = {"alpaca": _alpaca, "polygon": _polygon}
