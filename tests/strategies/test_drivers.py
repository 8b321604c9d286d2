"""The two drivers: what they refuse, and that neither threads, chunks nor caches change a bit."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import StrategyError, UsageError
from strategies.common import compiled, steps
from strategies.common.steps import Column, State, Window, nan, recurrent, rolling
from strategies.common.stream import Stream
from strategies.indicators import atr, crossed_above, donchian, ema, rolling_std, rsi, sma, stochastic

ROWS = np.linspace(90.0, 110.0, 40).reshape(20, 2)


@recurrent(state=(0.0, 0.0))
def mean_so_far(s: State, x: Column) -> tuple[State, float]:
    """The example of the steps' docstring: what a user writes."""
    count, total = s[0] + 1.0, s[1] + x
    return (count, total), total / count


@rolling
def mid_range(w: Window, n: int) -> float:
    """The other one."""
    high = low = w[0]
    for x in w:
        if x - x != 0.0:
            return nan
        if x > high:
            high = x
        if x < low:
            low = x
    return (high + low) / 2.0


def row_by_row(call: Callable[[Any], Any], rows: np.ndarray) -> np.ndarray:
    stream = Stream()
    values = []
    for t in range(len(rows)):
        with stream:
            values.append(call(rows[t : t + 1]))
    return np.concatenate(values)


@pytest.mark.parametrize("call", [mean_so_far, lambda x: mid_range(x, 3)], ids=["recurrent", "rolling"])
def test_one_step_function_makes_an_indicator_in_both_drivers(call: Callable[[Any], Any]) -> None:
    whole = call(ROWS)
    assert whole.shape == ROWS.shape
    assert row_by_row(call, ROWS).tobytes() == whole.tobytes()


def test_example_in_the_docstring_of_steps_runs_as_written() -> None:
    """Each indented block of the module's docstring is code; what it defines gives the same in both drivers."""
    blocks = [b for b in (steps.__doc__ or "").split("\n\n") if b.startswith("    @")]
    space: dict[str, Any] = {k: getattr(steps, k) for k in ("recurrent", "rolling", "Column", "Window", "nan")}
    exec(textwrap.dedent("\n\n".join(blocks)), space)
    made = [v for v in space.values() if isinstance(v, steps.Indicator)]
    assert [i.name for i in made] == ["mean_so_far", "mid_range"]
    for indicator in made:

        def call(x: Any, indicator: steps.Indicator = indicator) -> Any:
            return indicator(x, 4) if indicator.rolling else indicator(x)

        assert row_by_row(call, ROWS).tobytes() == call(ROWS).tobytes()


def test_changed_order_of_calls_is_an_error_that_names_both_places() -> None:
    stream = Stream()

    def signals(x: np.ndarray, swapped: bool) -> None:
        if swapped:
            sma(x, 3)
        ema(x, 3)

    with stream:
        signals(ROWS[:1], False)
    with (
        pytest.raises(StrategyError, match=r"indicator call sma \(test_drivers.py:\d+\) stands where .* ema\(3\)"),
        stream,
    ):
        signals(ROWS[1:2], True)


def test_swapped_calls_of_one_composite_are_told_apart() -> None:
    stream = Stream()

    def signals(x: np.ndarray, swapped: bool) -> None:
        if swapped:
            stochastic(x, x, x)
            stochastic(x + 1, x, x)
        else:
            stochastic(x + 1, x, x)
            stochastic(x, x, x)

    with stream:
        signals(ROWS[:1], False)
    with stream:
        signals(ROWS[1:2], False)
    with pytest.raises(StrategyError, match="stands where earlier rows called"), stream:
        signals(ROWS[2:3], True)


def test_new_call_and_missing_call_are_errors() -> None:
    stream = Stream()

    def signals(x: np.ndarray, calls: int) -> None:
        for _ in range(calls):
            ema(x, 3)

    with stream:
        signals(ROWS[:1], 2)
    with pytest.raises(StrategyError, match=r"indicator call ema \(test_drivers.py:\d+\) is new on this row"), stream:
        signals(ROWS[1:2], 3)
    with (
        pytest.raises(
            StrategyError, match=r"ema\(3\) \(test_drivers.py:\d+\) was made on earlier rows and not on this"
        ),
        stream,
    ):
        signals(ROWS[1:2], 1)


