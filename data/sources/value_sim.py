"""What a simulated share is worth, second by second: the path its order book will have to find.

A common factor and an own part, each with volatility that clusters and a daily smile; drift that lasts for minutes,
bursts of momentum, news that jumps, a passing pressure that reverts, and now and then a halt. All of it is seeded,
and none of it depends on the order book, so a session's value is known without simulating the session before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from data.sources.compiled import bell, bounded, uniform

# Second by second; half-lives are ln 2 over the rate.
DRIFT_RATE = 0.0014  # drift lasts about 8 minutes
DRIFT = 0.020  # of a second's volatility
PRESSURE_RATE = 0.0077  # pressure reverts in about 90 seconds
PRESSURE = 3.5  # its deviation, in seconds' volatility
CALM_RATE = 1 / 1800  # volatility clusters for about 20 minutes
CLUSTER = 0.012
BURSTS_A_DAY = 3.0
NEWS_A_DAY = 0.6
HALTS_A_DAY = 0.04  # pauses announced with news, besides those the limits below trigger
LIMIT = 0.05  # a move of 5 % in 5 minutes pauses trading, as the limit-up limit-down plan does for large stocks
PAUSE_S = 300
QUIET_S = 600  # no pause in the first ten minutes, nor in the last

VALUE, TILT, PACE, OPEN = 0, 1, 2, 3


def smile(place: float, floor: float, morning: float, evening: float) -> float:
    """A U over the day: `place` from 0 (open) to 1 (close)."""
    rest = 1.0 - place
    left, right = rest * rest, place * place
    left, right = left * left, right * right
    return floor + morning * left * left * rest + evening * right * right * place


def factor_path(state: Any, seconds: int, deviation: float) -> Any:
    """(seconds + 1,) return of the common factor in each second; `deviation` is that of the whole day."""
    out = np.zeros(seconds + 1)
    heat, drift = 1.0, bell(state)
    unit = deviation / np.sqrt(float(seconds))
    for s in range(1, seconds + 1):
        heat = _heat(state, heat)
        drift += -DRIFT_RATE * drift + _ROOT_DRIFT * bell(state)
        out[s] = unit * smile(s / seconds, 0.8, 1.3, 0.3) * (heat * bell(state) + DRIFT * drift)
    return out


def value_path(state: Any, factor: Any, beta: float, first: float, deviation: float) -> Any:
    """(4, seconds + 1): value in currency, tilt of order flow (-1 to 1), pace of orders (1 on average), open or not.

    Args:
        factor: (seconds + 1,) returns of the common factor. beta: exposure to it.
        first: value at the open. deviation: of the day's own return, fraction.
    """
    seconds = len(factor) - 1
    out = np.zeros((4, seconds + 1))
    unit = deviation / np.sqrt(float(seconds))
    heat, drift, pressure = 1.0, bell(state), 0.0
    burst, burst_left, surge = 0.0, 0, 0.0
    pause_at = -1
    if uniform(state) < HALTS_A_DAY:
        pause_at = QUIET_S + int(uniform(state) * (seconds - 2 * QUIET_S - PAUSE_S))
    paused, value = 0, first
    out[VALUE, 0], out[PACE, 0], out[OPEN, 0] = first, smile(0.0, 0.62, 2.2, 1.6), 1.0
    for s in range(1, seconds + 1):
        place = s / seconds
        heat = _heat(state, heat)
        drift += -DRIFT_RATE * drift + _ROOT_DRIFT * bell(state)
        pressure += -PRESSURE_RATE * pressure + PRESSURE * _ROOT_PRESSURE * bell(state)
        if burst_left == 0 and uniform(state) * seconds < BURSTS_A_DAY:
            burst_left = 180 + int(uniform(state) * 720.0)
            burst = (0.03 + 0.05 * uniform(state)) * (1.0 if uniform(state) < 0.5 else -1.0)
        elif burst_left > 0:
            burst_left -= 1
        pushed = burst if burst_left > 0 else 0.0
        now = unit * smile(place, 0.8, 1.3, 0.3)
        move = beta * factor[s] + now * (heat * bell(state) + DRIFT * drift + pushed)
        news = uniform(state) * seconds < NEWS_A_DAY
        if news or s == pause_at:
            size = 0.002 + 0.01 * uniform(state) * uniform(state)
            move += size * (1.0 if uniform(state) < 0.5 else -1.0) * (1.0 if news else 3.0)
            heat, surge = heat + 1.0, surge + 2.0
        surge *= 0.998
        value *= 1.0 + move
        past = out[VALUE, s - PAUSE_S] if s > PAUSE_S else first
        moved = value / past - 1.0
        far = moved > LIMIT or moved < -LIMIT
        if paused == 0 and QUIET_S < s < seconds - QUIET_S - PAUSE_S and (far or s == pause_at):
            paused = PAUSE_S
        out[OPEN, s] = 0.0 if paused > 0 else 1.0
        paused -= 1 if paused > 0 else 0
        out[VALUE, s] = value * (1.0 + now * pressure)
        out[TILT, s] = bounded(0.45 * drift + 14.0 * pushed, -1.0, 1.0)
        busy = smile(place, 0.62, 2.2, 1.6) * (0.4 + 0.6 * heat)
        out[PACE, s] = busy * (1.0 + surge) * (1.8 if burst_left > 0 else 1.0)
    return out


_ROOT_DRIFT = float(np.sqrt(2 * DRIFT_RATE))
_ROOT_PRESSURE = float(np.sqrt(2 * PRESSURE_RATE))


def _heat(state: Any, heat: float) -> float:
    """Volatility relative to its mean, one second on."""
    heat += CALM_RATE * (1.0 - heat) + CLUSTER * heat * bell(state)
    return bounded(heat, 0.35, 4.0)
