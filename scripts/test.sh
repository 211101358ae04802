#!/usr/bin/env bash
# Runs every test in two lanes side by side; the second's output comes last. Ends with 1 if any failed.
# With arguments for pytest, such as -k or a path: one environment after the other.
# Two lanes on two cores: threads of their own make them wait for each other, and cost a third more.
export OMP_NUM_THREADS=1
oneflow() { .venv/bin/python -m pytest -m 'not once' "$@"; }
torch() { .venv-torch/bin/python -m pytest -m 'not oneflow and not once' "$@"; }
core() { .venv-core/bin/python -m pytest -m 'not oneflow and not torch' "$@"; }

failed=0
if (($#)); then
    for environment in oneflow torch core; do
        "$environment" "$@"
        code=$?
        ((code == 0 || code == 5)) || failed=1 # 5: none of its tests was chosen
    done
    exit $failed
fi

SECOND=(tests/zoo tests/scale tests/checkpoints tests/port tests/proof/capture tests/models/codegen tests/models/lowering) # of .venv's, so that both lanes take about as long
mkdir -p build
set -m # or what runs beside could not be interrupted, which tests of it do
{
    torch || failed=1
    core || failed=1
    oneflow "${SECOND[@]}" || failed=1
    exit $failed
} > build/second-lane.log 2>&1 &
second=$!
trap 'kill -- -$second 2> /dev/null' INT TERM

oneflow "${SECOND[@]/#/--ignore=}" || failed=1
wait $second || failed=1
printf '\nThe second lane: .venv-torch, .venv-core, and of .venv %s\n' "${SECOND[*]}"
cat build/second-lane.log
exit $failed
