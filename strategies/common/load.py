"""Strategies by name or file: what a module offers, its parameters with types and ranges, its hash.

    strategy = load_strategy("momentum")            # strategies/momentum.py
    strategy = load_strategy("path/to/mine.py")     # any file with a `signals` function
    params = strategy.bind({"fast": "20"})          # typed, ranged, complete

A parameter is a keyword of `signals` with a default. Its type is that of the default (bool, int, float or str), its
range what `Annotated` says: `fast: Annotated[int, Range(2, 200)] = 12`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from data.calendar import parse_clock
from data.door import did_you_mean
from data.errors import StrategyError, UsageError
from strategies.common.rule import Rule
from strategies.common.stream import Stream
from strategies.types import Bars, Book, Signals

ROOM = Path(__file__).resolve().parent.parent
KINDS = (bool, int, float, str)


class Range(NamedTuple):
    """The values a parameter may take, both ends included; sweeps start from it."""

    low: float
    high: float


@dataclass(frozen=True)
class Parameter:
    """One keyword of a signal function."""

    name: str
    kind: type
    default: Any
    range: Range | None = None

    def typed(self, value: Any) -> Any:
        """`value` (a text from a command line or file, or a Python value) as this parameter's type.

        Raises:
            UsageError: the wrong type, or outside the range.
        """
        want = f"parameter {self.name!r} must be {self.kind.__name__}"
        done: Any = value
        if isinstance(value, str) and self.kind is not str:
            done = _parsed(value, self.kind)
        elif isinstance(value, int) and not isinstance(value, bool) and self.kind is float:
            done = float(value)
        elif hasattr(value, "item"):
            done = value.item()
        if not self._is_mine(done):
            raise UsageError(f"{want}, got {value!r}")
        if self.range is not None and not self.range.low <= done <= self.range.high:
            raise UsageError(f"{want} from {self.range.low} to {self.range.high}, got {value!r}")
        return done

    def _is_mine(self, value: Any) -> bool:
        return type(value) is self.kind and value == value


@dataclass(frozen=True)
class Strategy:
    """A signal function with what its users need to know of it.

    clock: the row clock it is written for. rule: its position rule. needs_book: False where it takes no `book`.
    parameters: in the order of the signature. source_hash: SHA-256 of the file.
    """

    name: str
    path: Path
    signals: Callable[..., Signals]
    clock: str
    rule: Rule
    needs_book: bool
    parameters: tuple[Parameter, ...]
    doc: str
    source_hash: str

    def bind(self, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All parameters, the given ones typed and checked, the others at their defaults.

        Raises:
            UsageError: an unknown name (with the nearest one), a wrong type, a value out of range.
        """
        known = {p.name: p for p in self.parameters}
        given = dict(values or {})
        for name in given:
            if name not in known:
                raise UsageError(
                    f"{self.name} has no parameter {name!r}{did_you_mean(name, known)}"
                    f"{'' if known else '; it has none at all'}"
                )
        return {p.name: p.typed(given[p.name]) if p.name in given else p.default for p in self.parameters}

    def call(self, bars: Bars, book: Book | None, params: Mapping[str, Any]) -> Signals:
        """The signals of these rows, checked: every field (T, N), flags bool.

        Raises:
            StrategyError: the function broke its contract; other exceptions of its own code pass.
        """
        if self.needs_book:
            result = self.signals(bars, Book.absent(len(bars), bars.symbols) if book is None else book, **params)
        else:
            result = self.signals(bars, **params)
        if not isinstance(result, Signals):
            raise StrategyError(
                f"{self.name}.signals returned {type(result).__name__}, expected Signals(entries, exits)"
            )
        return result.checked(bars.shape, self.name)

    def step(self, stream: Stream, bars: Bars, book: Book | None, params: Mapping[str, Any]) -> Signals:
        """The signals of the next row (or rows), memory carried by `stream`."""
        with stream:
            return self.call(bars, book, params)


def strategy_names(folder: Path = ROOM) -> list[str]:
    """Names of the files of `folder` that define `signals`, sorted; found by reading, not by importing."""
    return [path.stem for path in sorted(folder.glob("*.py")) if _has_signals(path)]


