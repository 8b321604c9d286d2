"""How fast and how small the live side is: decisions, memory, doors, the journal.

`run()` gives the rows for `make bench`; as a script it prints them as a table. Times are medians and 99th percentiles
of one process on this machine as it is; the budgets are those of ARCHITECTURE.md.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, perf_counter_ns, thread_time_ns

CHECKOUT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))

ROOMS = ("data", "strategies", "backtests", "live", "research")
SESSIONS = 10
ROUNDS = 3


def line(what, value, unit, budget=None):
    """One measured figure."""
    return {"room": "live", "what": what, "value": value, "unit": unit, "budget": budget}


def decisions(symbols: int, name: str = "momentum") -> list[dict]:
    """Row in, commands out, over a simulated market; the round with the best median, as other work disturbs."""
    from data.rows import rows_of
    from data.sources.simulated import market
    from live.brokers.paper import PaperBroker
    from live.core.core import Core
    from live.core.events import Row, decode_event
    from live.core.plan import Plan
    from live.header import Feed, JournalHeader, built
    from live.journal import MEMORY, SqliteJournal, steps
    from live.session_paper import PaperSession as Session
    from strategies.common.load import load_strategy

    names = [f"S{chr(65 + j)}X" for j in range(symbols)]
    bars, book = market(names, SESSIONS, 7, "1m")
    rows = list(rows_of(bars, book))
    strategy = load_strategy(name)
    plan = Plan.of(strategy, names, clock="1m")
    best, cpu = None, []
    for _ in range(ROUNDS):
        journal = SqliteJournal.create(MEMORY, JournalHeader(plan, Feed("bench", True, ""), built()))
        session = Session(Core(plan, strategy), PaperBroker(names, plan.the_costs(), plan.cash), journal, group=512)
        with quiet():
            for row in rows:
                session.row(row)
        now = (session.latency.percentile(50), session.latency.percentile(99))
        best = now if best is None or now < best else best
        again = Core(plan, strategy)
        events = [decode_event(step.event) for step in steps(journal)]
        with quiet():
            taken = [cpu_time(again, event) for event in events]
        cpu.append(sorted(t for t, event in zip(taken, events, strict=True) if isinstance(event, Row)))
    label = f"decision, {name}, {symbols} symbol{'s' if symbols > 1 else ''}"
    budget = (50.0, 200.0) if symbols == 1 else (None, None)
    cpu_best = min(times[int(len(times) * 0.99)] for times in cpu) / 1_000
    return [
        line(f"{label}, p50", best[0], "us", budget[0]),
        line(f"{label}, p99", best[1], "us", budget[1]),
        line(f"{label}, p99 of processor time", cpu_best, "us", budget[1]),
    ]


@contextmanager
def quiet():
    """No garbage collection inside, as in the shell."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def cpu_time(core, event) -> int:
    """Nanoseconds of processor a step takes: what it would take on a machine of its own."""
    start = thread_time_ns()
    core.step(event)
    return thread_time_ns() - start


def paper_process() -> list[dict]:
    """A whole paper process over a tape: its peak memory and its rows a second, start-up left out."""
    from data.sources.simulated import market
    from data.tape import write_tape

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        bars, book = market(("SAX", "SBX", "SCX"), SESSIONS, 7, "1m")
        write_tape(place / "a.tape", bars, book, clock="1m", source="simulated", simulated=True)
        (place / "a.toml").write_text(f'name = "bench"\nstrategy = "momentum"\nstate = "{place}"\n')
        done = python("-m", "live", "run", place / "a.toml", "--replay", place / "a.tape", "--speed", 0, "--json")
        told = json.loads(done)
        start = perf_counter()
        python("-m", "live", "replay", told["journal"])
        seconds = perf_counter() - start
    return [
        line("paper process, peak resident memory", told["rss_mb"], "MB", 100.0),
        line(f"replay of a journal of {told['rows']} rows, process start included", seconds, "s", 5.0),
    ]


def doors() -> list[dict]:
    """`python -m <room> --help`, the median of five, for the rooms that have a door."""
    found = []
    for room in ROOMS:
        if not (CHECKOUT / room / "__main__.py").exists():
            continue
        python("-m", room, "--help")  # compiles what is not compiled yet
        seconds = []
        for _ in range(5):
            start = perf_counter()
            python("-m", room, "--help")
            seconds.append(perf_counter() - start)
        found.append(line(f"python -m {room} --help", statistics.median(seconds), "s", 0.3))
    return found


def journal_writes(count: int = 2_000) -> list[dict]:
    """One event and its command, durable; and the same in a group of 512, each."""
    from live.core.commands import Submit
    from live.core.events import Row
    from live.core.plan import Plan
    from live.header import Feed, JournalHeader, built
    from live.journal import SqliteJournal
    from strategies.common.load import load_strategy

    plan = Plan.of(load_strategy("ma_cross"), ["AAA"])
    row = Row(1, 20250102, 60.0, 60.0, [1.0], [1.0], [1.0], [1.0], [1.0], [[1.0]] * 13)
    found = []
    for label, group, budget in (("durable", 1, 10_000.0), ("in a group of 512", 512, None)):
        with tempfile.TemporaryDirectory() as folder:
            journal = SqliteJournal.create(Path(folder) / "a.journal", JournalHeader(plan, Feed("", True, ""), built()))
            taken = []
            for i in range(count):
                start = perf_counter_ns()
                journal.append_event(row)
                journal.append_commands([Submit(f"o{i}", i, "AAA", "buy", 1.0, "entry", "row")])
                if i % group == group - 1:
                    journal.commit()
                taken.append((perf_counter_ns() - start) / 1_000)
            journal.close()
        taken.sort()
        found.append(line(f"journal, event and command, {label}, p50", taken[count // 2], "us"))
        found.append(line(f"journal, event and command, {label}, p99", taken[int(count * 0.99)], "us", budget))
    alone = disk(count)
    found.append(line("the disk alone, write and fdatasync, p50", alone[count // 2], "us"))
    found.append(line("the disk alone, write and fdatasync, p99", alone[int(count * 0.99)], "us"))
    return found


def disk(count: int) -> list[float]:
    """Microseconds of what a durable write cannot do without, sorted: the peer of the journal's figures."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(count):
            start = perf_counter_ns()
            os.write(file.fileno(), bytes(4_096))
            os.fdatasync(file.fileno())
            taken.append((perf_counter_ns() - start) / 1_000)
    return sorted(taken)


def python(*arguments) -> str:
    """The standard output of a fresh interpreter in the checkout."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def run() -> list[dict]:
    """Every figure of the live side."""
    figures = [figure for symbols in (1, 3, 10) for figure in decisions(symbols)]
    return [*figures, *paper_process(), *doors(), *journal_writes()]


def show(figures: list[dict]) -> None:
    """The figures as a table."""
    width = max(len(figure["what"]) for figure in figures)
    for figure in figures:
        budget = figure["budget"]
        verdict = "" if budget is None else f"  budget {budget:g} {'met' if figure['value'] <= budget else 'MISSED'}"
        sys.stdout.write(f"{figure['what']:<{width}}  {figure['value']:>10.3f} {figure['unit']:<3}{verdict}\n")


if __name__ == "__main__":
    show(run())
