"""The image as a real builder makes it: without a daemon, on a Debian base made here, because no image is fetched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CANARY = b"canary-77aa01"
TOOLS = ("buildah", "mmdebstrap")
MOST_MB = 300  # of what is not the base: packages and the three rooms
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("image")]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    """`buildah(*words)`: what it says; images live in a folder of the test."""
    if missing := [each for each in TOOLS if shutil.which(each) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian packages of the same names)")
    if os.geteuid() != 0:
        pytest.skip("an image is built without a daemon as root only")
    store = tmp_path_factory.mktemp("images")
    own = ["--storage-driver", "vfs", "--root", store / "root", "--runroot", store / "run"]

    def run(*words, check=True):
        done = subprocess.run(["buildah", *own, *words], capture_output=True, text=True, timeout=900)
        assert not check or done.returncode == 0, done.stderr[-3_000:]
        return done.stdout.strip() if check else done

    yield run
    run("rm", "--all")
    run("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def base(buildah, tmp_path_factory):
    """An image with Debian's Python, in the place of the pinned one."""
    folder = tmp_path_factory.mktemp("base")
    packages = "python3,python3-venv,python-is-python3,ca-certificates"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", folder / "rootfs.tar"],
        check=True, timeout=900,
    )  # fmt: skip
    (folder / "Dockerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
    buildah("build", "--isolation", "chroot", "-t", "debian-python", folder)
    return "localhost/debian-python"


@pytest.fixture(scope="module")
def image(buildah, base, checkout, tmp_path_factory):
    """The live image, built from a checkout in which secrets lie wherever a careless hand leaves them."""
    source = tmp_path_factory.mktemp("source") / "onetape"
    subprocess.run(["git", "clone", "--quiet", checkout, source], check=True)
    for place in (".env", "live/.env", "live/accounts/a.env", "data/x.secret", "live/rh.grant", "strategies/rh.token",
                  "live/a.journal", "live/a.journal-wal", "live/trades.sqlite", "notes.txt"):  # fmt: skip
        (source / place).parent.mkdir(exist_ok=True)
        (source / place).write_bytes(CANARY)
    certificates = ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"]  # the index may lie behind a proxy with its own
    buildah(
        "build", "--isolation", "chroot", "--network", "host", "--format", "docker", *certificates,
        "--build-arg", f"BASE={base}", "-f", source / "deploy" / "docker" / "Dockerfile",
        "--ignorefile", source / "deploy" / "docker" / "Dockerfile.dockerignore", "-t", "onetape", source,
    )  # fmt: skip
    return "localhost/onetape"


@pytest.fixture
def container(buildah, image):
    name = buildah("from", image)
    yield name
    buildah("rm", name)


def sizes(root):
    """The bytes of every file below `root`."""
    return {path: path.stat().st_size for path in Path(root).rglob("*") if path.is_file() and not path.is_symlink()}


def test_the_image_holds_no_secret_and_little_else(buildah, container, base):
    root = Path(buildah("mount", container))
    ours = sizes(root / "app")
    assert len(ours) > 100
    assert not [path for path in ours if CANARY in path.read_bytes()]
    assert sorted(path.name for path in (root / "app").iterdir()) == ["data", "live", "out", "strategies"]
    assert CANARY.decode() not in buildah("inspect", container)
    bare = buildah("mount", buildah("from", base))
    added_mb = (sum(sizes(root).values()) - sum(sizes(bare).values())) / 2**20
    assert 0 < added_mb < MOST_MB


def test_a_process_of_the_image_trades_a_tape_without_root(buildah, container, tape, accounts, tmp_path):
    home = accounts("a0")
    shutil.copy(tape(390), tmp_path / "the.tape")
    for each in (tmp_path, *tmp_path.rglob("*")):
        os.chown(each, 10001, 10001)
    said = buildah(
        "run", "--isolation", "chroot", "--volume", f"{home}:{home}", "--volume", f"{tmp_path}/the.tape:/tape:ro",
        container, "--", "sh", "-c",
        f"id -u; cd /tmp; python -m live run {home}/a0.toml --replay /tape --speed 0 2>&1 && "
        f"python -m live replay {home}/state/a0.journal --strategy {home}/noise.py 2>&1; echo end $?; "
        "touch /app/x /opt/venv/x 2>&1 || echo fenced",
    )  # fmt: skip
    assert said.startswith("10001\n")
    assert "a0: noise, 390 rows" in said
    assert "byte for byte" in said
    assert "end 0" in said
    assert said.endswith("fenced")
