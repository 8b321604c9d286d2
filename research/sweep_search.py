"""A search by optuna's TPE: the next sets are chosen by what the ones before gave.

Source: Bergstra, Bardenet, Bengio, Kegl (2011), "Algorithms for Hyper-Parameter Optimization", NIPS 24.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from data.errors import UnavailableError, UsageError
from research.grid import Constraint, Dimension
from strategies.common.load import Range

if TYPE_CHECKING:
    from research.sweep import _Table

AT_ONCE = 8
"""Sets chosen together and run side by side; fixed, so that the same seed gives the same sets on any machine."""
PATIENCE = 50
"""Proposals against the constraint before a round goes on with what it has."""
ROUNDS = 3
"""Rounds without a new set before the search ends: it has found its place."""


def search_tpe(
    space: Mapping[str, Dimension], trials: int, seed: int, allowed: Constraint | None, table: _Table
) -> bool:
    """Run `trials` different sets; False where it was interrupted. Ends early where nothing new is proposed.

    Raises:
        UsageError: the constraint allows nothing that is proposed.
        UnavailableError: optuna is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise UnavailableError(
            "a search by tpe needs the package optuna, which is not installed; run: make setup"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the sampler's options are experimental to optuna
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True, multivariate=True, group=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    scores: dict[tuple[Any, ...], float] = {}
    idle = 0
    while len(scores) < trials and idle < ROUNDS:
        asked = []
        for _ in range(PATIENCE):
            trial = study.ask()
            values = tuple(_suggest(trial, name, dimension) for name, dimension in space.items())
            if allowed is not None and not allowed(dict(zip(space, values, strict=True))):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            asked.append((trial, values))
            if len(asked) == min(AT_ONCE, trials - len(scores)):
                break
        new = list(dict.fromkeys(values for _, values in asked if values not in scores))
        idle = 0 if new else idle + 1
        if new:
            first = len(table.sets)
            complete = table.add(new, total=trials)
            scores.update(zip(new, table.scores(first), strict=False))
            if not complete:
                return False
        for trial, values in asked:
            score = scores[values]
            study.tell(
                trial, score if isfinite(score) else None, None if isfinite(score) else optuna.trial.TrialState.FAIL
            )
    if not scores:
        raise UsageError("no set is left: the constraint allows nothing that was proposed; widen the grid")
    return True


def _suggest(trial: Any, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Range):
        if isinstance(dimension.low, int):
            return trial.suggest_int(name, dimension.low, dimension.high)
        return trial.suggest_float(name, dimension.low, dimension.high)
    if isinstance(dimension[0], bool | str):
        return trial.suggest_categorical(name, dimension)
    # Places of sorted values, so that near values are near to the search as well.
    return sorted(dimension)[trial.suggest_int(name, 0, len(dimension) - 1)]