def _has_signals(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_text())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == "signals" for node in tree.body)


def load_strategy(name: str | Path) -> Strategy:
    """The strategy of that name in `strategies/`, or of that file.

    Raises:
        UsageError: no such name or file (with the nearest name).
        StrategyError: the file cannot be imported, or has no proper `signals` function.
    """
    text = str(name)
    if text.endswith(".py") or "/" in text:
        path = Path(text).expanduser()
        if not path.is_file():
            raise UsageError(
                f"strategy file {text!r} does not exist; give a path to a .py file with a signals function"
            )
        path = path.resolve()
        if path.parent != ROOM:
            return _strategy(_import_file(path), path)
        text = path.stem
    path = ROOM / f"{text}.py"
    if not _has_signals(path):
        raise UsageError(f"there is no strategy {text!r}{did_you_mean(text, strategy_names())}")
    try:
        module = importlib.import_module(f"strategies.{text}")
    except Exception as error:
        raise StrategyError(f"strategies/{text}.py cannot be imported: {type(error).__name__}: {error}") from error
    return _strategy(module, path)


def _import_file(path: Path) -> ModuleType:
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]
    qualified = f"strategy_{path.stem}_{digest}"
    if qualified in sys.modules:
        return sys.modules[qualified]
    spec = importlib.util.spec_from_file_location(qualified, path)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{path.name} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[qualified]
        raise StrategyError(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _strategy(module: ModuleType, path: Path) -> Strategy:
    name = path.stem
    function = getattr(module, "signals", None)
    if not callable(function):
        raise StrategyError(f"{path.name} has no function `signals(bars, book, *, ...)`")
    clock = getattr(module, "CLOCK", "1m")
    parse_clock(clock)
    rule = getattr(module, "RULE", Rule())
    if not isinstance(rule, Rule):
        raise StrategyError(f"{path.name}: RULE must be a strategies.common.rule.Rule, got {type(rule).__name__}")
    inputs, parameters = read_signature(function, name)
    return Strategy(
        name=name,
        path=path,
        signals=function,
        clock=clock,
        rule=rule,
        needs_book="book" in inputs,
        parameters=parameters,
        doc=inspect.getdoc(module) or "",
        source_hash=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def read_signature(function: Callable[..., Any], name: str) -> tuple[list[str], tuple[Parameter, ...]]:
    """The inputs (`bars`, or `bars` and `book`) and the parameters of a signal function.

    Raises:
        StrategyError: other inputs, or a parameter without a default of a known type.
    """
    signature = inspect.signature(function)
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise StrategyError(
            f"{name}.signals: its annotations cannot be read ({error}); import what they name at the top of the file"
        ) from None
    inputs = [p.name for p in signature.parameters.values() if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    if inputs not in (["bars"], ["bars", "book"]):
        raise StrategyError(
            f"{name}.signals{signature}: expected signals(bars, *, ...) or signals(bars, book, *, ...), "
            f"with parameters keyword-only after the star"
        )
    keywords: Iterable[inspect.Parameter] = (
        p for p in signature.parameters.values() if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)
    )
    return inputs, tuple(_parameter(p, hints.get(p.name), name) for p in keywords)


def _parameter(parameter: inspect.Parameter, hint: Any, name: str) -> Parameter:
    default = parameter.default
    if parameter.kind is parameter.VAR_KEYWORD or default is parameter.empty or type(default) not in KINDS:
        raise StrategyError(
            f"{name}.signals: parameter {parameter.name!r} needs a default that is a bool, int, float or str"
        )
    limits = None
    kind: type = type(default)
    if get_origin(hint) is Annotated:
        limits = next((extra for extra in get_args(hint)[1:] if isinstance(extra, Range)), None)
        hint = get_args(hint)[0]
    if hint is float and kind is int:
        kind, default = float, float(default)
    found = Parameter(parameter.name, kind, default, limits)
    found.typed(default)
    return found


def _parsed(text: str, kind: type) -> Any:
    if kind is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
    try:
        return kind(text)
    except ValueError:
        return None
