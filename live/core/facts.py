"""What the controls look at: the account, its open orders, the market, and what others say of them.

`State` is filled in by `live.core.tally` from events, so that a replay refuses what the session refused. NaN and None
are unknown: a control whose limit is set refuses what it cannot judge.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from live.core.commands import Side
from live.core.orders import Order
from strategies.common.position import nan

GateName = Literal["armed", "reconciled", "orders", "data", "journal", "clock", "venue", "heartbeat"]
GATES: tuple[GateName, ...] = ("armed", "reconciled", "orders", "data", "journal", "clock", "venue", "heartbeat")


class Gate(msgspec.Struct, frozen=True, gc=False, tag="gate"):
    """One of the lights that must be green before new risk. On paper all are green until one is told not to be.

    grave: a person must act, or nothing can be sent at all.
    """

    ts: int
    name: GateName
    open: bool
    reason: str = ""
    grave: bool = False


class SymbolFacts(msgspec.Struct, frozen=True, gc=False, tag="symbol"):
    """What is known of a symbol besides its rows.

    average_volume: shares a day over 20 days, average_dollar_volume the same in dollars. accounts_shares: traded today
    over all own accounts. tick: dollars between two prices.
    """

    ts: int
    symbol: str
    average_volume: float = nan
    average_dollar_volume: float = nan
    reference_close: float = nan
    listed_days: int | None = None
    is_leveraged: bool | None = None
    has_corporate_action: bool | None = None
    is_halted: bool = False
    resumed_ts: int = 0
    crossed_s: float = 0.0
    is_easy_to_borrow: bool = False
    is_short_restricted: bool = False
    accounts_shares: float = 0.0
    has_accounts_order: bool = False
    tick: float = 0.01


class AccountFacts(msgspec.Struct, frozen=True, gc=False, tag="account"):
    """What the broker, the host and the other accounts say. equity: NaN takes ours; else the lower of both counts.

    accounts_loss_pct: of the day, over all own accounts, positive for a loss.
    """

    ts: int
    equity: float = nan
    settled_cash: float = nan
    day_trades: int | None = None
    good_faith_violations: int | None = None
    day_trade_regime: Literal["", "legacy_pdt", "intraday_margin", "off"] = ""
    clock_skew_ms: float = nan
    accounts_loss_pct: float = nan


class Request(msgspec.Struct, frozen=True):
    """An order that wants to go out. limit: 0 for a market order. reduces: it can only make a position smaller,
    whatever becomes of the orders that are open."""

    order_id: str
    ts: int
    column: int
    symbol: str
    side: Side
    quantity: float
    kind: str = "market"
    limit: float = 0.0
    source: str = "rule"
    reduces: bool = False


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A message that went out. what: entry, exit, protect or cancel."""

    ts: int
    column: int
    side: str
    quantity: float
    what: str


class Market(msgspec.Struct):
    """The last row of each symbol; lists by column."""

    row_ts: int = 0
    session: int = 0
    since_open: float = nan
    to_close: float = nan
    price: list[float] = []
    bid: list[float] = []
    ask: list[float] = []
    bid_depth: list[float] = []
    ask_depth: list[float] = []
    age: list[float] = []


class State(msgspec.Struct):
    """Everything a control may ask. positions: signed shares by column. open: orders that may still fill.

    traded: shares of this session's fills, by column. theirs: the broker's signed shares where the books differ.
    """

    ts: int = 0
    lot: float = 1.0
    equity: float = nan
    cash: float = nan
    positions: list[float] = []
    open: list[Order] = []
    keys: dict[str, Order] = {}
    market: Market = msgspec.field(default_factory=Market)
    symbols: dict[str, SymbolFacts] = {}
    account: AccountFacts = msgspec.field(default_factory=lambda: AccountFacts(0))
    closed: dict[str, str] = {}
    halted: str = ""
    day_equity: float = nan
    week_equity: float = nan
    peak_equity: float = nan
    sent: list[Sent] = []
    denials: list[int] = []
    streak: int = 0
    paused_until: int = 0
    stop_outs: int = 0
    rows: int = 0
    left_at: list[int] = []
    traded: dict[int, float] = {}
    theirs: dict[int, float] = {}

    def pending(self, column: int, side: str) -> float:
        """Shares that open orders of this side may still fill, UNKNOWN ones in full."""
        return sum(
            order.quantity - order.filled for order in self.open if order.column == column and order.side == side
        )

    def reach(self, column: int) -> tuple[float, float]:
        """(most, least) signed shares the position can become by what is open already."""
        held = self.positions[column]
        return held + self.pending(column, "buy"), held - self.pending(column, "sell")

    def value(self) -> float:
        """Equity: ours, or the broker's where that is less."""
        told = self.account.equity
        return min(self.equity, told)
