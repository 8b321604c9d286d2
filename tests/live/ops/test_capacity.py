"""The plan's formulas to the figure, what is measured to the record, and what comes first."""

import json
import math
import os
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.account import load_account
from live.capacity import (
    TIERS,
    Host,
    Measured,
    mistakes,
    nearest,
    plan_of,
    side_by_side,
    tier_of,
    triggers,
)
from live.capacity_measured import measure, pss_mb
from live.capacity_plot import svg
from live.journal import SqliteJournal, steps
from live.shell import run
from live.watch.roster import Roster

SOME = Measured(5, 10, 8.0, 390.0, 0.5, 420.0, 15.0, 60.0, 0.02, 90.0, 4_000)
HOST = Host(2_000.0, 0.5, 40_000.0, 0.3, 1, 12.0)


@pytest.mark.parametrize(
    ("accounts", "ram", "calls", "storage", "dollars", "even"),
    [
        (1, 200.0, 700.0, 31.8, 131.0, 3),
        (5, 1_000.0, 3_500.0, 39.0, 267.0, 6),
        (20, 4_000.0, 14_000.0, 66.0, 575.0, 12),
        (100, 20_000.0, 70_000.0, 210.0, 2_976.0, 61),
    ],
)
def test_the_plan_s_formulas_give_the_plan_s_figures(accounts, ram, calls, storage, dollars, even):
    plan = plan_of(accounts, 20.0)
    assert (plan.ram_mb, plan.calls, plan.storage_mb, plan.dollars, plan.break_even) == (
        ram,
        calls,
        storage,
        dollars,
        even,
    )
    assert plan.dollars_a_trade == dollars / (accounts * 20 * 21)


@given(st.integers(1, 10_000), st.floats(0.0, 1e4))
def test_more_accounts_never_need_less(accounts, trades):
    one, more = plan_of(accounts, trades), plan_of(accounts + 1, trades)
    assert more.ram_mb > one.ram_mb
    assert more.calls > one.calls
    assert more.storage_mb >= one.storage_mb
    assert more.dollars >= one.dollars
    assert tier_of(accounts).accounts >= min(accounts, 100)


def test_plan_and_measurement_stand_side_by_side():
    lines = {line.name: line for line in side_by_side(5, plan_of(5, 8.0), SOME)}
    assert (lines["memory of all runners"].plan, lines["memory of all runners"].measured) == (1_000.0, 75.0)
    assert lines["memory of one runner"].ratio == 0.075
    assert lines["one trade in the journal"].measured == 62.5
    nothing = side_by_side(5, plan_of(5), Measured())
    assert all(math.isnan(line.measured) for line in nothing)


def test_the_nearest_threshold_is_named_with_its_day():
    found = {each.name: each for each in triggers(5, SOME, HOST, 100.0)}
    assert found["disk"].days == 0.5 * 40_000.0 / 2.5 * 365 / 252
    assert found["trade records"].days == 96_000 / 40.0 * 365 / 252
    assert found["memory"].at_accounts == (1_600 - (1_000 - 75)) // 15
    assert found["cpu"].at_accounts == 35
    assert nearest(list(found.values())).startswith("trade records comes first, in 3,476")
    assert nearest(triggers(5, SOME, HOST, 267.0)) == "reached already: monthly cost (267 dollars)"
    assert "no pace is known" in nearest(triggers(1, Measured(), HOST, 131.0))


def test_where_the_plan_is_wrong_is_told_in_figures():
    said = "\n".join(mistakes(20.0, SOME))
    for part in (
        "86,400 a day only if all 1,440",
        "no depth for US equities",
        "tier 0 never breaks even: 131 dollars need 3 accounts, it has 1",
        "tier 1 never breaks even: 267 dollars need 6 accounts, it has 5",
        "rings from the first day of tier 1",
        "42,000 records a month",
        "15 MB here, not 200",
        "62.5 KB a trade, not 1",
    ):
        assert part in said
    assert "tier 2 never" not in said
    assert "MB here" not in "\n".join(mistakes(20.0, Measured()))


def test_journals_are_counted_to_the_record(accounts, tape):
    home = accounts("a0", "a1", "never")
    fills = {}
    for name, rows in (("a0", 780), ("a1", 780)):
        run(load_account(home / f"{name}.toml"), tape(rows), 0)
        book = SqliteJournal.open(home / "state" / f"{name}.journal")
        fills[name] = sum(b"\xa4fill" in step.event[:12] for step in steps(book))
        book.close()
    found = measure(Roster([home]).places())
    assert (found.accounts, found.sessions, found.rows) == (2, 2, 390.0)
    assert found.records == sum(fills.values()) > 0
    assert found.trades == found.records / 4
    assert found.journal_mb > 0.0
    assert math.isnan(found.pss_mb)  # nobody runs


def test_memory_is_the_kernel_s_own_figure():
    assert 1.0 < pss_mb(os.getpid()) < 100_000.0
    assert math.isnan(pss_mb(2**22 + 1))


def test_the_picture_is_drawn_with_what_is_known():
    for measured in (SOME, Measured()):
        root = ElementTree.fromstring(svg(measured, HOST, 20.0))
        lines = root.findall("{http://www.w3.org/2000/svg}polyline")
        assert len(lines) == (5 if measured is SOME else 4)
        for line in lines:
            for point in line.attrib["points"].split():
                x, y = map(float, point.split(","))
                assert 0.0 <= x <= 860.0
                assert 0.0 <= y <= 400.0


def test_the_command_prints_table_json_and_picture(accounts, tape, tmp_path, python):
    home = accounts("a0")
    run(load_account(home / "a0.toml"), tape(400), 0)
    done = python("-m", "live", "capacity", str(home), "--accounts", "20", "--plot", str(tmp_path / "capacity.svg"))
    assert done.returncode == 0, done.stderr
    assert "4,000.0" in done.stdout
    assert "where the plan is wrong" in done.stdout
    assert (tmp_path / "capacity.svg").read_text().startswith("<svg")
    told = json.loads(python("-m", "live", "capacity", str(home), "--json").stdout)
    assert told["accounts"] == 1
    assert [tier["dollars"] for tier in told["tiers"]] == [tier.dollars for tier in TIERS]
    assert {each["name"] for each in told["triggers"]} >= {"memory", "disk", "trade records", "monthly cost"}
