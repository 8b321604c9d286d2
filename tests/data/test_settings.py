"""Each setting comes from the strongest place that gives it, and no secret shows."""

import copy
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError
from data.settings import MASK, Secret, Settings, describe_settings, load_settings

SECRET_FIELDS = [spec for spec in fields(Settings) if spec.metadata.get("secret")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.write_text(text, "utf-8")
    return path


def test_nothing_given_is_all_defaults(root):
    settings = load_settings(root, environ={})
    assert settings.openai_api_key is None
    assert settings.log_level == "INFO"
    assert settings.store == root / "data" / "store"
    assert set(settings.origin.values()) == {"default"}


def test_each_place_beats_the_next(root):
    places = [
        ("default", lambda: None),
        ("onetape.toml ONETAPE_LOG_LEVEL", lambda: write(root, "onetape.toml", 'log_level = "ERROR"\n')),
        (".env ONETAPE_LOG_LEVEL", lambda: write(root, ".env", "ONETAPE_LOG_LEVEL=WARNING\n")),
    ]
    for level, (source, give) in zip(["INFO", "ERROR", "WARNING"], places, strict=True):
        give()
        settings = load_settings(root, environ={})
        assert (settings.log_level, settings.origin["log_level"]) == (level, source)

    environ = {"ONETAPE_LOG_LEVEL": "debug"}
    settings = load_settings(root, environ=environ)
    assert (settings.log_level, settings.origin["log_level"]) == ("DEBUG", "environment ONETAPE_LOG_LEVEL")
    settings = load_settings(root, environ=environ, log_level="CRITICAL")
    assert (settings.log_level, settings.origin["log_level"]) == ("CRITICAL", "argument")


def test_an_empty_value_and_a_none_argument_count_as_not_given(root):
    write(root, ".env", "APCA_API_KEY_ID=from-dotenv\n")
    settings = load_settings(root, environ={"APCA_API_KEY_ID": ""}, apca_api_key_id=None)
    assert settings.apca_api_key_id == Secret("from-dotenv")


def test_the_environment_is_the_process_s_own_when_none_is_passed(root, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert load_settings(root).openai_api_key == Secret("k")


def test_dotenv_takes_quotes_export_and_comments(root):
    write(root, ".env", "# keys\nexport APCA_API_KEY_ID='a#b'\nRH_PASSWORD=\"x $HOME y\"\nSTRANGER=1\n")
    settings = load_settings(root, environ={})
    assert settings.apca_api_key_id == Secret("a#b")
    assert settings.rh_password == Secret("x $HOME y")  # nothing is expanded inside a password


@pytest.mark.parametrize("spec", SECRET_FIELDS, ids=lambda spec: spec.name)
def test_every_secret_can_be_given_as_a_file(root, spec):
    write(root, "secret", "from-file\n")
    for name in spec.metadata["names"]:
        settings = load_settings(root, environ={f"{name}_FILE": str(root / "secret")})
        assert getattr(settings, spec.name) == Secret("from-file")
        assert settings.origin[spec.name] == f"environment {name}_FILE"
    write(root, "onetape.toml", f'{spec.name}_file = "secret"\n')  # relative to the checkout
    assert getattr(load_settings(root, environ={}), spec.name) == Secret("from-file")


@pytest.mark.parametrize("spec", SECRET_FIELDS, ids=lambda spec: spec.name)
def test_no_secret_shows(root, spec):
    value = "s3cr3t-value"
    settings = load_settings(root, environ={spec.metadata["names"][0]: value})
    secret = getattr(settings, spec.name)
    shown = [repr(settings), str(settings), f"{secret} {secret!r} {secret!s}", repr(settings.origin)]
    shown += [str(row) for row in describe_settings(settings)]
    assert secret.get_secret_value() == value
    assert not [text for text in shown if value in text]


def test_a_secret_is_copied_but_never_pickled(root):
    settings = load_settings(root, environ={"OPENAI_API_KEY": "k"})
    assert copy.deepcopy(settings) == settings
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(settings)


def test_polygon_s_new_name_wins_and_a_difference_is_said(root):
    both = {"POLYGON_API_KEY": "old", "MASSIVE_API_KEY": "new"}
    with pytest.warns(UserWarning, match="differ; environment MASSIVE_API_KEY is used") as caught:
        settings = load_settings(root, environ=both)
    assert settings.massive_api_key == Secret("new")
    assert "old" not in str(caught[0].message)
    assert load_settings(root, environ=both | {"POLYGON_API_KEY": "new"}).massive_api_key == Secret("new")
    assert load_settings(root, environ={"POLYGON_API_KEY": "old"}).massive_api_key == Secret("old")


def test_a_stronger_place_wins_whichever_of_the_two_names_it_uses(root):
    write(root, ".env", "MASSIVE_API_KEY=weaker\n")
    settings = load_settings(root, environ={"POLYGON_API_KEY": "stronger"})
    assert settings.massive_api_key == Secret("stronger")


def test_sources_are_listed_with_secrets_masked(root):
    settings = load_settings(root, environ={"OPENAI_API_KEY": "k"}, store="elsewhere")
    rows = {row.name: row for row in describe_settings(settings)}
    assert rows["openai_api_key"] == ("openai_api_key", "OPENAI_API_KEY", MASK, "environment OPENAI_API_KEY")
    assert rows["store"].value == str(root / "elsewhere")
    assert rows["store"].source == "argument"
    assert rows["rh_password"][2:] == ("", "not set")
    assert len(rows) == len(fields(Settings)) - 1


WRONG = {
    "a file and a value": (
        {"environ": {"OPENAI_API_KEY": "k", "OPENAI_API_KEY_FILE": "f"}},
        r"gives both OPENAI_API_KEY and OPENAI_API_KEY_FILE; keep one",
    ),
    "a secret file that is not there": (
        {"environ": {"RH_PASSWORD_FILE": "/nowhere/x"}},
        r"RH_PASSWORD_FILE names /nowhere/x, which cannot be read \(No such file",
    ),
    "a log level of one's own": (
        {"environ": {"LOG_LEVEL": "LOUD"}},
        r"log_level = 'LOUD' \(environment LOG_LEVEL\): expected one of DEBUG",
    ),
    "an address without a scheme": (
        {"environ": {"APCA_API_BASE_URL": "localhost:80"}},
        r"apca_api_base_url = 'localhost:80' .*expected an address such as",
    ),
    "an argument that is misspelt": (
        {"environ": {}, "stroe": "x"},
        r"no setting 'stroe'; did you mean 'store'",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_one_clear_sentence(root, arguments, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(root, **arguments)


WRONG_FILES = {
    "toml that is not toml": ("onetape.toml", "log_level = \n", r"onetape.toml cannot be read \(.*line 1"),
    "toml with a misspelt key": (
        "onetape.toml",
        "strore = 'x'\n",
        r"no setting 'strore'; did you mean 'store'",
    ),
    "toml holding a secret": (
        "onetape.toml",
        "rh_password = 'p4ss'\n",
        r"is committed, so it may not hold rh_p",
    ),
    "dotenv with a broken line": (".env", "A=1\nRH_PASSWORD='p4ss\n", r"\.env line 2 is not NAME=value"),
    "dotenv that is not text": (".env", b"\xff\xfe\x00", r"\.env cannot be read \(it is not UTF-8 text\)"),
}


@pytest.mark.parametrize(("name", "content", "message"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_file_is_one_clear_sentence_without_its_secrets(root, name, content, message):
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(root, environ={})
    assert "p4ss" not in str(caught.value)
    assert caught.value.exit_code == 78


def test_an_empty_secret_file_is_refused(root):
    write(root, "secret", " \n")
    with pytest.raises(ConfigError, match="which is empty"):
        load_settings(root, environ={"RH_PASSWORD_FILE": str(root / "secret")})


def test_tables_of_the_project_file_belong_to_others(root):
    write(root, "onetape.toml", 'no_color = false\nstore = "s"\n[fleet]\nanything = 1\n')
    settings = load_settings(root, environ={})
    assert settings.no_color is False
    assert settings.store == root / "s"
    assert load_settings(root, environ={"NO_COLOR": "1"}).no_color is True


def test_a_misspelt_name_with_our_prefix_is_said(root):
    with pytest.warns(UserWarning, match="no setting ONETAPE_STROE; did you mean 'ONETAPE_STORE'"):
        load_settings(root, environ={"ONETAPE_STROE": "x"})
    load_settings(root, environ={"ONETAPE_INSTALLER": "pip"})  # known, though not the program's


@given(st.dictionaries(st.sampled_from(["environ", "dotenv", "argument"]), st.sampled_from("abc")))
def test_the_strongest_place_wins_for_every_combination(tmp_path_factory, given):
    root = tmp_path_factory.mktemp("root")
    if "dotenv" in given:
        write(root, ".env", f"RH_USERNAME={given['dotenv']}\n")
    environ = {"RH_USERNAME": given["environ"]} if "environ" in given else {}
    settings = load_settings(root, environ=environ, rh_username=given.get("argument"))
    strongest = next((given[place] for place in ("argument", "environ", "dotenv") if place in given), None)
    assert settings.rh_username == (None if strongest is None else Secret(strongest))


def test_loading_settings_costs_no_library():
    heavy = "{'pydantic', 'pydantic_settings', 'numpy', 'dotenv'} & set(sys.modules)"
    code = f"import sys; from data.settings import load_settings; load_settings(environ={{}}); print({heavy})"
    checkout = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    shown = done.stdout.strip()
    assert shown == "set()" or ((checkout / ".env").exists() and shown == "{'dotenv'}")
