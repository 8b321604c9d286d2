"""Sweeps: what is tried, what comes back, what goes on after an interruption, and what is refused in one sentence."""

import io
import json
import math

import numpy as np
import pandas as pd
import pytest

from data.door import call, new_app
from data.errors import DataError, StrategyError, UsageError
from data.sources.random_walk import random_bars
from research.grid import constraint_of, dimensions, drawn_sets, every_set, tiled
from research.ledger import Ledger
from research.sweep import Progress, sweep
from research.sweep_progress import Reporter
from research.sweep_result import NAMES, read_sweep
from strategies.common.load import Range, load_strategy
from strategies.indicators import crossed_above, ema, sma
from strategies.types import Signals

GRID = {"fast": "2:10:2", "slow": "6:24:6"}


@pytest.fixture(scope="module")
def bars():
    return random_bars(1_200, 2, seed=9, clock="1d")[0]


def means(bars, *, fast: int = 10, slow: int = 20, share: float = 0.5):
    one, other = ema(bars.close, fast), sma(bars.close, slow)
    return Signals(entries=crossed_above(one, other), exits=crossed_above(other, one), size=share)


# what is tried


def test_values_are_read_as_the_parameters_type():
    space = dimensions(
        load_strategy("momentum"), {"fast": "5:20:5", "depth": "0.1:0.3:0.1", "flag": [4, 4, 8]}, ranged=False
    )
    assert space == {"fast": (5, 10, 15, 20), "depth": (0.1, 0.2, pytest.approx(0.3)), "flag": (4, 8)}


def test_a_range_is_for_searches_that_draw():
    momentum = load_strategy("momentum")
    assert dimensions(momentum, {"fast": "5..9"}, ranged=True) == {"fast": Range(5, 9)}
    assert dimensions(momentum, None, ranged=True)["flag"] == Range(2, 100)
    with pytest.raises(UsageError, match="fast is a range; a grid needs values"):
        dimensions(momentum, {"fast": Range(5, 9)}, ranged=False)


def test_sets_come_in_the_order_of_the_grid_less_those_not_allowed():
    sets = every_set({"a": (1, 2, 3), "b": (1, 2)}, constraint_of("a <= b", ["a", "b"]))
    assert list(sets) == [(1, 1), (1, 2), (2, 2)]
    assert sets[1:] == [(1, 2), (2, 2)]


def test_a_constraint_knows_parameters_that_are_not_swept(bars):
    result = sweep(means, bars, grid={"fast": "5:30:5"}, constraint="fast < slow", params={"slow": 16})
    assert [values for (values,) in result.sets] == [5, 10, 15]
    assert result.fixed == {"slow": 16, "share": 0.5}


def test_tiles_keep_what_is_needed_together_small():
    sets = every_set({"a": tuple(range(12)), "b": tuple(range(12))}, None)
    order = tiled(sets, 8)
    assert sorted(order) == list(range(144))
    for block in np.split(order, 9):  # runs of four values of each
        assert len({sets[i][0] for i in block} | {100 + sets[i][1] for i in block}) == 8


def test_drawn_sets_are_different_allowed_and_of_the_seed():
    space = {"a": tuple(range(10)), "b": Range(0.0, 1.0), "c": Range(3, 5)}
    drawn = drawn_sets(space, 50, 1, lambda values: values["a"] > 2)
    assert len(set(drawn)) == 50
    assert all(a > 2 and 0 <= b <= 1 and c in (3, 4, 5) for a, b, c in drawn)
    assert drawn == drawn_sets(space, 50, 1, lambda values: values["a"] > 2) != drawn_sets(space, 50, 2, None)
    assert len(drawn_sets({"a": (1, 2, 3)}, 50, 1, None)) == 3


def test_tpe_gives_the_same_sets_for_the_same_seed_and_finds_better_ones(bars):
    space = {"fast": "2..40", "slow": "5..120"}
    search = {"grid": space, "search": "tpe", "constraint": "fast < slow", "seed": 4}
    one = sweep(means, bars, trials=60, threads=1, **search)
    two = sweep(means, bars, trials=60, threads=2, **search)
    assert one.sets == two.sets
    assert one.numbers.tobytes() == two.numbers.tobytes()
    assert 30 < len(set(one.sets)) == len(one.sets) <= 60
    assert all(fast < slow for fast, slow in one.sets)
    sharpe = one.column("sharpe")[:, 0]
    assert np.nanmean(sharpe[-15:]) > np.nanmean(sharpe[:8])


# what comes back


def test_the_frame_has_a_level_a_parameter_and_the_best_is_its_best(bars):
    result = sweep(means, bars, grid=GRID, constraint="fast < slow")
    assert isinstance(result.frame.index, pd.MultiIndex)
    assert result.frame.index.names == ["fast", "slow"]
    assert tuple(result.frame.columns) == NAMES
    assert result.frame["trades"].dtype == np.int64
    best = result.best()
    assert best.numbers["sharpe"] == result.frame["sharpe"].max() == result.top(1)["sharpe"].iloc[0]
    assert result.frame.loc[tuple(best.params.values()), "sharpe"] == best.numbers["sharpe"]
    assert result.best("fees").numbers["fees"] == result.frame["fees"].min()
    assert result.best("sharpe_ratio") == best


