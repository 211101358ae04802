"""A process in which OneFlow runs: some operators of OneFlow 0.9.0 end the whole process where others raise.

How it is asked and answers: `proof/child_process.py`.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.writing.manifest_reading import read_manifest
from torch2flow.proof.child_process import Emit, answer
from torch2flow.proof.parity.compared_models import Package, Subject, half_precision
from torch2flow.proof.parity.comparison_run import Request, Run
from torch2flow.proof.parity.divergence import Divergence
from torch2flow.proof.parity.layers import first_line
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.ported_models import build_ported
from torch2flow.proof.parity.reference import reference_of
from torch2flow.proof.parity.repairs import explanation
from torch2flow.proof.parity.runner import Runner
from torch2flow.proof.parity.smallest_case import minimise
from torch2flow.runtime import import_oneflow
from torch2flow.runtime.packages import distribution_version


def run(job: dict[str, Any], emit: Emit) -> None:
    """Runs one job: compares a model with its recording, or explains or shrinks a difference."""
    flow, ledger = import_oneflow(), Ledger(emit)
    subject: Subject
    if "ported" in job:
        try:
            subject, reference = build_ported(flow, job["ported"], job["reference"], ledger)
        except Exception as error:
            ledger.fail("building the model", first_line(error))
            emit({"done": {}})
            return
    else:
        folder = Path(job["folder"])
        manifest = read_manifest(folder)
        reference = reference_of(manifest, folder, job["reference"])
        subject = Package(folder, on_demand=reference.on_demand)
        narrow = half_precision(manifest)
        if narrow and not flow.cuda.is_available():
            ledger.remark(
                f"the model computes in {' and '.join(narrow)}, for which OneFlow 0.9.0 lacks most CPU kernels: "
                "its source was compared in float32, with the weights that it has"
            )
    if "where" in job:
        reference.call_pairs = job["pairs"]
        where = Divergence(**{**job["where"], "likely": tuple(job["where"]["likely"])})
        if "skip" in job:
            runner = Runner(flow, subject, reference, Ledger())
            found = explanation(runner, where, lambda number: emit({"trying": number}), job["skip"])
            emit({"explanation": found, "done": {}})
            return
        sentence = minimise(flow, subject, folder, reference, where, Path(job["out"]), job["overwrite"])
        emit({"minimised": sentence, "done": {}})
        return
    request = Request(**{**job["request"], "crashed": tuple(job["request"]["crashed"])})
    comparison = Run(
        flow, subject, reference, request, ledger,
        say=lambda text: emit({"say": text}),
        enter=lambda name: emit({"enter": name}),
        leave=lambda name: emit({"leave": name}),
    )  # fmt: skip
    comparison()
    versions = {name: distribution_version(name) or "" for name in ("oneflow", "numpy")}
    emit({"done": {**versions, "python": platform.python_version()}})


def main() -> None:
    """Runs one job."""
    answer(run)
