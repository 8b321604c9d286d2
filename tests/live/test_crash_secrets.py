"""A process that crashes leaves no secret anywhere: real deaths of real processes, and every byte they wrote."""

import gzip
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from live.sandbox.server import running
from tests.live.world import World

pytestmark = pytest.mark.xdist_group("live process")

BROKEN = '''"""Buys and sells by the odd cents of prices, until it breaks."""
import os
from pathlib import Path

from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"
BREAK = Path(__file__).with_name("break")


def signals(bars: Bars, *, n: int = 2) -> Signals:
    how = BREAK.read_text() if BREAK.exists() else ""
    if how == "tell":
        known = dict(os.environ)
        raise RuntimeError(f"unexpected answer for {known['APCA_API_KEY_ID']}:{known['APCA_API_SECRET_KEY']}: {known}")
    if how == "memory":
        bytearray(1 << 62)
    odd = (bars.close * 50.0 + 0.0 * sma(bars.close, n)) % 1.0
    return Signals(odd < 0.5, odd >= 0.5)
'''
DEATHS = ("SIGSEGV", "SIGABRT", "tell", "memory")


@pytest.fixture
def world(tmp_path, checkout):
    mark = f"{os.getpid()}x{tmp_path.name[-8:]}"
    canaries = (f"PKCANARY{mark}", f"canary-secret-{mark}")
    made = World(tmp_path, checkout, canaries[0], secret=canaries[1])
    made.strategy, made.canaries = BROKEN, list(canaries)
    with running(made.box):
        yield made
        made.end()


def secrets_of(world, broker):
    """What must be nowhere; the files of logins hold theirs, and only they."""
    files = [path for path in world.journal.parent.iterdir() if path.suffix in (".grant", ".token")]
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = json.loads((world.journal.with_suffix(".grant")).read_bytes()) if broker == "robinhood" else {}
    tokens = [value for name, value in told.items() if "access" in name or "refresh" in name]
    assert (broker == "robinhood") == (len([each for each in tokens if isinstance(each, str)]) >= 2)
    return [*world.canaries, *(each for each in tokens if isinstance(each, str))], files


def search(folder, secrets, but):
    """Every file below the folder, and the packed ones unpacked, against every secret; how many were read."""
    seen = 0
    for path in folder.rglob("*"):
        if path.is_file() and path not in but:
            body = path.read_bytes()
            body += gzip.decompress(body) if path.suffix == ".gz" else b""
            seen += 1
            for secret in secrets:
                assert secret.encode() not in body, f"{path.name} holds a secret"
    return seen


def watched(process):
    """The command lines of the process and of those it started; its environment is its owner's to read."""
    lines = b""
    for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        lines += Path(f"/proc/{each.pid}/cmdline").read_bytes()
        environ = Path(f"/proc/{each.pid}/environ").stat()
        assert stat.S_IMODE(environ.st_mode) == 0o400
        limits = Path(f"/proc/{each.pid}/limits").read_text()
        assert re.search(r"Max core file size +1 +1 ", limits)
    return lines


@pytest.mark.parametrize(("broker", "death"), [*(("alpaca", each) for each in DEATHS), ("robinhood", "SIGSEGV")])
def test_a_process_that_dies_leaves_no_secret_in_any_file(world, checkout, tmp_path, broker, death):
    world.account(broker)
    process = world.start(PYTHONFAULTHANDLER="1", PYTHONDEVMODE="")
    world.until(lambda: world.filled() >= 2, process)
    lines = watched(process)
    cores = set(checkout.glob("core*"))
    if death.startswith("SIG"):
        process.send_signal(signal.Signals[death])
    else:
        (tmp_path / "break").write_text(death)
    out, said = process.stdout.read(), process.stderr.read()
    _, status, _ = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert not os.WCOREDUMP(status)
    assert set(checkout.glob("core*")) == cores
    if death.startswith("SIG"):
        assert process.returncode == -signal.Signals[death]
        assert "Fatal Python error" in said
    else:
        assert process.returncode not in (0, 130)
        assert {"tell": "unexpected answer", "memory": "MemoryError"}[death] in said
    copied = subprocess.run(
        [sys.executable, "-m", "live", "backup", world.path, "--to", tmp_path / "backup", "--once",
         "--archives", tmp_path / "archives"],
        cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True,
    )  # fmt: skip
    assert copied.returncode == 0, copied.stderr
    secrets, logins = secrets_of(world, broker)
    assert search(tmp_path, secrets, logins) >= 8
    assert world.journal.exists()
    for secret in secrets:
        assert secret not in out + said + copied.stdout + copied.stderr
        assert secret.encode() not in lines


def test_the_memory_of_a_runner_is_nobody_elses(checkout):
    told = "import ctypes; from live.private import keep_private; keep_private(); print(ctypes.CDLL(None).prctl(3))"
    done = subprocess.run([sys.executable, "-c", told], cwd=checkout, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("0", "")


def test_an_error_of_a_thread_is_told_without_secrets(checkout):
    told = (
        "import os, threading; from live.private import keep_private; keep_private();"
        "t = threading.Thread(target=lambda: os.environ['APCA_API_SECRET_KEY'] / 1); t.start(); t.join();"
        "raise KeyError(os.environ['APCA_API_SECRET_KEY'])"
    )
    environment = os.environ | {"APCA_API_SECRET_KEY": "canary-of-a-thread", "PYTHONPATH": str(checkout)}
    done = subprocess.run([sys.executable, "-c", told], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 2
    assert "canary" not in done.stderr
    assert "KeyError" in done.stderr
