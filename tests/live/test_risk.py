"""Each control on its own: what it lets pass, what it does not, at one step below the limit, on it and above it."""

from dataclasses import dataclass, field

import msgspec
import pytest

from data.errors import ConfigError
from live.core.facts import AccountFacts, Market, Request, Sent, State, SymbolFacts
from live.core.limits import DEFAULTS, Limits
from live.core.orders import Order
from live.core.orders import State as Life
from live.core.risk import CONTROLS, Approved, Refused, check, stopping
from live.core.risk_market import worst_price
from live.risk_limits import checked, proposed

SECOND = 1_000_000_000
NOW = 1_000_000 * SECOND
nan = float("nan")


def request(**changes):
    return msgspec.structs.replace(Request("new", NOW, 0, "AAA", "buy", 10.0), **changes)


def facts(**changes):
    known = {"average_volume": 1e6, "average_dollar_volume": 1e8, "reference_close": 100.0, "listed_days": 900,
             "is_leveraged": False, "has_corporate_action": False, "is_easy_to_borrow": True}  # fmt: skip
    return SymbolFacts(NOW, "AAA", **(known | changes))


def state(**changes):
    market = {"row_ts": NOW, "session": 20250102, "since_open": 3_600.0, "to_close": 7_200.0, "price": [100.0, 50.0],
              "bid": [99.99, 49.99], "ask": [100.01, 50.01], "bid_depth": [5_000.0] * 2, "ask_depth": [5_000.0] * 2,
              "age": [0.1, 0.1]}  # fmt: skip
    market |= {name: changes.pop(name) for name in list(changes) if name in market}
    known = {"ts": NOW, "equity": 100_000.0, "cash": 100_000.0, "positions": [0.0, 0.0], "left_at": [0, 0],
             "day_equity": 100_000.0, "week_equity": 100_000.0, "peak_equity": 100_000.0, "rows": 50,
             "symbols": {"AAA": facts()},
             "account": AccountFacts(NOW, settled_cash=1e5, day_trades=0, good_faith_violations=0, clock_skew_ms=1.0,
                                     accounts_loss_pct=0.0)}  # fmt: skip
    return State(market=Market(**market), **(known | changes))


def order(quantity=10.0, side="buy", column=0, life=Life.WORKING, kind="market", filled=0.0):
    return Order(f"o{quantity}{side}{column}{life}", column, kind, side, quantity, "entry", NOW, life, filled)


def sent(count, seconds=30.0, what="entry", column=0, quantity=11.0):
    return [Sent(NOW - int(seconds * SECOND), column, "buy", quantity, what)] * count


def account(**changes):
    return msgspec.structs.replace(state().account, **changes)


@dataclass
class Case:
    """A control: `at(value)` gives (request, state) for a value; `steps` are (value, passes)."""

    code: str
    limits: dict
    at: object
    steps: list
    halts: bool = False
    extra: dict = field(default_factory=dict)


def r(**changes):
    return lambda value: (request(**{k: (value if v is ... else v) for k, v in changes.items()}), state())


def s(**changes):
    return lambda value: (request(), state(**{k: (v(value) if callable(v) else v) for k, v in changes.items()}))


