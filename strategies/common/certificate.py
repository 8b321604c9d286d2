"""What a certificate says: the runs, the hashes, and the first difference where there is one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.errors import CertificateError

FORMAT = 1


@dataclass(frozen=True)
class Difference:
    """The first place where a run gave other bits. row, symbol and output are None where a run gave none at all."""

    check: str
    row: int | None
    symbol: str | None
    output: str | None
    sentence: str

    def __str__(self) -> str:
        place = [f"row {self.row}"] if self.row is not None else []
        place += [f"symbol {self.symbol}"] if self.symbol else []
        place += [f"output {self.output}"] if self.output else []
        return f"{self.check}: {', '.join(place)}{': ' if place else ''}{self.sentence}"


@dataclass(frozen=True)
class Check:
    """One way of running the function: how often, over how many rows in all, and how many bits differed."""

    name: str
    runs: int
    rows: int
    bits: int


@dataclass(frozen=True)
class Certificate:
    """The proof, or the reason against it.

    warmup: per output, rows after which a run started at any of the tried rows agrees with the full run.
    outputs, state: SHA-256 of the outputs and of the final indicator states. code: of strategies/common and
        strategies/indicators. market: of the data it was run on.
    """

    strategy: str
    source: str
    parameters: dict[str, Any]
    clock: str
    symbols: int
    rows: int
    chunkings: int
    checks: tuple[Check, ...]
    differences: tuple[Difference, ...]
    warmup: dict[str, int]
    outputs: str
    state: str
    market: str
    code: str
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def ok(self) -> bool:
        """True where nothing differed."""
        return not self.differences

    @property
    def bits(self) -> int:
        """Differing bits over all runs."""
        return sum(check.bits for check in self.checks)

    @property
    def identity(self) -> str:
        """SHA-256 of what must match before the certificate counts: source, parameters, clock, code."""
        text = json.dumps([self.source, self.parameters, self.clock, self.code, self.format], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def line(self) -> str:
        """One sentence for a terminal or a report."""
        compared = sum(check.rows for check in self.checks)
        if self.ok:
            return (
                f"certified: {self.strategy} {self.identity[:12]}: {self.rows:,} rows x {self.symbols} symbols x "
                f"{self.chunkings} chunkings, {compared:,} rows compared, 0 differing bits"
            )
        return f"REJECTED: {self.strategy}: {self.differences[0]}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"ok": self.ok, "bits": self.bits, "identity": self.identity, "line": self.line()}

    def require(self) -> Certificate:
        """Itself, or a `CertificateError` with the first difference."""
        if not self.ok:
            raise CertificateError(self.line())
        return self


def code_hash() -> str:
    """SHA-256 over the sources that compute signals: strategies/common, strategies/indicators, the market nouns."""
    room = Path(__file__).resolve().parent.parent
    sources = [*sorted((room / "common").glob("*.py")), *sorted((room / "indicators").glob("*.py"))]
    sources += [room / "types.py", room.parent / "data" / "types.py"]
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
