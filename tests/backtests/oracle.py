"""The position rule once more, slowly: plain objects, one row at a time, written from what `Rule` and `Costs` say.

Nothing here is shared with `strategies.common.position`; agreement between the two is the test.
"""

import math
from dataclasses import dataclass, field

from strategies.common.costs import FINRA_TAF, SEC_SECTION_31


@dataclass
class Order:
    decided: int
    symbol: int
    quantity: float
    reason: str
    stop: float = math.nan
    target: float = math.nan
    trail: float = math.nan
    filled: int = -1
    price: float = math.nan
    fee: float = 0.0


@dataclass
class Position:
    quantity: float
    entry: float
    since: int
    stop: float
    target: float
    trail: float
    best: float

    @property
    def long(self):
        return self.quantity > 0

    def guard(self):
        """(level, reason) of the nearer of stop and trailing stop."""
        levels = []
        if not math.isnan(self.stop):
            levels.append((self.stop, "stop"))
        if self.trail > 0:
            levels.append((self.best - self.trail if self.long else self.best + self.trail, "trail"))
        if not levels:
            return math.nan, "none"
        # The fixed stop is named first, so that it is kept where both are equal.
        return (max if self.long else min)(levels, key=lambda pair: pair[0])


@dataclass
class Oracle:
    bars: object
    spread: object
    signals: object
    rule: object
    costs: object
    cash: float
    row_seconds: int
    positions: dict = field(default_factory=dict)
    waiting: dict = field(default_factory=dict)
    left: dict = field(default_factory=dict)
    last_close: dict = field(default_factory=dict)
    orders: list = field(default_factory=list)
    equity_by_row: list = field(default_factory=list)
    cash_by_row: list = field(default_factory=list)
    held_by_row: list = field(default_factory=list)

    def run(self):
        for t in range(len(self.bars)):
            self.opens(t)
            if self.rule.stops == "touch":
                self.ranges(t)
            self.value(t)
            self.decide(t)
        return self

    # what the row does to orders

    def opens(self, t):
        for symbol in range(len(self.bars.symbols)):
            order = self.waiting.get(symbol)
            if order is None:
                continue
            opening = self.bars.open[t, symbol]
            if math.isnan(opening):
                if order.reason == "entry":  # good for one row
                    del self.waiting[symbol]
                continue
            del self.waiting[symbol]
            self.fill(t, order, self.market_price(t, symbol, opening, order.quantity))

    def ranges(self, t):
        for symbol in sorted(self.positions):
            position = self.positions[symbol]
            opening = self.bars.open[t, symbol]
            if math.isnan(opening):
                continue
            high, low = self.bars.high[t, symbol], self.bars.low[t, symbol]
            level, reason = position.guard()
            if position.long and low <= level:
                price, why = min(level, opening), reason
            elif not position.long and high >= level:
                price, why = max(level, opening), reason
            elif position.long and high >= position.target:
                price, why = max(position.target, opening), "target"
            elif not position.long and low <= position.target:
                price, why = min(position.target, opening), "target"
            else:
                continue
            order = Order(t, symbol, -position.quantity, why)
            self.orders.append(order)
            self.fill(t, order, price if why == "target" else self.market_price(t, symbol, price, order.quantity))

    def fill(self, t, order, price):
        order.filled, order.price, order.fee = t, price, self.fee(t, order.quantity, price)
        self.cash -= order.quantity * price + order.fee
        before = self.positions.pop(order.symbol, None)
        quantity = order.quantity + (before.quantity if before else 0.0)
        if quantity == 0:
            self.left[order.symbol] = t
            return
        away = -1 if quantity > 0 else 1
        self.positions[order.symbol] = Position(
            quantity,
            price,
            t,
            price + away * order.stop if order.stop > 0 else math.nan,
            price - away * order.target if order.target > 0 else math.nan,
            order.trail,
            price,
        )

    # what it costs

    def market_price(self, t, symbol, reference, quantity):
        costs = self.costs
        spread = volume = math.nan
        if t > 0:
            spread, volume = self.spread[t - 1, symbol], self.bars.volume[t - 1, symbol]
        if costs.use_book and spread >= 0:
            half = spread / 2 * costs.times
        else:
            half = reference * costs.half_spread_bps / 1e4 * costs.times
        bps = costs.slippage_bps * costs.times
        if volume > 0:
            bps += costs.impact_bps * costs.times * math.sqrt(abs(quantity) / volume)
        off = min(half + reference * bps / 1e4, reference / 2)
        return reference + off if quantity > 0 else reference - off

    def fee(self, t, quantity, price):
        costs, shares = self.costs, abs(quantity)
        fee = max(costs.commission_per_share * shares, costs.commission_min) * costs.times
        if quantity < 0 and costs.regulatory:
            day = self.bars.session[t]
            dollars = [rate for first, rate in SEC_SECTION_31 if first <= day] or [SEC_SECTION_31[0][1]]
            per_share = [(rate, cap) for first, rate, cap in FINRA_TAF if first <= day] or [FINRA_TAF[0][1:]]
            fee += shares * price * dollars[-1] / 1e6 + min(per_share[-1][0] * shares, per_share[-1][1])
        return fee

    # what the close says

    def value(self, t):
        for symbol in range(len(self.bars.symbols)):
            close = self.bars.close[t, symbol]
            if math.isnan(close):
                continue
            self.last_close[symbol] = close
            position = self.positions.get(symbol)
            if position is None:
                continue
            if self.rule.stops == "touch":
                far = self.bars.high[t, symbol] if position.long else self.bars.low[t, symbol]
            else:
                far = close
            position.best = max(position.best, far) if position.long else min(position.best, far)
        self.equity = self.cash + sum(p.quantity * self.last_close[s] for s, p in self.positions.items())
        self.equity_by_row.append(self.equity)
        self.cash_by_row.append(self.cash)
        self.held_by_row.append({s: p.quantity for s, p in self.positions.items()})

    # what the rule wants

    def flag(self, name, t, symbol):
        column = getattr(self.signals, name)
        return False if column is None else bool(column[t, symbol])

    def level(self, name, t, symbol):
        column = getattr(self.signals, name)
        return math.nan if column is None else float(column[t, symbol])

    def side(self, t, symbol):
        long = self.flag("entries", t, symbol) and not self.flag("exits", t, symbol)
        short = self.flag("short_entries", t, symbol) and not self.flag("short_exits", t, symbol) and self.rule.shorts
        return long - short

    def ending(self, t):
        flat = self.rule.flat_before_s
        if flat is None:
            flat = 0 if self.row_seconds >= 86_400 else 2 * self.row_seconds
        return flat > 0 and self.bars.to_close[t] <= flat

    def notional(self, symbol):
        now = self.positions[symbol].quantity if symbol in self.positions else 0.0
        soon = now + (self.waiting[symbol].quantity if symbol in self.waiting else 0.0)
        return max(abs(now), abs(soon)) * self.last_close[symbol]

    def room(self, but=None):
        busy = (set(self.positions) | set(self.waiting)) - {but}
        return self.equity * self.rule.max_gross - sum(self.notional(s) for s in busy)

    def shares(self, t, symbol, room):
        close, equity = self.bars.close[t, symbol], self.equity
        if equity <= 0:
            return 0.0
        fraction = self.level("size", t, symbol)
        dollars = equity * (self.rule.size if math.isnan(fraction) else fraction)
        if self.rule.risk > 0:
            distance = self.level("stop", t, symbol)
            if not distance > 0:
                return 0.0
            dollars = min(dollars, equity * self.rule.risk / distance * close)
        shares = min(dollars, room) / close
        if shares <= 0:
            return 0.0
        return math.floor(shares * 1e6) / 1e6 if self.rule.fractional else float(math.floor(shares))

    def place(self, t, symbol, quantity, reason):
        order = Order(t, symbol, quantity, reason, *(self.level(n, t, symbol) for n in ("stop", "target", "trail")))
        self.orders.append(order)
        self.waiting[symbol] = order

    def decide(self, t):
        for symbol in sorted(self.positions):
            if symbol not in self.waiting:
                wanted = self.left_or_turned(t, symbol)
                if wanted:
                    self.place(t, symbol, *wanted)
        if not self.ending(t):
            self.enter(t)

    def left_or_turned(self, t, symbol):
        position, close = self.positions[symbol], self.bars.close[t, symbol]
        side = self.side(t, symbol)
        if not math.isnan(close) and not self.ending(t) and side and (side > 0) != position.long:
            shares = self.shares(t, symbol, self.room(but=symbol))
            return side * shares - position.quantity, "reversal" if shares else "exit"
        reason = self.reason_to_leave(t, symbol, position, close)
        return (-position.quantity, reason) if reason else None

    def reason_to_leave(self, t, symbol, position, close):
        if self.ending(t):
            return "session end"
        if self.rule.stops == "close":
            level, reason = position.guard()
            if close <= level if position.long else close >= level:
                return reason
            if close >= position.target if position.long else close <= position.target:
                return "target"
        if self.flag("exits" if position.long else "short_exits", t, symbol):
            return "exit"
        if self.rule.time_stop and t - position.since + 1 >= self.rule.time_stop:
            return "time"
        return None

    def enter(self, t):
        free = [
            symbol
            for symbol in range(len(self.bars.symbols))
            if symbol not in self.positions
            and symbol not in self.waiting
            and not math.isnan(self.bars.close[t, symbol])
            and self.side(t, symbol)
            and (symbol not in self.left or t >= self.left[symbol] + self.rule.cooldown)
        ]
        if self.rule.priority == "volume":
            free.sort(key=lambda s: -(self.bars.close[t, s] * self.bars.volume[t, s]))  # stable: ties by order
        for symbol in free:
            if len(set(self.positions) | set(self.waiting)) >= self.rule.max_positions:
                break
            shares = self.shares(t, symbol, self.room())
            if shares:
                self.place(t, symbol, self.side(t, symbol) * shares, "entry")
