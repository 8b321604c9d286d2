# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Write a signal and certify it
#
# A strategy is one file with one function. This notebook writes one with an indicator of its own, certifies it, and
# then plants three mistakes that a backtest cannot see. Prices are **real** daily ones (Quandl WIKI, public
# domain); the certificate itself uses a random market with halts, gaps and lost books.

# %% [markdown]
# ## An indicator is one step
#
# Kaufman's efficiency ratio: the net move of the last n rows over the path walked, 0 to 1. A rolling step sees its
# window, oldest value first, and nothing else, so it cannot depend on where history begins. Numba compiles it into a
# loop for history; live, CPython runs the same function once per row.

# %%
from strategies.common.steps import Window, nan, rolling


@rolling
def efficiency(x: Window, n: int) -> float:
    """Net move over path walked (Kaufman 1995, "Smarter Trading")."""
    path = 0.0
    for i in range(1, n):
        path += abs(x[i] - x[i - 1])
    if path > 0.0:
        return abs(x[n - 1] - x[0]) / path
    return nan


# %%
from data.sources.sample import load

bars = load(["AAPL", "IBM", "MSFT"], start="2005-01-03")
ratio = efficiency(bars.close, 60)
ratio.shape, ratio[57:61, 0].round(4).tolist()

# %% [markdown]
# The first 59 rows are NaN: the window is not full, and a comparison with NaN is False. That is all the warm-up there
# is to write.

# %%
import matplotlib.pyplot as plt
import pandas as pd

from backtests.plots import BLUE, GREY

days = pd.to_datetime(bars.session.astype(str))
figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 4.8), sharex=True, layout="constrained")
top.plot(days, bars.close[:, 0], color=GREY, linewidth=1)
top.set(ylabel="AAPL close, adjusted, dollars")
bottom.plot(days, ratio[:, 0], color=BLUE, linewidth=1)
bottom.axhline(0.3, color=GREY, linestyle=":")
bottom.set(xlabel="session", ylabel="efficiency, 60 rows", ylim=(0, 1))
for axes in (top, bottom):
    axes.grid(alpha=0.25)

# %% [markdown]
# ## The file
#
# Parameters are keywords with a default; `Range` says what a sweep may try. In a checkout the file goes into
# `strategies/`, and its name is its name. Here it lies in a temporary folder.

# %%
import tempfile
from pathlib import Path

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "straight.py"
_ = file.write_text('''"""Buy a straight rise, leave when the path gets crooked."""

from typing import Annotated

from strategies.common.load import Range
from strategies.common.rule import Rule
from strategies.common.steps import Window, nan, rolling
from strategies.indicators import crossed_above, crossed_below, sma
from strategies.types import Bars, Signals

CLOCK = "1d"
RULE = Rule(size=0.3)


@rolling
def efficiency(x: Window, n: int) -> float:
    path = 0.0
    for i in range(1, n):
        path += abs(x[i] - x[i - 1])
    if path > 0.0:
        return abs(x[n - 1] - x[0]) / path
    return nan


def signals(
    bars: Bars,
    *,
    n: Annotated[int, Range(5, 250)] = 60,
    straight: Annotated[float, Range(0.0, 1.0)] = 0.3,
    crooked: Annotated[float, Range(0.0, 1.0)] = 0.1,
) -> Signals:
    ratio = efficiency(bars.close, n)
    rising = bars.close > sma(bars.close, n)
    return Signals(entries=crossed_above(ratio, straight) & rising, exits=crossed_below(ratio, crooked))
''')

# %%
from backtests.engine import run_backtest
from strategies.common.load import load_strategy

strategy = load_strategy(file)
result = run_backtest(bars, strategy)
figure = result.plot_trades("AAPL")
# %% [markdown]
# ## The certificate
#
# The function is run whole, over every prefix, row by row as live does, in random chunks, saved and restored, and with
# symbols permuted; each time in a world whose clocks leap and whose random numbers change. Every output and the final
# state of every indicator is compared, bit by bit.

# %%
from strategies.common.certify import certify

certificate = certify(strategy, rows=2_000, chunkings=20)
print(certificate.line())
pd.DataFrame([vars(check) for check in certificate.checks]).style.hide()

# %% [markdown]
# ## Three mistakes that a backtest does not see
#
# One takes tomorrow's close, one the mean of the whole sample, one keeps a memory of its own. All three run in a
# backtest without a complaint.

# %%
HEAD = """import numpy as np
from strategies.indicators import sma
from strategies.types import Signals

CLOCK = "1d"
"""
BODIES = {
    "peeks": """
def signals(bars, *, n: int = 5):
    tomorrow = np.full(bars.shape, np.nan)
    tomorrow[:-1] = bars.close[1:]
    return Signals(entries=tomorrow > bars.close, exits=tomorrow < bars.close)
""",
    "normalises": """
def signals(bars, *, high: float = 1.0):
    score = (bars.close - np.nanmean(bars.close, axis=0)) / np.nanstd(bars.close, axis=0)
    return Signals(entries=score < -high, exits=score > high)
""",
    "remembers": """
seen = []
def signals(bars, *, n: int = 5):
    seen.append(len(bars))
    up = bars.close > sma(bars.close, n)
    return Signals(entries=up & (len(seen) % 2 == 1), exits=~up)
""",
}


def written(name: str):
    path = Path(folder.name) / f"{name}.py"
    path.write_text(HEAD + BODIES[name])
    return load_strategy(path)


# %%
peeks = written("peeks")
peeked = run_backtest(bars, peeks)
figure = peeked.plot()
# %% [markdown]
# The best Sharpe ratio you will see today. The certificate names the first row at which knowing less changes the
# answer:

# %%
rejected = certify(peeks, rows=2_000, chunkings=20)
print(rejected.line())

# %% [markdown]
# The other two are subtler. A full-sample mean carries the future into every row; a list of one's own is no state that
# a restart could restore, and a second run already differs.

# %%
for name in ("normalises", "remembers"):
    print(certify(written(name), rows=2_000, chunkings=20).line(), end="\n\n")

# %% [markdown]
# `certificate.require()` raises with the same sentence, and live money needs a certificate of exactly this source,
# these parameters and this code:

# %%
folder.cleanup()
certificate.identity[:16], certificate.source[:16], certificate.code[:16]
