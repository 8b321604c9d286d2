"""Run the benchmarks beside this file and print one table: `python tests/benchmarks/run.py [NAMES] [--json PATH]`.

Every module here with a function `run() -> list[dict]` is one benchmark; an optional argument `quick` makes it small.
A row of its list has `what` (text), `value` (number) and `unit`; where there is one, `budget` in the same unit, `peer`
(who was measured beside it, in the same process) and `ratio` (the peer's time over ours, larger is better for us). A
row in nanoseconds may say `name`, `ours_ns`, `peer` and `peer_ns` instead.

Machines are shared and noisy: values are medians, and ratios say more than times. Nothing here fails a build.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).resolve().parent
os.environ.setdefault("ONETAPE_LEDGER", "off")  # what is measured is no trial of anybody's idea


def names() -> list[str]:
    """The benchmarks here, sorted."""
    found = (path for path in sorted(FOLDER.glob("*.py")) if path != Path(__file__).resolve())
    return [path.stem for path in found if "\ndef run(" in path.read_text("utf-8")]


def load(name: str) -> ModuleType:
    """The module of a benchmark, under a name that no package can shadow."""
    qualified = f"onetape_benchmark_{name}"
    spec = importlib.util.spec_from_file_location(qualified, FOLDER / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"benchmark {name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    spec.loader.exec_module(module)
    return module


def measure(name: str, *, quick: bool) -> list[dict[str, Any]]:
    """The rows of one benchmark, each with its name."""
    function = load(name).run
    options = {"quick": True} if quick and "quick" in inspect.signature(function).parameters else {}
    return [{"benchmark": name, **plain(row)} for row in function(**options)]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row in the one form that the table and the JSON have."""
    if "ours_ns" not in row:
        return row
    ours, theirs = row["ours_ns"], row.get("peer_ns")
    compared = {"peer": row["peer"], "ratio": theirs / ours} if row.get("peer") and theirs else {}
    return {"what": row["name"], "value": ours, "unit": "ns", **compared}


def machine() -> dict[str, Any]:
    """What the figures were measured on, without its name."""
    return {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text, a line each."""
    head = ("benchmark", "what", "value", "budget", "ratio", "peer")
    lines = [head, *(tuple(_cell(row, column) for column in head) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    numeric = ("value", "budget", "ratio")
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for cell, width, column in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if column in ("value", "budget"):
        return f"{value:,.3g} {row.get('unit', '')}" if value < 100 else f"{value:,.0f} {row.get('unit', '')}"
    return f"{value:,.1f}x" if column == "ratio" else str(value)


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments name, everything where they name nothing; 2 for an unknown name."""
    parser = argparse.ArgumentParser(description="Measure against the budgets.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all where left out")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the rows here")
    parser.add_argument("--quick", action="store_true", help="small runs: do they work, not how fast")
    given = parser.parse_args(argv)
    if unknown := [name for name in given.names if name not in names()]:
        sys.stderr.write(f"error: no benchmark {unknown[0]!r}; there is {', '.join(names())}\n")
        return 2
    rows: list[dict[str, Any]] = []
    for name in given.names or names():
        sys.stderr.write(f"{name} ...\n")
        rows += measure(name, quick=given.quick)
    sys.stdout.write(table(rows) + "\n")
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parent.parent))
    raise SystemExit(main())
