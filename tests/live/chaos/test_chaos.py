"""Seeded schedules hold every invariant, seeds that once did not still do, and each planted bug is caught."""

import json
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from simulation.coverage import covered, reachable, wrong  # noqa: E402  # the folder is put on the path above
from simulation.mutants import MUTANTS  # noqa: E402

SEEDS = tomllib.loads((HERE / "seeds.toml").read_text())
SCHEDULES, SHARES = 2_000, 16
MORE = 150


def told(verdict):
    return "\n".join(str(violation) for violation in verdict.violations)


@pytest.mark.parametrize("share", range(SHARES))
def test_schedules_hold_every_invariant(bench, share):
    size = SCHEDULES // SHARES
    met, found = Counter(), []
    for seed in range(share * size, (share + 1) * size):
        verdict = bench.run(seed)
        met.update(verdict.met)
        found.append(told(verdict))
    assert "\n".join(filter(None, found)) == ""
    assert wrong(met) == []  # a cell that is said to be out of reach is never met


@pytest.mark.parametrize("found", SEEDS["found"], ids=lambda found: f"seed {found['seed']}")
def test_a_schedule_that_once_broke_an_invariant_holds_them_all(bench, found):
    assert told(bench.run(found["seed"], tuple(found.get("faults", ())))) == ""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_caught(bench, name):
    """By the schedule that is known to show it; the ones behind it, where a change has shuffled the schedules."""
    mutant, first = MUTANTS[name], SEEDS["planted"][name]
    with mutant.plant():
        for seed in range(first, first + MORE):
            if bench.run(seed, mutant.faults).violations:
                break
        else:
            pytest.fail(f"{name}: not caught by {MORE} schedules from seed {first}; run.py --mutants 400 looks on")
    assert told(bench.run(first, mutant.faults)) == ""  # the schedule itself holds what it must


def test_one_seed_is_one_trace(bench):
    for seed in (3, 17, 42, 99):
        one, other = bench.run(seed), bench.run(seed)
        assert (one.trace, one.met, one.orders) == (other.trace, other.met, other.orders)
    assert bench.run(3).trace != bench.run(4).trace


def test_every_policy_of_the_plan_is_planted():
    assert len(MUTANTS) >= 23
    assert set(SEEDS["planted"]) == set(MUTANTS)


def test_coverage_counts_reachable_cells_only():
    cells = [cell for cell, why in reachable().items() if not why]
    assert covered(Counter(dict.fromkeys(cells, 30))) == (100.0, [])
    percent, thin = covered(Counter(dict.fromkeys(cells[1:], 30)))
    assert percent < 100.0
    assert len(thin) == 1
    assert all(why for cell, why in reachable().items() if cell[1] in ("planned", "checked"))


def test_the_command_prints_one_line(tmp_path):
    command = [sys.executable, str(HERE / "run.py"), "--schedules", "6", "--seed", "40", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("schedules=6 violations=0 (<5e-01, 95%) ")
    assert last.endswith(" seed-range=40-45")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_campaign_that_is_ended_says_what_it_has_done(workers):
    command = [sys.executable, str(HERE / "run.py"), "--schedules", "1000000", "--workers", workers, "--progress"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as campaign:
        assert campaign.stdout.readline().startswith("1000000 schedules from seed 0 ")
        campaign.terminate()
        said, _ = campaign.communicate()
    assert campaign.returncode == 130, said
    assert "cut short; the schedules that are left: --seed " in said
    assert said.splitlines()[-1].startswith("schedules=")


def test_a_cell_that_is_met_and_said_to_be_out_of_reach_is_told():
    assert wrong(Counter({("F06", "filled"): 2, ("F06", "sending"): 9})) == [
        f"F06 filled: met 2 times, and said to be out of reach: {reachable()['F06', 'filled']}"
    ]


def test_a_finding_makes_the_command_fail(tmp_path):
    """With a planted bug in the process the command says which seed, how to run it again, and exits 3."""
    program = (
        "import sys\n"
        f"sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[2])!r}]\n"
        "import run\n"
        "from simulation.mutants import MUTANTS\n"
        "sys.argv = ['run.py', '--schedules', '8', '--workers', '1']\n"
        "with MUTANTS['a fill is applied twice'].plant():\n"
        "    sys.exit(run.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 3, json.dumps(done.stderr)
    assert "again: python tests/live/chaos/run.py --seed" in done.stdout
    assert "%" not in done.stdout.splitlines()[-1].partition("violations=")[2].partition(" ")[0]
