#!/bin/sh
# Makes the two virtual environments that the project works with, and is quick when they are up to date:
#   .venv        Python 3.10, OneFlow 0.9.0, flowvision, and the PyTorch that shares a process with them
#   .venv-torch  Python 3.11 or newer with today's PyTorch
# PYTHON310 and PYTHON311 name other interpreters to use. What can go wrong here: docs/installation.md.
set -eu
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

# Prints the first candidate that runs and has one of the wanted versions. It is really run: a pyenv shim
# can be on PATH for a version that is not active.
find_python() { # find_python "3.10" CANDIDATE...
    wanted=$1; shift
    for candidate in "$@"; do
        version=$("$candidate" -c 'import sys, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        for one in $wanted; do
            if [ "$version" = "$one" ]; then printf '%s\n' "$candidate"; return 0; fi
        done
    done
    return 1
}

candidates() { # candidates VERSION...: where such a Python usually lies
    for one in "$@"; do
        printf '%s\n' "python$one"
        ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$one".*/bin/python 2>/dev/null || true
        uv python find --no-project "$one" 2>/dev/null || true
    done
    printf 'python3\n'
}

get_python() { # get_python VERSION: by uv, which is fetched first where it is missing
    if ! command -v uv >/dev/null 2>&1; then
        python3 -m venv .venv-uv && .venv-uv/bin/pip install -q uv || return 1
        PATH="$PWD/.venv-uv/bin:$PATH"
    fi
    uv python install -q "$1" >&2 && uv python find --no-project "$1"
}

python_for() { # python_for OVERRIDE VERSION...
    override=$1; shift
    # shellcheck disable=SC2046  # the candidates are a list of words
    find_python "$*" ${override:+"$override"} $(candidates "$@") || get_python "$1" ||
        fail "no Python $1 found (looked on PATH, in pyenv, in uv). Install one, for example with 'uv python install $1', or name it: PYTHON310=/path/to/python make setup"
}

# Builds virtual environment $1 with Python $2 unless its stamp says it was made from these very inputs.
make_venv() { # make_venv DIR PYTHON PIP-ARGUMENT...
    dir=$1; python=$2; shift 2
    stamp=$(cat pyproject.toml scripts/setup.sh | cksum)
    if [ -x "$dir/bin/python" ] && [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$stamp" ]; then return 0; fi
    printf 'setup: %s with %s (minutes the first time)\n' "$dir" "$("$python" --version)" >&2
    "$python" -m venv "$dir"
    # flowvision's sdist imports pkg_resources, which setuptools 81 drops; without isolation pip builds with this one.
    "$dir/bin/pip" install -q --disable-pip-version-check 'setuptools>=64,<81' wheel
    "$dir/bin/pip" install -q --disable-pip-version-check --no-build-isolation "$@"
    printf '%s\n' "$stamp" > "$dir/.stamp"
}

python310=$(python_for "${PYTHON310:-}" 3.10)
make_venv .venv "$python310" -e '.[oneflow,dev]' torch==1.13.1 torchvision==0.14.1
python311=$(python_for "${PYTHON311:-}" 3.11 3.12 3.13)
make_venv .venv-torch "$python311" -e '.[dev]' torch==2.13.0
