"""`Limits`: how far an account may go; every number says its unit in its name.

None is no limit: that control then refuses nothing. A paper account begins with none set, so that it trades what the
backtest tested; an account with a broker of its own does not start before each has a value (`DEFAULTS` proposes one,
for a small account). R-numbers name the controls of `live.core.risk`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Percentages are of equity unless the name says of what; shares, dollars and seconds as named."""

    # R02 to R06: size
    max_order_usd: float | None = None
    max_order_pct: float | None = None
    max_order_shares: float | None = None
    max_order_volume_pct: float | None = None  # of the 20-day average volume
    max_order_depth_pct: float | None = None  # of the displayed depth on the side it takes from
    max_position_pct: float | None = None
    max_gross_pct: float | None = None
    max_net_pct: float | None = None
    max_positions: int | None = None
    max_open_orders: int | None = None
    max_open_orders_symbol: int | None = None
    # R07 to R09, R19, R20, R27, R30: pace
    max_messages_second: int | None = None
    max_messages_minute: int | None = None
    max_messages_hour: int | None = None
    max_messages_day: int | None = None
    max_messages_symbol_minute: int | None = None
    max_denials_10_minutes: int | None = None
    max_entries_symbol_10_minutes: int | None = None
    max_entries_symbol_day: int | None = None
    max_orders_per_intent: int | None = None
    same_order_window_s: float | None = None
    deny_self_trade: bool | None = None
    max_requests_minute: int | None = None
    max_unknown_symbol: int | None = None
    max_unknown: int | None = None
    # R10 to R14, R24 to R26: the market
    collar_pct: float | None = None  # of the mid
    collar_spreads: float | None = None
    hard_collar_pct: float | None = None
    max_from_close_pct: float | None = None
    order_types: list[str] | None = None
    max_spread_pct: float | None = None  # of the mid
    max_crossed_s: float | None = None
    max_quote_age_s: float | None = None
    max_row_age_s: float | None = None
    first_entry_s: float | None = None  # after the open
    last_entry_s: float | None = None  # before the close
    halt_quiet_s: float | None = None
    min_price_usd: float | None = None
    min_dollar_volume_usd: float | None = None  # 20-day average
    min_listed_days: int | None = None
    restricted: list[str] | None = None
    allow_leveraged: bool | None = None
    allow_corporate_action_day: bool | None = None
    # R16 to R18, R21 to R23, R33: money
    reduce_only_loss_pct: float | None = None  # of the day's first equity
    halt_loss_pct: float | None = None
    max_drawdown_pct: float | None = None  # of the peak
    max_week_loss_pct: float | None = None
    max_loss_streak: int | None = None
    loss_pause_s: float | None = None
    max_stop_outs_day: int | None = None
    cooldown_rows: int | None = None
    allow_shorts: bool | None = None
    max_short_shares: float | None = None
    short_close_s: float | None = None  # before the close
    settled_cash_only: bool | None = None
    max_good_faith_violations: int | None = None
    day_trade_policy: str | None = None
    max_day_trades: int | None = None  # in five days, under the next
    day_trade_equity_usd: float | None = None
    min_margin_pct: float | None = None  # equity over gross
    max_accounts_volume_pct: float | None = None  # all accounts' shares, of the 20-day average volume
    max_accounts_loss_pct: float | None = None
    # R15, R28, R29, R32: what must be in order around the account
    max_clock_skew_ms: float | None = None
    reconcile_every_s: float | None = None
    max_cash_difference_usd: float | None = None
    max_cash_difference_pct: float | None = None
    max_order_stream_silence_s: float | None = None
    heartbeat_s: float | None = None
    # R30: of an order whose answer was lost
    unknown_alarm_s: float | None = None
    unknown_page_s: float | None = None


DAY_TRADE_POLICIES = ("auto", "legacy_pdt", "intraday_margin", "off")

DEFAULTS: dict[str, Any] = {
    "max_order_usd": 2_500.0,
    "max_order_pct": 5.0,
    "max_order_shares": 1_000.0,
    "max_order_volume_pct": 1.0,
    "max_order_depth_pct": 10.0,
    "max_position_pct": 10.0,
    "max_gross_pct": 100.0,
    "max_net_pct": 100.0,
    "max_positions": 10,
    "max_open_orders": 20,
    "max_open_orders_symbol": 5,
    "max_messages_second": 2,
    "max_messages_minute": 10,
    "max_messages_hour": 60,
    "max_messages_day": 200,
    "max_messages_symbol_minute": 4,
    "max_denials_10_minutes": 3,
    "max_entries_symbol_10_minutes": 3,
    "max_entries_symbol_day": 10,
    "max_orders_per_intent": 1,
    "same_order_window_s": 5.0,
    "deny_self_trade": True,
    "max_requests_minute": 30,
    "max_unknown_symbol": 1,
    "max_unknown": 2,
    "collar_pct": 0.5,
    "collar_spreads": 5.0,
    "hard_collar_pct": 2.0,
    "max_from_close_pct": 10.0,
    "order_types": ["limit"],
    "max_spread_pct": 1.0,
    "max_crossed_s": 1.0,
    "max_quote_age_s": 2.0,
    "max_row_age_s": 5.0,
    "first_entry_s": 60.0,
    "last_entry_s": 300.0,
    "halt_quiet_s": 30.0,
    "min_price_usd": 3.0,
    "min_dollar_volume_usd": 5_000_000.0,
    "min_listed_days": 5,
    "restricted": [],
    "allow_leveraged": False,
    "allow_corporate_action_day": False,
    "reduce_only_loss_pct": 2.0,
    "halt_loss_pct": 3.0,
    "max_drawdown_pct": 10.0,
    "max_week_loss_pct": 5.0,
    "max_loss_streak": 5,
    "loss_pause_s": 1_800.0,
    "max_stop_outs_day": 4,
    "cooldown_rows": 2,
    "allow_shorts": False,
    "max_short_shares": 1_000.0,
    "short_close_s": 900.0,
    "settled_cash_only": True,
    "max_good_faith_violations": 1,
    "day_trade_policy": "auto",
    "max_day_trades": 3,
    "day_trade_equity_usd": 25_000.0,
    "min_margin_pct": 30.0,
    "max_accounts_volume_pct": 1.0,
    "max_accounts_loss_pct": 2.0,
    "max_clock_skew_ms": 250.0,
    "reconcile_every_s": 60.0,
    "max_cash_difference_usd": 5.0,
    "max_cash_difference_pct": 0.1,
    "max_order_stream_silence_s": 5.0,
    "heartbeat_s": 30.0,
    "unknown_alarm_s": 30.0,
    "unknown_page_s": 300.0,
}
"""What the controls propose for a small account; the keys are every limit there is."""
