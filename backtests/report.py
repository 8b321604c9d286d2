"""The report: one offline HTML file that can be sent to a sceptic.

    write_report(result, "report.html", certificate=certificate, judge=result.judge())

The charts are drawn as SVG by a few hundred lines of our own script instead of an inlined plotting library. A library
costs 4.8 MB a file before the first number and brings its own colours, fonts and random ids; ours costs 60 kB, follows
the page's theme, prints as lines and gives the same bytes for the same run. What it gives up is the library's many
chart types, of which a report needs a handful.

The page asks for nothing: its content policy forbids every address, and the one script is allowed by its hash. It
carries a manifest, from which `backtests.verify` makes it again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtests import report_checks, report_proof, report_robust, report_robust_figures, report_session, report_tables
from backtests.report_figures import cost_push, embedded_figures
from backtests.report_manifest import Extras, manifest_of
from backtests.report_notes import note_rows
from backtests.report_risk import Benchmark, benchmark_of, relative
from backtests.report_traces import payload
from backtests.result import Result
from backtests.session import Apart, reconcile
from backtests.session_file import checked_session
from backtests.session_result import result_of_session
from data.errors import UsageError
from data.tape import replacing

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
SCRIPTS = ("charts.js", "figures.js", "trades.js", "page.js")


def write_report(result: Result, path: str | Path, **extras: Any) -> Path:
    """Write the report of a run and return where it is. Equal input gives equal bytes.

    Args:
        extras: fields of `Extras`: certificate, judge, paper, session, evidence, notes, benchmark, with_source.

    Raises:
        DataError: the file cannot be written; what `report_html` raises.
    """
    return written(path, report_html(result, **extras))


def written(path: str | Path, page: str) -> Path:
    """A page as a file, whole or not at all; folders are made."""
    path = Path(path)
    with replacing(path) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")
    return path


def report_html(result: Result, **extras: Any) -> str:
    """The report as text; see `write_report`.

    Raises:
        UsageError: an extra that there is not, or a benchmark without rows.
        DataError: a session that is none, or one of other rows.
    """
    known = [each.name for each in fields(Extras)]
    for name in extras:
        if name not in known:
            raise UsageError(f"a report has no {name!r}; it takes {', '.join(known)}")
    if isinstance(extras.get("benchmark"), str):
        extras["benchmark"] = benchmark_of(result, extras["benchmark"])
    if extras.get("session") is not None:
        extras["session"] = checked_session(extras["session"])
    if "notes" in extras:
        extras["notes"] = tuple(extras["notes"] or ())
    return drawn(result, Extras(**extras))


def drawn(backtest: Result, extras: Extras) -> str:
    """The page. With a session it is the session's, and `backtest` lies beside it."""
    apart = reconcile(backtest, extras.session) if extras.session is not None else None
    result = backtest if extras.session is None else result_of_session(backtest, extras.session)
    if extras.session is not None:
        result.__dict__["provenance"] = backtest.provenance
    other = extras.benchmark or benchmark_of(result)
    script = "\n".join(read_template(name) for name in SCRIPTS)
    manifest = manifest_of(backtest, result, extras)
    pushed = cost_push(result)
    data = payload(result, other, None if apart is None else backtest) | {
        "figures": embedded_figures(result, extras.evidence, pushed)
    }
    return (
        environment()
        .get_template("report.html")
        .render(
            **_words(result, extras, other, apart),
            pushed=pushed,
            style=trusted(read_template("report.css")),
            script=trusted(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            figures=data["figures"],
            manifest=trusted(embedded(manifest)),
            data=trusted(embedded(data)),
        )
    )


def _words(result: Result, extras: Extras, other: Benchmark, apart: Apart | None) -> dict[str, Any]:
    """What the template writes: texts and tables."""
    provenance: Mapping[str, Any] = result.provenance
    badge, source = report_proof.origin(provenance)
    found = report_checks.findings(result)
    evidence = extras.evidence
    return {
        "result": result,
        "doc": _doc(result),
        "span": report_tables.span(result),
        "badge": badge,
        "source": source,
        "tiles": report_tables.tiles(result, other),
        "proofs": report_proof.proofs(result, extras, apart, report_checks.proof(found)),
        "metrics": report_tables.metric_rows(result),
        "benchmark": other,
        "relative": relative(result, other),
        "costs": report_tables.cost_rows(result),
        "capacity": report_tables.capacity_rows(result),
        "months": report_tables.months(result),
        "month_names": report_tables.MONTHS,
        "reasons": report_tables.reason_rows(result),
        "settings": report_tables.settings(result),
        "certificate": extras.certificate,
        "checks": report_proof.certificate_rows(extras.certificate),
        "provenance": report_proof.provenance_rows(result, provenance, extras.certificate),
        "assumptions": report_proof.assumptions(result, extras.certificate, badge),
        "findings": found,
        "notes": note_rows(extras.notes),
        "code": _code(result) if extras.with_source else "",
        "evidence": evidence,
        "robust": None if evidence is None else _robust(result, extras),
        "live": None if apart is None else _live(result, extras, apart),
    }


def _robust(result: Result, extras: Extras) -> dict[str, Any]:
    evidence = extras.evidence
    assert evidence is not None  # noqa: S101  the caller looked
    state, sentence = report_robust.about(evidence, result)
    return {
        "state": state,
        "sentence": sentence,
        "gates": report_robust.gate_rows(evidence),
        "figures": report_robust_figures.figures(evidence),
        "luck": report_robust.luck_rows(evidence.luck) if evidence.luck else [],
        "capacity": report_robust.capacity_rows(evidence),
        "missing": report_robust.missing(evidence),
    }


def _live(result: Result, extras: Extras, apart: Apart) -> dict[str, Any]:
    assert extras.session is not None  # noqa: S101  the caller looked
    return {
        "verdict": report_session.verdict(apart),
        "explained": report_session.explained(apart, result.start_cash),
        "buckets": report_session.bucket_rows(apart),
        "orders": report_session.order_rows(apart),
        "about": report_session.about(extras.session),
        "suspects": report_session.suspects(apart),
        "listed": report_session.LISTED,
        "account": apart.account,
        "broker": apart.broker,
    }


def embedded(value: Any) -> str:
    """JSON that no HTML parser can mistake for markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def trusted(text: str) -> Any:
    """Our own text, exempt from escaping."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  templates of this folder, and JSON without a single `<`


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates of this folder; everything put into them is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=8)
def read_template(name: str) -> str:
    """A script or style of this folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _doc(result: Result) -> str:
    """The first sentence of the strategy's file, where the file is one of ours and still the one that ran."""
    from strategies.common.load import load_strategy, strategy_names

    if result.strategy not in strategy_names():
        return ""
    strategy = load_strategy(result.strategy)
    return strategy.doc.strip().split("\n\n")[0] if strategy.source_hash == result.source_hash else ""


def _code(result: Result) -> str:
    """The strategy's code, where it still is what ran."""
    if result.strategy_source:
        return result.strategy_source
    from strategies.common.load import ROOM

    path = Path(result.strategy_path)
    path = ROOM.parent / path if not path.is_absolute() else path
    try:
        text = path.read_bytes()
    except OSError:
        raise UsageError(f"{result.strategy_path} cannot be read, so its code cannot be shown") from None
    if hashlib.sha256(text).hexdigest() != result.source_hash:
        raise UsageError(f"{result.strategy_path} has changed since the run; run again to show its code")
    return text.decode(errors="replace")
