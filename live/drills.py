"""Disasters as drills: each is played on this machine, on paper or against the sandbox, and judged by its outcome.

What is judged is what a person needs to know in the real case: that nothing was sent twice, that the books are equal,
that it went on by itself where it should, and that it said so where it should not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from data.door import did_you_mean
from data.errors import ConfigError, UsageError
from live.drills_loss import copied
from live.drills_paper import clock_jump, disk_full
from live.drills_parts import Drilled, Step
from live.drills_sandbox import l2_outage, rate_limit, token_expiry
from live.drills_window import not_copied


def drill(name: str, folder: Path) -> Drilled:
    """Play a disaster.

    Args:
        folder: for accounts, journals and logs; must hold nothing.

    Raises:
        UsageError: no drill of this name. ConfigError: the folder holds something.
    """
    if name not in DRILLS:
        raise UsageError(f"there is no drill {name!r}{did_you_mean(name, DRILLS)}")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; name a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Drilled(name, f"docs/runbooks/{name}.md", list(DRILLS[name](folder)))


def vps_loss(folder: Path) -> Iterator[Step]:
    """A lost host three times: all was copied, the last entry was not, the last exit was not."""
    acts = {
        "all copied": copied(folder / "copied"),
        "an entry not copied": not_copied(folder / "entry", "entry"),
        "an exit not copied": not_copied(folder / "exit", "exit"),
    }
    for name, act in acts.items():
        for step in act:
            yield Step(f"{name}: {step.what}", step.ok, step.said)


DRILLS: dict[str, Callable[[Path], Iterator[Step]]] = {
    "vps-loss": vps_loss,
    "l2-outage": l2_outage,
    "rate-limit": rate_limit,
    "token-expiry": token_expiry,
    "disk-full": disk_full,
    "clock-jump": clock_jump,
}
