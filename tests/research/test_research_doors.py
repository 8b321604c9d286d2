"""What is wrong and what to do: every bad input of the research doors is one sentence and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from data.door import call
from research.__main__ import app

FEW = ["--start", "2013-02-20"]


@pytest.mark.parametrize(
    ("words", "code", "sentences"),
    [
        (["sweep", "ma_cross"], 2, ["the grid is empty", "for example fast=5:200:5"]),
        (["sweep", "ma_cross", "--grid", "fast="], 2, ["no values for fast", "give for example"]),
        (["sweep", "ma_cross", "--grid", "fast=5:1:5"], 2, ["the step must be positive"]),
        (["sweep", "ma_cross", "--grid", "fats=5"], 2, ["'fats' is not one of ma_cross's", "did you mean 'fast'?"]),
        (["sweep", "ma_cross", "--grid", "fast=x"], 2, ["fast", "'x'"]),
        (["sweep", "ma_cross", "--grid", "fast=5", "--set", "fast=3"], 2, ["both swept and given; keep one"]),
        (["sweep", "ma_cross", "--grid", "fast=5", "--metric", "sharp"], 2, ["did you mean 'sharpe'?"]),
        (["sweep", "ma_cross", "--grid", "fast=5", "--search", "gird"], 2, ["did you mean 'grid'?"]),
        (["sweep", "ma_cross", "--grid", "fast=5", "--engine", "rya"], 2, ["did you mean 'ray'?"]),
        (["sweep", "ma_cross", "--grid", "fast=5", "--constraint", "fast < fat"], 2, ["'fat' is no parameter here"]),
        (["sweep", "ma_cross", "--grid", "fast=5", "--constraint", "fast < 2"], 2, ["no set is left"]),
        (["sweep", "ma_cross", "--grid", "fast=5..9"], 2, ["is a range; a grid needs values"]),
        (["sweep", "ma_cross", "--grid", "fast=5,9", *FEW, "--metric", "win_rate"], 2,
         ["none of 2 sets has a win_rate", "too few trades or rows", "take another metric or more rows"]),
        (["sweep", "ma_cross", "--grid", "fast=5", "--resume"], 2, ["--resume needs the file"]),
        (["validate", "ma_cross", "--start", "2013-02-28", "--sets", "4", "--draws", "20"], 3, []),
        (["seal", "nothing_like_it", "--months", "3"], 2, ["is neither a source nor a file"]),
        (["open-seal", "sample", "--by", "me", "--reason", "now"], 2, ["has no seal to open"]),
        (["trials"], 2, ["ONETAPE_LEDGER is off", "name a file by --ledger"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(
    words: list[str],
    code: int,
    sentences: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ONETAPE_STORE", str(tmp_path))
    assert call(app, words) == code
    said = capsys.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (1 if code == 2 else 0), said.err
    assert all(sentence in errors[0] for sentence in sentences)


@pytest.mark.parametrize(
    ("words", "package"),
    [(["--engine", "ray"], "ray"), (["--search", "tpe", "--trials", "3"], "optuna")],
)
def test_an_absent_package_is_named_with_what_to_do(
    words: list[str], package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert call(app, ["sweep", "ma_cross", "--grid", "fast=5,10", *words]) == 6
    assert f"needs the package {package}, which is not installed; run: make setup" in capsys.readouterr().err
