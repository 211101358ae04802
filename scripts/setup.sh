#!/bin/sh
# Makes the virtual environments that the project works with, and is done at once when they are up to date:
#   .venv          Python 3.10, OneFlow 0.9.0, flowvision, and the PyTorch that shares a process with them
#   .venv-torch    Python 3.11 or newer with today's PyTorch, and the libraries of models for scripts/models
#   .venv-core     the newest Python at hand with neither: what a user has who only converts
#   .venv-misfits  releases that OneFlow breaks with, for the tests of what we say then
# PYTHON310, PYTHON_TORCH and PYTHON_CORE name the interpreters to use instead of those found.
# What can go wrong here: docs/installation.md.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$1" >&2; }
fail() { say "$1"; exit 1; }

# Two runs at once would build into the same folders.
exec 9< scripts/setup.sh
if command -v flock > /dev/null && ! flock -n 9; then
    say 'waiting for another setup of this checkout'
    flock 9
fi

# Whether interpreter $1 runs, has version $2, and can make an environment. It is really run: a pyenv shim is
# on PATH also for a version that is not active, and a Python can lack ensurepip (Debian) or ssl.
usable() {
    "$1" -I -c 'import sys, ctypes, ensurepip, ssl, zlib
sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$2" > /dev/null 2>&1
}

candidates() { # candidates VERSION: where such a Python usually lies, one a line
    printf '%s\n' "python$1" python3
    for folder in /usr/local/bin /usr/bin; do printf '%s\n' "$folder/python$1"; done
    ls -d "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$1".*/bin/python 2> /dev/null || true
    uv python find --no-project "$1" 2> /dev/null || true
}

find_python() ( # find_python VERSION...: prints the first usable one, in the order of the versions
    IFS='
'
    for version in "$@"; do
        for candidate in $(candidates "$version"); do
            if usable "$candidate" "$version"; then printf '%s\n' "$candidate"; return 0; fi
        done
    done
    return 1
)

get_python() ( # get_python VERSION: by uv, which is installed first where it is missing
    if ! command -v uv > /dev/null; then
        if [ ! -x .venv-uv/bin/uv ]; then
            base=$(find_python 3.13 3.12 3.11 3.10 3.9 3.8) || return 1
            "$base" -I -m venv .venv-uv >&2 && .venv-uv/bin/python -I -m pip install -qq uv >&2 || return 1
        fi
        PATH="$PWD/.venv-uv/bin:$PATH"
    fi
    say "no Python $1 found; uv fetches one"
    uv python install "$1" >&2 && uv python find --no-project "$1"
)

python_for() ( # python_for VARIABLE OVERRIDE VERSION...
    variable=$1 override=$2
    shift 2
    if [ -n "$override" ]; then
        for version in "$@"; do
            if usable "$override" "$version"; then printf '%s\n' "$override"; return 0; fi
        done
        fail "$variable=$override does not run, is not Python $*, or lacks ensurepip or ssl"
    fi
    find_python "$@" || get_python "$1" || fail "no Python $* found on PATH, in pyenv or by uv.
       Install one (uv python install $1, or pyenv install $1), or name it: $variable=/path/to/python make setup"
)

pip_in() ( # pip_in DIR ARGUMENT...
    dir=$1
    shift
    "$dir/bin/python" -I -m pip install -qq --disable-pip-version-check "$@"
)

# Builds environment DIR unless its stamp says that it was made here, from these very inputs. The stamp is
# removed first and written last: what was interrupted is made anew, what only changed its packages is updated.
make_venv() ( # make_venv DIR VARIABLE OVERRIDE "VERSION..." PIP-ARGUMENT...
    dir=$1 variable=$2 override=$3 versions=$4
    shift 4
    place="$PWD $override"
    content="$* $(sed '/^\[tool\./,$d' pyproject.toml | cksum)"
    stamp=$(printf '%s\n%s' "$place" "$content")
    if [ -x "$dir/bin/python" ]; then
        if [ "$(cat "$dir/.stamp" 2> /dev/null)" = "$stamp" ]; then return 0; fi
        if [ "$(head -n 1 "$dir/.stamp" 2> /dev/null)" != "$place" ]; then rm -f "$dir/bin/python"; fi
    fi
    rm -f "$dir/.stamp"
    if [ ! -x "$dir/bin/python" ]; then
        # shellcheck disable=SC2086  # the versions are words
        python=$(python_for "$variable" "$override" $versions)
        say "$dir with $("$python" --version) (minutes the first time)"
        "$python" -I -m venv --clear "$dir"
    else
        say "$dir has other requirements now"
    fi
    case $* in *--no-build-isolation*)
        # flowvision comes as source, and its setup.py imports pkg_resources, which setuptools 81 dropped:
        # without isolation pip builds it with the setuptools that is installed.
        pip_in "$dir" 'setuptools>=77,<81' wheel ;;
    esac
    pip_in "$dir" "$@"
    printf '%s\n' "$stamp" > "$dir/.stamp"
)

# Adds the libraries whose models are captured by scripts/models, under a stamp of their own. In two steps: the
# dependencies of torchvision and timm would replace PyTorch's CPU build by the newest for CUDA.
add_models() ( # add_models DIR "REQUIREMENT..." "REQUIREMENT-WITHOUT-DEPENDENCIES..."
    dir=$1
    if [ "$(cat "$dir/.stamp-models" 2> /dev/null)" = "$2 $3" ]; then return 0; fi
    say "$dir gets the libraries with models"
    # shellcheck disable=SC2086  # the requirements are words
    pip_in "$dir" $2
    # shellcheck disable=SC2086
    pip_in "$dir" --no-deps $3
    printf '%s\n' "$2 $3" > "$dir/.stamp-models"
)

make_misfits() ( # make_misfits DIR REQUIREMENT...: each in a folder of its own, named after it
    dir=$1
    shift
    if [ "$(cat "$dir/.stamp" 2> /dev/null)" = "$*" ]; then return 0; fi
    rm -rf "$dir"
    for requirement in "$@"; do
        pip_in .venv --no-deps --target "$dir/${requirement%%==*}" "$requirement"
    done
    printf '%s\n' "$*" > "$dir/.stamp"
)

# The report is tested in a real browser, where one can be had: Debian's.
get_browser() {
    if command -v chromium > /dev/null && command -v chromedriver > /dev/null; then return 0; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then return 0; fi
    say 'chromium, for the tests of the report'
    { apt-get install -y -qq chromium chromium-driver || { apt-get update -qq && apt-get install -y -qq chromium chromium-driver; }; } \
        > /dev/null 2>&1 || say 'chromium could not be installed: the tests of the report in a browser are skipped'
}

get_browser
make_venv .venv PYTHON310 "${PYTHON310:-}" '3.10' \
    --no-build-isolation -e '.[zoo,dev,report]' torch==1.13.1 torchvision==0.14.1
make_venv .venv-torch PYTHON_TORCH "${PYTHON_TORCH:-}" '3.11 3.12 3.13' -e '.[test]' torch==2.13.0
add_models .venv-torch 'torch==2.13.0 transformers==5.24.0 huggingface_hub==2.4.0 pillow==13.0.0 pyyaml==6.0.4' \
    'torchvision==0.27.0 timm==1.0.31'
make_venv .venv-core PYTHON_CORE "${PYTHON_CORE:-}" '3.13 3.12 3.11 3.10' -e '.[test]'
make_misfits .venv-misfits numpy==2.2.6 protobuf==4.25.3
