"""What goes wrong between a client and the sandbox's brokers, scripted or drawn from a seed, the same in every run.

    place.lost@1,look.503=0.1,order.partial@2;seed=7

The first word is the operation (`place`, `cancel`, `look`, `review`, `token`, or `any`), the second what happens to it;
`@2` hits the second one, `@1-3` the first three, `=0.1` each with that chance. `BrokerFaults.injected` lists what was
done.

| requests | the broker |
|---|---|
| `drop` | hangs up before it reads: nothing happened |
| `429`, `429-after` | is busy, without and with Retry-After: nothing happened |
| `500`, `503` | failed before it did anything |
| `401` | does not know the token any more |
| `lost` | does what it was asked and hangs up without an answer |
| `500-after`, `502-after`, `504-after` | does it, and answers that it failed |
| `malformed`, `cut` | does it, and the answer is garbage, or ends half-way |
| `slow`, `hang` | does it, and answers late, or never |

| orders | |
|---|---|
| `order.partial` | half is filled, the rest stays |
| `order.hold` | it rests, whatever the price |
| `order.late-reject` | it is accepted, then rejected |
| `order.late-fill` | it rests, and fills when it is cancelled |
| `order.slow-cancel` | it rests, and its cancel takes five requests |
| `order.lag` | its executions are listed later than their sum |
"""

from __future__ import annotations

import random
import re

from data.errors import UsageError

OPERATIONS = ("any", "place", "cancel", "look", "review", "token")
BEFORE = ("drop", "429", "429-after", "500", "503", "401")
AFTER = ("lost", "500-after", "502-after", "504-after", "malformed", "cut", "slow", "hang")
FATES = ("partial", "hold", "late-reject", "late-fill", "slow-cancel", "lag")
_PART = re.compile(r"(\w+)\.([\w-]+)(?:@(\d+)(?:-(\d+))?|=([\d.]+))")


class BrokerFaults:
    """The plan of a run; `BrokerFaults()` has none. counts: how many of each operation came."""

    def __init__(self, plan: str = "") -> None:
        text, _, seed = plan.partition(";")
        self.injected: list[tuple[str, str]] = []
        self.counts: dict[str, int] = {}
        self._chance = random.Random(int(seed.strip().removeprefix("seed=") or 0))
        self._rules: list[tuple[str, str, range, float]] = []
        self.add(text)

    def add(self, plan: str) -> None:
        """Let more go wrong; the numbers after `@` count from now on.

        Raises:
            UsageError: a part that cannot be read, or names what does not exist.
        """
        for part in filter(None, (each.strip() for each in plan.split(","))):
            match = _PART.fullmatch(part)
            known = FATES if part.startswith("order.") else BEFORE + AFTER
            if match is None or match[2] not in known or match[1] not in (*OPERATIONS, "order"):
                raise UsageError(f"{part!r} is no fault; write place.lost@1 or look.503=0.1 (see broker_faults.py)")
            operation, name, first, last, chance = match.groups()
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

    def _hit(self, operation: str, names: tuple[str, ...], what: str = "") -> str:
        self.counts[operation] = self.counts.get(operation, 0) + 1
        for of, name, hits, chance in self._rules:
            if of in names and (self.counts[of] in hits or (chance and self._chance.random() < chance)):
                self.injected.append((what or operation, name))
                return name
        return ""
