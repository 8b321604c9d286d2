"""Metrics against sums done by hand, published figures and empyrical."""

import math

import empyrical
import numpy as np
import pandas as pd
import pytest

from backtests import metrics as m

# +10 %, -20 %, +25 %, 0 %: 100 -> 110 -> 88 -> 110 -> 110
EQUITY = np.array([110.0, 88.0, 110.0, 110.0])
RETURNS = np.array([0.1, -0.2, 0.25, 0.0])


def test_returns_start_from_the_cash():
    assert m.returns_of(EQUITY, 100.0) == pytest.approx(RETURNS)


def test_a_lost_account_has_no_further_returns():
    assert np.isnan(m.returns_of(np.array([0.0, 5.0]), 10.0)).tolist() == [False, True]


def test_session_returns_take_the_last_row_of_each_session():
    sessions = np.array([1, 1, 2, 2])
    assert m.session_ends(sessions).tolist() == [1, 3]
    assert m.session_returns(EQUITY, sessions, 100.0) == pytest.approx([-0.12, 0.25])


def test_ratios_by_hand():
    # mean 0.0375; deviations 0.0625, -0.2375, 0.2125, -0.0375: squares sum 0.106875, over 3 = 0.035625
    deviation = math.sqrt(0.035625)
    assert m.total_return(RETURNS) == pytest.approx(0.1)
    assert m.annual_return(RETURNS, 8.0) == pytest.approx(1.1**2 - 1.0)
    assert m.volatility(RETURNS, 4.0) == pytest.approx(2.0 * deviation)
    assert m.sharpe_ratio(RETURNS, 4.0) == pytest.approx(2.0 * 0.0375 / deviation)
    assert m.sharpe_ratio(RETURNS, 4.0, 0.0175) == pytest.approx(2.0 * 0.02 / deviation)
    # the only loss: sqrt(0.04 / 4) = 0.1
    assert m.sortino_ratio(RETURNS, 4.0) == pytest.approx(2.0 * 0.0375 / 0.1)
    assert m.omega_ratio(RETURNS) == pytest.approx(0.35 / 0.2)
    assert m.max_drawdown(EQUITY, 100.0) == pytest.approx(-0.2)
    assert m.calmar_ratio(RETURNS, 8.0) == pytest.approx(0.21 / 0.2)
    assert m.value_at_risk(RETURNS, 0.5) == pytest.approx(0.05)
    assert m.conditional_value_at_risk(RETURNS, 0.5) == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("equity", "rows"),
    [
        ([110, 120, 130], (0, 0)),
        ([110, 88, 110, 110], (0, 2)),  # from the peak to the recovery
        ([90, 95, 99], (-1, 2)),  # never above the start, peak row -1
        ([110, 100, 111, 109, 108, 107], (2, 5)),  # not over at the end
        ([110, 100, 110, 100, 100, 110], (2, 5)),
        ([110, 109], (0, 1)),
        ([90], (-1, 0)),
    ],
)
def test_longest_drawdown_runs_from_peak_to_recovery(equity, rows):
    assert m.longest_drawdown(m.drawdowns(np.array(equity, float), 100.0)) == rows


def test_numbers_that_do_not_exist_are_nan():
    flat, one = np.zeros(5), np.array([0.1])
    for value in (
        m.sharpe_ratio(flat, 252.0),
        m.sortino_ratio(flat, 252.0),
        m.omega_ratio(flat),
        m.calmar_ratio(flat, 252.0),
        m.probabilistic_sharpe_ratio(flat),
        m.sharpe_ratio(one, 252.0),
        m.volatility(one, 252.0),
        m.annual_return(np.empty(0), 252.0),
        m.value_at_risk(np.empty(0)),
        m.profit_factor(np.array([1.0, 2.0])),
        m.mean_or_nan(np.empty(0)),
    ):
        assert math.isnan(value)
    assert m.annual_return(np.array([-1.0, 0.5]), 252.0) == -1.0


def test_probabilistic_sharpe_is_that_of_the_papers():
    # Bailey, Lopez de Prado (2012): 24 months, mean 0.036, deviation 0.079; 0.982 if they were normal, 0.913 with
    # skewness -2.448 and kurtosis 10.164.
    sharpe = 0.036 / 0.079
    assert m.psr(sharpe, 24, 0.0, 3.0) == pytest.approx(0.982, abs=1.5e-3)
    assert m.psr(sharpe, 24, -2.448, 10.164) == pytest.approx(0.913, abs=1e-3)
    # Bailey, Lopez de Prado (2014): 1,250 days, annual Sharpe 2.5 over 250 days, skewness -3, kurtosis 10, against
    # the best of 100 trials, 0.1132 a day.
    assert m.psr(2.5 / math.sqrt(250.0), 1250, -3.0, 10.0, 0.1132) == pytest.approx(0.9004, abs=2e-4)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_empyrical(seed):
    r = np.random.default_rng(seed)
    returns = r.standard_t(4, 700) * 0.01 + 0.0003
    frame = pd.Series(returns, index=pd.bdate_range("2020-01-01", periods=700))
    growth = np.cumprod(1.0 + returns)
    for ours, theirs in (
        (m.sharpe_ratio(returns, 252.0), empyrical.sharpe_ratio(frame)),
        (m.sharpe_ratio(returns, 252.0, 1e-4), empyrical.sharpe_ratio(frame, risk_free=1e-4)),
        (m.sortino_ratio(returns, 252.0), empyrical.sortino_ratio(frame)),
        (m.calmar_ratio(returns, 252.0), empyrical.calmar_ratio(frame)),
        (m.omega_ratio(returns), empyrical.omega_ratio(frame)),
        (m.max_drawdown(growth, 1.0), empyrical.max_drawdown(frame)),
        (m.volatility(returns, 252.0), empyrical.annual_volatility(frame)),
        (m.annual_return(returns, 252.0), empyrical.annual_return(frame)),
        (m.value_at_risk(returns), empyrical.value_at_risk(frame)),
        (m.conditional_value_at_risk(returns), empyrical.conditional_value_at_risk(frame)),
    ):
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_moments_of_a_normal_sample_are_near_0_and_3():
    skewness, kurtosis = m.moments(np.random.default_rng(0).normal(size=200_000))
    assert (skewness, kurtosis) == (pytest.approx(0.0, abs=0.02), pytest.approx(3.0, abs=0.05))


def test_marks_carry_the_last_known_close():
    close = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, np.nan], [3.0, 4.0]])
    assert m.marks_of(close).tolist() == [[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [3.0, 4.0]]


def test_exposure_turnover_and_benchmark_by_hand():
    positions = np.array([[0.0, 0.0], [10.0, -5.0], [10.0, 0.0]])
    marks = np.array([[10.0, 20.0], [11.0, 22.0], [12.0, 10.0]])
    equity = np.array([1_000.0, 1_100.0, 1_200.0])
    # 110 + 110 over 1100; 120 over 1200
    assert m.gross_exposure(positions, marks, equity) == pytest.approx([0.0, 0.2, 0.1])
    assert m.time_in_market(positions) == pytest.approx(2 / 3)
    # 440 traded is 220 there and back, over a mean equity of 1100, in half a year
    assert m.turnover(440.0, equity, 0.5) == pytest.approx(0.4)
    # 12 / 10 and 10 / 20, in equal parts
    assert m.benchmark_return(marks) == pytest.approx(-0.15)
    assert m.profit_factor(np.array([3.0, -2.0, 1.0])) == 2.0
    assert m.longest_run(np.array([True, False, True, True])) == 2
    assert m.longest_run(np.array([], dtype=bool)) == 0
