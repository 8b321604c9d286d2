"""Every indicator against someone else's: TA-Lib, published values, exact fractions, sums done by hand."""

from collections.abc import Callable
from fractions import Fraction
from math import fsum, sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import indicators as ind

nan = float("nan")
ROWS = 4000


@pytest.fixture(scope="module")
def m() -> SimpleNamespace:
    """A seeded market of one symbol: `m.close` (T, 1) for us, `m.c` (T,) for the others."""
    rng = np.random.default_rng(11)
    close = 100.0 * np.exp(rng.normal(size=ROWS).cumsum() * 0.004)
    high, low = close * (1 + 0.004 * rng.random(ROWS)), close * (1 - 0.004 * rng.random(ROWS))
    volume = rng.integers(1, 1000, ROWS) * 100.0
    columns = {k: a.reshape(-1, 1) for k, a in (("close", close), ("high", high), ("low", low), ("volume", volume))}
    return SimpleNamespace(c=close, h=high, l=low, v=volume, **columns)


Case = tuple[Callable[[Any], Any], Callable[[Any], Any], int]

TALIB: dict[str, Case] = {
    "sma": (lambda m: ind.sma(m.close, 20), lambda m: talib.SMA(m.c, 20), 0),
    "ema": (lambda m: ind.ema(m.close, 20), lambda m: talib.EMA(m.c, 20), 0),
    "wma": (lambda m: ind.wma(m.close, 20), lambda m: talib.WMA(m.c, 20), 0),
    "slope": (lambda m: ind.slope(m.close, 14), lambda m: talib.LINEARREG_SLOPE(m.c, 14), 0),
    "rolling_sum": (lambda m: ind.rolling_sum(m.close, 30), lambda m: talib.SUM(m.c, 30), 0),
    "rolling_var": (lambda m: ind.rolling_var(m.close, 10), lambda m: talib.VAR(m.c, 10), 0),
    "rolling_std": (lambda m: ind.rolling_std(m.close, 20), lambda m: talib.STDDEV(m.c, 20), 0),
    "rolling_max": (lambda m: ind.rolling_max(m.close, 30), lambda m: talib.MAX(m.c, 30), 0),
    "rolling_min": (lambda m: ind.rolling_min(m.close, 30), lambda m: talib.MIN(m.c, 30), 0),
    "bollinger": (lambda m: ind.bollinger(m.close, 20)[:3], lambda m: talib.BBANDS(m.c, 20, 2, 2), 0),
    "rsi": (lambda m: ind.rsi(m.close), lambda m: talib.RSI(m.c), 0),
    "macd line": (lambda m: ind.macd(m.close).line, lambda m: talib.EMA(m.c, 12) - talib.EMA(m.c, 26), 0),
    "macd": (lambda m: ind.macd(m.close), lambda m: talib.MACD(m.c), 500),
    "true_range": (lambda m: ind.true_range(m.high, m.low, m.close), lambda m: talib.TRANGE(m.h, m.l, m.c), 0),
    "atr": (lambda m: ind.atr(m.high, m.low, m.close), lambda m: talib.ATR(m.h, m.l, m.c), 0),
    "adx": (
        lambda m: ind.adx(m.high, m.low, m.close),
        lambda m: (talib.ADX(m.h, m.l, m.c), talib.PLUS_DI(m.h, m.l, m.c), talib.MINUS_DI(m.h, m.l, m.c)),
        700,
    ),
    "stochastic": (
        lambda m: ind.stochastic(m.high, m.low, m.close, 14, 3, 3),
        lambda m: talib.STOCH(m.h, m.l, m.c, 14, 3, 0, 3, 0),
        20,
    ),
    "stochastic fast": (
        lambda m: ind.stochastic(m.high, m.low, m.close, 5, 1, 3),
        lambda m: talib.STOCHF(m.h, m.l, m.c, 5, 3, 0),
        10,
    ),
    "williams_r": (
        lambda m: ind.williams_r(m.high, m.low, m.close),
        lambda m: talib.WILLR(m.h, m.l, m.c),
        0,
    ),
    "cci": (lambda m: ind.cci(m.high, m.low, m.close, 20), lambda m: talib.CCI(m.h, m.l, m.c, 20), 0),
    "roc": (lambda m: ind.roc(m.close, 10), lambda m: talib.ROC(m.c, 10), 0),
    "returns": (lambda m: ind.returns(m.close, 10), lambda m: talib.ROCP(m.c, 10), 0),
    "diff": (lambda m: ind.diff(m.close, 10), lambda m: talib.MOM(m.c, 10), 0),
    "typical_price": (lambda m: ind.typical_price(m.high, m.low, m.close), lambda m: talib.TYPPRICE(m.h, m.l, m.c), 0),
    "obv": (lambda m: ind.obv(m.close, m.volume), lambda m: talib.OBV(m.c, m.v) - m.v[0], 0),
    "mfi": (
        lambda m: ind.mfi(m.high, m.low, m.close, m.volume),
        lambda m: talib.MFI(m.h, m.l, m.c, m.v),
        0,
    ),
}


