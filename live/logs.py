"""Logs for machines: one line of JSON per event, in a file beside the account's journal.

    with setup(account) as log:
        log.info("order.sent", order_id=..., symbol=...)

    NAME.log, NAME.log.1.gz ... NAME.log.3.gz      10 MB each, older ones are deleted

Writing, rotating and compressing happen in a thread of its own, so that no decision waits for a disk; what the disk
cannot take in time is dropped and counted, and trading goes on. Secrets are taken out of every line on its way, those
that libraries log too. The journal, not the log, is the record: a process that is killed may lose its last lines.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import logging
import os
import queue
import shutil
import time
from collections.abc import Callable, MutableMapping
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from data.calendar import SECOND_NS
from data.errors import ConfigError
from live.logs_redact import Redactor

if TYPE_CHECKING:
    from live.account import Account
    from live.core.commands import Alert

BYTES = 10_000_000
ROTATED = 3
KEEP_DAYS = 90
WAITING = 10_000
"""Lines that may wait for the disk."""
OURS = "onetape"


class Log:
    """A log that is open; `close` it, or use it as a context.

    Fields of an event are keywords: plain values, or anything that `str` tells of.
    """

    def __init__(self, logger: Any, lines: _Lines, listener: QueueListener) -> None:
        self._logger, self._lines, self._listener = logger, lines, listener

    def debug(self, event: str, **fields: Any) -> None:
        """What only its author wants to know."""
        self._logger.debug(event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """What happened."""
        self._logger.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """What a person should look at."""
        self._logger.warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """What went wrong."""
        self._logger.error(event, **fields)

    def exception(self, event: str, **fields: Any) -> None:
        """What went wrong, with the exception being handled."""
        self._logger.error(event, exc_info=True, **fields)  # noqa: LOG014  # its caller handles one

    def critical(self, event: str, **fields: Any) -> None:
        """What a person must look at now."""
        self._logger.critical(event, **fields)

    def tell(self, alert: Alert) -> None:
        """An alert of the core, by its name and at its level."""
        getattr(self, alert.level)(alert.name, text=alert.text, ts=alert.ts)

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        root = logging.getLogger()
        if self._lines not in root.handlers:
            return
        if self._lines.dropped:
            self.warning("log.dropped", lines=self._lines.dropped)
        root.removeHandler(self._lines)
        self._listener.stop()
        for handler in self._listener.handlers:
            handler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def setup(account: Account, *, clock_ns: Callable[[], int] = time.time_ns) -> Log:
    """The log of an account's runner.

    Raises:
        ConfigError: its folder cannot be written.
    """
    return open_log(account.state / f"{account.name}.log", clock_ns=clock_ns, account=account.name)


def open_log(
    path: Path,
    *,
    clock_ns: Callable[[], int] = time.time_ns,
    redactor: Redactor | None = None,
    level: str = "",
    max_bytes: int = BYTES,
    **bound: Any,
) -> Log:
    """A log at `path`; this process's other loggers write their warnings to it too.

    Args:
        clock_ns: UTC nanoseconds, for the lines' times and for what is too old to keep.
        redactor: default: one that knows the secrets of this machine.
        level: the least that is written of our own; default: the setting `log_level`.
        max_bytes: of one file.
        bound: fields of every line.

    Raises:
        ConfigError: the folder cannot be written.
    """
    import structlog
    from structlog.processors import format_exc_info
    from structlog.stdlib import BoundLogger, ProcessorFormatter

    from data.settings import load_settings

    settings = load_settings()

    def stamped(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["timestamp"] = _iso(clock_ns())
        return event

    shared: list[Any] = [structlog.stdlib.add_log_level, stamped]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _File(path, max_bytes, clock_ns)
    except OSError as error:
        raise ConfigError(f"log {path} cannot be written ({error.strerror})") from None
    file.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, format_exc_info],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                redactor or Redactor.of_settings(settings),
                _in_order,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    lines = _Lines(queue.Queue(WAITING))
    listener = QueueListener(lines.queue, file)
    root, ours = logging.getLogger(), logging.getLogger(OURS)
    root.addHandler(lines)
    ours.setLevel(level or settings.log_level)
    listener.start()
    logger = structlog.wrap_logger(
        ours,
        processors=[structlog.stdlib.filter_by_level, *shared, format_exc_info, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return Log(logger.bind(**bound), lines, listener)


class _Lines(QueueHandler):
    """Hands records to the thread that writes; drops and counts what it cannot take."""

    def __init__(self, waiting: queue.Queue[Any]) -> None:
        super().__init__(waiting)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> Any:
        return record  # whole: the formatter behind the queue wants its fields, not its text

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _File(RotatingFileHandler):
    """The files of one log, readable by their owner only."""

    def __init__(self, path: Path, max_bytes: int, clock_ns: Callable[[], int]) -> None:
        self._path, self._clock_ns = path, clock_ns
        super().__init__(path, maxBytes=max_bytes, backupCount=ROTATED, encoding="utf-8")
        self.namer = lambda name: f"{name}.gz"
        self.rotator = _compressed
        self._forget()

    def _open(self) -> Any:
        def private(name: str, flags: int) -> int:
            return os.open(name, flags, 0o600)

        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=private)

    def doRollover(self) -> None:  # noqa: N802  # the name logging knows
        super().doRollover()
        self._forget()

    def _forget(self) -> None:
        """Delete what is older than `KEEP_DAYS`."""
        oldest = self._clock_ns() / SECOND_NS - KEEP_DAYS * 86_400
        for old in self._path.parent.glob(f"{self._path.name}.*.gz"):
            with contextlib.suppress(OSError):
                if old.stat().st_mtime < oldest:
                    old.unlink()


def _compressed(source: str, target: str) -> None:
    """`source` as a gzip file at `target`; where the disk has no room for it, as it is."""
    new = Path(f"{target}.new")
    try:
        with open(source, "rb") as plain:  # noqa: PTH123
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
                shutil.copyfileobj(plain, packed, 1 << 16)
        new.replace(target)
        Path(source).unlink()
    except OSError:
        new.unlink(missing_ok=True)
        Path(source).replace(target.removesuffix(".gz"))


def _in_order(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Time, level and event first."""
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    return first | dict(event)


def _iso(ns: int) -> str:
    seconds, rest = divmod(ns, SECOND_NS)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000:06d}Z"
