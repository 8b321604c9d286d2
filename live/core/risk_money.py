"""Controls on losses, borrowing, settlement and the pattern of a day."""

from __future__ import annotations

from data.calendar import SECOND_NS
from live.core.facts import Request, State
from live.core.limits import Limits
from live.core.risk_size import notional


def loss_pct(now: float, before: float) -> float:
    """Percent of `before` that is gone; NaN where either is unknown."""
    return (before - now) / before * 100.0 if before > 0.0 else float("nan")


def day_loss(_request: Request, state: State, limits: Limits) -> str:
    """R16: past this loss of the day positions are only left."""
    return reduce_only(state, limits)


def reduce_only(state: State, limits: Limits) -> str:
    """R16: the day's loss that allows exits only; '' where it is smaller."""
    if limits.reduce_only_loss_pct is None:
        return ""
    lost = loss_pct(state.value(), state.day_equity)
    return (
        "" if lost < limits.reduce_only_loss_pct else f"day_loss_pct={lost:.4g} limit={limits.reduce_only_loss_pct:g}"
    )


def day_halt(_request: Request, state: State, limits: Limits) -> str:
    """R16: past this loss of the day nothing is opened until a person resumes."""
    return _over("day_loss_pct", state, state.day_equity, limits.halt_loss_pct)


def drawdown(_request: Request, state: State, limits: Limits) -> str:
    """R17: the same for the week, and from the peak."""
    week = _over("week_loss_pct", state, state.week_equity, limits.max_week_loss_pct)
    return week or _over("drawdown_pct", state, state.peak_equity, limits.max_drawdown_pct)


def _over(name: str, state: State, before: float, limit: float | None) -> str:
    if limit is None:
        return ""
    lost = loss_pct(state.value(), before)
    return "" if lost < limit else f"{name}={lost:.4g} limit={limit:g}"


def streak(request: Request, state: State, limits: Limits) -> str:
    """R18: losses in a row, stops of a day, and a symbol that was only just left."""
    if limits.max_loss_streak is not None and request.ts < state.paused_until:
        return f"paused_s={(state.paused_until - request.ts) / SECOND_NS:g}"
    if limits.max_stop_outs_day is not None and state.stop_outs >= limits.max_stop_outs_day:
        return f"stop_outs={state.stop_outs} limit={limits.max_stop_outs_day}"
    left = state.left_at[request.column]
    if limits.cooldown_rows is not None and left and state.rows - left < limits.cooldown_rows:
        return f"rows_since_exit={state.rows - left} limit={limits.cooldown_rows}"
    return ""


def short(request: Request, state: State, limits: Limits) -> str:
    """R21: selling what is not held."""
    if request.side == "buy":
        return ""
    _, least = state.reach(request.column)
    after = least - request.quantity
    if after >= 0.0:
        return ""
    if limits.allow_shorts is False:
        return f"position_after={after:g} allow_shorts=no"
    facts = state.symbols.get(request.symbol)
    if limits.max_short_shares is not None and not -after <= limits.max_short_shares:
        return f"short={-after:g} limit={limits.max_short_shares:g}"
    if limits.allow_shorts and (facts is None or not facts.is_easy_to_borrow or facts.is_short_restricted):
        return f"symbol={request.symbol} borrow={'unknown' if facts is None else 'restricted'}"
    if limits.short_close_s is not None and not state.market.to_close >= limits.short_close_s:
        return f"to_close_s={state.market.to_close:g} limit={limits.short_close_s:g}"
    return ""


def settled_cash(request: Request, state: State, limits: Limits) -> str:
    """R22: bought with settled money only; after a violation with none."""
    violations = state.account.good_faith_violations
    limit = limits.max_good_faith_violations
    if limit is not None and (violations is None or violations >= limit):
        return f"good_faith_violations={violations} limit={limit}"
    if not limits.settled_cash_only or request.side == "sell":
        return ""
    spent = sum(
        (order.quantity - order.filled) * state.market.price[order.column]
        for order in state.open
        if order.side == "buy"
    )
    value, free = notional(request, state), state.account.settled_cash - spent
    return "" if value <= free else f"notional={value:.2f} settled_cash={free:.2f}"


def day_trades(request: Request, state: State, limits: Limits) -> str:
    """R23: the policy of the account's own broker, legacy until it tells otherwise."""
    policy = limits.day_trade_policy
    if policy is None or policy == "off":
        return ""
    if policy == "auto":
        policy = state.account.day_trade_regime or "legacy_pdt"
    if policy == "legacy_pdt":
        done, limit, floor = state.account.day_trades, limits.max_day_trades, limits.day_trade_equity_usd
        if limit is None or (floor is not None and state.value() >= floor):
            return ""
        return "" if done is not None and done < limit else f"day_trades={done} limit={limit}"
    if policy == "intraday_margin" and limits.min_margin_pct is not None:
        gross = notional(request, state)
        for j, price in enumerate(state.market.price):
            most, least = state.reach(j)
            if most != 0.0 or least != 0.0:
                gross += max(abs(most), abs(least)) * price
        margin = state.value() / gross * 100.0 if gross > 0.0 else float("inf")
        if not margin >= limits.min_margin_pct:
            return f"margin_pct={margin:.4g} limit={limits.min_margin_pct:g}"
    return ""


def accounts(request: Request, state: State, limits: Limits) -> str:
    """R33: this account's shares of the day, and those that are told of others, by volume; and the day's loss."""
    facts = state.symbols.get(request.symbol)
    if limits.max_accounts_volume_pct is not None:
        cap = limits.max_accounts_volume_pct / 100.0 * (facts.average_volume if facts is not None else float("nan"))
        shares = request.quantity + state.traded.get(request.column, 0.0)
        shares += state.pending(request.column, "buy") + state.pending(request.column, "sell")
        shares += facts.accounts_shares if facts is not None else 0.0
        if not shares <= cap:
            return f"accounts_shares={shares:g} limit={cap:g}"
    if limits.max_accounts_loss_pct is not None and not state.account.accounts_loss_pct < limits.max_accounts_loss_pct:
        return f"accounts_loss_pct={state.account.accounts_loss_pct:g} limit={limits.max_accounts_loss_pct:g}"
    return ""
