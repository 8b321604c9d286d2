#!/bin/sh
# Make the project's own environment from the lock: Python 3.11 or newer is all that has to be there.
#   PYTHON=/path/to/python   use this interpreter
#   ONETAPE_INSTALLER=pip    install with plain `pip --require-hashes` (default: uv, which is fetched if absent)
set -eu

cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
lock=${LOCK:-requirements/all.txt}
installer=${ONETAPE_INSTALLER:-uv}

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 78; }

usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.11 or newer with venv; unset it or name another."
        echo "$PYTHON"
        return
    fi
    for name in python3.11 python3.12 python3.13 python3.14 python3 python; do
        if command -v "$name" >/dev/null 2>&1 && usable "$name"; then
            command -v "$name"
            return
        fi
    done
}

case $installer in uv | pip) ;; *) die "ONETAPE_INSTALLER=$installer is neither 'uv' nor 'pip'." ;; esac

if [ ! -x "$venv/bin/python" ] || ! usable "$venv/bin/python"; then
    rm -rf "$venv"
    python=$(find_python)
    if [ -n "$python" ]; then
        say "setup: $("$python" --version) at $python"
        "$python" -m venv "$venv"
    elif [ "$installer" = uv ] && command -v uv >/dev/null 2>&1; then
        say "setup: no Python 3.11 or newer on PATH; uv brings one"
        uv venv --quiet --seed --python 3.11 "$venv"
    else
        die "No Python 3.11 or newer with venv was found. Install one (Debian: apt install python3 python3-venv;" \
            "macOS: brew install python@3.11) or name it: make PYTHON=/path/to/python3.11 setup"
    fi
fi

pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }

uv=
if [ "$installer" = uv ]; then
    if command -v uv >/dev/null 2>&1; then
        uv=$(command -v uv)
    elif [ -x "$venv/bin/uv" ] || pip install --require-hashes -r requirements/uv.txt; then
        uv=$venv/bin/uv
    else
        say "setup: uv cannot be installed here; plain pip takes over"
    fi
fi

if [ -n "$uv" ]; then
    say "setup: $lock with $uv"
    "$uv" pip sync --quiet --no-config --require-hashes --python "$venv/bin/python" "$lock" || {
        say "setup: uv did not get through; plain pip takes over"
        uv=
    }
fi
if [ -z "$uv" ]; then
    say "setup: $lock with pip"
    pip install --require-hashes -r "$lock"
fi

# Rooms are found from anywhere (notebooks, a temporary directory), after everything that is installed:
# tests/test_import_names.py fails when something installed takes one of their names.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pwd > "$site/onetape.pth"
