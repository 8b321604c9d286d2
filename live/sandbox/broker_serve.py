"""Serving the sandbox from the command line: what is printed, what is written, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
import typer

from data.door import INTERRUPTED, print_json
from data.errors import ConfigError
from live.sandbox.broker_accounts import write_accounts
from live.sandbox.server import Sandbox

LINGER_S = 1.0
"""After the tape's end, for clients to hear the last of it."""


class Wishes(NamedTuple):
    """What the command was asked for."""

    port: int
    as_json: bool
    record: Path | None
    accounts: Path | None
    exit_at_end: bool


async def serve(box: Sandbox, wishes: Wishes) -> int:
    """Serve until a signal comes or, where that is wished, the tape ends; the exit code.

    Raises:
        ConfigError: a port is taken, or a file cannot be written.
    """
    try:
        await box.start(wishes.port)
    except OSError as error:
        raise ConfigError(f"port {wishes.port} or one of the six after it cannot be had ({error.strerror})") from None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        written = await write_accounts(box, wishes.accounts) if wishes.accounts is not None else []
        _say(box, written, wishes.as_json)
        return await _until(box, stop, wishes.exit_at_end)
    finally:
        if wishes.record is not None:
            _write(wishes.record, box)
        await box.stop()


async def _until(box: Sandbox, stop: asyncio.Event, exit_at_end: bool) -> int:
    ends = [asyncio.create_task(stop.wait())]
    if exit_at_end:
        ends.append(asyncio.create_task(box.streams.done.wait()))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    if stop.is_set():
        return INTERRUPTED
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), LINGER_S)
    return 0


def _say(box: Sandbox, written: list[Path], as_json: bool) -> None:
    if as_json:
        print_json({**box.environment(), **({"accounts": [str(path) for path in written]} if written else {})})
    else:
        for name, value in box.environment().items():
            typer.echo(f"export {name}={value}")
        for path in written:
            typer.echo(f"# python -m live run {path}")
        typer.echo(f"# {', '.join(box.market.symbols)} from {box.market.source}; Ctrl-C ends it")
    sys.stdout.flush()


def _write(path: Path, box: Sandbox) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(box.record())))
    except OSError as error:
        raise ConfigError(f"the record cannot be written to {path} ({error.strerror})") from None
