"""A sweep across machines: the same blocks of sets on a Ray cluster, the same numbers to the last bit.

    sweep("ma_cross", bars, grid=..., engine="ray")

With `RAY_ADDRESS` set (`auto`, or `host:6379`) the blocks go to that cluster, otherwise to worker processes of this
machine. The rows are put into the object store once; every worker process makes them ready once and then runs block
after block. A block whose worker dies is run again elsewhere, what is done stays.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from data.errors import OnetapeError, UnavailableError
from data.types import Bars, Book, Floats
from research import sweep_run
from research.fused import Fused
from research.sweep_run import Runner
from strategies.common.certificate import code_hash
from strategies.common.costs import Costs
from strategies.common.load import Strategy, load_strategy
from strategies.common.rule import Rule

RETRIES = 3
"""Times a block is run again after its worker died."""
BLOCK = 512
"""Sets in one block at most."""
SHARES = 8
"""Blocks per worker at least, so that none waits long for the last one."""


@dataclass(frozen=True)
class Terms:
    """What `Fused` is made of, besides the rows."""

    rule: Rule
    costs: Costs
    cash: float
    clock: str
    apart: bool
    sessions: bool = False


@dataclass(frozen=True)
class Parcel:
    """All that a worker needs to run any set; it travels once.

    strategy: the path and bytes of its file, or the function itself. software: what decides the bits.
    """

    strategy: Any
    bars: Mapping[str, Any]
    book: Mapping[str, Any] | None
    names: tuple[str, ...]
    fixed: Mapping[str, Any]
    terms: Terms
    budget: int
    software: Mapping[str, str]


class RayRunner(Runner):
    """A runner whose sets are run by Ray. `threads`: worker processes, where the cluster is not there already.

    `budget` is that of each worker.

    Raises:
        UnavailableError: Ray is not installed, or no cluster answers at `RAY_ADDRESS`.
    """

    def __init__(
        self,
        strategy: Strategy,
        bars: Bars,
        book: Book | None,
        names: Sequence[str],
        fixed: Mapping[str, Any],
        fused: Fused,
        terms: Terms,
        *,
        budget: int,
        threads: int,
    ) -> None:
        ray = connected(threads)
        super().__init__(strategy, bars, book, names, fixed, fused, budget=budget, threads=threads)
        sent = None if book is None or 0 in book.bid.strides else book
        parcel = Parcel(
            _sent(strategy), _columns(bars), None if sent is None else _columns(sent), self.names, self.fixed, terms,
            budget, software(),
        )  # fmt: skip
        self._ray = ray
        self._name = uuid4().hex
        self._parcel = [ray.put(parcel)]  # within a list a reference stays one until the worker asks
        self._block = ray.remote(num_cpus=1, max_retries=RETRIES)(run_block)

    def run(
        self,
        sets: Sequence[tuple[Any, ...]],
        order: Sequence[int],
        numbers: Floats,
        done: Any,
        tell: Callable[[list[int]], None],
    ) -> bool:
        """As `Runner.run`; also False, with a warning, where workers died so often that blocks were given up."""
        ray = self._ray
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        size = block_size(len(order), workers, self.bars.close.size)
        blocks: Iterator[Sequence[int]] = (order[i : i + size] for i in range(0, len(order), size))
        running: dict[Any, Sequence[int]] = {}
        lost, why = 0, ""
        try:
            while True:
                while len(running) < 2 * workers and (block := next(blocks, None)) is not None:
                    values = [sets[i] for i in block]
                    running[self._block.remote(self._name, self._parcel, values)] = block
                if not running:
                    break
                (ready,), _ = ray.wait(list(running), num_returns=1)
                block = running.pop(ready)
                try:
                    found = ray.get(ready)
                except ray.exceptions.RayTaskError:
                    raise  # the strategy's own error, with its traceback
                except ray.exceptions.RayError as error:
                    lost, why = lost + len(block), str(error).strip().split("\n")[0]
                    continue
                if isinstance(found, OnetapeError):
                    raise found
                numbers[block], done[block] = found, True
                tell(list(block))
        except KeyboardInterrupt:
            return False
        finally:
            for reference in running:
                ray.cancel(reference)
        if lost:
            warnings.warn(
                f"{lost:,} sets are missing: their worker died {RETRIES + 1} times ({why}); what is done is kept, "
                f"resume goes on with it",
                RuntimeWarning,
                stacklevel=2,
            )
        return not lost


def connected(workers: int) -> Any:
    """Ray, connected: to the cluster it is connected to already, that of `RAY_ADDRESS`, or one of this machine.

    Args:
        workers: processes of a cluster that is started here.

    Raises:
        UnavailableError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # who sweeps what is nobody's business
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "worker died|will be retried")  # Ray says it on stdout
    try:
        import ray
    except ModuleNotFoundError:
        raise UnavailableError(
            "the engine ray needs the package ray, which is not installed; run: make setup, or take --engine threads"
        ) from None
    if ray.is_initialized():
        return ray
    address = os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"at RAY_ADDRESS={address}" if address else "on this machine"
        raise UnavailableError(
            f"no Ray cluster {where}: {str(error).strip().splitlines()[0]}; start one with `ray start --head`, or "
            f"unset RAY_ADDRESS to use this machine alone"
        ) from None
    return ray


