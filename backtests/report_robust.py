"""What speaks against a strategy, in words: the gates and the figures of `backtests.evidence.Evidence`."""

from __future__ import annotations

from backtests.evidence import Evidence, Luck
from backtests.report_text import NOTHING, day_of, known, money, number, percent
from backtests.result import Result

TITLES = {
    "certificate": "Same function live",
    "trades": "Enough trades",
    "probabilistic_sharpe": "Sharpe above 0",
    "deflated_sharpe": "Sharpe above luck",
    "track_record": "Long enough a record",
    "overfitting": "Not overfitted (PBO)",
    "superior": "Better than holding nothing (SPA)",
    "walk_forward": "Holds walking forward",
    "paths": "Few paths lose (CPCV)",
    "plateau": "On a plateau",
    "random_entries": "Better than random entries",
    "costs": "Survives higher costs",
    "delay": "Survives a delay",
    "symbols": "Survives without any symbol",
    "best_sessions": "Survives without its best days",
}


def gate_rows(evidence: Evidence) -> list[dict[str, str]]:
    """{"name", "title", "state": pass, fail or open, "figure", "want", "reason"} of every gate in order."""
    return [
        {
            "name": check.name,
            "title": TITLES.get(check.name, check.name.replace("_", " ")),
            "state": "pass" if check.passed else "fail" if check.asked else "open",
            "figure": NOTHING if check.figure is None else number(check.figure, 3),
            "want": f"{'≥' if check.kind == 'at_least' else '≤'} {check.threshold:g}",
            "reason": check.reason,
        }
        for check in evidence.checks
    ]


def about(evidence: Evidence, result: Result) -> tuple[str, str]:
    """(state, sentence): whether this evidence is of this run. state: pass or fail."""
    apart = evidence.differences(result.provenance)
    if apart:
        return "fail", f"This evidence is of another run: its {', '.join(apart)} differ. Nothing below counts here."
    span = f"{day_of(evidence.first)} to {day_of(evidence.last)}"
    return "pass", f"Asked of this source, these parameters and these rows ({span}), seed {evidence.seed}."


def missing(evidence: Evidence) -> list[tuple[str, str]]:
    """(part, reason) of what could not be asked."""
    return [(name.replace("_", " "), reason) for name, reason in evidence.missing.items()]


def luck_rows(luck: Luck) -> list[tuple[str, str]]:
    """(name, value): how much of it is luck."""

    def share(value: float | None, digits: int = 1) -> str:
        return NOTHING if value is None else percent(value, digits)

    needed = NOTHING if luck.needed is None else f"{luck.needed:,.0f}"
    return [
        (
            "Sharpe ratio of sessions",
            f"{known(luck.sharpe)} (95 %: {known(luck.low)} to {known(luck.high)})",
        ),
        ("Chance that the true one is above 0 (PSR)", share(luck.probabilistic)),
        ("… above the best of all lucky trials (DSR)", share(luck.deflated)),
        ("Trials of this idea, ever", f"{luck.trials:,}"),
        ("Best Sharpe that luck would give", known(luck.expected_best)),
        ("Sessions there are, and needed for 95 %", f"{luck.sessions:,} of {needed}"),
        ("Probability of overfitting (PBO)", share(luck.overfitting)),
        ("Splits in which the winner lost", f"{share(luck.winner_lost, 0)} of {luck.splits:,}"),
        ("Superior predictive ability, p", known(luck.spa)),
        ("White's reality check, p", known(luck.reality_check)),
        ("Drawdown that 5 % of resampled histories exceed", share(luck.drawdown)),
    ]


def capacity_rows(evidence: Evidence) -> list[tuple[str, str]]:
    """(share of volume, dollars)."""
    return [
        (percent(each.share, 0), NOTHING if each.cash is None else money(each.cash, 0)) for each in evidence.capacity
    ]
