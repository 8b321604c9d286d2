"""Samples of the host: memory, processors, disks, and what a month costs."""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data.calendar import SECOND_NS, sessions
from data.errors import ConfigError, DataError
from data.settings import CHECKOUT
from live.metrics.names import Sample

PICO = 10**12
"""The notes' journal counts picodollars."""
BUDGET = 5.0
JOURNAL = "backtests/runs/patterns.sqlite"
"""What `[patterns]` in onetape.toml has where it says nothing: dollars a month, and the journal of calls."""


def measure_host(states: Iterable[Path]) -> list[Sample]:
    """Memory, processors since the last call, and the fullest of the disks that hold `states`."""
    import psutil

    samples = [
        Sample("onetape_host_memory_used_ratio", (), psutil.virtual_memory().percent / 100.0),
        Sample("onetape_host_cpu_used_ratio", (), psutil.cpu_percent(interval=None) / 100.0),
    ]
    disks = [psutil.disk_usage(str(_existing(state))) for state in sorted(set(states))]
    if disks:
        fullest = max(disks, key=lambda disk: disk.percent)
        samples.append(Sample("onetape_host_disk_used_ratio", (), fullest.percent / 100.0))
        samples.append(Sample("onetape_host_disk_free_bytes", (), float(fullest.free)))
    return samples


def measure_market(now_ns: int) -> Sample:
    """Whether the exchange is open; beyond the calendar it is said to be, so that nothing is kept quiet."""
    day = dt.datetime.fromtimestamp(now_ns // SECOND_NS, dt.UTC).date()  # a session lies within one day of UTC
    try:
        is_open = any(session.open_ns <= now_ns < session.close_ns for session in sessions(day, day))
    except DataError:
        is_open = True
    return Sample("onetape_market_open", (), float(is_open))


def _existing(path: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))


class Costs:
    """What a month costs: fixed costs of the `[operations.costs]` table of onetape.toml, and notes as they are asked.

        [operations.costs]      # dollars a month
        server = 12
        market_data = 199

    Args:
        root: folder of onetape.toml.

    Raises:
        ConfigError: the file cannot be read, or a cost is not a number of dollars.
    """

    def __init__(self, root: Path = CHECKOUT) -> None:
        table = _toml(root / "onetape.toml")
        self.fixed = 0.0
        for name, dollars in _table(_table(table, "operations"), "costs", "operations.").items():
            if not isinstance(dollars, int | float) or isinstance(dollars, bool) or not 0.0 <= dollars < math.inf:
                raise ConfigError(f"operations.costs.{name} must be a number of dollars a month, got {dollars!r}")
            self.fixed += dollars
        notes = _table(table, "patterns")
        self._budget = float(notes.get("budget", BUDGET))
        self._journal = root / Path(str(notes.get("journal", JOURNAL))).expanduser()

    def measure(self, now_ns: int) -> list[Sample]:
        """Samples of this month."""
        spent = self._spent(f"{dt.datetime.fromtimestamp(now_ns // SECOND_NS, dt.UTC):%Y-%m}")
        samples = []
        if spent is not None:
            samples.append(Sample("onetape_llm_spent_dollars", (), spent))
            samples.append(Sample("onetape_llm_budget_dollars", (), self._budget))
            if self._budget > 0.0:
                samples.append(Sample("onetape_llm_budget_used_ratio", (), spent / self._budget))
        if self.fixed or spent:
            samples.append(Sample("onetape_month_cost_dollars", (), self.fixed + (spent or 0.0)))
        return samples

    def _spent(self, month: str) -> float | None:
        """Dollars of a month's notes, the bounds of open calls included; None where none were ever asked for."""
        if not self._journal.is_file():
            return None
        import apsw

        query = "SELECT coalesce(sum(coalesce(cost, bound)), 0) FROM calls WHERE month = ?"
        try:
            db: Any = apsw.Connection(str(self._journal), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                (spent,) = db.execute(query, (month,)).fetchone()
            finally:
                db.close()
        except apsw.Error:
            return None  # not there yet, or being made
        return float(spent) / PICO


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path.name} cannot be read ({error})") from None


def _table(table: dict[str, Any], name: str, above: str = "") -> dict[str, Any]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"[{above}{name}] in onetape.toml must be a table, got {found!r}")
    return found
