"""Run seeded schedules and hunt planted bugs: `python tests/live/chaos/run.py --schedules N --seed S --workers W`.

The last line is the report:

    schedules=100000 violations=0 (<3e-05, 95%) mutants=24/24 coverage=97% commit=... seed-range=...

Exit 3 when an invariant was broken, a planted bug was not caught, or a cell of the matrix was met that is said to be
out of reach; 130 when it was cut short by an interrupt or SIGTERM, behind the report of what was done by then.
One seed is one schedule, and gives the same trace again: `--seed 4711 --schedules 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
KILLS = CHECKOUT / "tests" / "live" / "kill"
SHOWN = 20
CUT = 130


def main() -> int:
    """The exit code."""
    options = arguments()
    for folder in (CHECKOUT, HERE):
        sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = f"{CHECKOUT}{os.pathsep}{HERE}"
    from simulation import campaign, coverage
    from simulation.mutants import MUTANTS

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it gets what it has so far
    since, all_of_them = time.monotonic(), campaign.Tally()
    seeds = range(options.seed, options.seed + options.schedules)
    caught, was_cut = 0, ""
    try:
        if options.progress:
            say(f"{len(seeds)} schedules from seed {seeds.start} on {options.workers} processes, {commit()}")
        for share in campaign.over_processes(seeds, options.workers):
            shown = len(all_of_them.violations)
            all_of_them.add(share)
            for violation in share.violations[: max(SHOWN - shown, 0)]:
                say(str(violation))
            if options.progress and all_of_them.schedules % 1000 < campaign.SHARE:
                pace = all_of_them.schedules / (time.monotonic() - since)
                percent, _ = coverage.covered(all_of_them.met)
                found = f"{len(all_of_them.violations)} violations, coverage {percent:.0f}%"
                say(f"{all_of_them.schedules} schedules, {found}, {pace:.0f}/s")
        elapsed = time.monotonic() - since
        say(f"{all_of_them.schedules} schedules with {all_of_them.orders} orders in {elapsed:.0f} s")
        if options.mutants:
            for name, tries, by in campaign.hunts(options.seed, options.mutants, options.workers):
                caught += tries > 0
                how = f"caught after {tries} schedules by {', '.join(by)}" if tries else "NOT CAUGHT"
                say(f"planted: {name}: {how}")
    except KeyboardInterrupt:
        go_on = options.seed + all_of_them.schedules
        was_cut = f"cut short; the schedules that are left: --seed {go_on} --schedules {seeds.stop - go_on}"
        say(was_cut)
    percent, thin = coverage.covered(all_of_them.met)
    if options.coverage:
        say(coverage.table(all_of_them.met))
        say(
            "\n".join(f"met fewer than {coverage.ENOUGH} times: {cell}" for cell in thin)
            or "every reachable cell is met"
        )
    wrong = coverage.wrong(all_of_them.met)
    for cell in wrong:
        say(cell)
    seeds = range(seeds.start, seeds.start + all_of_them.schedules)
    say(line(all_of_them, f"{caught}/{len(MUTANTS)}" if options.mutants else "", percent, seeds))
    if all_of_them.violations or wrong or (options.mutants and caught < len(MUTANTS) and not was_cut):
        return 3
    return CUT if was_cut else 0


def line(tally: object, mutants: str, percent: float, seeds: range) -> str:
    """The report in one line. The bound is the rule of three: 0 in N is under 3/N with 95% confidence."""
    count, found = tally.schedules, len(tally.violations)  # type: ignore[attr-defined]
    parts = [f"schedules={count}", f"violations={found}"]
    if not found and count:
        parts.append(f"(<{3.0 / count:.0e}, 95%)")
    if mutants:
        parts.append(f"mutants={mutants}")
    parts += killed()
    parts += [f"coverage={percent:.0f}%", f"commit={commit()}"]
    parts += [f"seed-range={seeds.start}-{seeds.stop - 1}"] if seeds else []
    return " ".join(parts)


def killed() -> list[str]:
    """What the real kills came to, where their last run left a file."""
    found = sorted(KILLS.rglob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        told = json.loads(path.read_text())
        if isinstance(told, dict) and "kills" in told:
            return [f"kills={told['kills']}", f"violations={told.get('violations', '?')}"]
    return []


def commit() -> str:
    """The checkout's commit, with a plus where files differ from it."""
    asked = ("git", "-C", str(CHECKOUT), "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*")
    done = subprocess.run(asked, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Seeded schedules in virtual time, judged by the venue's record.")
    parser.add_argument("--schedules", type=int, default=2_000, help="how many (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (default: 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument(
        "--mutants", type=int, default=0, help="look for each planted bug in so many schedules; 0: do not"
    )
    parser.add_argument("--coverage", action="store_true", help="print the matrix of faults and order states")
    parser.add_argument("--progress", action="store_true", help="say how far it is")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