BELOW_ON_ABOVE = {
    "R02 dollars": Case("R02.order_notional", {"max_order_usd": 1_000.0}, r(quantity=...),
                        [(9.0, 1), (10.0, 1), (11.0, 0)]),
    "R02 percent of equity": Case("R02.order_notional", {"max_order_pct": 1.0}, r(quantity=...),
                                  [(9.0, 1), (10.0, 1), (11.0, 0)]),
    "R03 shares": Case("R03.order_quantity", {"max_order_shares": 10.0}, r(quantity=...),
                       [(9.0, 1), (10.0, 1), (11.0, 0)]),
    "R03 volume": Case("R03.order_quantity", {"max_order_volume_pct": 1.0},
                       s(symbols=lambda v: {"AAA": facts(average_volume=v)}), [(1_001.0, 1), (1_000.0, 1), (999.0, 0)]),
    "R03 depth": Case("R03.order_quantity", {"max_order_depth_pct": 10.0},
                      s(ask_depth=lambda v: [v, v]), [(101.0, 1), (100.0, 1), (99.0, 0)]),
    "R04 held": Case("R04.position", {"max_position_pct": 5.0}, s(positions=lambda v: [v, 0.0]),
                     [(39.0, 1), (40.0, 1), (41.0, 0)]),
    "R04 open": Case("R04.position", {"max_position_pct": 5.0}, s(open=lambda v: [order(v)]),
                     [(39.0, 1), (40.0, 1), (41.0, 0)]),
    "R04 unknown": Case("R04.position", {"max_position_pct": 5.0}, s(open=lambda v: [order(v, life=Life.UNKNOWN)]),
                        [(39.0, 1), (40.0, 1), (41.0, 0)]),
    "R04 the other way": Case("R04.position", {"max_position_pct": 5.0}, s(open=lambda v: [order(v, "sell")]),
                              [(49.0, 1), (50.0, 1), (51.0, 0)]),
    "R04 only what is left of a part": Case("R04.position", {"max_position_pct": 5.0},
                                            s(open=lambda v: [order(100.0, filled=100.0 - v)]),
                                            [(39.0, 1), (40.0, 1), (41.0, 0)]),
    "R05 gross": Case("R05.exposure", {"max_gross_pct": 5.0}, s(positions=lambda v: [0.0, -v]),
                      [(79.0, 1), (80.0, 1), (81.0, 0)]),
    "R05 gross, open": Case("R05.exposure", {"max_gross_pct": 5.0}, s(open=lambda v: [order(v, column=1)]),
                            [(79.0, 1), (80.0, 1), (81.0, 0)]),
    "R05 net": Case("R05.exposure", {"max_net_pct": 5.0}, s(positions=lambda v: [0.0, v]),
                    [(79.0, 1), (80.0, 1), (81.0, 0)]),
    "R06 positions": Case("R06.count", {"max_positions": 2}, s(open=lambda v: [order(column=j + 1) for j in range(v)]),
                          [(0, 1), (1, 1), (2, 0)]),
    "R06 open orders": Case("R06.count", {"max_open_orders": 3}, s(open=lambda v: [order(column=1)] * v),
                            [(1, 1), (2, 1), (3, 0)]),
    "R06 open orders of a symbol": Case("R06.count", {"max_open_orders_symbol": 3}, s(open=lambda v: [order()] * v),
                                        [(1, 1), (2, 1), (3, 0)]),
    "R07 second": Case("R07.messages", {"max_messages_second": 3}, s(sent=lambda v: sent(v, 0.5, "cancel")),
                       [(1, 1), (2, 1), (3, 0)]),
    "R07 minute": Case("R07.messages", {"max_messages_minute": 3}, s(sent=lambda v: sent(v, 30, "exit")),
                       [(1, 1), (2, 1), (3, 0)]),
    "R07 minute's edge": Case("R07.messages", {"max_messages_minute": 3}, s(sent=lambda v: sent(9, v)),
                              [(61, 1), (60, 1), (59, 0)]),
    "R07 hour": Case("R07.messages", {"max_messages_hour": 3}, s(sent=lambda v: sent(v, 3_000)),
                     [(1, 1), (2, 1), (3, 0)]),
    "R07 day": Case("R07.messages", {"max_messages_day": 3}, s(sent=lambda v: sent(v, 80_000)),
                    [(1, 1), (2, 1), (3, 0)]),
    "R07 symbol": Case("R07.messages", {"max_messages_symbol_minute": 3},
                       s(sent=lambda v: sent(v) + sent(9, column=1)), [(1, 1), (2, 1), (3, 0)]),
    "R08 ten minutes": Case("R08.repeats", {"max_entries_symbol_10_minutes": 3}, s(sent=lambda v: sent(v, 500)),
                            [(1, 1), (2, 1), (3, 0)], halts=True),
    "R08 day": Case("R08.repeats", {"max_entries_symbol_day": 3}, s(sent=lambda v: sent(v, 5_000)),
                    [(1, 1), (2, 1), (3, 0)], halts=True),
    "R09": Case("R09.orders_per_intent", {"max_orders_per_intent": 2}, s(open=lambda v: [order()] * v),
                [(0, 1), (1, 1), (2, 0)], halts=True),
    "R10 collar": Case("R10.collar", {"collar_pct": 0.5}, r(kind="limit", limit=...),
                       [(100.50, 1), (100.51, 1), (100.52, 0)]),
    "R10 collar of a sell": Case("R10.collar", {"collar_pct": 0.5}, r(kind="limit", side="sell", limit=...),
                                 [(99.50, 1), (99.4901, 1), (99.48, 0)]),
    "R10 hard": Case("R10.collar", {"hard_collar_pct": 2.0}, r(kind="limit", limit=...),
                     [(101.0, 1), (102.0, 1), (102.01, 0)]),
    "R10 hard holds for exits": Case("R10.collar", {"hard_collar_pct": 2.0, "collar_pct": 0.1},
                                     r(kind="limit", side="sell", reduces=True, limit=...),
                                     [(99.0, 1), (98.0, 1), (97.99, 0)]),
    "R11": Case("R11.close", {"max_from_close_pct": 10.0}, s(price=lambda v: [v, 1.0]),
                [(109.0, 1), (110.0, 1), (111.0, 0)]),
    "R11 below": Case("R11.close", {"max_from_close_pct": 10.0}, s(price=lambda v: [v, 1.0]),
                      [(91.0, 1), (90.0, 1), (89.0, 0)]),
    "R12": Case("R12.order_type", {"order_types": ["limit"]}, r(kind=...),
                [("limit", 1), ("limit", 1), ("market", 0)]),
    "R13 spread": Case("R13.book", {"max_spread_pct": 2.0}, s(bid=[99.0, 1.0], ask=lambda v: [v, 1.0]),
                       [(100.9, 1), (101.0, 1), (101.1, 0)]),
    "R13 crossed for long": Case("R13.book", {"max_crossed_s": 1.0}, s(symbols=lambda v: {"AAA": facts(crossed_s=v)}),
                                 [(0.9, 1), (1.0, 1), (1.1, 0)]),
    "R13 crossed": Case("R13.book", {"max_crossed_s": 1.0}, s(bid=[100.0, 1.0], ask=lambda v: [v, 1.0]),
                        [(100.01, 1), (100.0, 1), (99.99, 0)]),
    "R14 quote": Case("R14.stale", {"max_quote_age_s": 2.0}, s(age=lambda v: [v, 0.0]),
                      [(1.9, 1), (2.0, 1), (2.1, 0)]),
    "R14 row": Case("R14.stale", {"max_row_age_s": 5.0}, s(row_ts=lambda v: NOW - v * SECOND),
                    [(4, 1), (5, 1), (6, 0)]),
    "R15": Case("R15.clock", {"max_clock_skew_ms": 250.0}, s(account=lambda v: account(clock_skew_ms=v)),
                [(-249.0, 1), (-250.0, 1), (-251.0, 0)]),
    "R16 only leave": Case("R16.day_loss", {"reduce_only_loss_pct": 2.0}, s(equity=lambda v: v),
                           [(98_002.0, 1), (98_001.0, 1), (98_000.0, 0)]),
    "R16 the broker's word": Case("R16.day_loss", {"reduce_only_loss_pct": 2.0},
                                  s(account=lambda v: account(equity=v)),
                                  [(98_002.0, 1), (98_001.0, 1), (98_000.0, 0)]),
    "R16 halt": Case("R16.day_halt", {"halt_loss_pct": 3.0}, s(equity=lambda v: v),
                     [(97_002.0, 1), (97_001.0, 1), (97_000.0, 0)], halts=True),
    "R17 week": Case("R17.drawdown", {"max_week_loss_pct": 5.0}, s(equity=lambda v: v),
                     [(95_002.0, 1), (95_001.0, 1), (95_000.0, 0)], halts=True),
    "R17 peak": Case("R17.drawdown", {"max_drawdown_pct": 10.0}, s(peak_equity=120_000.0, equity=lambda v: v),
                     [(108_002.0, 1), (108_001.0, 1), (108_000.0, 0)], halts=True),
    "R18 pause": Case("R18.streak", {"max_loss_streak": 5}, s(paused_until=lambda v: NOW + v),
                      [(-1, 1), (0, 1), (1, 0)]),
    "R18 stops": Case("R18.streak", {"max_stop_outs_day": 4}, s(stop_outs=lambda v: v), [(2, 1), (3, 1), (4, 0)]),
    "R18 cool-down": Case("R18.streak", {"cooldown_rows": 2}, s(left_at=lambda v: [v, 0]),
                          [(47, 1), (48, 1), (49, 0)]),
    "R19 window": Case("R19.same_order", {"same_order_window_s": 5.0}, s(sent=lambda v: sent(1, v, quantity=10.0)),
                       [(6.0, 1), (5.0, 1), (4.9, 0)]),
    "R20": Case("R20.self_trade", {"deny_self_trade": True}, s(open=lambda v: [order(side=v)]),
                [("buy", 1), ("buy", 1), ("sell", 0)]),
    "R20 accounts": Case("R20.self_trade", {"deny_self_trade": True},
                         s(symbols=lambda v: {"AAA": facts(has_accounts_order=v)}),
                         [(False, 1), (False, 1), (True, 0)]),
    "R21 off": Case("R21.short", {"allow_shorts": False}, r(side="sell", quantity=...), [(10.0, 0)]),
    "R21 size": Case("R21.short", {"max_short_shares": 10.0}, r(side="sell", quantity=...),
                     [(9.0, 1), (10.0, 1), (11.0, 0)]),
    "R21 borrow": Case("R21.short", {"allow_shorts": True},
                       lambda v: (request(side="sell"), state(symbols={"AAA": facts(is_easy_to_borrow=v)})),
                       [(True, 1), (True, 1), (False, 0)]),
    "R21 late": Case("R21.short", {"short_close_s": 900.0},
                     lambda v: (request(side="sell"), state(to_close=v)), [(901.0, 1), (900.0, 1), (899.0, 0)]),
    "R22 settled": Case("R22.settled_cash", {"settled_cash_only": True},
                        s(account=lambda v: account(settled_cash=v)), [(1_001.0, 1), (1_000.0, 1), (999.0, 0)]),
    "R22 open buys": Case("R22.settled_cash", {"settled_cash_only": True},
                          s(open=[order(10.0, column=1)], account=lambda v: account(settled_cash=v)),
                          [(1_501.0, 1), (1_500.0, 1), (1_499.0, 0)]),
    "R22 violation": Case("R22.settled_cash", {"max_good_faith_violations": 1},
                          s(account=lambda v: account(good_faith_violations=v)), [(0, 1), (0, 1), (1, 0)]),
    "R23 legacy": Case("R23.day_trades", {"day_trade_policy": "auto", "max_day_trades": 3},
                       s(account=lambda v: account(day_trades=v)), [(1, 1), (2, 1), (3, 0)]),
    "R23 rich enough": Case("R23.day_trades", {"day_trade_policy": "legacy_pdt", "max_day_trades": 3,
                                               "day_trade_equity_usd": 25_000.0},
                            s(account=account(day_trades=9), equity=lambda v: v),
                            [(25_001.0, 1), (25_000.0, 1), (24_999.0, 0)]),
    "R23 margin": Case("R23.day_trades", {"day_trade_policy": "intraday_margin", "min_margin_pct": 30.0},
                       s(equity=lambda v: v), [(301.0, 1), (300.0, 1), (299.0, 0)]),
    "R24 open": Case("R24.hours", {"first_entry_s": 60.0}, s(since_open=lambda v: v),
                     [(61.0, 1), (60.0, 1), (59.0, 0)]),
    "R24 close": Case("R24.hours", {"last_entry_s": 300.0}, s(to_close=lambda v: v),
                      [(301.0, 1), (300.0, 1), (299.0, 0)]),
    "R25 halted": Case("R25.halt", {"halt_quiet_s": 30.0}, s(symbols=lambda v: {"AAA": facts(is_halted=v)}),
                       [(False, 1), (False, 1), (True, 0)]),
    "R25 quiet": Case("R25.halt", {"halt_quiet_s": 30.0},
                      s(symbols=lambda v: {"AAA": facts(resumed_ts=NOW - v * SECOND)}), [(31, 1), (30, 1), (29, 0)]),
    "R26 price": Case("R26.symbol", {"min_price_usd": 3.0}, s(price=lambda v: [v, 1.0]),
                      [(3.01, 1), (3.0, 1), (2.99, 0)]),
    "R26 turnover": Case("R26.symbol", {"min_dollar_volume_usd": 5e6},
                         s(symbols=lambda v: {"AAA": facts(average_dollar_volume=v)}),
                         [(5e6 + 1, 1), (5e6, 1), (5e6 - 1, 0)]),
    "R26 new": Case("R26.symbol", {"min_listed_days": 5}, s(symbols=lambda v: {"AAA": facts(listed_days=v)}),
                    [(6, 1), (5, 1), (4, 0)]),
    "R26 restricted": Case("R26.symbol", {"restricted": ["BAD"]}, r(symbol=...),
                           [("AAA", 1), ("BADE", 1), ("BAD", 0)]),
    "R26 leveraged": Case("R26.symbol", {"allow_leveraged": False},
                          s(symbols=lambda v: {"AAA": facts(is_leveraged=v)}), [(False, 1), (None, 0), (True, 0)]),
    "R26 action": Case("R26.symbol", {"allow_corporate_action_day": False},
                       s(symbols=lambda v: {"AAA": facts(has_corporate_action=v)}), [(False, 1), (None, 0), (True, 0)]),
    "R30 symbol": Case("R30.unknown", {"max_unknown_symbol": 2}, s(open=lambda v: [order(life=Life.UNKNOWN)] * v),
                       [(0, 1), (1, 1), (2, 0)]),
    "R30 account": Case("R30.unknown", {"max_unknown": 2},
                        s(open=lambda v: [order(column=1, life=Life.QUARANTINED)] * v), [(0, 1), (1, 1), (2, 0)]),
    "R31": Case("R31.halted", {}, s(halted=lambda v: v), [("", 1), ("", 1), ("by ada", 0)]),
    "R33 volume": Case("R33.accounts", {"max_accounts_volume_pct": 1.0},
                       s(symbols=lambda v: {"AAA": facts(accounts_shares=v)}),
                       [(9_989.0, 1), (9_990.0, 1), (9_991.0, 0)]),
    "R33 the order alone": Case("R33.accounts", {"max_accounts_volume_pct": 1.0}, r(quantity=...),
                                [(9_999.0, 1), (10_000.0, 1), (10_001.0, 0)]),
    "R33 traded": Case("R33.accounts", {"max_accounts_volume_pct": 1.0}, s(traded=lambda v: {0: v}),
                       [(9_989.0, 1), (9_990.0, 1), (9_991.0, 0)]),
    "R33 open": Case("R33.accounts", {"max_accounts_volume_pct": 1.0}, s(open=lambda v: [order(v)]),
                     [(9_989.0, 1), (9_990.0, 1), (9_991.0, 0)]),
    "R33 open the other way": Case("R33.accounts", {"max_accounts_volume_pct": 1.0},
                                   s(open=lambda v: [order(v, "sell")]), [(9_989.0, 1), (9_990.0, 1), (9_991.0, 0)]),
    "R33 unknown": Case("R33.accounts", {"max_accounts_volume_pct": 1.0},
                        s(open=lambda v: [order(v, life=Life.UNKNOWN)]), [(9_989.0, 1), (9_990.0, 1), (9_991.0, 0)]),
    "R33 only what is left of a part": Case("R33.accounts", {"max_accounts_volume_pct": 1.0},
                                            s(traded={0: 4_000.0}, open=lambda v: [order(4_000.0 + v, filled=4_000.0)]),
                                            [(5_989.0, 1), (5_990.0, 1), (5_991.0, 0)]),
    "R33 all together": Case("R33.accounts", {"max_accounts_volume_pct": 1.0},
                             s(traded={0: 3_000.0}, open=[order(2_000.0), order(1_000.0, "sell")],
                               symbols=lambda v: {"AAA": facts(accounts_shares=v)}),
                             [(3_989.0, 1), (3_990.0, 1), (3_991.0, 0)]),
    "R33 only of its symbol": Case("R33.accounts", {"max_accounts_volume_pct": 1.0},
                                   s(traded=lambda v: {0: v, 1: 1e9}, open=[order(1e9, column=1)]),
                                   [(9_989.0, 1), (9_990.0, 1), (9_991.0, 0)]),
    "R33 millionths": Case("R33.accounts", {"max_accounts_volume_pct": 1.0},
                           lambda v: (request(quantity=0.25), state(lot=1e-6, traded={0: v})),
                           [(9_999.749999, 1), (9_999.75, 1), (9_999.750001, 0)]),
    "R33 loss": Case("R33.accounts", {"max_accounts_loss_pct": 2.0},
                     s(account=lambda v: account(accounts_loss_pct=v)), [(1.9, 1), (1.99, 1), (2.0, 0)]),
    "R34": Case("R34.source", {}, r(source=...), [("rule", 1), ("operator", 1), ("model", 0)]),
    "R35 quantity": Case("R35.numbers", {}, r(quantity=...), [(1.0, 1), (2.0, 1), (1.5, 0), (0.0, 0), (nan, 0),
                                                              (-1.0, 0), (float("inf"), 0)]),
    "R35 limit": Case("R35.numbers", {}, r(limit=...), [(1.0, 1), (0.0, 1), (-1.0, 0), (nan, 0)]),
    "R19 key": Case("R19.same_key", {}, s(keys=lambda v: {v: order()}), [("old", 1), ("older", 1), ("new", 0)]),
    "R28 books": Case("R28.books", {}, s(theirs=lambda v: {0: v}, positions=lambda _: [40.0, 0.0]),
                      [(11.0, 1), (10.0, 1), (9.0, 0), (-40.0, 0)]),
} | {
    f"{code} {gate}": Case(code, {}, s(closed=lambda v: v), [({}, 1), ({"other": ""}, 1), ({gate: "down"}, 0)])
    for code, gate in (("R01.armed", "armed"), ("R15.clock", "clock"), ("R28.reconciled", "reconciled"),
                       ("R28.reconciled", "journal"), ("R29.order_stream", "orders"), ("R32.heartbeat", "heartbeat"),
                       ("R27.venue", "venue"), ("R14.stale", "data"))
}  # fmt: skip


