"""What a sweep leaves: the numbers of every set, as a table by parameters, as a file, as a surface."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backtests import metrics
from data.door import did_you_mean
from data.errors import DataError, UsageError
from data.types import Floats, Ints
from research.fused import LONG_NAMES, NAMES
from research.sessions import EXTRAS, FILLED, HELD

if TYPE_CHECKING:
    import pandas as pd

    from research.table import Table

LOWER = ("turnover", "fees")
"""Numbers of which less is better."""
METADATA = b"onetape.sweep"


def metric_place(name: str) -> int:
    """The place of a metric, by its short name or the one in `Result.metrics`.

    Raises:
        UsageError: there is no such metric.
    """
    for names in (NAMES, LONG_NAMES):
        if name in names:
            return names.index(name)
    raise UsageError(f"metric {name!r} is not one of ({', '.join(NAMES)}){did_you_mean(name, NAMES)}")


@dataclass(frozen=True)
class Best:
    """One set: its parameters, its symbol where accounts are apart, and its numbers by name."""

    params: dict[str, Any]
    numbers: dict[str, float]
    symbol: str | None = None


@dataclass(frozen=True, eq=False)
class SweepResult:
    """The sets that were run, in the order asked for.

    sets: values of the parameters `names`. fixed: the other parameters. numbers: (sets, accounts, NAMES).
    symbols: the accounts' symbols where each is an account of its own, else empty.
    complete: False where the sweep was interrupted. identity: what a resumed sweep must find equal.
    kept: (sets, accounts, S + EXTRAS) equity at session ends, where the sweep was asked for returns; sessions: (S,)
    yyyymmdd of them; cash: at the start.
    """

    strategy: str
    names: tuple[str, ...]
    sets: Sequence[tuple[Any, ...]]
    fixed: Mapping[str, Any]
    numbers: Floats
    symbols: tuple[str, ...] = ()
    metric: str = "sharpe"
    complete: bool = True
    asked: int = 0
    identity: Mapping[str, Any] = field(default_factory=dict)
    kept: Floats | None = None
    sessions: Ints | None = None
    cash: float = 0.0

    def __len__(self) -> int:
        return len(self.sets)

    def __repr__(self) -> str:
        state = "" if self.complete else f" of {self.asked:,}, interrupted"
        return f"SweepResult({self.strategy}: {len(self):,} sets{state}, {' x '.join(self.names)})"

    @cached_property
    def returns(self) -> Floats:
        """(sets, accounts, S) session returns, each set's bits those of its backtest.

        Raises:
            UsageError: the sweep was not asked to keep them.
        """
        if self.kept is None:
            raise UsageError("this sweep kept no session returns; ask for them: sweep(..., returns='session')")
        equity: Any = self.kept[:, :, : self.kept.shape[2] - EXTRAS]
        made = np.empty(equity.shape)
        for i, account in np.ndindex(*equity.shape[:2]):
            made[i, account] = metrics.returns_of(equity[i, account], self.cash)
        return made

    def table(self, symbol: str | None = None) -> Table:
        """The sets with their session returns, as walk-forward, PBO and the reality checks read them.

        Args:
            symbol: of which account, where they are apart.

        Raises:
            UsageError: no returns were kept, or no such symbol.
        """
        from research.table import Table

        if self.symbols and symbol not in self.symbols:
            raise UsageError(f"the accounts are apart; name one of {', '.join(self.symbols)}, got {symbol!r}")
        account = self.symbols.index(symbol) if symbol is not None and self.symbols else 0
        returns = np.asfortranarray(self.returns[:, account].T)
        assert self.kept is not None  # noqa: S101  # `returns` has asked
        assert self.sessions is not None  # noqa: S101
        behind = self.kept[:, account, -EXTRAS:]
        sets = tuple({**self.fixed, **dict(zip(self.names, values, strict=True))} for values in self.sets)
        return Table(sets, returns, self.sessions, behind[:, FILLED].astype(np.int64), int(behind[:, HELD].max()))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row a set (and symbol, where they are apart), a column a number; the index has a level a parameter."""
        import pandas as pd

        each = max(1, len(self.symbols))
        columns: list[Any] = [np.repeat(np.array(values), each) for values in zip(*self.sets, strict=True)]
        levels = list(self.names)
        if self.symbols:
            columns.append(np.tile(np.array(self.symbols), len(self)))
            levels.append("symbol")
        index = pd.MultiIndex.from_arrays(columns or [[] for _ in levels], names=levels)
        table = pd.DataFrame(self.numbers.reshape(-1, len(NAMES)), index=index, columns=list(NAMES))
        return table.astype({"trades": np.int64})

    def column(self, metric: str | None = None) -> npt.NDArray[Any]:
        """(sets, accounts) of one metric; the sweep's own where none is named."""
        return self.numbers[:, :, metric_place(self.metric if metric is None else metric)]

    def best(self, metric: str | None = None) -> Best:
        """The set with the highest metric (the lowest of turnover and fees); the first of equals.

        Raises:
            UsageError: no set has that metric.
        """
        metric = self.metric if metric is None else metric
        flat = self.column(metric).reshape(-1)
        if not np.isfinite(flat).any():
            raise UsageError(
                f"none of {len(self):,} sets has a {metric}: too few trades or rows; take another metric or more rows"
            )
        signed = -flat if metric in LOWER else flat
        at = int(np.nanargmax(np.where(np.isfinite(signed), signed, np.nan)))
        i, account = divmod(at, self.numbers.shape[1])
        return Best(
            dict(zip(self.names, self.sets[i], strict=True)),
            dict(zip(NAMES, self.numbers[i, account].tolist(), strict=True)),
            self.symbols[account] if self.symbols else None,
        )

    def top(self, count: int = 10, metric: str | None = None) -> pd.DataFrame:
        """The best sets, best first."""
        metric = NAMES[metric_place(self.metric if metric is None else metric)]
        return self.frame.sort_values(metric, ascending=metric in LOWER, kind="stable", na_position="last").head(count)

    def surface(self, x: str, y: str, metric: str | None = None, how: Any = "max") -> pd.DataFrame:
        """A metric over two parameters (or `symbol`), x across and y down, as a heatmap wants it.

        Args:
            how: what becomes of the sets that differ in other parameters: max, min, mean or median.

        Raises:
            UsageError: no such parameter or metric.
        """
        levels = list(self.frame.index.names)
        for name in (x, y):
            if name not in levels:
                raise UsageError(f"{name!r} was not swept{did_you_mean(name, [str(level) for level in levels])}")
        chosen = NAMES[metric_place(self.metric if metric is None else metric)]
        return self.frame.pivot_table(values=chosen, index=y, columns=x, aggfunc=how, dropna=False)

    def to_parquet(self, path: Path | str) -> Path:
        """Write the table, whole or not at all; what it came from goes with it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        table = pa.Table.from_pandas(self.frame.reset_index(), preserve_index=False)
        about = {
            "strategy": self.strategy,
            "names": list(self.names),
            "fixed": dict(self.fixed),
            "symbols": list(self.symbols),
            "metric": self.metric,
            "complete": self.complete,
            "asked": self.asked,
            "identity": dict(self.identity),
        }
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA: json.dumps(about).encode()})
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".tmp")
        pq.write_table(table, draft)
        draft.replace(path)
        return path


def read_sweep(path: Path | str) -> SweepResult:
    """The sweep that `to_parquet` wrote.

    Raises:
        DataError: no such file, or it holds no sweep.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[METADATA])
    except (OSError, pa.ArrowException, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not the result of a sweep ({error}); give a file that --out or resume wrote"
        ) from None
    each = max(1, len(about["symbols"]))
    columns = [table[name].to_pylist()[::each] for name in about["names"]]
    numbers = np.stack([table[name].to_numpy().astype(np.float64) for name in NAMES], axis=1)
    return SweepResult(
        strategy=about["strategy"],
        names=tuple(about["names"]),
        sets=list(zip(*columns, strict=True)),
        fixed=about["fixed"],
        numbers=numbers.reshape(-1, each, len(NAMES)),
        symbols=tuple(about["symbols"]),
        metric=about["metric"],
        complete=about["complete"],
        asked=about["asked"],
        identity=about["identity"],
    )
