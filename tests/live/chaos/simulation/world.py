"""One schedule: everything that one seed decides, from the first row to the judgement."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any, Literal

from data.errors import OnetapeError
from live.brokers.wire_orders import Ticket
from live.brokers.wire_route import Patience
from live.core.commands import Alert
from live.core.events import SymbolFacts
from live.core.limits import DEFAULTS
from live.core.orders import Order, State
from live.core.plan import Plan
from live.fleet_files import Restart
from live.fleet_restart import Backoff
from live.header import Feed as FeedOf
from live.header import JournalHeader, built
from live.points import POINTS
from strategies.common.costs import Costs
from strategies.common.load import Strategy, load_strategy
from strategies.common.rule import Rule

from .clock import SECOND, Timeline, ns
from .disk import Disk, DiskSystem
from .faults import Weather
from .market import DAYS, SYMBOLS, Feed, Market, Told
from .process import Gone, Killed, Process
from .route import DIALECTS, Network
from .venue import Order as VenueOrder
from .venue import Venue

CALM_S = 66
"""Virtual seconds after the faults until all must be in order, or a person called: a start, a minute until the books
are compared once more, and what that takes."""
HITS = (
    "intent.written", "sending.applied", "ack.applied", "fill.applied", "unknown.applied", "quarantine.applied",
    "expiry.applied", "refusal.applied", "cancel-ack.applied", "place leaves", "place arrives", "place answered",
    "cancel arrives", "look arrives",
)  # fmt: skip
"""Points behind which a fault of the world may hit at once, so that orders in every state are met by it; what lasts is
noted there."""
REQUESTS = tuple(f"{kind} {when}" for kind in ("place", "cancel", "look", "books") for when in ("arrives", "answered"))
TWINS = {"unknown": State.UNKNOWN, "open": State.WORKING, "due": State.SENDING}
AT_VENUE = {"cancelled": State.CANCELLED, "expired": State.EXPIRED}
CASH = 100_000.0
MOST_LIVES = 5


@dataclass
class Evidence:
    """What the checkers judge: the venue's record, the journal's file, and what was told to people."""

    seed: int
    venue: Venue
    market: Market
    plan: Plan
    strategy: Strategy
    journal: Path
    capabilities: Any
    promises: list[tuple[int, bytes]]
    alerts: list[tuple[int, int, Alert]]
    words: list[tuple[int, str]]
    lives: list[tuple[int, int, str]]
    calm: int
    end: int
    up: bool
    lost: list[str]
    final: Any = None
    errors: list[str] = field(default_factory=list)
    takeovers: list[tuple[int, int]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    external: bool = False
    damaged: bool = False
    refusals: list[tuple[int, int]] = field(default_factory=list)
    stalls: list[tuple[int, int]] = field(default_factory=list)
    processed: dict[int, int] = field(default_factory=dict)
    closed: list[tuple[int, int, int]] = field(default_factory=list)
    digest: str = ""
    met: dict[tuple[str, str], int] = field(default_factory=dict)
    trace: str = ""


@lru_cache(maxsize=1)
def toy() -> Strategy:
    """The strategy of all schedules."""
    return load_strategy(Path(__file__).with_name("toy.py"))


@lru_cache(maxsize=1)
def code() -> Any:
    """What the header says of the code."""
    return built()


class World:
    """A schedule. seed decides everything; system: the file system that its disk is mounted in.

    Args:
        only: faults to draw from, all by default.
        folder: for the schedules that need files of their own (a second runner); None leaves those out.
    """

    def __init__(self, seed: int, system: DiskSystem, only: tuple[str, ...] = (), folder: Path | None = None) -> None:
        self.seed = seed
        self.chance = chance = random.Random(seed)
        self.weather = weather = Weather(chance, only)
        self.dialect = chance.choice(sorted(DIALECTS))
        capabilities = DIALECTS[self.dialect]
        where = chance.choice(["open", "middle", "middle", "close"]) if weather.has("F30") else "middle"
        days = 2 if weather.has("F30") and chance.random() < 0.5 else 1
        self.market = Market.made(
            chance, chance.choice([16, 20, 24]), days=days, where=where if days == 1 else "close",
            day=chance.choice(DAYS) if weather.has("F30") else DAYS[0],
        )  # fmt: skip
        self.timeline = Timeline(self.market.times[0] - 12 * SECOND)
        self.skew = 0
        self.venue = self._venue(capabilities)
        self.network = Network(self.timeline, self.venue, weather, chance, capabilities)
        self.venue.met = self._met_order
        self.network.durable, self.network.met, self.network.point = self._durable, self._met_tickets, self.point
        self.network.elapse = self.elapse
        self.patience = Patience()
        self.strategy = toy()
        self.plan = self._plan(capabilities)
        self.header = JournalHeader(self.plan, FeedOf("toy", True, ""), code())
        self.disk = system.mounted = Disk(self._refused, self._synced)
        self._system = system
        self._robbed: set[int] = set()
        self._graves: list[Process] = []
        self._backoff = Backoff(Restart(), str(seed))
        self.own_files = folder is not None and weather.has("F25")
        self.lock_path = folder / "toy.lock" if self.own_files and folder is not None else None
        self.path = folder / "journal.db" if self.own_files and folder is not None else system.journal
        self.process: Process | None = None
        self.other: Process | None = None
        self.halt_stands: Literal["", "halt", "flatten"] = ""
        self.promises: list[tuple[int, bytes]] = []
        self.alerts: list[tuple[int, int, Alert]] = []
        self.words: list[tuple[int, str]] = []
        self.lives: list[tuple[int, int, str]] = []
        self.takeovers: list[tuple[int, int]] = []
        self.errors: list[str] = []
        self.processed: dict[int, int] = {}
        self.refusals: list[tuple[int, int]] = []
        self.external = self.damaged = False
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()
        self._life = 0
        self._kills = self._planned_kills()
        self._seen: dict[str, int] = {}
        self._inside = self._was_split = False
        self._ambushes: dict[tuple[str, int], list[Callable[[], None]]] = {}
        self._copy: dict[str, bytes] | None = None
        self.stalls: list[tuple[int, int]] = []
        self._sha = hashlib.sha256()
        self.told: list[Told] = []

    # --- what a schedule is made of ---------------------------------------------------------------------------------

    def _venue(self, capabilities: Any) -> Venue:
        chance, weather = self.chance, self.weather
        wild = {"partial": 0.3, "slow_cancel": 0.1}
        if weather.has("F21"):
            wild |= {"partial": 0.7, "early": 0.3, "late_fill": 0.3}
            if chance.random() < 0.1:
                wild["bust"] = 0.05
        if weather.has("F22"):
            wild |= {"late_reject": 0.2, "expire": 0.2}
        if weather.has("F23"):
            wild["slow_cancel"] = 0.5
        return Venue(
            self.timeline, self.market, chance, cash=CASH, dedupes=capabilities.dedupes, shorts=capabilities.shorts,
            visible_s=capabilities.visibility_delay_s, remembers_s=max(capabilities.key_window_s, 1.0), wild=wild,
        )  # fmt: skip

    def _plan(self, capabilities: Any) -> Plan:
        chance, weather = self.chance, self.weather
        touch = capabilities.pairs and chance.random() < 0.5
        shorts = capabilities.shorts and chance.random() < 0.5
        limits = DEFAULTS | {
            "max_order_usd": chance.choice([2_500.0, 6_000.0]),
            "max_order_pct": 10.0,
            "max_position_pct": chance.choice([6.0, 10.0]),
            "max_gross_pct": chance.choice([8.0, 100.0]),
            "max_messages_minute": chance.choice([10, 30]),
            "max_messages_symbol_minute": chance.choice([4, 20]),
            "max_messages_hour": chance.choice([12, 200]),
            "max_entries_symbol_10_minutes": chance.choice([3, 50]),
            "max_entries_symbol_day": chance.choice([10, 100]),
            "cooldown_rows": chance.choice([0, 2]),
            "max_loss_streak": chance.choice([2, 50]),
            "max_stop_outs_day": 50,
            "allow_shorts": shorts,
            "first_entry_s": chance.choice([10.0, 60.0]),
            "last_entry_s": chance.choice([60.0, 300.0]),
            "settled_cash_only": False,
            "day_trade_policy": "off",
            "max_unknown_symbol": chance.choice([1, 2]),
        }
        mood = 0
        if weather.has("F38"):
            mood = chance.choice([1, 2, 3, 4, 5])
        elif chance.random() < 0.3:
            mood = 1
        rule = Rule(
            size=chance.choice([0.02, 0.024, 0.05]), stops="touch" if touch else "close", shorts=shorts,
            flat_before_s=chance.choice([0.0, 30.0]), time_stop=chance.choice([0, 4]), cooldown=chance.choice([0, 1]),
        )  # fmt: skip
        return Plan.of(
            self.strategy, list(SYMBOLS), account="toy", rule=rule, costs=Costs.free(), cash=CASH, broker=self.dialect,
            params={"mood": mood, "trail": chance.choice([0.0, 0.3])}, limits=limits,
            async_cancels=capabilities.cancel_is_async,
        )  # fmt: skip

    def _planned_kills(self) -> dict[tuple[str, int], str]:
        """(point, occurrence) to how the process dies there."""
        chance, plan = self.chance, {}
        for fault, how in (("F01", "killed"), ("F02", "power")):
            if self.weather.has(fault):
                names = chance.sample(POINTS + REQUESTS, 8) + chance.sample(REQUESTS[:2] + POINTS[:24], 4)
                for name in names:
                    plan[(name, chance.randint(1, 3))] = how
        return plan

    def facts_of(self, symbol: str, ts: int, *, halted: bool = False, resumed: int = 0, action: bool = False) -> Any:
        """What is known of a symbol besides its rows."""
        close = self.market.paths[SYMBOLS.index(symbol)][0]
        return SymbolFacts(
            ts, symbol, average_volume=5e6, average_dollar_volume=5e8, reference_close=close, listed_days=5_000,
            is_leveraged=False, has_corporate_action=action, is_halted=halted, resumed_ts=resumed,
            is_easy_to_borrow=True,
        )  # fmt: skip

    # --- what happens -----------------------------------------------------------------------------------------------

    def run(self) -> Evidence:
        """The whole schedule."""
        self._codes()
        self._agenda_of_faults()
        self._do(self._start)
        last = self.market.times[-1]
        self._until(last + ns(1.0))
        calm = self._calm_down()
        self._until(calm + (CALM_S - 12) * SECOND)
        self.venue.frozen = True
        self._until(calm + CALM_S * SECOND)
        return self._evidence(calm)

    def _codes(self) -> None:
        chance = self.chance
        menu = [0, 0, 1, 1, 2, 3, 4, 5] + ([7] if self.weather.has("F38") else [])
        codes = [[chance.choice(menu) for _ in SYMBOLS] for _ in self.market.times]
        rows = self.market.rows(codes, with_book=True)
        wanted = {
            name: self.weather.odds[name]
            for name in ("F14", "F15", "F16", "F17", "F18", "F32")
            if self.weather.has(name)
        }
        self._feed = feed = Feed(rows, chance, wanted)
        self.told = feed.told
        for since, _ in feed.refusals:
            self._plan_at(since, lambda: self._act("F18", self._feed_refused))
        for told in self.told:
            self._plan_at(told.arrives, lambda told=told: self._row(told))  # type: ignore[misc]

    def _agenda_of_faults(self) -> None:
        chance, weather = self.chance, self.weather
        times = self.market.times
        moment = lambda: chance.choice(times) + ns(chance.uniform(-9.0, 9.0))  # noqa: E731
        often = lambda: chance.randint(1, 3)  # noqa: E731
        acts: dict[str, Callable[[], None]] = {
            "F03": self._disk_error, "F04": self._disk_full, "F19": self._clock_jump, "F20": self._stall,
            "F24": self._by_hand, "F25": self._second_runner, "F31": self._halt_symbol, "F33": self._restrict,
        }  # fmt: skip
        for name, act in acts.items():
            if weather.has(name):
                for _ in range(often()):
                    self._plan_at(moment(), lambda name=name, act=act: self._act(name, act))  # type: ignore[misc]
                self._lie_in_wait(name, act)
        if weather.has("F29"):
            if chance.random() < 0.5:
                self._plan_at(times[len(times) // 2], lambda: self._act("F29", self._split))
            else:
                self._lie_in_wait("F29", self._split, most=1)
        if weather.has("F34") and not self.own_files:
            early, late = sorted((moment(), moment()))
            self._plan_at(early, self._back_up)
            if chance.random() < 0.3:
                self._plan_at(late, self._lose_host)
            for _ in range(3):
                where = (chance.choice(HITS), chance.choice([1, 2, 3, 5]))
                self._ambushes.setdefault(where, []).append(self._lose_host)
        self._agenda_of_people()

    def _lie_in_wait(self, name: str, act: Callable[[], None], most: int = 2) -> None:
        """The fault also hits right behind a point that an order passes."""
        for _ in range(self.chance.randint(0, most)):
            where = (self.chance.choice(HITS), self.chance.choice([1, 1, 2, 3, 5]))
            self._ambushes.setdefault(where, []).append(lambda: self._act(name, act))

    def _agenda_of_people(self) -> None:
        """What lasts is noted now and then; words are said."""
        chance, weather, times = self.chance, self.weather, self.market.times
        moment = lambda: chance.choice(times) + ns(chance.uniform(-9.0, 9.0))  # noqa: E731
        if weather.has("F16"):
            heard = {told.row.ts for told in self.told}
            for ts in times:
                if ts not in heard:
                    self._plan_at(ts, lambda: self._met_all("F16"))
        for name in ("F30", "F38"):
            if weather.has(name):
                for ts in times[::4]:
                    self._plan_at(ts, lambda name=name: self._met_all(name))  # type: ignore[misc]
        if weather.has("F37"):
            for _ in range(chance.randint(1, 3)):
                self._plan_at(moment(), lambda: self._act("F37", self._person))
            self._lie_in_wait("F37", self._person)
        elif chance.random() < 0.3:
            self._plan_at(moment(), self._resume)

    def _act(self, name: str, act: Callable[[], None]) -> None:
        if not self.weather.calm:
            self._met_all(name)
            act()

    def _until(self, end: int) -> None:
        agenda = self._agenda
        while agenda and agenda[0][0] <= end:
            ts, _, what = heappop(agenda)
            self.timeline.advance(max(ts, self.timeline.now))
            self._do(what)
        self.timeline.advance(max(end, self.timeline.now))

    def elapse(self, to: int) -> None:
        """Time goes on while the process's thread waits: its loop hears rows and people meanwhile, and may end.

        Raises:
            Gone: it has ended, and with it the thread.
        """
        if not self._inside:
            owner, agenda, self._inside = self.process, self._agenda, True
            try:
                while agenda and agenda[0][0] <= max(to, self.timeline.now):
                    ts, _, what = heappop(agenda)
                    self.timeline.advance(max(ts, self.timeline.now))
                    self._do(what)
                    if self.process is not owner:
                        raise Gone
            finally:
                self._inside = False
        self.timeline.advance(max(to, self.timeline.now))

    def _do(self, what: Callable[[], None]) -> None:
        """Run something of the process; what ends it is noted and the supervisor starts it again."""
        process = self.process
        try:
            what()
        except Gone:
            pass  # who ended it has noted it
        except Killed as killed:
            self._ended(f"killed at {killed.point}")
        except OnetapeError as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            self._stop(process, str(error))
        except ZeroDivisionError as error:  # of the strategy
            self._stop(process, f"the strategy failed: {error}")
        if self.own_files and self.process is None and process is not None:
            process.let_go()

    def _stop(self, process: Process | None, why: str) -> None:
        current = self.process or process
        if current is not None:
            self.alerts.append((self.timeline.now, self._life, Alert(self.timeline.now, "critical", "stopped", why)))
            current.stop()
        self._ended(f"stopped: {why}")

    def _ended(self, how: str) -> None:
        """The supervisor starts it again, later each time; when it gives up, a person does."""
        process, self.process = self.process, None
        self.lives.append((self.timeline.now, self._life, how))
        self._sha.update(f"{self.timeline.now} {how}".encode())
        if process is not None:
            process.let_go()
            if self.own_files:
                for dead in self._graves:  # of a take-over both are
                    dead.bury()
        wait = self._backoff.crashed(self.timeline.now / SECOND)
        if wait is None:  # the supervisor gives up; a person starts it when the faults are over
            return
        self._plan_at(self.timeline.now + ns(wait), self._start)

    def _born(self, life: int) -> Process:
        """A process that is kept until the schedule is over: a connection that is collected writes a last time."""
        process = Process(self, life, self.path)
        self._graves.append(process)
        return process

    def bury(self) -> None:
        """Let go of every process; the disk is not to be read after this."""
        self._system.mounted = Disk()
        for process in self._graves:
            process.bury()
            process.let_go()

    def _start(self) -> None:
        if self.process is not None:
            return
        self._life += 1
        self.network.life = self._life
        self.process = self._born(self._life)
        self.process.start()
        self._plan_at(self.timeline.now, self._tick(self._life))

    def _tick(self, life: int) -> Callable[[], None]:
        def tick() -> None:
            process = self.process
            if process is None or process.life != life:
                return
            wait = process.tick()
            now = self.timeline.now
            night = (self.market.opens_after(now) - now) / SECOND - 20.0
            wait = max(wait, min(night, 3_600.0))  # nothing to see between the sessions
            self._plan_at(now + ns(wait), tick)

        return tick

    def _row(self, told: Told) -> None:
        for fault in told.faults:
            self._met_all(fault)
        if self.process is not None:
            self.processed.setdefault(told.row.ts, self.timeline.now)
            self.process.row(told.row)
            self._plan_at(self.timeline.now, self._kick)  # behind what lies in wait for its orders

    def _kick(self) -> None:
        """A row wakes the thread that speaks to the broker; one that is speaking looks again when it is done."""
        if self.process is not None and not self._inside:
            self.process.tick()

    # --- faults of the process and around it ------------------------------------------------------------------------

    def point(self, name: str) -> None:
        """A labelled point is passed; a process may end here, and the world may change."""
        if self.weather.calm:
            return
        times = self._seen[name] = self._seen.get(name, 0) + 1
        if name in HITS:
            for act in self._ambushes.pop((name, times), ()):
                self._plan_at(self.timeline.now, act)
            for fault in self._lasting():
                self._met_all(fault)
        how = self._kills.get((name, times))
        if how is None or len(self.lives) >= MOST_LIVES:
            return
        del self._kills[(name, times)]
        self._met_all("F01" if how == "killed" else "F02")
        if self.own_files:
            raise Killed(name)
        if how == "killed":
            self.disk.kill()
        else:
            self.disk.power_loss(self.chance, torn=True)
            if self.chance.random() < 0.25:
                if self.chance.random() < 0.5:
                    self.disk.fold(str(self.path))
                self.disk.flip(self.chance)
                self.damaged = True
        raise Killed(name)

    def _lasting(self) -> list[str]:
        """The faults that are in force now, as long as they are."""
        now, weather = self.timeline.now, self.weather
        lasting = [name for name in ("F30", "F38") if weather.has(name)]
        feed = self._feed
        spans = {"F15": feed.held, "F16": feed.silences, "F17": feed.bare, "F18": feed.refusals}
        lasting += [name for name, times in spans.items() if any(since <= now < until for since, until in times)]
        if any(since <= now < until for _, since, until in self.market.halts):
            lasting.append("F31")
        if self.venue.restricted or now < self.network.maintenance_until:
            lasting.append("F33")
        if self.halt_stands:
            lasting.append("F37")
        if self.skew:
            lasting.append("F19")
        if self._was_split:
            lasting.append("F29")
        return lasting

    def _refused(self) -> None:
        self.refusals.append((self.timeline.now, self._life))

    def _synced(self) -> None:
        """The disk is slow now and then: the whole process waits for it, and hears nothing."""
        if self.weather.strikes("F40", 0.2):
            self._met_all("F40")
            self._freeze(self.chance.choice([0.3, 2.0, 6.0]))

    def _back_up(self) -> None:
        if self._copy is None and self.process is not None:
            self._copy = self.disk.backup()

    def _lose_host(self) -> None:
        """Another machine takes over with what the backup holds; nothing of what came since is known there."""
        if self._copy and self.process is not None and not self.damaged and not self.weather.calm:
            self._met_all("F34")
            self.disk.restore(self._copy)
            self.damaged = True
            raise Killed("the host is lost")

    def _feed_refused(self) -> None:
        if self.process is not None:
            self.process.feed_refused("the feed refused the connection (406)")

    def _disk_error(self) -> None:
        self.disk.refuse = "eio"
        self.timeline.after(self.chance.choice([0.5, 5.0]), self._disk_well)

    def _disk_full(self) -> None:
        self.disk.refuse = "full"
        self.timeline.after(self.chance.choice([5.0, 30.0]), self._disk_well)

    def _disk_well(self) -> None:
        self.disk.refuse = ""

    def _clock_jump(self) -> None:
        self.skew = self.chance.choice([0, 400, -400, 3_600_000, -3_600_000, 1_000, -30_000]) * 1_000_000
        self.timeline.after(self.chance.choice([5.0, 40.0]), self._clock_well)

    def _clock_well(self) -> None:
        self.skew = 0

    def _stall(self) -> None:
        """The process stands still; rows, news and answers pile up."""
        self._freeze(self.chance.choice([5.0, 20.0, 60.0]))

    def _freeze(self, seconds: float) -> None:
        since = self.timeline.now
        self.timeline.advance(since + ns(seconds))
        self.stalls.append((since, self.timeline.now))

    def _by_hand(self) -> None:
        self.external = True
        symbol = self.chance.choice(SYMBOLS)
        if self.chance.random() < 0.5:
            self.venue.hand_trade(symbol, float(self.chance.choice([-10, 10, 25])))
        else:
            self.venue.hand_order(symbol, 10.0)

    def _second_runner(self) -> None:
        """Another runner is started: here, where the lock is held, or after the lock's file was taken away."""
        if not self.own_files or self.lock_path is None or self.process is None:
            return
        first = self.process
        if stolen := self.chance.random() < 0.5:
            self.lock_path.unlink(missing_ok=True)
            self._robbed.add(first.life)
        second = self._born(self._life + 1)
        try:
            second.start()
        except OnetapeError as error:
            self.errors.append(f"second runner: {error}")
            second.stop()
            return
        except Killed:
            second.let_go()
            return
        if not stolen and first.life not in self._robbed:
            self.takeovers.append((self.timeline.now, -1))
        # The first was frozen, comes back once, and must not get anywhere.
        self._life += 1
        self.takeovers.append((self.timeline.now, self._life))
        self._come_back(first, second)

    def _come_back(self, first: Process, second: Process) -> None:
        self.network.life = second.life
        self.process = second
        inside, self._inside = self._inside, True
        try:
            for _ in range(self.chance.choice([1, 6])):
                second.tick()
                self.timeline.advance(self.timeline.now + SECOND)
            self.network.life = first.life
            first.tick()
            row = next((told.row for told in self.told if told.arrives > self.timeline.now), None)
            if row is not None:
                first.row(row)
                first.tick()
        except OnetapeError as error:
            self.errors.append(f"first runner: {error}")
            first.stop()
        finally:
            self._inside = inside
        self.network.life = second.life
        self._plan_at(self.timeline.now, self._tick(second.life))

    def _halt_symbol(self) -> None:
        symbol, now = self.chance.choice(SYMBOLS), self.timeline.now
        until = now + ns(self.chance.choice([15.0, 45.0]))
        self.market.halts.append((symbol, now, until))
        self._facts(self.facts_of(symbol, self._now(), halted=True))
        self._plan_at(until, lambda: self._facts(self.facts_of(symbol, self._now(), resumed=until)))

    def _now(self) -> int:
        """What the process takes for the time."""
        return self.process.clock.now() if self.process is not None else self.timeline.now

    def _facts(self, facts: SymbolFacts) -> None:
        if self.process is not None:
            self.process.facts(facts)

    def _restrict(self) -> None:
        self.venue.restricted = True
        self.timeline.after(self.chance.choice([20.0, 60.0]), self._unrestrict)

    def _unrestrict(self) -> None:
        self.venue.restricted = False

    def _split(self) -> None:
        symbol, self._was_split = self.chance.choice(SYMBOLS), True
        self._facts(self.facts_of(symbol, self._now(), action=True))
        if self.venue.positions.get(symbol):
            self.venue.positions[symbol] *= 2.0
            self.venue.by_hand.append((self.timeline.now, f"{symbol} split"))
            self.external = True

    def _person(self) -> None:
        action: Literal["halt", "resume", "flatten"] = self.chance.choice(["halt", "halt", "flatten", "resume"])
        self._word(action)

    def _resume(self) -> None:
        if not self.weather.calm:
            self._word("resume")

    def _word(self, action: Literal["halt", "resume", "flatten"]) -> None:
        self.words.append((self.timeline.now, action))
        self.halt_stands = "" if action == "resume" else action
        if self.process is not None:
            self.process.say(action)

    # --- notes ------------------------------------------------------------------------------------------------------

    def _plan_at(self, ts: int, what: Callable[[], None]) -> None:
        heappush(self._agenda, (ts, next(self._number), what))

    def _durable(self, order_id: str) -> bool:
        return self.own_files or self.disk.holds(order_id.encode())

    def promised(self, seq: int, checksum: bytes) -> None:
        """A commit came back."""
        self.promises.append((seq, checksum))

    def _orders(self) -> dict[str, Order]:
        if self.process is None or self.process.session is None:
            return {}
        return self.process.session.core.orders

    def _met_tickets(self, fault: str, tickets: Sequence[Ticket]) -> None:
        """A request met these. A protection that was replaced is one order with us and more at the venue: what is asked
        behind its end is asked about the other of them, and counts where the desk has that one."""
        orders = self._orders()
        for ticket in tickets:
            order = orders.get(ticket.order_id)
            if order is not None:
                other = order.is_over and ticket.stage in TWINS
                state = TWINS[ticket.stage] if other else order.state
                self.weather.met[(fault, state.value)] += 1

    def _met_order(self, fault: str, at_venue: VenueOrder) -> None:
        """The venue did something to an order; to the other one of a protection that is full, where there are two."""
        order = self._orders().get(at_venue.key)
        if order is not None and self.weather.has(fault):
            state = order.state
            if state is State.FILLED:
                state = AT_VENUE.get(at_venue.status, State.WORKING)
            self.weather.met[(fault, state.value)] += 1

    def _met_all(self, fault: str) -> None:
        for order in self._orders().values():
            self.weather.met[(fault, order.state.value)] += 1

    # --- the end ----------------------------------------------------------------------------------------------------

    def _calm_down(self) -> int:
        """Faults stop; what is wrong with the world is put right."""
        self.weather.calm = True
        self.venue.restricted = False
        for name in ("late_fill", "bust", "late_reject", "expire"):
            self.venue.wild.pop(name, None)
        self.network.maintenance_until = self.network.no_token_until = self.network.stream_down_until = 0
        self._disk_well()
        if self.skew:
            self._clock_well()
        self._backoff.forget()
        self._plan_at(self.timeline.now + SECOND, self._start)
        return self.timeline.now

    def _evidence(self, calm: int) -> Evidence:
        process = self.process
        up = process is not None and process.session is not None
        final = process.session if process is not None else None
        lost = [key for key, order in self._orders().items() if order.state in (State.UNKNOWN, State.SENDING)]
        for order in self.venue.orders:
            self._sha.update(f"{order.key} {order.body} {order.status} {order.executions}".encode())
        self._sha.update(repr(self.venue.requests).encode())
        digest = ""
        if final is not None:
            digest = final.core.digest()
            self._sha.update(digest.encode())
            final.close()
        return Evidence(
            seed=self.seed, venue=self.venue, market=self.market, plan=self.plan, strategy=self.strategy,
            journal=self.path, capabilities=self.network.capabilities, promises=self.promises, alerts=self.alerts,
            words=self.words, lives=self.lives, calm=calm, end=self.timeline.now, up=up, lost=lost,
            final=final, errors=self.errors, takeovers=self.takeovers, told=self.told,
            external=self.external or bool(self.venue.by_hand), damaged=self.damaged,
            refusals=self.refusals, stalls=self.stalls, processed=self.processed,
            closed=self.network.closed, digest=digest,
            met=dict(self.weather.met), trace=self._sha.hexdigest(),
        )  # fmt: skip
