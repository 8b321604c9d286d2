"""A session beside its backtest: equal bits are said to be equal, and every dollar that is not is found where it is."""

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtests.__main__ import app
from backtests.engine import run_backtest
from backtests.report import report_html
from backtests.report_reading import Reading
from backtests.session import (
    BUCKETS,
    first_difference,
    orders_of,
    orders_of_session,
    reconcile,
)
from backtests.session_file import checked_session, read_session
from backtests.session_result import result_of_session
from backtests.verify import verify
from data.door import call
from data.errors import DataError
from data.sources.random_walk import random_bars
from data.tape import content_hash, write_tape
from strategies.common.rule import Rule

EXACT = 1e-6


def told_of(result):
    """What a session would tell that did exactly what the backtest did."""
    from dataclasses import asdict

    bars = result.bars
    orders = [
        {
            "order_id": str(number), "symbol": o.symbol, "decided": o.decided, "quantity": o.quantity,
            "reason": o.reason, "filled": o.filled, "price": o.price if o.filled else None, "fee": o.fee,
            "state": "filled" if o.filled else "expired",
        }
        for number, o in enumerate(orders_of(result))
    ]  # fmt: skip
    plan = {
        "account": "demo", "strategy": result.strategy, "source_hash": result.source_hash,
        "params": dict(result.params), "rule": asdict(result.rule), "costs": asdict(result.costs),
        "symbols": list(bars.symbols), "clock": result.clock, "cash": result.start_cash, "broker": "paper",
    }  # fmt: skip
    feed = {"source": "walk", "simulated": True, "content": content_hash(bars, result.book)}
    header = {"plan": plan, "feed": feed, "built": {"code": "0" * 64, "versions": {}}}
    return {"header": header, "rows": len(bars), "orders": orders, "fills": [], "denied": []}


@pytest.fixture(scope="module")
def result():
    bars, book = random_bars(3_000, 3, seed=4, clock="1m")
    return run_backtest(bars, "ma_cross", {"fast": 5, "slow": 20}, book=book, rule=Rule(size=0.3, stops="touch"))


@pytest.fixture(scope="module")
def equal(result):
    return told_of(result)


def edited(told, change):
    other = copy.deepcopy(told)
    change(other)
    return other


def filled(told):
    return [order for order in told["orders"] if order["filled"]]


def test_an_equal_session_is_equal_to_the_last_bit(result, equal):
    apart = reconcile(result, json.loads(json.dumps(equal)))
    assert apart.equal
    assert apart.rows
    assert apart.settings == ()
    assert apart.total == apart.difference == 0.0
    assert not any(line.parts for line in apart.lines)
    again = result_of_session(result, equal)
    np.testing.assert_allclose(again.equity, result.equity, rtol=1e-12)
    assert again.positions.tobytes() == result.positions.tobytes()
    assert len(again.trades) == len(result.trades)


def test_one_bit_of_a_price_is_a_difference(result, equal):
    def nudge(told):
        order = filled(told)[7]
        order["price"] = float(np.nextafter(order["price"], np.inf))

    apart = reconcile(result, edited(equal, nudge))
    assert not apart.equal
    assert "price is" in apart.first
    assert "in the backtest," in apart.first


@pytest.mark.parametrize(
    ("change", "bucket", "dollars"),
    [
        (lambda o: o.__setitem__("price", o["price"] + 0.5), "price", lambda o: -0.5 * o["quantity"]),
        (lambda o: o.__setitem__("fee", o["fee"] + 1.25), "fee", lambda o: -1.25),
    ],
)
def test_a_dollar_lies_where_it_was_put(result, equal, change, bucket, dollars):
    order = filled(equal)[5]
    apart = reconcile(result, edited(equal, lambda told: change(filled(told)[5])))
    assert apart.buckets[bucket] == pytest.approx(dollars(order), abs=EXACT)
    assert apart.total == pytest.approx(apart.difference, abs=EXACT)
    (line,) = [line for line in apart.lines if line.parts]
    assert line.bucket == bucket


def test_an_order_not_filled_is_missed_and_one_kept_back_is_denied(result, equal):
    def miss(told):
        filled(told)[4].update(filled=0, price=None, fee=0.0, state="refused")

    apart = reconcile(result, edited(equal, miss))
    assert [line.bucket for line in apart.lines if line.parts] == ["missed"]
    assert next(line.note for line in apart.lines if line.parts) == "refused"

    def deny(told):
        order = filled(told)[4]
        told["orders"].remove(order)
        side = "buy" if order["quantity"] > 0 else "sell"
        told["denied"].append(
            {"ts": order["decided"], "symbol": order["symbol"], "side": side, "reason": order["reason"],
             "quantity": abs(order["quantity"]), "code": "day_loss", "text": "lost=900"}
        )  # fmt: skip

    apart = reconcile(result, edited(equal, deny))
    (line,) = [line for line in apart.lines if line.parts]
    assert (line.bucket, line.note) == ("denied", "day_loss: lost=900")
    assert apart.total == pytest.approx(apart.difference, abs=EXACT)


