"""The journal's file read by nobody's code but this: raw records, their chain of checksums, and what they say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from live.brokers.wire_orders import key_of
from live.core.commands import Command, Protect, Submit, decode_command
from live.core.events import Event, Fill, Snapshot, decode_event


@dataclass
class Step:
    """An event, and what the core answered."""

    seq: int
    event: Event
    commands: list[Command] = field(default_factory=list)


@dataclass
class Trail:
    """What the file holds. faults: where it is not what a journal must be. keys: a broker's key to its intents."""

    steps: list[Step] = field(default_factory=list)
    checksums: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    intents: dict[str, Submit | Protect] = field(default_factory=dict)
    keys: dict[str, list[Submit | Protect]] = field(default_factory=dict)
    fills: dict[str, dict[str, Fill]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Trail:
        """The trail of a journal's file."""
        trail = cls()
        try:
            database = apsw.Connection(str(path))
        except apsw.Error as error:
            trail.faults.append(f"it cannot be opened ({error})")
            return trail
        try:
            trail._read(database)
        except (apsw.Error, UnicodeDecodeError) as error:
            trail.faults.append(f"it cannot be read ({error})")
        finally:
            database.close()
        return trail

    def _read(self, database: Any) -> None:
        before = b""
        rows = database.execute("SELECT seq, kind, body, checksum FROM record ORDER BY seq").fetchall()
        for expected, (seq, kind, body, checksum) in enumerate(rows):
            if seq != expected:
                self.faults.append(f"record {expected} is missing")
                return
            if isinstance(kind, bytes):  # what it says is under the checksum, how it is stored is not
                kind = kind.decode()
            if not isinstance(kind, str) or not isinstance(body, bytes):
                self.faults.append(f"record {seq} is not of its type")
                return
            before = hashlib.sha256(before + seq.to_bytes(8, "little") + kind.encode() + b"\0" + body).digest()
            if before != checksum:
                self.faults.append(f"the checksum of record {seq} does not match")
                return
            self.checksums.append(checksum)
            self.bodies.append(body)
            if kind == "event":
                self.steps.append(Step(seq, decode_event(body)))
                self._heard(self.steps[-1].event)
            elif kind == "command":
                command = decode_command(body)
                self.steps[-1].commands.append(command)
                self._said(command)
        head = database.execute("SELECT seq, checksum FROM head").fetchone()
        if head != (len(rows) - 1, before):
            self.faults.append(f"the head says {head and head[0]}, the last record is {len(rows) - 1}")

    def _said(self, command: Command) -> None:
        if isinstance(command, Submit | Protect):
            if command.order_id not in self.intents:
                self.intents[command.order_id] = command
            elif isinstance(command, Submit) or not command.amends:
                self.faults.append(f"order {command.order_id} was intended twice")
            self.keys.setdefault(key_of(command), []).append(command)

    def _heard(self, event: Event) -> None:
        for fill in [event] if isinstance(event, Fill) else event.fills if isinstance(event, Snapshot) else ():
            self.fills.setdefault(fill.order_id, {}).setdefault(fill.execution_id, fill)

    def positions(self) -> dict[str, float]:
        """Signed shares by symbol: each execution once."""
        held: dict[str, float] = {}
        for order_id, fills in self.fills.items():
            intent = self.intents.get(order_id)
            if intent is not None:
                sign = 1.0 if intent.side == "buy" else -1.0
                for fill in fills.values():
                    held[intent.symbol] = held.get(intent.symbol, 0.0) + sign * fill.quantity
        return {symbol: shares for symbol, shares in held.items() if abs(shares) > 1e-9}

    def cash(self, start: float) -> float:
        """Dollars after every execution, each once."""
        for order_id, fills in self.fills.items():
            intent = self.intents.get(order_id)
            if intent is not None:
                sign = 1.0 if intent.side == "buy" else -1.0
                start -= sum(sign * fill.quantity * fill.price + fill.fee for fill in fills.values())
        return start
