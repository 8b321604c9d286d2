"""The report: one offline HTML file that can be sent to a sceptic.

    write_report(result, "report.html", certificate=certificate, judge=result.judge())

The charts are drawn as SVG by a few hundred lines of our own script instead of an inlined plotting library. A library
costs 4.8 MB a file before the first number and brings its own colours, fonts and random ids; ours costs 45 kB, follows
the page's theme, prints as lines and gives the same bytes for the same run. What it gives up is the library's many
chart types, of which a report needs three.

The page asks for nothing: its content policy forbids every address, and the one script is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtests import report_proof, report_tables
from backtests.report_traces import payload
from backtests.result import Result
from strategies.common.certificate import Certificate

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
SCRIPTS = ("charts.js", "trades.js", "page.js")


def write_report(
    result: Result,
    path: str | Path,
    certificate: Certificate | None = None,
    judge: float | Mapping[str, Any] | None = None,
    paper: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a run and return where it is. Equal input gives equal bytes.

    Args:
        certificate: of the strategy with the run's parameters; without one the report says that there is none.
        judge: what `Result.judge()` found, or only its largest relative difference of the equity.
        paper: a paper session over the same rows: {"rows": 390, "equal": True, "journal": "paper.db"}.
    """
    path = Path(path)
    path.write_text(report_html(result, certificate, judge, paper), encoding="utf-8", newline="\n")
    return path


def report_html(
    result: Result,
    certificate: Certificate | None = None,
    judge: float | Mapping[str, Any] | None = None,
    paper: Mapping[str, Any] | None = None,
) -> str:
    """The report as text; see `write_report`."""
    provenance: Mapping[str, Any] = result.provenance
    badge, source = report_proof.origin(provenance)
    script = "\n".join(_read(name) for name in SCRIPTS)
    return (
        _environment()
        .get_template("report.html")
        .render(
            result=result,
            doc=_doc(result),
            span=report_tables.span(result),
            badge=badge,
            source=source,
            tiles=report_tables.tiles(result),
            proofs=report_proof.proofs(result, certificate, judge, paper),
            metrics=report_tables.metric_rows(result),
            costs=report_tables.cost_rows(result),
            months=report_tables.months(result),
            month_names=report_tables.MONTHS,
            reasons=report_tables.reason_rows(result),
            settings=report_tables.settings(result),
            certificate=certificate,
            checks=report_proof.certificate_rows(certificate),
            provenance=report_proof.provenance_rows(result, provenance, certificate),
            assumptions=report_proof.assumptions(result, certificate, badge),
            style=_safe(_read("report.css")),
            script=_safe(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            data=_safe(embedded(payload(result))),
        )
    )


def embedded(value: Any) -> str:
    """JSON that no HTML parser can mistake for markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _safe(text: str) -> Any:
    """Our own text, exempt from escaping."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  templates of this folder, and JSON without a single `<`


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=8)
def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _doc(result: Result) -> str:
    """The first sentence of the strategy's file, where the file is one of ours and still the one that ran."""
    from strategies.common.load import load_strategy, strategy_names

    if result.strategy not in strategy_names():
        return ""
    strategy = load_strategy(result.strategy)
    return strategy.doc.strip().split("\n\n")[0] if strategy.source_hash == result.source_hash else ""