@pytest.mark.parametrize("name", TALIB)
def test_values_equal_those_of_talib(m: SimpleNamespace, name: str) -> None:
    """Same rows of NaN and the same numbers; where seeds differ (see the docstrings), once the seed has died out."""
    ours, theirs, settled = TALIB[name]
    got, want = ours(m), theirs(m)
    pairs = zip(got, want, strict=True) if isinstance(got, tuple) else [(got, want)]
    for a, b in pairs:
        if settled == 0:
            assert np.array_equal(np.isnan(a[:, 0]), np.isnan(b))
        a, b = a[settled:, 0], b[settled:]
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-7)


def test_values_equal_those_published_with_stock_indicators(shared: Callable[[str], Path]) -> None:
    """502 daily bars of SPY, 2017 to 2018, and the regression values of the Stock.Indicators project."""
    bars = pq.read_table(shared("equity_daily/SPY_2017_2018_indicator_reference.parquet")).to_pydict()
    want = pq.read_table(shared("equity_daily/SPY_2017_2018_indicator_values.parquet")).to_pydict()
    high, low, close, volume = (np.array(bars[k], float).reshape(-1, 1) for k in ("high", "low", "close", "volume"))
    macd, bands = ind.macd(close), ind.bollinger(close)
    first_day = np.zeros(len(close))
    got = {
        "sma": ind.sma(close, 20),
        "ema": ind.ema(close, 20),
        "rsi": ind.rsi(close),
        "macd": macd.line,
        "macd_signal": macd.signal,
        "macd_histogram": macd.histogram,
        "bb_upperBand": bands.upper,
        "bb_lowerBand": bands.lower,
        "bb_percentB": bands.percent_b,
        "bb_width": bands.width,
        "atr_tr": ind.true_range(high, low, close),
        "atr": ind.atr(high, low, close),
        "vwap": ind.session_vwap(high, low, close, volume, first_day),
        "obv": ind.obv(close, volume),
        "stdev_stdDev": ind.rolling_std(close, 14),
        "stdev_mean": ind.sma(close, 14),
    }
    for name, values in got.items():
        column = np.array([nan if v is None else v for v in want[name]], float)
        np.testing.assert_allclose(values[:, 0], column, rtol=1e-10, atol=1e-10, err_msg=name)
    assert ind.rsi(close)[-1, 0] == pytest.approx(42.07732356600684, abs=1e-11)
    assert ind.ema(close, 20)[-1, 0] == pytest.approx(249.35189668034732, abs=1e-11)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float).reshape(-1, 1)


def flat(array: Any) -> list[float]:
    return [v if v == v else None for v in array[:, 0].tolist()]