@pytest.mark.parametrize("case", BELOW_ON_ABOVE.values(), ids=BELOW_ON_ABOVE)
def test_a_limit_holds_at_its_edge(case):
    for value, passes in case.steps:
        asked, now = case.at(value)
        verdict = check(asked, now, Limits(**case.limits))
        if passes:
            assert verdict == Approved("new"), value
        else:
            assert isinstance(verdict, Refused), value
            assert (verdict.code, verdict.halts) == (case.code, case.halts)
            assert "=" in verdict.reason


def test_every_control_has_its_edge():
    assert {case.code for case in BELOW_ON_ABOVE.values()} == {control.code for control in CONTROLS}


def test_every_limit_that_a_control_asks_has_its_edge():
    elsewhere = {"max_denials_10_minutes", "collar_spreads", "loss_pause_s", "max_requests_minute", "heartbeat_s",
                 "reconcile_every_s", "max_cash_difference_usd", "max_cash_difference_pct",
                 "max_order_stream_silence_s", "unknown_alarm_s", "unknown_page_s"}  # fmt: skip
    asked = {name for case in BELOW_ON_ABOVE.values() for name in case.limits}
    assert asked | elsewhere == set(DEFAULTS) == set(Limits.__struct_fields__)


UNKNOWABLE = ["max_order_volume_pct", "max_from_close_pct", "min_dollar_volume_usd", "min_listed_days",
              "allow_leveraged", "allow_corporate_action_day", "max_accounts_volume_pct"]  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_what_is_not_known_of_a_symbol_is_refused_where_a_limit_asks_for_it(name):
    limits = Limits(**{name: DEFAULTS[name]})
    assert isinstance(check(request(), state(), limits), Approved)
    assert isinstance(check(request(), state(symbols={}), limits), Refused)


