"""Processes of a rehearsal: started with their output in files, read, ended; and the sandbox's word over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from data.errors import UnavailableError, UsageError
from live.header import CHECKOUT

READY_S = 120.0
GOODBYE_S = 60.0
LOOK_S = 0.1


def ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    """What a sandbox says at an address of its control port; a POST where there is a body."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=body)  # noqa: S310  # the sandbox's own address, of loopback
    with opener.open(request, timeout=20.0) as answer:
        told: dict[str, Any] = json.loads(answer.read())
    return told


class Process:
    """A process of ours, its output in files beside `base`."""

    def __init__(self, arguments: list[str], base: Path, environment: Any) -> None:
        self._out, self._err = base.with_suffix(".out"), base.with_suffix(".log")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(  # noqa: S603  # this program
                [sys.executable, *arguments],
                cwd=CHECKOUT,
                env=dict(environment) | {"PYTHONPATH": str(CHECKOUT)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def code(self) -> int:
        """How it ended; 0 while it runs."""
        return self._process.poll() or 0

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def first_document(self) -> dict[str, Any]:
        """The JSON that it prints once it is ready.

        Raises:
            UnavailableError, ConfigError, UsageError: it did not get that far; in its own words.
        """
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            text = self._out.read_text("utf-8")
            if text.rstrip().endswith("}"):
                self._out.unlink()  # it holds keys, if only of a sandbox
                return dict(json.loads(text))
            if not self.is_running:
                words = self.last_words() or "the sandbox did not start"
                raise (UsageError if self._process.returncode == UsageError.exit_code else UnavailableError)(words)
            time.sleep(LOOK_S)
        raise UnavailableError("the sandbox is not ready after two minutes; try again")

    def document(self) -> dict[str, Any]:
        """The JSON that it printed at its end, nothing where it did not."""
        try:
            return dict(json.loads(self._out.read_text("utf-8")))
        except ValueError:
            return {}

    def errors(self) -> list[str]:
        """Every line that it said on standard error."""
        return self._err.read_text("utf-8", "replace").splitlines()

    def last_words(self) -> str:
        """The last of them."""
        said = self.errors()
        return said[-1].removeprefix("error: ") if said else ""

    def end(self, number: int) -> int:
        """Ask it to end, and see to it; the exit code."""
        if self.is_running:
            self._process.send_signal(number)
        try:
            return self._process.wait(GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
