"""Logs: whole lines of JSON without a secret, in files that stay small, and never in the way of trading."""

import gzip
import json
import logging
import os
import pickle
import queue
import stat
import subprocess
import sys
from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError
from data.settings import MASK, load_settings
from live.core.commands import Alert
from live.logs import KEEP_DAYS, open_log, setup
from live.logs_redact import Redactor

CANARY = "cAnAry-7f3b/9+x=Q"
PASSWORD = "p@ss:w0rd-canary"


@pytest.fixture(autouse=True)
def loggers_as_they_were():
    root, level = logging.getLogger(), logging.getLogger("onetape").level
    handlers = list(root.handlers)
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    logging.getLogger("onetape").setLevel(level)


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def everything(folder, name="desk.log"):
    """All that was ever written, oldest first."""
    packed = [folder / f"{name}.{i}.gz" for i in (3, 2, 1)]
    text = [gzip.decompress(path.read_bytes()).decode() for path in packed if path.exists()]
    return "".join([*text, (folder / name).read_text()])


def test_a_line_is_json_with_time_level_and_account(desk):
    from live.account import load_account

    with setup(load_account(desk.account()), clock_ns=desk.clock) as log:
        log.info("order.sent", symbol="AAA", quantity=10.0, where=desk.state)
        log.debug("not written")
    path = desk.state / "desk.log"
    (line,) = lines(path)
    assert line == {
        "timestamp": "2026-09-21T14:13:20.000000Z", "level": "info", "event": "order.sent", "account": "desk",
        "symbol": "AAA", "quantity": 10.0, "where": str(desk.state),
    }  # fmt: skip
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_libraries_warnings_and_exceptions_are_lines_too(tmp_path):
    path = tmp_path / "desk.log"
    with open_log(path) as log:
        logging.getLogger("websockets.client").warning("lost %s", "the line")
        try:
            raise RuntimeError("it broke")
        except RuntimeError:
            log.exception("feed.failed")
    first, second = lines(path)
    assert (first["event"], first["logger"], first["level"]) == ("lost the line", "websockets.client", "warning")
    assert "RuntimeError: it broke" in second["exception"]


def test_an_alert_of_the_core_is_a_line(tmp_path):
    with open_log(tmp_path / "desk.log") as log:
        log.tell(Alert(7, "critical", "order.unknown", "order u has been unknown for 30 s"))
    (line,) = lines(tmp_path / "desk.log")
    del line["timestamp"]
    assert line == {
        "level": "critical", "event": "order.unknown", "text": "order u has been unknown for 30 s", "ts": 7,
    }  # fmt: skip


def test_the_level_is_the_settings(tmp_path):
    with open_log(tmp_path / "a.log", level="DEBUG") as log:
        log.debug("fine")
    with open_log(tmp_path / "b.log", level="ERROR") as log:
        log.warning("not written")
    assert lines(tmp_path / "a.log")[0]["level"] == "debug"
    assert lines(tmp_path / "b.log") == []


def canaries(tmp_path):
    """Settings in which every secret is a canary."""
    names = (
        "APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "MASSIVE_API_KEY", "OPENAI_API_KEY", "RH_USERNAME", "RH_PASSWORD",
        "RH_MFA_SECRET", "REDIS_URL", "AMQP_URL",
    )  # fmt: skip
    values = {name: f"{name.lower()}-{CANARY}" for name in names}
    values["DATABASE_URL"] = f"postgresql://onetape:{PASSWORD}@db.example:5432/x"
    return load_settings(tmp_path, values), list(values.values())


def test_no_secret_of_the_settings_reaches_a_log_in_any_form(tmp_path):
    settings, secrets = canaries(tmp_path)
    path = tmp_path / "desk.log"
    with open_log(path, redactor=Redactor.of_settings(settings, {"DESK_TOKEN": "environment-" + CANARY})) as log:
        for secret in [*secrets, "environment-" + CANARY]:
            try:
                raise ValueError("sent " + secret + " in vain")
            except ValueError:
                log.exception("failed")
            event = "event " + secret
            log.info(
                event,
                plain=secret, inside=f"before {secret}, after", url=f"https://x.example/?k={quote(secret, safe='')}",
                coded=b64encode(secret.encode()).decode(), raw=secret.encode(), deep={"a": [{"b": (secret,)}]},
                said=repr(secret), text=json.dumps({"k": secret}), error=ValueError(secret), **{"key_" + secret: 1},
            )  # fmt: skip
            logging.getLogger("some.library").warning("header %s", {"X-Key": secret})
    text = path.read_text()
    assert len(text.splitlines()) == 3 * (len(secrets) + 1)
    for secret in [*secrets, "environment-" + CANARY]:
        for form in (secret, quote(secret, safe=""), b64encode(secret.encode()).decode().rstrip("="), secret[4:]):
            assert form not in text
    assert CANARY not in text
    assert PASSWORD not in text
    assert text.count("ValueError: sent") == len(secrets) + 1
    assert PASSWORD not in Redactor.of_settings(settings, {}).text(f"password is {PASSWORD}")
    assert MASK in text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}", "Basic {}", "https://ann:{}@x.example/y", "GET /v2?apikey={}&x=1",
        '{{"access_token": "{}", "x": 1}}', "password={}", "API_KEY: {}", "refresh_token='{}'",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_taken_out_unknown(text):
    said = Redactor([]).text(text.format("tHiS1sUnkn0wnValue"))
    assert "tHiS1s" not in said
    assert MASK in said


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl", "sk-proj-abcdefghijklmnop0123",
        "PKABCDEFGHIJKLMNOPQR", "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr",
    ],
)  # fmt: skip
def test_keys_of_a_known_shape_are_taken_out(secret):
    assert Redactor([]).text(f"got {secret} back") == f"got {MASK} back"


