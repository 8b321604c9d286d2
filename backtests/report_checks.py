"""What the checks of `data.checks` say of the rows a run used."""

from __future__ import annotations

from backtests.report_text import count
from backtests.result import Result
from data.checks import Finding, check_bars
from data.errors import OnetapeError

LISTED = 40


def findings(result: Result) -> list[Finding] | None:
    """Everything found wrong with the rows, errors first; None where the checks could not read their times."""
    try:
        return check_bars(result.bars, result.clock)
    except (OnetapeError, ValueError, OverflowError):
        return None


def proof(found: list[Finding] | None) -> dict[str, str]:
    """The outcome for the verdict: {"name", "state", "value", "note"}."""
    name = "Checks of the rows"
    if found is None:
        return {
            "name": name,
            "state": "open",
            "value": "Not checked",
            "note": "The exchange calendar does not know them.",
        }
    errors = sum(finding.level == "error" for finding in found)
    if errors:
        return {"name": name, "state": "fail", "value": count(errors, "error"), "note": found[0].sentence}
    if found:
        note = "Gaps, jumps and stale prices to look at are listed under Integrity."
        return {"name": name, "state": "pass", "value": f"No error, {count(len(found), 'warning')}", "note": note}
    note = "Times, order of prices, gaps, splits, prints far off: nothing was found."
    return {"name": name, "state": "pass", "value": "Nothing found", "note": note}
