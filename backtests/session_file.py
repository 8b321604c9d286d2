"""The file of a session, as `python -m live show JOURNAL --json` prints it: what it must tell, read and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from data.errors import DataError


class _Plan(msgspec.Struct):
    account: str
    strategy: str
    source_hash: str
    params: dict[str, Any]
    rule: dict[str, Any]
    costs: dict[str, Any]
    symbols: list[str]
    clock: str
    cash: float
    broker: str


class _Feed(msgspec.Struct):
    source: str
    simulated: bool
    content: str


class _Built(msgspec.Struct):
    code: str


class _Header(msgspec.Struct):
    plan: _Plan
    feed: _Feed
    built: _Built


class _Placed(msgspec.Struct):
    order_id: str
    symbol: str
    decided: int
    quantity: float
    reason: str
    state: str
    filled: int | None
    price: float | None
    fee: float | None


class _Filled(msgspec.Struct):
    order_id: str
    quantity: float


class _Denied(msgspec.Struct):
    ts: int
    symbol: str
    side: str
    reason: str
    code: str
    text: str


class _Told(msgspec.Struct):
    """What a session must tell, as far as it is read here."""

    header: _Header
    rows: int
    orders: list[_Placed]
    fills: list[_Filled] = msgspec.field(default_factory=list)
    denied: list[_Denied] = msgspec.field(default_factory=list)


def read_session(path: str | Path) -> dict[str, Any]:
    """What `python -m live show JOURNAL --json` printed.

    Raises:
        DataError: no such file, or something else in it.
    """
    try:
        told = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; python -m live show JOURNAL --json > {path} writes it") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); python -m live show JOURNAL --json writes it") from None
    return checked_session(told, str(path))


def checked_session(told: Any, where: str = "the session") -> dict[str, Any]:
    """`told`, if it has the parts of a session.

    Raises:
        DataError: a part is missing, or of another kind.
    """
    try:
        msgspec.convert(told, _Told)
    except msgspec.ValidationError as error:
        raise DataError(f"{where} is no session: {error}; python -m live show JOURNAL --json writes one") from None
    done: dict[str, Any] = told
    return done