def test_a_field_named_like_a_secret_is_masked_and_a_figure_is_not():
    said = Redactor([])(None, "info", {"password": "x", "nested": {"api_key": "y"}, "token": 3, "account": "desk"})
    assert said == {"password": MASK, "nested": {"api_key": MASK}, "token": 3, "account": "desk"}


def test_ordinary_lines_stay_as_they_are():
    text = "order 1450d451-aa2d-5754-9967-65a18f9c6cb9 of AAPL: filled +10 at 50.1, day_loss_pct=3.044 limit=3"
    assert Redactor(["abc"]).text(text) == text


def test_a_redactor_does_not_show_what_it_knows():
    redactor = Redactor([CANARY])
    assert CANARY not in repr(redactor)
    assert CANARY not in str(redactor)


@given(st.text(min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_any_secret_is_found_wherever_it_stands(secret, before, after):
    if secret in MASK or secret in before + MASK + after:
        return
    assert secret not in Redactor([secret]).text(before + secret + after)


def test_files_rotate_are_packed_and_stay_few(tmp_path):
    path = tmp_path / "desk.log"
    with open_log(path, max_bytes=20_000) as log:
        for i in range(1_500):
            log.info("n", i=i, filler="x" * 60)
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["desk.log", "desk.log.1.gz", "desk.log.2.gz", "desk.log.3.gz"]
    numbers = [json.loads(line)["i"] for line in everything(tmp_path).splitlines()]
    assert numbers == list(range(numbers[0], 1_500))
    for each in tmp_path.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
        assert each.stat().st_size <= 20_000


def test_what_is_too_old_is_deleted(desk):
    old, new = desk.state / "desk.log.1.gz", desk.state / "desk.log.2.gz"
    for path, days in ((old, KEEP_DAYS + 1), (new, KEEP_DAYS - 1)):
        path.write_bytes(gzip.compress(b"{}"))
        at = desk.now / 1e9 - days * 86_400
        os.utime(path, (at, at))
    open_log(desk.state / "desk.log", clock_ns=desk.clock).close()
    assert not old.exists()
    assert new.exists()


def test_a_disk_without_room_to_pack_keeps_the_lines(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("live.logs.shutil.copyfileobj", full)
    with open_log(tmp_path / "desk.log", max_bytes=5_000) as log:
        for i in range(40):
            log.info("n", i=i, filler="x" * 80)
    plain = (tmp_path / "desk.log.1").read_text() + (tmp_path / "desk.log").read_text()
    numbers = [json.loads(line)["i"] for line in plain.splitlines()]
    assert numbers == list(range(40))[-len(numbers) :]
    assert not list(tmp_path.glob("*.new"))


def test_lines_the_disk_cannot_take_are_dropped_and_counted(tmp_path):
    log = open_log(tmp_path / "desk.log")
    log._lines.queue = queue.Queue(2)  # one that nobody empties
    for i in range(10):
        log.info("n", i=i)
    assert log._lines.dropped == 8
    log._lines.queue = log._listener.queue
    log.close()
    assert lines(tmp_path / "desk.log")[-1]["event"] == "log.dropped"
    assert lines(tmp_path / "desk.log")[-1]["lines"] == 8


def test_a_closed_log_is_closed_twice_without_harm_and_others_go_on(tmp_path):
    log, other = open_log(tmp_path / "a.log"), open_log(tmp_path / "b.log")
    log.close()
    log.close()
    other.info("still here")
    other.close()
    assert lines(tmp_path / "b.log")[-1]["event"] == "still here"


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_log(tmp_path / "file" / "desk.log")


def test_a_log_is_no_part_of_a_state_that_is_kept(tmp_path):
    with open_log(tmp_path / "a.log") as log, pytest.raises(Exception, match="pickle"):
        pickle.dumps(log)


RUNNER = """
import logging, sys, time
from live.logs import setup
assert "structlog" not in sys.modules
from live.account import load_account
log = setup(load_account(sys.argv[1]))
log.info("started", key=sys.argv[2])
logging.getLogger("lib").error("url https://x.example/?token=%s", sys.argv[2])
log.close()
print("written", flush=True)
"""


def test_a_process_writes_its_log_and_loads_structlog_only_then(desk, checkout):
    environment = os.environ | {"PYTHONPATH": str(checkout), "APCA_API_SECRET_KEY": CANARY}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(desk.account()), CANARY],
        env=environment, cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "written\n", done.stderr
    assert [line["event"] for line in lines(desk.state / "desk.log")] == [
        "started",
        f"url https://x.example/?token={MASK}",
    ]
    assert CANARY not in (desk.state / "desk.log").read_text()
