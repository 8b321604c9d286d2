"""Gates: a named figure, its threshold, and whether it passes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from data.door import did_you_mean
from data.errors import ConfigError

DEFAULT = Path(__file__).with_name("gates.toml")
STATED = "false_positives"
"""The table of a gates file that is no gate: the share of strategies without an edge that may pass all of them."""
KINDS = ("at_least", "at_most", "differing_bits")


@dataclass(frozen=True)
class Gate:
    """One question answered. figure: NaN where it could not be asked, which does not pass. reason: in words.

    kind: `at_least` or `at_most` the threshold. asked: False where there was no time.
    """

    name: str
    figure: float
    want: str
    passed: bool
    reason: str
    kind: str = "at_least"
    threshold: float = 0.0
    asked: bool = True


@dataclass(frozen=True)
class Threshold:
    """`at_least` or `at_most` a value; `differing_bits` is `at_most`."""

    name: str
    kind: str
    value: float

    def judge(self, figure: float, reason: str, *, asked: bool = True) -> Gate:
        """The gate with this figure."""
        if isnan(figure):
            passed = False
        else:
            passed = figure >= self.value if self.kind == "at_least" else figure <= self.value
        sign = ">=" if self.kind == "at_least" else "<="
        kind = "at_least" if self.kind == "at_least" else "at_most"
        return Gate(self.name, figure, f"{sign} {self.value:g}", passed, reason, kind, self.value, asked)


def load_gates(path: Path | None, known: tuple[str, ...]) -> dict[str, Threshold]:
    """The thresholds of a TOML file, or of the one that comes along.

    Raises:
        ConfigError: no such file, no TOML, no gate, an unknown one (with the nearest name), a threshold that is no
            number, or a certificate that may differ.
    """
    source = path or DEFAULT
    found = {}
    for name, table in _tables(source).items():
        if name != STATED and name not in known:
            raise ConfigError(f"{source.name}: gate {name!r} does not exist{did_you_mean(name, known)}")
        if not isinstance(table, dict) or len(table) != 1 or next(iter(table)) not in KINDS:
            raise ConfigError(f"{source.name}: [{name}] needs one of {', '.join(KINDS)}, got {table!r}")
        kind, value = next(iter(table.items()))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{source.name}: [{name}] {kind} must be a number, got {value!r}")
        if name == "certificate" and (kind, value) != ("differing_bits", 0):
            raise ConfigError(f"{source.name}: [certificate] is differing_bits = 0 or left out; it cannot be eased")
        found[name] = Threshold(name, kind, float(value))
    found.pop(STATED, None)
    if not found:
        raise ConfigError(f"{source.name} has no gate; it needs some of {', '.join(known)}")
    return found


def stated_rate(path: Path | None = None) -> float:
    """The false-positive rate that a gates file states, NaN where it states none."""
    return float(_tables(path or DEFAULT).get(STATED, {}).get("at_most", float("nan")))


def _tables(source: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"gates file {source} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source.name} is not TOML: {error}") from None