def test_a_surface_is_a_metric_over_two_parameters(bars):
    result = sweep(means, bars, grid=GRID | {"share": [0.2, 0.5]}, constraint="fast < slow")
    surface = result.surface("fast", "slow")
    assert list(surface.columns) == [2, 4, 6, 8, 10]
    assert list(surface.index) == [6, 12, 18, 24]
    assert math.isnan(surface.loc[6, 8])
    assert surface.loc[12, 4] == result.frame["sharpe"].xs((4, 12), level=("fast", "slow")).max()
    with pytest.raises(UsageError, match="'fats' was not swept; did you mean 'fast'"):
        result.surface("fats", "slow")


def test_a_file_gives_the_sweep_back(bars, tmp_path):
    for apart in (False, True):
        result = sweep(means, bars, grid=GRID, apart=apart)
        again = read_sweep(result.to_parquet(tmp_path / "deep" / "table.parquet"))
        assert list(again.sets) == list(result.sets)
        assert again.numbers.tobytes() == result.numbers.tobytes()
        assert again.symbols == result.symbols
        pd.testing.assert_frame_equal(again.frame, result.frame)
    with pytest.raises(DataError, match="is not the result of a sweep"):
        read_sweep(tmp_path / "none.parquet")


# interruptions


def interrupted(bars, after, **options):
    """A sweep that Ctrl-C ends after so many reports."""
    reports = []

    def report(progress):
        reports.append(progress)
        if len(reports) > after:
            raise KeyboardInterrupt

    return sweep(means, bars, progress=report, **options), reports


def test_ctrl_c_keeps_what_is_done_and_resume_goes_on_with_it(bars, tmp_path, monkeypatch):
    monkeypatch.setattr("research.sweep_run.BATCH_CELLS", 1)
    path = tmp_path / "kept.parquet"
    grid = {"fast": "2:30:1", "slow": "6:60:6"}
    part, _ = interrupted(bars, 20, grid=grid, resume=path, threads=2)
    assert not part.complete
    assert 10 <= len(part) < 290
    assert "interrupted" in repr(part)
    assert read_sweep(path).sets == list(part.sets)
    calls = []

    whole = sweep(means, bars, grid=grid)
    monkeypatch.setattr("research.sweep_run.Strategy.call", _counting(calls))
    resumed = sweep(means, bars, grid=grid, resume=path)
    assert resumed.complete
    assert resumed.numbers.tobytes() == whole.numbers.tobytes()
    assert len(set(calls)) == 290 - len(part)


def _counting(calls):
    from strategies.common.load import Strategy

    original = Strategy.call

    def call(self, bars, book, params):
        calls.append(tuple(params.values()))
        return original(self, bars, book, params)

    return call


def test_a_file_of_another_sweep_is_refused(bars, tmp_path):
    path = tmp_path / "kept.parquet"
    sweep(means, bars, grid=GRID, resume=path)
    with pytest.raises(UsageError, match="holds a sweep of means with other cash"):
        sweep(means, bars, grid=GRID, resume=path, cash=5.0)
    with pytest.raises(UsageError, match="other rows"):
        sweep(means, bars.rows(1), grid=GRID, resume=path)


def test_progress_says_how_many_how_long_and_the_best(bars):
    _, reports = interrupted(bars, 10**6, grid=GRID)
    assert (reports[-1].done, reports[-1].total) == (20, 20)
    assert reports[-1].params == sweep(means, bars, grid=GRID).best().params
    said, now = io.StringIO(), [0.0]
    report = Reporter(clock=lambda: now[0], stream=said, terminal=False)
    for second, done in ((2.0, 10), (6.0, 30), (8.0, 40), (20.0, 100)):
        now[0] = second
        report(Progress(done, 100, "sharpe", 1.25, {"fast": 5}))
    assert said.getvalue().splitlines() == [
        "30 of 100 sets, 0:14 left, best sharpe 1.25 (fast=5)",
        "100 of 100 sets, best sharpe 1.25 (fast=5)",
    ]


def test_on_a_terminal_there_is_a_bar():
    said = io.StringIO()
    with Reporter(clock=lambda: 0.0, stream=said, terminal=True) as report:
        report(Progress(1, 2, "sharpe", 1.25, {"fast": 5}))
        report(Progress(2, 2, "sharpe", 1.25, {"fast": 5}))
    assert "2/2" in said.getvalue()
    assert "best sharpe 1.25 (fast=5)" in said.getvalue()


# what is refused

