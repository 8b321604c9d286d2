"""A book is what the venue's messages say, or it says that it is not to be believed."""

from itertools import groupby

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.book import RULES, OrderBook
from data.errors import UsageError
from data.events import BookDelta, BookSnapshot, Gap


def snapshot(bids=(), asks=(), **more):
    return BookSnapshot("S", 1, 1, tuple(bids), tuple(asks), **more)


def delta(bids=(), asks=(), ts=2, **more):
    return BookDelta("S", ts, ts, tuple(bids), tuple(asks), **more)


def messages(rows, key):
    """Levels of a recording, put together into messages: (key, [bids], [asks], first row)."""
    for _, group in groupby(rows, key):
        lines = list(group)
        bids, asks = ([(r["price"], float(r["size"])) for r in lines if r["side"] == side] for side in ("bid", "ask"))
        yield lines[0], tuple(bids), tuple(asks)


def test_features_follow_the_levels():
    book = OrderBook(levels=2)
    assert not book.valid
    assert book.why == "no snapshot yet"
    assert book.apply(snapshot([(99.0, 4.0), (98.0, 1.0), (97.0, 8.0)], [(101.0, 2.0), (102.0, 3.0)]))
    # depths: two levels a side: 5 and 5; microprice (99 * 2 + 101 * 4) / 6
    assert book.features() == (99.0, 101.0, 4.0, 2.0, 2.0, 100.0, 602.0 / 6.0, 0.0, 5.0, 5.0)
    assert book.apply(delta([(99.0, 0.0)], [(100.5, 6.0)]))
    assert book.top() == (98.0, 100.5, 1.0, 6.0, 9.0, 8.0)
    assert book.ladder(3) == ([(98.0, 1.0), (97.0, 8.0)], [(100.5, 6.0), (101.0, 2.0), (102.0, 3.0)])
    assert book.depth == (2, 3)


def test_a_side_without_levels_is_unknown():
    book = OrderBook("iex_deep")
    book.apply(delta([(10.0, 5.0)], last=1))
    assert book.valid
    assert book.bid == 10.0
    assert book.ask != book.ask
    book.apply(delta([(10.0, 0.0)], last=2))
    assert book.bid != book.bid
    assert book.features()[6] != book.features()[6]


CHAINS = {
    "binance_futures": [
        delta([(9.0, 2.0)], first=95, last=99, prev=90),
        delta([(9.0, 3.0)], first=98, last=103, prev=97),
        delta([(9.0, 4.0)], first=104, last=106, prev=103),
        delta([(9.0, 5.0)], first=109, last=110, prev=108),
    ],
    "binance": [
        delta([(9.0, 2.0)], first=95, last=100),
        delta([(9.0, 3.0)], first=99, last=103),
        delta([(9.0, 4.0)], first=104, last=106),
        delta([(9.0, 5.0)], first=108, last=110),
    ],
}


@pytest.mark.parametrize("early", [0, 1, 2, 3])
@pytest.mark.parametrize("venue", CHAINS)
def test_deltas_wait_for_the_snapshot_and_a_gap_voids_the_book_until_the_next(venue, early):
    book, chain = OrderBook(venue), CHAINS[venue]
    for event in chain[:early]:
        assert not book.apply(event)
    book.apply(snapshot([(9.0, 1.0)], [(11.0, 1.0)], sequence=100))
    assert book.valid
    for event in chain[early:3]:
        assert book.apply(event)
    assert (book.bid_size, book.sequence) == (4.0, 106)
    assert not book.apply(chain[3])
    assert not book.valid
    assert "sequence broken: 106" in book.why
    assert book.refused == 1
    assert all(value != value for value in book.top())
    assert not book.apply(delta([(9.0, 6.0)], first=111, last=112, prev=110))
    assert book.apply(snapshot([(8.0, 1.0)], [(11.0, 1.0)], sequence=109))
    assert (book.bid, book.bid_size, book.sequence) == (9.0, 6.0, 112)


