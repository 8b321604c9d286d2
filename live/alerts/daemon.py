"""The daemon: judges the rules every few seconds, keeps its book, and sends what is to be told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from live.alerts.book import BookFile
from live.alerts.judge import Notice, acknowledge, judge
from live.alerts.rules import Rule
from live.alerts.send import Targets, deliver, message_of
from live.logs_redact import Redactor
from live.metrics.endpoint import Figures

if TYPE_CHECKING:
    from live.logs import Log


class Daemon:
    """Watches the figures of a host.

    A message is in the book before it is sent and leaves it when it was taken: after a crash it may come twice, never
    not at all.

    Args:
        figures: with accounts by name.
        rules: by name.
        targets: who is told.
        book: where it is kept what stands.
        log: gets every notice, whoever is told.
        clock_ns: UTC nanoseconds.
    """

    def __init__(
        self,
        figures: Figures,
        rules: Mapping[str, Rule],
        targets: Targets,
        book: BookFile,
        log: Log,
        *,
        redactor: Redactor,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._figures, self._rules, self._targets, self._file, self._log = figures, rules, targets, book, log
        self._redactor, self._clock_ns = redactor, clock_ns
        self.book = book.read()

    def step(self) -> list[Notice]:
        """One round; what was told.

        Raises:
            ConfigError: the book cannot be written.
        """
        now = self._clock_ns()
        for seen in self._file.heard():
            for alert in acknowledge(self.book, seen):
                self._log.info("alert.seen", name=alert.name, account=alert.account, who=seen.who)
        notices = judge(self.book, self._rules, self._figures.samples(), now)
        for notice in notices:
            tell = self._log.info if notice.what == "clears" else self._log.warning
            tell(f"alert.{notice.what}", name=notice.name, severity=notice.severity, text=notice.text)
        if notices and self._targets.names:
            self.book.unsent.append(message_of(notices, self._targets.names, now, self._redactor))
        self._file.write(self.book)
        if self.book.unsent:
            for failure in deliver(self.book, self._targets, now):
                self._log.error("alert.unsent", why=failure)
            self._file.write(self.book)
        return notices

    def run(self, stop: threading.Event, every_s: float) -> None:
        """Go on until told to stop."""
        while not stop.is_set():
            self.step()
            stop.wait(every_s)
