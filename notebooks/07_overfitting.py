# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Overfitting
#
# Whoever tries enough finds something. These are the questions that tell a find from luck, asked twice: on a market
# in which there is nothing to find, and on one with an edge that we planted. Both are **made up**, so that the right
# answer is known.

# %%
import numpy as np

from data.sources.sample import load
from data.types import Bars

calendar = load(["IBM"])  # real sessions, made-up prices


def made_up(seed: int, edge: float) -> Bars:
    """Random walks of three symbols; `edge` (in deviations) pushes each up or down, 80 sessions on average."""
    random = np.random.default_rng(seed)
    shape = (len(calendar), 3)
    mood = np.where(np.cumsum(random.random(shape) < 1 / 80, axis=0) % 2 == 0, 1.0, -1.0)
    close = 50 * np.exp(np.cumsum(0.012 * (random.standard_normal(shape) + edge * mood), axis=0))
    open_ = np.vstack([np.full((1, 3), 50.0), close[:-1]])
    high, low = 1.002 * np.maximum(open_, close), 0.998 * np.minimum(open_, close)
    times = (calendar.session, calendar.since_open, calendar.to_close)
    return Bars(("X", "Y", "Z"), calendar.ts, open_, high, low, close, np.full(shape, 1e6), *times)


NOTHING, PLANTED = made_up(0, edge=0.0), made_up(0, edge=0.2)

# %% [markdown]
# One family, the crossing of two means, and a grid of it on each market. In both, the winner has a fine equity curve.

# %%
import matplotlib.pyplot as plt
import pandas as pd

from backtests.plots import GREEN, GREY, RED
from research.table import full_grid, table_of
from strategies.common.load import load_strategy

strategy = load_strategy("ma_cross")
grid = {"fast": range(5, 50, 5), "slow": range(20, 200, 20)}
sets = [values for values in full_grid(strategy, grid) if values["fast"] < values["slow"]]
tables = {"nothing": table_of(strategy, NOTHING, sets), "planted": table_of(strategy, PLANTED, sets)}

days = pd.to_datetime(calendar.session.astype(str))
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for plot, (name, table), colour in zip(axes, tables.items(), (RED, GREEN), strict=True):
    best = int(np.argmax(table.sharpes()))
    curves = 100 * (np.cumprod(1 + table.returns, axis=0) - 1)
    plot.plot(days, curves, color=GREY, alpha=0.25, linewidth=0.6)
    plot.plot(days, curves[:, best], color=colour, label=f"winner, Sharpe {table.sharpes()[best]:.2f}")
    plot.set(xlabel="session", ylabel="return, %", title=f"{name}: {len(sets)} sets")
    plot.legend(frameon=False)
    plot.grid(alpha=0.25)

# %% [markdown]
# ## The probability of backtest overfitting
#
# PBO by combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado, Zhu 2017): in how many of 12,870
# splits does the in-sample winner end at or below the out-of-sample median? Without skill it is a coin.

# %%
from research.overfitting import probability_of_overfitting

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharex=True, layout="constrained")
for plot, (name, table), colour in zip(axes, tables.items(), (RED, GREEN), strict=True):
    found = probability_of_overfitting(table.returns, blocks=16)
    plot.hist(found.logits, 40, color=colour, alpha=0.6)
    plot.axvline(0, color=GREY, linestyle="--")
    plot.set(xlabel="logit of the winner's rank out of sample", ylabel="splits")
    plot.set_title(f"{name}: PBO {found.probability:.2f}, winner lost in {found.loss:.0%}")
    plot.grid(alpha=0.25)

# %% [markdown]
# ## The deflated Sharpe ratio
#
# The best of N lucky strategies has a Sharpe ratio that can be computed (Bailey, Lopez de Prado 2014). The deflated
# ratio is the probability that the winner's true one is above that. Below 0.95 it is not told apart from luck.

# %%
from backtests import metrics
from research.bootstrap import best_of_many
from research.deflation import deflated_sharpe, expected_max_sharpe, minimum_track_record


def deflated(table, trials: int | None = None, variance: float | None = None) -> dict[str, float]:
    """The winner of a table against the best of `trials` lucky ones; by default the table's own sets."""
    sharpes = table.sharpes() / np.sqrt(252)
    returns = table.returns[:, int(np.argmax(sharpes))]
    trials = len(table.sets) if trials is None else trials
    variance = float(np.var(sharpes, ddof=1)) if variance is None else variance
    sharpe, moments = metrics.sharpe_ratio(returns, 1.0), metrics.moments(returns)
    return {
        "winner's Sharpe a year": sharpe * np.sqrt(252),
        "expected of the luckiest": expected_max_sharpe(trials, variance) * np.sqrt(252),
        "deflated Sharpe": deflated_sharpe(sharpe, len(returns), *moments, trials=trials, variance=variance),
        "sessions had": len(returns),
        "sessions needed": minimum_track_record(sharpe, *moments),
        "SPA p-value": best_of_many(table.returns, draws=500, seed=1).spa,
    }


