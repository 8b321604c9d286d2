"""What every room's door does alike: options, errors, exit codes, JSON."""

import json
import subprocess
import sys
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from data.door import call, did_you_mean, new_app, parse_assignments, print_json
from data.errors import DataError, HaltedError, UsageError


def app_of(body: Any) -> typer.Typer:
    app = new_app("A room.")
    app.command("act")(body)
    return app


def raising(error: BaseException) -> typer.Typer:
    def act() -> None:
        raise error

    return app_of(act)


@pytest.mark.parametrize(("error", "code"), [(UsageError("odd"), 2), (DataError("odd"), 3), (HaltedError("odd"), 4)])
def test_an_error_of_ours_is_one_sentence_on_stderr_and_its_exit_code(error, code, capsys):
    assert call(raising(error), ["act"]) == code
    out = capsys.readouterr()
    assert (out.out, out.err) == ("", "error: odd\n")


@pytest.mark.parametrize("argv", [["act", "--speed", "1"], ["acd"], ["act", "x"]])
def test_a_mistake_in_the_options_is_one_sentence_and_exit_2(argv, capsys):
    assert call(app_of(lambda: None), argv) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_no_command_shows_the_help_and_exits_2(capsys):
    assert call(app_of(lambda: None), []) == 2
    assert "act" in capsys.readouterr().out


def test_help_of_a_command_and_of_the_room_is_printed_without_pydantic(python, capsys):
    assert call(app_of(lambda: None), ["act", "--help"]) == 0
    assert "act [OPTIONS]" in capsys.readouterr().out
    assert call(app_of(lambda: None), ["-h"]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert call(app_of(lambda: None), ["atc", "--help"]) == 2
    assert "no such command 'atc'" in capsys.readouterr().err
    code = "import sys; from data.door import call, new_app\napp = new_app('A room.')\n"
    code += "app.command('act')(lambda: None)\ncall(app, ['act', '--help'])\nprint('pydantic' in sys.modules)"
    assert python("-c", code).stdout.endswith("False\n")


def test_a_file_that_cannot_be_read_is_one_sentence(capsys):
    assert call(raising(FileNotFoundError(2, "No such file or directory", "x.csv")), ["act"]) == 1
    assert capsys.readouterr().err == "error: x.csv: No such file or directory\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        call(raising(ZeroDivisionError()), ["act"])


def test_ctrl_c_is_130():
    assert call(raising(KeyboardInterrupt()), ["act"]) == 130


def test_a_command_chooses_its_exit_code():
    assert call(app_of(lambda: 3), ["act"]) == 3
    assert call(raising(typer.Exit(75)), ["act"]) == 75
    assert call(app_of(lambda: None), ["act"]) == 0


ROOM = """
import warnings
from data.door import new_app, run
app = new_app("A room.")
@app.command()
def print_much() -> None:
    for _ in range(100_000): print("row")
@app.command()
def warn() -> None:
    warnings.warn("look")
run(app)
"""


def test_a_reader_that_went_away_ends_the_program_quietly(checkout):
    with subprocess.Popen(
        [sys.executable, "-c", ROOM, "print-much"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=checkout,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_warning_is_one_sentence_on_stderr(python):
    assert python("-W", "default", "-c", ROOM, "warn").stderr == "warning: look\n"


def test_the_nearest_name_is_offered_and_otherwise_all_of_a_few():
    assert did_you_mean("appl", ["AAPL", "IBM"]) == "; did you mean 'AAPL'?"
    assert did_you_mean("zzz", ["AAPL", "IBM"]) == "; there is AAPL, IBM"
    assert did_you_mean("zzz", [f"S{n:03}" for n in range(100)]) == ""


names = st.text(st.characters(exclude_characters="=", categories=["L", "N"]), min_size=1)
values = st.text(st.characters(categories=["L", "N", "P"]))


@given(st.dictionaries(names, values))
def test_assignments_come_back_as_they_were_written(pairs):
    assert parse_assignments([f"{name}={value}" for name, value in pairs.items()]) == pairs


@pytest.mark.parametrize("pairs", [["fast"], ["=5"], ["fast=5", "fast=6"]])
def test_what_is_not_an_assignment_is_refused(pairs):
    with pytest.raises(UsageError):
        parse_assignments(pairs)


def test_json_has_null_where_there_is_no_number(capsys):
    np = pytest.importorskip("numpy")
    print_json({"a": float("nan"), "b": np.float64(1.5), "c": np.arange(2), "d": np.array([np.inf])})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": 1.5, "c": [0, 1], "d": [None]}


def test_helpers_of_the_door_do_not_import_typer(python):
    assert python("-c", "import sys, data.door; raise SystemExit('typer' in sys.modules)").returncode == 0
