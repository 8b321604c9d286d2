"""Arming: each thing that must be true before money, and the exit code and sentence where it is not."""

import json

import pytest

from data.door import call
from data.errors import AuthError, CertificateError, ConfigError
from live import risk_arming
from live.__main__ import app
from live.account import load_account
from live.cli_arm import checked
from live.core.limits import DEFAULTS
from live.risk_arming import arm, armed_path, require
from live.risk_limits import proposed
from strategies.common.certificate import Certificate, code_hash
from strategies.common.load import load_strategy

SUFFIX = "7731"


@pytest.fixture(autouse=True)
def _a_broker(monkeypatch):
    monkeypatch.setattr("live.account.broker_names", lambda: ["paper", "acme"])


@pytest.fixture
def write(tmp_path):
    """`write(trading="false", ...)`: an account file with a certificate beside it."""
    strategy = load_strategy("ma_cross")

    def make(drop=(), certificate=None, ok=True, **changes):
        lines = {
            "name": '"real"',
            "strategy": '"ma_cross"',
            "broker": '"acme"',
            "trading": "true",
            "state": f'"{tmp_path}"',
            "certificate": '"c.json"',
            "account_suffix": f'"{SUFFIX}"',
        } | changes
        text = "\n".join(f"{key} = {value}" for key, value in lines.items() if key not in drop)
        proof = {"source": strategy.source_hash, "parameters": strategy.bind({}), "clock": "1d", "code": code_hash()}
        made = Certificate(
            "ma_cross", symbols=1, rows=1, chunkings=1, checks=(), differences=(), warmup={}, outputs="", state="",
            market="", **(proof | (certificate or {})),
        )  # fmt: skip
        (tmp_path / "c.json").write_text(json.dumps(made.as_dict() | {"ok": ok}))
        path = tmp_path / "real.toml"
        path.write_text(text + "\n" + proposed() + "\n")
        return path

    return make


def test_an_armed_account_may_trade(write):
    account = load_account(write())
    release = arm(account, SUFFIX)
    assert require(account, SUFFIX) == release
    assert armed_path(account).stat().st_mode & 0o777 == 0o600
    assert checked(account, live=True, confirm=SUFFIX) is account


def test_the_suffix_is_asked_for(write):
    account = load_account(write())
    questions = []
    arm(account, "", lambda question: questions.append(question) or SUFFIX)
    (question,) = questions
    assert "last 4 characters" in question
    assert SUFFIX not in question


REFUSED = {
    "not for trading": ({"trading": "false"}, ConfigError, "not for trading"),
    "no suffix": ({"drop": ("account_suffix",)}, ConfigError, "names no account_suffix"),
    "no certificate named": ({"drop": ("certificate",)}, ConfigError, "names no certificate"),
    "no certificate there": ({"certificate_file": None}, ConfigError, "cannot be read"),
    "a failed certificate": ({"ok": False}, CertificateError, "batch and stream differ"),
    "another source": ({"certificate": {"source": "0" * 64}}, CertificateError, "of another source"),
    "other parameters": ({"certificate": {"parameters": {"fast": 1}}}, CertificateError, "of another parameter"),
    "another clock": ({"certificate": {"clock": "1m"}}, CertificateError, "of another clock"),
    "other code": ({"certificate": {"code": "0" * 64}}, CertificateError, "of another code"),
    "an old format": ({"certificate": {"format": 0}}, CertificateError, "of another format"),
}


@pytest.mark.parametrize(("changes", "kind", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_missing_or_of_something_else_is_refused(write, tmp_path, changes, kind, sentence):
    gone = "certificate_file" in changes
    path = write(**{key: value for key, value in changes.items() if key != "certificate_file"})
    if gone:
        (tmp_path / "c.json").unlink()
    with pytest.raises(kind, match=sentence):
        arm(load_account(path), SUFFIX)
    assert not (tmp_path / "real.armed").exists()


def test_a_certificate_changed_by_hand_is_refused(write, tmp_path):
    account = load_account(write())
    given = json.loads((tmp_path / "c.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps(given | {"identity": "0" * 64}))
    with pytest.raises(CertificateError, match="changed by hand"):
        arm(account, SUFFIX)
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(ConfigError, match="is not one"):
        arm(account, SUFFIX)


@pytest.mark.parametrize("typed", ["", "7732", "31"])
def test_another_suffix_is_a_person_s_matter_and_is_not_quoted(write, typed):
    with pytest.raises(AuthError) as refused:
        arm(load_account(write()), typed)
    assert SUFFIX not in str(refused.value)


def test_an_account_that_was_never_armed_does_not_start(write):
    with pytest.raises(ConfigError, match="never armed"):
        require(load_account(write()), SUFFIX)


def test_a_changed_account_file_must_be_armed_again(write):
    path = write()
    arm(load_account(path), SUFFIX)
    path.write_text(path.read_text() + "# looser\n")
    with pytest.raises(ConfigError, match="the account file is not what was armed"):
        require(load_account(path), SUFFIX)


def test_changed_code_must_be_armed_again(write, monkeypatch):
    account = load_account(write())
    arm(account, SUFFIX)
    monkeypatch.setattr(risk_arming, "code_hash", lambda: "f" * 64)
    with pytest.raises(ConfigError, match="the code is not what was armed"):
        require(account, SUFFIX)


def test_a_damaged_release_and_another_account_s_are_refused(write, tmp_path):
    account = load_account(write())
    release = arm(account, SUFFIX)
    armed_path(account).write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        require(account, SUFFIX)
    armed_path(account).write_text(json.dumps({name: getattr(release, name) for name in release.__struct_fields__}
                                              | {"account": "other"}))  # fmt: skip
    with pytest.raises(ConfigError, match="is of account 'other'"):
        require(account, SUFFIX)


def test_money_needs_the_word_and_paper_does_not_take_it(write, checkout):
    with pytest.raises(ConfigError, match="say so with --live"):
        checked(load_account(write()), live=False, confirm=SUFFIX)
    with pytest.raises(ConfigError, match="is of paper"):
        checked(load_account(checkout / "live/accounts/paper.toml"), live=True, confirm=SUFFIX)


def test_a_missing_limit_is_refused_before_anything_else(write):
    path = write()
    path.write_text(path.read_text().replace("max_order_usd", "# max_order_usd"))
    with pytest.raises(ConfigError, match="does not say max_order_usd"):
        load_account(path)


@pytest.mark.parametrize(
    ("changes", "typed", "code"),
    [({}, SUFFIX, 0), ({"trading": "false"}, SUFFIX, 78), ({"ok": False}, SUFFIX, 3), ({}, "0000", 5)],
)
def test_the_door_leaves_with_the_code_of_what_was_wrong(write, changes, typed, code, capsys):
    path = write(**changes)
    assert call(app, ["arm", str(path), "--confirm", typed]) == code
    said = capsys.readouterr()
    assert said.out.startswith("armed: real") if code == 0 else said.err.startswith("error: ")


def test_the_limits_are_printed_for_an_account_file(capsys):
    assert call(app, ["limits"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(DEFAULTS) + 1
