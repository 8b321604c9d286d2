# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Sweep and surface
#
# Many parameter sets at once, and how to read what comes back: as a surface, not as a winner. Prices are **real** daily
# ones (Quandl WIKI, public domain), and the four stocks are survivors, which flatters every long-only rule. Nothing
# below is a recommendation.

# %%
from data.sources.sample import load
from research.sweep import sweep

bars = load(["AAPL", "GOOG", "IBM", "MSFT"], start="2005-01-03")
grid = {"fast": "2:60:2", "slow": "20:240:5"}
found = sweep("ma_cross", bars, grid=grid, constraint="fast < slow", threads=2)
found

# %% [markdown]
# The strategy is the file that trades, called once a set; the row of a set is the backtest of that set, bit for bit:

# %%
from backtests.engine import run_backtest

best = found.best()
alone = run_backtest(bars, "ma_cross", best.params)
assert best.numbers["sharpe"] == alone.metrics["sharpe_ratio"]
print(best.params, f"Sharpe ratio {best.numbers['sharpe']:.4f}, {best.numbers['trades']:.0f} trades")

# %%
found.top(5)[["sharpe", "total_return", "max_drawdown", "trades", "turnover"]]

# %% [markdown]
# ## The surface
#
# Two parameters against the Sharpe ratio. A top worth having is a plateau: its neighbours are nearly as high. A lone
# peak is the set that happened to fit.

# %%
import matplotlib.pyplot as plt
import numpy as np

from backtests.plots import BLUE, GREY, RED

surface = found.surface("fast", "slow")
figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
mesh = axes.pcolormesh(surface.columns, surface.index, surface, cmap="cividis", shading="nearest")
axes.plot(best.params["fast"], best.params["slow"], "o", color="white", markeredgecolor="black", label="highest")
axes.set(xlabel="fast, sessions", ylabel="slow, sessions", title="ma_cross, real daily prices")
figure.colorbar(mesh, ax=axes, label="Sharpe ratio a year")
legend = axes.legend(frameon=True, loc="lower right")

# %% [markdown]
# The same in numbers. `plateau` compares a set with its one-step neighbours: a score of 1 is a plain, and `edge` says
# that the grid ended where the best set lay, so that nobody knows what came behind it.

# %%
from research.table import full_grid, table_of
from research.walkforward import plateau
from strategies.common.load import load_strategy

sharpes = found.column("sharpe")[:, 0]
print(f"{len(found):,} sets: lowest {np.nanmin(sharpes):.2f}, median {np.nanmedian(sharpes):.2f}, ", end="")
print(f"highest {np.nanmax(sharpes):.2f}")

strategy = load_strategy("ma_cross")
grid = {"fast": range(2, 61, 6), "slow": range(20, 241, 20)}
sets = [values for values in full_grid(strategy, grid) if values["fast"] < values["slow"]]
table = table_of(strategy, bars, sets)
plateau(table, int(np.argmax(table.sharpes())))

# %% [markdown]
# ## What the highest of many is worth
#
# The highest of a thousand draws is high without any skill. Here the same sweep runs on prices of **no use**: each
# stock's sessions shuffled, so that volatility and drift stay and every pattern in time is gone.

# %%
from data.types import Bars


def shuffled(bars: Bars, seed: int) -> Bars:
    """The same sessions in another order; each keeps its gap and its range relative to the close before."""
    order = np.random.default_rng(seed).permutation(len(bars) - 1) + 1
    before = bars.close[order - 1]
    close = np.vstack([bars.close[:1], bars.close[:1] * np.cumprod(bars.close[order] / before, axis=0)])
    moved = {
        name: np.vstack([getattr(bars, name)[:1], close[:-1] * getattr(bars, name)[order] / before])
        for name in ("open", "high", "low")
    }
    return Bars(
        bars.symbols, bars.ts, **moved, close=close, volume=bars.volume,
        session=bars.session, since_open=bars.since_open, to_close=bars.to_close,
    )  # fmt: skip


small = {"fast": "2:60:4", "slow": "20:240:10"}
highest, middle = [], []
for seed in range(12):
    noise = sweep("ma_cross", shuffled(bars, seed), grid=small, constraint="fast < slow", threads=2)
    values = noise.column("sharpe")[:, 0]
    highest.append(np.nanmax(values))
    middle.append(np.nanmedian(values))

# %%
figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
axes.hist(sharpes[np.isfinite(sharpes)], 40, color=GREY, alpha=0.6, label="every set, real order")
for values, colour, name in (
    (middle, BLUE, "median of a shuffled sweep"),
    (highest, RED, "highest of a shuffled sweep"),
):
    axes.plot(values, np.full(len(values), -8), "|", markersize=14, markeredgewidth=2, color=colour, label=name)
axes.axhline(0, color=GREY, linewidth=0.8)
axes.set(xlabel="Sharpe ratio a year", ylabel="sets (marks: one sweep each)", ylim=(-16, None))
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False)
print(f"highest with the real order {np.nanmax(sharpes):.2f}; with none: {min(highest):.2f} to {max(highest):.2f}")

# %% [markdown]
# The drift of four survivors alone gives a Sharpe ratio, and the best of a few hundred sets adds to it. Only what the
# real order has beyond the red marks can be a pattern in time; what of it would have been found beforehand is the
# subject of the next two notebooks.
#
# ## A search that draws
#
# A grid of eight parameters has no end. `search="random"` draws sets evenly; `search="tpe"` lets what came before
# choose what is tried next. `resume` keeps the sets in a file, and Ctrl-C keeps what is done.

# %%
ranges = {"fast": "2..60", "slow": "20..240"}
drawn = sweep("ma_cross", bars, grid=ranges, search="random", trials=200, constraint="fast < slow", seed=1, threads=2)
drawn.top(3)[["sharpe", "total_return", "trades"]]
