"""Accounts as files: what a runner writes of itself, written by hand."""

import msgspec
import pytest

from live.control import Control, Status
from live.core.plan import Plan
from live.header import Built, Feed, JournalHeader
from live.journal import SqliteJournal

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND  # 2026-09-21 14:13:20 UTC

QUIET = Status(
    account="", strategy="scripted", pid=1, rows=10, ts=NOW, equity=100_000.0, cash=100_000.0, positions={},
    open_orders=0, unknown=0, halted="", gates_closed={}, denied={}, said=NOW,
)  # fmt: skip


class Desk:
    """Account files in `folder`, their state in `state`; `now` is the clock that readers are given."""

    def __init__(self, root, strategy):
        self.folder, self.state, self.now = root / "accounts", root / "state", NOW
        self._strategy = strategy
        self.folder.mkdir()
        self.state.mkdir()

    def clock(self):
        return self.now

    def account(self, name="desk", broker="paper", **more):
        lines = {"name": name, "strategy": "momentum", "broker": broker, "state": str(self.state)} | more
        path = self.folder / f"{name}.toml"
        path.write_text("".join(f'{key} = "{value}"\n' for key, value in lines.items()))
        return path

    def journal(self, name="desk", symbols=("AAA", "BBB")):
        """A new journal, still open."""
        plan = Plan.of(self._strategy, list(symbols), account=name, clock="1m")
        header = JournalHeader(plan, Feed("test", True, ""), Built("code", {}))
        return SqliteJournal.create(self.state / f"{name}.journal", header)

    def says(self, name="desk", **fields):
        """What the runner last said: all is quiet, but for `fields`."""
        status = msgspec.structs.replace(QUIET, **{"account": name, "said": self.now} | fields)
        self.control(name).publish(status)
        return status

    def control(self, name="desk"):
        return Control(self.state, name)

    def pass_(self, seconds):
        self.now += int(seconds * SECOND)


@pytest.fixture
def desk(tmp_path, scripted):
    return Desk(tmp_path, scripted)
