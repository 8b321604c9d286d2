"""What stands against a start, by the real command: one sentence, the right exit code, and the broker hears nothing.

The broker's address is a decoy that only notes who comes. Where a broker has to be asked to know (its account, its
tools, its clock), it is the sandbox, or a server that tells the time, and their record says that nothing was ordered.
"""

import email.utils
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from live.core.limits import DEFAULTS
from live.risk_arming import CERTIFICATE_DAYS
from live.sandbox.server import running
from tests.live.decoy import Decoy
from tests.live.world import World

CHECKOUT = Path(__file__).resolve().parents[2]
REHEARSAL = {"ONETAPE_REHEARSAL": "0@0*1"}
PROBLEMS = {}


def problem(code, sentence):
    """A function of (folder, values, environment) that spoils a start, and what is then said."""

    def keep(spoil):
        PROBLEMS[spoil.__name__.strip("_").replace("_", " ")] = (spoil, code, sentence)
        return spoil

    return keep


@problem(78, "does not say max_order_usd")
def _a_missing_limit(folder, values, environment):
    values["limits"].pop("max_order_usd")


@problem(78, "APCA_API_KEY_ID is a key of Alpaca's live world")
def _a_live_key_in_paper_mode(folder, values, environment):
    environment["APCA_API_KEY_ID"] = "AKCANARYCANARYCANARY"


@problem(78, "APCA_API_BASE_URL is https://api.alpaca.markets")
def _the_live_address_in_paper_mode(folder, values, environment):
    environment["APCA_API_BASE_URL"] = "https://api.alpaca.markets"


@problem(78, "is not for trading")
def _the_word_for_money_without_money(folder, values, environment):
    values["arguments"] += ["--live"]


@problem(78, "say so with --live")
def _money_without_the_word(folder, values, environment):
    values["trading"] = True


@problem(5, "typed wrongly")
def _another_accounts_suffix(folder, values, environment):
    money(folder, values)
    values["arguments"][-1] = "9999"


@problem(3, f"older than {CERTIFICATE_DAYS} days")
def _an_expired_certificate(folder, values, environment):
    money(folder, values)
    old = time.time() - (CERTIFICATE_DAYS + 1) * 86_400
    os.utime(folder / "c.json", (old, old))


@problem(78, "was never armed")
def _an_account_nobody_armed(folder, values, environment):
    money(folder, values)


@problem(78, "APCA_API_KEY_ID is a key of Alpaca's paper world")
def _a_paper_key_in_live_mode(folder, values, environment):
    money(folder, values)
    values["arm"] = True
    environment["APCA_API_KEY_ID"] = "PKCANARYCANARYCANARY"


@problem(78, "anyone may write into")
def _a_folder_that_anyone_may_write(folder, values, environment):
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)


@problem(78, "cannot be written")
def _a_read_only_folder(folder, values, environment):
    (folder / "state").mkdir()
    if os.getuid() == 0:  # whom no mode keeps out: the kernel's own folder does
        values["state"] = "/sys/onetape"
    else:
        (folder / "state").chmod(0o500)


@problem(78, "chmod 600")
def _a_token_that_others_may_read(folder, values, environment):
    login(folder, values, environment, "robinhood_private", ".token", '{"access": "canary-token"}')


@problem(78, "chmod 600")
def _a_login_that_others_may_read(folder, values, environment):
    login(folder, values, environment, "robinhood", ".grant", "{}")


@problem(5, "no login")
def _no_login(folder, values, environment):
    login(folder, values, environment, "robinhood", ".grant", "{}")
    (folder / "state" / "a.grant").unlink()


def login(folder, values, environment, broker, suffix, body):
    """A login of the broker's, with a mode that lets the group read it."""
    (folder / "state").mkdir(mode=0o700)
    (folder / "state" / f"a{suffix}").write_text(body)
    (folder / "state" / f"a{suffix}").chmod(0o640)
    values |= {"broker": broker} | ({"unofficial": True} if broker == "robinhood_private" else {})
    environment |= REHEARSAL


def money(folder, values):
    """An account of money, with a certificate made by the command."""
    made = subprocess.run(
        [sys.executable, "-m", "strategies", "certify", "ma_cross", "--out", folder / "c.json"],
        cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    values |= {"trading": True, "certificate": "c.json", "account_suffix": "7731"}
    values["arguments"] += ["--live", "--confirm", "7731"]


@pytest.fixture
def decoy():
    made = Decoy()
    yield made
    made.close()


def live(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "live", *map(str, arguments)], cwd=CHECKOUT, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "NO_PROXY": "127.0.0.1,localhost"} | environment,
    )  # fmt: skip


