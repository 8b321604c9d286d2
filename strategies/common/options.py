"""Frozen sets of options (`Rule`, `Costs`): their types checked, their values changed by name, also from texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from data.errors import UsageError

T = TypeVar("T")


def settle(options: Any, noun: str, limits: Mapping[str, tuple[float, float]]) -> None:
    """Give every field of a new dataclass the type of its default, numbers of NumPy included.

    Args:
        limits: lowest and highest value of the numeric fields. A field whose default is None may stay None.

    Raises:
        UsageError: a value of another type, or outside its limits.
    """
    for field in fields(options):
        given = getattr(options, field.name)
        if given is None and field.default is None:
            continue
        value: Any = given.item() if hasattr(given, "item") else given
        kind: type = float if field.default is None else type(field.default)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is int and type(value) is float and value.is_integer():
            value = int(value)
        low, high = limits.get(field.name, (0.0, 0.0))
        if type(value) is not kind or not _fits(value, low, high):
            raise UsageError(f"{noun} {field.name} must be {_wanted(kind, low, high)}, got {given!r}")
        object.__setattr__(options, field.name, value)


def changed(options: T, noun: str, changes: Mapping[str, Any]) -> T:
    """The same options with some fields replaced; texts are read as the field's type, `none` where that may be.

    Raises:
        UsageError: an unknown field (the nearest one is offered), or a value of the wrong type.
    """
    known = {field.name: field.default for field in fields(options)}  # type: ignore[arg-type]  # a dataclass
    done: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            from data.door import did_you_mean

            raise UsageError(f"{noun} has no parameter {name!r}{did_you_mean(name, known)}")
        done[name] = _read(value, known[name]) if isinstance(value, str) else value
    return replace(options, **done)  # type: ignore[type-var]  # a dataclass


def _read(text: str, default: Any) -> Any:
    """The value a text means; the text itself where it means none, for `settle` to refuse."""
    lower = text.strip().lower()
    if default is None and lower == "none":
        return None
    if isinstance(default, bool):
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(lower, text)
    if isinstance(default, str):
        return text
    try:
        return float(lower)
    except ValueError:
        return text


def _fits(value: Any, low: float, high: float) -> bool:
    return isinstance(value, (bool, str)) or low <= value <= high


def _wanted(kind: type, low: float, high: float) -> str:
    if kind is bool:
        return "true or false"
    if kind is str:
        return "a text"
    return f"a {'whole ' if kind is int else ''}number from {low:g} to {high:g}"
