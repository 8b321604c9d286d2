"""How fast market events become book features and rows.

`run()` gives the rows for `make bench`; as a script it prints them. One core, medians of rounds; the budgets are those
of ARCHITECTURE.md: 100,000 level-2 events a second from wire bytes, 5 million events to rows in 5 s.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))

ROUNDS = 5
SYMBOLS = [f"S{j}" for j in range(5)]


class Wire(msgspec.Struct, gc=False):
    """A depth message as Binance futures sends it: prices and sizes are texts."""

    s: str
    E: int
    U: int
    u: int
    pu: int
    b: tuple[tuple[float, float], ...]
    a: tuple[tuple[float, float], ...]


class Compact(msgspec.Struct, gc=False):
    """A crypto order-book message as Alpaca sends it, msgpack: levels are maps of price and size."""

    S: str
    t: msgspec.msgpack.Ext
    b: list[PriceSize]
    a: list[PriceSize]
    r: bool = False


class PriceSize(msgspec.Struct, gc=False):
    """One level of `Compact`."""

    p: float
    s: float


def depth(count: int, seed: int = 7) -> list[tuple[bool, float, float]]:
    """(is a bid, price, size) of single-level changes around 1000.00, most of them near the best."""
    rng = np.random.default_rng(seed)
    bids = rng.random(count) < 0.5
    off = rng.exponential(6.0, count).astype(int)
    size = rng.choice([0.0, 0.1, 0.2, 0.5], count)
    size[off == 0] = 0.3
    price = np.round(np.where(bids, 1000.0 - off / 100, 1000.01 + off / 100), 2)
    return list(zip(bids.tolist(), price.tolist(), size.tolist(), strict=True))


def start():
    """A book of 500 levels a side."""
    from data.events import BookSnapshot

    bids = tuple((round(1000.0 - j / 100, 2), 1.0) for j in range(500))
    asks = tuple((round(1000.01 + j / 100, 2), 1.0) for j in range(500))
    return BookSnapshot("S0", 1, 1, bids, asks, sequence=0)


def json_events(count: int) -> float:
    """Events a second: JSON bytes, sequence check, book, ten features."""
    from data.book import OrderBook
    from data.events import BookDelta

    frames = []
    for n, (bid, price, size) in enumerate(depth(count), 1):
        level = [[f"{price:.2f}", f"{size:.3f}"]]
        body = {"e": "depthUpdate", "E": n, "s": "S0", "U": n, "u": n, "pu": n - 1}
        frames.append(msgspec.json.encode(body | {"b": level if bid else [], "a": [] if bid else level}))
    decode = msgspec.json.Decoder(Wire, strict=False).decode
    book = OrderBook("binance_futures")
    book.apply(start())
    began = perf_counter()
    for frame in frames:
        m = decode(frame)
        book.apply(BookDelta(m.s, m.E, m.E, m.b, m.a, m.U, m.u, m.pu))
        book.features()
    taken = perf_counter() - began
    assert book.valid
    return count / taken


def msgpack_events(count: int) -> float:
    """The same from msgpack bytes, without sequence numbers."""
    from data.book import OrderBook
    from data.events import BookDelta

    frames = []
    for n, (bid, price, size) in enumerate(depth(count), 1):
        level = [{"p": price, "s": size}]
        sides = {"b": level if bid else [], "a": [] if bid else level}
        stamp = msgspec.msgpack.Ext(-1, n.to_bytes(8, "big"))
        frames.append(msgspec.msgpack.encode({"T": "o", "S": "S0", "t": stamp, **sides}))
    decode = msgspec.msgpack.Decoder(Compact, ext_hook=msgspec.msgpack.Ext).decode
    book = OrderBook("alpaca_crypto")
    book.apply(start())
    began = perf_counter()
    for ts, frame in enumerate(frames, 1):
        m = decode(frame)
        book.apply(BookDelta(m.S, ts, ts, tuple((x.p, x.s) for x in m.b), tuple((x.p, x.s) for x in m.a)))
        book.features()
    return count / (perf_counter() - began)


def day(count: int, seed: int = 7):
    """A regular session of `count` trades (30 %) and quotes of five symbols; one in a thousand comes late."""
    from data.calendar import session_of
    from data.events_columns import Columns

    rng, session = np.random.default_rng(seed), session_of("2024-01-03")
    recv = np.sort(rng.integers(session.open_ns, session.close_ns, count))
    venue = recv - rng.integers(0, 20_000_000, count)
    late = rng.random(count) < 0.001
    venue[late] -= rng.integers(0, 100 * 10**9, int(late.sum()))
    traded = rng.random(count) < 0.3
    texts = [*SYMBOLS, "", "@", "@,I", "@,F", "C", "N", "Q"]
    symbol = rng.integers(0, len(SYMBOLS), count).astype(np.int32)
    mid = 100 + np.cumsum(rng.integers(-1, 2, count)) * 0.0001

    def columns(mask):
        size = int(mask.sum())
        common = {"place": np.flatnonzero(mask), "symbol": symbol[mask], "venue_ts": venue[mask], "recv_ts": recv[mask]}
        return common | {"sequence": np.full(size, -1)}, size, np.full(size, 5, dtype=np.int32)

    trades, size, nothing = columns(traded)
    trades |= {"price": np.round(mid[traded], 2), "size": rng.integers(1, 500, size).astype(float)}
    trades |= {"conditions": rng.integers(6, 9, size).astype(np.int32), "aggressor": nothing, "tape": nothing + 4}
    trades |= {"exchange": rng.integers(10, 12, size).astype(np.int32), "trade_id": np.arange(size)}
    quotes, size, nothing = columns(~traded)
    quotes |= {"bid": np.round(mid[~traded] - 0.01, 2), "ask": np.round(mid[~traded] + 0.01, 2)}
    quotes |= {name: rng.integers(1, 20, size) * 100.0 for name in ("bid_size", "ask_size")}
    quotes |= dict.fromkeys(("conditions", "bid_exchange", "ask_exchange", "tape"), nothing)
    return Columns({"trade": trades, "quote": quotes}, texts)


def batch_seconds(columns, clock: str) -> float:
    """Seconds from columns of events to bars, book and revisions, compiled code warm."""
    from data.rowbuilder_batch import rows_from_events

    began = perf_counter()
    rows_from_events(columns, SYMBOLS, clock)
    return perf_counter() - began


def stream_us(events, clock: str) -> float:
    """Microseconds an event through the live row builder."""
    from data.rowbuilder import RowBuilder

    builder = RowBuilder(SYMBOLS, clock)
    began = perf_counter()
    for event in events:
        builder.feed(event)
    return (perf_counter() - began) * 1e6 / len(events)


def nautilus(trades) -> dict | None:
    """Minute bars of the same trades by nautilus_trader's aggregator and by ours, us a trade, where it is installed."""
    try:
        from nautilus_trader.data.aggregation import TimeBarAggregator
    except ImportError:
        return None
    from nautilus_trader.common.component import TestClock
    from nautilus_trader.model.data import BarType, TradeTick
    from nautilus_trader.model.enums import AggressorSide
    from nautilus_trader.model.identifiers import TradeId
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    from data.rowbuilder import RowBuilder

    instrument = TestInstrumentProvider.equity("S0", "XNAS")
    made, clock = [], TestClock()
    clock.set_time(trades[0].recv_ts)
    aggregator = TimeBarAggregator(
        instrument, BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-INTERNAL"), made.append, clock
    )
    ticks = [
        TradeTick(
            instrument.id,
            Price(t.price, 2),
            Quantity(t.size, 0),
            AggressorSide.BUYER,
            TradeId(t.trade_id),
            t.recv_ts,
            t.recv_ts,
        )
        for t in trades
    ]
    began = perf_counter()
    for tick in ticks:
        for fired in clock.advance_time(tick.ts_init):
            fired.handle()
        aggregator.handle_trade_tick(tick)
    theirs = (perf_counter() - began) * 1e6 / len(ticks)
    builder = RowBuilder(["S0"], "1m")
    began = perf_counter()
    rows = sum(len(builder.feed(trade)) for trade in trades)
    ours = (perf_counter() - began) * 1e6 / len(trades)
    return {"ours": ours, "theirs": theirs, "rows": rows, "bars": len(made)}


