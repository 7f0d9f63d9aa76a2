#!/bin/sh
# Creates the virtual environment ($VENV, default .venv) from a lock file with hashes: setup.sh run | dev.
# Does nothing when nothing changed, and repairs a half-made environment. Installs with uv where it is on PATH, else with pip.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-run}
case $kind in
run) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
*) echo "usage: setup.sh run|dev" >&2 && exit 2 ;;
esac

venv=${VENV:-.venv}
venv_python=$venv/bin/python
log=run/setup.log

fail() {
    echo "setup: $1" >&2
    exit 1
}

# The folder belongs to the key: an editable install and a venv's scripts hold its path. So do the sources of the native engine.
key() { { cat "$1" pyproject.toml hatch_build.py dataflows/native/csrc/*.[ch] 2>/dev/null; pwd; } | cksum; }
stamped() { [ -f "$venv/.adtally-$1" ] && [ "$(cat "$venv/.adtally-$1")" = "$(key "$2")" ]; }
home() { "$1" -c 'import sys; print(sys.base_prefix)' 2>/dev/null; }
# Whether the environment works, and is of the Python that was asked for, if one was.
runs() {
    "$venv_python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null || return 1
    [ -z "${PYTHON:-}" ] || [ "$(home "$venv_python")" = "$(home "$PYTHON")" ]
}

# The dev lock holds all of the other.
if { stamped "$kind" "$lock" || stamped dev requirements-dev.lock; } && runs; then
    exit 0
fi

mkdir -p run
rm -f "$venv/.adtally-run" "$venv/.adtally-dev"
found=$(deploy/find-python.sh) || exit 1
tool=pip
if uv --version >/dev/null 2>&1; then tool=uv; fi

usable() { runs && { [ "$tool" = uv ] || "$venv_python" -m pip --version >/dev/null 2>&1; }; }
make_venv() {
    [ ! -e "$venv" ] || [ "$venv" = .venv ] || [ -f "$venv/pyvenv.cfg" ] ||
        fail "VENV=$venv is a folder of something else; name another one"
    rm -rf "$venv"
    echo "setup: creating $venv with $found"
    if [ "$found" = uv ]; then
        { uv venv --quiet --python 3.12 "$venv" || uv venv --quiet --python 3.11 "$venv"; } >"$log" 2>&1 ||
            fail "uv can't bring a Python 3.12; install Python 3.12 or 3.11 ($(tail -n 1 "$log"))"
    elif [ "$tool" = uv ]; then
        uv venv --quiet --python "$found" "$venv" >"$log" 2>&1 || fail "uv can't create $venv: $(tail -n 1 "$log") (log: $log)"
    else
        "$found" -m venv "$venv" >"$log" 2>&1 || fail "$found can't create $venv: $(tail -n 1 "$log") (log: $log)"
    fi
}
if ! usable; then
    [ ! -e "$venv" ] || echo "setup: $venv is not complete and is created again"
    make_venv
fi

# One line that counts on a terminal, one line every twenty packages elsewhere.
total=$(grep -c '^[a-zA-Z0-9].*==' "$lock")
progress() {
    n=0
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log"
        case $line in
        Collecting*) name=${line#Collecting } ;;
        "Requirement already satisfied: "*) name=${line#Requirement already satisfied: } ;;
        "Installing collected packages"*)
            [ -t 1 ] && printf '\r\033[K'
            echo "setup: installing what was fetched"
            continue
            ;;
        *) continue ;;
        esac
        n=$((n + 1))
        if [ -t 1 ]; then
            printf '\r\033[Ksetup: %d of at most %d  %s' "$n" "$total" "${name%% *}"
        elif [ $((n % 20)) -eq 0 ]; then
            echo "setup: $n of at most $total packages"
        fi
    done
}

install() {
    if [ "$tool" = uv ]; then
        # On a terminal uv draws its own progress, and says itself what went wrong.
        if [ -t 2 ]; then
            uv pip install --python "$venv_python" --require-hashes -r "$lock" || return 1
        else
            uv pip install --python "$venv_python" --require-hashes -r "$lock" 2>>"$log" || return 1
        fi
        uv pip install --quiet --python "$venv_python" --no-deps --no-build-isolation -e . 2>>"$log"
    else
        # The exit code of a pipe is that of its last part, so pip's own goes by a file.
        rm -f run/setup.failed
        {
            "$venv_python" -m pip install --disable-pip-version-check --no-input --require-hashes -r "$lock" 2>&1 ||
                : >run/setup.failed
        } | progress
        [ ! -e run/setup.failed ] || { rm -f run/setup.failed && return 1; }
        "$venv_python" -m pip install --disable-pip-version-check --no-input --no-deps --no-build-isolation -e . >>"$log" 2>&1
    fi
}

echo "setup: installing at most $total packages from $lock with $tool (once; log: $log)"
: >"$log"
installed=yes
install || installed=no
if [ "$installed$tool" = nouv ] && [ "$found" != uv ]; then
    # uv does not read pip's own settings, which may name a mirror or a proxy.
    echo "setup: uv could not install them: $(grep -v '^ *$' "$log" | head -n 1); trying pip"
    tool=pip
    usable || make_venv
    install && installed=yes
fi
if [ "$installed" = no ]; then
    [ ! -t 1 ] || echo
    if grep -qiE 'NewConnectionError|Name or service not known|Temporary failure in name resolution|ConnectTimeout|ReadTimeout|Read timed out|Max retries|Network is unreachable|ProxyError|dns error|error sending request|nodename nor servname' "$log"; then
        fail "the package index can't be reached; look at the network (or its proxy) and run it again (log: $log)"
    fi
    reason=$(grep -iE '^ *(ERROR|error|×):?' "$log" | head -n 1)
    fail "packages could not be installed: ${reason:-see above} (log: $log)"
fi
# Optional: without a C compiler the same is done in Python.
if engine=$("$venv_python" -m dataflows.native.build 2>&1); then
    echo "setup: the native engine is built"
else
    echo "setup: slow engine: $(printf '%s\n' "$engine" | tail -n 1 | sed 's/^adtally: //')"
fi
key "$lock" >"$venv/.adtally-$kind"
echo "setup: done"
