"""What goes wrong in the sandbox, and when: scripted or drawn from a seed, the same in every run.

    429=0.05,cut@3,ws.stall=2/h,ws.cut@90s,late=0.01;seed=11

`=0.05` hits each request (or stream message) with that chance, `@3` the third one, `=2/h` comes twice an hour of the
tape on average, `@90s` once on every stream, 90 seconds after the start or as soon as somebody is served after it. What
was injected is listed in `Faults.injected`.

| requests | |
|---|---|
| `429`, `429-after` | too many requests, without and with Retry-After |
| `500`, `503` | the vendor failed |
| `401`, `403` | the key, or the plan, is refused |
| `cut` | the connection ends half-way through the body |
| `drip` | the body comes in small pieces |
| `malformed` | a body that is not JSON |
| `hang` | no answer |

| streams | |
|---|---|
| `ws.drop`, `ws.duplicate`, `ws.reorder`, `ws.late` | a message lost, sent twice, after its successor, after its bar |
| `ws.stall` | connected and silent until the client leaves |
| `ws.cut`, `ws.close` | the connection is reset, or closed in good order |
| `ws.limit` | cut, and the key's one connection counts as taken for 90 s of the tape |
| `ws.lost` | cut, and the next subscription is accepted and forgotten |
| `ws.slow` | the client is told that it is slow, and closed |
| `ws.stale` | messages come ten seconds late for a minute |
| `ws.garbage` | a frame that is not of the protocol |
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from data.door import did_you_mean
from data.errors import UsageError

REQUEST = ("429", "429-after", "500", "503", "401", "403", "cut", "drip", "malformed", "hang")
MESSAGE = ("ws.drop", "ws.duplicate", "ws.reorder", "ws.late")
MOMENT = ("ws.stall", "ws.cut", "ws.close", "ws.limit", "ws.lost", "ws.slow", "ws.stale", "ws.garbage")
HOUR_S = 3600.0


class Injected(NamedTuple):
    """A fault that happened. ts: the tape's time. what: the request, or the message."""

    ts: int
    name: str
    what: str


class Faults:
    """The plan of a run; `Faults()` has none."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.injected: list[Injected] = []
        self._chance: dict[str, float] = {}
        self._nth: dict[str, set[int]] = {}
        self._hourly: dict[str, float] = {}
        self._at: dict[str, list[float]] = {}
        self._requests = 0

    @classmethod
    def parse(cls, text: str) -> Faults:
        """The plan of a text such as `429=0.05,cut@3,ws.stall=2/h;seed=11`.

        Raises:
            UsageError: a fault that does not exist, or a rate that cannot be read.
        """
        plan, _, seed = text.partition(";")
        faults = cls(int(_number(seed.strip().removeprefix("seed="), text)) if seed.strip() else 0)
        for part in filter(None, (each.strip() for each in plan.split(","))):
            name, sign, value = part.partition("@") if "@" in part else part.partition("=")
            if name not in (known := (*REQUEST, *MESSAGE, *MOMENT)):
                raise UsageError(
                    f"there is no fault {name!r}{did_you_mean(name, known)} (live/sandbox/faults.py lists them)"
                )
            if not sign or (name in MOMENT) != value.endswith(("/h", "s")):
                shapes = f"{name}=2/h or {name}@90s" if name in MOMENT else f"{name}=0.05 or {name}@3"
                raise UsageError(f"{part!r} says not when; write {shapes}")
            faults._add(name, sign, value, part)
        return faults

    def _add(self, name: str, sign: str, value: str, part: str) -> None:
        if name in MOMENT and sign == "=":
            self._hourly[name] = _number(value.removesuffix("/h"), part)
        elif name in MOMENT:
            self._at.setdefault(name, []).append(_number(value.removesuffix("s"), part))
        elif sign == "@":
            self._nth.setdefault(name, set()).add(int(_number(value, part)))
        else:
            self._chance[name] = _number(value, part)
            if not 0.0 <= self._chance[name] <= 1.0:
                raise UsageError(f"{part!r} is not a chance from 0 to 1")

    def of_request(self, ts: int, what: str) -> str:
        """The fault of the next request, or ""."""
        self._requests += 1
        for name in REQUEST:
            if self._hits(name, self._requests):
                self.note(ts, name, what)
                return name
        return ""

    def of_message(self, name: str, ordinal: int) -> bool:
        """Whether this fault of `MESSAGE` hits the message of that number."""
        return self._hits(name, ordinal)

    def moments(self, length_s: float) -> Iterator[tuple[float, str]]:
        """(seconds after the start, fault of `MOMENT`), in order."""
        found = [(at, name) for name, times in self._at.items() for at in times]
        for name, rate in self._hourly.items():
            chance = random.Random(f"{self.seed} {name}")
            at = 0.0
            while rate > 0.0 and (at := at + chance.expovariate(rate / HOUR_S)) < length_s:
                found.append((at, name))
        return iter(sorted(found))

    def is_scripted(self, at_s: float, name: str) -> bool:
        """Whether the plan names this moment by its second."""
        return at_s in self._at.get(name, ())

    def note(self, ts: int, name: str, what: str) -> None:
        """Remember that a fault happened."""
        self.injected.append(Injected(ts, name, what))

    def _hits(self, name: str, ordinal: int) -> bool:
        if ordinal in self._nth.get(name, ()):
            return True
        chance = self._chance.get(name, 0.0)
        if chance <= 0.0:
            return False
        return zlib.crc32(f"{self.seed} {name} {ordinal}".encode()) < chance * 2**32


def _number(text: str, part: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} in {part!r} is not a number") from None