@pytest.mark.parametrize("way", [False, True], ids=["interpreted", "compiled"])
def test_changed_parameter_and_changed_symbols_are_errors(way: bool) -> None:
    stream = Stream(compiled=way)

    def signals(x: np.ndarray, span: int) -> None:
        ema(x, span)

    with stream:
        signals(ROWS[:1], 3)
    with pytest.raises(StrategyError, match=r"ema\(3\).* is now called with \(4\); parameters must not change"), stream:
        signals(ROWS[1:2], 4)
    with pytest.raises(StrategyError, match=r"ema\(3\).* got 1 symbols after 2"), stream:
        signals(ROWS[1:2, :1], 3)


def test_stream_inside_a_stream_is_an_error_and_the_outer_one_goes_on() -> None:
    stream = Stream()
    with stream:
        with pytest.raises(StrategyError, match="entered inside another"):
            Stream().__enter__()
        ema(ROWS[:1], 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ema(ROWS, 0), "ema: span must be at least 1, got 0"),
        (lambda: ema(ROWS, 2.5), "ema: span must be int, got 2.5"),
        (lambda: ema(ROWS, True), "ema: span must be int, got True"),
        (lambda: rolling_std(ROWS, 3, ddof=-1), "rolling_std: ddof must be at least 0, got -1"),
        (lambda: ema(ROWS), r"ema\(x, span: 'int'\): missing a required argument: 'span'"),
        (lambda: ema(ROWS, 3, sapn=4), "ema.*unexpected keyword argument 'sapn'"),
        (lambda: ema(ROWS, 3, 4), "ema.*too many positional arguments"),
        (lambda: ema(ROWS, 3, span=4), "ema.*multiple values for argument 'span'"),
        (lambda: ema(3.0, 3), "ema: inputs of shapes"),
        (lambda: atr(ROWS, ROWS[:3], ROWS), "atr: inputs of shapes"),
        (lambda: ema(np.array([["a"]]), 3), "ema: input has dtype <U1, expected numbers or flags"),
    ],
)
def test_wrong_argument_is_a_usage_error_that_says_so(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()
    with pytest.raises(UsageError, match=message), Stream():
        call()


def test_keywords_and_defaults_reach_the_same_call() -> None:
    want = rsi(ROWS, 14).tobytes()
    assert rsi(ROWS).tobytes() == rsi(x=ROWS).tobytes() == rsi(ROWS, n=14).tobytes() == want
    assert row_by_row(lambda x: rsi(x, n=14), ROWS).tobytes() == want


def test_flags_numbers_and_shared_columns_count_as_inputs_in_both_drivers() -> None:
    flags, single = ROWS > 100.0, np.arange(20)
    for call in (
        lambda x, f, s: crossed_above(x, 100),
        lambda x, f, s: crossed_above(100.0, x),
        lambda x, f, s: crossed_above(x, s + 90),
        lambda x, f, s: ema(f, 3),
        lambda x, f, s: ema(s.astype(np.float32), 3),
    ):
        whole = call(ROWS, flags, single)
        stream, parts = Stream(), []
        for t in range(20):
            with stream:
                parts.append(call(ROWS[t : t + 1], flags[t : t + 1], single[t : t + 1]))
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_step_that_breaks_its_contract_is_a_strategy_error_in_both_drivers() -> None:
    @recurrent(state=(0.0,))
    def counts_in_whole_numbers(s: State, x: Column) -> Any:
        return (int(s[0]) + 1,), x

    @recurrent(state=(0.0,))
    def grows(s: State, x: Column) -> Any:
        return (*s, x), x

    @recurrent(state=(0.0,), dtype=bool)
    def says_a_number(s: State, x: Column) -> Any:
        return s, x

    for step, message in (
        (
            counts_in_whole_numbers,
            r"step 'counts_in_whole_numbers' returned the state \(1,\); expected a tuple of 1 floats",
        ),
        (grows, "step 'grows' returned the state"),
        (says_a_number, "step 'says_a_number' returned the value 90.0; expected bool"),
    ):
        with pytest.raises(StrategyError, match=message), Stream():
            step(ROWS[:1])
    with pytest.raises(StrategyError, match="step 'grows' does not compile"):
        grows(ROWS)


def test_step_without_inputs_or_with_an_untyped_parameter_is_refused_when_defined() -> None:
    with pytest.raises(UsageError, match="step 'nothing' needs inputs annotated Column"):

        @recurrent(state=())
        def nothing(s: State, n: int) -> Any:
            return s, 0.0

    with pytest.raises(UsageError, match="annotate parameter 'k' with int, float or bool"):

        @recurrent(state=())
        def untyped(s: State, x: Column, k) -> Any:  # type: ignore[no-untyped-def]
            return s, x

    with pytest.raises(UsageError, match="rolling step 'endless' needs a window length"):

        @rolling
        def endless(w: Window) -> float:
            return w[0]


def test_restoring_asks_for_known_indicators_and_as_many_symbols() -> None:
    stream = Stream()
    with stream:
        ema(ROWS[:1], 3)
    saved = stream.save()
    with pytest.raises(StrategyError, match=r"saved state names indicator 'strategies\.indicators\.means\.ema'"):
        Stream.restore(saved, {})
    again = Stream.restore(saved, stream.indicators())
    with pytest.raises(StrategyError, match="saved state has 2 symbols, this stream 1"), again:
        ema(ROWS[:1, :1], 3)
    again = Stream.restore(saved, stream.indicators())
    with pytest.raises(StrategyError, match=r"is now called with \(4\)"), again:
        ema(ROWS[:1], 4)


def test_columns_over_threads_have_the_bits_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 100.0 + np.random.default_rng(1).normal(size=(500, 7)).cumsum(0)
    monkeypatch.setattr(compiled.os, "cpu_count", lambda: 3)
    for call in (lambda: ema(rows, 9), lambda: rolling_std(rows, 9), lambda: donchian(rows, rows, 9).middle):
        monkeypatch.setattr(compiled, "THREADED", 1 << 60)
        alone = call().tobytes()
        monkeypatch.setattr(compiled, "THREADED", 1)
        assert call().tobytes() == alone


def run(folder: Path, cache: Path, source: str) -> str:
    """What a fresh process prints that imports `source` as a module and runs its step."""
    (folder / "mine.py").write_text(textwrap.dedent(source))
    program = "import numpy as np, mine; print(mine.step(np.array([[1.0], [2.0]])).tolist())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"ONETAPE_CACHE": str(cache), "PYTHONPATH": f"{folder}:{Path(steps.__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


PLAIN = """
    from strategies.common.steps import Column, recurrent
    {top}
    @recurrent(state=())
    def step(s, x: Column):
        return s, {value}
"""


@pytest.mark.slow
def test_changed_step_never_meets_a_stale_binary(tmp_path: Path) -> None:
    """A constant in the step, a number of its module, a function it calls, a number in another module: all count."""
    cases = [
        ("", "x * 2.0", "[[2.0], [4.0]]"),
        ("", "x * 3.0", "[[3.0], [6.0]]"),
        ("K = 5.0", "x * K", "[[5.0], [10.0]]"),
        ("K = 6.0", "x * K", "[[6.0], [12.0]]"),
        ("def twice(x):\n        return x * 2.0\n", "twice(x)", "[[2.0], [4.0]]"),
        ("def twice(x):\n        return x * 4.0\n", "twice(x)", "[[4.0], [8.0]]"),
        ("import other", "x * other.K", "[[7.0], [14.0]]"),
        ("import other", "x * other.K", "[[8.0], [16.0]]"),
    ]
    factors = iter((7.0, 8.0))
    for top, value, want in cases:
        if "other" in top:
            (tmp_path / "other.py").write_text(f"K = {next(factors)}\n")
        assert run(tmp_path, tmp_path / "cache", PLAIN.format(top=top, value=value)) == want
    kept = sorted((tmp_path / "cache").rglob("step_*.py"))
    assert len(kept) == len(cases)
    assert run(tmp_path, tmp_path / "cache", PLAIN.format(top="", value="x * 2.0")) == "[[2.0], [4.0]]"
    assert sorted((tmp_path / "cache").rglob("step_*.py")) == kept


@pytest.mark.slow
def test_cache_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert run(tmp_path, blocked, PLAIN.format(top="", value="x + 1.0")) == "[[2.0], [3.0]]"
    sealed = tmp_path / "sealed"
    run(tmp_path, sealed, PLAIN.format(top="", value="x + 2.0"))
    kernel = next(sealed.rglob("step_*.py"))
    for made in (kernel.parent / "__pycache__").iterdir():
        made.unlink()
    (kernel.parent / "__pycache__").rmdir()
    (kernel.parent / "__pycache__").write_text("not a folder")
    assert run(tmp_path, sealed, PLAIN.format(top="", value="x + 2.0")) == "[[3.0], [4.0]]"


def test_empty_and_single_rows_are_answered() -> None:
    assert ema(ROWS[:0], 3).shape == (0, 2)
    assert sma(ROWS[:0], 3).shape == (0, 2)
    assert sma(ROWS[:1], 1).tolist() == ROWS[:1].tolist()
    assert np.isnan(sma(ROWS[:, 0], 99)).all()
    assert sma(np.array([nan, 1.0]), 1)[:, 0].tolist()[1] == 1.0
