"""Ways to cut history into what a choice may see and what it is judged on.

Every split is a pair of row numbers `(train, test)`. `purge` takes rows out of the training side whose outcome reaches
into the test (the longest holding time) and after the test those that its outcomes reach into; `embargo` takes more
rows behind those, which still carry the test's news.

Source: Lopez de Prado (2018), "Advances in Financial Machine Learning", chapters 7 and 12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise
from math import comb
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data.errors import UsageError

Rows = npt.NDArray[np.int64]


class Split(NamedTuple):
    """Row numbers to choose on, and row numbers to judge by."""

    train: Rows
    test: Rows


def require_apart(splits: Iterable[tuple[Any, Any]], rows: int, *, purge: int = 0, embargo: int = 0) -> list[Split]:
    """Splits from elsewhere (scikit-learn, skfolio, by hand), checked: nothing of a test reaches into its training.

    Args:
        splits: pairs of row numbers `(train, test)`. rows: there are.
        purge: rows that must lie between training and each test stretch, on both sides; embargo: more, after it.

    Raises:
        UsageError: no split, an empty side, rows that do not exist, or a split that leaks, which is named.
    """
    done = []
    for number, (train, test) in enumerate(splits):
        split = Split(np.unique(np.asarray(train, np.int64)), np.unique(np.asarray(test, np.int64)))
        for name, side in zip(("training", "test"), split, strict=True):
            if not len(side):
                raise UsageError(f"split {number} has no {name} rows")
            if side[0] < 0 or side[-1] >= rows:
                raise UsageError(f"split {number} has {name} rows {side[0]} to {side[-1]}, but there are {rows}")
        barred: Any = np.zeros(rows, dtype=bool)
        ends = np.flatnonzero(np.diff(split.test) > 1)
        for start, stop in zip(split.test[np.append(0, ends + 1)], split.test[np.append(ends, -1)], strict=True):
            barred[max(0, start - purge) : stop + 1 + purge + embargo] = True
        leaking = split.train[barred[split.train]]
        if len(leaking):
            both = np.intersect1d(split.train, split.test)
            what = f"row {both[0]} is in both" if len(both) else f"training row {leaking[0]} is too near to a test"
            raise UsageError(
                f"split {number} leaks: {what} ({len(leaking)} such rows with purge {purge} and embargo {embargo}); "
                f"take them out of the training, as purged_kfold does"
            )
        done.append(split)
    if not done:
        raise UsageError("there is no split to judge by")
    return done


def walk_forward(
    rows: int, folds: int, *, train: int | None = None, anchored: bool = False, purge: int = 0
) -> list[Split]:
    """`folds` test stretches one after the other, each after the rows it was chosen on.

    The tests are equal and reach to the last row. Rolling: `train` rows before each test (default: as many as the
    first test leaves before it). Anchored: all rows before it.

    Raises:
        UsageError: no room for a training stretch before the first test.
    """
    if folds < 1 or purge < 0:
        raise UsageError(f"walk-forward needs at least 1 fold and a purge of 0 or more, got {folds} and {purge}")
    width = rows // (folds + 1) if train is None else (rows - train) // folds
    if width < 1 or (train is not None and train < 1):
        raise UsageError(f"{rows} rows hold no {folds} folds behind a training stretch; take fewer folds or more rows")
    first = rows - folds * width
    length = first if train is None else train
    splits = []
    for fold in range(folds):
        start = first + fold * width
        begin = 0 if anchored else max(0, start - length)
        chosen = np.arange(begin, max(begin, start - purge))
        if not len(chosen):
            raise UsageError(f"a purge of {purge} rows leaves nothing of a training stretch of {start - begin}")
        splits.append(Split(chosen, np.arange(start, start + width)))
    return splits


def purged_kfold(rows: int, folds: int, *, purge: int = 0, embargo: int = 0) -> list[Split]:
    """`folds` test stretches that cover all rows; training is everything else, less purge and embargo.

    Raises:
        UsageError: fewer than two folds, more folds than rows, or nothing left to train on.
    """
    return [_purged(rows, _groups(rows, folds), (k,), purge, embargo) for k in range(folds)]


def combinatorial(
    rows: int, groups: int, tests: int, *, purge: int = 0, embargo: int = 0
) -> Iterator[tuple[tuple[int, ...], Split]]:
    """(test groups, split) for every choice of `tests` of `groups` stretches: combinatorial purged cross-validation.

    There are C(groups, tests) splits and C(groups, tests) * tests / groups paths through all rows, see `paths`.
    """
    edges = _groups(rows, groups)
    if not 1 <= tests < groups:
        raise UsageError(f"test groups must be from 1 to {groups - 1}, got {tests}")
    for chosen in combinations(range(groups), tests):
        yield chosen, _purged(rows, edges, chosen, purge, embargo)


def paths(groups: int, tests: int) -> list[list[int]]:
    """The back-test paths of `combinatorial`: for each path, per group the number of the split that tests it.

    Every split is used for each of its test groups exactly once over all paths.
    """
    used = [0] * groups
    count = comb(groups, tests) * tests // groups
    built: list[list[int]] = [[-1] * groups for _ in range(count)]
    for number, chosen in enumerate(combinations(range(groups), tests)):
        for group in chosen:
            built[used[group]][group] = number
            used[group] += 1
    return built


def group_rows(rows: int, groups: int) -> list[Rows]:
    """The row numbers of each of `groups` nearly equal stretches."""
    return [np.arange(a, b) for a, b in _groups(rows, groups)]


def _groups(rows: int, groups: int) -> list[tuple[int, int]]:
    if not 2 <= groups <= rows:
        raise UsageError(f"{rows} rows can be cut into 2 to {rows} stretches, got {groups}")
    edges = [rows * k // groups for k in range(groups + 1)]
    return list(pairwise(edges))


def _purged(rows: int, edges: list[tuple[int, int]], chosen: tuple[int, ...], purge: int, embargo: int) -> Split:
    if purge < 0 or embargo < 0:
        raise UsageError(f"purge and embargo must be 0 or more rows, got {purge} and {embargo}")
    test: Any = np.zeros(rows, dtype=bool)
    barred: Any = np.zeros(rows, dtype=bool)
    for k in chosen:
        start, stop = edges[k]
        test[start:stop] = True
        barred[max(0, start - purge) : stop + purge + embargo] = True
    train = np.flatnonzero(~barred)
    if not len(train):
        raise UsageError(f"purge {purge} and embargo {embargo} leave nothing of {rows} rows to train on")
    return Split(train, np.flatnonzero(test))
