"""How much of each numeric limit is used, in the limit's own unit."""

from __future__ import annotations

from data.calendar import SECOND_NS
from live.control import Used
from live.core.core import Core
from live.core.risk_money import loss_pct
from live.core.risk_pace import LOST, TEN_MINUTES_S


def headroom(core: Core, now: int) -> dict[str, Used]:
    """Every limit that is set and that something can be used of, by its name."""
    tally = core.desk.tally
    state, limits = tally.state, tally.limits
    positions, marks = core.positions, state.market.price or [0.0] * len(core.symbols)
    value = max(state.value(), 1e-9)
    dollars = [held * price for held, price in zip(positions, marks, strict=True)]
    alive = [order for order in state.open if not order.is_over]
    lost = [order for order in alive if order.state in LOST]
    by_symbol = [sum(order.column == j for order in alive) for j in range(len(core.symbols))]
    lost_by = [sum(order.column == j for order in lost) for j in range(len(core.symbols))]

    def sent(seconds: float) -> float:
        return float(sum(each.ts > now - int(seconds * SECOND_NS) for each in state.sent))

    used = {
        "max_position_pct": max(map(abs, dollars), default=0.0) / value * 100.0,
        "max_gross_pct": sum(map(abs, dollars)) / value * 100.0,
        "max_net_pct": abs(sum(dollars)) / value * 100.0,
        "max_positions": float(sum(held != 0.0 for held in positions)),
        "max_open_orders": float(len(alive)),
        "max_open_orders_symbol": float(max(by_symbol, default=0)),
        "max_messages_second": sent(1.0),
        "max_messages_minute": sent(60.0),
        "max_messages_hour": sent(3_600.0),
        "max_messages_day": sent(86_400.0),
        "max_denials_10_minutes": float(sum(ts > now - int(TEN_MINUTES_S * SECOND_NS) for ts in state.denials)),
        "max_unknown": float(len(lost)),
        "max_unknown_symbol": float(max(lost_by, default=0)),
        "reduce_only_loss_pct": loss_pct(state.value(), state.day_equity),
        "halt_loss_pct": loss_pct(state.value(), state.day_equity),
        "max_week_loss_pct": loss_pct(state.value(), state.week_equity),
        "max_drawdown_pct": loss_pct(state.value(), state.peak_equity),
        "max_loss_streak": float(state.streak),
        "max_stop_outs_day": float(state.stop_outs),
        "max_day_trades": float(state.account.day_trades or 0),
        "max_good_faith_violations": float(state.account.good_faith_violations or 0),
        "max_clock_skew_ms": abs(state.account.clock_skew_ms),
        "max_accounts_loss_pct": state.account.accounts_loss_pct,
    }
    return {
        name: Used(max(amount, 0.0), float(limit))
        for name, amount in used.items()
        if (limit := getattr(limits, name)) is not None and amount == amount
    }