pd.DataFrame({name: deflated(table) for name, table in tables.items()}).style.format("{:,.3f}")

# %% [markdown]
# The sets of one grid are much alike, so their Sharpe ratios spread little and the bar that luck sets is low: the
# figure for nothing is on the flattering side, and still below 0.95. Beside it the record length that would convince
# with 95 % had nothing else been tried, and Hansen's test for superior predictive ability (SPA), which asks the whole
# family.
#
# ## Luck of entry
#
# The winner's own trades at other moments: same number, same holding times, same rule and costs. If other moments do
# as well, the moments were not the reason.

# %%
from backtests.engine import run_backtest
from research.stress import random_entries

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharex=True, layout="constrained")
markets = {"nothing": NOTHING, "planted": PLANTED}
for plot, (name, table), colour in zip(axes, tables.items(), (RED, GREEN), strict=True):
    winner = run_backtest(markets[name], strategy, table.sets[int(np.argmax(table.sharpes()))])
    null = random_entries(winner, draws=200, seed=1)
    plot.hist(null.sharpes, 25, color=GREY, alpha=0.6)
    plot.axvline(null.own, color=colour)
    plot.set(xlabel="Sharpe ratio a year", ylabel="draws", title=f"{name}: p = {null.p_value:.3f}")
    plot.grid(alpha=0.25)

# %% [markdown]
# ## The trial ledger
#
# Deflation is only as honest as the count. The ledger is a file that keeps every trial of a family for its lifetime,
# also of sweeps that found nothing; triggers refuse to change or delete a row. Here the same idea is tried on and on,
# with other grids of which only the winner would be told:

# %%
import sqlite3
import tempfile
import time
from pathlib import Path

from data.tape import content_hash
from research.ledger import Ledger, Trial

folder = tempfile.TemporaryDirectory()
ledger = Ledger(Path(folder.name) / "trials.sqlite")
dataset, steps = content_hash(NOTHING), []
for first in (2, 3, 4):
    more = full_grid(strategy, {"fast": range(first, 20, 3), "slow": range(20 + first, 120, 20)})
    table = table_of(strategy, NOTHING, more)
    ledger.record(
        [
            Trial("ma_cross", strategy.source_hash, values, dataset, len(table.sessions), sharpe, {}, "notebook")
            for values, sharpe in zip(table.sets, (table.sharpes() / np.sqrt(252)).tolist(), strict=True)
        ],
        at_ns=time.time_ns(),
    )
    family = ledger.family("ma_cross")
    told = deflated(table, trials=family.distinct, variance=family.variance)
    steps.append({"trials in the ledger": family.distinct} | {k: told[k] for k in list(told)[:3]})
pd.DataFrame(steps).style.format(precision=3).hide()

# %%
try:
    with sqlite3.connect(ledger.path) as db:
        db.execute("DELETE FROM trials WHERE sharpe < 0.01")
except sqlite3.IntegrityError as error:
    print("the losers cannot be forgotten:", error)
folder.cleanup()

# %% [markdown]
# ## Was this one seed?
#
# A demonstration can be overfitted too. The same two questions on ten markets of each kind:

# %%
small = [values for values in sets if values["fast"] % 10 == 5]
answers = []
for kind, edge in (("nothing", 0.0), ("planted", 0.2)):
    for seed in range(10):
        table = table_of(strategy, made_up(100 + seed, edge), small)
        pbo = probability_of_overfitting(table.returns, blocks=12).probability
        answers.append({"market": kind, "PBO": pbo} | deflated(table))
answers = pd.DataFrame(answers)

figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
for kind, colour, marker in (("nothing", RED, "x"), ("planted", GREEN, "o")):
    some = answers[answers["market"] == kind]
    axes.plot(some["PBO"], some["deflated Sharpe"], marker, color=colour, label=kind)
axes.axhline(0.95, color=GREY, linestyle=":")
axes.axvline(0.5, color=GREY, linestyle=":")
axes.set(xlabel="probability of overfitting", ylabel="deflated Sharpe ratio", xlim=(-0.02, 1))
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False, title="market")
passed = answers[(answers["deflated Sharpe"] > 0.95) & (answers["PBO"] < 0.5)].groupby("market").size()
print("pass both:", {kind: int(passed.get(kind, 0)) for kind in ("nothing", "planted")}, "of 10 each")

# %% [markdown]
# An empty market can get through: two thresholds make luck rare, not impossible, and on ten markets it may well be
# met. That is why there are more questions, and why a sealed end of the data and a paper session come after them.
# `python -m research validate NAME` asks fifteen, each with a threshold, and writes every set it runs into the
# ledger.
