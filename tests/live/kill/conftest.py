"""The theatre in which processes are killed, one for all tests of a worker."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def theatre():
    from killing.theatre import Theatre

    made = Theatre()
    yield made
    made.close()