def run(quick: bool = False) -> list[dict]:
    """The figures of market events."""
    from data.events import Trade
    from data.events_columns import events_of

    count, whole, rounds = (20_000, 200_000, 1) if quick else (100_000, 5_000_000, ROUNDS)
    columns = day(whole)
    events = list(events_of(day(count)))
    batch_seconds(day(1_000), "1m")  # compiles
    figures = [
        ("L2 events from JSON bytes to features", lambda: json_events(count), "events/s", 100_000),
        ("L2 events from msgpack bytes to features", lambda: msgpack_events(count), "events/s", 100_000),
        (f"batch: {whole:,} events to minute rows", lambda: batch_seconds(columns, "1m"), "s", 5.0),
        (f"batch: {whole:,} events to second rows", lambda: batch_seconds(columns, "1s"), "s", 5.0),
        ("live: one event into minute rows", lambda: stream_us(events, "1m"), "us", None),
        ("live: one event into second rows", lambda: stream_us(events, "1s"), "us", None),
    ]
    made = []
    for what, measure, unit, budget in figures:
        value = statistics.median(measure() for _ in range(rounds))
        made.append({"name": what, "what": what, "value": value, "unit": unit, "budget": budget})
    peer = nautilus([event for event in events if isinstance(event, Trade) and event.symbol == "S0"])
    if peer:
        what, compared = "live: one trade into minute rows", {"peer": "nautilus_trader TimeBarAggregator"}
        compared |= {"ratio": peer["theirs"] / peer["ours"]}
        made.append({"name": what, "what": what, "value": peer["ours"], "unit": "us", "budget": None, **compared})
    return made


if __name__ == "__main__":
    for row in run(quick="--quick" in sys.argv):
        ratio = f"  {row['ratio']:.2f}x of {row['peer']}" if row.get("ratio") else ""
        print(f"{row['what']:48} {row['value']:14,.2f} {row['unit']}  budget {row['budget']}{ratio}")
