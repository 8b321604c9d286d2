"""The equity of a run at the ends of its sessions, from its fills: what PBO and walk-forward ask of a set.

Bits are those of `backtests.scan`: cash, then each symbol's position at its last known close, added in order.
"""

from __future__ import annotations

from typing import Any

HELD, FILLED, EXTRAS = 0, 1, 2
"""Places behind the sessions of a row: the most session ends that a position lasted through, and the fills."""


def keep_sessions(
    marks: Any, ends: Any, cash: float, fills: int, where: Any, after: Any, positions: Any, runs: Any, kept: Any
) -> None:
    """Write one account's equity at every session end into `kept`, behind them `HELD` and `FILLED`.

    Args:
        marks: (N, T + LANES) as in `research.valuation`. ends: (S,) last rows of sessions.
        where, after: the fills, see `research.leap`. positions: (N,) scratch. runs: (N, 2) scratch: side, session ends.
        kept: (S + EXTRAS,).
    """
    symbols = marks.shape[0]
    for j in range(symbols):
        positions[j] = 0.0
        runs[j, 0] = 0
        runs[j, 1] = 0
    done = 0
    longest = 0
    for e in range(ends.shape[0]):
        row = ends[e]
        while done < fills and where[done, 0] <= row:
            positions[where[done, 1]] = after[done, 0]
            cash = after[done, 1]
            done += 1
        equity = cash
        for j in range(symbols):
            held = positions[j]
            side = 0
            if held != 0.0:
                equity += held * marks[j, row]
                side = 1 if held > 0.0 else -1
            if side == 0:
                runs[j, 1] = 0
            elif side == runs[j, 0]:
                runs[j, 1] += 1
            else:
                runs[j, 1] = 1
            runs[j, 0] = side
            longest = max(longest, runs[j, 1])
        kept[e] = equity
    kept[ends.shape[0] + HELD] = longest
    kept[ends.shape[0] + FILLED] = fills
