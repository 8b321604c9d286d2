# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Costs and slippage
#
# What an intraday strategy earns before costs is rarely the question. Here: what one fill is made of, how the return
# falls as costs rise, where it breaks even, and what the order book's own spread changes against a fixed one.
#
# The market is **simulated**, an order book of three symbols over twenty sessions. Its numbers show how costs work, not
# what these strategies earn.

# %%
from backtests.engine import run_backtest
from data.sources.simulated import market

bars, book = market(sessions=20, seed=3, clock="1m")
NAMES = ("order_flow", "momentum", "opening_range")
results = {name: run_backtest(bars, name, book=book) for name in NAMES}
bars

# %% [markdown]
# ## One fill
#
# A decision at a row's close meets the next row's open, the **reference**. The fill is worse by
#
# * half of the quoted spread, from the book of the last row before the fill (`half_spread_bps` where there is none),
# * slippage, 0.5 bps unless said otherwise,
# * impact, 10 bps times the square root of quantity over the row's volume,
#
# and sales pay the SEC's and FINRA's fees of the day. The same function prices paper fills live.

# %%
import pandas as pd

fill = results["order_flow"].orders_frame.dropna(subset="price").iloc[0]
worse = (fill.price - fill.reference) * (1 if fill.side == "buy" else -1)
shown = fill.drop(["decided", "filled"])
shown["decided, filled"] = f"{fill.decided:%H:%M}, {fill.filled:%H:%M} UTC"
shown["worse than the reference, bps"] = round(1e4 * worse / fill.reference, 2)
shown.to_frame("first fill")

# %% [markdown]
# All market orders and stops, cost by cost. The parts are computed here from the book and the model's formula; the
# `assert` says that their sum is what the engine charged, fill by fill. (A target is a limit order: it is filled at its
# level and pays fees only.)

# %%
import matplotlib.pyplot as plt
import numpy as np

from backtests.plots import BLUE, GREEN, GREY, ORANGE, RED
from strategies.common.costs import Costs
from strategies.common.position import REASONS

costs = Costs()


def parts(result) -> pd.DataFrame:
    """A row per fill: its costs by part, in bps of its notional."""
    f = result.fills[result.fills["reason"] != REASONS.index("target")]
    row, column, quantity = f["filled"] - 1, f["column"], np.abs(f["quantity"])
    spread = pd.DataFrame(book.spread).ffill().to_numpy()[row, column]
    made_of = pd.DataFrame({"half spread": 1e4 * 0.5 * spread / f["reference"]})
    made_of["slippage"] = costs.slippage_bps
    made_of["impact"] = costs.impact_bps * np.sqrt(quantity / bars.volume[row, column])
    charged = 1e4 * np.abs(f["price"] / f["reference"] - 1)
    assert np.allclose(made_of.sum(axis=1), charged)
    made_of["SEC and FINRA fees"] = 1e4 * f["fee"] / (quantity * f["price"])
    return made_of


table = pd.DataFrame({name: parts(result).mean() for name, result in results.items()}).T
table.assign(sum=table.sum(axis=1)).style.format("{:.2f}").set_caption("mean over fills, bps")

# %%
figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
left = np.zeros(len(table))
for part, colour in zip(table.columns, (BLUE, ORANGE, GREEN, GREY), strict=True):
    axes.barh(table.index, table[part], left=left, color=colour, label=part)
    left += table[part].to_numpy()
axes.set(xlabel="mean cost of a fill, bps of its notional")
axes.invert_yaxis()
axes.grid(axis="x", alpha=0.25)
legend = axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))

# %% [markdown]
# ## The cost curve and the break-even
#
# Every cost but the regulatory fees times a factor. The run at factor 0 is the edge, the slope is the turnover, and the
# **break-even** is the factor at which nothing is left. A break-even below 1 loses money; one near 1 lives on the
# assumption that costs are known to a few percent, and they never are.

# %%
from backtests.cost_parts import break_even_cost, cost_curve

factors = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
curves = {name: [100 * total for _, total in cost_curve(r, factors)] for name, r in results.items()}
break_even = {name: break_even_cost(result) for name, result in results.items()}

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
for name, colour in zip(NAMES, (BLUE, RED, GREEN), strict=True):
    label = f"{name}, even at {break_even[name]:.2f}"
    axes.plot(factors, curves[name], marker="o", color=colour, label=label)
    if break_even[name] <= factors[-1]:
        axes.plot(break_even[name], 0, marker="|", markersize=18, markeredgewidth=2, color=colour)
