"""Whether vetoes earned more than they cost, on cases small enough to work by hand."""

import numpy as np
import pytest

from research.patterns.advisor import Record
from research.patterns.models import dollars, model_of
from research.patterns.verdict import Verdicts, judge, notes_on
from strategies.types import Signals

CLOSES = [100.0] * 10 + [100, 90, 80, 80, 80, 80, 80, 80, 90, 100]
MINI = model_of("gpt-4o-mini")


def twice(bars):
    """Buys at rows 9 (before a fall) and 16 (before a rise), leaves at 13 and never."""
    entries, exits = np.zeros(bars.shape, bool), np.zeros(bars.shape, bool)
    entries[[9, 16]] = exits[13] = True
    return Signals(entries, exits)


def test_a_veto_that_saves_a_loss_earns_it(served, desk, said, daily_bars, tmp_path):
    bars = daily_bars(CLOSES)
    server = served([said(bias="down", confidence=0.9), said(bias="up", confidence=0.9)])
    advisor, journal = desk(server)
    asked = notes_on(twice, bars, advisor.ask)
    assert [opinion.outcome for opinion in asked] == ["answered", "answered"]

    verdict, applied = judge(twice, bars, Record(MINI, journal))
    assert server.http.requests == 2  # the counterfactual calls nobody
    assert [effect.effect for effect in applied.effects] == ["veto", "annotate"]
    assert (verdict.asked, verdict.recorded, verdict.vetoed, verdict.shrunk) == (2, 2, 1, 0)
    assert verdict.contaminated == 0  # the bars are of 2024, the model's cutoff is in 2023
    # The vetoed trade bought a tenth of 100,000 at 100 and sold at 80: 2,000 lost. Without that loss the second one is
    # a tenth of 2,000 larger and goes from 80 to 100: 50 more. The rest is the vetoed trade's own costs.
    assert verdict.earned == pytest.approx(2_050, rel=0.02)
    assert verdict.bill == dollars(sum(opinion.cost for opinion in asked)) > 0
    assert verdict.net == verdict.earned - verdict.bill
    assert "1 veto and 0 shrinks earned more than they cost" in verdict.line()

    kept = Verdicts(journal.path)
    kept.add(verdict, at_ns=5)
    assert Verdicts(journal.path).all() == [(5, verdict)]


def test_a_veto_of_a_winner_costs_it(served, desk, said, daily_bars):
    bars = daily_bars(CLOSES)
    advisor, journal = desk(served([said(bias="up"), said(bias="down", confidence=0.7)]))
    notes_on(twice, bars, advisor.ask)
    verdict, _ = judge(twice, bars, Record(MINI, journal))
    assert (verdict.vetoed, verdict.shrunk) == (0, 1)
    # Half of the second trade is missing: a twentieth of 98,000 from 80 to 100 would have made about 1,225.
    assert verdict.earned == pytest.approx(-1_225, rel=0.03)
    assert "did not earn what they cost" in verdict.line()


def test_without_recorded_notes_nothing_changes(served, desk, daily_bars):
    _, journal = desk(served())
    verdict, applied = judge(twice, daily_bars(CLOSES), Record(MINI, journal))
    assert (verdict.asked, verdict.recorded, verdict.earned, verdict.bill) == (2, 0, 0.0, 0.0)
    assert {effect.opinion.outcome for effect in applied.effects} == {"unrecorded"}


def test_notes_on_old_bars_are_marked(served, desk, said, daily_bars):
    bars = daily_bars(CLOSES, start="2020-06-01")
    advisor, journal = desk(served([said(), said()]))
    notes_on(twice, bars, advisor.ask)
    verdict, _ = judge(twice, bars, Record(MINI, journal))
    assert verdict.contaminated == 2
    assert "2 of 2 notes are on bars from before the model's cutoff" in verdict.line()