def test_means_by_hand() -> None:
    x = column(1, 2, 6, 3)
    assert flat(ind.sma(x, 2)) == [None, 1.5, 4.0, 4.5]
    assert flat(ind.ema(x, 3)) == [None, None, 3.0, 3.0]  # seed (1+2+6)/3 = 3, then 3 + 0.5 * (3-3)
    assert flat(ind.rma(x, 2)) == [None, 1.5, 3.75, 3.375]  # 1.5/2 + 6/2, 3.75/2 + 3/2
    assert flat(ind.wma(x, 2)) == [None, 5 / 3, 14 / 3, 4.0]  # (1*1+2*2)/3, (2+12)/3, (6+6)/3
    assert flat(ind.vwma(x, column(1, 3, 1, 0), 2)) == [None, 7 / 4, 3.0, 6.0]  # (1+6)/4, (6+6)/4, 6/1
    assert flat(ind.slope(x, 3)) == [None, None, 2.5, 0.5]  # (6-1)/2, (3-2)/2
    assert flat(ind.slope(x, 1)) == [None] * 4


def test_deviations_by_hand() -> None:
    x = column(2, 4, 4, 4, 5, 5, 7, 9)  # mean 5, squares about it 9+1+1+1+0+0+4+16 = 32
    assert ind.rolling_var(x, 8)[-1, 0] == 4.0
    assert ind.rolling_std(x, 8)[-1, 0] == 2.0
    assert ind.rolling_var(x, 8, ddof=1)[-1, 0] == 32 / 7
    assert ind.zscore(x, 8)[-1, 0] == 2.0  # (9 - 5) / 2
    assert flat(ind.rolling_var(column(3, 3), 1, ddof=1)) == [None, None]
    assert flat(ind.zscore(column(0.1, 0.1, 0.1), 2)) == [None] * 3  # no deviation, no score
    bands = ind.bollinger(x, 8, 1.5)
    assert [b[-1, 0] for b in bands] == [8.0, 5.0, 2.0, 7 / 6, 1.2]


def test_ranges_by_hand() -> None:
    high, low, close = column(10, 12, 11), column(8, 11, 7), column(9, 11, 8)
    assert flat(ind.true_range(high, low, close)) == [None, 3.0, 4.0]  # 12 - 9; max(11, 11) - 7
    assert flat(ind.atr(high, low, close, 2)) == [None, None, 3.5]
    assert flat(ind.atr(high, low, close, 1)) == [None, 3.0, 4.0]
    upper, middle, lower = ind.donchian(high, low, 2)
    assert (flat(upper), flat(middle), flat(lower)) == ([None, 12.0, 12.0], [None, 10.0, 9.5], [None, 8.0, 7.0])
    assert flat(ind.williams_r(high, low, close, 2)) == [None, -25.0, -80.0]  # 100*(11-12)/4, 100*(8-12)/5
    assert flat(ind.stochastic(high, low, close, 2, 1, 1).k) == [None, 75.0, 20.0]
    upper, middle, lower = ind.keltner(high, low, close, 1, 2, 2.0)
    assert [v[-1, 0] for v in (upper, middle, lower)] == [15.0, 8.0, 1.0]  # 8 +- 2 * 3.5


def test_oscillators_by_hand() -> None:
    x = column(10, 11, 10, 13)
    assert flat(ind.rsi(x, 2)) == [None, None, 50.0, 87.5]  # rises (1,0)/2, falls (0,1)/2; then 1.75 and 0.25
    assert flat(ind.rsi(column(5, 5, 5), 2)) == [None] * 3
    assert flat(ind.roc(x, 1)) == pytest.approx([None, 10.0, 100 * (10 / 11 - 1), 30.0])
    assert flat(ind.returns(column(0, 1), 1)) == [None, None]
    assert flat(ind.obv(x, column(5, 6, 7, 8))) == [0.0, 6.0, -1.0, 7.0]
    # typical 10, 11, 10, 13; flows +66 (11*6), -70, +104: 100 * 66 / 136, 100 * 104 / 174
    assert flat(ind.mfi(x, x, x, column(5, 6, 7, 8), 2)) == pytest.approx([None, None, 6600 / 136, 10400 / 174])
    # window (11, 10, 13): mean 34/3, deviations 1/3, 4/3, 5/3, their mean 10/9: (5/3) / (0.015 * 10/9) = 100
    assert ind.cci(x, x, x, 3)[-1, 0] == pytest.approx(100.0)


