"""What the market data is good for just now: from a book down to quotes, down to nothing, and slowly back.

    L2 -> L1 -> bars -> none      at once, when a part goes stale
    none -> ... -> L2             only after it was fresh for `recover_s` without a break

Pure: told of the feed's words and of time, asked for a level. A level that flickers is not one to open positions on.
"""

from __future__ import annotations

from data.calendar import SECOND_NS
from data.rows import FeedNews
from live.account import Level

ORDER = ("none", "bars", "L1", "L2")
RECOVER_S = 30.0
SILENT_S = 5.0
"""A feed says how it stands once a second; after so long without a word it is not believed to be fresh."""


class Standing:
    """The level of one account's feed.

    Args:
        needs: the least level at which positions are opened.
        recover_s: how long something must be fresh again before it counts. silent_s: without a word it is stale.
    """

    def __init__(self, needs: Level, *, recover_s: float = RECOVER_S, silent_s: float = SILENT_S) -> None:
        self.needs = needs
        self.parts: dict[str, FeedNews] = {}
        self.level = "none"
        self._recover_ns, self._silent_ns = int(recover_s * SECOND_NS), int(silent_s * SECOND_NS)
        self._better_since: dict[str, int] = {}
        self._ever = False

    def heard(self, news: FeedNews) -> None:
        """How a part of the feed stands."""
        self.parts[news.name] = news

    def lost(self, ts: int, why: str) -> None:
        """The feed's process is gone: nothing of it is fresh."""
        for name, part in list(self.parts.items()):
            self.parts[name] = FeedNews(ts, name, "stale", "none", part.age_s, part.gaps, why)
        self.look(ts)

    def look(self, now: int) -> str:
        """The level as of now; to be asked at least once a second."""
        offered = self.offered(now)
        for level in ORDER[1:]:  # since when at least this much was offered without a break
            if ORDER.index(offered) >= ORDER.index(level):
                self._better_since.setdefault(level, now)
            else:
                self._better_since.pop(level, None)
        if ORDER.index(offered) <= ORDER.index(self.level):
            self.level = offered
        else:
            at_first = not self._ever
            steady = [
                level
                for level in ORDER[1:]
                if level in self._better_since and (at_first or now - self._better_since[level] >= self._recover_ns)
            ]
            if steady and ORDER.index(steady[-1]) > ORDER.index(self.level):
                self.level = steady[-1]
        self._ever = self._ever or self.level != "none"
        return self.level

    def offered(self, now: int) -> str:
        """What the parts give at this moment, steady or not: no book helps where the rows do not come."""
        fresh = {
            name: part
            for name, part in self.parts.items()
            if part.state == "fresh" and -self._silent_ns <= now - part.ts <= self._silent_ns
        }
        streams = [part.level for name, part in fresh.items() if name != "book"]
        if not streams or "none" in streams:
            return "none"
        best = max(streams, key=ORDER.index)
        return "L2" if "book" in fresh and fresh["book"].level == "L2" else best

    def against(self) -> str:
        """Why no positions are opened on this; "" where they are."""
        if ORDER.index(self.level) >= ORDER.index(self.needs):
            return ""
        reasons = [f"{part.name}: {part.reason or part.state}" for part in self.parts.values() if part.state != "fresh"]
        told = f" ({'; '.join(reasons)})" if reasons else ""
        have = "no market data" if self.level == "none" else f"only {self.level}"
        return f"{have}, {self.needs} is needed{told}"
