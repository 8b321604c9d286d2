"""Cash of a broker and ours are both sums of floats: what rounding makes of them is no difference."""

import pytest

from live.core.core import Core
from live.core.events import Snapshot
from live.core.plan import Plan
from strategies.common.costs import Costs
from strategies.common.rule import Rule

OURS = 100_000.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("off", "halts"), [(1e-9, False), (0.0049, False), (0.0051, True)])
def test_without_a_limit_cash_may_differ_by_less_than_half_a_cent(scripted, sign, off, halts):
    core = Core(Plan.of(scripted, ["AAA"], rule=Rule(size=0.5), costs=Costs.free(), clock="1m"), scripted)
    core.step(Snapshot(1, "start", {}, OURS + sign * off))
    assert bool(core.halted) is halts
