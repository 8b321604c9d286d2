# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Quick start
#
# Real daily prices, one signal function, a backtest, and the proof that live would compute the same bits. No key, no
# download: the prices come with the package `bokeh-sampledata` (Quandl WIKI, public domain).

# %%
from data.sources.sample import load

bars = load(symbols=["AAPL", "IBM", "MSFT"], start="2005-01-03")
bars

# %% [markdown]
# A strategy is a function from columns to columns. Arrays are `(T, N)`: a row per bar, a column per symbol. A row is
# known at its close; what is decided there is filled at the next open.

# %%
from strategies.indicators import crossed_above, ema, rsi
from strategies.types import Bars, Signals


def signals(bars: Bars, *, fast: int = 20, slow: int = 100, hot: float = 80.0) -> Signals:
    fast_mean, slow_mean = ema(bars.close, fast), ema(bars.close, slow)
    return Signals(
        entries=crossed_above(fast_mean, slow_mean) & (rsi(bars.close, 14) < hot),
        exits=crossed_above(slow_mean, fast_mean),
    )


# %% [markdown]
# The position rule says how signals become positions: here 30 % of equity each.

# %%
from backtests.engine import run_backtest
from strategies.common.rule import Rule

result = run_backtest(bars, signals, {"fast": 20}, rule=Rule(size=0.3), clock="1d")
result.stats()

# %%
result.trades.records_readable.head()

# %%
figure = result.plot()

# %% [markdown]
# vectorbt values the same orders on its own; the largest relative difference of equity:

# %%
result.judge()

# %% [markdown]
# The certificate of a strategy file: run whole, in random chunks, row by row as live does, saved and restored, with
# symbols permuted. Zero differing bits, or the first row that differs.

# %%
from strategies.common.certify import certify
from strategies.common.load import load_strategy

certificate = certify(load_strategy("ma_cross"), rows=2_000, chunkings=20)
print(certificate.line())
certificate.warmup

# %% [markdown]
# What the proof is made of, by hand: the same call over the whole table, and row by row inside a stream.

# %%
import numpy as np

from strategies.common.stream import Stream

whole = signals(bars)
stream, entries = Stream(), []
for t in range(500):
    with stream:
        entries.append(signals(bars.rows(t, t + 1)).entries)
bool((np.concatenate(entries) == whole.entries[:500]).all())
