"""The simulator, importable, and a simulated machine to run schedules on."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


@pytest.fixture
def bench():
    """`bench.run(seed, faults)`: one schedule, judged."""
    from simulation.campaign import Bench

    with Bench() as made:
        yield made
