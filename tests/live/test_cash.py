"""Cash that moves without an order: booked where the broker's list adds up to it, never as a profit; else it halts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from live.core.cash import explained, fee_bound
from live.core.commands import Alert, Submit
from live.core.core import Core
from live.core.events import CashMoved, Fill, Operator, OrderAccepted, OrderSent, Snapshot, decode_event, encode
from live.core.plan import Plan
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.common.rule import Rule

SECOND = 1_000_000_000
FLAT, BUY, SELL = 0, 1, 2
NOW = 300 * SECOND


@pytest.fixture
def core(scripted):
    limits = {"max_cash_difference_usd": 0.0, "max_cash_difference_pct": 0.0, "halt_loss_pct": 3.0}
    plan = Plan.of(scripted, ["AAA"], rule=Rule(size=0.5), costs=Costs.free(), clock="1m", limits=limits)
    return Core(plan, scripted)


def moved(amount, kind="fee", evidence="a1"):
    return CashMoved(NOW, amount, kind, "broker", evidence)


def only(commands, kind):
    (found,) = [command for command in commands if isinstance(command, kind)]
    return found


def compared(core, cash, moves=None, positions=None):
    """One comparison as a session makes it; its commands."""
    commands = []
    held = positions or {}
    for move in explained(core.desk, held, cash, moves, NOW):
        commands += core.step(move)
    return [*commands, *core.step(Snapshot(NOW, "timer", held, cash))]


def sold(core, rows):
    """A round trip of 500 shares at 100 that the broker told no fee of."""
    for kind, row in zip(
        ("buy", "sell"), rows([(100.0, 100.0, 100.0, 100.0, says) for says in (BUY, SELL)]), strict=True
    ):
        submit = only(core.step(row), Submit)
        core.step(OrderSent(submit.ts, submit.order_id))
        core.step(OrderAccepted(submit.ts, submit.order_id))
        core.step(Fill(submit.ts, submit.order_id, f"{kind} 1", submit.quantity, 100.0, 0.0))


def test_a_move_is_booked_once_and_reads_back_from_the_journal(core):
    fee = moved(-1.5)
    assert decode_event(encode(fee)) == fee
    assert only(core.step(fee), Alert).name == "cash.moved"
    assert core.step(fee) == []
    assert (core.cash, core.equity) == (99_998.5, 99_998.5)


@pytest.mark.parametrize(("kind", "amount"), [("deposit", 5_000.0), ("withdrawal", -5_000.0)])
def test_what_a_person_pays_in_or_takes_out_is_no_profit_and_no_loss(core, rows, kind, amount):
    first, second = rows([(100.0, 100.0, 100.0, 100.0, FLAT)] * 2)
    core.step(first)
    core.step(moved(amount, kind))
    core.step(second)
    state = core.desk.tally.state
    assert state.day_equity == state.week_equity == state.peak_equity == core.equity == 100_000.0 + amount
    assert core.halted == ""


def test_a_fee_is_a_loss_that_the_limits_count(core, rows):
    first, second = rows([(100.0, 100.0, 100.0, 100.0, FLAT)] * 2)
    core.step(first)
    core.step(moved(-4_000.0))
    core.step(second)
    assert "R16" in core.halted or "loss" in core.halted


def test_the_brokers_list_explains_a_difference_to_the_cent_and_old_lines_of_it_do_not(core):
    told = [moved(-0.31), moved(12.34, "dividend", "a2"), moved(1_000.0, "deposit", "a0, of before")]
    assert not [
        each for each in compared(core, 100_012.03, told) if isinstance(each, Alert) and each.level == "critical"
    ]
    assert core.cash == pytest.approx(100_012.03)
    assert core.halted == ""
    assert list(core.desk.moves) == ["a1", "a2"]
    compared(core, 100_012.03, told)
    assert core.cash == pytest.approx(100_012.03)


def test_what_the_list_does_not_add_up_to_halts_and_says_what_to_do(core):
    compared(core, 100_012.50, [moved(12.34, "dividend")])
    assert "100012.50 (+12.50)" in core.halted
    assert "python -m live resume ACCOUNT.toml --cash 100012.50" in core.halted
    assert core.cash == 100_000.0


def test_without_a_list_what_is_missing_after_a_sale_is_a_fee_up_to_its_bound(core, rows):
    sold(core, rows)
    bound = fee_bound(500.0, 100.0)
    assert bound == 1.48  # 1.39 on the dollars and 0.083 on the shares, each up to the cent
    compared(core, 100_000.0 - bound)
    assert (core.cash, core.halted) == (100_000.0 - bound, "")
    compared(core, 100_000.0 - bound - 0.01)  # the bound is used up
    assert "-0.01" in core.halted


@pytest.mark.parametrize("cash", [99_998.51, 100_000.01])
def test_more_than_the_bound_or_cash_that_came_is_no_fee(core, rows, cash):
    sold(core, rows)
    compared(core, cash)
    assert (core.cash, bool(core.halted)) == (100_000.0, True)


def test_nothing_is_explained_while_fills_may_be_on_their_way(core):
    assert explained(core.desk, {"AAA": 5.0}, 99_500.0, [moved(-500.0)], NOW) == []


def test_a_person_confirms_the_brokers_cash_to_the_cent(core):
    compared(core, 99_900.0, [])
    assert only(core.step(Operator(NOW, "resume", "eve", cash=99_999.0)), Alert).name == "resume.refused"
    assert core.halted
    assert only(core.step(Operator(NOW, "resume", "eve", cash=99_900.0)), Alert).name == "resumed"
    assert (core.halted, core.cash, core.desk.tally.state.day_equity) == ("", 99_900.0, 99_900.0)
    compared(core, 99_900.0, [])
    assert core.halted == ""


def test_cash_cannot_be_confirmed_before_the_broker_was_asked_or_while_shares_differ(core):
    refused = only(core.step(Operator(NOW, "resume", "eve", cash=100_000.0)), Alert)
    assert "has not been asked" in refused.text
    compared(core, 99_900.0, [], {"AAA": 3.0})
    assert "more than cash differs" in only(core.step(Operator(NOW, "resume", "eve", cash=99_900.0)), Alert).text


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.lists(st.integers(-50_000, 50_000).filter(bool), max_size=4), st.booleans(), st.booleans()),
        max_size=6,
    )
)
def test_whatever_moves_and_is_listed_sooner_or_later_the_books_are_the_brokers_or_it_halts(flip, steps):
    """Moves in cents; each step's are listed at once or at the next, and something unlisted may move as well."""
    limits = {"max_cash_difference_usd": 0.0, "max_cash_difference_pct": 0.0}
    core = Core(Plan.of(flip, ["AAA"], costs=Costs.free(), clock="1m", limits=limits), flip)
    cents, listed, late = 10_000_000, [], []
    for number, (amounts, are_listed, is_robbed) in enumerate(steps):
        fresh = [moved(amount / 100.0, "other", f"{number}.{i}") for i, amount in enumerate(amounts)]
        cents += sum(amounts) - (7_000_001 if is_robbed else 0)
        listed += late
        late = [] if are_listed else fresh
        listed += fresh if are_listed else []
        before = [replace(move) for move in listed]
        compared(core, cents / 100.0, listed)
        assert listed == before
        assert abs(core.cash - cents / 100.0) < 0.005 or core.halted
        assert len(core.desk.moves) <= len(listed)
        booked = sum(move.amount for move in listed if move.evidence in core.desk.moves)
        assert core.cash == pytest.approx(100_000.0 + booked)


@pytest.fixture(scope="module")
def flip(tmp_path_factory):
    path = tmp_path_factory.mktemp("flip") / "still.py"
    path.write_text(
        '"""Nothing."""\n\nimport numpy as np\n\nfrom strategies.types import Bars, Signals\n\nCLOCK = "1m"\n\n\n'
        "def signals(bars: Bars) -> Signals:\n    none = np.zeros(bars.close.shape, dtype=np.bool_)\n"
        "    return Signals(entries=none, exits=none)\n"
    )
    return load_strategy(path)
