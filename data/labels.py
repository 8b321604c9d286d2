"""When the rows of a frame closed: times as found become close instants, UTC nanoseconds, or one clear error."""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np

from data.calendar import CLOCKS, DAY_SECONDS, NEW_YORK, SECOND_NS, closes_of, parse_clock, session_columns, utc
from data.errors import DataError
from data.types import Ints

Label = Literal["start", "close"]


class ZoneError(DataError):
    """Times without a zone, where one is needed."""


class Times(NamedTuple):
    """One symbol's times as found: (T,) UTC nanoseconds; naive ones (without a zone) are counted as if UTC."""

    ns: Ints
    naive: bool


def read_times(values: Any, symbol: str) -> Times:
    """Times of any kind: with a zone or without, dates, text, epoch numbers."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return Times(_epoch(values.to_numpy(), symbol), False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # text in no one format is read piece by piece
            try:
                index = pd.DatetimeIndex(pd.to_datetime(values))
            except ValueError:
                index = pd.DatetimeIndex(pd.to_datetime(values, utc=True))  # offsets that change with summer time
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"frame of {symbol!r}: times cannot be read ({reason})") from None
    if index.hasnans:
        raise DataError(f"frame of {symbol!r}: row {int(np.argmax(index.isna()))} has no time; drop it or fill it in")
    try:
        return Times(index.as_unit("ns").asi8, index.tz is None)
    except (ValueError, OverflowError):
        raise DataError(f"frame of {symbol!r}: {index[0]} is beyond what nanoseconds can say; check the unit") from None


def find_clock(times: dict[str, Times], clock: str | None) -> str:
    """The clock of the rows: as given and then checked, or the smallest step."""
    if clock is not None:
        parse_clock(clock)
    for symbol, table in times.items():
        check_order(table.ns, symbol)
    steps = [step for table in times.values() if len(step := _steps(table))]
    if not steps:
        if clock is None:
            raise DataError("one row does not tell its clock; give clock='1d' or another")
        return clock
    smallest = min(int(step.min()) for step in steps)
    # A clock hour may be lost or won on the way from one daily row to the next.
    found = DAY_SECONDS if smallest >= 20 * 3_600 * SECOND_NS else smallest / SECOND_NS
    named = next((name for name, seconds in CLOCKS.items() if seconds == found), None)
    if clock is None:
        if named is None:
            raise DataError(f"rows are {found:g} s apart at least, which is no clock; there is {', '.join(CLOCKS)}")
        return named
    if found < CLOCKS[clock]:
        raise DataError(f"rows are {found:g} s apart at least, too close for {clock}; is it {named or 'another'}?")
    rows = sum(len(step) for step in steps)
    if found > CLOCKS[clock] and rows > 20:
        raise DataError(f"no two of {rows} rows are less than {found:g} s apart; is the clock {named or 'another'}?")
    return clock


def _steps(table: Times) -> Ints:
    """Nanoseconds from row to row; without those of a session's last row, if others are left: it may be short."""
    step = np.diff(table.ns)
    if not table.naive and len(step):
        whole = session_columns(table.ns[1:], "1m")[2] != 0
        step = step[whole] if whole.any() else step
    return step


def close_times(table: Times, clock: str, label: Label, symbol: str) -> Ints:
    """(T,) UTC nanoseconds of the rows' closes."""
    if clock == "1d":
        return _daily_closes(table, symbol)
    if table.naive:
        raise ZoneError(
            f"bars for {symbol!r}: times have no zone, first {utc(int(table.ns[0]))[:-4]}; say which, for example "
            "frame.index = frame.index.tz_localize('America/New_York')"
        )
    if label == "close":
        return table.ns
    step = CLOCKS[clock] * SECOND_NS
    _, since_open, to_close = session_columns(table.ns + 1, clock)  # just after the start: the session it is in
    left = np.rint(to_close * SECOND_NS).astype(np.int64) + 1
    within = (since_open > 0) & (left > 0)
    # The last row of a session ends with it: an hour clock's is half as long.
    return table.ns + np.where(within, np.minimum(step, left), step)


def check_order(times: Ints, symbol: str) -> None:
    """Refuse times that are not strictly increasing."""
    step = np.diff(times)
    if (step == 0).any():
        t = int(np.argmax(step == 0))
        raise DataError(
            f"bars for {symbol!r}: {int((step == 0).sum())} duplicate times, first {utc(int(times[t]))}; "
            "keep one row of each: frame[~frame.index.duplicated()]"
        )
    if (step < 0).any():
        t = int(np.argmax(step < 0))
        raise DataError(
            f"bars for {symbol!r}: {utc(int(times[t + 1]))} comes after {utc(int(times[t]))}; "
            "sort the rows: frame.sort_index()"
        )


def _epoch(values: Any, symbol: str) -> Ints:
    """Epoch numbers as nanoseconds; the unit is told by the size: 10 digits are seconds, 13 ms, 16 us, 19 ns."""
    numbers = np.asarray(values)
    if numbers.dtype.kind == "f" and not (np.isfinite(numbers) & (numbers == np.floor(numbers))).all():
        raise DataError(f"frame of {symbol!r}: epoch times are not whole numbers; give int64 or datetimes")
    largest = int(np.abs(numbers).max()) if len(numbers) else 0
    if 19_000_000 < largest < 100_000_000:  # 20240102: a date written as a number
        import pandas as pd

        dates = pd.to_datetime(pd.Series(numbers.astype(np.int64)).astype(str), format="%Y%m%d", errors="coerce")
        if not dates.isna().any():
            return np.asarray(pd.DatetimeIndex(dates).as_unit("ns").asi8)
    for below, scale in ((10**11, SECOND_NS), (10**14, 10**6), (10**17, 10**3), (2**63, 1)):
        if largest < below:
            return numbers.astype(np.int64) * scale
    raise DataError(f"frame of {symbol!r}: {largest} is not an epoch time; give int64 or datetimes")


def _daily_closes(table: Times, symbol: str) -> Ints:
    """Closes of the sessions that daily rows name: by date, by midnight (New York or UTC), or by the close itself."""
    import pandas as pd

    utc_times = pd.DatetimeIndex(table.ns.view("datetime64[ns]"), tz="UTC")
    for index in (utc_times,) if table.naive else (utc_times.tz_convert(NEW_YORK), utc_times):
        if (index == index.normalize()).all():
            return closes_of(np.asarray(index.strftime("%Y%m%d").astype(np.int64)))
    local = utc_times if table.naive else utc_times.tz_convert(NEW_YORK)
    dates = np.asarray(local.strftime("%Y%m%d").astype(np.int64))
    if not table.naive and (closes_of(dates) == table.ns).all():
        return table.ns
    odd = int(np.argmax(np.asarray(local != local.normalize())))
    raise DataError(
        f"bars for {symbol!r}: daily row {odd} is at {utc(int(table.ns[odd]))}, neither a date, nor midnight, nor "
        "a session's close; give session dates"
    )
