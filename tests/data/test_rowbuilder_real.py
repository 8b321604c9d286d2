"""Rows of real recordings: equal to a slow oracle, to a peer's published result, and to themselves live."""

import struct
from collections import defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.calendar import session_columns
from data.events import BookDelta, BookSnapshot, Quote, Trade
from data.events_columns import columns_of
from data.rowbuilder import RowBuilder
from data.rowbuilder_batch import rows_from_bars, rows_from_events
from data.rows import Row, rows_of
from data.types import FEATURES, PRICES, Bars

MINUTE = 60 * 10**9


def prices_of(table):
    return [table[name].to_numpy().astype(float).reshape(-1, 1) for name in PRICES]


def ns(column):
    return column.to_numpy().astype("datetime64[ns]").astype(np.int64)


@pytest.fixture(scope="module")
def btc(shared):
    """Trades, best quotes and depth of Binance BTCUSDT, in order of receipt; its clocks differ by a second."""
    events = []
    t = pq.read_table(shared("l2/binance_usdm_btcusdt_20240808_trades.parquet"))
    columns = (t.column(name).to_pylist() for name in ("price", "size", "aggressor", "trade_id"))
    for venue, recv, price, size, side, number in zip(
        ns(t["ts_exchange"]).tolist(), ns(t["ts_recv"]).tolist(), *columns, strict=True
    ):
        events.append(Trade("BTCUSDT", venue, recv, price, size, "", side, str(number)))
    d = pq.read_table(shared("l2/binance_usdm_btcusdt_20240808_depth.parquet")).slice(0, 150_000).to_pydict()
    groups = defaultdict(lambda: ([], []))
    for row in zip(
        *[d[name] for name in ("is_snapshot", "last_update_id", "first_update_id", "prev_update_id")],
        [x.value for x in d["ts_exchange"]],
        [x.value for x in d["ts_recv"]],
        d["side"],
        d["price"],
        d["size"],
        strict=True,
    ):
        *head, side, price, size = row
        groups[tuple(head)][side == "ask"].append((price, size))
    for (whole, last, first, prev, venue, recv), (bids, asks) in groups.items():
        if whole:
            events.append(BookSnapshot("BTCUSDT", venue, recv, tuple(bids), tuple(asks), last))
        else:
            events.append(BookDelta("BTCUSDT", venue, recv, tuple(bids), tuple(asks), first, last, prev))
    end = max(event.recv_ts for event in events if not isinstance(event, Trade))
    return sorted((event for event in events if event.recv_ts <= end), key=lambda event: event.recv_ts)


