"""Brokers: one file each, found by module name, all behind `live.brokers.base.Broker`."""

from __future__ import annotations

from pathlib import Path


def broker_names() -> list[str]:
    """Names of the files here that are a broker, sorted: those with a capability sheet."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if "\nCAPABILITIES = " in path.read_text("utf-8"))