def test_adx_by_hand() -> None:
    high, low, close = column(10, 12, 13, 12), column(8, 9, 11, 9), column(9, 11, 12, 10)
    # moves: +2 (low rose), +1, then high -1 and low fell 2: -2; true ranges 3, 2, 3
    index, plus, minus = ind.adx(high, low, close, 1)
    assert flat(plus) == pytest.approx([None, 200 / 3, 50.0, 0.0])
    assert flat(minus) == pytest.approx([None, 0.0, 0.0, 200 / 3])
    assert flat(index) == [None, 100.0, 100.0, 100.0]
    # n = 2: plus (2+1)/2 = 1.5 then .75, minus 0 then 1, range 2.5 then 2.75; indexes 100 and 100/7
    index, plus, minus = ind.adx(high, low, close, 2)
    assert flat(plus) == pytest.approx([None, None, 60.0, 75 / 2.75])
    assert flat(minus) == pytest.approx([None, None, 0.0, 100 / 2.75])
    assert index[3, 0] == pytest.approx((100 + 100 / 7) / 2)


def test_supertrend_by_hand_turns_where_the_close_crosses_the_line() -> None:
    close = column(10, 10, 11, 12, 8, 8, 12)
    line, direction = ind.supertrend(close + 1, close - 1, close, 1, 1.0)
    # range 2 while the close moves at most 1: 2, 2, 2; then |8-1-12| = 5, 2, |12+1-8| = 5
    # row 1: 8..12, close at the middle: up; then the lower rises to 9 and 10 and the upper stays at 12
    # row 4: 8 < 10 turns down, upper 12 (8+5 is more); row 5: upper 8+2 = 10; row 6: 12 > 10 turns up, lower 12-5 = 7
    assert flat(direction) == [None, 1.0, 1.0, 1.0, -1.0, -1.0, 1.0]
    assert flat(line) == [None, 8.0, 9.0, 10.0, 12.0, 10.0, 7.0]


def test_crossing_needs_a_known_row_before_and_skips_gaps() -> None:
    a = column(1, 3, 2, nan, 3, 2, 1)
    assert ind.crossed_above(a, 2.0)[:, 0].tolist() == [False, True, False, False, True, False, False]
    assert ind.crossed_below(a, 2.0)[:, 0].tolist() == [False, False, False, False, False, False, True]
    assert ind.crossed_above(column(3, 3), 2.0)[:, 0].tolist() == [False, False]
    assert ind.crossed_below(2.0, a)[:, 0].tolist() == ind.crossed_above(a, 2.0)[:, 0].tolist()
    assert flat(ind.bars_since(column(0, 1, 0, 0, 1) > 0)) == [None, 0.0, 1.0, 2.0, 0.0]


def test_session_values_begin_anew_with_each_session() -> None:
    high, low, volume = column(10, 12, 11, 20), column(8, 9, 10, 18), column(1, 3, 0, 5)
    close, session = column(9, 12, 10, 19), np.array([1, 1, 1, 2])
    # typical 9, 11, 31/3, 19: 9, (9+33)/4 = 10.5, the same, 19
    assert flat(ind.session_vwap(high, low, close, volume, session)) == [9.0, 10.5, 10.5, 19.0]
    assert flat(ind.session_high(high, session)) == [10.0, 12.0, 12.0, 20.0]
    assert flat(ind.session_low(low, session)) == [8.0, 8.0, 8.0, 18.0]
    assert flat(ind.session_sum(volume, session)) == [1.0, 4.0, 4.0, 5.0]
    assert flat(ind.session_open(column(nan, 5, 6, 7), session)) == [None, 5.0, 5.0, 7.0]
    assert flat(ind.previous_close(column(1, 2, nan, 7), session)) == [None, None, None, 2.0]


