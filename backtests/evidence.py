"""What was asked of a strategy and what came out: the whole evidence as one value, drawn without asking anything again.

    evidence = read_evidence("evidence.json")         # python -m research validate NAME --out evidence.json
    evidence.passed, [check.name for check in evidence.checks if not check.passed]

`research` makes it (`Verdict.evidence()`), the report and notebooks draw it. The shape, version 1:

    Evidence            who was judged on which rows, how it ended, and the parts below
    ├── checks          every gate in order: figure, threshold, passed, reason
    ├── surface         metric over one or two parameters: grid, best, chosen, plateau (Surface)
    ├── walk_forward    folds inside and outside, stitched equity of the unseen sessions (WalkForward)
    ├── paths           the fan of combinatorial purged cross-validation (Paths)
    ├── null            the same trades at other times, the strategy's own Sharpe ratio beside them (Null)
    ├── costs           return at multiples of the costs, break-even (Costs)
    ├── delay           Sharpe ratio with signals known later (Delay)
    ├── regimes         Sharpe ratio by kind of market (Regime, ...)
    ├── bands           resampled histories around its equity, drawdowns of its trades in other orders (Bands)
    ├── luck            probabilistic and deflated Sharpe ratio, trials, track record, PBO, SPA (Luck)
    ├── capacity        starting cash by share of volume (Capacity, ...)
    ├── symbols_left_out  the run without each symbol (Left, ...)
    └── best_sessions   the run without its best sessions (Left)

A part is None, or empty, where it could not be asked; `missing` then has its name and the reason in a sentence. A
figure is None where it does not exist (no trades, no deviation). Rates are fractions, Sharpe ratios annual, sessions
yyyymmdd. Long lines are thinned to at most `POINTS` points, the first and the last kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from data.errors import DataError

VERSION = 1
POINTS = 400
Figure = float | None
Value = bool | int | float | str
PARTS = (
    "surface", "walk_forward", "paths", "null", "costs", "delay", "regimes", "bands", "luck", "capacity",
    "symbols_left_out", "best_sessions",
)  # fmt: skip
"""The parts in the order in which a page shows them; `missing` has no other keys."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One gate. kind: `at_least` or `at_most` the threshold. asked: False where the clock did not allow it."""

    name: str
    figure: Figure
    kind: str
    threshold: float
    passed: bool
    reason: str
    asked: bool = True