def test_orders_of_one_side_only(result, equal):
    extra = dict(filled(equal)[3], decided=int(result.bars.ts[50]), order_id="extra")
    apart = reconcile(result, edited(equal, lambda told: told["orders"].append(extra)))
    assert [line.bucket for line in apart.lines if line.parts] == ["only live"]
    apart = reconcile(result, edited(equal, lambda told: told["orders"].remove(filled(told)[3])))
    assert [line.bucket for line in apart.lines if line.parts] == ["not decided"]
    assert apart.total == pytest.approx(apart.difference, abs=EXACT)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_whatever_happened_every_dollar_is_explained(result, equal, seed):
    random = np.random.default_rng(seed)

    def shake(told):
        for order in list(told["orders"]):
            dice = random.random()
            if dice < 0.1:
                told["orders"].remove(order)
            elif not order["filled"]:
                continue
            elif dice < 0.2:
                order.update(filled=0, price=None, fee=0.0, state="expired")
            elif dice < 0.5:
                order["price"] *= 1.0 + random.normal(0.0, 0.01)
                order["fee"] += random.normal(0.0, 0.2)
            elif dice < 0.7:
                order["quantity"] = float(np.sign(order["quantity"]) * random.integers(1, 500))
        random.shuffle(told["orders"])

    apart = reconcile(result, edited(equal, shake))
    assert apart.total == pytest.approx(apart.difference, abs=1e-5)
    assert set(apart.buckets) == set(BUCKETS)
    assert sum(line.dollars for line in apart.lines) == pytest.approx(apart.total, abs=1e-5)


def test_a_partly_filled_order_counts_with_the_shares_it_got(equal):
    def part(told):
        order = filled(told)[2]
        order["state"] = "partial"
        told["fills"] = [{"order_id": order["order_id"], "quantity": order["quantity"] / 4}]

    orders = orders_of_session(edited(equal, part))
    assert next(o for o in orders if o.state == "partial").shares == filled(equal)[2]["quantity"] / 4


def test_first_difference_names_order_and_field(result):
    orders = orders_of(result)
    other = [orders[0]._replace(reason="exit"), *orders[1:]]
    assert first_difference(orders, orders) == ""
    assert "order 1" in first_difference(orders, other)
    assert "reason is entry in the backtest, exit in the session" in first_difference(orders, other)
    assert f"{len(orders)} orders in the backtest, 1 in the session" == first_difference(orders, orders[:1])


def test_other_settings_and_rows_are_suspects(result, equal):
    def change(told):
        told["header"]["plan"]["costs"]["slippage_bps"] = 1.5
        told["header"]["feed"]["content"] = "0" * 64

    apart = reconcile(result, edited(equal, change))
    assert apart.settings == ("costs slippage_bps: 1.5 live, 0.5 here",)
    assert not apart.rows


@pytest.mark.parametrize("name", ["header", "orders", "rows"])
def test_what_is_no_session_is_refused(equal, name):
    with pytest.raises(DataError, match=f"missing required field `{name}`"):
        checked_session({key: value for key, value in equal.items() if key != name})
    with pytest.raises(DataError, match="is no session"):
        checked_session([])
    with pytest.raises(DataError, match=r"\$\.orders\[0\]"):
        checked_session(equal | {"orders": [{}]})


def test_files_that_cannot_be_read_say_so(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        read_session(tmp_path / "a.json")
    with pytest.raises(DataError, match="No such file"):
        read_session(tmp_path / "b.json")


def test_orders_outside_of_the_rows_are_refused(result, equal):
    late = edited(equal, lambda told: told["orders"][0].__setitem__("decided", 5))
    with pytest.raises(DataError, match="lies outside of these rows"):
        result_of_session(result, late)
    other = edited(equal, lambda told: told["orders"][0].__setitem__("symbol", "XYZ"))
    with pytest.raises(DataError, match="a symbol that the rows do not have"):
        result_of_session(result, other)


def test_a_session_s_report_is_the_session_s_and_can_be_verified(result, equal, tmp_path, capsys):
    tape, told, out = tmp_path / "rows.parquet", tmp_path / "session.json", tmp_path / "report.html"
    write_tape(tape, result.bars, result.book, clock="1m", source="walk", simulated=True)

    def worse(session):
        for order in filled(session):
            order["price"] += 0.01 if order["quantity"] > 0 else -0.01

    told.write_text(json.dumps(edited(equal, worse)))
    assert call(app, ["report", "--session", str(told), "--source", str(tape), "--out", str(out)]) == 0
    page = Reading(out.read_text(encoding="utf-8"))
    places = {each.place: each.text for each in page.texts}
    shares = sum(abs(order["quantity"]) for order in filled(equal))
    stated = places["Session beside its backtest, Where the dollars lie, together, Session against backtest"]
    assert stated == f"\u2212${shares * 0.01:,.2f}"
    assert page.data["equity"]["name"] == "Session"
    assert page.data["equity"]["backtest"] != page.data["equity"]["value"]
    assert len(page.data["trades"]["symbol"]) == len(result.trades)
    capsys.readouterr()
    outcome = verify(out)
    assert outcome.ok, outcome.sentence
    assert any("journal" in text for text in outcome.carried)
    text = out.read_text(encoding="utf-8")
    out.write_text(text.replace(stated, stated.replace("0", "1", 1).replace("1", "2", 1), 1), encoding="utf-8")
    assert "Where the dollars lie" in verify(out).sentence or "Verdict" in verify(out).sentence


def test_an_equal_session_says_so_on_the_page(result, equal):
    text = report_html(result, session=equal)
    assert "Every order equals the backtest&#39;s" in text or "Every order equals the backtest's" in text
    assert "All orders equal" in text
    assert "Orders that differ" not in text
