# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # L2 features and a replay
#
# One session of an order book: its events, the features that a row carries, a strategy that reads them, and the proof
# that a tape played row by row gives the bits of the whole. The session is **simulated**, a limit order book with
# makers and takers; what it shows about prices is what its makers put in. Neither Alpaca nor Polygon streams L2 for
# US stocks, so a strategy that needs it must also say what it does without.

# %%
from data.sources.simulated import events, market

bars, book = market(["AAA"], sessions=1, seed=7, clock="1m")
day = events("AAA", 0, seed=7, interval="1s")  # what these rows are made of
print(f"{len(day.trades):,} trades, {len(day.quotes):,} quotes, {len(day.snapshots):,} snapshots of ten levels")
bars, book

# %% [markdown]
# ## The book at an instant
#
# Resting size by price, ten levels a side. `mid` is the middle of best bid and offer; `microprice` weighs them by the
# opposite sizes, so it leans to the thinner side, which is taken first; `imbalance` is (bid depth - ask depth) over
# both.

# %%
import matplotlib.pyplot as plt
import numpy as np

from backtests.plots import BLUE, GREEN, GREY, ORANGE, RED

ROW = 120
shot = day.snapshots[np.searchsorted(day.snapshots["ts"], bars.ts[ROW])]
figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
axes.bar(shot["bid"], shot["bid_size"], width=0.008, color=GREEN, label="bids")
axes.bar(shot["ask"], shot["ask_size"], width=0.008, color=RED, label="offers")
axes.axvline(book.mid[ROW, 0], color=GREY, linestyle=":", label="mid")
axes.axvline(book.microprice[ROW, 0], color=BLUE, label="microprice")
axes.set(xlabel="price, dollars", ylabel="resting shares", title=f"imbalance {book.imbalance[ROW, 0]:+.2f}")
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False, ncols=2)

# %% [markdown]
# ## Order-flow imbalance, by hand
#
# `ofi` adds up what every change of the best quotes did: a bid that rises adds its size, one that falls takes the old
# size away, the offer mirrors it (Cont, Kukanov, Stoikov 2014). Summed here from the quotes, row by row:

# %%
from itertools import islice, pairwise

from data.flow import order_flow

sides = ("bid", "ask", "bid_size", "ask_size")
quotes = [tuple(quote[name] for name in sides) for quote in day.quotes]
flow = np.array([0.0, *(order_flow(*before, *now) for before, now in pairwise(quotes))])
rows = np.searchsorted(bars.ts, day.quotes["ts"])
by_hand = np.bincount(rows, flow, minlength=len(bars))[: len(bars)]
assert (by_hand == book.ofi[:, 0]).all()
print(f"{len(quotes):,} quotes, {len(bars)} rows: every one equal")

# %%
change = 100 * np.diff(book.mid[:, 0], prepend=np.nan)
known = np.isfinite(change) & np.isfinite(book.ofi[:, 0])
slope, offset = np.polyfit(book.ofi[known, 0], change[known], 1)
fitted = np.corrcoef(book.ofi[known, 0], change[known])[0, 1] ** 2
ahead = np.isfinite(change[1:]) & np.isfinite(book.imbalance[:-1, 0])

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.plot(book.ofi[known, 0] / 1000, change[known], ".", color=BLUE, alpha=0.5)
x = np.array([book.ofi[known, 0].min(), book.ofi[known, 0].max()])
left.plot(x / 1000, slope * x + offset, color=GREY)
left.set(xlabel="OFI of the row, thousand shares", ylabel="change of the mid in the row, cents")
left.set_title(f"same row, R² {fitted:.2f}")
right.plot(book.imbalance[:-1, 0][ahead], change[1:][ahead], ".", color=ORANGE, alpha=0.5)
lean = np.corrcoef(book.imbalance[:-1, 0][ahead], change[1:][ahead])[0, 1]
right.set(xlabel="imbalance at the row's close", ylabel="change in the next row, cents")
right.set_title(f"next row, r {lean:+.2f}")
for axes in (left, right):
    axes.grid(alpha=0.25)

# %% [markdown]
# The left picture explains, it does not predict: flow and price move in the same row. Only the right one could be
# traded, and a decision at that close is filled at the next open, after the spread.
#
# ## A strategy on the book
#
# `order_flow` buys where size leans to the bid, the flow pushes and the microprice stands above the mid. `age` is the
# seconds since the book last spoke: what is stale is not acted upon.

# %%
from backtests.engine import run_backtest

bars, book = market(["AAA", "BBB", "CCC"], sessions=3, seed=7, clock="1m")
result = run_backtest(bars, "order_flow", book=book)
figure = result.plot_trades("AAA", 0, 390)

# %% [markdown]
# Without L2 every feature is NaN, every comparison with it False: nothing is bought, and no one had to write that
# down.

# %%
blind = run_backtest(bars, "order_flow")
print(f"fills with the book {len(result.fills)}, without {len(blind.fills)}")

# %% [markdown]
# ## Tape and replay
#
# A tape is one Parquet file with a hash of its content. `play` reads it row by row, as a live process receives it.
# The strategy below sees one row at a time inside a stream that carries the state of its indicators; no array, no
# numba.

# %%
import tempfile
from pathlib import Path

from data.tape import play, read_tape, write_tape
from strategies.common.load import load_strategy
from strategies.common.stream import Stream

folder = tempfile.TemporaryDirectory()
tape = Path(folder.name) / "market.parquet"
header = write_tape(tape, bars, book, clock="1m", source="simulated, seed 7", simulated=True)
_, tape_bars, tape_book = read_tape(tape)
size = tape.stat().st_size / 1e6
print(f"{size:.1f} MB, {header.rows:,} rows x {len(header.symbols)} symbols, {header.content[:16]}")

# %%
strategy = load_strategy("order_flow")
whole = strategy.call(bars, book, strategy.bind())

stream = Stream()
one_by_one = [
    strategy.step(stream, tape_bars.rows(t, t + 1), tape_book.rows(t, t + 1), strategy.bind())
    for t in range(header.rows)
]
for name, column in whole.columns():
    stepped = np.concatenate([getattr(signals, name) for signals in one_by_one])
    same = column.tobytes() == stepped.tobytes()
    print(f"{name:8} {column.size:,} values, {'every bit the same' if same else 'DIFFERENT'}")
    assert same

# %% [markdown]
# The rows on the wire are the same too: each message holds its floats with all their bits.

# %%
messages = play(tape)
print(next(messages))
first = next(islice(messages, 200, None))
first.close == tape_bars.close[200].tolist(), first.book[0] == tape_book.bid[200].tolist()

# %% [markdown]
# A damaged tape is found before a row of it is believed:

# %%
from data.errors import DataError

damaged = bytearray(tape.read_bytes())
damaged[len(damaged) // 2] ^= 1  # one bit
tape.write_bytes(damaged)
try:
    read_tape(tape)
except DataError as error:
    print(str(error).replace(folder.name, "..."))
folder.cleanup()