axes.axhline(0, color=GREY, linewidth=0.8)
axes.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
axes.set(xlabel="costs, multiple of the model's", ylabel="total return, %")
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False)

# %%
summary = pd.DataFrame(
    {
        "break-even, times": break_even,
        "turnover a year, times": {name: result.metrics["turnover"] for name, result in results.items()},
        "costs paid, $": {name: result.metrics["total_costs_paid"] for name, result in results.items()},
        "return, %": {name: 100 * result.metrics["total_return"] for name, result in results.items()},
    }
)
summary.style.format("{:,.2f}")

# %% [markdown]
# ## The book's spread against a fixed one
#
# A fixed half-spread is the same at the open, at noon and in a fast market. The book's is not, and a strategy does not
# trade at average moments.

# %%
rows = 1e4 * 0.5 * (book.spread / book.mid)
fills = results["order_flow"].fills
paid = rows[fills["filled"] - 1, fills["column"]]
edges = np.arange(0, 4.01, 0.1)
figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
for values, colour, name in ((rows, GREY, "all rows"), (paid, BLUE, "rows in which order_flow traded")):
    known = values[np.isfinite(values)]
    share = np.full(len(known), 100 / len(known))
    label = f"{name}: mean {known.mean():.2f} bps"
    axes.hist(known, edges, weights=share, color=colour, alpha=0.6, label=label)
axes.axvline(costs.half_spread_bps, color=RED, linestyle="--", label="fixed default, where there is no book")
axes.set(xlabel="half of the quoted spread, bps of the mid", ylabel="share of rows, %")
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False)

# %%
models = {
    "book": Costs(),
    "fixed 1.0 bps": Costs(use_book=False, half_spread_bps=1.0),
    "fixed 0.5 bps": Costs(use_book=False, half_spread_bps=0.5),
    "no spread at all": Costs(use_book=False, half_spread_bps=0.0),
}


def return_pct(name: str, **changes) -> float:
    """Total return, %."""
    return 100 * run_backtest(bars, name, book=book, **changes).metrics["total_return"]


runs = {model: {name: return_pct(name, costs=c) for name in NAMES} for model, c in models.items()}
pd.DataFrame(runs).T.style.format("{:+.2f}").set_caption("total return, %, by where the half-spread comes from")

# %% [markdown]
# ## Fees have dates
#
# The SEC's fee on sales went from 8 to 27.80 dollars a million and to 0 within two years. A constant would be wrong
# on most sessions of a long backtest.

# %%
from strategies.common.costs import SEC_SECTION_31, fill_fee

first, rate = zip(*SEC_SECTION_31, (20261231, SEC_SECTION_31[-1][1]), strict=True)
figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
axes.step(pd.to_datetime([str(day) for day in first]), rate, where="post", color=BLUE)
axes.set(xlabel="session", ylabel="dollars per million sold", title="SEC Section 31 fee")
axes.grid(alpha=0.25)

# %%
for session in (20240102, 20240603, 20250602):
    fee = fill_fee(-1.0, 500.0, 100.0, costs.knobs(session))
    print(f"500 shares sold at 100 on {session}: {fee:.4f} dollars")

# %% [markdown]
# ## Size
#
# Impact grows with the square root of the share of volume taken, so what works with a hundred thousand dollars need not
# work with ten million. `capacity` is the cash at which 95 % of the fills stay below 1 % of their row's volume;
# the runs above took more than that.

# %%
from backtests.cost_parts import capacity

cash = (1e4, 1e5, 1e6, 1e7)
grown = {name: [return_pct(name, cash=c) for c in cash] for name in NAMES}
figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
for name, colour in zip(NAMES, (BLUE, RED, GREEN), strict=True):
    label = f"{name}, capacity ${capacity(results[name]):,.0f}"
    axes.plot(cash, grown[name], marker="o", color=colour, label=label)
axes.axhline(0, color=GREY, linewidth=0.8)
axes.set(xscale="log", xlabel="cash at the start, dollars (log scale)", ylabel="total return, %")
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False)