def write(folder, values):
    path = folder / "a.toml"
    skipped = ("limits", "arguments", "arm")
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if name not in skipped]
    lines += ["[limits]", *(f"{name} = {json.dumps(value)}" for name, value in values["limits"].items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def values_of(folder):
    return {
        "name": "a", "strategy": "ma_cross", "broker": "alpaca", "state": str(folder / "state"), "symbols": ["AAPL"],
        "feed": "alpaca", "limits": dict(DEFAULTS), "arguments": [],
    }  # fmt: skip


def refused(done, code, sentence):
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert done.stderr.splitlines()[-1] == errors[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert "CANARY" not in done.stderr
    assert "canary" not in done.stderr


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_start_is_refused_in_one_sentence_before_the_broker_hears_of_it(tmp_path, decoy, name):
    spoil, code, sentence = PROBLEMS[name]
    values = values_of(tmp_path)
    environment = {
        "APCA_API_KEY_ID": "a-canary-key", "APCA_API_SECRET_KEY": "a-canary-secret", "APCA_API_BASE_URL": decoy.url,
        "ROBINHOOD_API_URL": decoy.url, "ROBINHOOD_MCP_URL": decoy.url, "APCA_API_STREAM_URL": decoy.url,
    }  # fmt: skip
    spoil(tmp_path, values, environment)
    path = write(tmp_path, values)
    if values.get("arm"):
        assert live("arm", path, "--confirm", "7731").returncode == 0
    refused(live("run", path, *values["arguments"], **environment), code, sentence)
    assert decoy.heard == []
    assert not list(tmp_path.rglob("*.journal"))


def test_a_full_disk_is_refused(tmp_path, decoy):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("this user cannot make a small disk")
    try:
        path = write(tmp_path, values_of(tmp_path) | {"state": str(small)})
        done = live("run", path, **REHEARSAL, APCA_API_BASE_URL=decoy.url)
        refused(done, 78, "MB left, 100 are needed")
        with pytest.raises(OSError, match="No space"):
            (small / "full").write_bytes(bytes(2_000_000))
        done = live("run", path, **REHEARSAL, APCA_API_BASE_URL=decoy.url)
        refused(done, 78, "cannot be written (No space left on device)")
    finally:
        subprocess.run(["umount", small], check=True)
    assert decoy.heard == []


@pytest.mark.parametrize(("off_s", "word"), [(30.0, "behind"), (-30.0, "ahead of")])
def test_a_skewed_clock_is_refused_and_only_the_time_was_asked(tmp_path, off_s, word):
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self):
            super().handle_one_request()
            if self.raw_requestline:
                asked.append((self.command, str(self.headers)))

        def do_HEAD(self):
            self.send_response_only(200)
            self.send_header("Date", email.utils.formatdate(time.time() + off_s, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    box = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=box.serve_forever)
    thread.start()
    try:
        path = write(tmp_path, values_of(tmp_path))
        keys = {"APCA_API_KEY_ID": "a-canary-key", "APCA_API_SECRET_KEY": "a-canary-secret"}
        done = live("run", path, APCA_API_BASE_URL=f"http://127.0.0.1:{box.server_port}", **keys)
    finally:
        box.shutdown()
        thread.join()
        box.server_close()
    refused(done, 78, f"{word} that of")
    assert {method for method, _ in asked} == {"HEAD"}
    assert all("canary" not in headers for _, headers in asked), "nobody logged in"


@pytest.mark.parametrize("changed", ["account", "schemas", "suffix"])
@pytest.mark.xdist_group("live process")
def test_another_account_or_other_tools_than_those_of_the_login_are_refused_without_an_order(
    tmp_path, checkout, changed
):
    world = World(tmp_path, checkout, f"key-{os.getpid()}-{tmp_path.name}")
    with running(world.box):
        try:
            world.account("robinhood", **({"account_suffix": "999"} if changed == "suffix" else {}))
            grant = world.journal.with_suffix(".grant")
            told = json.loads(grant.read_bytes())
            if changed != "suffix":
                told[changed] = {"account": "900000999", "schemas": "0" * 64}[changed]
                grant.write_text(json.dumps(told))
            venue = world.box.house.venues["robinhood"]
            before = dict(venue.faults.counts)
            process = world.start()
            out, said = process.communicate(timeout=120)
        finally:
            world.end()
        done = subprocess.CompletedProcess([], process.returncode, out, said)
        sentences = {"account": "made for the account ending in 0999", "schemas": "has changed the tools"}
        refused(done, 78, sentences.get(changed, "is the one ending in 999"))
        assert venue.orders == {}
        if changed == "suffix":
            assert dict(venue.faults.counts) == before, "the file alone says so: nobody was asked"
