"""An opinion can annotate, veto and shrink. Here it tries everything else."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import research.patterns
from backtests.engine import run_backtest
from data.errors import UsageError
from data.sources.random_walk import random_bars
from research.patterns.answer import Answer, Levels
from research.patterns.authority import Policy, apply, wanted_sides
from research.patterns.opinion import Opinion
from strategies.common.rule import Rule
from strategies.types import Signals

BARS, _ = random_bars(40, ["AAA", "BBB"], seed=11)
SHAPE = BARS.shape


def opinion(t, symbol="AAA", bias="down", confidence=0.9, outcome="answered"):
    answer = Answer(
        pattern="other", bias=bias, levels=Levels(support=None, resistance=None), confidence=confidence, reasons=("x",)
    )
    return Opinion(
        symbol, int(BARS.ts[t]), outcome, "", answer if outcome == "answered" else None, None, None, "m", "", True, "h",
        "replay", 0,
    )  # fmt: skip


flags = st.integers(0, 2**32).map(lambda seed: np.random.Generator(np.random.PCG64(seed)).random(SHAPE) < 0.3)
levels = st.integers(0, 2**32).map(
    lambda seed: np.where((r := np.random.Generator(np.random.PCG64(seed)).random(SHAPE)) < 0.3, np.nan, np.round(r, 3))
)
maybe = st.none()
signals = st.builds(
    Signals, flags, flags, maybe | flags, maybe | flags, maybe | levels, maybe | levels, maybe | levels, maybe | levels
)
opinions = st.lists(
    st.builds(
        opinion,
        st.integers(0, SHAPE[0] - 1),
        st.sampled_from(BARS.symbols),
        st.sampled_from(["up", "down", "sideways"]),
        st.floats(0.0, 1.0),
        st.sampled_from(["answered", "answered", "late"]),
    ),
    max_size=60,
)
rules = st.builds(lambda shorts, size: Rule(shorts=shorts, size=size), st.booleans(), st.floats(0.01, 1.0))
policies = st.builds(
    lambda a, b, c, d: Policy(max(a, b), min(a, b), c, d),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.01, 1.0),
    st.booleans(),
)


def flag(values):
    return np.zeros(SHAPE, bool) if values is None else values


def size_of(given, rule):
    """(T, N) the fraction of equity that the rule takes for an entry."""
    return np.full(SHAPE, rule.size) if given is None else np.where(np.isnan(given), rule.size, given)


@settings(max_examples=300, deadline=None)
@given(given=signals, notes=opinions, rule=rules, policy=policies)
def test_no_opinion_originates_or_enlarges_anything(given, notes, rule, policy):
    done = apply(notes, given, BARS, rule, policy).signals
    before, after = wanted_sides(given, rule), wanted_sides(done, rule)
    assert (~done.entries | given.entries).all()
    assert (~flag(done.short_entries) | flag(given.short_entries)).all()
    # The position rule reads entries and exits together: what it wants is what it wanted, or nothing.
    assert ((after == before) | (after == 0)).all()
    assert (size_of(done.size, rule) <= size_of(given.size, rule)).all()
    # Exits stay. One appears only where a vetoed reversal would have left the opposite side.
    vetoed = (before != 0) & (after == 0)
    assert (done.exits | ~given.exits).all()
    assert (flag(done.short_exits) | ~flag(given.short_exits)).all()
    assert not (done.exits & ~given.exits & ~(vetoed & (before < 0))).any()
    assert not (flag(done.short_exits) & ~flag(given.short_exits) & ~(vetoed & (before > 0))).any()
    for name in ("stop", "target", "trail"):
        one, other = getattr(given, name), getattr(done, name)
        assert (one is None and other is None) or np.array_equal(one, other, equal_nan=True)


@settings(max_examples=100, deadline=None)
@given(notes=opinions, policy=policies)
def test_opinions_on_a_silent_strategy_trade_nothing(notes, policy):
    silent = Signals(np.zeros(SHAPE, bool), np.zeros(SHAPE, bool))
    applied = apply(notes, silent, BARS, Rule(shorts=True), policy)
    assert not applied.signals.entries.any()
    assert applied.signals.short_entries is None
    assert applied.signals.size is None
    assert {effect.effect for effect in applied.effects} <= {"annotate"}
    assert not len(run_backtest(BARS, lambda bars: applied.signals, rule=Rule(flat_before_s=0.0)).orders)


def entries_at(*cells):
    found = np.zeros(SHAPE, bool)
    for cell in cells:
        found[cell] = True
    return found


NOTHING = np.zeros(SHAPE, bool)


def test_a_veto_by_hand():
    given = Signals(entries_at((5, 0), (6, 1), (9, 0)), NOTHING)
    applied = apply([opinion(5), opinion(6, "BBB", "up"), opinion(20)], given, BARS, Rule())
    assert np.array_equal(applied.signals.entries, entries_at((6, 1), (9, 0)))
    assert [effect.effect for effect in applied.effects] == ["veto", "annotate", "annotate"]
    assert [effect.side for effect in applied.effects] == [1, 1, 0]
    assert applied.signals.size is None


def test_a_shrink_by_hand():
    size = np.full(SHAPE, np.nan)
    size[6, 1] = 0.3
    given = Signals(entries_at((5, 0), (6, 1)), NOTHING, size=size)
    notes = [opinion(5, confidence=0.7), opinion(6, "BBB", confidence=0.7)]
    applied = apply(notes, given, BARS, Rule(size=0.2))
    assert np.array_equal(applied.signals.entries, given.entries)
    assert applied.signals.size[5, 0] == 0.1  # half of the rule's own 0.2
    assert applied.signals.size[6, 1] == 0.15  # half of the signal's 0.3
    assert np.isnan(applied.signals.size).sum() == SHAPE[0] * SHAPE[1] - 2


def test_the_strictest_of_several_opinions_counts():
    given = Signals(entries_at((5, 0)), NOTHING)
    for notes in ([opinion(5, confidence=0.7), opinion(5)], [opinion(5), opinion(5, confidence=0.7)]):
        assert not apply(notes, given, BARS, Rule()).signals.entries.any()


def test_a_vetoed_reversal_still_leaves_the_position():
    given = Signals(entries_at((5, 0)), NOTHING, entries_at((9, 0)), NOTHING)
    done = apply([opinion(5), opinion(9, bias="up")], given, BARS, Rule(shorts=True)).signals
    assert not done.entries.any()
    assert not done.short_entries.any()
    assert np.array_equal(done.short_exits, entries_at((5, 0)))
    assert np.array_equal(done.exits, entries_at((9, 0)))
    # Without shorts a short entry means nothing, so vetoing it leaves nothing either.
    done = apply([opinion(9, bias="up")], given, BARS, Rule()).signals
    assert not done.exits.any()


def test_contradicting_signals_do_not_become_a_trade():
    """Both sides at once want nothing; taking one away would be an order of the model's own."""
    given = Signals(entries_at((5, 0)), NOTHING, entries_at((5, 0)), NOTHING)
    for bias in ("up", "down"):
        done = apply([opinion(5, bias=bias)], given, BARS, Rule(shorts=True)).signals
        assert not wanted_sides(done, Rule(shorts=True)).any()


