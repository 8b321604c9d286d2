"""The whole path once: real prices to a report, a simulated session to a paper journal, and the proof of equality.

Research may not import live, so the paper session is what it is for a user: a process, `python -m live run`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.errors import OnetapeError

ACCOUNT = """# A paper account of the demo. Money would need a broker, a certificate and `trading = true`.
name = "demo"
strategy = "momentum"
clock = "1m"
broker = "paper"
cash = 100000.0
"""


def run_demo(out: Path, *, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the demo into folder `out`; returns its figures, `ok` among them.

    Args:
        seed: of the simulated market.
        say: takes the lines for people.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    say("1  A backtest on real prices")
    real = _real_prices(out, say)
    say("\n2  The same kind of function on a simulated market with an order book, whole and row by row")
    paper = _paper_session(out, seed, say)
    ok = real["ok"] and paper["ok"]
    say(f"\n{'All of it agrees, to the last bit.' if ok else 'SOMETHING DIFFERS: see above.'}")
    return {"ok": ok, "real": real, "paper": paper}


def _real_prices(out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    from backtests.engine import run_backtest
    from data.sources.sample import load
    from strategies.common.certify import certify
    from strategies.common.load import load_strategy

    strategy = load_strategy("ma_cross")
    bars = load(start="2004-08-19")
    origin = {"source": "Quandl WIKI daily prices (public domain), adjusted", "simulated": False}
    result = run_backtest(bars, strategy, origin=origin)
    certificate = certify(strategy, rows=4_000, chunkings=50)
    judged = result.judge()
    report = result.report(out / "ma_cross.html", certificate=certificate, judge=judged)
    _say_result(say, "real daily prices, Quandl WIKI (public domain)", result, certificate, judged)
    say(f"   report        {report}")
    return _figures(result, certificate, judged) | {"report": str(report)}


def _paper_session(out: Path, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    from backtests.engine import run_backtest
    from backtests.rows import load_rows
    from backtests.session import first_difference, orders_of, orders_of_session
    from data.sources.simulated import market
    from data.tape import write_tape
    from strategies.common.certify import certify
    from strategies.common.load import load_strategy

    strategy = load_strategy("momentum")
    bars, book = market(symbols=("AAA", "BBB", "CCC"), sessions=5, seed=seed, clock=strategy.clock)
    tape, journal, account = out / "market.parquet", out / "demo.journal", out / "demo.toml"
    write_tape(tape, bars, book, clock=strategy.clock, source=f"simulated, seed {seed}", simulated=True)
    account.write_text(ACCOUNT)
    result = run_backtest(bars, strategy, book=book, origin=load_rows(str(tape)).origin)
    certificate = certify(strategy, rows=4_000, chunkings=50)
    judged = result.judge()
    _say_result(say, f"SIMULATED intraday market, seed {seed}", result, certificate, judged)

    session = _live("run", str(account), "--replay", str(tape), "--speed", "0", "--journal", str(journal), "--json")
    orders = _live("show", str(journal), "--json")
    replay = _live("replay", str(journal), "--json")
    unequal = first_difference(orders_of(result), orders_of_session(orders))
    same = unequal == ""
    paper = {"rows": session["rows"], "equal": same, "decisions": len(result.orders), "journal": journal.name}
    report = result.report(out / "momentum.html", certificate=certificate, judge=judged, paper=paper)
    say(
        f"   paper session {session['rows']:,} rows one by one, {len(orders['orders'])} decisions: "
        f"{'equal to the backtest, every bit' if same else 'DIFFERENT: ' + unequal}"
    )
    told = "byte for byte" if replay["same"] else "DIFFERENT"
    say(f"   replay        {replay['commands']:,} commands from the journal, {told}")
    say(f"   report        {report}\n   journal       {journal}")
    figures = _figures(result, certificate, judged)
    return figures | {
        "ok": figures["ok"] and same and bool(replay["same"]),
        "decisions_equal": same,
        "report": str(report),
        "journal": str(journal),
        "session": session,
    }


def _say_result(say: Callable[[str], None], source: str, result: Any, certificate: Any, judged: Any) -> None:
    stats = result.stats()
    rows, symbols = result.bars.shape
    say(f"   data          {source}: {', '.join(result.bars.symbols)}, {rows:,} rows x {symbols}")
    say(f"   strategy      {result.strategy} {json.dumps(result.params)}")
    say(
        f"   return        {stats['Total Return [%]']:.2f} %   max drawdown {stats['Max Drawdown [%]']:.2f} %   "
        f"Sharpe {stats['Sharpe Ratio']:.2f}   trades {stats['Total Trades']}"
    )
    say(f"   certificate   {certificate.line()}")
    say(f"   vectorbt      equity of the same orders differs by at most {judged['equity']:.1e} (relative)")


def _figures(result: Any, certificate: Any, judged: Any) -> dict[str, Any]:
    return {
        "ok": certificate.ok and judged["equity"] <= 1e-9,
        "rows": len(result.bars),
        "return": float(result.stats()["Total Return [%]"]) / 100.0,
        "trades": int(result.stats()["Total Trades"]),
        "certificate": certificate.line(),
        "vectorbt_difference": judged["equity"],
    }


def _live(*arguments: str) -> dict[str, Any]:
    """`python -m live ...` as a process; its JSON answer."""
    command = [sys.executable, "-m", "live", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  ourselves
    if done.returncode != 0:
        raise OnetapeError(f"python -m live {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
