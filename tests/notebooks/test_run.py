"""The notebook runner executes, and an error in any cell fails it."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("notebook_runner", Path(__file__).parent / "run.py")
assert SPEC is not None
assert SPEC.loader is not None
runner = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(runner)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # kernels and their channels warn about what is theirs
def test_notebooks_run_in_order_and_the_first_error_fails_the_run(tmp_path, capsys):
    (tmp_path / "01_good.py").write_text("# %% [markdown]\n# # Title\n\n# %%\nfrom data import settings\n1 + 1\n")
    (tmp_path / "02_bad.py").write_text("# %%\nx = 1\n\n# %%\nraise ValueError('planted')\n")
    (tmp_path / "03_never.py").write_text("# %%\nraise SystemExit\n")
    assert runner.main(["--write", "01"], tmp_path) == 0
    assert "1 notebooks executed" in capsys.readouterr().out
    assert (tmp_path / "01_good.ipynb").exists()

    assert runner.main([], tmp_path) == 1
    said = capsys.readouterr().out
    assert "planted" in said
    assert "03_never" not in said


def test_a_name_that_no_notebook_has_is_said(tmp_path, capsys):
    (tmp_path / "01_good.py").touch()
    assert runner.main(["07"], tmp_path) == 2
    assert "no notebook starts with '07'; there are: 01_good" in capsys.readouterr().out
