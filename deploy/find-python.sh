#!/bin/sh
# Prints the interpreter to make .venv with: the path of a Python 3.12 or 3.11, or the word "uv", which brings one.
# PYTHON=/path takes that one and no other. Where there is none: one line on standard error, exit code 1.
set -eu

why="Bytewax, which adtally runs on, has no wheels for other versions"

# A name on PATH proves nothing: a pyenv shim may stand for a version that is not there. So each is run.
# Debian ships Python without ensurepip, and without it a venv has no pip.
probe() {
    "$1" -c '
import sys
good = sys.version_info[:2] in ((3, 11), (3, 12)) and sys.implementation.name == "cpython"
try:
    import ensurepip, venv
except ImportError:
    print("bare" if good else "other", sys.executable)
else:
    print("good" if good else "other", sys.executable)
' 2>/dev/null || true
}

if [ -n "${PYTHON:-}" ]; then
    found=$(probe "$PYTHON")
    case $found in
    good\ *) printf '%s\n' "${found#* }" && exit 0 ;;
    bare\ *) echo "setup: PYTHON=$PYTHON has no venv module; install it (Debian, Ubuntu: apt install python3-venv)." >&2 ;;
    *) echo "setup: PYTHON=$PYTHON is not a working Python 3.12 or 3.11; $why." >&2 ;;
    esac
    exit 1
fi

bare=
for name in python3.12 python3.11 python3 python; do
    command -v "$name" >/dev/null 2>&1 || continue
    found=$(probe "$name")
    case $found in
    good\ *) printf '%s\n' "${found#* }" && exit 0 ;;
    bare\ *) bare=${bare:-${found#* }} ;;
    esac
done

if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then
    echo uv
elif [ -n "$bare" ]; then
    echo "setup: $bare has no venv module; install it (Debian, Ubuntu: apt install python3-venv) or install uv." >&2
    exit 1
else
    echo "setup: no Python 3.12 or 3.11 here; install one, or uv, which brings it ($why)." >&2
    exit 1
fi
