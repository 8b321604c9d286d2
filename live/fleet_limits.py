"""Limits over all accounts together: what the runners hold, send and lose, added up, and what is too much.

Every account keeps its own limits before an order leaves. These are the net behind them: they are looked at once a
second, after the fact, and a breach halts (no new positions, waiting entries cancelled) the accounts that take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from live.fleet_files import FleetLimits

WARN_AT = 0.8


class Seen(msgspec.Struct, frozen=True):
    """What the supervisor knows of an account. closes: last price by symbol. orders: sent in the last minute.

    day_pnl: dollars since the day's first look, or since its first row where the runner says less.
    """

    name: str
    positions: Mapping[str, float]
    closes: Mapping[str, float]
    orders: int
    day_pnl: float


class Use(msgspec.Struct, frozen=True):
    """How much of a limit is used. accounts: those that take part, and that a breach halts."""

    limit: str
    used: float
    most: float
    accounts: list[str]

    @property
    def is_over(self) -> bool:
        """More than the limit."""
        return self.used > self.most

    @property
    def is_near(self) -> bool:
        """More than four fifths of it, not over."""
        return not self.is_over and self.used >= WARN_AT * self.most

    def told(self) -> str:
        """In a few words."""
        return f"{self.limit} {self.used:,.0f} {'over' if self.is_over else 'of'} {self.most:,.0f}"


def uses(limits: FleetLimits, fleet: Sequence[Seen]) -> list[Use]:
    """The use of every limit that is set; per symbol, the symbol that uses most of it first.

    A position without a price counts as over: nothing can be said of it.
    """
    found: list[Use] = []
    by_symbol: dict[str, float] = {}
    holders: dict[str, list[str]] = {}
    for seen in fleet:
        for symbol, held in seen.positions.items():
            price = seen.closes.get(symbol, float("nan"))
            value = abs(held) * price
            by_symbol[symbol] = by_symbol.get(symbol, 0.0) + (value if value == value else float("inf"))
            holders.setdefault(symbol, []).append(seen.name)
    everyone = [seen.name for seen in fleet]
    if limits.gross_usd:
        found.append(Use("gross_usd", sum(by_symbol.values()), limits.gross_usd, everyone))
    if limits.symbol_usd:
        most = sorted(by_symbol, key=lambda symbol: -by_symbol[symbol])
        found += [Use(f"symbol_usd {name}", by_symbol[name], limits.symbol_usd, holders[name]) for name in most]
    if limits.orders_a_minute:
        found.append(
            Use("orders_a_minute", float(sum(seen.orders for seen in fleet)), limits.orders_a_minute, everyone)
        )
    if limits.day_loss_usd:
        found.append(Use("day_loss_usd", -sum(seen.day_pnl for seen in fleet), limits.day_loss_usd, everyone))
    return found
