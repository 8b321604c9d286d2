"""The controls in front of every order: an oracle of the limits, written apart from them, recomputes each one sent.

The oracle sees what went out and what the broker answered, never the core's state (invariant I5).
"""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.rows import Row
from live.core.commands import Alert, Cancel, Denied, Protect, Submit, decode_command
from live.core.core import Core
from live.core.events import (
    Fill,
    Gate,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderSent,
    OrderUnknown,
)
from live.core.limits import DEFAULTS
from live.core.plan import Plan
from live.journal import steps
from strategies.common.costs import Costs
from strategies.common.rule import Rule

MINUTE = 60_000_000_000
SECOND = 1_000_000_000
SYMBOLS = ("AAA", "BBB", "CCC")
FLAT, BUY, SELL, SHORT, COVER = range(5)


def core_of(scripted, limits, rule=None, symbols=("AAA",), broker="paper"):
    rule = rule or Rule(size=0.5)
    plan = Plan.of(scripted, list(symbols), rule=rule, costs=Costs.free(), clock="1m", limits=limits, broker=broker)
    return Core(plan, scripted)


def quiet(price, says, count=1):
    return [(price, price, price, price, says)] * count


def kinds(commands):
    return [type(command).__name__ for command in commands]


def only(commands, kind):
    (found,) = [command for command in commands if isinstance(command, kind)]
    return found


def test_an_order_beyond_a_limit_is_refused_with_its_reason_and_journaled(scripted, session_of, rows):
    session = session_of(limits={"max_order_usd": 49_999})
    for row in rows(quiet(100.0, BUY, 2)):
        session.row(row)
    commands = [decode_command(body) for step in steps(session.journal) for body in step.commands]
    assert kinds(commands) == ["Denied", "Denied"]
    first = commands[0]
    assert (first.code, first.text) == ("R02.order_notional", "notional=50000.00 limit=49999.00")
    assert session.core.counts.denied == {"R02.order_notional": 2}
    assert session.broker.books().open_orders == []


def test_a_limit_that_is_not_reached_changes_no_bit(scripted, session_of, rows):
    lines = quiet(100.0, BUY) + quiet(101.0, FLAT) + quiet(102.0, SELL) + quiet(103.0, FLAT)
    outcomes = []
    for limits in ({}, {"max_order_usd": 50_000, "max_gross_pct": 100.0, "max_messages_minute": 10}):
        session = session_of(limits=limits)
        for row in rows(lines):
            session.row(row)
        outcomes.append([body for step in steps(session.journal) for body in step.commands])
    assert outcomes[0] == outcomes[1]


def test_a_reversal_beyond_a_limit_still_leaves(scripted, rows):
    core = core_of(scripted, {"allow_shorts": False}, Rule(size=0.5, shorts=True))
    first, second = rows(quiet(100.0, BUY) + quiet(100.0, SHORT))
    bought = only(core.step(first), Submit)
    core.step(OrderSent(bought.ts, bought.order_id))
    core.step(Fill(first.ts + 1, bought.order_id, "x", bought.quantity, 100.0, 0.0))
    denied, submit = core.step(second)
    assert (denied.code, denied.quantity) == ("R21.short", 1_000.0)
    assert (submit.side, submit.quantity, submit.reason) == ("sell", 500.0, "exit")


def test_a_loss_halts_the_account_until_a_person_resumes(scripted, rows):
    core = core_of(scripted, {"halt_loss_pct": 3.0})
    first, second, third, fourth = rows(quiet(100.0, BUY) + quiet(90.0, FLAT) + quiet(90.0, SELL) + quiet(90.0, BUY))
    bought = only(core.step(first), Submit)
    core.step(OrderSent(bought.ts, bought.order_id))
    core.step(Fill(first.ts + 1, bought.order_id, "x", bought.quantity, 100.0, 0.0))
    commands = core.step(second)  # 500 shares lost 10 dollars each: 5 %
    alert = only(commands, Alert)
    assert (alert.level, alert.name, alert.text) == (
        "critical", "risk.halted", "no new positions: day_loss_pct=5 limit=3",
    )  # fmt: skip
    left = only(commands, Submit)  # its stop is met: an exit is never kept in
    assert left.reason == "stop"
    core.step(third)
    core.step(OrderSent(left.ts, left.order_id))
    core.step(Fill(third.ts + 1, left.order_id, "y", left.quantity, 90.0, 0.0))
    assert core.step(fourth) == []
    core.step(Operator(fourth.ts + 1, "resume", "ada"))
    again = msgspec.structs.replace(fourth, ts=fourth.ts + MINUTE)
    assert only(core.step(again), Submit).side == "buy"


