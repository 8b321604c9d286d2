"""Image, Compose file and units: made from the accounts, judged by the tools that would run them, without a secret."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from data.errors import ConfigError
from live.alerts.book import Book, BookFile
from live.control import Control, Status
from live.deploy_compose import compose, inside
from live.deploy_units import _quoted, units
from live.fleet_files import load_fleet
from live.fleet_notify import notify, watchdog_every_s
from live.fleet_one import heard, saying
from live.metrics.endpoint import Figures
from live.metrics.host import Costs
from live.watch.view import Watch

FEED = ["stream", "--source", "alpaca", "--symbols", "AAPL,MSFT"]
CANARY = "canary-5e1f"


@pytest.fixture
def fleet(accounts):
    """Three accounts of which two have secrets, and a hub with its own."""
    home = accounts("a0", "b-1", "c2")
    for name in ("a0", "b-1", "hub"):
        (home / f"{name}.env").touch(0o600)
        (home / f"{name}.env").write_text(f"APCA_API_SECRET_KEY={CANARY}\n")
    (home / "alerts.urls").touch(0o600)
    (home / "alerts.urls").write_text(f"json://127.0.0.1:9/{CANARY}\n")
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n')
    return load_fleet([home])


# --- Compose --------------------------------------------------------------------------------------------------------


def test_every_account_is_a_fenced_service_with_its_own_env_file(fleet):
    document = compose(fleet, FEED)
    services = document["services"]
    for member in fleet.members:
        service = services[f"account-{member.name}"]
        assert service["profiles"] == ["paper"]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"].endswith("m")
        assert service["healthcheck"]["test"][-2:] == ["healthy", f"/accounts/{member.path.name}"]
        assert service.get("env_file") == ([str(member.path.with_suffix(".env"))] if member.env else None)
        mounted = {each["target"]: each for each in service["volumes"] if isinstance(each, dict)}
        assert mounted[f"/accounts/{member.path.name}"]["read_only"] is True
        assert mounted[str(member.account.state)]["read_only"] is False
        assert not any(target.endswith(".env") for target in mounted)
    assert services["hub"]["env_file"] == [str(fleet.folder / "hub.env")]
    assert {name for each in services.values() for name in each["profiles"]} == {
        "paper", "live", "observability", "research",
    }  # fmt: skip


def test_no_service_listens_beyond_this_host_and_every_foreign_image_is_pinned(fleet):
    for service in compose(fleet, FEED)["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        if "build" not in service:
            assert re.fullmatch(r".+:.+@sha256:[0-9a-f]{64}", service["image"])


def test_the_document_holds_no_secret_and_is_the_same_each_time(fleet, python, tmp_path):
    texts = []
    for name in ("one.yml", "two.yml"):
        done = python(
            "-m", "live", "compose", str(fleet.folder), "--out", str(tmp_path / name), "--feed", " ".join(FEED)
        )
        assert done.returncode == 0, done.stderr
        texts.append((tmp_path / name).read_text().partition("\n")[2])
    assert texts[0] == texts[1]
    assert CANARY not in texts[0]
    assert yaml.safe_load(texts[0])["services"].keys() == compose(fleet, FEED)["services"].keys()


def test_folders_of_the_checkout_lie_in_the_app(checkout):
    assert str(inside(checkout / "out" / "live")) == "/app/out/live"
    assert str(inside(checkout.parent / "elsewhere")) == str(checkout.parent / "elsewhere")


def test_compose_itself_takes_the_file(fleet, python, tmp_path):
    tool = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    if not shutil.which(tool[0]) or subprocess.run([*tool, "version"], capture_output=True).returncode:
        pytest.skip("neither docker-compose nor docker compose is on this machine")
    out = tmp_path / "compose.yml"
    words = ("compose", str(fleet.folder), "--out", str(out), "--feed", " ".join(FEED), "--backup", str(tmp_path))
    assert python("-m", "live", *words).returncode == 0
    (tmp_path / "grafana.password").touch()
    for profiles in (("paper",), ("live",), ("observability",), ("paper", "live", "observability", "research")):
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        done = subprocess.run([*tool, "-f", out, *chosen, "config", "-q"], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


# --- the image ------------------------------------------------------------------------------------------------------


def stages(checkout):
    """The instructions of every stage of the Dockerfile, continued lines joined."""
    text = (checkout / "deploy" / "docker" / "Dockerfile").read_text()
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line and not line.startswith("#")]
    found, name = {}, ""
    for line in lines:
        if match := re.match(r"FROM (\S+) AS (\w+)", line):
            name = match[2]
        found.setdefault(name, []).append(line)
    return found


def test_the_image_is_pinned_small_and_without_root(checkout):
    found = stages(checkout)
    assert re.fullmatch(r"ARG BASE=python:3\.\d+-slim-\w+@sha256:[0-9a-f]{64}", found[""][0])
    assert list(found)[-1] == "live"  # the default is the last
    live = "\n".join(found["live"])
    assert re.search(r"^USER 10001", live, flags=re.MULTILINE)
    assert "HEALTHCHECK" in live
    assert not re.search(r"^(ADD|RUN .*(pip|apt|curl))", live, flags=re.MULTILINE)
    assert re.findall(r"^COPY (\w+) ", live, flags=re.MULTILINE) == ["data", "strategies", "live"]
    installs = [line for stage in found.values() for line in stage if "pip install" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)
    assert "SECRET" not in live.upper().replace("NO SECRET", "")


def test_what_the_image_copies_is_enough_to_run(checkout, tmp_path, tape, accounts):
    """The three rooms alone, in a folder of their own, trade a tape."""
    for room in ("data", "strategies", "live"):
        shutil.copytree(
            checkout / room, tmp_path / "app" / room, ignore=shutil.ignore_patterns("__pycache__", "store", "*.env")
        )
    home = accounts("a0")
    done = subprocess.run(
        [sys.executable, "-m", "live", "fleet", "run", home / "a0.toml", "--replay", tape(60), "--speed", "0"],
        cwd=tmp_path / "app", capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "app"), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ended after 60 rows" in done.stderr


def test_no_secret_can_reach_the_builder(checkout):
    rules = (checkout / "deploy" / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert rules[1] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert allowed == {"data", "strategies", "live", "backtests", "research", "requirements"}
    last_allowed = max(k for k, rule in enumerate(rules) if rule.startswith("!"))
    for pattern in ("**/*.env", "**/.env", "**/*.grant", "**/*.token", "**/*.journal*"):
        assert rules.index(pattern) > last_allowed


# --- systemd --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", [False, True])
def test_systemd_takes_every_unit_and_finds_it_well_fenced(fleet, tmp_path, each):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    found = units(fleet, FEED, each=each, backup=tmp_path / "backup", user="daemon")
    for name, text in found.items():
        (tmp_path / name).write_text(text)
        assert CANARY not in text
    paths = [tmp_path / name for name in found]
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "onetape" in line]
    assert said == []
    for path in paths:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", path], capture_output=True, text=True
        )
        assert done.returncode == 0, f"{path.name}: {done.stdout[-2_000:]}"


def test_a_unit_per_account_has_its_credential_and_its_own_folder_to_write(fleet):
    found = units(fleet, FEED, each=True)
    assert sorted(found) == [
        "onetape-a0.service", "onetape-alerts.service", "onetape-b-1.service", "onetape-c2.service",
        "onetape-hub.service", "onetape-metrics.service",
    ]  # fmt: skip
    one = found["onetape-a0.service"]
    assert f"LoadCredential=a0.env:{fleet.folder}/a0.env" in one
    assert "b-1.env" not in one
    assert "LoadCredential" not in found["onetape-c2.service"]
    assert f"ReadWritePaths={fleet.members[0].account.state}\n" in one
    for line in ("Type=notify", "WatchdogSec=60", "RestartPreventExitStatus=2 4 5 7 78", "NoNewPrivileges=yes"):
        assert line in one
    together = units(fleet, FEED)["onetape-fleet.service"]
    assert together.count("LoadCredential=") == 3


def test_figures_are_of_every_state_folder_and_of_the_alerts_that_are_kept(accounts, tmp_path):
    """Each account file names its own folder; `--state` is that of the salt and of what the alert daemon says."""
    home = accounts("a0", "b1")
    for name in ("a0", "b1"):
        text = (home / f"{name}.toml").read_text().replace(f"{home}/state", f"{tmp_path}/z/{name}")
        (home / f"{name}.toml").write_text(text)
        Control(tmp_path / "z" / name, name).flag.parent.mkdir(parents=True)
        status = Status(name, "noise", 1, 3, 1, 5.0, 5.0, {}, 0, 0, "", {}, {}, said=1)
        Control(tmp_path / "z" / name, name).publish(status)
    (home / "fleet.toml").write_text(f'state = "{tmp_path}/fleet"\n')  # it sorts before those of the accounts
    (loaded := load_fleet([home])).state.mkdir()
    made = units(loaded, FEED)
    words = {
        name: shlex.split(re.search("^ExecStart=(.*)$", made[f"onetape-{name}.service"], re.MULTILINE)[1])
        for name in ("metrics", "alerts")
    }
    where = words["metrics"][words["metrics"].index("--state") + 1]
    assert where == words["alerts"][words["alerts"].index("--book") + 1] == str(tmp_path / "z" / "a0")
    for folder in ("z/a0", "z/b1", "fleet"):
        assert f"ReadWritePaths={tmp_path / folder}\n" in made["onetape-metrics.service"]
    BookFile(Path(where)).write(Book(said=1))
    found = Figures(Watch([Path(words["metrics"][4])]), Costs(tmp_path), alerts=Path(where)).samples()
    assert {sample.labels[0] for sample in found if sample.name == "onetape_rows_total"} == {"a0", "b1"}
    assert any(sample.name == "onetape_alerts_silent_seconds" for sample in found)
    command = compose(loaded, FEED)["services"]
    assert command["metrics"]["command"][-1] == command["alerts"]["command"][-1]


@pytest.mark.parametrize("each", [False, True])
def test_alerts_have_a_unit_that_is_given_its_addresses_as_a_credential(fleet, each):
    one = units(fleet, FEED, each=each)["onetape-alerts.service"]
    state = fleet.members[0].account.state
    assert f"-m live alerts {fleet.folder} --book {state}\n" in one
    assert f"LoadCredential=alerts.urls:{fleet.folder}/alerts.urls\n" in one
    assert "Environment=ALERT_URLS_FILE=%d/alerts.urls\n" in one
    assert ".env" not in one
    for line in ("Type=notify", "WatchdogSec=60", f"ReadWritePaths={state}", "NoNewPrivileges=yes"):
        assert f"{line}\n" in one
    (fleet.folder / "alerts.urls").chmod(0o644)
    with pytest.raises(ConfigError, match="may be read by others"):
        units(fleet, FEED)
    (fleet.folder / "alerts.urls").unlink()
    without = units(fleet, FEED)["onetape-alerts.service"]
    assert "ALERT_URLS" not in without
    assert "LoadCredential" not in without


def test_alerts_are_a_service_beside_the_accounts_with_their_addresses_as_a_secret(fleet):
    document = compose(fleet, FEED)
    service = document["services"]["alerts"]
    state = str(fleet.members[0].account.state)
    assert service["command"] == ["alerts", "/accounts", "--book", state]
    assert service["profiles"] == ["paper", "live"]
    assert service["networks"] == ["outside"]
    assert service["environment"] == {"ALERT_URLS_FILE": "/run/secrets/alert_urls"}
    assert document["secrets"][service["secrets"][0]] == {"file": str(fleet.folder / "alerts.urls")}
    assert "env_file" not in service
    mounted = [each["target"] for each in service["volumes"]]
    assert state in mounted
    assert "/accounts/alerts.urls" not in mounted
    (fleet.folder / "alerts.urls").unlink()
    document = compose(fleet, FEED)
    assert "secrets" not in document["services"]["alerts"]
    assert "alert_urls" not in document["secrets"]


def test_words_of_a_unit_keep_spaces_and_signs():
    assert _quoted("plain") == "plain"
    assert _quoted("stream --symbols A") == '"stream --symbols A"'
    assert _quoted('50% "of" $HOME') == '"50%% \\"of\\" $$HOME"'


# --- the handshake --------------------------------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path):
    """What a service manager hears at its notify socket: `words()` so far, `address`."""

    class Manager:
        def __init__(self):
            self.address = str(tmp_path / "notify.sock")
            self.line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.line.bind(self.address)
            self.heard = []
            self.thread = threading.Thread(target=self.listen, daemon=True)
            self.thread.start()

        def listen(self):
            while True:
                try:
                    said = self.line.recv(4_096)
                except OSError:
                    return
                if said == b"over":
                    return
                self.heard += said.decode().splitlines()

        def until(self, word, count=1):
            end = time.monotonic() + 60
            while self.heard.count(word) < count:
                assert time.monotonic() < end, f"{word} was not heard, only {self.heard}"
                time.sleep(0.02)

    made = Manager()
    yield made
    notify("over", address=made.address)
    made.thread.join(10)
    made.line.close()


def test_an_account_says_when_it_is_ready_that_it_lives_and_that_it_stops(manager, accounts, tape, checkout):
    home = accounts("a0")
    process = subprocess.Popen(
        [sys.executable, "-m", "live", "fleet", "run", home / "a0.toml", "--replay", tape(3_000), "--speed", "300"],
        cwd=checkout, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"},
    )  # fmt: skip
    try:
        manager.until("READY=1")
        manager.until("WATCHDOG=1", 2)
        done = subprocess.run([sys.executable, "-m", "live", "fleet", "healthy", home / "a0.toml"], cwd=checkout)
        assert done.returncode == 0
        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert manager.heard.index("READY=1") < manager.heard.index("WATCHDOG=1") < manager.heard.index("STOPPING=1")


def test_a_fleet_says_the_same_and_gets_secrets_as_credentials(manager, accounts, tape, checkout, tmp_path):
    home = accounts("a0", "a1")
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n')
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "a0.env").write_text("APCA_API_KEY_ID=canary\n")
    (credentials / "a0.env").chmod(0o440)  # as systemd gives it to a user with an access list
    process = subprocess.Popen(
        [sys.executable, "-m", "live", "fleet", "up", home, "--replay", tape(3_000), "--speed", "300"],
        cwd=checkout, stderr=subprocess.PIPE, text=True,
        env=os.environ | {
            "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000", "CREDENTIALS_DIRECTORY": str(credentials),
        },
    )  # fmt: skip
    try:
        manager.until("READY=1")
        manager.until("WATCHDOG=1", 2)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "STOPPING=1" in manager.heard


def test_alerts_say_that_they_are_ready_and_live_and_find_their_addresses_and_are_healthy(fleet, manager, checkout):
    service = compose(fleet, FEED)["services"]["alerts"]
    command = [str(fleet.folder) if word == "/accounts" else word for word in service["command"]]
    process = subprocess.Popen(
        [sys.executable, "-m", "live", *command, "--every", "0.1"],
        cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"NOTIFY_SOCKET": manager.address, "ALERT_URLS_FILE": str(fleet.folder / "alerts.urls")},
    )  # fmt: skip
    try:
        manager.until("READY=1")
        manager.until("WATCHDOG=1", 2)
        kind, look = service["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        assert subprocess.run(look, shell=True).returncode == 0
        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    book = fleet.members[0].account.state / "alerts.json"
    os.utime(book, (time.time() - 3_600,) * 2)
    assert subprocess.run(look, shell=True).returncode == 1
    assert "told to JSON" in said
    assert CANARY not in said


def test_a_process_that_exists_and_does_not_trade_is_not_alive(manager, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    assert watchdog_every_s() == 0.1
    control = Control(tmp_path, "a0")
    with saying(control):
        time.sleep(0.6)
        assert "READY=1" not in manager.heard
        control.publish(Status("a0", "s", os.getpid(), 7, 0, 0.0, 0.0, {}, 0, 0, "", {}, {}))
        manager.until("WATCHDOG=1")
        os.utime(control.status_file, (time.time() - 3_600,) * 2)
        time.sleep(0.6)
        count = manager.heard.count("WATCHDOG=1")
        time.sleep(0.6)
        assert manager.heard.count("WATCHDOG=1") == count
    assert heard(control, 1)[0] == float("inf")  # another process's word does not count


def test_without_a_manager_nothing_is_said(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False
    assert notify("READY=1", address="/nowhere/at/all") is False
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_every_s() == 0.0