class Surface(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of the family over one or two of its parameters.

    x, xs: the parameter across and its values, ascending. y, ys: up; None and empty for a single parameter.
    values: a row for each of `ys` (one row without), a figure for each of `xs`; None where no set was run. Of sets
    that share a cell, the highest; `over` are the parameters they differ in.
    best, chosen: (row, column) of the highest cell and of the judged set. plateau: cells that keep half of the best's
    lead over the median and are joined to it step by step.
    score, worst: mean Sharpe of the chosen set's neighbours over its own, and the worst neighbour's. edge: the best
    set lies at the end of some parameter's values.
    """

    metric: str
    x: str
    xs: list[Value]
    y: str | None
    ys: list[Value]
    values: list[list[Figure]]
    best: tuple[int, int]
    chosen: tuple[int, int]
    plateau: list[list[bool]]
    over: list[str]
    sets: int
    score: Figure
    worst: Figure
    neighbours: int
    edge: bool


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """One choice. params: what was chosen before `first`, of the varied parameters; judged from `first` to `last`."""

    first: int
    last: int
    inside: Figure
    outside: Figure
    params: dict[str, Value]


class WalkForward(msgspec.Struct, frozen=True, kw_only=True):
    """sessions: of the lines. stitched: return since the first test, of sessions unseen by each choice; chosen: of the
    judged set, which saw them all. sharpe: of the stitched. efficiency: mean outside over mean inside."""

    folds: list[Fold]
    sharpe: Figure
    efficiency: Figure
    sessions: list[int]
    stitched: list[float]
    chosen: list[float]


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """lines: a path each, return since the first session. sharpes: of the paths. losing: share of them below 0.
    own: the judged set's Sharpe ratio."""

    sessions: list[int]
    lines: list[list[float]]
    sharpes: list[float]
    losing: float
    own: Figure


class Null(msgspec.Struct, frozen=True, kw_only=True):
    """sharpes: of the same trades at other times. own: the strategy's. limit: 95 % of the draws lie below."""

    sharpes: list[float]
    own: float
    limit: float
    p_value: float


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """factors, returns: total return at multiples of the costs, 1 and 0 among them. break_even: the multiple at which
    nothing is left, None where `highest` times the costs do not eat it; 0 where it is lost without any."""

    factors: list[float]
    returns: list[float]
    break_even: Figure
    highest: float


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """rows: signals known so many rows later, 0 first. sharpes: of these runs. clock: length of a row."""

    rows: list[int]
    sharpes: list[float]
    clock: str


class Regime(msgspec.Struct, frozen=True, kw_only=True):
    """kind: `volatility` (calm, usual, wild) or `trend` (after a rise, after a fall)."""

    name: str
    kind: str
    sharpe: float
    total_return: float
    sessions: int


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """The run with something left out, said in `name`."""

    name: str
    sharpe: float
    total_return: float


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """cash: dollars at the start with which 95 % of the fills stay below `share` of their row's volume."""

    share: float
    cash: Figure


class Bands(msgspec.Struct, frozen=True, kw_only=True):
    """own: return since the first of `sessions`; low, middle, high: of histories resampled in blocks, 5 %, 50 % and
    95 % lie below. trades: closed, in other orders `drawdowns` (100 quantiles, deepest first); own_drawdown: in their
    own; limit: 5 % of the orders go deeper. Without two closed trades there are no drawdowns."""

    sessions: list[int]
    own: list[float]
    low: list[float]
    middle: list[float]
    high: list[float]
    trades: int
    drawdowns: list[float]
    own_drawdown: Figure
    limit: Figure


class Luck(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it is luck.

    sharpe: of the judged set's sessions; low, high: 95 % band by the stationary bootstrap. drawdown: that resampled
    histories exceed in 5 % of the cases.
    probabilistic: that the true ratio is above 0. deflated: above `expected_best`, the best of `trials` lucky sets.
    sessions: there are; needed: for 95 %, None where no length would do.
    overfitting: PBO over `splits` splits, None where it could not be asked; logit_edges, logit_counts: histogram of
    the winners' out-of-sample ranks as log odds, at or below 0 counts as overfitted. winner_lost: share of splits in
    which the winner lost money.
    spa, reality_check: p-values of the family's best.
    """

    sharpe: Figure
    low: Figure
    high: Figure
    drawdown: Figure
    probabilistic: Figure
    deflated: Figure
    trials: int
    expected_best: Figure
    sessions: int
    needed: Figure
    overfitting: Figure
    splits: int
    logit_edges: list[float]
    logit_counts: list[int]
    winner_lost: Figure
    spa: Figure
    reality_check: Figure


class Evidence(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="onetape.evidence"):
    """Everything a verdict rests on; see the module's first lines.

    strategy, source_hash, params, rows_hash: of what was judged on what, equal to a result's `provenance`.
    rows, symbols, first, last: of the data; first and last sessions. certificate: its line.
    false_positive_rate: the stated share of strategies without an edge that pass all gates, None with other gates.
    figures: further numbers by name. missing: parts that could not be asked, with the reason.
    """

    version: int = VERSION
    strategy: str
    source_hash: str
    params: dict[str, Value]
    rows_hash: str
    rows: int
    symbols: list[str]
    first: int
    last: int
    clock: str
    seed: int
    certificate: str
    passed: bool
    false_positive_rate: Figure
    checks: list[Check]
    surface: Surface | None = None
    walk_forward: WalkForward | None = None
    paths: Paths | None = None
    null: Null | None = None
    costs: Costs | None = None
    delay: Delay | None = None
    regimes: list[Regime] = []
    bands: Bands | None = None
    luck: Luck | None = None
    capacity: list[Capacity] = []
    symbols_left_out: list[Left] = []
    best_sessions: Left | None = None
    figures: dict[str, Figure] = {}
    missing: dict[str, str] = {}

    def differences(self, provenance: Mapping[str, Any]) -> list[str]:
        """What of a result's `provenance` is not what was judged: strategy, source_hash, params, rows_hash."""
        mine = {
            "strategy": self.strategy,
            "source_hash": self.source_hash,
            "params": self.params,
            "rows_hash": self.rows_hash,
        }
        return [name for name, value in mine.items() if provenance.get(name) != value]

    def to_json(self) -> str:
        """One JSON document, the same for equal evidence."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Evidence:
        """What `to_json` gave.

        Raises:
            DataError: it is not evidence, or of another version.
        """
        try:
            version = msgspec.json.decode(text, type=_Header).version
        except msgspec.MsgspecError as error:
            raise DataError(
                f"this is no evidence ({error}); python -m research validate NAME --out FILE writes it"
            ) from None
        if version != VERSION:
            raise DataError(
                f"evidence of version {version}, this reads {VERSION}; run python -m research validate again"
            )
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise DataError(f"damaged evidence: {error}; run python -m research validate again") from None


class _Header(msgspec.Struct, tag_field="kind", tag="onetape.evidence"):
    version: int


def read_evidence(path: Path | str) -> Evidence:
    """The evidence in a file.

    Raises:
        DataError: no such file, no evidence, or of another version.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; python -m research validate NAME --out FILE writes it") from None
    try:
        return Evidence.from_json(text)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
