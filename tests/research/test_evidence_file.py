"""Evidence is one value that goes through a file: every part is what the verdict was made of.

`example_evidence.json` beside this file is what the report's tests draw; `python tests/research/test_evidence_file.py`
writes it anew.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from backtests.evidence import PARTS, POINTS, VERSION, Evidence, read_evidence
from data.door import call
from data.errors import DataError
from data.sources.random_walk import random_bars
from research.validate import GATES, Verdict, validate
from strategies.common.load import load_strategy

EXAMPLE = Path(__file__).with_name("example_evidence.json")


def example() -> Verdict:
    """ma_cross on 700 daily rows of two symbols that go nowhere."""
    bars, _ = random_bars(700, 2, seed=9, clock="1d")
    chosen = {"fast": 5, "slow": 20}
    return validate(load_strategy("ma_cross"), bars, chosen, sets=16, draws=60, seed=1)


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return example()


@pytest.fixture(scope="module")
def evidence(verdict: Verdict) -> Evidence:
    return verdict.evidence()


def test_evidence_comes_back_from_its_file(evidence: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(evidence.to_json(), "utf-8")
    assert read_evidence(path) == evidence
    assert read_evidence(path).to_json() == evidence.to_json()
    assert json.loads(path.read_text("utf-8"))["kind"] == "onetape.evidence"


def test_the_kept_example_has_the_shape_and_the_numbers_of_today(evidence: Evidence) -> None:
    def rounded(value: object) -> object:
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        if isinstance(value, list):
            return [rounded(item) for item in value]
        return pytest.approx(value, rel=1e-6, abs=1e-9) if isinstance(value, float) else value

    kept, now = (json.loads(each.to_json()) for each in (read_evidence(EXAMPLE), evidence))
    for each in (kept, now):  # a line that names the certificate's hash of all code
        next(check for check in each["checks"] if check["name"] == "certificate")["reason"] = ""
        each["certificate"] = ""
        each["source_hash"] = ""
    assert kept == rounded(now)


def test_every_part_is_what_the_verdict_rests_on(verdict: Verdict, evidence: Evidence) -> None:
    case = verdict.case
    assert case is not None
    assert [check.name for check in evidence.checks] == list(GATES)
    assert [check.passed for check in evidence.checks] == [gate.passed for gate in verdict.gates]
    assert evidence.passed is verdict.passed
    assert evidence.missing == {}
    assert all(getattr(evidence, part) for part in PARTS)

    surface = evidence.surface
    assert surface is not None
    table = np.array(surface.values, dtype=float)
    row, column = surface.best
    assert table[row, column] == np.nanmax(table) == case.table.sharpes().max()
    assert (surface.xs[surface.chosen[1]], surface.ys[surface.chosen[0]]) == (5, 20)
    assert np.array(surface.plateau).shape == table.shape
    assert surface.plateau[row][column]

    walk = evidence.walk_forward
    assert walk is not None
    assert walk.stitched[-1] == pytest.approx(np.prod(1.0 + case.walk_forward.returns) - 1.0)
    assert [fold.outside for fold in walk.folds] == [fold.outside for fold in case.walk_forward.folds]
    assert walk.sessions[-1] == evidence.last

    fan = evidence.paths
    assert fan is not None
    assert [line[-1] for line in fan.lines] == pytest.approx(np.prod(1.0 + case.paths.returns, axis=1) - 1.0)
    assert len(fan.sessions) == min(POINTS, 700)

    null, costs, delay, luck = evidence.null, evidence.costs, evidence.delay, evidence.luck
    assert null is not None
    assert costs is not None
    assert delay is not None
    assert luck is not None
    assert (1 + sum(s >= null.own for s in null.sharpes)) / (1 + len(null.sharpes)) == null.p_value
    assert costs.returns[costs.factors.index(1.0)] == case.own.total_return
    assert delay.sharpes[:2] == [case.own.sharpe, case.late.sharpe]
    assert sum(luck.logit_counts) == luck.splits
    assert (luck.deflated, luck.trials) == (case.deflated, len(case.table.sets))


def test_evidence_knows_whether_a_result_is_the_one_it_is_about(verdict: Verdict, evidence: Evidence) -> None:
    assert verdict.result is not None
    provenance = verdict.result.provenance
    assert evidence.differences(provenance) == []
    assert evidence.differences({**provenance, "params": {}, "rows_hash": "x"}) == ["params", "rows_hash"]


def test_what_could_not_be_asked_is_said(verdict: Verdict) -> None:
    rejected = replace(verdict, case=None).evidence()
    assert list(rejected.missing) == ["all"]
    bars, _ = random_bars(5, 1, seed=9, clock="1d")
    short = validate(load_strategy("ma_cross"), bars, sets=4, draws=20)
    assert not short.passed
    found = short.evidence()
    assert {"walk_forward", "paths", "symbols_left_out", "capacity"} <= set(found.missing) <= set(PARTS)
    assert all(sentence for sentence in found.missing.values())
    assert Evidence.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no evidence"),
        ('{"kind": "other", "version": 1}', "is no evidence"),
        (f'{{"kind": "onetape.evidence", "version": {VERSION + 1}}}', f"evidence of version {VERSION + 1}"),
        (f'{{"kind": "onetape.evidence", "version": {VERSION}}}', "damaged evidence.*strategy"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_evidence(path)
    with pytest.raises(DataError, match="No such file"):
        read_evidence(tmp_path / "none.json")


def test_the_door_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from research.__main__ import app

    out = tmp_path / "deep" / "evidence.json"
    words = ["validate", "ma_cross", "--start", "2010-01-04", "--sets", "5", "--draws", "20", "--out", str(out)]
    assert call(app, [*words, "--ledger", str(tmp_path / "trials.db")]) == 3
    assert f"evidence: {out}" in capsys.readouterr().out
    found = read_evidence(out)
    assert found.strategy == "ma_cross"
    assert msgspec.structs.asdict(found)["passed"] is False


if __name__ == "__main__":
    EXAMPLE.write_text(example().evidence().to_json(), "utf-8")
    sys.stdout.write(f"{EXAMPLE}\n")
