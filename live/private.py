"""What a process that crashes leaves behind: nothing of its memory, and a traceback without secrets.

A core dump is a copy of the memory, keys and tokens included; so there is none, neither as a file nor through a program
that collects them. `/proc/PID/environ` and `/proc/PID/mem` belong to root alone from then on.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
import threading
import traceback
from types import TracebackType

PR_SET_DUMPABLE = 4
NO_CORE = 1
"""Of the limit of a core's size: too small for a file, and the one value at which the kernel asks no program either."""


def keep_private() -> None:
    """Let no crash of this process, or of those it starts, show what it knows."""
    with contextlib.suppress(ValueError, OSError):  # a lower limit is in force already
        resource.setrlimit(resource.RLIMIT_CORE, (NO_CORE, NO_CORE))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    sys.excepthook = _tell
    threading.excepthook = _tell_of_thread


def redacted(error: BaseException) -> str:
    """The traceback of an error, without what the settings and the environment hold as secrets."""
    from data.errors import ConfigError
    from data.settings import Settings
    from live.logs_redact import Redactor

    try:
        redactor = Redactor.of_settings()
    except ConfigError:
        redactor = Redactor.of_settings(Settings())
    return redactor.text("".join(traceback.format_exception(error)))


def _tell(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, where)
        return
    try:
        sys.stderr.write(redacted(error))
    except Exception:  # noqa: BLE001  # memory may be gone: of an error that cannot be told of safely, its kind is enough
        sys.stderr.write(f"{kind.__name__}, and its traceback could not be written without secrets\n")


def _tell_of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not issubclass(told.exc_type, SystemExit):
        _tell(told.exc_type, told.exc_value, told.exc_traceback)
