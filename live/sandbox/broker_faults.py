"""What goes wrong between a client and the sandbox's brokers, scripted or drawn from a seed, the same in every run.

    place.lost@1,look.503=0.1,order.partial@2,stream.cut=2/h,account.maintenance@90s;seed=7

The first word is the operation (`place`, `cancel`, `look`, `review`, `token`, or `any`), the second what happens to it;
`@2` hits the second one, `@1-3` the first three, `=0.1` each with that chance. What happens to a stream or an account
as a whole comes at a time: `@90s` after the start, `=2/h` twice an hour of the tape on average.
`BrokerFaults.injected` lists what was done.

| requests | the broker |
|---|---|
| `drop` | hangs up before it reads: nothing happened |
| `stall` | never answers: nothing happened |
| `429`, `429-after`, `429-odd` | is busy, without, with, and with a senseless Retry-After: nothing happened |
| `500`, `502`, `503`, `504` | failed before it did anything |
| `401`, `403` | does not know the token any more; wants the device approved first |
| `lost` | does what it was asked and hangs up without an answer |
| `500-after`, `502-after`, `504-after` | does it, and answers that it failed |
| `malformed`, `cut`, `html`, `null`, `empty` | does it; the answer is half, cut short, a page, null, nothing |
| `type`, `nan`, `huge`, `missing`, `extra` | does it; values are of another type, absurd, missing, too many |
| `error-inside` | does it, and answers 200 with an error inside |
| `slow`, `drip`, `hang` | does it, and answers late, in small pieces, or never |

| orders | |
|---|---|
| `order.partial`, `order.split` | half is filled, the rest stays; it is filled in three parts |
| `order.hold` | it rests, whatever the price |
| `order.early-fill` | its fill is told before its acceptance |
| `order.late-reject` | it is accepted, then rejected |
| `order.late-fill`, `order.ghost-fill` | it rests, and fills when it is cancelled; after its cancel was confirmed |
| `order.slow-cancel` | it rests, and its cancel takes five requests |
| `order.lag` | its executions are listed later than their sum |
| `order.no-cash`, `no-shares`, `no-symbol`, `no-shape`, `no-blocked` | it is refused, each in the broker's own words |

| stream of updates | |
|---|---|
| `stream.drop`, `stream.twice`, `stream.swap` (`=chance`, `@n`) | an update lost, sent twice, after its successor |
| `stream.cut`, `stream.stall` (`=n/h`, `@ns`) | the connection breaks; it stays, and is silent for a minute |

| account (`=n/h`, `@ns`) | |
|---|---|
| `account.maintenance` | every request is answered 503 for a minute |
| `account.logout` | every token is over |
| `account.restrict` | it may not trade any more |
| `account.hand`, `account.hand-order` | a person buys a share, or leaves an order, behind the program's back |
| `account.bust` | the last execution is taken back |
| `account.split` | two shares for one of what is held |
| `account.halt` | the symbol traded last is halted for a minute |
| `account.deposit`, `account.withdrawal`, `account.dividend` | 1,000 dollars come, 500 go, 12.34 come |
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from data.errors import UsageError

OPERATIONS = ("any", "place", "cancel", "look", "review", "token")
BEFORE = ("drop", "stall", "429", "429-after", "429-odd", "500", "502", "503", "504", "401", "403")
SPOILT = ("malformed", "cut", "html", "null", "empty", "type", "nan", "huge", "missing", "extra", "error-inside")
AFTER = ("lost", "500-after", "502-after", "504-after", "slow", "drip", "hang", *SPOILT)
REFUSED = ("no-cash", "no-shares", "no-symbol", "no-shape", "no-blocked")
FATES = (
    "partial", "split", "hold", "early-fill", "late-reject", "late-fill", "ghost-fill", "slow-cancel", "lag", *REFUSED,
)  # fmt: skip
UPDATES = ("drop", "twice", "swap")
PAYMENTS = ("deposit", "withdrawal", "dividend")
MOMENTS = {
    "stream": ("cut", "stall"),
    "account": ("maintenance", "logout", "restrict", "hand", "hand-order", "bust", "split", "halt", *PAYMENTS),
}
WORDS = (*OPERATIONS, "order", *MOMENTS)
MILD = (
    "place.lost=0.03,place.429-after=0.03,place.503=0.02,look.503=0.02,look.cut=0.01,cancel.lost=0.05,any.slow=0.01,"
    "order.partial=0.05,order.split=0.1,order.lag=0.05,stream.twice=0.05,stream.cut=1/h"
)
HARSH = (
    "place.lost=0.1,place.drop=0.06,place.502-after=0.05,place.malformed=0.03,place.cut=0.03,place.error-inside=0.02,"
    "place.429=0.03,place.429-after=0.05,place.503=0.05,review.503=0.05,review.cut=0.03,look.drop=0.03,look.503=0.05,"
    "look.malformed=0.03,look.html=0.02,look.429-after=0.02,cancel.lost=0.1,cancel.504-after=0.05,"
    "cancel.drop=0.05,token.500=0.2,any.slow=0.02,any.drip=0.02,order.partial=0.08,order.split=0.15,"
    "order.early-fill=0.1,order.late-reject=0.04,order.late-fill=0.04,order.slow-cancel=0.04,order.lag=0.1,"
    "stream.drop=0.1,stream.twice=0.1,stream.swap=0.1,stream.cut=6/h,stream.stall=1/h,account.maintenance=0.5/h,"
    "account.halt=0.5/h"
)
PRESETS = {"none": "", "mild": MILD, "harsh": HARSH}
HOUR_S = 3600.0
_PART = re.compile(r"(\w+)\.([\w-]+)(?:@(\d+)(?:-(\d+))?|=([\d.]+)|@([\d.]+)s|=([\d.]+)/h)")


class BrokerFaults:
    """The plan of a run; `BrokerFaults()` has none. counts: of each operation. paused: nothing happens."""

    def __init__(self, plan: str = "") -> None:
        text, _, seed = plan.partition(";")
        self.injected: list[tuple[str, str]] = []
        self.counts: dict[str, int] = {}
        self.paused = False
        self.seed = int(seed.strip().removeprefix("seed=") or 0)
        self._chance = random.Random(self.seed)
        self._rules: list[tuple[str, str, range, float]] = []
        self._times: list[tuple[str, float, float]] = []
        self.add(text)

    def add(self, plan: str) -> None:
        """Let more go wrong; the numbers after `@` count from now on.

        Raises:
            UsageError: a part that cannot be read, or names what does not exist.
        """
        for part in filter(None, (each.strip() for each in PRESETS.get(plan, plan).split(","))):
            match = _PART.fullmatch(part)
            if match is None or match[2] not in _known(match[1], timed=bool(match[6] or match[7])):
                raise UsageError(f"{part!r} is no fault; write place.lost@1 or look.503=0.1 (see broker_faults.py)")
            operation, name, first, last, chance, at, rate = match.groups()
            if at or rate:
                self._times.append((f"{operation}.{name}", float(at or 0.0), float(rate or 0.0)))
                continue
            since = self.counts.get(operation, 0)
            hits = range(since + int(first or 0), since + int(last or first or 0) + 1) if first else range(0)
            self._rules.append((operation, name, hits, float(chance or 0.0)))

    def of_request(self, operation: str) -> str:
        """What happens to this request, or ""."""
        self.counts["any"] = self.counts.get("any", 0) + 1
        return self._hit(operation, ("any", operation))

    def of_order(self, symbol: str) -> str:
        """The fate of the next order, or ""."""
        return self._hit("order", ("order",), symbol)

    def of_update(self, event: str) -> str:
        """What happens to the next update of a stream, or ""."""
        return self._hit("stream", ("stream",), event)

    def moments(self, length_s: float) -> Iterator[tuple[float, str]]:
        """(seconds of the tape after the start, such as `stream.cut`), in order."""
        found = []
        for name, at, rate in self._times:
            if not rate:
                found.append((at, name))
                continue
            chance = random.Random(f"{self.seed} {name}")
            while (at := at + chance.expovariate(rate / HOUR_S)) < length_s:
                found.append((at, name))
        return iter(sorted(found))

    def note(self, what: str, name: str) -> None:
        """Remember that something happened."""
        self.injected.append((what, name))

    def _hit(self, operation: str, names: tuple[str, ...], what: str = "") -> str:
        self.counts[operation] = self.counts.get(operation, 0) + 1
        if self.paused:
            return ""
        for of, name, hits, chance in self._rules:
            if of in names and (self.counts[of] in hits or (chance and self._chance.random() < chance)):
                self.injected.append((what or operation, name))
                return name
        return ""


def of_brokers(part: str) -> bool:
    """Whether a part of a plan, such as `place.lost@1`, is a broker's and not the market's."""
    return part.partition(".")[0] in WORDS


def _known(word: str, *, timed: bool) -> tuple[str, ...]:
    if timed:
        return MOMENTS.get(word, ())
    if word == "order":
        return FATES
    if word == "stream":
        return UPDATES
    return BEFORE + AFTER if word in OPERATIONS else ()
