"""`check`: may this order go out? Thirty-five controls in a fixed order; the first that says no is the answer.

An order that can only make a position smaller is asked by the few controls that hold for exits: a limit must never keep
an account in a position. The first refusal wins, so the order is part of the contract. Controls with the effect
"halt" also stop new risk until a person resumes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from live.core import risk_gates, risk_market, risk_money, risk_pace, risk_size
from live.core.facts import Request, State
from live.core.limits import Limits


class Approved(msgspec.Struct, frozen=True):
    """Nothing stands against the order."""

    order_id: str


class Refused(msgspec.Struct, frozen=True):
    """The order may not go out. code: of the control; reason: the numbers, as key=value. halts: nothing else may."""

    order_id: str
    code: str
    reason: str
    halts: bool = False


class Control(NamedTuple):
    """One control: its check answers '' or the numbers that speak against the order. exits: asked of them too."""

    code: str
    check: Callable[[Request, State, Limits], str]
    exits: bool = False
    effect: Literal["deny", "halt"] = "deny"


CONTROLS: tuple[Control, ...] = (
    Control("R35.numbers", risk_gates.numbers, exits=True),
    Control("R19.same_key", risk_pace.same_key, exits=True),
    Control("R01.armed", risk_gates.armed, exits=True),
    Control("R31.halted", risk_gates.halted),
    Control("R34.source", risk_gates.source, exits=True),
    Control("R12.order_type", risk_market.order_type, exits=True),
    Control("R15.clock", risk_gates.clock),
    Control("R28.reconciled", risk_gates.reconciled),
    Control("R28.books", risk_gates.books, exits=True),
    Control("R29.order_stream", risk_gates.order_stream),
    Control("R32.heartbeat", risk_gates.heartbeat),
    Control("R27.venue", risk_gates.venue),
    Control("R30.unknown", risk_pace.unknown),
    Control("R09.orders_per_intent", risk_pace.orders_per_intent, effect="halt"),
    Control("R19.same_order", risk_pace.same_order),
    Control("R20.self_trade", risk_pace.self_trade),
    Control("R24.hours", risk_market.hours),
    Control("R25.halt", risk_market.halt),
    Control("R14.stale", risk_market.stale),
    Control("R13.book", risk_market.book),
    Control("R10.collar", risk_market.collar, exits=True),
    Control("R11.close", risk_market.from_close),
    Control("R26.symbol", risk_market.symbol),
    Control("R02.order_notional", risk_size.order_notional),
    Control("R03.order_quantity", risk_size.order_quantity),
    Control("R04.position", risk_size.position),
    Control("R05.exposure", risk_size.exposure),
    Control("R06.count", risk_size.count),
    Control("R21.short", risk_money.short),
    Control("R22.settled_cash", risk_money.settled_cash),
    Control("R23.day_trades", risk_money.day_trades),
    Control("R16.day_loss", risk_money.day_loss),
    Control("R16.day_halt", risk_money.day_halt, effect="halt"),
    Control("R17.drawdown", risk_money.drawdown, effect="halt"),
    Control("R18.streak", risk_money.streak),
    Control("R33.accounts", risk_money.accounts),
    Control("R07.messages", risk_pace.messages),
    Control("R08.repeats", risk_pace.repeats, effect="halt"),
)


def check(request: Request, state: State, limits: Limits) -> Approved | Refused:
    """The verdict on an order; pure, and the same for the same three."""
    for control in CONTROLS:
        if request.reduces and not control.exits:
            continue
        against = control.check(request, state, limits)
        if against:
            return Refused(request.order_id, control.code, against, halts=control.effect == "halt")
    return Approved(request.order_id)


def stopping(state: State, limits: Limits) -> str:
    """Why all new risk must stop now: the day's or week's loss, or the drawdown; '' where it need not."""
    asked = Request("", state.ts, 0, "", "buy", 0.0)
    return risk_money.day_halt(asked, state, limits) or risk_money.drawdown(asked, state, limits)


def only_leaving(state: State, limits: Limits) -> bool:
    """True where the day's loss allows exits only."""
    return bool(risk_money.reduce_only(state, limits))