def block_size(sets: int, workers: int, cells: int) -> int:
    """Sets in one block: enough to be worth sending, few enough that the workers end together."""
    fair = -(-sets // (SHARES * workers))
    return max(1, min(BLOCK, fair, 64 * sweep_run.BATCH_CELLS // max(1, cells)))


@cache
def software() -> dict[str, str]:
    """What decides the bits: versions, and a hash of our sources."""
    rooms = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(code_hash().encode())
    for path in sorted([*(rooms / "backtests").glob("*.py"), *(rooms / "research").glob("*.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    libraries = {name: version(name) for name in ("numpy", "numba", "llvmlite")}
    return {"python": platform.python_version(), **libraries, "onetape": digest.hexdigest()[:12]}


def run_block(name: str, parcel: Sequence[Any], values: Sequence[tuple[Any, ...]]) -> Any:
    """In a worker: (sets, accounts, columns) of these sets, or the error that one of them met.

    Args:
        name: of the sweep. parcel: a list of one reference to its `Parcel`.
    """
    try:
        runner = _runner(name, parcel, values[0])
        return np.stack([runner.run_set(each) for each in values])
    except OnetapeError as error:
        return error


_ready: dict[str, Runner] = {}


def _runner(name: str, parcel: Sequence[Any], first: tuple[Any, ...]) -> Runner:
    """This process's runner of the sweep; the one of the sweep before makes room."""
    if name not in _ready:
        import ray

        _ready.clear()
        runner = unpacked(ray.get(parcel[0]))
        runner.prepare(first)
        _ready[name] = runner
    return _ready[name]


def unpacked(parcel: Parcel) -> Runner:
    """A runner with one thread.

    Raises:
        UnavailableError: this process is of other software than the one that sent it.
    """
    here = software()
    for name, theirs in parcel.software.items():
        if here[name] != theirs:
            raise UnavailableError(
                f"the worker on {platform.node()} has {name} {here[name]}, this process {theirs}: the numbers could "
                f"differ; bring every machine to the same checkout and run: make setup"
            )
    strategy = _received(parcel.strategy)
    bars = Bars(**parcel.bars)
    book = None if parcel.book is None else Book(**parcel.book)
    terms = parcel.terms
    fused = Fused(
        bars, book, terms.rule, terms.costs, terms.cash, terms.clock, apart=terms.apart, sessions=terms.sessions
    )
    return Runner(strategy, bars, book, parcel.names, parcel.fixed, fused, budget=parcel.budget, threads=1)


def _columns(rows: Bars | Book) -> dict[str, Any]:
    return {field.name: getattr(rows, field.name) for field in fields(rows)}


def _sent(strategy: Strategy) -> Any:
    """A file travels as its text, a function as itself."""
    path = strategy.path
    if path.is_file():
        text = path.read_bytes()
        if hashlib.sha256(text).hexdigest() == strategy.source_hash:
            return (path, text)
    return strategy


def _received(sent: Any) -> Strategy:
    if isinstance(sent, Strategy):
        return sent
    path, text = sent
    if not path.is_file() or path.read_bytes() != text:  # another machine
        folder = tempfile.TemporaryDirectory(prefix="onetape-")
        _folders.append(folder)
        path = Path(folder.name) / path.name
        path.write_bytes(text)
    return load_strategy(path)


_folders: list[tempfile.TemporaryDirectory[str]] = []
"""Of strategies that came from another machine; they go with the process."""
