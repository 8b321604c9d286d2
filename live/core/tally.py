"""`Tally`: keeps the `State` that the controls ask, from rows, fills and what was sent."""

from __future__ import annotations

import msgspec

from data.calendar import SECOND_NS
from data.rows import Row
from data.types import FEATURES
from live.core.facts import GATES, AccountFacts, Gate, Request, Sent, State, SymbolFacts
from live.core.limits import Limits
from live.core.orders import OPEN, Order
from strategies.common.position import nan

DAY_NS = 86_400 * SECOND_NS
_BID, _ASK, _AGE = FEATURES.index("bid"), FEATURES.index("ask"), FEATURES.index("age")
_BID_DEPTH, _ASK_DEPTH = FEATURES.index("bid_depth"), FEATURES.index("ask_depth")


class Counts(msgspec.Struct):
    """How often something was heard that was not acted on. denied: orders kept back, by the control's code."""

    rows: int = 0
    late_rows: int = 0
    duplicate_fills: int = 0
    ignored: int = 0
    contradictions: int = 0
    denied: dict[str, int] = {}


class Tally:
    """What happened, as the controls want to know it.

    Args:
        symbols: number of columns.
        limits: of the account.
        lot: of the position rule.
        cash: at the start.
        live: True where a broker of its own fills; every gate is then closed until it is told to be open.
    """

    def __init__(self, symbols: int, limits: Limits, lot: float, cash: float, *, live: bool) -> None:
        self.limits = limits
        self.active = live or limits != Limits()
        self._nothing = [nan] * symbols
        self._made = [0.0] * symbols
        self.state = State(lot=lot, equity=cash, cash=cash, left_at=[0] * symbols)
        self.state.day_equity = self.state.week_equity = self.state.peak_equity = cash
        if live:
            self.state.closed = dict.fromkeys(GATES, "")

    def on_row(self, row: Row, equity: float) -> None:
        """A row was marked; `equity` is of its closes."""
        state, market = self.state, self.state.market
        state.ts = row.ts
        state.rows += 1
        if row.session != market.session:
            self._new_session(row)
        market.row_ts, market.session = row.ts, row.session
        market.since_open, market.to_close = row.since_open, row.to_close
        book = row.book
        if book is None:
            market.bid = market.ask = market.age = market.bid_depth = market.ask_depth = self._nothing
        else:
            market.bid, market.ask, market.age = book[_BID], book[_ASK], book[_AGE]
            market.bid_depth, market.ask_depth = book[_BID_DEPTH], book[_ASK_DEPTH]
        state.equity = equity
        state.peak_equity = max(state.peak_equity, state.value())

    def _new_session(self, row: Row) -> None:
        state = self.state
        state.day_equity, state.stop_outs, state.traded = state.value(), 0, {}
        if _week(row.ts) != _week(state.market.row_ts):
            state.week_equity = state.value()
        state.sent = [sent for sent in state.sent if sent.ts > row.ts - DAY_NS]

    def look(self, ts: int, positions: list[float], prices: list[float]) -> State:
        """The state as of now, for one check."""
        state = self.state
        state.ts = max(state.ts, ts)
        state.positions, state.market.price = positions, prices
        state.open = [order for order in state.open if order.state in OPEN]
        return state

    def reduces(self, request: Request) -> bool:
        """True where the order cannot turn the position, whatever becomes of the orders that are open."""
        held = self.state.positions[request.column]
        if held == 0.0 or (held > 0.0) != (request.side == "sell"):
            return False
        half = 0.5 * self.state.lot
        return request.quantity <= abs(held) - self._alive(request) + half

    def _alive(self, request: Request) -> float:
        """Shares of open orders of the same side; a protection that was asked back counts no more."""
        return sum(
            order.quantity - order.filled
            for order in self.state.open
            if order.column == request.column and order.side == request.side and not order.cancelling
        )

    def opened(self, order: Order) -> None:
        """An order may fill from now on."""
        self.state.open.append(order)

    def went_out(self, ts: int, column: int, side: str, quantity: float, what: str) -> None:
        """A message left."""
        if self.active:
            self.state.sent.append(Sent(ts, column, side, quantity, what))

    def on_fill(self, order: Order, closing: float, pnl: float, *, flat: bool, stopped: bool) -> None:
        """A fill closed `closing` shares and made `pnl` dollars, fee included; flat: the position is gone."""
        if closing == 0.0:
            return
        j, state = order.column, self.state
        self._made[j] += pnl
        if not flat:
            return
        state.left_at[j] = state.rows
        state.streak = state.streak + 1 if self._made[j] < 0.0 else 0
        self._made[j] = 0.0
        state.stop_outs += stopped
        limits = self.limits
        if limits.max_loss_streak is not None and state.streak >= limits.max_loss_streak:
            state.paused_until = state.ts + int((limits.loss_pause_s or 0.0) * SECOND_NS)
            state.streak = 0

    def on_news(self, event: Gate | SymbolFacts | AccountFacts) -> bool:
        """Something around the account changed; True where a gate did."""
        state = self.state
        state.ts = max(state.ts, event.ts)
        if isinstance(event, SymbolFacts):
            state.symbols[event.symbol] = event
            return False
        if isinstance(event, AccountFacts):
            state.account = event
            return False
        before = state.closed.get(event.name)
        if event.open:
            state.closed.pop(event.name, None)
        else:
            state.closed[event.name] = event.reason
            self.active = True
        return before != state.closed.get(event.name)

    def cash_moved(self, amount: float, equity: float, *, outside: bool) -> None:
        """Cash is so many dollars more, and with it the equity; outside: what losses are measured from moves along."""
        state = self.state
        state.equity = equity
        if outside:
            state.day_equity += amount
            state.week_equity += amount
            state.peak_equity += amount

    def digest(self) -> tuple[object, ...]:
        """What of it later decisions depend on, as plain values."""
        state = self.state
        ends = (state.day_equity, state.week_equity, state.peak_equity)
        return (*ends, state.streak, state.paused_until, state.stop_outs, state.closed, state.denials, len(state.sent))

    def start_again(self) -> None:
        """A person resumed: losses and refusals count from here."""
        state = self.state
        state.day_equity = state.week_equity = state.peak_equity = state.value()
        state.denials, state.streak, state.paused_until = [], 0, 0


def _week(ts: int) -> int:
    """Number of the week, from Monday; 1970-01-01 was a Thursday."""
    return (ts // DAY_NS + 3) // 7
