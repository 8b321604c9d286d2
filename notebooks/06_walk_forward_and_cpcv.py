# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Walk-forward and CPCV
#
# A parameter set that was chosen on a history cannot be judged by it. Walk-forward chooses on the past and judges on
# what came after, as one would have had to. Combinatorial purged cross-validation (CPCV) makes many such histories
# out of one. Prices are **real** daily ones (Quandl WIKI, public domain) of four survivors; the rule is long-only.

# %%
from data.sources.sample import load
from research.table import full_grid, table_of
from strategies.common.load import load_strategy

bars = load(["AAPL", "GOOG", "IBM", "MSFT"], start="2005-01-03")
strategy = load_strategy("ma_cross")
grid = {"fast": range(5, 60, 5), "slow": range(20, 240, 20)}
sets = [values for values in full_grid(strategy, grid) if values["fast"] < values["slow"]]
table = table_of(strategy, bars, sets)
f"{len(table.sets)} sets, {len(table.sessions)} sessions each"

# %% [markdown]
# Every set is run once over the whole history and its session returns are kept: one table, read by all that follows.
# That is allowed because signals are causal, which the certificate says.
#
# ## Walk-forward
#
# Six folds: the set with the highest Sharpe ratio of the training stretch trades the stretch after it. `purge` drops
# the sessions before each test that an open position could connect with it.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from backtests.plots import BLUE, GREY, ORANGE, RED
from research.splits import walk_forward

days = pd.to_datetime(table.sessions.astype(str))
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True, layout="constrained")
for plot, anchored, title in ((axes[0], False, "rolling"), (axes[1], True, "anchored")):
    for fold, (train, test) in enumerate(walk_forward(len(days), 6, anchored=anchored, purge=10)):
        plot.barh(fold, days[train[-1]] - days[train[0]], left=days[train[0]], color=GREY, height=0.6)
        plot.barh(fold, days[test[-1]] - days[test[0]], left=days[test[0]], color=ORANGE, height=0.6)
    plot.set(title=f"{title}: grey chooses, orange judges", xlabel="session", yticks=range(6))
axes[0].set_ylabel("fold")
axes[0].invert_yaxis()

# %%
from research.walkforward import combinatorial_test, walk_forward_test

done = walk_forward_test(table, 6)
folds = pd.DataFrame(
    {
        "judged": [f"{fold.first} to {fold.last}" for fold in done.folds],
        "fast": [table.sets[fold.chosen]["fast"] for fold in done.folds],
        "slow": [table.sets[fold.chosen]["slow"] for fold in done.folds],
        "Sharpe where chosen": [fold.inside for fold in done.folds],
        "Sharpe where judged": [fold.outside for fold in done.folds],
    }
)
folds.style.format(precision=2).hide()

# %% [markdown]
# `efficiency` is the Sharpe ratio judged over the one chosen. Below 1 is normal, for the choice flatters itself; near
# 0 means that the past said nothing.

# %%
best = int(np.argmax(table.sharpes()))
in_hindsight = table.returns[len(table.sessions) - len(done.returns) :, best]
figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
when = days[-len(done.returns) :]
for returns, colour, name in (
    (in_hindsight, GREY, f"best set in hindsight: {table.sets[best]}"),
    (done.returns, BLUE, f"walk-forward, no session seen by its choice: Sharpe {done.sharpe:.2f}"),
):
    axes.plot(when, 100 * (np.cumprod(1 + returns) - 1), color=colour, label=name)
for fold in done.folds:
    axes.axvline(pd.Timestamp(str(fold.first)), color=GREY, linewidth=0.6, linestyle=":")
axes.set(xlabel="session", ylabel="return since the first test, %", title=f"efficiency {done.efficiency:.2f}")
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False)

# %% [markdown]
# ## One history is one sample
#
# Walk-forward has one path, in the one order that happened. CPCV cuts the history into 8 groups and tests every pair
# of them on a choice made from the other six, purged, with an embargo after each test. The 28 splits combine into 7
# full paths in which no session was judged by a choice that saw it.

# %%
from matplotlib.colors import ListedColormap

from research.splits import combinatorial

GROUPS, TESTS = 8, 2
picture = np.zeros((28, len(days)))
for number, (_, split) in enumerate(combinatorial(len(days), GROUPS, TESTS, purge=10, embargo=1)):
    picture[number, split.train], picture[number, split.test] = 1, 2
figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
axes.pcolormesh(days, np.arange(28), picture, cmap=ListedColormap([RED, "#d9d9d9", ORANGE]), shading="nearest")
axes.set(xlabel="session", ylabel="split", title="grey chooses, orange judges, red is purged")
axes.invert_yaxis()

# %%
paths = combinatorial_test(table, GROUPS, TESTS)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=[2, 1], layout="constrained")
for row in paths.returns:
    left.plot(days, 100 * (np.cumprod(1 + row) - 1), color=BLUE, alpha=0.5, linewidth=1)
left.set(xlabel="session", ylabel="return, %", title=f"{len(paths.sharpes)} paths")
chosen = table.sharpes()[best]
right.plot(paths.sharpes, np.zeros(len(paths.sharpes)), "o", color=BLUE, label="a path")
right.plot([done.sharpe], [0.3], "s", color=ORANGE, label="walk-forward")
right.plot([chosen], [0.6], "D", color=GREY, label="best set in hindsight")
right.set(xlabel="Sharpe ratio a year", ylim=(-0.5, 1.6), yticks=[])
right.legend(frameon=False)
for axes in (left, right):
    axes.grid(alpha=0.25)
print(f"paths: Sharpe {paths.sharpes.min():.2f} to {paths.sharpes.max():.2f}, {paths.losing:.0%} of them losing")

# %% [markdown]
# The spread of the paths is what the one Sharpe ratio of a backtest hides. Before anyone is impressed: long-only, in
# four stocks that we know did well. What the same rule owes to that shows when its entries come at other times.

# %%
from backtests.engine import run_backtest
from research.stress import random_entries

result = run_backtest(bars, strategy, table.sets[best])
null = random_entries(result, draws=200, seed=1)
figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
axes.hist(null.sharpes, 30, color=GREY, alpha=0.6, label="same trades, other moments")
axes.axvline(null.own, color=BLUE, label=f"best set in hindsight, p = {null.p_value:.3f}")
axes.set(xlabel="Sharpe ratio a year", ylabel="draws")
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False)
