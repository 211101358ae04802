#!/usr/bin/env bash
# Runs the tests: those of .venv, and beside them those of the environments without OneFlow, whose output comes last.
# Arguments go to each pytest. Ends with 1 if any failed.
mkdir -p build
set -m # or what runs beside could not be interrupted, which tests of it do
{
    .venv-torch/bin/python -m pytest -m 'not oneflow' --ignore tests/attacks "$@" # those run in the oldest and newest Python
    torch=$?
    .venv-core/bin/python -m pytest -m 'not oneflow and not torch' "$@"
    core=$?
    exit $((torch || core))
} > build/test-others.log 2>&1 &
others=$!
trap 'kill -- -$others 2> /dev/null' INT TERM

.venv/bin/python -m pytest "$@"
oneflow=$?
wait $others
other=$?
printf '\n.venv-torch and .venv-core:\n'
cat build/test-others.log
exit $((oneflow || other))
