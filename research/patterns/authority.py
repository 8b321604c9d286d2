"""What an opinion may do to a strategy's signals: annotate, veto, shrink. Here, and nowhere else.

An entry can be taken away or made smaller. None is ever added, enlarged or moved; exits, stops and targets stay as the
strategy gave them. The one exit that can appear is that of a vetoed reversal: the entry would have left the opposite
position as well, so that part of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from data.calendar import utc
from data.errors import UsageError
from data.types import Bars
from research.patterns.opinion import Opinion
from strategies.common.rule import Rule
from strategies.types import Bools, Signals


@dataclass(frozen=True)
class Policy:
    """From which confidence an opinion against an entry does something.

    veto_from, shrink_from: confidence, 0 to 1; below both it only annotates. shrink_to: factor on the entry's size.
    sideways: whether a sideways bias stands against entries too.

    Raises:
        UsageError: a value out of its range, or a veto that needs less than a shrink.
    """

    veto_from: float = 0.8
    shrink_from: float = 0.6
    shrink_to: float = 0.5
    sideways: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.shrink_from <= self.veto_from <= 1.0 or not 0.0 < self.shrink_to <= 1.0:
            raise UsageError(f"a policy needs 0 <= shrink_from <= veto_from <= 1 and 0 < shrink_to <= 1, got {self}")

    def factor(self, opinion: Opinion, side: int) -> float:
        """What is left of an entry on `side` (1 long, -1 short): 1 all, 0 nothing."""
        answer = opinion.answer
        if answer is None:
            return 1.0
        bias = {"up": 1, "down": -1, "sideways": 0}[answer.bias]
        if bias == side or (bias == 0 and not self.sideways) or answer.confidence < self.shrink_from:
            return 1.0
        return 0.0 if answer.confidence >= self.veto_from else self.shrink_to


DEFAULT = Policy()


class Effect(NamedTuple):
    """What became of one opinion. effect: `annotate`, `veto` or `shrink`; side: of the entry it met, 0 for none."""

    opinion: Opinion
    effect: str
    side: int


class Applied(NamedTuple):
    """signals: what is left of them, (T, N) each. effects: one for each opinion, in their order."""

    signals: Signals
    effects: tuple[Effect, ...]


def apply(opinions: Iterable[Opinion], signals: Signals, bars: Bars, rule: Rule, policy: Policy = DEFAULT) -> Applied:
    """The signals with the opinions' vetoes and shrinks in them.

    Args:
        opinions: each belongs to the row whose close is its `ts`. Of several on one entry the strictest counts.
        signals: of these bars. rule: gives the size of entries that name none, and whether shorts are taken.

    Raises:
        UsageError: an opinion on a symbol or row that the bars do not have.
        StrategyError: signals of another shape.
    """
    given = signals.checked(bars.shape, "signals")
    wanted = wanted_sides(given, rule)
    keep = np.ones(bars.shape)
    effects = []
    for opinion in opinions:
        t, j = _cell(opinion, bars)
        side = int(wanted[t, j])
        factor = policy.factor(opinion, side) if side else 1.0
        keep[t, j] = min(keep[t, j], factor)
        effects.append(Effect(opinion, "annotate" if factor == 1.0 else "shrink" if factor else "veto", side))
    vetoed, shrunk = keep == 0.0, (keep > 0.0) & (keep < 1.0)
    fields: dict[str, Any] = dict(given.columns())
    fields["entries"] = given.entries & ~vetoed
    if given.short_entries is not None:
        fields["short_entries"] = given.short_entries & ~vetoed
        if rule.shorts:
            fields["exits"] = given.exits | (vetoed & (wanted < 0))
            covers = np.zeros(bars.shape, np.bool_) if given.short_exits is None else given.short_exits
            fields["short_exits"] = covers | (vetoed & (wanted > 0))
    if shrunk.any():
        own = (
            np.full(bars.shape, rule.size)
            if given.size is None
            else np.where(np.isnan(given.size), rule.size, given.size)
        )
        unknown = np.full(bars.shape, np.nan) if given.size is None else given.size
        fields["size"] = np.where(shrunk, own * keep, unknown)
    return Applied(Signals(**fields), tuple(effects))


def wanted_sides(signals: Signals, rule: Rule) -> Any:
    """(T, N) int: 1 where a row wants to be long, -1 short, 0 neither; contradicting signals want nothing.

    The reading of `strategies.common.position.wanted_side`, for whole columns.
    """
    long: Bools = signals.entries & ~signals.exits
    short: Bools = np.zeros_like(long)
    if rule.shorts and signals.short_entries is not None:
        covers = np.zeros_like(long) if signals.short_exits is None else signals.short_exits
        short = signals.short_entries & ~covers
    return np.where(long == short, 0, np.where(long, 1, -1))


def _cell(opinion: Opinion, bars: Bars) -> tuple[int, int]:
    t = int(np.searchsorted(bars.ts, opinion.ts))
    if opinion.symbol not in bars.symbols or t == len(bars) or bars.ts[t] != opinion.ts:
        raise UsageError(
            f"an opinion on {opinion.symbol} at {utc(opinion.ts)} belongs to none of these rows; ask for these bars"
        )
    return t, bars.symbols.index(opinion.symbol)