@pytest.mark.parametrize("outcome", ["late", "refused", "over budget", "unrecorded"])
def test_no_opinion_changes_nothing(outcome):
    given = Signals(entries_at((5, 0)), NOTHING)
    applied = apply([opinion(5, outcome=outcome)], given, BARS, Rule())
    assert np.array_equal(applied.signals.entries, given.entries)
    assert applied.effects[0].effect == "annotate"


def test_an_opinion_on_other_rows_is_refused():
    stray = opinion(5)
    with pytest.raises(UsageError, match="belongs to none of these rows"):
        apply([stray], Signals(NOTHING[:5], NOTHING[:5]), BARS.rows(0, 5), Rule())
    with pytest.raises(UsageError, match="shrink_from <= veto_from"):
        Policy(veto_from=0.5, shrink_from=0.6)
    with pytest.raises(UsageError, match="0 < shrink_to <= 1"):
        Policy(shrink_to=1.5)


def test_pattern_notes_know_no_broker():
    """Neither in what they import nor in what that loads: in a fresh interpreter, every module of the package."""
    folder = Path(research.patterns.__file__).parent
    names = [f"research.patterns.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    assert len(names) >= 10
    brokers = ("live", "alpaca", "robin_stocks", "mcp", "massive", "polygon")
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in getattr(node, "names", ())]
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not [name for name in named if name and name.split(".")[0] in brokers], path
    code = f"import sys, importlib; [importlib.import_module(n) for n in {names!r}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "strategies" in loaded
    assert not loaded & set(brokers)
