"""Is the exchange open now: asked of every message, so a day's answer is kept."""

from __future__ import annotations

import datetime as dt

from data import calendar
from data.calendar import NEW_YORK, SECOND_NS, Session


class Hours:
    """Regular sessions, one day at a time."""

    def __init__(self) -> None:
        self._start = self._end = 0
        self._session: Session | None = None

    def session(self, ts: int) -> Session | None:
        """The session of the New York day in which `ts` lies."""
        if not self._start <= ts < self._end:
            day = dt.datetime.fromtimestamp(ts // SECOND_NS, NEW_YORK).date()
            midnight = dt.datetime.combine(day, dt.time(), NEW_YORK)
            following = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), NEW_YORK)
            self._start, self._end = (int(each.timestamp()) * SECOND_NS for each in (midnight, following))
            self._session = next(iter(calendar.sessions(day, day)), None)
        return self._session

    def open_since(self, ts: int) -> int | None:
        """When the session that is open at `ts` opened; None while the exchange is closed."""
        session = self.session(ts)
        return session.open_ns if session is not None and session.open_ns < ts <= session.close_ns else None

    def is_extended(self, close_ts: int) -> bool:
        """True for a bar that closed outside the regular session."""
        return self.open_since(close_ts) is None


class AlwaysOpen(Hours):
    """A market that never closes."""

    def open_since(self, ts: int) -> int | None:  # noqa: ARG002  # every instant is as good
        return 0

    def is_extended(self, close_ts: int) -> bool:  # noqa: ARG002  # it has no regular session to lie outside
        return False
