"""The lock is whole: every requirement hashed, no address inside, in step with its two neighbours."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parent.parent
REQUIREMENTS = CHECKOUT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(lock: Path) -> dict[str, list[Requirement]]:
    """Package name to its pins (several where they differ by system); fails on a line that is neither."""
    found: dict[str, list[Requirement]] = {}
    text = re.sub(r"(?m)^\s*#.*\n", "", lock.read_text("utf-8")).replace("\\\n", " ")
    for line in filter(str.strip, text.splitlines()):
        spec, *hashes = re.split(r"\s+--hash=", line.strip())
        requirement = Requirement(spec)
        assert re.fullmatch(r"==[^*]+", str(requirement.specifier)), f"{line!r} pins no version"
        assert hashes, f"{spec} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), f"{spec}: {hashes}"
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def satisfied(wanted: list[str], locked: dict[str, list[Requirement]]) -> list[str]:
    """Requirements of pyproject.toml that the lock does not satisfy."""
    missing = []
    for text in wanted:
        requirement = Requirement(text)
        versions = [next(iter(pin.specifier)).version for pin in locked.get(canonicalize_name(requirement.name), [])]
        if not versions or not all(requirement.specifier.contains(version) for version in versions):
            missing.append(f"{text} (locked: {versions or 'not at all'})")
    return missing


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_hashed_pins_and_nothing_else(lock):
    assert pins(lock)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_no_address_and_no_option(lock):
    text = lock.read_text("utf-8")
    assert not re.findall(r"https?:|file:|://|@ |--(?!hash=)[a-z-]+|^-.*", text, flags=re.MULTILINE)


def test_the_folder_holds_exactly_the_three_locks():
    assert [path.name for path in LOCKS] == ["all.txt", "live.txt", "uv.txt"]
    assert not (CHECKOUT / "uv.lock").exists()  # it would record addresses


def test_a_lock_says_how_to_make_it_anew():
    for lock in LOCKS:
        assert "make lock" in "".join(lock.read_text("utf-8").splitlines()[:3])


def test_the_whole_lock_satisfies_every_dependency_and_extra():
    wanted = PROJECT["dependencies"] + [each for name in EXTRAS if name != "all" for each in EXTRAS[name]]
    assert satisfied(wanted, pins(REQUIREMENTS / "all.txt")) == []


def test_the_extra_named_all_is_all_the_others():
    (everything,) = [Requirement(each) for each in EXTRAS["all"]]
    assert everything.extras == set(EXTRAS) - {"all"}


def test_the_live_lock_is_light_and_agrees_with_the_whole_one():
    live, whole = pins(REQUIREMENTS / "live.txt"), pins(REQUIREMENTS / "all.txt")
    assert satisfied(PROJECT["dependencies"] + EXTRAS["brokers"] + EXTRAS["server"], live) == []
    versions = {name: {str(pin.specifier) for pin in pinned} for name, pinned in live.items()}
    assert {
        name: versions[name] for name in live if versions[name] != {str(pin.specifier) for pin in whole[name]}
    } == {}
    assert not {"pandas", "numba", "vectorbt", "scipy", "matplotlib", "plotly", "alpaca-py"} & set(live)


def test_the_installer_is_the_locked_one():
    assert pins(REQUIREMENTS / "uv.txt")["uv"] == pins(REQUIREMENTS / "all.txt")["uv"]


def test_the_check_notices_what_it_is_there_for(tmp_path):
    lock = tmp_path / "bad.txt"
    lock.write_text("numpy==2.4.6\n")
    with pytest.raises(AssertionError, match="has no hash"):
        pins(lock)
    lock.write_text(f"numpy>=2 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(AssertionError, match="pins no version"):
        pins(lock)
    lock.write_text(f"numpy==1.0 --hash=sha256:{'0' * 64}\n")
    assert satisfied(["numpy>=2", "pandas"], pins(lock)) == [
        "numpy>=2 (locked: ['1.0'])",
        "pandas (locked: not at all)",
    ]


def test_environment_yml_gives_the_same_environment():
    conda = yaml.safe_load((CHECKOUT / "environment.yml").read_text("utf-8"))
    *plain, pip = conda["dependencies"]
    python = next(each for each in plain if each.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python=") + ".0")
    assert {each.partition("=")[0] for each in plain} == {"python", "pip"}
    assert pip == {"pip": ["--require-hashes", "-r requirements/all.txt"]}
    assert conda["name"] == PROJECT["name"]


def test_the_project_is_never_uploaded_by_mistake():
    assert "Private :: Do Not Upload" in PROJECT["classifiers"]


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=280, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.network
def test_plain_pip_installs_the_live_lock_and_the_rooms_import(tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", REQUIREMENTS / "live.txt")
    code = "import apsw, msgspec, numpy, pyarrow, pydantic, rich, typer; import data.settings; print('ok')"
    assert run(python, "-c", code, cwd=CHECKOUT).strip() == "ok"
    assert "vectorbt" not in run(python, "-m", "pip", "list")


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_set_up_script_makes_an_environment(tmp_path, installer):
    """On a copy of what it needs, with the small lock: uv is not on PATH, so it is installed first."""
    (tmp_path / "requirements").mkdir()
    for name in ("setup.sh", "live.txt", "uv.txt"):
        shutil.copy(REQUIREMENTS / name, tmp_path / "requirements" / name)
    environ = os.environ | {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "VENV": ".venv"}
    environ |= {"LOCK": "requirements/live.txt", "ONETAPE_INSTALLER": installer}
    said = run("sh", "requirements/setup.sh", cwd=tmp_path, env=environ)
    assert "takes over" not in said
    code = "import sys, pyarrow; print(sys.path[-1])"
    assert run(tmp_path / ".venv/bin/python", "-c", code, cwd="/").strip() == str(tmp_path)


def set_up(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    (folder / "requirements").mkdir()
    shutil.copy(REQUIREMENTS / "setup.sh", folder / "requirements")
    command = ["/bin/sh", "requirements/setup.sh"]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_a_machine_without_python_is_told_what_to_install(tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    (empty / "dirname").symlink_to(shutil.which("dirname") or "")
    (empty / "rm").symlink_to(shutil.which("rm") or "")
    done = set_up(tmp_path, PATH=str(empty))
    assert done.returncode == 78
    assert done.stderr.startswith("No Python 3.11 or newer with venv was found. Install one")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ONETAPE_INSTALLER": "conda"}, "ONETAPE_INSTALLER=conda is neither 'uv' nor 'pip'."),
        ({"PYTHON": "/bin/false"}, "PYTHON=/bin/false is not a Python 3.11 or newer"),
    ],
)
def test_a_wrong_wish_is_one_clear_sentence(tmp_path, environ, message):
    done = set_up(tmp_path, PATH="/usr/bin:/bin", **environ)
    assert (done.returncode, done.stderr.startswith(message)) == (78, True), done.stderr
