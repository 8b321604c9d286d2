# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Data and its quality
#
# A backtest is as good as its rows. Here: two adjustments of the same history, what the checks find, why a label must
# be said, and a store in which a vendor's corrections are news and not an overwrite.
#
# The prices of the first part are **real** (Quandl WIKI, public domain, with the package `bokeh-sampledata`). The
# faults planted later are ours and said to be.

# %%
from data.sources.sample import load

raw = load(["AAPL", "IBM"], start="2004-06-01", end="2006-06-01", adjustment="raw")
adjusted = load(["AAPL", "IBM"], start="2004-06-01", end="2006-06-01")
raw

# %% [markdown]
# ## A split is not a crash
#
# AAPL split 2 for 1 on 2005-02-28. Raw prices are what was printed, and a stop would have sold into that night.
# Adjusted prices are an owner's: splits and dividends are in the returns. They lie far lower because later splits count
# too, to the end of the file.

# %%
import matplotlib.pyplot as plt
import pandas as pd

from backtests.plots import BLUE, ORANGE

days = pd.to_datetime(raw.session.astype(str))
figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
axes.plot(days, raw.close[:, 0], color=ORANGE, label="AAPL raw, as printed")
axes.plot(days, adjusted.close[:, 0], color=BLUE, label="AAPL adjusted for splits and dividends")
axes.set(xlabel="session", ylabel="close, dollars (log scale)", yscale="log", yticks=[2, 5, 10, 20, 50, 100])
axes.yaxis.set_major_formatter("{x:g}")
axes.minorticks_off()
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False, loc="center left")
# %% [markdown]
# `check_bars` sees it: a jump overnight by a split's ratio. It is a warning, because the checks cannot know whether
# raw prices were meant.

# %%
from data.checks import check_bars

for finding in check_bars(raw, "1d"):
    print(f"{finding.level}: {finding.sentence}")
check_bars(adjusted, "1d")

# %% [markdown]
# ## Planted faults
#
# Five faults of the kinds that feeds really have, planted in the clean rows. Errors make prices unusable; warnings are
# for a person to judge. Each finding names the first place and what to do.

# %%
from data.frames import bars_from_pandas, bars_to_pandas

frame = bars_to_pandas(adjusted).copy()
at = frame.index
frame.loc[at[50], ("high", "IBM")] = 0.99 * frame.loc[at[50], ("low", "IBM")]  # high under low
frame.loc[at[120], ("close", "IBM")] = float("nan")  # part of a row unknown
frame.loc[at[200], ("volume", "IBM")] = -1.0
frame.loc[at[400:403], (slice(None), "IBM")] = float("nan")  # three rows missing
for name in ("open", "high", "low", "close"):
    frame.loc[at[300], (name, "AAPL")] *= 1.25  # a print far away that comes back

findings = pd.DataFrame(check_bars(bars_from_pandas(frame, label="close", clock="1d"), "1d"))
findings[["level", "kind", "sentence"]].style.hide().set_properties(**{"text-align": "left"})

# %% [markdown]
# ## What does the time of a row mean?
#
# Vendors label a row by its start or by its close. Taking one for the other moves every signal by a row: into the past
# it could not have known, or late. So there is no default.

# %%
from data.errors import DataError, UsageError

minutes = pd.DataFrame(
    {"open": [10.0, 10.1], "high": [10.2, 10.3], "low": [9.9, 10.0], "close": [10.1, 10.2], "volume": [500, 700]},
    index=pd.DatetimeIndex(["2024-03-08 14:30", "2024-03-08 14:31"], tz="UTC"),
)
try:
    bars_from_pandas(minutes)
except UsageError as error:
    print(error)

# %%
for label in ("start", "close"):
    rows = bars_from_pandas(minutes, label=label, clock="1m", symbol="X")
    known = pd.DatetimeIndex(rows.ts, tz="UTC").strftime("%H:%M:%S").tolist()
    print(f"label={label!r}: the rows are known at {known}, {rows.since_open.tolist()} s after the open")

# %% [markdown]
# ## The store keeps what it saw
#
# Parquet files that are written once. The same rows again add nothing. Rows that differ from the stored ones are
# refused with the difference; with `revision=True` both are kept and the newest is read.

# %%
import tempfile
from pathlib import Path

from data.store import Store

folder = tempfile.TemporaryDirectory()
store = Store(Path(folder.name) / "store")
ibm = adjusted.pick([1])
first = store.put(ibm, "1d", "Quandl WIKI", "all")[0]
again = store.put(ibm, "1d", "Quandl WIKI", "all")[0]
print(f"first import: {first.new} new rows; the same again: {again.new} new, {again.same} the same")

# %%
changed = bars_to_pandas(ibm)
changed.iloc[10, changed.columns.get_loc(("close", "IBM"))] += 0.01
corrected = bars_from_pandas(changed, label="close", clock="1d")
try:
    store.put(corrected, "1d", "Quandl WIKI, a later download", "all")
except DataError as error:
    print(error)

# %% [markdown]
# A dataset has a content hash, and a result names the hash it came from. One cent in one row is another dataset:

# %%
_, before = store.load(["IBM"], "1d")
store.put(corrected, "1d", "Quandl WIKI, a later download", "all", revision=True)
_, after = store.load(["IBM"], "1d")
print(f"before the revision {before[:16]}, after it {after[:16]}")

# %% [markdown]
# ## A market of our own making
#
# For what no free data has, order books and intraday rows, there is a **simulated** market: seeded, exact to the bit
# on every machine, with the exchange's sessions, and never to be taken for evidence about a real one. A tape says of
# itself whether a venue printed it.

# %%
from data.sources.simulated import market
from data.tape import read_tape, write_tape

bars, book = market(["AAA"], sessions=3, seed=7, clock="1m")
header = write_tape(
    Path(folder.name) / "market.parquet", bars, book, clock="1m", source="simulated, seed 7", simulated=True
)
_, back, _ = read_tape(Path(folder.name) / "market.parquet")
print(f"{header.source}: simulated={header.simulated}, {header.rows} rows, content {header.content[:16]}")
print("read back, every bit the same:", back.close.tobytes() == bars.close.tobytes())

# %% [markdown]
# Empty rows are part of a market. A row without a trade has no prices (NaN) and volume 0, and nothing is decided on it.

# %%
import numpy as np

minute = np.rint(bars.since_open / 60).astype(int)
by_minute = pd.DataFrame({"volume": bars.volume[:, 0], "spread": 1e4 * (book.spread / book.mid)[:, 0]}).groupby(minute)
mean = by_minute.mean()
figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 4.5), sharex=True, layout="constrained")
top.bar(mean.index, mean.volume, width=1.0, color=BLUE)
top.set(ylabel="shares a minute", title="AAA, simulated: mean of three sessions")
bottom.plot(mean.index, mean.spread, color=ORANGE, linewidth=1)
bottom.set(xlabel="minutes since the open", ylabel="quoted spread, bps")
for axes in (top, bottom):
    axes.grid(alpha=0.25)
folder.cleanup()
