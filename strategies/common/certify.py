"""The certificate: a signal function gives the same bits whole, in chunks, row by row, restored and permuted.

    certificate = certify(load_strategy("momentum"))
    certificate.ok, certificate.line()

Every run is compared with one whole compiled run over the same market: every output, and the final state of every
indicator. A function that looks ahead, normalises over the sample, remembers on its own, or reads the clock cannot
pass, and the first row, symbol and output that differ are named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from data.tape import content_hash
from data.types import Bars, Book
from strategies.common.certificate import Certificate, Check, Difference, code_hash
from strategies.common.hostile import hostile_world
from strategies.common.lint import lint_source
from strategies.common.load import Strategy
from strategies.common.stream import Stream
from strategies.types import Signals

Outputs = dict[str, Any]


def certify(
    strategy: Strategy,
    params: dict[str, Any] | None = None,
    *,
    rows: int = 10_000,
    chunkings: int = 100,
    seed: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Certificate:
    """Run `strategy` every way there is and compare all bits.

    Args:
        rows: rows of the random market (three symbols, halts, missing rows, a book that comes and goes). It has the
            strategy's clock, or minutes where the calendar holds fewer days than rows.
        chunkings: random ways of cutting the rows for the chunked runs.
        seed: of the market and the cuts.
    """
    from data.calendar import parse_clock
    from data.sources.random_walk import random_bars

    clock = strategy.clock if rows <= 4_000 or parse_clock(strategy.clock) < 86_400 else "1m"
    bars, book = random_bars(rows, ("AAA", "BBB", "CCC"), seed, clock, gaps=True)
    return _Trial(strategy, strategy.bind(params), bars, book, chunkings, seed, progress).certificate()


class _Trial:
    """One strategy before the judge: the reference run, and the ways it is tried."""

    def __init__(
        self,
        strategy: Strategy,
        params: dict[str, Any],
        bars: Bars,
        book: Book,
        chunkings: int,
        seed: int,
        progress: Callable[[str], None],
    ) -> None:
        self.strategy, self.params, self.bars, self.book = strategy, params, bars, book
        self.chunkings, self.seed, self.progress = chunkings, seed, progress
        self.draw = np.random.Generator(np.random.PCG64(seed))
        self.checks: list[Check] = []
        self.differences: list[Difference] = []
        self.reference: Outputs = {}
        self.state = ""

    def certificate(self) -> Certificate:
        market = content_hash(self.bars, self.book)
        for finding in lint_source(self.strategy.path):
            sentence = f"{self.strategy.path.name} line {finding.line}: {finding.sentence}"
            self.differences.append(Difference("source", None, None, None, sentence))
        warmup: dict[str, int] = {}
        if self._whole():
            for name, runs in (
                ("prefixes", self._prefixes),
                ("row by row", self._row_by_row),
                ("random chunks", self._chunks),
                ("save and restore", self._restored),
                ("symbols permuted", self._permuted),
            ):
                self.progress(name)
                self._check(name, runs())
            warmup = self._warmup() if not self.differences else {}
        if content_hash(self.bars, self.book) != market:
            self.differences.insert(0, Difference("input", None, None, None, "the function changed its input"))
        self.differences.sort(key=lambda d: d.row is None)
        return Certificate(
            strategy=self.strategy.name,
            source=self.strategy.source_hash,
            parameters=self.params,
            clock=self.strategy.clock,
            symbols=len(self.bars.symbols),
            rows=len(self.bars),
            chunkings=self.chunkings,
            checks=tuple(self.checks),
            differences=tuple(self.differences),
            warmup=warmup,
            outputs=outputs_hash(self.reference),
            state=self.state,
            market=market,
            code=code_hash(),
            versions=_versions(),
        )

    # The ways of running it. Each yields (first row compared, outputs, how it stands to the reference).

    def _whole(self) -> bool:
        """The reference: one compiled run over all rows, then again in other hostile worlds."""
        self.progress("whole")
        done = self._attempt("whole", 0, lambda: self._outputs(None, 0, len(self.bars), world=0))
        if done is None:
            return False
        self.reference = done
        stream = Stream(compiled=True)
        self._check(
            "repeated",
            (
                (0, done)
                for done in (
                    self._attempt("repeated", 0, lambda: self._outputs(stream, 0, len(self.bars), world=1)),
                    self._attempt("repeated", 0, lambda: self._outputs(None, 0, len(self.bars), world=2)),
                )
                if done is not None
            ),
        )
        self.state = stream.digest()
        return True

    def _prefixes(self) -> Iterator[tuple[int, Outputs]]:
        """Every prefix of the first rows and some longer ones: later rows must not have mattered."""
        rows = len(self.bars)
        cuts = [*range(1, min(rows, 250)), *sorted(self.draw.integers(1, rows + 1, 50).tolist())]
        for cut in cuts:
            done = self._attempt("prefixes", cut - 1, lambda cut=cut: self._outputs(None, 0, cut, world=cut))  # type: ignore[misc]  # one cut each
            if done is None:
                return
            tail = max(0, cut - 3)
            yield tail, {name: array[tail:] for name, array in done.items()}

    def _row_by_row(self) -> Iterator[tuple[int, Outputs]]:
        """As live does it: CPython, one row at a time. At most 20,000 rows, then a glance at the state."""
        yield from self._streamed("row by row", [1] * min(len(self.bars), 20_000), compiled=False)

    def _chunks(self) -> Iterator[tuple[int, Outputs]]:
        """Random chunkings, from many short chunks to few long ones, through the compiled driver."""
        for _ in range(self.chunkings):
            sizes = self._cuts(int(self.draw.integers(2, 60)))
            yield from self._streamed("random chunks", sizes, compiled=True)

    def _restored(self) -> Iterator[tuple[int, Outputs]]:
        """Saved, written as text, read and restored at every cut, between the two drivers too."""
        yield from self._streamed("save and restore", self._cuts(40), compiled=True, restore=True)
        yield from self._streamed("save and restore", [1] * min(len(self.bars), 1_000), compiled=False, restore=True)

    def _permuted(self) -> Iterator[tuple[int, Outputs]]:
        """Symbols in another order: none may see its neighbours."""
        count = len(self.bars.symbols)
        for order in ([*range(count)][::-1], [*range(1, count), 0]):
            bars, book = self.bars.pick(order), self.book.pick(order)
            done = self._attempt(
                "symbols permuted",
                0,
                lambda bars=bars, book=book: _outputs(self.strategy.call(bars, book, self.params)),  # type: ignore[misc]  # one order each
            )
            if done is None:
                return
            back = np.argsort(order)
            yield 0, {name: array[:, back] for name, array in done.items()}

    def _streamed(
        self, check: str, sizes: list[int], *, compiled: bool, restore: bool = False
    ) -> Iterator[tuple[int, Outputs]]:
        stream = Stream(compiled=compiled)
        parts: list[Outputs] = []
        start = at = 0
        for number, size in enumerate(sizes):
            done = self._attempt(
                check,
                at,
                lambda at=at, size=size, stream=stream: self._outputs(stream, at, at + size, world=at),  # type: ignore[misc]  # one cut each
            )
            if done is None:
                return
            parts.append(done)
            at += size
            if restore:
                saved = json.loads(json.dumps(stream.save()))
                turn = compiled != (number % 2 == 0)
                stream = Stream.restore(saved, stream.indicators(), compiled=turn)
            if len(parts) >= 4096:
                yield start, _joined(parts)
                parts, start = [], at
        if parts:
            yield start, _joined(parts)
        if at == len(self.bars) and stream.digest() != self.state:
            self.differences.append(
                Difference(check, at - 1, None, None, "the final indicator state differs from the whole run's")
            )

    def _warmup(self) -> dict[str, int]:
        """Rows until a cold start agrees with the full run, per output, the longest of eight starts."""
        rows = len(self.bars)
        longest = dict.fromkeys(self.reference, 0)
        for start in np.linspace(rows // 20, rows // 2, 8).astype(int).tolist():
            done = _outputs(self.strategy.call(self.bars.rows(start), self.book.rows(start), self.params))
            for name, array in done.items():
                unequal = np.flatnonzero((_bits(array) != _bits(self.reference[name][start:])).any(axis=1))
                if len(unequal):
                    longest[name] = max(longest[name], int(unequal[-1]) + 1)
        return longest

    def _outputs(self, stream: Stream | None, start: int, stop: int, *, world: int) -> Outputs:
        bars, book = self.bars.rows(start, stop), self.book.rows(start, stop)
        with hostile_world(self.seed * 1_000_003 + world, self.strategy.signals):
            if stream is None:
                return _outputs(self.strategy.call(bars, book, self.params))
            return _outputs(self.strategy.step(stream, bars, book, self.params))

    def _attempt(self, check: str, row: int, run: Callable[[], Outputs]) -> Outputs | None:
        """The outputs of a run, or None with a difference noted where it raised."""
        try:
            return run()
        except Exception as error:  # noqa: BLE001  whatever the user's function raises is a finding
            hint = ""
            if "read-only" in str(error):
                hint = "; the input is not the function's to change"
            sentence = f"the function raised {type(error).__name__}: {error}{hint}"
            self.differences.append(Difference(check, row, None, None, sentence))
            return None

    def _check(self, name: str, runs: Iterator[tuple[int, Outputs]]) -> None:
        """Compare every run with the reference; note the first difference of this check."""
        count = compared = bits = 0
        first: Difference | None = None
        for start, done in runs:
            count += 1
            if set(done) != set(self.reference):
                sentence = f"gave outputs {sorted(done)}, the whole run {sorted(self.reference)}"
                first = first or Difference(name, start, None, None, sentence)
                continue
            for output, array in done.items():
                want = self.reference[output][start : start + len(array)]
                compared += 0 if output != next(iter(done)) else len(array)
                unequal = _bits(array) ^ _bits(want)
                if unequal.any():
                    bits += int(np.bitwise_count(unequal).sum())
                    row, column = map(int, np.argwhere(unequal)[0])
                    if first is None or (first.row is not None and start + row < first.row):
                        first = Difference(
                            name,
                            start + row,
                            self.bars.symbols[column],
                            output,
                            f"{array[row, column]} here, {want[row, column]} in the whole run",
                        )
        if first is not None:
            self.differences.append(first)
        self.checks.append(Check(name, count, compared, bits))

    def _cuts(self, pieces: int) -> list[int]:
        rows = len(self.bars)
        edges = np.unique(self.draw.integers(1, rows, min(pieces, rows) - 1))
        return [int(size) for size in np.diff(np.concatenate([[0], edges, [rows]]))]


def outputs_hash(outputs: Outputs) -> str:
    """SHA-256 over the outputs by name, NaN canonicalised."""
    digest = hashlib.sha256()
    for name in sorted(outputs):
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(_bits(outputs[name])).tobytes())
    return digest.hexdigest()


def _outputs(signals: Signals) -> Outputs:
    return {name: np.array(array) for name, array in signals.columns()}


def _joined(parts: list[Outputs]) -> Outputs:
    names = parts[0].keys()
    if any(part.keys() != names for part in parts):
        return {}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _bits(array: Any) -> Any:
    """The bits as unsigned integers, one NaN for all NaNs."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    return np.where(np.isnan(array), np.nan, array).view(np.uint64)


def _versions() -> dict[str, str]:
    import platform

    import numba

    return {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