def test_opening_range_is_known_from_the_row_that_completes_it() -> None:
    high, low = column(10, 12, 14, 30, 31), column(8, 9, 7, 29, 28)
    session, since_open = np.array([1, 1, 1, 2, 2]), np.array([900.0, 1800.0, 2700.0, 2700.0, 3600.0])
    top, bottom = ind.opening_range(high, low, session, since_open)
    assert flat(top) == [None, 12.0, 12.0, None, None]  # the second session was first seen too late
    assert flat(bottom) == [None, 8.0, 8.0, None, None]


def test_values_before_now() -> None:
    x = column(1, nan, 3, 4)
    assert flat(ind.lag(x)) == [None, 1.0, None, 3.0]
    assert flat(ind.lag(x, 2)) == [None, None, 1.0, None]
    assert flat(ind.diff(x, 2)) == [None, None, 2.0, None]
    assert flat(ind.ffill(column(nan, 1, nan, 2))) == [None, 1.0, 1.0, 2.0]


def test_negative_zero_is_zero_in_extremes_and_sums() -> None:
    x = column(-0.0, 0.0, -0.0)
    for got in (ind.rolling_max(x, 2), ind.rolling_min(x, 2), ind.rolling_sum(x, 2), ind.sma(x, 1)):
        assert not np.signbit(got[~np.isnan(got)]).any()


wide = st.floats(-1e6, 1e6).filter(lambda v: v == 0 or abs(v) > 1e-100)


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.one_of(wide, st.sampled_from([0.1, 0.3, 1e16, -1e16, 1e-20, 100.01])), min_size=1, max_size=40),
    n=st.integers(1, 9),
)
def test_sums_and_deviations_equal_exact_fractions(values: list[float], n: int) -> None:
    """Sums are the exact ones rounded once; variance is within 1e-22 of the mean square and 1e-14 of itself."""
    x = column(*values)
    total, mean, weighted = ind.rolling_sum(x, n)[:, 0], ind.sma(x, n)[:, 0], ind.wma(x, n)[:, 0]
    variance, deviation, line = ind.rolling_var(x, n)[:, 0], ind.rolling_std(x, n)[:, 0], ind.slope(x, n)[:, 0]
    for t in range(n - 1, len(values)):
        window = values[t - n + 1 : t + 1]
        exact = [Fraction(v) for v in window]
        assert total[t] == fsum(window) == float(sum(exact))
        assert mean[t] == fsum(window) / n
        assert weighted[t] == float(sum(k * v for k, v in enumerate(exact, 1))) / (n * (n + 1) / 2)
        middle = sum(exact) / n
        want = sum((v - middle) ** 2 for v in exact) / n
        slack = sum(v * v for v in exact) / n * Fraction(1e-22) + want * Fraction(1e-14)
        assert abs(Fraction(float(variance[t])) - want) <= slack
        assert deviation[t] == sqrt(variance[t])
        if n > 1:
            lean = sum((k - Fraction(n - 1, 2)) * v for k, v in enumerate(exact)) / Fraction(n * (n * n - 1), 12)
            scale = sum(abs(v) for v in exact)
            assert abs(Fraction(float(line[t])) - lean) <= scale * Fraction(1e-23) + abs(lean) * Fraction(1e-14)


@settings(max_examples=60, deadline=None)
@given(value=st.floats(1e-100, 1e100), n=st.integers(1, 30))
def test_constant_window_has_no_deviation_at_all(value: float, n: int) -> None:
    x = np.full((40, 1), value)
    assert (ind.rolling_std(x, n)[n - 1 :] == 0.0).all()
    assert np.isnan(ind.zscore(x, n)).all()
