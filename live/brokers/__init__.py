"""Brokers: one file each, found by module name, all behind `live.brokers.base.Broker`."""

from __future__ import annotations

from pathlib import Path

_SHARED = ("__init__", "base")


def broker_names() -> list[str]:
    """Names of the files here that are a broker, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in _SHARED)