def test_a_snapshot_older_than_the_deltas_kept_does_not_join():
    book = OrderBook("binance_futures")
    book.apply(delta([(9.0, 2.0)], first=200, last=210, prev=199))
    assert not book.apply(snapshot([(9.0, 1.0)], sequence=150))
    assert not book.valid
    assert book.apply(snapshot([(9.0, 1.0)], sequence=205))
    assert book.bid_size == 2.0


def test_a_lost_feed_voids_the_book():
    book = OrderBook("coinbase")
    book.apply(snapshot([(9.0, 1.0)], [(11.0, 1.0)]))
    assert not book.apply(Gap("", 0, 5, 3, 5, "reconnect"))
    assert book.why == "feed lost: reconnect"
    assert not book.apply(delta([(9.0, 1.0)]))


def test_repeated_numbers_are_left_and_an_incomplete_message_is_not_read():
    book = OrderBook("iex_deep")
    assert not book.apply(delta([(10.0, 5.0)], last=7, complete=False))
    assert book.valid
    assert book.apply(delta([], [(11.0, 5.0)], last=8))
    book.apply(delta([(10.0, 1.0)], last=8))
    assert book.bid_size == 5.0


def test_a_crossed_book_says_since_when():
    book = OrderBook()
    book.apply(snapshot([(10.0, 1.0)], [(11.0, 1.0)]))
    assert book.crossed_since == 0
    book.apply(delta([(11.0, 1.0)], ts=50))
    assert book.crossed_since == 0  # locked is not crossed
    book.apply(delta([(11.5, 1.0)], ts=60))
    book.apply(delta([(9.0, 1.0)], ts=70))
    assert book.crossed_since == 60
    book.apply(delta([(11.5, 0.0), (11.0, 0.0)], ts=80))
    assert book.crossed_since == 0


def test_levels_beyond_those_kept_are_dropped():
    book = OrderBook("kraken", keep=2, levels=2)
    book.apply(snapshot([(9.0, 1.0), (8.0, 1.0)], [(11.0, 1.0), (12.0, 1.0)]))
    book.apply(delta([(8.5, 1.0)], [(10.5, 1.0)]))
    assert book.ladder(9) == ([(9.0, 1.0), (8.5, 1.0)], [(10.5, 1.0), (11.0, 1.0)])


def test_the_checksum_is_the_published_one():
    """The worked examples of Kraken's and OKX's documentation."""
    book = OrderBook("kraken", price_digits=5, size_digits=8)
    asks = [0.05005, 0.0501, 0.05015, 0.0502, 0.05025, 0.0503, 0.05035, 0.0504, 0.05045, 0.0505]
    bids = [0.05, 0.04995, 0.0499, 0.0498, 0.04975, 0.0497, 0.04965, 0.0496, 0.04955, 0.0495]
    book.apply(snapshot([(p, 0.000005) for p in bids], [(p, 0.000005) for p in asks], checksum=974947235))
    assert book.valid
    other = OrderBook("okx")
    asks = [(3366.8, 9.0), (3368.0, 8.0), (3372.0, 8.0)]
    assert other.apply(snapshot([(3366.1, 7.0)], asks, sequence=1, checksum=831078360))
    other.apply(snapshot([(3366.1, 7.0), (3366.0, 6.0)], asks[:2], sequence=2, checksum=-1881014294 % 2**32))
    assert other.valid
    assert not other.apply(delta([(3366.1, 8.0)], first=3, last=3, prev=2, checksum=7))
    assert other.why.startswith("checksum")


def test_an_unknown_venue_is_named():
    with pytest.raises(UsageError, match="no book rule 'nyse'"):
        OrderBook("nyse")


prices = st.integers(1, 30).map(lambda tick: tick / 10)
changes = st.lists(st.tuples(prices, st.integers(0, 3).map(float)), max_size=5)