@pytest.mark.parametrize("name", ["max_clock_skew_ms", "settled_cash_only", "max_good_faith_violations",
                                  "max_accounts_loss_pct"])  # fmt: skip
def test_what_the_broker_did_not_say_is_refused_where_a_limit_asks_for_it(name):
    limits = Limits(**{name: DEFAULTS[name]})
    assert isinstance(check(request(), state(account=AccountFacts(NOW)), limits), Refused)


def test_a_small_order_passes_all_proposed_limits():
    asked = request(kind="limit", limit=100.1)
    assert check(asked, state(), Limits(**DEFAULTS)) == Approved("new")


def test_no_limits_refuse_nothing_but_nonsense_doubles_and_halts():
    wild = request(quantity=1e9, side="sell")
    assert check(wild, state(symbols={}, account=AccountFacts(NOW)), Limits()) == Approved("new")


def test_an_exit_is_not_kept_in_by_a_limit_on_new_risk():
    wrecked = state(equity=1.0, halted="by ada", stop_outs=99, positions=[500.0, 0.0], sent=sent(99), to_close=0.0,
                    closed={"orders": "", "reconciled": "", "data": ""}, age=[99.0, 9.0], symbols={})  # fmt: skip
    leave = request(side="sell", quantity=500.0, reduces=True, kind="limit", limit=99.0)
    assert check(leave, wrecked, Limits(**DEFAULTS)) == Approved("new")
    assert isinstance(check(msgspec.structs.replace(leave, reduces=False), wrecked, Limits(**DEFAULTS)), Refused)