WRONG = {
    "no grid": ({"grid": None}, "the grid is empty: there is nothing to sweep"),
    "no values": ({"grid": {"fast": []}}, "the grid has no values for fast"),
    "unknown parameter": ({"grid": {"fats": [1]}}, "'fats' is not one of means's .* did you mean 'fast'"),
    "wrong type": ({"grid": {"fast": ["x"]}}, "parameter 'fast' must be int, got 'x'"),
    "fraction for int": ({"grid": {"fast": [1.5]}}, "must be int, got 1.5"),
    "backwards": ({"grid": {"fast": "9:5:1"}}, "fast=9:5:1 has no values"),
    "unreadable": ({"grid": {"fast": "1:2:3:4"}}, "fast=1:2:3:4 cannot be read"),
    "too many": ({"grid": {"fast": range(10_000), "slow": range(10_000)}}, "100,000,000 sets, more than"),
    "unknown metric": ({"metric": "sharp"}, "metric 'sharp' is not one of .* did you mean 'sharpe'"),
    "unknown search": ({"search": "grdi"}, "search 'grdi' is not one of .* did you mean 'grid'"),
    "nothing left": ({"constraint": "fast > 10 * slow"}, "no set is left of 20"),
    "nothing drawn": ({"constraint": "fast > 10 * slow", "search": "random"}, "no set is left of .* drawn"),
    "nothing proposed": ({"constraint": "fast > 10 * slow", "search": "tpe"}, "no set is left"),
    "constraint's name": ({"constraint": "fats < slow"}, "'fats' is no parameter here; did you mean 'fast'"),
    "constraint calls": ({"constraint": "fast.real < slow"}, "Attribute is not allowed"),
    "constraint broken": ({"constraint": "fast <"}, "cannot be read; write for example: fast < slow"),
    "swept and given": ({"params": {"fast": 3}}, "parameter 'fast' is both swept and given"),
    "small budget": ({"budget_mb": 0.01}, "one set needs .* MB and the budget is 0 MB"),
    "no cash": ({"cash": 0.0}, "cash must be a positive number"),
    "refused by an indicator": ({"grid": {"fast": [3, 0]}}, "with fast=0: ema: span must be at least 1"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_sentence(bars, options, message):
    with pytest.raises(UsageError, match=message):
        sweep(means, bars, **({"grid": GRID} | options))


def test_a_strategy_that_breaks_is_named_with_its_parameters(bars):
    def broken(bars, *, fast: int = 1):
        if fast > 2:
            raise ZeroDivisionError("oh")
        return Signals(entries=bars.close > 0 if fast < 2 else bars.close, exits=bars.close < 0)

    with pytest.raises(StrategyError, match="with fast=2: broken: entries has dtype float64"):
        sweep(broken, bars, grid={"fast": [1, 2]})
    with pytest.raises(ZeroDivisionError) as caught:
        sweep(broken, bars, grid={"fast": [1, 3]})
    assert caught.value.__notes__ == ["in broken.signals with fast=3"]


def test_no_set_with_a_metric_has_no_best(bars):
    def never(bars, *, fast: int = 1):
        return Signals(entries=bars.close < 0, exits=bars.close < fast)

    with pytest.raises(UsageError, match="none of 2 sets has a sharpe: too few trades"):
        sweep(never, bars, grid={"fast": [1, 2]}).best()


# the command


def command(*words):
    from research.sweep_cli import sweep_command

    app = new_app("Questions.")
    app.command("sweep")(sweep_command)
    return call(app, ["sweep", *words])


def test_the_command_prints_a_table_and_writes_the_file(capsys, tmp_path):
    out = tmp_path / "table.parquet"
    words = [
        "ma_cross",
        "--grid",
        "fast=5:20:5",
        "--grid",
        "slow=20,40",
        "--constraint",
        "fast < slow",
        "--symbols",
        "IBM",
    ]
    kept = ("--ledger", str(tmp_path / "trials.db"))
    assert command(*words, *kept, "--out", str(out)) == 0
    said = capsys.readouterr()
    assert "7 sets; best sharpe" in said.out
    assert "7 of 7 sets, best sharpe" in said.err
    family = Ledger(tmp_path / "trials.db").family("ma_cross")
    assert (family.trials, family.distinct) == (7, 7)
    assert family.best * 252.0**0.5 == pytest.approx(read_sweep(out).frame["sharpe"].max())
    assert command(*words, *kept, "--out", str(out), "--resume", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sets"] == document["asked"] == 7
    assert document["best"]["params"] == {"fast": document["top"][0]["fast"], "slow": document["top"][0]["slow"]}
    assert len(read_sweep(out)) == 7


def test_the_command_refuses_in_one_sentence(capsys):
    assert command("ma_cross") == 2
    assert capsys.readouterr().err.startswith("error: the grid is empty")
    assert command("ma_cross", "--grid", "fast=5", "--resume") == 2
    assert "--resume needs the file" in capsys.readouterr().err
