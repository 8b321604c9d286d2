"""Pattern notes as rows: what a language model said of a chart. It is shown as text, whatever is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from backtests.report_text import NOTHING, number
from data.calendar import utc
from data.errors import DataError


def note_rows(notes: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """(row, symbol, pattern, bias, confidence, levels, reasons, model) of each note, a dict of `Opinion.as_dict`."""
    return [_row(note) for note in notes]


def read_notes(path: str | Path) -> list[dict[str, Any]]:
    """Notes from a JSON file: a list of them, one alone, or one a line.

    Raises:
        DataError: no such file, or something else in it.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a JSON file of pattern notes") from None
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        try:
            found = msgspec.json.Decoder().decode_lines(text)
        except msgspec.DecodeError as error:
            raise DataError(f"{path} is not JSON ({error}); give a list of pattern notes") from None
    notes = found if isinstance(found, list) else [found]
    if not all(isinstance(note, dict) for note in notes):
        raise DataError(f"{path} has something else than pattern notes in it; each is an object with symbol and answer")
    return notes


def _row(note: Mapping[str, Any]) -> tuple[str, ...]:
    given = note.get("answer")
    answer: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    ts, confidence = note.get("ts"), answer.get("confidence")
    levels = [
        f"{name} {number(float(note[name]))}" for name in ("support", "resistance") if isinstance(note.get(name), float)
    ]
    reasons = answer.get("reasons")
    told = " ".join(map(str, reasons)) if isinstance(reasons, list | tuple) else str(note.get("reason") or NOTHING)
    model = str(note.get("model") or NOTHING)
    if note.get("contaminated"):
        model += f" (trained to {note.get('cutoff') or 'an unknown day'}: it may know what followed)"
    return (
        utc(ts) if isinstance(ts, int) else NOTHING,
        str(note.get("symbol") or NOTHING),
        str(answer.get("pattern") or "no opinion").replace("_", " "),
        str(answer.get("bias") or NOTHING),
        number(float(confidence)) if isinstance(confidence, int | float) else NOTHING,
        ", ".join(levels) or NOTHING,
        told,
        model,
    )
