"""The trial ledger keeps everything, from wherever it comes, and counts lifetimes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from data.errors import DataError
from research.ledger import Ledger, Trial


def trial(family: str = "momentum", fast: int = 5, sharpe: float | None = 0.1) -> Trial:
    return Trial(family, "source", {"fast": fast}, "data", 100, sharpe, {"total_return": 0.5}, "test")


def test_a_family_counts_its_lifetime_over_processes(tmp_path: Path) -> None:
    Ledger(tmp_path / "trials.db").record([trial(fast=f, sharpe=f / 100) for f in (1, 2, 3)], at_ns=1)
    again = Ledger(tmp_path / "trials.db")
    again.record([trial(fast=3, sharpe=0.03), trial("other")], at_ns=2)
    family = again.family("momentum")
    assert (family.trials, family.distinct, family.best) == (4, 3, 0.03)
    assert family.variance == pytest.approx(0.0001)  # of 0.01, 0.02, 0.03
    assert [f.name for f in again.families()] == ["momentum", "other"]
    assert again.trials("momentum", last=1)[0]["parameters"] == {"fast": 3}
    assert again.family("never").trials == 0


def test_a_trial_can_be_neither_changed_nor_deleted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "trials.db")
    ledger.record([trial()], at_ns=1)
    with sqlite3.connect(ledger.path) as db:
        for statement in ("DELETE FROM trials", "UPDATE trials SET sharpe = 9"):
            with pytest.raises(sqlite3.IntegrityError, match="trials are kept"):
                db.execute(statement)
    assert ledger.family("momentum").trials == 1


def test_a_file_that_is_no_ledger_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "trials.db").write_text("not a database " * 100)
    with pytest.raises(DataError, match=r"trials.db cannot be used as a trial ledger"):
        Ledger(tmp_path / "trials.db")


def test_a_failed_batch_leaves_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "trials.db")
    broken = trial()._replace(source=None)  # type: ignore[arg-type]  # what NOT NULL refuses
    with pytest.raises(DataError, match="NOT NULL constraint failed"):
        ledger.record([trial(), broken], at_ns=1)
    assert ledger.family("momentum").trials == 0
