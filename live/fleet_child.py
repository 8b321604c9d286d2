"""A runner of a fleet: the parent's memory, its own account, environment and log, and nothing else of the others.

`spawn` forks. The child takes its own session (Ctrl-C is for the supervisor), its own log for what it prints, the
secrets of its own env file, and then does what `python -m live run` does.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import OnetapeError
from live.fleet_files import Stagger, read_env
from live.fleet_restart import TAKEN
from live.hub_feed import HubFeed
from live.lock import InUseError

if TYPE_CHECKING:
    from live.account import Account
    from live.summary import Summary

MOST_LOG_BYTES = 10 << 20


@dataclass(frozen=True)
class Source:
    """Where the runners hear the market: a hub's socket, or a tape each plays for itself.

    live: the hub has a live feed, not a tape. speed: of the tape.
    """

    hub: Path | None
    tape: Path | None = None
    speed: float = 1.0
    live: bool = False


def preload() -> None:
    """Load once, for every child, what a runner needs; and keep the collector from touching it again."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a thread would not survive the fork
    import asyncio  # noqa: F401
    import importlib

    for name in (
        "live.shell",
        "live.hub_feed",
        "live.opening",
        "live.summary",
        "live.fleet_tail",
        "numpy",
        "structlog",
    ):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def spawn(log: Path, env: Path | None, work: Callable[[], int]) -> int:
    """Fork a process that does `work` and ends with the code it gives; its id.

    Args:
        log: what it prints goes to the end of this file.
        env: file of secrets that only it gets.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _become(log, env)
        code = work()
    except InUseError as error:
        sys.stderr.write(f"error: {error}\n")
        code = TAKEN
    except OnetapeError as error:
        sys.stderr.write(f"error: {error}\n")
        code = error.exit_code
    except BaseException:  # noqa: BLE001  # the child must not go on as a second supervisor
        sys.excepthook(*sys.exc_info())  # which takes secrets out
    finally:
        with_flush = (sys.stdout, sys.stderr)
        for stream in with_flush:
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 1
        os._exit(code)


def _become(log: Path, env: Path | None) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if os.fstat(handle).st_size > MOST_LOG_BYTES:
        os.ftruncate(handle, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.closerange(3, 4096)
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        os.environ.pop(name, None)
    if env is not None:
        for name in secret_names():
            os.environ.pop(name, None)
        os.environ.update(read_env(env))


def secret_names() -> set[str]:
    """Every variable that may hold a secret, or name the file of one."""
    from data.settings import Settings

    names = {name for spec in fields(Settings) if spec.metadata.get("secret") for name in spec.metadata["names"]}
    return names | {f"{name}_FILE" for name in names}


def trade(path: Path, source: Source, stagger: Stagger) -> int:
    """Run the account of a file until its feed ends or it is told to stop; the exit code.

    An account with money is started with the suffix that a person wrote into its env file as CONFIRM_SUFFIX, and sends
    what takes new risk after its pause of `stagger`.

    Raises:
        OnetapeError: as `live.shell.run`, each with its exit code.
    """
    from live.account import load_account
    from live.cli_arm import checked

    account = load_account(path)
    checked(account, live=account.trading, confirm=os.environ.get("CONFIRM_SUFFIX", ""))
    done = _run(account, source, stagger)
    by = f", by {done.stopped_by}" if done.stopped_by else ""
    sys.stderr.write(f"ended after {done.rows} rows{by}; equity {done.equity:,.2f}\n")
    return 143 if done.stopped_by else 0


def pause_of(account: Account, stagger: Stagger) -> Callable[[int], float]:
    """Seconds that what takes new risk waits, given the time of its row; none for an account without money."""
    return lambda ts: stagger.delay_s(account.name, ts) if account.trading else 0.0


def _run(account: Account, source: Source, stagger: Stagger) -> Summary:
    from live import shell

    if source.hub is None:
        assert source.tape is not None  # noqa: S101  # a source is one of the two
        return shell.run(account, source.tape, source.speed)
    hub = source.hub
    if source.live:
        symbols = account.symbols

        def heard(_warm: int) -> HubFeed:
            return HubFeed(hub, seed=account.name, symbols=symbols)

        return shell.run_live(account, live=account.trading, feed=heard, delay_s=pause_of(account, stagger))
    return shell.run(account, Path(), source.speed, feed=lambda: HubFeed(hub, seed=account.name))
