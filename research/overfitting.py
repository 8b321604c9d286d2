"""The probability of backtest overfitting: how often the best of the past is below the middle of what followed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from data.errors import UsageError
from data.types import Floats

SPLITS = 1_000
"""Worked on at a time: enough to be quick, little enough to stay in the cache."""


@dataclass(frozen=True)
class Overfitting:
    """What combinatorially symmetric cross-validation says of a family of strategies.

    probability: PBO, the share of splits in which the in-sample winner was at or below the out-of-sample median.
    logits: (C,) log(w / (1 - w)) of the winner's relative rank w out of sample, per split; 0 or less counts.
    degradation: slope of the winners' out-of-sample Sharpe on their in-sample Sharpe.
    loss: share of splits in which the winner lost money out of sample.
    """

    probability: float
    logits: Floats
    degradation: float
    loss: float


def probability_of_overfitting(returns: Floats, blocks: int = 16) -> Overfitting:
    """PBO by combinatorially symmetric cross-validation, the Sharpe ratio as the measure.

    The rows are cut into `blocks` stretches (leading rows that do not fill one are left out). For each choice of half
    of them: the column with the highest Sharpe ratio there, and its relative rank rank / (N + 1) in the other half.

    Args:
        returns: (T, N) returns of N strategies of one family.
        blocks: even, 2 to 20; there are C(blocks, blocks / 2) splits.

    Raises:
        UsageError: fewer than two strategies, an odd or too large number of blocks, fewer than two rows a block, NaN.

    Source: Bailey, Borwein, Lopez de Prado, Zhu (2017), "The Probability of Backtest Overfitting", Journal of
    Computational Finance 20(4).
    """
    table = np.asarray(returns, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise UsageError(f"overfitting is a matter of at least 2 strategies, got returns of shape {table.shape}")
    if blocks % 2 or not 2 <= blocks <= 20:
        raise UsageError(f"blocks must be an even number from 2 to 20, got {blocks}")
    width = len(table) // blocks
    if width < 2:
        raise UsageError(f"{len(table)} rows are too few for {blocks} blocks of 2 rows; take fewer blocks")
    if not np.isfinite(table).all():
        raise UsageError("returns hold NaN or infinity; fill them with 0 where nothing was held")
    cut = table[len(table) - blocks * width :].reshape(blocks, width, -1)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    splits = np.array(list(combinations(range(blocks), blocks // 2)))
    parts = [_judged(sums, squares, splits[i : i + SPLITS], width) for i in range(0, len(splits), SPLITS)]
    relative, inside, outside = (np.concatenate(each) for each in zip(*parts, strict=True))
    logits = np.log(relative / (1.0 - relative))
    return Overfitting(float((logits <= 0.0).mean()), logits, _slope(inside, outside), float((outside < 0.0).mean()))


def _judged(sums: Any, squares: Any, splits: Any, width: int) -> tuple[Any, Any, Any]:
    """Of each split: relative rank of the winner outside, its Sharpe ratios inside and outside."""
    here = np.zeros((len(splits), len(sums)), dtype=bool)
    here[np.arange(len(splits))[:, None], splits] = True
    seen, unseen = _sharpe(sums, squares, here, width), _sharpe(sums, squares, ~here, width)
    every = np.arange(len(splits))
    winner = np.argmax(seen, axis=1)
    own = unseen[every, winner]
    rank = 1.0 + (unseen < own[:, None]).sum(axis=1) + 0.5 * ((unseen == own[:, None]).sum(axis=1) - 1)
    return rank / (unseen.shape[1] + 1.0), seen[every, winner], own


def _sharpe(sums: Any, squares: Any, chosen: Any, width: int) -> Any:
    """(C, N) Sharpe ratio per period over the chosen blocks of each split; 0 for a strategy that never moved."""
    count = chosen.shape[1] // 2 * width
    mean = _added(sums, chosen) / count
    variance = np.maximum(_added(squares, chosen) - count * mean**2, 0.0) / (count - 1)
    deviation = np.sqrt(variance)
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 1e-14)


def _added(blocks: Any, chosen: Any) -> Any:
    """(C, N) of (B, N) block sums: the chosen ones, added in order, so that equal columns stay equal to the bit."""
    total = np.zeros((len(chosen), blocks.shape[1]))
    for block, taken in zip(blocks, chosen.T, strict=True):
        total += np.where(taken[:, None], block, 0.0)
    return total


def _slope(x: Floats, y: Floats) -> float:
    spread = np.var(x)
    if not spread > 0.0:
        return float("nan")
    return float(np.mean((x - np.mean(x)) * (y - np.mean(y))) / spread)
