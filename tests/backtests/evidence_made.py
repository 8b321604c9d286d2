"""Evidence of every part for a run, from a few numbers of one seed: what the page draws, without asking research."""

import numpy as np

from backtests.evidence import (
    Bands,
    Capacity,
    Check,
    Costs,
    Delay,
    Evidence,
    Fold,
    Left,
    Luck,
    Null,
    Paths,
    Regime,
    Surface,
    WalkForward,
)


def evidence_for(result, seed=1, **changes):
    """Everything asked of `result`; `changes` replace fields."""
    random = np.random.default_rng(seed)
    sessions = [int(day) for day in np.unique(result.bars.session)][:200]
    walk = np.cumsum(random.normal(0.001, 0.01, (8, len(sessions))), axis=1)
    values = random.normal(0.8, 0.3, (4, 6)).round(6).tolist()
    values[1][2] = None
    plateau = [[column < 3 and row < 2 for column in range(6)] for row in range(4)]
    counts, edges = np.histogram(random.normal(1.0, 1.5, 400), bins=12)
    null = random.normal(0.3, 0.4, 200)
    names = ("certificate", "trades", "deflated_sharpe", "overfitting", "costs", "a gate of one's own")
    parts = {
        "strategy": result.strategy,
        "source_hash": result.source_hash,
        "params": dict(result.params),
        "rows_hash": result.provenance["rows_hash"],
        "rows": len(result.bars),
        "symbols": list(result.bars.symbols),
        "first": int(result.bars.session[0]),
        "last": int(result.bars.session[-1]),
        "clock": result.clock,
        "seed": seed,
        "certificate": "certified",
        "passed": False,
        "false_positive_rate": 0.012,
        "checks": [
            Check(
                name=name,
                figure=None if place == 4 else 0.5 + place,
                kind="at_least",
                threshold=2.0,
                passed=place > 1,
                reason=f"because of {name}",
                asked=place != 0,
            )
            for place, name in enumerate(names)
        ],
        "surface": Surface(
            metric="sharpe",
            x="fast",
            xs=[5, 10, 15, 20, 25, 30],
            y="slow",
            ys=[40, 60, 80, 100],
            values=values,
            best=(0, 1),
            chosen=(2, 3),
            plateau=plateau,
            over=["hot"],
            sets=23,
            score=0.9,
            worst=0.4,
            neighbours=4,
            edge=True,
        ),
        "walk_forward": WalkForward(
            folds=[
                Fold(
                    first=sessions[i * 30],
                    last=sessions[i * 30 + 29],
                    inside=1.0 - 0.2 * i,
                    outside=-0.1 + 0.2 * i,
                    params={"fast": 5 * (i + 1)},
                )
                for i in range(4)
            ],
            sharpe=0.4,
            efficiency=None,
            sessions=sessions,
            stitched=walk[0].tolist(),
            chosen=walk[1].tolist(),
        ),
        "paths": Paths(
            sessions=sessions, lines=walk[2:].tolist(), sharpes=[1.0, -0.5, 0.2, 0.8, 0.1, 0.9], losing=1 / 6, own=0.7
        ),
        "null": Null(sharpes=null.tolist(), own=0.9, limit=float(np.quantile(null, 0.95)), p_value=0.08),
        "costs": Costs(factors=[0.0, 1.0, 2.0], returns=[0.3, 0.2, 0.1], break_even=2.7, highest=64.0),
        "delay": Delay(rows=[0, 1, 2], sharpes=[0.9, 0.6, -0.1], clock=result.clock),
        "regimes": [
            Regime(name=name, kind=kind, sharpe=s, total_return=s / 10, sessions=60)
            for name, kind, s in (
                ("calm", "volatility", 1.1),
                ("wild", "volatility", -0.4),
                ("after a rise", "trend", 0.5),
            )
        ],
        "bands": Bands(
            sessions=sessions,
            own=walk[0].tolist(),
            low=(walk[0] - 0.2).tolist(),
            middle=walk[1].tolist(),
            high=(walk[0] + 0.2).tolist(),
            trades=40,
            drawdowns=np.linspace(-0.3, -0.05, 100).tolist(),
            own_drawdown=-0.1,
            limit=-0.28,
        ),
        "luck": Luck(
            sharpe=0.9,
            low=0.1,
            high=1.6,
            drawdown=-0.2,
            probabilistic=0.97,
            deflated=0.91,
            trials=1342,
            expected_best=0.5,
            sessions=len(sessions),
            needed=900.0,
            overfitting=0.25,
            splits=400,
            logit_edges=edges.tolist(),
            logit_counts=counts.tolist(),
            winner_lost=0.03,
            spa=0.04,
            reality_check=None,
        ),
        "capacity": [Capacity(share=0.01, cash=4e6), Capacity(share=0.05, cash=None)],
        "symbols_left_out": [
            Left(name=f"without {name}", sharpe=0.5, total_return=0.1) for name in result.bars.symbols
        ],
        "best_sessions": Left(name="without its 5 best sessions", sharpe=0.3, total_return=0.02),
        "figures": {"total_return": 0.2},
        "missing": {},
    }
    return Evidence(**(parts | changes))
