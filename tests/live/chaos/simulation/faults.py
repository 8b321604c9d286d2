"""The faults of one schedule: which there are, how often, and what each one met.

Names are those of the acceptance plan. A schedule draws a handful of them (a swarm), so that rare ones come
alone and in company, and a schedule without any comes by too.
"""

from __future__ import annotations

import random
from collections import Counter

FAULTS: dict[str, str] = {
    "F01": "the process is killed at a labelled point",
    "F02": "power is lost: writes that were not synced are gone, the last one torn; or a bit of the journal flips",
    "F03": "the disk answers with an I/O error",
    "F04": "the disk is full",
    "F05": "the network is gone before a request leaves",
    "F06": "the answer is lost after the broker has acted",
    "F07": "a connection that drips: the answer takes most of its deadline",
    "F08": "HTTP 429, with and without Retry-After",
    "F09": "HTTP 500, 502, 503 before and after the broker has acted",
    "F10": "a request times out, and arrives at once, later, or never",
    "F11": "a malformed answer",
    "F12": "HTTP 200 with an error in it, or with no body",
    "F13": "the token expires between check and send",
    "F14": "rows come twice, late, not at all, crossed or with an old book; news of orders comes twice or is lost",
    "F15": "a burst of rows that were held back",
    "F16": "the feed is silent",
    "F17": "the book falls back from L2 to L1, and comes back",
    "F18": "the feed refuses the connection",
    "F19": "the clock jumps, or runs off",
    "F20": "the process is stopped for seconds to a minute",
    "F21": "fills in parts, before the acknowledgement, after the cancel, or taken back",
    "F22": "refusals, and a rejection after the acknowledgement",
    "F23": "cancels that come late, twice, or get lost",
    "F24": "trades and orders by hand in the broker's app",
    "F25": "a second runner starts for the account",
    "F29": "a corporate action: shares split overnight",
    "F30": "a half day, the open, the close, a change of the clocks, the next session",
    "F31": "a trading halt",
    "F32": "bad prints: zero, ten times, a tenth, none",
    "F33": "maintenance, or an account restricted to closing",
    "F34": "the host is lost: another one goes on from a backup that is minutes old",
    "F37": "a person halts, resumes or flattens",
    "F38": "a strategy that always wants more, with absurd sizes, that flips, or that fails",
    "F40": "a sync of the journal takes seconds",
}

REQUEST = ("F05", "F06", "F07", "F08", "F09", "F10", "F11", "F12", "F13")
"""Drawn for each request."""


class Weather:
    """What a schedule does to its process.

    Args:
        chance: of the schedule. only: draw these alone.
    """

    def __init__(self, chance: random.Random, only: tuple[str, ...] = ()) -> None:
        self._chance = chance
        self.odds: dict[str, float] = {}
        count = chance.choice([0, 2, 4, 6, 8, 12])
        drawn = chance.sample(sorted(FAULTS), count)
        for name in only or drawn:
            self.odds[name] = chance.choice([0.05, 0.12, 0.3])
        self.met: Counter[tuple[str, str]] = Counter()
        self.calm = False

    def has(self, name: str) -> bool:
        """Whether the schedule has this fault at all."""
        return name in self.odds

    def strikes(self, name: str, scale: float = 1.0) -> bool:
        """Whether it strikes now; never once the schedule is calm."""
        odds = self.odds.get(name)
        return odds is not None and not self.calm and self._chance.random() < odds * scale

    def request(self, scale: float) -> str:
        """The fault of one request, "" for none."""
        if self.calm:
            return ""
        for name in REQUEST:
            if self.strikes(name, scale):
                return name
        return ""
