#!/usr/bin/env bash
# Installs the built wheel as a user would: newest pip and uv, empty caches, fresh environments; and converts in each.
#
#     make dist && scripts/installed.sh             # downloads some 3 GB; needs a Python 3.10
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON310:-python3.10}
wheel=$(ls dist/torch2flow-*.whl | tail -n 1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf 'setuptools<81\n' > "$folder/build.txt" # for flowvision's setup.py, which imports pkg_resources

for installer in pip uv; do
    for extra in '' oneflow zoo all; do
        [ -z "${ONLY:-}" ] || [ "$ONLY" = "$installer:$extra" ] || continue
        env=$folder/$installer-${extra:-core}
        "$python" -m venv "$env"
        "$env/bin/python" -m pip install -q --no-cache-dir --upgrade pip uv
        case $installer in
            pip) command=("$env/bin/python" -m pip install -q --no-cache-dir --build-constraint "$folder/build.txt") ;;
            uv) command=("$env/bin/uv" pip install -q --no-cache --python "$env/bin/python" --build-constraints "$folder/build.txt") ;;
        esac
        "${command[@]}" "$wheel${extra:+[$extra]}"
        "$env/bin/torch2flow" convert tests/fixtures/torch-2.13.0/state_dict-zip.pth -o "$env/out" -q
        "$env/bin/torch2flow" check "$env/out"
        case $extra in
            oneflow | zoo | all) "$env/bin/python" -c "
import torch2flow
flow = torch2flow.import_oneflow()
assert len(flow.load('$env/out')) == 9" ;;
        esac
        case $extra in
            zoo | all) "$env/bin/python" -c "
from torch2flow.runtime import import_flowvision
import_flowvision().models.alexnet()" ;;
        esac
        case $extra in
            all)
                "$env/bin/torch2flow" capture 'torch.nn:Linear(4, 2)' -o "$env/linear.pt2" --input 'float32[batch,4]' -q
                "$env/bin/torch2flow" convert "$env/linear.pt2" -o "$env/linear" -q
                "$env/bin/torch2flow" verify "$env/linear" -q
                ;;
        esac
        printf 'ok: %s %s\n' "$installer" "${extra:-(no extra)}"
        rm -rf "$env"
    done
done
