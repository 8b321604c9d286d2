"""Why a reader may believe the report: the proofs with their outcome, where everything came from, what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import PurePath
from typing import Any

from backtests.evidence import Evidence
from backtests.report_manifest import Extras, bare
from backtests.report_session import verdict as session_verdict
from backtests.report_text import count, day_of, money, percent, plain, small
from backtests.result import Result
from backtests.session import Apart
from data.calendar import parse_clock, periods_per_year
from strategies.common.certificate import Certificate
from strategies.common.costs import Costs

ELSEWHERE = ("strategy", "params", "source_hash")
"""Entries of the provenance that the report shows in a place of their own."""
WORDS = {
    "rows_hash": "rows of the data, SHA-256",
    "code_hash": "code that computes and draws, SHA-256",
    "versions": "version",
    "commit": "commit of the code",
    "recipe": "asked for",
    "sealed": "sealed, so left out from",
}
REAL, SIMULATED, UNSTATED = "Real prices", "Simulated data", "Origin of data not stated"
TOUCHED = (
    "Stops and targets stand in the market and fill within the row. Where a row spans both, the stop is taken; a level "
    "the row opened beyond is filled at the open."
)
CLOSED = (
    "Stops and targets are decided at the close of a row and filled at the next open, so a loss can be larger than the "
    "stop's distance."
)
SURE, OVERFITTED = 0.95, 0.2
"""Least deflated Sharpe ratio and largest probability of overfitting that count as more than luck."""
AGREES = 1e-9
"""Relative difference of the equity up to which two engines agree."""


def proofs(result: Result, extras: Extras, apart: Apart | None, checked: dict[str, str]) -> list[dict[str, str]]:
    """The outcomes of the verdict: {"name", "state": pass, fail or open, "value", "note"}.

    Args:
        apart: a session beside its backtest. checked: the outcome of the checks of the rows.
    """
    return [
        _certified(result, extras.certificate),
        _judged(extras.judge),
        _traded(extras.paper) if apart is None else _compared(apart),
        _asked(result, extras.evidence),
        _lucky(extras.evidence),
        checked,
    ]


def certificate_rows(certificate: Certificate | None) -> list[tuple[str, str, str, str]]:
    """(way of running, runs, rows compared, differing bits)."""
    checks = certificate.checks if certificate is not None else ()
    return [(check.name, f"{check.runs:,}", f"{check.rows:,}", f"{check.bits:,}") for check in checks]


def origin(provenance: Mapping[str, Any]) -> tuple[str, str]:
    """(badge, source): whether the prices are real or simulated, in plain sight, and who they came from."""
    simulated = provenance.get("simulated")
    badge = UNSTATED if simulated is None else SIMULATED if simulated else REAL
    return badge, bare(str(provenance.get("source") or "not stated"))


def provenance_rows(
    result: Result, provenance: Mapping[str, Any], certificate: Certificate | None
) -> list[tuple[str, str]]:
    """(what, value) of all that a rerun must find equal."""
    rows = [("source of the strategy, SHA-256", result.source_hash)]
    for name, value in provenance.items():
        if name in ELSEWHERE:
            continue
        label = WORDS.get(name, name.replace("_", " "))
        if name == "sealed":
            value = day_of(int(value))
        if isinstance(value, Mapping):
            rows += [(f"{label}: {key}", _listed(inner)) for key, inner in value.items()]
        else:
            rows.append((label, _listed(value)))
    if certificate is not None:
        rows += [
            ("certificate", certificate.identity),
            ("certificate: code of indicators and rule", certificate.code),
            ("certificate: outputs", certificate.outputs),
        ]
    return rows


def assumptions(result: Result, certificate: Certificate | None, badge: str) -> list[tuple[str, str]]:
    """(subject, sentence): what must be true for the numbers above to mean something."""
    rule, daily = result.rule, parse_clock(result.clock) >= 86_400
    said = {}
    if badge != REAL:
        what = "The prices are simulated" if badge == SIMULATED else "Where the prices came from is not recorded"
        said["Data"] = f"{what}: the result shows how the machinery works, not what would have been earned."
    said["Fills"] = (
        "A decision at the close of a row is filled at the next row's open, never at the same close. Every order is "
        "filled whole, and the market does not react to it beyond the modelled impact."
    )
    said["Stops"] = TOUCHED if rule.stops == "touch" else CLOSED
    said["Costs"] = (
        "Spread, slippage and impact are a model, not a record. No borrow fee, interest or tax is booked, and "
        "dividends count only where the prices are adjusted for them."
    )
    if result.costs == Costs.free():
        said["Costs"] += " Here all costs are zero: compare engines with this run, not strategies."
    said["Look-ahead"] = _look_ahead(certificate)
    said["Sample"] = (
        f"{count(len(result.bars.symbols), 'symbol')} chosen knowing how the years went on. Nothing corrects for "
        "companies not chosen or gone since, so strategy and benchmark may both look better than they were."
    )
    said["Benchmark"] = (
        "Buy and hold puts equal parts of the cash into every symbol at its first close, keeps them to the end and "
        "pays no costs."
    )
    shares = "fractions of a share" if rule.fractional else "whole shares"
    said["Sizes"] = (
        f"An entry takes {percent(rule.size, 1)} of equity unless the strategy says otherwise, in "
        f"{shares}; at most {count(rule.max_positions, 'position')}, "
        f"their gross exposure at most {percent(rule.max_gross, 0)} when an entry is decided."
    )
    said["Annualising"] = (
        f"{plain(periods_per_year(result.clock))} rows of {result.clock} a year, by the exchange calendar. The "
        "risk-free rate is 0."
    )
    said["Times"] = "A row carries the instant it closed. " + (
        "Dates are exchange sessions." if daily else "Times on charts and in the trade list are New York's."
    )
    return list(said.items())


def _certified(result: Result, certificate: Certificate | None) -> dict[str, str]:
    name = "Same function live, bit for bit"
    if certificate is None:
        return _proof(name, "open", "Not certified", "This run came without a certificate.")
    if not certificate.ok:
        return _proof(name, "fail", "REJECTED", str(certificate.differences[0]))
    if certificate.source != result.source_hash or dict(certificate.parameters) != dict(result.params):
        return _proof(name, "fail", "Other code", "The certificate is of another source or other parameters.")
    compared = sum(check.rows for check in certificate.checks)
    note = (
        f"Compiled and row by row agree: {compared:,} rows compared in {certificate.chunkings:,} chunkings, "
        f"certificate {certificate.identity[:12]}."
    )
    return _proof(name, "pass", "0 differing bits", note)


def _judged(judge: float | Mapping[str, Any] | None) -> dict[str, str]:
    name = "Same equity in vectorbt"
    if judge is None:
        return _proof(name, "open", "Not compared", "This run was not valued by a second engine.")
    found = judge if isinstance(judge, Mapping) else {"equity": judge}
    apart = float(found["equity"])
    agrees = isfinite(apart) and apart <= AGREES
    note = f"Largest relative difference of the equity over all rows; {small(AGREES)} is allowed."
    if "trades" in found:
        agrees = agrees and found["trades"] == found["vectorbt_trades"]
        note += f" Trades: {found['trades']:,} here, {found['vectorbt_trades']:,} there."
    return _proof(name, "pass" if agrees else "fail", f"{small(apart)} apart", note)


def _traded(paper: Mapping[str, Any] | None) -> dict[str, str]:
    name = "Same decisions in a paper session"
    if not paper:
        return _proof(name, "open", "No session", "No paper session of these rows was given.")
    equal = paper.get("equal", paper.get("decisions_equal"))
    rows = int(paper.get("rows", 0))
    made = f"{count(rows, 'row')} replayed one by one"
    journal = PurePath(str(paper.get("journal", ""))).name
    note = made + (f", journal {journal}." if journal else ".")
    if equal is True:
        return _proof(name, "pass", "All decisions equal", note)
    return _proof(name, "fail", "Decisions differ", note)


def _compared(apart: Apart) -> dict[str, str]:
    found = session_verdict(apart)
    value = "All orders equal" if apart.equal else f"{money(apart.total, sign=True)} apart"
    return _proof("Session beside its backtest", found["state"], value, found["note"])


def _asked(result: Result, evidence: Evidence | None) -> dict[str, str]:
    name = "Questions that speak against it"
    if evidence is None:
        return _proof(name, "open", "Not asked", "python -m research validate asks them; give its file as evidence.")
    if evidence.differences(result.provenance):
        return _proof(name, "fail", "Of another run", "The evidence is of other code, parameters or rows.")
    passed = sum(check.passed for check in evidence.checks)
    failed = [check.name.replace("_", " ") for check in evidence.checks if not check.passed]
    value = f"{passed} of {len(evidence.checks)} gates passed"
    note = f"Failed: {', '.join(failed)}." if failed else "Every threshold was met; see Robustness."
    return _proof(name, "fail" if failed else "pass", value, note)


def _lucky(evidence: Evidence | None) -> dict[str, str]:
    name = "More than luck"
    luck = None if evidence is None else evidence.luck
    if luck is None or luck.deflated is None:
        return _proof(name, "open", "Not asked", "Without the number of trials no Sharpe ratio can be judged.")
    note = (
        f"Deflated Sharpe ratio: the chance that it is above what the best of {count(luck.trials, 'trial')} of this "
        f"idea would show by luck; {percent(SURE, 0)} is wanted."
    )
    value = f"DSR {percent(luck.deflated, 1)}"
    if luck.overfitting is not None:
        value += f", PBO {percent(luck.overfitting, 0)}"
        note += f" Probability of overfitting: at most {percent(OVERFITTED, 0)}."
    state = "pass" if luck.deflated >= SURE and (luck.overfitting or 0.0) <= OVERFITTED else "fail"
    return _proof(name, state, value, note)


def _proof(name: str, state: str, value: str, note: str) -> dict[str, str]:
    return {"name": name, "state": state, "value": value, "note": note}


def _listed(value: Any) -> str:
    if isinstance(value, bool | int | float) or value is None:
        return plain(value)
    return ", ".join(bare(str(each)) for each in value) if isinstance(value, list | tuple) else bare(str(value))


def _look_ahead(certificate: Certificate | None) -> str:
    if certificate is None:
        return "Not certified: whether the strategy sees later rows was not examined in this run."
    if not certificate.ok:
        return "The certificate was refused: the strategy gives other outputs when it cannot see the whole history."
    return (
        "Certified: on random markets every prefix, chunking and order of symbols gave the same bits, so no output "
        "depends on a later row."
    )
