# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # From notebook to paper
#
# The whole way once: a function written here becomes a file, the file is certified, an account file names it, and a
# live process trades it on paper. Then its journal is compared with the backtest, order by order and bit by bit. The
# market is **simulated**; the process is the one that would trade.

# %% [markdown]
# ## 1. The function, tried here

# %%
from backtests.engine import run_backtest
from data.sources.simulated import market
from strategies.indicators import atr, crossed_above, ema
from strategies.types import Bars, Book, Signals


def signals(bars: Bars, book: Book, *, fast: int = 10, slow: int = 40, lean: float = 0.05) -> Signals:
    above = crossed_above(ema(bars.close, fast), ema(bars.close, slow))
    below = crossed_above(ema(bars.close, slow), ema(bars.close, fast))
    return Signals(
        entries=above & (book.imbalance > lean),
        exits=below,
        stop=3.0 * atr(bars.high, bars.low, bars.close, 14),
    )


bars, book = market(sessions=3, seed=11, clock="1m")
first_try = run_backtest(bars, signals, book=book)
print(f"{len(first_try.trades)} trades, {first_try.metrics['total_return']:+.2%} (simulated market)")

# %% [markdown]
# ## 2. The file
#
# A notebook cannot trade: there is no file whose hash could be certified. `inspect` writes the function down as it
# stands; what a strategy needs beside it are its imports, its clock and its rule. In a checkout this file goes into
# `strategies/`.

# %%
import inspect
import tempfile
from pathlib import Path

folder = tempfile.TemporaryDirectory()
here = Path(folder.name)
HEAD = '''"""Buy the crossing of two means where the book leans to the bid."""

from strategies.common.rule import Rule
from strategies.indicators import atr, crossed_above, ema
from strategies.types import Bars, Book, Signals

CLOCK = "1m"
RULE = Rule(size=0.2, stops="touch")


'''
_ = (here / "leaning.py").write_text(HEAD + inspect.getsource(signals))

# %% [markdown]
# ## 3. The certificate
#
# By the door this time, as a script or CI would: `python -m strategies certify FILE` ends with 0, or with 3 and the
# first row that differs.

# %%
import subprocess
import sys


def door(room: str, *arguments: str) -> str:
    """`python -m room ...`; what it prints."""
    command = [sys.executable, "-m", room, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  ourselves
    print(f"$ python -m {room} {' '.join(arguments)}".replace(f"{folder.name}/", ""))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.replace(f"{folder.name}/", "")


print(door("strategies", "certify", str(here / "leaning.py"), "--rows", "2000", "--chunkings", "20"))

# %% [markdown]
# ## 4. The account
#
# One TOML file: who trades what, with which rule and costs, where the journal lies. Never a secret. `broker =
# "paper"` fills by the backtest's own cost model; `trading = false` is the default everywhere.

# %%
ACCOUNT = f"""name = "notebook"
strategy = "leaning.py"        # beside this file
broker = "paper"
state = "{here}"           # folder of the lock
cash = 100_000

[params]
lean = 0.1

[rule]
max_positions = 2

[costs]
slippage_bps = 1.0
"""
_ = (here / "account.toml").write_text(ACCOUNT)

# %% [markdown]
# ## 5. The session
#
# A tape plays the market to the live process row by row (`--speed 0`: as fast as it goes, `1`: as it happened). The
# process loads neither pandas nor numba; it runs the steps of the same file in CPython, writes every event and
# command to its journal and decides in microseconds.

# %%
from data.tape import write_tape

tape, journal = here / "market.parquet", here / "notebook.journal"
write_tape(tape, bars, book, clock="1m", source="simulated, seed 11", simulated=True)
print(door("live", "run", str(here / "account.toml"), "--replay", str(tape), "--speed", "0", "--journal", str(journal)))

# %% [markdown]
# ## 6. The comparison
#
# The backtest with the account's own parameters, rule and costs, against what the journal says: time, symbol,
# quantity, reason, price and fee of every order. Prices are compared with all their bits.

# %%
import json

import pandas as pd

from strategies.common.costs import Costs
from strategies.common.load import load_strategy

strategy = load_strategy(here / "leaning.py")
result = run_backtest(
    bars,
    strategy,
    {"lean": 0.1},
    Costs(slippage_bps=1.0),
    book=book,
    rule=strategy.rule.changed({"max_positions": 2}),
)
paper = pd.DataFrame(json.loads(door("live", "show", str(journal), "--json"))["orders"])
backtest = result.orders_frame

columns = {
    "decided": (backtest["decided"].astype("int64"), paper["decided"]),
    "symbol": (backtest["symbol"], paper["symbol"]),
    "quantity": (backtest["quantity"], paper["quantity"].abs()),
    "reason": (backtest["reason"], paper["reason"]),
    "filled": (backtest["filled"].astype("int64").clip(lower=0), paper["filled"]),
    "price": (backtest["price"], paper["price"].astype(float)),
    "fee": (backtest["fee"].fillna(0), paper["fee"]),
}
assert len(backtest) == len(paper)
differ = {name: int((~((a == b) | (a.isna() & b.isna()))).sum()) for name, (a, b) in columns.items()}
pd.DataFrame({"orders compared": len(paper), "orders that differ": differ})

# %%
assert not any(differ.values())
lines = pd.DataFrame({"backtest": backtest["price"], "paper": paper["price"].astype(float)}).dropna().head(5)
lines.insert(0, "order", backtest["side"] + " " + backtest["symbol"] + ", " + backtest["reason"])
lines.style.format({"backtest": float.hex, "paper": float.hex}).hide().set_caption("prices, every bit of them")

# %% [markdown]
# ## 7. The journal replays
#
# A fresh core is stepped through the recorded events and must give the recorded commands, byte for byte. A restart
# after a crash is this, and then a reconciliation with the broker.

# %%
print(door("live", "replay", str(journal), "--strategy", str(here / "leaning.py")))

# %%
import matplotlib.pyplot as plt
import numpy as np

from backtests.plots import BLUE, GREY, ORANGE

fills = paper[paper["filled"] > 0]
row = np.searchsorted(bars.ts, fills["filled"])
spent = pd.Series(-fills["quantity"] * fills["price"].astype(float) - fills["fee"]).groupby(row).sum()
cash = 100_000 + spent.reindex(range(len(bars)), fill_value=0.0).cumsum()
figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
axes.plot(result.cash, color=GREY, linewidth=4, alpha=0.5, label="backtest: cash")
axes.plot(cash, color=ORANGE, linewidth=1, label="paper: cash, from the journal's fills")
axes.plot(result.equity, color=BLUE, linewidth=1, label="backtest: equity")
axes.set(xlabel="row (minute of three sessions)", ylabel="dollars")
axes.grid(alpha=0.25)
legend = axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
folder.cleanup()
