"""Every order of a journal as one record that says why."""

import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.errors import ConfigError, UsageError
from data.rows import rows_of
from data.sources.simulated import market
from live.brokers.paper import PaperBroker
from live.core.commands import Denied, Protect, Submit
from live.core.core import Core
from live.core.events import Fill, OrderRefused, OrderSent, OrderUnknown, Timer
from live.core.plan import Plan
from live.export import Records, of_sessions, read_records, write_records
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal
from live.ledger import Ledger
from live.session_paper import PaperSession
from strategies.common.load import load_strategy
from strategies.common.rule import Rule

nan = float("nan")


def decided(record):
    return record.decided


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A journal of six simulated days with stops that stand, the ledger and the account at every decision."""
    strategy = load_strategy("momentum")
    bars, book = market(("AAA", "BBB", "CCC"), 6, seed=5)
    plan = Plan.of(strategy, list(bars.symbols), rule=Rule(size=0.3, stops="touch", max_positions=2), clock="1m")
    path = tmp_path_factory.mktemp("export") / "a.journal"
    session = PaperSession(
        Core(plan, strategy),
        PaperBroker(plan.symbols, plan.the_costs(), plan.cash),
        SqliteJournal.create(path, JournalHeader(plan, Feed("test", True, ""), built())),
        group=512,
    )
    seen = {}
    for row in rows_of(bars, book):
        session.row(row)
        core = session.core
        seen[row.ts] = (core.cash, dict(zip(core.symbols, core.positions, strict=True)), core.equity)
    session.close()
    return path, seen, session.core


@pytest.fixture(scope="module")
def records(traded):
    return read_records(traded[0])


def test_every_order_has_a_record_with_its_reason(traded, records):
    _, _, core = traded
    orders = {key: order for key, order in core.orders.items() if order.kind == "market" or order.filled}
    assert {each.order_id for each in records} == set(orders)
    assert len(records) > 15
    assert all(each.reason for each in records)
    assert {each.reason for each in records} >= {"entry", "stop"}
    for each in records:
        order = orders[each.order_id]
        assert (each.filled, each.side, each.quantity) == (order.filled, order.side, order.quantity)


def test_the_account_before_a_decision_is_the_core_s(traded, records):
    _, seen, _ = traded
    decided = [each for each in records if each.attempts and each.reason not in ("stop", "trail", "target")]
    assert len(decided) > 8
    for each in decided:
        cash, positions, equity = seen[each.decided]
        assert each.cash_before == pytest.approx(cash, rel=1e-12)
        assert each.equity_before == pytest.approx(equity, rel=1e-12)
        assert each.position_before == positions[each.symbol]


def test_what_was_earned_is_the_ledger_s(traded, records):
    path, _, core = traded
    from live.core.commands import decode_command
    from live.core.events import decode_event
    from live.journal import steps

    ledger, journal = Ledger(), SqliteJournal.open(path)
    for step in steps(journal):
        ledger.take(decode_event(step.event), [decode_command(body) for body in step.commands])
    journal.close()
    earned = sum(each.pnl for each in records if not math.isnan(each.pnl))
    assert earned == pytest.approx(sum(trade.pnl for trade in ledger.trades()), abs=1e-6)
    assert earned == pytest.approx(core.equity - 100_000.0, abs=1e-6)  # flat at the end of the day
    assert all(each.position_after == each.position_before + (each.filled if each.side == "buy" else -each.filled)
               for each in records if len(each.executions) == 1)  # fmt: skip


def test_both_kinds_of_file_hold_the_same(records, tmp_path):
    assert write_records(records, tmp_path / "a" / "x.jsonl") == len(records)
    assert write_records(records, tmp_path / "a" / "x.parquet") == len(records)
    lines = [json.loads(line) for line in (tmp_path / "a" / "x.jsonl").read_text().splitlines()]
    table = pq.read_table(tmp_path / "a" / "x.parquet")
    assert [line["order_id"] for line in lines] == table["order_id"].to_pylist()
    assert np.array_equal([line["price"] for line in lines], table["price"].to_numpy())
    assert [line["decided"] for line in lines] == table["decided"].cast("int64").to_pylist()
    assert all(json.loads(params) == lines[0]["params"] for params in table["params"].to_pylist())
    assert len(lines[0]) >= 27
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["x.jsonl", "x.parquet"]


def test_sessions_and_symbols_are_chosen(records):
    first = [each.order_id for each in records if each.session == 20240102]
    assert [each.order_id for each in of_sessions(records, decided, until="2024-01-02")] == first
    rest = of_sessions(records, decided, since="2024-01-03", symbols="BBB, ")
    assert rest
    assert all(each.session > 20240102 and each.symbol == "BBB" for each in rest)
    assert of_sessions(records, decided, since="2025-01-02") == []
    assert of_sessions(records, decided) == records


def test_bad_requests_are_told(records, tmp_path):
    with pytest.raises(UsageError, match="before --since"):
        of_sessions(records, decided, since="2024-01-03", until="2024-01-02")
    with pytest.raises(UsageError, match=r"\.jsonl nor \.parquet"):
        write_records(records, tmp_path / "x.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_records(records, tmp_path / "file" / "x.jsonl")


@pytest.fixture
def told():
    plan = Plan.of(load_strategy("momentum"), ["AAA"], clock="1m")
    return Records(JournalHeader(plan, Feed("test", True, ""), built()))


def test_a_refusal_says_by_whom_and_why(told):
    told.take(1, Timer(1), [Denied("d", 1, "AAA", "buy", 5.0, "entry", "R02.order", "usd=9 limit=5")])
    told.take(2, Timer(1), [Submit("o", 1, "AAA", "buy", 5.0, "entry", "row")])
    told.take(3, OrderSent(2, "o"), [])
    told.take(4, OrderUnknown(3, "o", "no answer in 10 s"), [])
    told.take(5, OrderRefused(4, "o", "not enough buying power"), [])
    denied, refused = told.orders
    assert (denied.state, denied.control, denied.refusal, denied.attempts) == (
        "denied",
        "R02.order",
        "usd=9 limit=5",
        0,
    )
    assert (refused.state, refused.refusal) == ("refused", "not enough buying power")
    assert refused.history == ["sent (1)", "unknown", "refused"]


def test_a_turning_fill_closes_one_trade_and_opens_the_next(told):
    told.take(1, Timer(1), [Submit("a", 1, "AAA", "buy", 10.0, "entry", "row")])
    told.take(2, Fill(2, "a", "x1", 10.0, 100.0, 1.0), [Protect("p", 2, "AAA", "sell", 10.0, 90.0, nan)])
    told.take(3, Timer(3), [Submit("b", 3, "AAA", "sell", 15.0, "reversal", "fill")])
    told.take(4, Fill(4, "b", "x2", 15.0, 110.0, 3.0), [])
    told.take(5, Fill(4, "b", "x2", 15.0, 110.0, 3.0), [])  # told twice
    entry, turn = told.orders
    assert (entry.stop, entry.position_after) == (90.0, 10.0)
    assert math.isnan(entry.pnl)
    assert (turn.pnl, turn.position_after) == (10.0 * 10.0 - 1.0 - 2.0, -5.0)  # two thirds of the fee of the turn
    assert turn.executions == ["x2"]


def test_the_door_writes_and_filters(traded, records, tmp_path, capsys):
    from typer.testing import CliRunner

    from live.__main__ import app

    def said(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    path = traded[0]
    assert f"{len(records)} orders written" in said("export", path, "--out", tmp_path / "x.jsonl")
    every = json.loads(said("trades", path, "--json"))
    first = json.loads(said("trades", path, "--until", "2024-01-02", "--symbol", "AAA", "--json"))
    assert 0 < len(first) < len(every)
    assert {each["symbol"] for each in first} == {"AAA"}
