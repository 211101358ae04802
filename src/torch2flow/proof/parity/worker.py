"""A process in which OneFlow runs: some operators of OneFlow 0.9.0 end the whole process where others raise.

    python -m torch2flow.proof.parity.worker DESCRIPTOR < job

The job is JSON on standard input; what is found goes line by line, as JSON, to the file descriptor.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.writing.manifest import manifest_keys, read_manifest
from torch2flow.errors import Torch2FlowError
from torch2flow.proof.parity.compared_models import Package
from torch2flow.proof.parity.comparison_run import Request, Run
from torch2flow.proof.parity.divergence import Divergence
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import Reference
from torch2flow.proof.parity.smallest_case import minimise
from torch2flow.runtime import import_oneflow
from torch2flow.runtime.packages import distribution_version


def main() -> int:
    """Runs one job."""
    job = json.load(sys.stdin)
    with os.fdopen(int(sys.argv[1]), "w", buffering=1, encoding="utf-8") as stream:

        def emit(row: dict[str, Any]) -> None:
            stream.write(json.dumps(row) + "\n")

        try:
            _run(job, emit)
        except Torch2FlowError as error:
            emit({"error": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy})
    return 0


def _run(job: dict[str, Any], emit: Any) -> None:
    folder = Path(job["folder"])
    keys = manifest_keys(read_manifest(folder), str(folder))
    flow, subject, reference = import_oneflow(), Package(folder), Reference(job["reference"], keys)
    if "where" in job:
        where = Divergence(**{**job["where"], "likely": tuple(job["where"]["likely"])})
        sentence = minimise(flow, subject, folder, reference, where, Path(job["out"]))
        emit({"minimised": sentence, "done": {}})
        return
    request = Request(**{**job["request"], "crashed": tuple(job["request"]["crashed"])})
    run = Run(
        flow, subject, reference, request, Ledger(emit),
        say=lambda text: emit({"say": text}),
        enter=lambda name: emit({"enter": name}),
        leave=lambda name: emit({"leave": name}),
    )  # fmt: skip
    run()
    versions = {name: distribution_version(name) or "" for name in ("oneflow", "numpy")}
    emit({"done": {**versions, "python": platform.python_version()}})


if __name__ == "__main__":
    sys.exit(main())