def test_the_first_refusal_in_order_is_the_answer():
    both = state(halted="x", equity=1.0)
    assert check(request(quantity=nan), both, Limits(max_order_pct=1.0)).code == "R35.numbers"
    assert check(request(), both, Limits(max_order_pct=1.0)).code == "R31.halted"


def test_losses_stop_an_account_without_an_order():
    assert stopping(state(), Limits(**DEFAULTS)) == ""
    assert "day_loss_pct=3" in stopping(state(equity=97_000.0), Limits(**DEFAULTS))


def test_the_worst_price_is_the_collar_rounded_inside_it():
    limits = Limits(collar_pct=0.5, hard_collar_pct=2.0)
    assert worst_price(request(), state(), limits) == 100.51  # 100.01 * 1.005 = 100.51005, down
    assert worst_price(request(side="sell"), state(), limits) == 99.5  # 99.99 * 0.995 = 99.49005, up
    assert worst_price(request(side="sell", reduces=True), state(), limits) == 98.0  # 2 % under the mid of 100
    without = state(bid=[nan, nan], ask=[nan, nan])
    assert worst_price(request(), without, limits) == 100.5


# --- the table of an account file -----------------------------------------------------------------------------------


def test_the_proposed_table_is_a_whole_one():
    import tomllib

    assert checked(tomllib.loads(proposed())["limits"], live=True) == DEFAULTS


def test_a_paper_account_sets_what_it_likes():
    assert checked({}, live=False) == {}
    assert checked({"max_order_usd": 5}, live=False) == {"max_order_usd": 5.0}


@pytest.mark.parametrize("name", list(DEFAULTS))
def test_a_broker_of_its_own_needs_every_limit(name):
    with pytest.raises(ConfigError, match=f"does not say {name}"):
        checked({key: value for key, value in DEFAULTS.items() if key != name}, live=True)


WRONG = {
    "unknown": ({"max_order_us": 1}, "did you mean 'max_order_usd'"),
    "a text": ({"max_order_usd": "1"}, "must be a number"),
    "a bool": ({"max_positions": True}, "must be a whole number"),
    "half": ({"max_positions": 1.5}, "must be a whole number"),
    "negative": ({"max_order_usd": -1}, "finite number of 0 or more"),
    "nan": ({"max_order_usd": nan}, "finite number of 0 or more"),
    "no list": ({"restricted": [1]}, "a list of texts"),
    "a policy": ({"day_trade_policy": "none"}, "one of auto, legacy_pdt"),
}


@pytest.mark.parametrize(("table", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_limit_is_refused(table, sentence):
    with pytest.raises(ConfigError, match=sentence):
        checked(table, live=False)
