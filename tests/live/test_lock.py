"""A lock is held by one process, whoever looks at it, and says by whom."""

import os
import subprocess
import sys
import threading

import pytest

from live.fleet_state import holder
from live.lock import InUseError, held


def test_a_held_lock_names_its_process_and_refuses_the_second(tmp_path):
    path = tmp_path / "a.lock"
    path.write_text("9999999999\n")  # of a process that was killed
    assert holder(path) == 0
    with held(path, "a"):
        assert holder(path) == os.getpid()
        with pytest.raises(InUseError, match=f"process .id {os.getpid()}."), held(path, "a"):
            pass
    assert holder(path) == holder(tmp_path / "none.lock") == 0


def test_looking_at_a_lock_never_keeps_a_runner_from_starting(tmp_path):
    path, stop = tmp_path / "a.lock", threading.Event()
    path.touch()

    def look():
        while not stop.is_set():
            holder(path)

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for each in lookers:
        each.start()
    try:
        for _ in range(300):
            with held(path, "a"):
                pass
    finally:
        stop.set()
        for each in lookers:
            each.join()


def test_of_many_that_start_at_once_exactly_one_trades(tmp_path):
    code = (
        "import sys, pathlib; from live.lock import InUseError, held\n"
        "try:\n with held(pathlib.Path(sys.argv[1]), 'a'):\n  print('mine', flush=True); sys.stdin.read()\n"
        "except InUseError:\n print('no', flush=True)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.lock")], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip
    said = [each.stdout.readline().strip() for each in started]
    for each in started:
        each.communicate()
    assert sorted(said) == ["mine", "no", "no", "no"]
