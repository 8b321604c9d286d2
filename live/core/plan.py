"""What a core is built from: everything that decides what it will do, and nothing else."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from data.errors import JournalError
from live.core.limits import Limits
from strategies.common.costs import Costs
from strategies.common.load import Strategy
from strategies.common.rule import Rule


class Plan(msgspec.Struct, frozen=True):
    """One account's trading, fixed before its first row.

    source_hash: SHA-256 of the strategy's file. params, rule, costs: complete, every value said. cash: quote currency
    at the start. symbols: in the order of every row's lists. limits: those that are set.
    async_cancels: a cancel is a wish; nothing goes out against an order before its end is known.
    """

    account: str
    strategy: str
    source_hash: str
    params: dict[str, Any]
    rule: dict[str, Any]
    costs: dict[str, Any]
    symbols: list[str]
    clock: str
    cash: float
    broker: str
    limits: dict[str, Any] = {}
    async_cancels: bool = False

    @classmethod
    def of(
        cls,
        strategy: Strategy,
        symbols: list[str],
        *,
        account: str = "paper",
        params: dict[str, Any] | None = None,
        rule: Rule | None = None,
        costs: Costs | None = None,
        clock: str | None = None,
        cash: float = 100_000.0,
        broker: str = "paper",
        limits: dict[str, Any] | None = None,
        async_cancels: bool = False,
    ) -> Plan:
        """The plan of a strategy, what is not given taken from the strategy or the defaults."""
        return cls(
            account=account,
            strategy=strategy.name,
            source_hash=strategy.source_hash,
            params=strategy.bind(params),
            rule=asdict(strategy.rule if rule is None else rule),
            costs=asdict(Costs() if costs is None else costs),
            symbols=list(symbols),
            clock=strategy.clock if clock is None else clock,
            cash=float(cash),
            broker=broker,
            limits=dict(limits or {}),
            async_cancels=async_cancels,
        )

    def the_rule(self) -> Rule:
        """The position rule."""
        return Rule(**self.rule)

    def the_limits(self) -> Limits:
        """How far the account may go; what is not set is no limit."""
        return Limits(**self.limits)

    @property
    def is_live(self) -> bool:
        """True where a broker of its own fills the orders."""
        return self.broker != "paper"

    def the_costs(self) -> Costs:
        """The cost model."""
        return Costs(**self.costs)

    def check(self, strategy: Strategy) -> None:
        """
        Raises:
            JournalError: `strategy` is not the one this plan was made with.
        """
        if strategy.source_hash != self.source_hash:
            raise JournalError(
                f"strategy {self.strategy!r} has source {strategy.source_hash[:12]}, the journal was written with "
                f"{self.source_hash[:12]}; check out the code that wrote it, or start a new journal"
            )