def oracle(trades, step):
    """Bars by dict and sort: label -> open, high, low, close, volume."""
    groups = defaultdict(list)
    for trade in trades:
        t = min(trade.venue_ts, trade.recv_ts)
        groups[t // step * step + step].append((t, trade.price, trade.size))
    bars = {}
    for label, rows in sorted(groups.items()):
        ordered = [price for _, price, _ in sorted(rows, key=lambda row: row[0])]
        volume = 0.0
        for _, _, size in rows:
            volume += size
        bars[label] = (ordered[0], max(ordered), min(ordered), ordered[-1], volume)
    return bars


@pytest.mark.parametrize(("clock", "step"), [("1s", MINUTE // 60), ("5s", MINUTE // 12), ("1m", MINUTE)])
def test_bars_from_real_trades_equal_a_slow_oracle(btc, clock, step):
    trades = [event for event in btc if isinstance(event, Trade)]
    built = rows_from_events(trades, ["BTCUSDT"], clock, hours="always", empty=False)
    prices = [getattr(built.bars, name)[:, 0].tolist() for name in PRICES]
    assert dict(zip(built.bars.ts.tolist(), zip(*prices, strict=True), strict=True)) == oracle(trades, step)
    assert built.revisions == []


def test_real_depth_and_trades_give_the_same_rows_live(btc):
    built = rows_from_events(btc, ["BTCUSDT"], "1s", hours="always", book="binance_futures")
    live = RowBuilder(["BTCUSDT"], "1s", hours="always", book="binance_futures")
    found = [message for event in btc for message in live.feed(event)] + live.finish()
    assert all(isinstance(message, Row) for message in found)

    def bits(row):
        book = row.book or [[float("nan")]] * len(FEATURES)
        values = [column[0] for column in (row.open, row.high, row.low, row.close, row.volume, *book)]
        return row.ts, struct.pack("<18d", *values)

    assert [bits(row) for row in found] == [bits(row) for row in rows_of(built.bars, built.book)]
    book = built.book
    known = np.isfinite(book.bid[:, 0])
    assert known.sum() > 60
    assert (book.spread[known] > 0).all()
    assert (abs(book.imbalance[known]) <= 1).all()
    assert ((book.bid <= book.microprice) & (book.microprice <= book.ask))[known].all()
    assert (book.age[known] < 1.0).all()


def test_order_flow_moves_with_the_price(btc):
    """Cont, Kukanov and Stoikov find that order flow explains most of a price change; here its sign must agree."""
    built = rows_from_events(btc, ["BTCUSDT"], "5s", hours="always", book="binance_futures")
    moves, flows = np.diff(built.book.mid[:, 0]), built.book.ofi[1:, 0]
    known = np.isfinite(moves) & np.isfinite(flows)
    assert np.corrcoef(moves[known], flows[known])[0, 1] > 0.3


def test_resampled_hours_equal_the_published_ones(shared):
    """PyAlgoTrade's resample test: 340 hour bars, the first 126.35 126.45 126.30 126.40 3397; 25 UTC days.

    It counts a bar stamped 10:00, which ended then, to the hour that begins at 10:00, as if stamps were starts.
    """
    table = pq.read_table(shared("equity_minute/SPY_2011-01.parquet"))
    ts = ns(table["ts"]) + 2 * MINUTE  # their stamp is the end; taken for a start, the bar ends a minute later
    bars = Bars(("SPY",), ts, *prices_of(table), *session_columns(ts, "1m"))
    hours = rows_from_bars(bars, "1m", "1h", hours="always").bars
    assert len(hours) == 340
    first = [getattr(hours, name)[0, 0] for name in PRICES]
    assert first == [126.35, 126.45, 126.30, 126.40, 3397.0]
    days = rows_from_bars(bars, "1m", "1d", hours="always").bars
    assert len(days) == 25
    assert hours.volume.sum() == days.volume.sum() == bars.volume.sum()


def test_regular_hours_of_real_minutes_are_seven_a_session(shared):
    table = pq.read_table(shared("equity_minute/SPY_2011-01.parquet"))
    ts = ns(table["ts"]) + MINUTE
    bars = Bars(("SPY",), ts, *prices_of(table), *session_columns(ts, "1m"))
    hours = rows_from_bars(bars, "1m", "1h").bars
    assert len(hours) == 20 * 7
    assert set(hours.to_close[6::7].tolist()) == {0.0}
    inside = (bars.since_open > 0) & (bars.to_close >= 0)
    assert hours.volume.sum() == bars.volume[inside].sum()
    days = rows_from_bars(bars, "1m", "1d").bars
    assert len(days) == 20
    assert days.high.max() == bars.high[inside].max()


def test_iex_rows_are_never_crossed(shared):
    table = pq.read_table(shared("l2/iex_deep_20231002_levels.parquet"))
    columns = [table[name].to_pylist() for name in ("seq", "symbol", "side", "price", "size", "event_complete")]
    events = []
    for venue, recv, seq, symbol, side, price, size, complete in zip(
        ns(table["ts_event"]).tolist(), ns(table["ts_recv"]).tolist(), *columns, strict=True
    ):
        level = ((price, float(size)),)
        sides = (level, ()) if side == "bid" else ((), level)
        events.append(BookDelta(symbol, venue, recv, *sides, seq, seq, complete=complete))
    names = sorted(set(columns[1]))
    built = rows_from_events(columns_of(events), names, "5s", hours="extended", book="iex_deep")
    assert len(built.bars) == 0  # nobody traded, and extended hours give no empty rows
    built = rows_from_events(events, names, "5s", hours="always", book="iex_deep")
    assert len(built.bars) == 7
    both = np.isfinite(built.book.spread)
    assert both.any()
    assert (built.book.spread[both] > 0).all()
    assert built.book.bid[-1, names.index("AMZN")] >= 76.01


def test_quotes_alone_are_a_book_of_one_level(shared):
    table = pq.read_table(shared("l2/binance_usdm_btcusdt_20240808_bbo.parquet"))
    columns = [table[name].to_pylist() for name in ("bid", "ask", "bid_size", "ask_size")]
    stamps = zip(ns(table["ts_exchange"]).tolist(), ns(table["ts_recv"]).tolist(), strict=True)
    events = [Quote("BTCUSDT", *stamp, *row) for stamp, row in zip(stamps, zip(*columns, strict=True), strict=True)]
    book = rows_from_events(events, ["BTCUSDT"], "1m", hours="always").book
    assert np.array_equal(book.bid_depth, book.bid_size)
    last = max(event.recv_ts for event in events)
    assert book.bid[-1, 0] == events[-1].bid or last < events[-1].venue_ts


@pytest.mark.parametrize(("clock", "seconds", "count"), [("1m", 60, 2), ("1s", 1, 4)])
def test_bars_from_real_trades_equal_the_vendor_s_own_where_both_exist(shared, clock, seconds, count):
    """The one place where our real data has trades and a vendor's bars of the same minutes: NVDA before the open."""
    pq = pytest.importorskip("pyarrow.parquet")
    folder = "databento_samples/xnas_nvda_"
    told = pq.read_table(shared(f"{folder}trades.parquet")).to_pydict()
    theirs = pq.read_table(shared(f"{folder}ohlcv-{clock}.parquet")).to_pydict()
    stamps = zip(_ns(told["ts_event"]), _ns(told["ts_recv"]), told["price"], told["size"], strict=True)
    events = [Trade("NVDA", at, max(at, recv), price, float(size)) for at, recv, price, size in stamps]
    built = rows_from_events(events, ["NVDA"], clock, hours="extended")
    columns = [getattr(built.bars, name)[:, 0].tolist() for name in PRICES]
    ours = dict(zip(built.bars.ts.tolist(), zip(*columns, strict=True), strict=True))
    rows = zip(*(theirs[name] for name in PRICES), strict=True)
    vendor = {at + seconds * 10**9: row for at, row in zip(_ns(theirs["ts_event"]), rows, strict=True)}
    assert ours.keys() <= vendor.keys()
    assert len(ours) == count
    assert {ts: tuple(map(float, vendor[ts])) for ts in ours} == ours


def _ns(stamps):
    """Nanoseconds of Arrow's stamps, which come as pandas' or as datetimes and a remainder."""
    return [stamp.value for stamp in stamps]
