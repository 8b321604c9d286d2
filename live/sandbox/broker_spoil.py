"""Answers that are not what they should be: the same JSON with other types, no numbers, or fewer fields."""

from __future__ import annotations

import re
from typing import Any

import msgspec

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>bad gateway</body></html>"
NUMBER = re.compile(r"-?\d+(\.\d+)?")
TOO_MUCH = "1" + "0" * 400
ERROR = {"error": {"code": 500, "message": "internal error"}, "detail": "internal error"}


def spoilt(fault: str, body: bytes) -> bytes:
    """The body as this fault of `broker_faults.SPOILT` has it."""
    if fault in ("malformed", "cut"):
        return body[: len(body) // 2]
    if fault in ("html", "null", "empty"):
        return {"html": PAGE, "null": b"null", "empty": b""}[fault]
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:  # server-sent events carry theirs behind a prefix
        head, mark, rest = body.partition(b"data: ")
        return head + mark + spoilt(fault, rest.strip()) + b"\n\n" if mark else body
    if isinstance(told, dict) and "jsonrpc" in told:  # the protocol stays whole: what the tool said is spoilt
        for part in (told.get("result") or {}).get("content") or ():
            part["text"] = msgspec.json.encode(_spoilt(fault, _inner(part["text"]))).decode()
        return msgspec.json.encode(told)
    return msgspec.json.encode(_spoilt(fault, told))


def _inner(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _spoilt(fault: str, told: Any) -> Any:
    if fault == "error-inside":
        return ERROR
    if isinstance(told, dict):
        items = list(told.items())
        if fault == "missing":
            items = items[1::2]
        fields = {name: _spoilt(fault, value) for name, value in items}
        return {**fields, "brand_new": {"nested": [1, None]}, "another": "x"} if fault == "extra" else fields
    if isinstance(told, list):
        return [_spoilt(fault, each) for each in told]
    number = isinstance(told, int | float) and not isinstance(told, bool)
    if number or (isinstance(told, str) and NUMBER.fullmatch(told)):
        return {"type": ["what"], "nan": "NaN", "huge": TOO_MUCH}.get(fault, told)
    return told
