"""A seal keeps the end of a dataset back from everything that evaluates, until it is opened: logged, once, for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backtests.rows import load_rows
from data import seals
from data.door import call
from data.errors import DataError, UsageError
from data.sources.random_walk import random_bars
from data.tape import write_tape


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONETAPE_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    bars, book = random_bars(500, 2, seed=1, clock="1d")
    return write_tape(tmp_path / "market.parquet", bars, book, clock="1d", source="made", simulated=True) and (
        tmp_path / "market.parquet"
    )


def test_sealed_rows_are_left_out_and_said_in_one_line_until_opened(store: Path, tape: Path) -> None:
    whole = load_rows(str(tape))
    first = int(whole.bars.session[400])
    seals.seal(str(tape), first, at_ns=1)
    with pytest.warns(UserWarning, match=r"market.parquet is sealed from \d{4}-\d\d-\d\d on: 100 of 500 rows are left"):
        cut = load_rows(str(tape))
    assert len(cut.bars) == 400
    assert cut.book is not None
    assert len(cut.book) == 400
    assert cut.origin["sealed"] == first
    with pytest.raises(UsageError, match=r"is sealed .*: 100 of 100 rows are left out; end the range before, or open"):
        load_rows(str(tape), start=str(first))
    assert len(load_rows(str(tape), end=str(whole.bars.session[399])).bars) == 400  # nothing is left out, nothing said
    opened = seals.open_seal(str(tape), by="A. Founder", reason="final", at_ns=2)
    assert opened.opened == seals.Opened("A. Founder", "final", 2)
    assert len(load_rows(str(tape)).bars) == 500


def test_a_seal_is_made_once_opened_once_and_by_somebody(store: Path) -> None:
    with pytest.raises(UsageError, match="'sample' has no seal to open"):
        seals.open_seal("sample", by="me", reason="now", at_ns=1)
    made = seals.seal("sample", 20120103, at_ns=1)
    assert seals.seal_of("sample") == made
    assert made.closed
    with pytest.raises(UsageError, match="sealed already"):
        seals.seal("sample", 20130103, at_ns=2)
    with pytest.raises(UsageError, match="say by whom and why"):
        seals.open_seal("sample", by=" ", reason="", at_ns=3)
    seals.open_seal("sample", by="me", reason="final check", at_ns=3)
    with pytest.raises(UsageError, match=r"opened before, by me at 1970-.*: final check"):
        seals.open_seal("sample", by="you", reason="once more", at_ns=4)
    with pytest.raises(UsageError, match="sealed already"):
        seals.seal("sample", 20120103, at_ns=5)
    found = seals.seal_of("sample")
    assert found is not None
    assert not found.closed
    assert sorted(path.name for path in (store / "seals").iterdir()) == ["sample.opened", "sample.seal"]


def test_of_many_who_open_at_once_one_does(store: Path) -> None:
    seals.seal("sample", 20120103, at_ns=1)

    def attempt(number: int) -> bool:
        try:
            seals.open_seal("sample", by=f"person {number}", reason="race", at_ns=number)
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1


def test_the_way_to_a_file_does_not_matter(store: Path, tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seals.seal(str(tape), 20100101, at_ns=1)
    monkeypatch.chdir(tape.parent)
    (tape.parent / "link.parquet").symlink_to(tape)
    for name in ("market.parquet", "./market.parquet", "link.parquet"):
        assert seals.seal_of(name) is not None


def test_a_damaged_seal_lets_nothing_through(store: Path, tape: Path) -> None:
    seals.seal(str(tape), 20100101, at_ns=1)
    path = tape.with_name("market.parquet.seal")
    path.chmod(0o644)
    path.write_text("{")
    with pytest.raises(DataError, match=r"market.parquet.seal cannot be read .*nothing is loaded: restore it"):
        load_rows(str(tape))


def test_every_door_that_evaluates_is_cut_and_there_is_no_way_around(
    store: Path, tmp_path: Path, checkout: Path
) -> None:
    """Backtests, sweeps and validations see the same cut rows; opening through the door gives them back, once."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "ONETAPE_STORE": str(store)}

    def onetape(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=checkout, env=environment, capture_output=True, text=True
        )

    sealed = onetape("research", "seal", "sample", "--months", "12")
    assert (sealed.returncode, sealed.stdout) == (
        0,
        "sample is sealed from 2012-03-02 on; open it once by: python -m research open-seal sample\n",
    )
    rows = ("--symbols", "AAPL,IBM", "--start", "2010-01-04", "--json")
    commands = {
        "run": ("backtests", "run", "ma_cross", *rows),
        "sweep": ("research", "sweep", "ma_cross", "--grid", "fast=5,10", *rows),
        "validate": ("research", "validate", "ma_cross", "--sets", "3", "--draws", "20", "--out",
                     str(tmp_path / "e.json"), *rows),
    }  # fmt: skip
    for name, words in commands.items():
        done = onetape(*words)
        assert done.returncode == (3 if name == "validate" else 0), done.stderr
        lines = [line for line in done.stderr.splitlines() if "sealed" in line]
        assert len(lines) == 1, done.stderr
        assert "warning: sample is sealed from 2012-03-02 on: 250 of 795 rows are left out" in lines[0]
        if name == "run":
            assert json.loads(done.stdout)["rows"] == 545
        assert not [option for option in onetape(*words[:2], "--help").stdout.split() if "seal" in option]
    assert json.loads((tmp_path / "e.json").read_text())["last"] == 20120301
    opened = onetape("research", "open-seal", "sample", "--by", "A. Founder", "--reason", "final")
    assert opened.returncode == 0
    assert json.loads(onetape(*commands["run"]).stdout)["rows"] == 795
    again = onetape("research", "open-seal", "sample", "--by", "A. Founder", "--reason", "again")
    assert again.returncode == 2
    assert "opened before, by A. Founder" in again.stderr


@pytest.mark.parametrize("words", [[], ["--months", "3", "--from", "2012-01-03"]])
def test_what_to_seal_is_said_once(store: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from research.__main__ import app

    assert call(app, ["seal", "sample", *words]) == 2
    assert "say what to seal: --months 12" in capsys.readouterr().err
    assert not store.exists()