@given(st.lists(st.tuples(changes, changes), max_size=30), st.integers(1, 4))
@settings(deadline=None)
def test_best_quotes_and_depths_equal_a_plain_dict(steps, levels):
    book, sides = OrderBook(levels=levels), ({}, {})
    book.apply(snapshot())
    for step in steps:
        book.apply(delta(*step))
        for side, level in zip(sides, step, strict=True):
            side.update(level)
        bids, asks = ([(p, size) for p, size in side.items() if size] for side in sides)
        bids.sort(reverse=True)
        asks.sort()
        assert book.ladder(99) == (bids, asks)
        best = [side[0] if side else (float("nan"),) * 2 for side in (bids, asks)]
        depths = [sum(size for _, size in side[:levels]) if side else float("nan") for side in (bids, asks)]
        wanted = (best[0][0], best[1][0], best[0][1], best[1][1], *depths)
        assert str(book.top()) == str(wanted)  # as text, for NaN


def test_binance_replay_equals_the_exchange_best_quotes(shared):
    """Real: price and size of bid and offer at every update id that both streams name."""
    levels = pq.read_table(shared("l2/binance_usdm_btcusdt_20240808_depth.parquet")).to_pylist()
    quotes = pq.read_table(shared("l2/binance_usdm_btcusdt_20240808_bbo.parquet")).to_pydict()
    names = ("bid", "bid_size", "ask", "ask_size")
    best = dict(zip(quotes["update_id"], zip(*[quotes[name] for name in names], strict=True), strict=True))
    book, common, crossed = OrderBook("binance_futures"), 0, 0
    for row, bids, asks in messages(levels, lambda r: (r["is_snapshot"], r["last_update_id"])):
        ts, last = row["ts_recv"].value, row["last_update_id"]
        if row["is_snapshot"]:
            book.apply(BookSnapshot("BTCUSDT", ts, ts, bids, asks, sequence=last))
        else:
            first, prev = row["first_update_id"], row["prev_update_id"]
            book.apply(BookDelta("BTCUSDT", ts, ts, bids, asks, first=first, last=last, prev=prev))
        crossed += book.crossed_since > 0
        if book.valid and book.sequence == last and last in best:
            assert (book.bid, book.bid_size, book.ask, book.ask_size) == best[last]
            common += 1
    assert (common, book.refused, crossed) == (629, 0, 0)


def test_iex_books_never_cross_and_show_the_published_quotes(shared):
    """Real: the values of the decoder's own test, AMZN bid 76.01 x 10 and MSFT offer 348.00 x 20."""
    rows = pq.read_table(shared("l2/iex_deep_20231002_levels.parquet")).to_pylist()
    books, seen = {}, set()
    for row in rows:
        book = books.setdefault(row["symbol"], OrderBook("iex_deep"))
        level, ts = ((row["price"], float(row["size"])),), row["ts_event"].value
        sides = {"bids": level} if row["side"] == "bid" else {"asks": level}
        sides |= {"first": row["seq"], "last": row["seq"], "complete": row["event_complete"]}
        readable = book.apply(BookDelta(row["symbol"], ts, row["ts_recv"].value, **sides))
        assert readable == row["event_complete"]
        assert book.crossed_since == 0
        assert not book.bid >= book.ask
        seen.add((row["symbol"], book.bid, book.bid_size, book.ask, book.ask_size)[:3])
        seen.add((row["symbol"], book.ask, book.ask_size))
    assert ("AMZN", 76.01, 10.0) in seen
    assert ("MSFT", 348.0, 20.0) in seen
    assert not any(book.refused for book in books.values())


def test_coinbase_books_never_cross(shared):
    """Real: ten products, snapshot and thirty seconds of changes."""
    rows = pq.read_table(shared("l2/coinbase_20210417_levels.parquet")).to_pylist()
    books = {}
    for row, bids, asks in messages(rows, lambda r: (r["is_snapshot"], r["symbol"], r["ts_recv"])):
        book = books.setdefault(row["symbol"], OrderBook("coinbase"))
        kind = BookSnapshot if row["is_snapshot"] else BookDelta
        ts = row["ts_recv"].value
        assert book.apply(kind(row["symbol"], 0, ts, bids, asks))
        assert book.crossed_since == 0
        assert book.updated == ts
    assert len(books) == 10


def test_every_rule_is_one_of_the_kinds():
    assert {rule.chain for rule in RULES.values()} == {"prev", "next", "rising", "none"}
