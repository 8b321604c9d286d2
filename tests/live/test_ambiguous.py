"""A broker whose answers get lost, whose fills come twice, late or not at all, and a runner that is killed in between.

Judged by the broker's own record: one order per intent (I1), each with an earlier durable intent (I2), books that are
equal once it is quiet and explained before (I3), each execution once (I4), nothing sold that is not held (I5), no end
without evidence (I6), and a replay with the same state (I16).
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data.rows import Row
from live.core.commands import Alert, Cancel, Protect, Submit, body_hash
from live.core.core import Core
from live.core.events import (
    Fill,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderRefused,
    OrderSeen,
    OrderSent,
    OrderUnknown,
    Snapshot,
    Timer,
)
from live.core.orders import OPEN, State
from live.core.plan import Plan
from strategies.common.costs import Costs
from strategies.common.rule import Rule

MINUTE = 60_000_000_000
ANSWERS = ("ok", "ok", "ok", "dropped", "lost after accept", "refused", "killed before", "killed after")
ANSWER = st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4)


class Venue:
    """The broker: refuses a key it has (409), fills when told to, cancels when it likes."""

    def __init__(self):
        self.orders, self.position, self.cash, self.executions = {}, 0.0, 100_000.0, []
        self.doubles = 0

    def take(self, command):
        """True for a new order, False for a key that is there."""
        if command.order_id in self.orders:
            self.doubles += 1
            return False
        self.orders[command.order_id] = {
            "command": command, "left": command.quantity, "filled": 0.0, "status": "working", "told": False,
        }  # fmt: skip
        return True

    def working(self):
        return [key for key, order in self.orders.items() if order["status"] == "working"]

    def fill(self, key, quantity, ts):
        order = self.orders[key]
        sign = 1.0 if order["command"].side == "buy" else -1.0
        order["left"] -= quantity
        order["filled"] += quantity
        self.position += sign * quantity
        self.cash -= sign * quantity * 100.0
        if order["left"] == 0.0:
            order["status"] = "filled"
        fill = Fill(ts, key, f"{key}/{len(self.executions)}", quantity, 100.0, 0.0)
        self.executions.append(fill)
        return fill


class Ambiguous(RuleBasedStateMachine):
    """Rules are what can happen; `strategy` is set by the test."""

    strategy = None
    stops = "touch"

    def __init__(self):
        super().__init__()
        rule = Rule(size=0.5, stops=self.stops)
        self.plan = Plan.of(
            self.strategy, ["AAA"], rule=rule, costs=Costs.free(), clock="1m", async_cancels=True,
        )  # fmt: skip
        self.core, self.venue = Core(self.plan, self.strategy), Venue()
        self.journal, self.intents, self.alerts = [], {}, []
        self.notices, self.ts = [], 0
        self.wire, self.asked_back = [], {}

    # --- the runner ---------------------------------------------------------------------------------------------

    def step(self, event):
        """Journal, decide; commands wait in `wire` until an answer is drawn for each."""
        self.journal.append(event)
        for command in self.core.step(event):
            if isinstance(command, Alert):
                self.alerts.append(command.name)
            else:
                if isinstance(command, Submit) or (isinstance(command, Protect) and not command.amends):
                    assert command.order_id not in self.intents
                    self.intents[command.order_id] = body_hash(command)
                self.wire.append(command)

    def send(self, command, answer):
        """One request and what became of it; True where the process was killed."""
        key = command.order_id
        if isinstance(command, Cancel):
            if answer != "dropped" and key in self.venue.orders:
                self.asked_back[key] = None
            return False
        if isinstance(command, Protect) and command.amends:
            order = self.venue.orders.get(key)
            if order is not None and order["status"] == "working":
                order["left"] = command.quantity
            return False
        if answer == "killed before":
            return True
        self.step(OrderSent(self.ts, key))
        if answer == "dropped":
            self.step(OrderUnknown(self.ts, key, "timed out"))
        elif answer == "refused":
            self.step(OrderRefused(self.ts, key, "no"))
        else:
            self.venue.take(command)
            if answer == "killed after":
                return True
            if answer == "ok":
                self.step(OrderAccepted(self.ts, key, working=True))
            else:
                self.step(OrderUnknown(self.ts, key, "timed out"))
        return False

    def kill(self):
        """The process is gone: what was not in the journal is lost; the same journal gives the same state."""
        again = Core(self.plan, self.strategy)
        for event in self.journal:
            again.step(event)
        assert again.digest() == self.core.digest()
        self.core, self.wire, self.notices = again, [], []
        self.take_snapshot("start", whole=False)

    def take_snapshot(self, why, *, whole, told=True):
        """The venue's record; `whole` has looked for every key in all of its history.

        Otherwise the newest order may not show yet; and executions may lag behind (`told`), though sums do not.
        """
        orders = [OrderSeen(key, order["status"], order["filled"]) for key, order in self.venue.orders.items()]
        absent = []
        if whole:
            unsent = {command.order_id for command in self.wire}
            absent = [
                key for key, order in self.core.orders.items()
                if key not in self.venue.orders and order.state in OPEN and key not in unsent
            ]  # fmt: skip
        positions = {"AAA": self.venue.position} if self.venue.position else {}
        fills = list(self.venue.executions)
        if not whole and orders and orders[-1].status == "working" and orders[-1].filled == 0.0:
            orders.pop()
        if not told:
            fills = [fill for fill in fills if fill.execution_id in self.core.orders[fill.order_id].executions]
        self.step(Snapshot(self.ts, why, positions, self.venue.cash, orders, fills, absent))
        assert self.core.findings.differences == []

    # --- what can happen ----------------------------------------------------------------------------------------

    @initialize(begun=st.sampled_from(["flat", "held", "held", "held"]))
    def begin(self, begun):
        """Most schedules begin with a position and its protection: that is where it can go wrong."""
        if begun == "held":
            self.row(1, ["ok"])
            self.hear(self.venue.fill(self.venue.working()[0], 500.0, self.ts))
            self.answer(["ok"])

    @rule(answer=ANSWER)
    def buy(self, answer):
        self.row(1, answer)

    @rule(answer=ANSWER)
    def sell(self, answer):
        self.row(2, answer)

    def row(self, says, answer):
        self.ts += MINUTE
        price = [100.0]
        self.step(Row(self.ts, 20250102, 60.0, 20_000.0, price, price, price, price, [float(says)]))
        self.answer(answer)

    @precondition(lambda self: self.wire)
    @rule(answer=ANSWER)
    def answer(self, answer):
        for number in range(8):
            if not self.wire:
                return
            self.ts += 1
            if self.send(self.wire.pop(0), answer[number % len(answer)]):
                self.kill()
                return

    @precondition(lambda self: self.venue.working())
    @rule(which=st.integers(0, 9), part=st.sampled_from([0.25, 0.5, 1.0]), told=st.sampled_from(
        ["at once", "twice", "late", "never"]
    ))  # fmt: skip
    def fill(self, which, part, told):
        keys = self.venue.working()
        key = keys[which % len(keys)]
        self.ts += 1
        left = self.venue.orders[key]["left"]
        fill = self.venue.fill(key, max(1.0, float(int(left * part))), self.ts)
        if told == "late":
            self.notices.append(fill)
        elif told != "never":
            self.hear(fill)
            if told == "twice":
                self.hear(fill)

    @precondition(lambda self: self.venue.working())
    @rule(which=st.integers(0, 9), told=st.booleans())
    def end(self, which, told):
        """A cancel is done, or an entry's time is up."""
        keys = [
            key for key in self.venue.working()
            if key in self.asked_back or getattr(self.venue.orders[key]["command"], "good_for", "") == "row"
        ]  # fmt: skip
        if not keys:
            return
        key = keys[which % len(keys)]
        asked = key in self.asked_back
        self.venue.orders[key]["status"] = "cancelled" if asked else "expired"
        if told:
            self.notices.append((OrderCancelled if asked else OrderExpired)(self.ts, key))

    @precondition(lambda self: self.notices)
    @rule(which=st.integers(0, 9))
    def late_news(self, which):
        self.ts += 1
        self.hear(self.notices.pop(which % len(self.notices)))

    def hear(self, event):
        """News of an end counts only once all fills of the order are known, as every adapter promises."""
        if not isinstance(event, Fill):
            done = self.venue.orders[event.order_id]["filled"]
            if self.core.orders[event.order_id].filled < done:
                return
        self.step(event)

    @rule(whole=st.booleans(), told=st.booleans())
    def look(self, whole, told):
        self.take_snapshot("timer", whole=whole, told=told)

    @rule()
    def killed(self):
        self.kill()

    @precondition(lambda self: any(order.state is State.UNKNOWN for order in self.core.orders.values()))
    @rule(seconds=st.sampled_from([1, 40, 400]))
    def time_passes(self, seconds):
        self.ts += seconds * 1_000_000_000
        self.step(Timer(self.ts))

    @precondition(lambda self: self.core.halted or self.core.positions[0])
    @rule(action=st.sampled_from(["halt", "flatten"]))
    def person(self, action):
        self.ts += 1
        action = "resume" if self.core.halted else action
        self.step(Operator(self.ts, action, "ada"))

    # --- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def one_order_per_intent_and_none_without(self):
        assert self.venue.doubles == 0
        for key, order in self.venue.orders.items():
            assert self.intents[key] == body_hash(order["command"])

    @invariant()
    def each_execution_once(self):
        told = [execution for order in self.core.orders.values() for execution in order.executions]
        assert len(told) == len(set(told))
        for order in self.core.orders.values():
            assert order.filled <= order.quantity

    @invariant()
    def nothing_is_sold_that_is_not_held(self):
        selling = sum(
            self.venue.orders[key]["left"]
            for key in self.venue.working()
            if self.venue.orders[key]["command"].side == "sell"
        )
        assert self.venue.position - selling >= 0.0

    @invariant()
    def no_end_without_evidence(self):
        for key, order in self.core.orders.items():
            if order.state in OPEN or order.state is State.REFUSED or key not in self.venue.orders:
                continue
            assert self.venue.orders[key]["status"] != "working", key
            assert order.filled == self.venue.orders[key]["filled"]

    @invariant()
    def no_false_alarm(self):
        assert "books.differ" not in self.alerts
        assert "books.contradiction" not in self.alerts

    def teardown(self):
        """Faults stop: two looks at the whole record, and the books are equal with nothing left in doubt."""
        for number in range(6):
            while self.wire:
                self.ts += 1
                self.send(self.wire.pop(0), "ok")
            self.take_snapshot("reconnect", whole=True)
            for key in self.venue.working():
                if key in self.asked_back:
                    self.venue.orders[key]["status"] = "cancelled"
            if number == 3:
                self.step(Operator(self.ts, "resume", "ada"))
        states = {order.state for order in self.core.orders.values()}
        assert not states & {State.UNKNOWN, State.QUARANTINED, State.SENDING}
        assert self.core.positions == [self.venue.position]
        assert self.core.cash == self.venue.cash
        self.one_order_per_intent_and_none_without()
        self.nothing_is_sold_that_is_not_held()


def run(strategy, stops, examples, steps, phases=tuple(Phase)):
    machine = type("Machine", (Ambiguous,), {"strategy": strategy, "stops": stops})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=examples < 500, phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("stops", ["touch", "close"])
def test_an_ambiguous_broker_gets_each_order_once_and_the_books_agree(scripted, stops):
    # Making a failure small may take hypothesis five minutes, which is when a test is stopped, and nobody sees it.
    run(scripted, stops, 250, 40, phases=(Phase.explicit, Phase.generate))


@pytest.mark.long
@pytest.mark.parametrize("stops", ["touch", "close"])
def test_an_ambiguous_broker_over_many_schedules(scripted, stops):
    run(scripted, stops, 2_000, 50)
