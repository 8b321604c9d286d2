"""`Rule`: its limits, its texts, its numbers for the position rule."""

import numpy as np
import pytest

from data.errors import UsageError
from strategies.common import position as p
from strategies.common.rule import Rule


def test_knobs_stand_where_the_rule_looks_for_them():
    rule = Rule(
        size=0.2, risk=0.01, max_positions=3, max_gross=1.5, fractional=True, stops="touch", time_stop=4, cooldown=5,
        flat_before_s=90.0, shorts=True, priority="volume",
    )  # fmt: skip
    k = rule.knobs("1m")
    names = ["SIZE", "RISK", "SLOTS", "GROSS", "LOT", "TOUCH", "TIME", "COOL", "FLAT", "SHORTS", "VOLUME"]
    assert {name: k[getattr(p, f"K_{name}")] for name in names} == {
        "SIZE": 0.2, "RISK": 0.01, "SLOTS": 3.0, "GROSS": 1.5, "LOT": 1e-6, "TOUCH": 1.0, "TIME": 4.0, "COOL": 5.0,
        "FLAT": 90.0, "SHORTS": 1.0, "VOLUME": 1.0,
    }  # fmt: skip
    assert all(type(knob) is float for knob in k)


@pytest.mark.parametrize(("clock", "flat"), [("1s", 2.0), ("1m", 120.0), ("1h", 7200.0), ("1d", 0.0)])
def test_intraday_clocks_are_flat_two_rows_before_the_close(clock, flat):
    assert Rule().knobs(clock)[p.K_FLAT] == flat
    assert Rule(flat_before_s=0.0).knobs(clock)[p.K_FLAT] == 0.0


def test_texts_are_read_as_the_parameters_types():
    texts = {"size": "0.5", "max_positions": "4", "shorts": "yes", "stops": "touch", "flat_before_s": "none"}
    assert Rule(flat_before_s=5.0).changed(texts) == Rule(size=0.5, max_positions=4, shorts=True, stops="touch")
    assert Rule().changed({"flat_before_s": "60"}).flat_before_s == 60.0


def test_numbers_of_numpy_are_numbers():
    rule = Rule(size=np.float64(0.5), time_stop=np.int64(5), max_positions=np.float64(3.0))
    assert (rule.size, rule.time_stop, rule.max_positions) == (0.5, 5, 3)
    assert (type(rule.size), type(rule.time_stop), type(rule.max_positions)) == (float, int, int)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sise": 1}, "rule has no parameter 'sise'; did you mean 'size'"),
        ({"size": "much"}, "rule size must be a number from 0 to 10, got 'much'"),
        ({"size": -0.1}, "got -0.1"),
        ({"size": float("nan")}, "got nan"),
        ({"size": True}, "got True"),
        ({"time_stop": "2.5"}, "rule time_stop must be a whole number"),
        ({"max_positions": 0}, "from 1 to 10000"),
        ({"shorts": "perhaps"}, "rule shorts must be true or false, got 'perhaps'"),
        ({"shorts": 1}, "rule shorts must be true or false, got 1"),
        ({"stops": "never"}, "rule stops must be one of close, touch"),
        ({"priority": 3}, "rule priority must be a text"),
        ({"cooldown": None}, "rule cooldown must be a whole number"),
    ],
)
def test_what_a_rule_refuses(changes, says):
    with pytest.raises(UsageError, match=says.replace("(", r"\(").replace(r".*did", ".*did")):
        Rule().changed(changes)
