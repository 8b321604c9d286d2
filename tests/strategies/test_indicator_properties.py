"""What must hold for every indicator in `strategies.indicators.__all__`: add one there and it is tested here."""

import inspect
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategies import indicators
from strategies.common.steps import nan
from strategies.common.stream import Stream

COLUMNS = ("x", "a", "b", "flag", "open", "high", "low", "close", "volume", "session", "since_open")
EVERY = pytest.mark.parametrize("name", indicators.__all__)
WINDOWED = {
    "bollinger",
    "cci",
    "diff",
    "donchian",
    "lag",
    "returns",
    "roc",
    "rolling_max",
    "rolling_min",
    "rolling_std",
    "rolling_sum",
    "rolling_var",
    "slope",
    "sma",
    "stochastic",
    "typical_price",
    "vwma",
    "williams_r",
    "wma",
    "zscore",
}


def bits(array: Any) -> bytes:
    """The bytes of the values, every NaN the same."""
    array = np.ascontiguousarray(array)
    return bool(array.dtype == bool).to_bytes(1, "big") + np.where(array != array, np.nan, array).tobytes()


def outputs(value: Any) -> list[np.ndarray]:
    return list(value) if isinstance(value, tuple) else [value]


@st.composite
def markets(draw: Any) -> dict[str, np.ndarray]:
    """Columns of every name an indicator asks for: plain prices, returns, constants, wild floats, with gaps."""
    rows, symbols = draw(st.integers(1, 50)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    wild = draw(st.lists(st.floats(width=64), min_size=3, max_size=12))
    close = np.empty((rows, symbols))
    for j in range(symbols):
        kind = draw(st.sampled_from(["prices", "returns", "constant", "steps", "scales", "wild", "zeros"]))
        close[:, j] = {
            "prices": lambda: np.round(100 + rng.normal(size=rows).cumsum() * 0.1, 2),
            "returns": lambda: rng.normal(size=rows) * 10.0 ** rng.integers(-12, 1),
            "constant": lambda: np.full(rows, float(rng.choice([0.1, 100.1, -7.0, 1e-300, 1e200]))),
            "steps": lambda: rng.integers(-2, 3, rows).astype(float),
            "scales": lambda: rng.normal(size=rows) * 10.0 ** rng.integers(-160, 160, rows),
            "wild": lambda: rng.choice(wild, rows),
            "zeros": lambda: rng.choice([0.0, -0.0, 1.0], rows),
        }[kind]()
    close = np.where(rng.random((rows, symbols)) < draw(st.sampled_from([0.0, 0.1, 0.6])), np.nan, close)
    width = rng.choice([0.0, 0.01, 1.0], (rows, symbols))
    length = draw(st.integers(1, 9))
    return {
        "close": close,
        "x": close,
        "a": close,
        "b": np.roll(close, 1),
        "open": close,
        "flag": close > 100.0,
        "high": close + width * rng.random((rows, symbols)),
        "low": close - width * rng.random((rows, symbols)),
        "volume": np.where(rng.random((rows, symbols)) < 0.1, np.nan, rng.integers(0, 5, (rows, symbols)) * 100.0),
        "session": 20240101 + np.arange(rows) // length,
        "since_open": (np.arange(rows) % length + 1) * 600.0,
    }


def knobs(name: str, data: Any) -> dict[str, Any]:
    """Small parameters, so that windows fill; those that are not whole numbers vary a little."""
    parameters = inspect.signature(getattr(indicators, name)).parameters.values()
    chosen = {}
    for parameter in parameters:
        if parameter.name in COLUMNS:
            continue
        if parameter.annotation in (int, "int"):
            chosen[parameter.name] = data.draw(st.integers(0 if parameter.default == 0 else 1, 7), label=parameter.name)
        else:
            chosen[parameter.name] = data.draw(st.sampled_from([parameter.default, 1.5]), label=parameter.name)
    return chosen


def call(name: str, market: dict[str, np.ndarray], chosen: dict[str, Any], start: int, stop: int) -> list[np.ndarray]:
    wanted = [p for p in inspect.signature(getattr(indicators, name)).parameters if p in COLUMNS]
    return outputs(getattr(indicators, name)(*[market[p][start:stop] for p in wanted], **chosen))


def rejoin(parts: list[list[np.ndarray]]) -> list[bytes]:
    return [bits(np.concatenate(column)) for column in zip(*parts, strict=True)]


def cuts(data: Any, rows: int) -> list[tuple[int, int]]:
    inner = data.draw(st.lists(st.integers(1, rows), max_size=8), label="cuts")
    edges = sorted({0, rows, *inner})
    return list(pairwise(edges))


def test_every_public_indicator_says_what_becomes_of_a_missing_value() -> None:
    for name in indicators.__all__:
        assert "NaN" in (getattr(indicators, name).__doc__ or ""), name


@EVERY
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whole_row_by_row_chunked_and_restored_runs_have_the_same_bits(name: str, data: Any) -> None:
    market, chosen = data.draw(markets()), knobs(name, data)
    rows = len(market["close"])
    block = Stream(compiled=True)
    with block:
        whole = call(name, market, chosen, 0, rows)
    want = [bits(column) for column in whole]
    assert [bits(column) for column in call(name, market, chosen, 0, rows)] == want

    live = Stream()
    parts = []
    for t in range(rows):
        with live:
            parts.append(call(name, market, chosen, t, t + 1))
    assert rejoin(parts) == want, "row by row"
    assert live.digest() == block.digest()

    chunked = Stream(compiled=True)
    parts = []
    for start, stop in cuts(data, rows):
        with chunked:
            parts.append(call(name, market, chosen, start, stop))
    assert rejoin(parts) == want, "in chunks"
    assert chunked.digest() == block.digest()

    stream = Stream()
    parts = []
    for start, stop in cuts(data, rows):
        compiled = data.draw(st.booleans(), label="compiled")
        stream = Stream.restore(stream.save(), stream.indicators(), compiled=compiled)
        with stream:
            parts.append(call(name, market, chosen, start, stop))
    assert rejoin(parts) == want, "saved and restored"
    assert stream.digest() == block.digest()


@EVERY
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_rolling_indicator_started_anywhere_has_the_bits_of_its_window_alone(name: str, data: Any) -> None:
    market, chosen = data.draw(markets()), knobs(name, data)
    rows = len(market["close"])
    stream = Stream(compiled=True)
    with stream:
        whole = call(name, market, chosen, 0, rows)
    sites = [place.indicator.length(place.knobs) if place.indicator.rolling else 0 for place in stream._sites]
    stateless = all(place.indicator.rolling or not place.indicator.state for place in stream._sites)
    assert stateless == (name in WINDOWED)
    if not stateless:
        return
    start = data.draw(st.integers(0, rows), label="start")
    known = start + sum(sites)
    if start >= rows:
        return
    late = call(name, market, chosen, start, rows)
    for full, part in zip(whole, late, strict=True):
        assert bits(full[known:]) == bits(part[known - start :])

    before = {k: v.copy() for k, v in market.items()}
    for column in before.values():
        if column.ndim == 2 and column.dtype == float:
            column[:start] = data.draw(st.sampled_from([nan, 1e300, -1e-300, 0.1, 3e7]), label="other past")
    for full, part in zip(whole, call(name, before, chosen, 0, rows), strict=True):
        assert bits(full[known:]) == bits(part[known:])


@EVERY
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_symbols_do_not_touch_each_other_and_no_row_sees_a_later_one(name: str, data: Any) -> None:
    market, chosen = data.draw(markets()), knobs(name, data)
    rows, symbols = market["close"].shape
    whole = call(name, market, chosen, 0, rows)
    column = data.draw(st.integers(0, symbols - 1), label="symbol")
    alone = {k: v[:, [column]] if v.ndim == 2 else v for k, v in market.items()}
    for full, part in zip(whole, call(name, alone, chosen, 0, rows), strict=True):
        assert bits(full[:, [column]]) == bits(part)
    cut = data.draw(st.integers(1, rows), label="rows")
    for full, part in zip(whole, call(name, market, chosen, 0, cut), strict=True):
        assert bits(full[:cut]) == bits(part)


@EVERY
def test_missing_row_gives_nothing_and_a_gap_is_survived(name: str) -> None:
    """One missing row: NaN (False for a flag) on it unless the indicator is about gaps, and values again after."""
    rng = np.random.default_rng(5)
    close = 100.0 + rng.normal(size=(120, 1)).cumsum(0)
    market = {
        **dict.fromkeys(("x", "a", "close", "open"), close),
        "b": np.full((120, 1), 100.0),
        "flag": close > 100.0,
        "high": close + 0.5,
        "low": close - 0.5,
        "volume": np.full((120, 1), 100.0),
        "session": np.arange(120) // 60,
        "since_open": (np.arange(120) % 60 + 1) * 60.0,
    }
    gone = {k: v.copy() for k, v in market.items()}
    for k in ("x", "a", "close", "open", "high", "low", "volume"):
        gone[k][80] = nan
    survivors = ("bars_since", "ffill", "previous_close", "session_open", "lag")
    short = {k: 5 for k in inspect.signature(getattr(indicators, name)).parameters if k in ("n", "span", "slow")}
    for output in call(name, gone, short, 0, 120):
        last = output[:, 0]
        if name not in survivors:
            assert not last[80] if output.dtype == bool else last[80] != last[80]
        assert output.dtype == bool or last[119] == last[119]


@pytest.mark.parametrize("name", sorted(WINDOWED))
def test_long_history_leaves_no_trace_in_a_rolling_indicator(name: str) -> None:
    """Calm after storm, four hundred times: what a sum forgot of small values among large ones shows in the calm."""
    rng = np.random.default_rng(17)
    rows = 20_000
    close = rng.normal(size=(rows, 2)) * np.repeat(10.0 ** rng.integers(-9, 3, (400, 2)), 50, axis=0)
    market = {
        **dict.fromkeys(("x", "close"), close),
        "high": close + rng.random(close.shape),
        "low": close - rng.random(close.shape),
        "volume": rng.random(close.shape),
    }
    chosen = {k: 20 for k in inspect.signature(getattr(indicators, name)).parameters if k == "n"}
    whole = call(name, market, chosen, 0, rows)
    for start in range(500, rows, 2500):
        for full, part in zip(whole, call(name, market, chosen, start, rows), strict=True):
            assert bits(full[start + 60 :]) == bits(part[60:])