def test_repeated_entries_stop_the_strategy(scripted, rows):
    core = core_of(scripted, {"max_entries_symbol_10_minutes": 2})
    heard = []
    for row in rows(quiet(100.0, BUY, 4)):
        commands = core.step(row)
        heard.append(kinds(commands))
        for command in commands:
            if isinstance(command, Submit):
                core.step(OrderSent(row.ts, command.order_id))
                core.step(OrderExpired(row.ts + 1, command.order_id))
    assert heard == [["Submit"], ["Submit"], ["Denied", "Alert"], []]
    assert core.halted.startswith("R08.repeats entries_10_minutes=3")


def test_refusals_for_pace_stop_the_strategy(scripted, rows):
    core = core_of(scripted, {"max_messages_hour": 0, "max_denials_10_minutes": 3})
    heard = [kinds(core.step(row)) for row in rows(quiet(100.0, BUY, 4))]
    assert heard == [["Denied"], ["Denied"], ["Denied", "Alert"], []]


def test_a_limit_order_is_sent_where_market_orders_are_not_allowed(scripted, rows):
    core = core_of(scripted, {"order_types": ["limit"], "collar_pct": 0.5})
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    assert (submit.kind, submit.limit) == ("limit", 100.5)


def test_an_account_with_a_broker_of_its_own_opens_nothing_before_every_gate_is_green(scripted, rows):
    core = core_of(scripted, {}, broker="alpaca")
    names = ("armed", "clock", "reconciled", "journal", "orders", "heartbeat", "venue", "data")
    for row, name in zip(rows(quiet(100.0, BUY, 8)), names, strict=True):
        assert f"gate={name} " in only(core.step(row), Denied).text
        core.step(Gate(row.ts + 1, name, open=True))
    last = rows(quiet(100.0, BUY, 9))[-1]
    assert only(core.step(last), Submit).side == "buy"


def test_a_gate_that_closes_takes_back_the_entry_that_waits(scripted, rows):
    core = core_of(scripted, {})
    first, second = rows(quiet(100.0, BUY, 2))
    submit = only(core.step(first), Submit)
    core.step(OrderSent(submit.ts, submit.order_id))
    assert only(core.step(Gate(first.ts + 1, "orders", open=False, reason="cut")), Cancel).order_id == submit.order_id
    core.step(OrderCancelled(first.ts + 2, submit.order_id))
    assert only(core.step(second), Denied).text == "gate=orders reason=cut"


# --- the oracle -----------------------------------------------------------------------------------------------------


class Oracle:
    """Positions and open orders from commands and answers alone; `judge` recomputes the limits of an order sent."""

    def __init__(self, limits):
        self.limits, self.held, self.alive = limits, dict.fromkeys(SYMBOLS, 0.0), {}
        self.prices, self.equity, self.sent, self.lost = {}, 0.0, [], []

    def judge(self, order):
        self.sent.append((order.ts, order.symbol, order.side, self.is_entry(order)))
        if not self.is_entry(order):
            return
        limits, price = self.limits, self.prices[order.symbol]
        assert order.quantity * price <= limits["max_order_usd"] * (1 + 1e-12)
        assert order.quantity <= limits["max_order_shares"]
        gross = 0.0
        for symbol in SYMBOLS:
            buys, sells = (
                sum(left for s, side, left in self.alive.values() if (s, side) == (symbol, wanted))
                + (order.quantity if (symbol, order.side) == (order.symbol, wanted) else 0.0)
                for wanted in ("buy", "sell")
            )
            worst = max(abs(self.held[symbol] + buys), abs(self.held[symbol] - sells))
            if worst:
                gross += worst * self.prices[symbol]
            if symbol == order.symbol:
                assert worst * price <= limits["max_position_pct"] / 100 * self.equity * (1 + 1e-12)
        assert gross <= limits["max_gross_pct"] / 100 * self.equity * (1 + 1e-12)
        busy = {symbol for symbol in SYMBOLS if self.held[symbol]} | {s for s, _, _ in self.alive.values()}
        assert len(busy | {order.symbol}) <= limits["max_positions"]
        assert len(self.alive) + 1 <= limits["max_open_orders"]
        recent = [s for s in self.sent if s[0] > order.ts - 600 * SECOND]
        same = [s for s in recent if s[1:] == (order.symbol, order.side, True)]
        assert len(same) <= limits["max_entries_symbol_10_minutes"]

    def is_entry(self, order):
        held = self.held[order.symbol]
        return not (held * (1 if order.side == "sell" else -1) >= order.quantity)

    def sees(self, command):
        if isinstance(command, Submit):
            self.judge(command)
        if isinstance(command, Submit | Protect):
            self.alive[command.order_id] = (command.symbol, command.side, command.quantity)

    def hears(self, event):
        if isinstance(event, Fill):
            symbol, side, left = self.alive[event.order_id]
            self.held[symbol] += event.quantity if side == "buy" else -event.quantity
            left -= event.quantity
            self.alive[event.order_id] = (symbol, side, left)
            if left <= 0.0:
                del self.alive[event.order_id]
        elif isinstance(event, OrderExpired | OrderCancelled):
            self.alive.pop(event.order_id, None)


