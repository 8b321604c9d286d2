"""Corporate actions: splits, dividends and renames as events, applied to raw prices when they are read.

A price is kept as it was printed. What a split or a dividend does to the rows before it is worked out on read, from
the actions whose date has come: history as of a day knows nothing of a later one.

    split     prices before its date / value, volume * value     4.0: four new shares for one; 0.1: one for ten
    dividend  prices before its date * close / (close + value)   close: of the first session from its date on

The dividend's factor makes the return over its date (close + value) / previous close, what an owner had who bought
more for it at that close. Source: Quandl WIKI documentation ("adjusted prices"), whose files this reproduces to the
last digits. Volume is left alone by dividends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from data.calendar import as_yyyymmdd, is_regular, parse_day
from data.errors import DataError, UsageError
from data.types import PRICES, Floats, Ints

Kind = Literal["split", "dividend", "rename"]
KINDS = ("split", "dividend", "rename")
NOTICEABLE = 1.25
"""Splits by less than this cannot be told from an ordinary night."""
NEIGHBOURS_DAYS = 10
"""A close further back says nothing about the jump at a split."""
CLOSE = PRICES.index("close")
NEVER = 99_999_999


class Action(NamedTuple):
    """One corporate action of `symbol`, as it was called on `date` (yyyymmdd: the first day that trades after it).

    value: new shares for one (split), cash per share of that day in quote currency (dividend), 1 (rename).
    to: the new name (rename). recv_ts: when it reached us, UTC ns; 0: not said.
    """

    symbol: str
    date: int
    kind: Kind
    value: float
    to: str = ""
    recv_ts: int = 0


class Span(NamedTuple):
    """A name and the sessions, from `first` to before `until` (yyyymmdd), in which it meant one company."""

    symbol: str
    first: int
    until: int


def checked(actions: Iterable[Action]) -> list[Action]:
    """The actions by symbol and date; splits of one symbol on one date multiplied, its dividends added.

    Raises:
        DataError: an unknown kind, a date that is none, a split of zero or less, a negative dividend, a rename to
            nothing or to itself.
    """
    joined: dict[tuple[str, int, str], Action] = {}
    for action in actions:
        _check(action)
        key = (action.symbol, action.date, action.kind)
        if key in joined and action.kind != "rename":
            before = joined[key].value
            value = before * action.value if action.kind == "split" else before + action.value
            action = action._replace(value=value)
        joined[key] = action
    return sorted(joined.values())


def _check(action: Action) -> None:
    try:
        as_yyyymmdd(parse_day(action.date))
    except UsageError as error:
        raise DataError(f"{action.kind} of {action.symbol!r}: {error}") from None
    what = f"{action.kind} of {action.symbol!r} on {parse_day(action.date)}"
    if action.kind not in KINDS:
        raise DataError(f"{what}: there is no such action; there is {', '.join(KINDS)}")
    if action.kind == "split" and not 0.0 < action.value < float("inf"):
        raise DataError(f"{what}: {action.value!r} new shares for one; give 4 for 4:1, 0.1 for 1:10")
    if action.kind == "dividend" and not 0.0 <= action.value < float("inf"):
        raise DataError(f"{what}: {action.value!r} a share; give the cash amount")
    if action.kind == "rename" and action.to in ("", action.symbol):
        raise DataError(f"{what}: {action.to!r} is not a new name")


def lineage(symbol: str, renames: Sequence[Action], until: int = NEVER) -> list[Span]:
    """The names under which `symbol`'s history was printed, newest first.

    Args:
        renames: those that are known. until: the day (yyyymmdd) after the last one to look at.
    """
    spans: list[Span] = []
    name = symbol
    while True:
        known = [each for each in renames if each.date < until]
        came = max((each for each in known if each.to == name), key=lambda each: each.date, default=None)
        left = max((each.date for each in known if each.symbol == name), default=0)
        if came is None or came.date < left:
            spans.append(Span(name, left, until))  # `left`: the day an earlier owner gave the name up
            return spans
        spans.append(Span(name, came.date, until))
        name, until = came.symbol, came.date


def newer_name(symbol: str, renames: Sequence[Action]) -> str:
    """What a symbol that gave up its name is called now; "" where it did not."""
    left = max((each for each in renames if each.symbol == symbol), key=lambda each: each.date, default=None)
    return left.to if left is not None else ""


def adjust(
    columns: Floats, session: Ints, since_open: Floats, to_close: Floats, actions: Sequence[Action], adjustment: str
) -> Floats:
    """(5, T) raw open, high, low, close, volume as an owner of today's shares would have seen them.

    Args:
        session, since_open, to_close: (T,) as in `data.types.Bars`. actions: of this symbol, as far as known.
        adjustment: `split`, or `all` for dividends as well.

    Raises:
        DataError: the prices do not jump at a split: they are adjusted already.
    """
    shares = np.ones(len(session))
    cash = np.ones(len(session))
    regular = is_regular(since_open, to_close) & np.isfinite(columns[CLOSE])
    for action in actions:
        before = session < action.date
        if action.kind == "split":
            _refuse_double(action, columns, session, regular)
            shares[before] *= action.value
        elif action.kind == "dividend" and adjustment == "all" and action.value:
            after = np.flatnonzero(regular & ~before)
            if len(after):
                day = regular & (session == session[after[0]])
                close = float(columns[CLOSE, day][-1])
                cash[before] *= close / (close + action.value)
    adjusted = np.array(columns)
    adjusted[:4] = adjusted[:4] * cash / shares
    adjusted[4] *= shares
    return adjusted


def _refuse_double(
    action: Action, columns: Floats, session: Ints, regular: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> None:
    jump = jump_at(action.date, columns, session, regular)
    if np.isnan(jump) or max(action.value, 1 / action.value) < NOTICEABLE:
        return
    if abs(np.log(jump)) < abs(np.log(jump * action.value)):
        raise DataError(
            f"prices of {action.symbol!r} do not jump at its split of {action.value:g} for 1 on "
            f"{parse_day(action.date)} (open / close before: {jump:.3f}, expected about {1 / action.value:.3f}): they "
            "are adjusted already, and are not adjusted twice; import them again with --adjustment split"
        )


def jump_at(date: int, columns: Floats, session: Ints, regular: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """First open from `date` on over the last close before it; NaN where one is missing or they lie far apart."""
    before, after = np.flatnonzero(regular & (session < date)), np.flatnonzero(regular & (session >= date))
    if not len(before) or not len(after):
        return float("nan")
    a, b = int(before[-1]), int(after[0])
    if (parse_day(int(session[b])) - parse_day(int(session[a]))).days > NEIGHBOURS_DAYS:
        return float("nan")
    return float(columns[0, b] / columns[CLOSE, a])
