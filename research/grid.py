"""The parameter sets of a sweep: what is tried, which of it is allowed, and in which order it is cheapest."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import floor, prod
from typing import Any

import numpy as np

from data.door import did_you_mean
from data.errors import UsageError
from strategies.common.load import Parameter, Range, Strategy

Values = tuple[Any, ...]
Dimension = tuple[Any, ...] | Range
Constraint = Callable[[dict[str, Any]], bool]
MOST = 50_000_000


class Sets(Sequence[Values]):
    """All combinations of some values, or the allowed ones, as places in the lists of values: four bytes a value."""

    def __init__(self, choices: Sequence[Values], places: Any) -> None:
        self.choices, self.places = tuple(choices), places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        return tuple(values[k] for values, k in zip(self.choices, self.places[i], strict=True))

    def __iter__(self) -> Iterator[Values]:
        return (self[i] for i in range(len(self)))


def dimensions(strategy: Strategy, grid: Mapping[str, Any] | None, *, ranged: bool) -> dict[str, Dimension]:
    """What to try for every parameter named in `grid`, typed and checked: values, or a range to draw from.

    Args:
        grid: per parameter a list, a NumPy array, a single value, a `Range`, or a text: `5:200:5` (the end included),
            `5,10,20`, `5..200` (a range). None: every parameter with a range of its own.
        ranged: ranges are allowed (a search that draws); a grid needs values.

    Raises:
        UsageError: an unknown parameter, a wrong type, no values, or a range where values are needed.
    """
    known = {p.name: p for p in strategy.parameters}
    if grid is None:
        grid = {p.name: p.range for p in strategy.parameters if p.range is not None} if ranged else {}
    if not grid:
        raise UsageError(
            f"the grid is empty: there is nothing to sweep; give values for some of {strategy.name}'s parameters "
            f"({', '.join(known) or 'it has none'}), for example {next(iter(known), 'fast')}=5:200:5"
        )
    done: dict[str, Dimension] = {}
    for name, given in grid.items():
        if name not in known:
            raise UsageError(
                f"parameter {name!r} is not one of {strategy.name}'s ({', '.join(known) or 'it has none'})"
                f"{did_you_mean(name, known)}"
            )
        done[name] = _dimension(known[name], given)
        if not ranged and isinstance(done[name], Range):
            raise UsageError(f"{name} is a range; a grid needs values: {name}=5:200:5, or search by random or tpe")
    return done


def every_set(space: Mapping[str, Dimension], allowed: Constraint | None) -> Sets:
    """All combinations in the order of the grid, the last parameter running fastest, less those not allowed.

    Raises:
        UsageError: none is left, or there are too many to list.
    """
    choices = [tuple(values) for values in space.values()]
    count = prod(len(values) for values in choices)
    if count > MOST:
        raise UsageError(
            f"the grid has {count:,} sets, more than {MOST:,}; make it coarser, or search by random or tpe"
        )
    index = np.indices([len(values) for values in choices], dtype=np.int32)
    sets = Sets(choices, np.ascontiguousarray(index.reshape(len(choices), -1).T))
    if allowed is None:
        return sets
    names = tuple(space)
    kept = np.fromiter((allowed(dict(zip(names, values, strict=True))) for values in sets), np.bool_, len(sets))
    if not kept.any():
        raise UsageError(f"no set is left of {count:,}: the constraint allows none of them; widen the grid")
    return Sets(choices, sets.places[kept])


def drawn_sets(space: Mapping[str, Dimension], trials: int, seed: int, allowed: Constraint | None) -> list[Values]:
    """So many different sets drawn evenly; fewer where there are not as many.

    Raises:
        UsageError: the constraint allows none of those drawn.
    """
    random = np.random.default_rng(seed)
    names = tuple(space)
    found: dict[Values, None] = {}
    for _ in range(200 * trials):
        values = tuple(draw(random, dimension) for dimension in space.values())
        if values not in found and (allowed is None or allowed(dict(zip(names, values, strict=True)))):
            found[values] = None
            if len(found) == trials:
                break
    if not found:
        raise UsageError(f"no set is left of {200 * trials:,} drawn: the constraint allows none; widen the grid")
    return list(found)


def draw(random: np.random.Generator, dimension: Dimension) -> Any:
    """One value of a dimension."""
    if not isinstance(dimension, Range):
        return dimension[int(random.integers(len(dimension)))]
    if isinstance(dimension.low, int):
        return int(random.integers(dimension.low, int(dimension.high) + 1))
    return float(random.uniform(dimension.low, dimension.high))


def tiled(sets: Sequence[Values], kept: int) -> Any:
    """The order in which to run `sets` so that `kept` results of indicators are enough to share.

    The values of every parameter are cut into runs so short that one run of each fits the cache together; sets of the
    same runs follow each other.
    """
    if isinstance(sets, Sets):
        ranks = sets.places
    else:
        ranks = np.empty((len(sets), len(sets[0])), dtype=np.int32)
        for place in range(ranks.shape[1]):
            values = [values[place] for values in sets]
            rank = {value: i for i, value in enumerate(sorted(set(values)))}
            ranks[:, place] = [rank[value] for value in values]
    run = max(1, kept // max(1, ranks.shape[1]))
    keys = [*(ranks[:, p] for p in reversed(range(ranks.shape[1]))), *((ranks // run)[:, ::-1].T)]
    return np.lexsort(keys)


def constraint_of(given: str | Constraint | None, names: Sequence[str]) -> Constraint | None:
    """A constraint from a text such as `fast < slow` or from a function of the parameters by name.

    Raises:
        UsageError: a text that is no comparison of parameters and numbers, or names something else.
    """
    if given is None or callable(given):
        return given
    try:
        tree = ast.parse(given, mode="eval")
    except SyntaxError:
        raise UsageError(f"constraint {given!r} cannot be read; write for example: fast < slow") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in names:
            raise UsageError(f"constraint {given!r}: {node.id!r} is no parameter here{did_you_mean(node.id, names)}")
        if not isinstance(node, _ALLOWED):
            raise UsageError(
                f"constraint {given!r}: {type(node).__name__} is not allowed; compare parameters and numbers with "
                f"+ - * / < <= > >= == != and or not"
            )
    code = compile(tree, "<constraint>", "eval")
    return lambda values: bool(eval(code, {"__builtins__": {}}, values))  # noqa: S307  its nodes are the listed ones


_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.Name,
    ast.Load, ast.Constant,
)  # fmt: skip


def _dimension(parameter: Parameter, given: Any) -> Dimension:
    if isinstance(given, Range):
        return _range(parameter, given.low, given.high)
    if isinstance(given, str):
        if ".." in given:
            low, _, high = given.partition("..")
            return _range(parameter, parameter.typed(low), parameter.typed(high))
        given = _steps(parameter, given) if ":" in given else [v.strip() for v in given.split(",") if v.strip()]
    elif isinstance(given, bool | int | float):
        given = [given]
    values = tuple(dict.fromkeys(parameter.typed(value) for value in given))
    if not values:
        raise UsageError(f"the grid has no values for {parameter.name}; give for example {parameter.name}=5:200:5")
    return values


def _range(parameter: Parameter, low: Any, high: Any) -> Range:
    low, high = parameter.typed(low), parameter.typed(high)
    if parameter.kind not in (int, float) or not low <= high:
        raise UsageError(f"{parameter.name} is {parameter.kind.__name__}, {low!r} to {high!r} is no range of it")
    return Range(low, high)


def _steps(parameter: Parameter, text: str) -> list[Any]:
    parts = text.split(":")
    if parameter.kind not in (int, float) or len(parts) not in (2, 3):
        raise UsageError(f"{parameter.name}={text} cannot be read; write first:last:step, or values with commas")
    free = Parameter(parameter.name, parameter.kind, parameter.default)
    first, last = free.typed(parts[0]), free.typed(parts[1])
    step = free.typed(parts[2]) if len(parts) == 3 else free.typed(1)
    if step <= 0 or last < first:
        raise UsageError(
            f"{parameter.name}={text} has no values: the step must be positive, the last not below the first"
        )
    count = floor((last - first) / step + 1e-9) + 1
    return [first + i * step for i in range(count)]
