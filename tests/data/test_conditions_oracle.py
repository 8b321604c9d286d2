"""The consolidated tapes' rules told a second time, slowly and in other words.

What the row builder makes of trades with sale conditions must be the same.

The tables below are read off the tapes' specifications (CTS Pillar output specification and UTP data feed services
specification, the columns "update high/low", "update last", "update volume" of the consolidated statistics).
"""

import random

import pytest

from data.calendar import session_of
from data.events import Trade
from data.rowbuilder import RowBuilder
from data.rows import Row

DAY = session_of("2024-11-29")  # a half day
MINUTE, SECOND = 60 * 10**9, 10**9
# code: (sets the last price, sets high and low, adds volume); last is "yes", "no", "if first" or "if same venue".
BOTH = {
    "@": ("yes", True, True),
    "C": ("no", False, True),
    "F": ("yes", True, True),
    "H": ("no", False, True),
    "I": ("no", False, True),
    "K": ("yes", True, True),
    "M": ("no", False, False),
    "N": ("no", False, True),
    "O": ("yes", True, True),
    "P": ("if first", True, True),
    "Q": ("no", False, False),
    "R": ("no", False, True),
    "T": ("no", False, True),
    "U": ("no", False, True),
    "V": ("no", False, True),
    "X": ("yes", True, True),
    "Z": ("if first", True, True),
    "4": ("if first", True, True),
    "5": ("yes", True, True),
    "7": ("no", False, True),
    "9": ("yes", True, False),
}
ONE = {
    "A": BOTH | {"B": ("no", False, True), "E": ("yes", True, True), "L": ("if same venue", True, True)},
    "C": BOTH
    | {"B": ("yes", True, True), "G": ("if first", True, True), "L": ("yes", True, True), "W": ("no", False, True)},
}
WEAKEST = ("no", "if first", "if same venue", "yes")


def allowed(trade):
    """What every one of the trade's conditions lets it do."""
    rules = [ONE[trade.tape][code] for code in trade.conditions.split(",")]
    last = min((rule[0] for rule in rules), key=WEAKEST.index)
    return last, all(rule[1] for rule in rules), all(rule[2] for rule in rules)


def bars_of(trades):
    """label -> [open, high, low, close, volume], trades as they came; in which no price qualified they are None."""
    bars = {}
    last_venue = None
    for trade in trades:
        last, extreme, counts = allowed(trade)
        label = trade.venue_ts // MINUTE * MINUTE + MINUTE
        bar = bars.setdefault(label, [None, None, None, None, 0.0])
        if counts:
            bar[4] += trade.size
        if extreme:
            bar[1] = trade.price if bar[1] is None else max(bar[1], trade.price)
            bar[2] = trade.price if bar[2] is None else min(bar[2], trade.price)
        first = last_venue is None
        if last == "yes" or (first and last != "no") or (last == "if same venue" and last_venue == trade.exchange):
            bar[0] = trade.price if bar[0] is None else bar[0]
            bar[3] = trade.price
            last_venue = trade.exchange
    for bar in bars.values():
        if bar[3] is None:  # no price where no trade could set the last one
            bar[:4] = [None] * 4
    return bars


@pytest.mark.parametrize("seed", range(12))
def test_rows_of_trades_with_conditions_are_those_of_the_tapes_rules(seed):
    rng = random.Random(seed)
    tape = "AC"[seed % 2]
    codes = sorted(ONE[tape])
    trades, ts = [], DAY.open_ns
    for n in range(1_500):
        ts += rng.randint(1, 8 * SECOND)
        # The regular sale is rare here, so that rows without any price and sessions without a last one occur.
        words = rng.sample(codes, rng.choice([1, 1, 1, 2, 3])) if rng.random() < 0.9 else ["@"]
        price, size = 100.0 + rng.randint(-99, 99) / 100.0, float(rng.randint(1, 500))
        trades.append(Trade("A", ts, ts, price, size, ",".join(words), "", str(n), rng.choice("NQP"), tape))
    builder = RowBuilder(["A"], "1m")
    rows = [each for trade in trades for each in builder.feed(trade)] + builder.finish()
    assert all(isinstance(each, Row) for each in rows)
    ours = {
        row.ts: [None if each != each else each for each in (row.open[0], row.high[0], row.low[0], row.close[0])]
        + [row.volume[0]]
        for row in rows
    }
    theirs = bars_of(trades)
    assert {ts: ours[ts] for ts in theirs} == theirs
    assert sum(bar[3] is None for bar in theirs.values()) > 0 or seed