def answers(draw, oracle, ts):
    """What the broker says between two rows: lost answers, parts, the rest, nothing at all."""
    for number, (order_id, (_symbol, _side, left)) in enumerate(list(oracle.alive.items())):
        at = ts + number + 1
        choice = draw(st.sampled_from(["fill", "part", "expire", "unknown", "nothing"]))
        if order_id in oracle.lost:
            continue
        if choice == "fill":
            yield Fill(at, order_id, f"{order_id}/{at}", left, 100.0, 0.0)
        elif choice == "part" and left > 1.0:
            yield Fill(at, order_id, f"{order_id}/{at}", 1.0, 100.0, 0.0)
        elif choice == "expire":
            yield OrderExpired(at, order_id)
        elif choice == "unknown":
            oracle.lost.append(order_id)
            yield OrderUnknown(at, order_id, "timed out")


LIMITS = st.fixed_dictionaries({
    "max_order_usd": st.sampled_from([5_000.0, 20_000.0, 60_000.0]),
    "max_order_shares": st.sampled_from([100.0, 400.0, 1e6]),
    "max_position_pct": st.sampled_from([20.0, 40.0, 200.0]),
    "max_gross_pct": st.sampled_from([40.0, 90.0, 300.0]),
    "max_positions": st.integers(1, 3),
    "max_open_orders": st.integers(1, 4),
    "max_entries_symbol_10_minutes": st.integers(1, 5),
})  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), limits=LIMITS, rule=st.builds(
    Rule, size=st.sampled_from([0.1, 0.3, 0.9]), shorts=st.booleans(), stops=st.sampled_from(["close", "touch"]),
    max_gross=st.sampled_from([0.9, 2.5]),
))  # fmt: skip
def test_every_order_that_goes_out_is_inside_limits_recomputed_apart(scripted, data, limits, rule):
    core, oracle = core_of(scripted, limits, rule, SYMBOLS), Oracle(limits)
    for t in range(12):
        ts = (t + 1) * MINUTE
        closes = [data.draw(st.sampled_from([50.0, 100.0, 101.0, 200.0])) for _ in SYMBOLS]
        says = [float(data.draw(st.sampled_from([FLAT, BUY, BUY, SELL, SHORT, COVER]))) for _ in SYMBOLS]
        row = Row(ts, 20250102, 60.0 * t, 20_000.0, closes, closes, closes, closes, says)
        oracle.prices = dict(zip(SYMBOLS, closes, strict=True))
        commands = core.step(row)
        oracle.equity = core.cash + sum(oracle.held[s] * oracle.prices[s] for s in SYMBOLS)
        queue = list(commands)
        while queue:
            command = queue.pop(0)
            oracle.sees(command)
            event = None
            if isinstance(command, Submit | Protect):
                core.step(OrderSent(command.ts, command.order_id))
                event = OrderAccepted(command.ts, command.order_id)
            elif isinstance(command, Cancel) and data.draw(st.booleans()):
                event = OrderCancelled(command.ts, command.order_id)
            if event is not None:
                oracle.hears(event)
                queue += core.step(event)
        for event in answers(data.draw, oracle, ts):
            if event.order_id in oracle.alive:
                oracle.hears(event)
                for command in core.step(event):
                    oracle.sees(command)
                    if isinstance(command, Submit | Protect):
                        core.step(OrderSent(command.ts, command.order_id))
    assert core.positions == [oracle.held[symbol] for symbol in SYMBOLS]


def test_the_proposed_limits_let_a_live_account_trade_in_limit_orders(scripted):
    plan = Plan.of(scripted, ["AAA"], clock="1m", limits=DEFAULTS, broker="alpaca")
    assert plan.is_live
    assert plan.the_limits().max_order_usd == 2_500.0


@pytest.mark.parametrize("name", ["max_order_usd", "max_gross_pct"])
def test_two_accounts_with_other_limits_have_other_plans(scripted, name):
    assert Plan.of(scripted, ["AAA"], limits={name: 1.0}) != Plan.of(scripted, ["AAA"])
