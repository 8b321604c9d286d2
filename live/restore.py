"""A fleet from its backup: checked file by file and record by record, into a folder that holds nothing yet.

    TO/accounts/     account files, strategies, certificates, fleet.toml: `python -m live fleet up TO/accounts`
    TO/state/        journals, and the halts that stood

Account files are as they were but for `state`, which names the new folder. Secrets are not in a backup; which env files
have to be written again, and with which names, is told. An account with money has to be armed again: it is another
machine, and a person says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from data.errors import ConfigError, DataError, JournalError
from live.backup_archive import unpack
from live.backup_log import records
from live.core.commands import Protect, Submit, body_hash, decode_command
from live.core.events import Row, decode_event
from live.journal import _TABLES, APPLICATION, SCHEMA, SqliteJournal


class RestoredAccount(msgspec.Struct, frozen=True):
    """records: of its journal, 0 where it had none. ts: of its last row. keys: names its env file needs."""

    name: str
    file: str
    broker: str
    records: int
    ts: int
    halted: bool
    trading: bool
    keys: list[str]


class Restored(msgspec.Struct, frozen=True):
    """What came back, and what a person does next, in order."""

    folder: str
    accounts: list[RestoredAccount]
    next: list[str]


def restore(source: Path, to: Path) -> Restored:
    """Bring a fleet back from a backup folder or an archive.

    Raises:
        ConfigError: `to` holds something, or cannot be written; `source` is no backup.
        DataError: a file is not the one that was backed up.
        JournalError: a record is damaged.
    """
    if to.exists() and any(to.iterdir()):
        raise ConfigError(f"{to} is not empty, and nothing is overwritten; name a new folder")
    with _opened(source) as backup:
        manifest = _manifest(backup, source)
        bodies = {name: _checked(backup / name, digest) for name, digest in manifest["files"].items()}
        state, accounts = to / "state", to / "accounts"
        try:
            for folder in (to, state, accounts):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = [
                _account(backup, name, told, bodies, state, accounts) for name, told in manifest["accounts"].items()
            ]
            common = bodies.get("fleet/fleet.toml")
            if common is not None:
                _write(accounts / "fleet.toml", _with_state(common, to / "fleet"))
        except OSError as error:
            raise ConfigError(f"{to} cannot be written ({error.strerror})") from None
    return Restored(str(to), found, _next(to, found))


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise ConfigError(f"{source} is not there; name a backup folder or an archive")
    with tempfile.TemporaryDirectory() as folder:
        unpack(source, Path(folder))
        yield Path(folder)


def _manifest(backup: Path, source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((backup / "manifest.json").read_bytes())
        if manifest["format"] != 1:
            raise ConfigError(f"{source} is a backup of format {manifest['format']}; this version reads format 1")
        return {"accounts": manifest["accounts"], "files": manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{source} is no backup: its manifest.json cannot be read ({error})") from None


def _checked(path: Path, digest: str) -> bytes:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} is missing in the backup ({error.strerror}); take an older archive") from None
    if hashlib.sha256(body).hexdigest() != digest:
        raise DataError(f"{path.name} is not the file that was backed up; take an older archive")
    return body


def _account(
    backup: Path, name: str, told: dict[str, Any], bodies: dict[str, bytes], state: Path, accounts: Path
) -> RestoredAccount:
    prefix = f"{name}/account/"
    for key, body in bodies.items():
        if not key.startswith(prefix):
            continue
        file = key.removeprefix(prefix)
        if file == "halted":
            _write(state / f"{name}.halted", body)
        elif file == told["file"]:
            _write(accounts / file, _with_state(body, state))
        elif file != "armed":
            _write(accounts / file, body)
    log, count, ts = backup / name / "journal.log", 0, 0
    if log.exists():
        count, ts = rebuild(log, state / f"{name}.journal")
    halted = f"{prefix}halted" in bodies
    broker, trading, keys = str(told.get("broker", "")), bool(told["trading"]), list(told["keys"])
    return RestoredAccount(name, told["file"], broker, count, ts, halted, trading, keys)


def rebuild(log: Path, journal: Path) -> tuple[int, int]:
    """A journal from its records, read through once more at the end; (records, ts of the last row).

    Raises:
        JournalError: a record is damaged, or the journal cannot be written.
    """
    count, last, checksum = 0, 0, b""
    journal.touch(mode=0o600)
    try:
        db = apsw.Connection(str(journal))
        try:
            db.execute("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL").fetchall()
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute("BEGIN IMMEDIATE")
            db.execute(_TABLES)
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            for line in records(log):
                db.execute("INSERT INTO record VALUES (?, ?, ?, ?)", line)
                if line.kind == "event":
                    event = decode_event(line.body)
                    last = event.ts if isinstance(event, Row) else last
                elif line.kind == "command":
                    command = decode_command(line.body)
                    if isinstance(command, Submit) or (isinstance(command, Protect) and not command.amends):
                        db.execute(
                            "INSERT INTO intent VALUES (?, ?, ?)", (command.order_id, line.seq, body_hash(command))
                        )
                count, checksum = count + 1, line.checksum
            db.execute("INSERT INTO head VALUES (1, ?, ?)", (count - 1, checksum))
            db.execute("COMMIT")
        finally:
            db.close()
    except (apsw.Error, msgspec.MsgspecError) as error:
        raise JournalError(f"journal {journal.name} cannot be restored ({error})") from error
    if count == 0:
        journal.unlink()
        return 0, 0
    book = SqliteJournal.open(journal)
    try:
        for _ in book.read():
            pass
    finally:
        book.close()
    return count, last


def _with_state(body: bytes, state: Path) -> bytes:
    """A TOML file whose top-level `state` names another folder, all else as it was."""
    line = f'state = "{state.absolute()}"'
    text = body.decode("utf-8")
    head, bracket, rest = text.partition("\n[") if not text.startswith("[") else ("", "", text)
    changed, count = re.subn(r"(?m)^state\s*=.*$", lambda _: line, head)
    if not count:
        changed = f"{line}\n{head}"
    return f"{changed}{bracket}{rest}".encode()


def _write(path: Path, body: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _next(to: Path, accounts: list[RestoredAccount]) -> list[str]:
    home = to / "accounts"
    said = ["make sure that the old machine is off, or its runners are: one runner per account"]
    for each in accounts:
        if each.keys:
            env = home / Path(each.file).with_suffix(".env").name
            said.append(f"write {env} (chmod 600) with {', '.join(each.keys)}")
    said += [
        f"python -m live login {home / each.file}, where its broker needs one" for each in accounts if each.trading
    ]
    said += [f"python -m live arm {home / each.file}" for each in accounts if each.trading]
    said.append(f"python -m live doctor {home}")
    said.append(f"python -m live fleet up {home} --feed ... (or --replay TAPE)")
    if any(each.broker != "paper" and each.records for each in accounts):
        said.append(
            "an account that halts and shows both sides has orders at the broker that were not copied: look at the "
            "broker's own page, and close there what should be closed; then resume it where the books are equal, or "
            "begin a new journal while it is flat"
        )
    return said
