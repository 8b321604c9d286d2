"""A journal gone through again by a fresh core: the same commands, byte for byte, or the first that differs."""

from __future__ import annotations

import msgspec

from data.errors import JournalError
from live.core.commands import Command, decode_command
from live.core.core import Core
from live.core.events import Event, Row, decode_event, encode
from live.journal import Journal, Step, steps


class Replayed(msgspec.Struct, frozen=True):
    """What a replay went through. digests: how many states were compared. digest: of the last state."""

    events: int
    rows: int
    commands: int
    digests: int
    digest: str


def replay(core: Core, journal: Journal) -> Replayed:
    """Step a fresh core through a journal's events.

    Raises:
        JournalError: the journal is damaged, or a command or state differs; it names the first record that does.
    """
    events = commands = digests = 0
    for step in steps(journal):
        compare(step, core.step(decode_event(step.event)), core)
        events += 1
        commands += len(step.commands)
        digests += bool(step.digest)
    return Replayed(events, core.counts.rows, commands, digests, core.digest())


def compare(step: Step, commands: list[Command], core: Core) -> None:
    """
    Raises:
        JournalError: these are not the journal's commands, to the byte, or the state is not the one it had.
    """
    fresh = [encode(command) for command in commands]
    if fresh != step.commands:
        at = next((i for i, (a, b) in enumerate(zip(fresh, step.commands, strict=False)) if a != b), -1)
        at = min(len(fresh), len(step.commands)) if at < 0 else at
        had = told(decode_command(step.commands[at])) if at < len(step.commands) else "none"
        now = told(commands[at]) if at < len(commands) else "none"
        raise JournalError(
            f"record {step.seq} ({told(decode_event(step.event))}): command {at + 1} differs; "
            f"the journal has {had}, the replay gives {now}"
        )
    if step.digest and step.digest != core.digest():
        raise JournalError(
            f"record {step.seq} ({told(decode_event(step.event))}): the commands are the same, the state is not: "
            f"digest {step.digest[:12]} in the journal, {core.digest()[:12]} in the replay"
        )


def told(message: Event | Command) -> str:
    """An event or command in a few words."""
    if isinstance(message, Row):
        return f"row {message.ts}"
    fields = msgspec.structs.asdict(message)
    shown = [f"{name}={value}" for name, value in fields.items() if name not in ("ts", "order_id", "text")]
    return f"{type(message).__name__}({', '.join(shown)})"
