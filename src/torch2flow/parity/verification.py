"""Verifies a converted model against its recording: `torch2flow verify out`, and what it found.

OneFlow runs in a process of its own. Where a layer ends that process, this is noted, and the rest is compared in a
new one with PyTorch's output in place of that layer's.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from torch2flow import errors
from torch2flow._version import __version__
from torch2flow.errors import DifferenceError, FormatError, UsageError
from torch2flow.parity.against import Original, record_against
from torch2flow.parity.divergence import Divergence, first_divergence
from torch2flow.parity.judge import VERDICTS, worst
from torch2flow.parity.ledger import PARTS, Ledger
from torch2flow.parity.presenting import as_data
from torch2flow.parity.reference import Reference
from torch2flow.parity.running import Request
from torch2flow.writing.manifest import read_manifest

Say = Callable[[str], None]

SUFFIX = ".reference.safetensors"

MOST_CRASHES = 10
"""After so many the rest is not compared."""


@dataclass
class Verification:
    """What a comparison found.

    Attributes:
        ledger: every measure.
        reference: what it was compared with.
        model: what is known of the OneFlow model and its weights.
        repeat: the command that does the same again.
        versions: of what was involved.
        seconds: how long it took.
    """

    ledger: Ledger
    reference: Reference
    model: dict[str, Any] = field(default_factory=dict)
    repeat: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def parts(self) -> list[str]:
        """The parts that were judged, in the order in which they are shown."""
        return [part for part in PARTS if part in self.ledger.parts]

    @property
    def verdict(self) -> str:
        """The worst of all parts; what could not be run is different."""
        return worst([*map(self.ledger.verdict, self.parts), *("different" for _ in self.ledger.failures)])

    @property
    def faithful(self) -> bool:
        """Whether everything is within noise."""
        return VERDICTS.index(self.verdict) <= VERDICTS.index("within noise")

    @property
    def divergence(self) -> Divergence | None:
        """Where it starts to differ; None where it does not."""
        return None if self.faithful else first_divergence(self.ledger, self.reference)

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        divergence = self.divergence
        if divergence is not None:
            return divergence.sentence
        count = sum(len(self.ledger.parts[part]) for part in self.parts)
        if self.verdict == "identical":
            return f"All {count} tensors are PyTorch's, bit for bit."
        return f"All {count} tensors differ from PyTorch's by no more than float32 rounding explains."

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return as_data(self)


def verify_folder(
    folder: str | os.PathLike[str],
    reference: str | os.PathLike[str] | None = None,
    request: Request | None = None,
    *,
    original: Original | None = None,
    say: Say | None = None,
) -> Verification:
    """Compares a converted model with its recording; neither PyTorch nor OneFlow is imported into this process.

    Args:
        folder: what `convert` made of a `.pt2`.
        reference: the recording; by default the one beside the `.pt2` that was converted.
        request: what is compared.
        original: a PyTorch model to record now; the inputs of a recording that is found are then taken, unless it has
            its own.
        say: is told what is being done.

    Raises:
        UsageError: the folder holds no model, or there is no recording.
        FormatError: the recording is damaged, or of another model.
        InstallationError: OneFlow does not import, or PyTorch in the interpreter of `original`.
        DifferenceError: `original` has other weights.
    """
    started = time.monotonic()
    folder = Path(folder)
    manifest = _manifest_of_a_model(folder)
    request = request or Request()
    ledger = Ledger()
    say = say or (lambda text: None)
    with tempfile.TemporaryDirectory(prefix="torch2flow-") as temporary:
        if original is None:
            recording = Reference(_find_reference(folder, manifest, reference))
        else:
            if not original.inputs:
                original = replace(original, inputs=[str(_find_reference(folder, manifest, reference))])
            path = Path(temporary) / "recording.safetensors"
            record_against(folder, original, path, training=request.training, layers=request.layers, say=say)
            recording = Reference(path)
        _check_belongs(recording, manifest)
        versions = _run(folder, recording, request, ledger, say)
        recording.calls  # noqa: B018 - what is kept of a recording that goes now
    if not ledger.parts and not ledger.failures:
        raise FormatError("There is nothing in the recording to compare.", where=str(recording.path))
    return Verification(
        ledger,
        recording,
        describe_model(folder, manifest),
        f"torch2flow verify {folder.name} "
        + (f"--against {original.factory}" if original else f"--reference {recording.path.name}"),
        {"torch2flow": __version__, "torch": recording.metadata.get("torch", "unknown"), **versions},
        time.monotonic() - started,
    )


def _manifest_of_a_model(folder: Path) -> dict[str, Any]:
    if not (folder / "model.py").is_file():
        remedy = "torch2flow convert model.pt2 -o out makes one of a model that torch2flow capture wrote"
        if folder.is_dir():
            raise UsageError("There is no model.py here, only weights, or nothing.", where=str(folder), remedy=remedy)
        raise UsageError("This is no folder of a converted model.", where=str(folder), remedy=remedy)
    return read_manifest(folder)


def _find_reference(folder: Path, manifest: dict[str, Any], given: str | os.PathLike[str] | None) -> Path:
    """The recording that is named, that lies in the folder, or that lies beside the source of the conversion."""
    if given is not None:
        path = Path(given)
        # Of a .pt2 that is meant: the recording beside it.
        return path.with_suffix(SUFFIX) if path.suffix == ".pt2" else path
    name = Path(str(manifest.get("source", {}).get("name", "") or "model.pt2")).stem + SUFFIX
    places = [folder / "reference.safetensors", folder.parent / name, Path(name)]
    for place in places:
        if place.is_file():
            return place
    raise UsageError(
        "There is no recording to compare with.",
        where=", ".join(dict.fromkeys(map(str, places))),
        maybe="the .pt2 was written without torch2flow capture, or the recording was moved",
        remedy="--reference FILE, or --against package.module:factory --python PATH to record one now",
    )


def _check_belongs(recording: Reference, manifest: dict[str, Any]) -> None:
    """Refuses the recording of another model: its parameters have other names or shapes."""
    expected = set(json.loads(recording.metadata.get("state_dict", "[]")))
    names = {name for row in manifest.get("tensors", []) for name in (row["name"], *row.get("also", []))}
    if expected and names and not expected & names:
        raise FormatError(
            "This recording is of another model: not one parameter has the same name.",
            where=str(recording.path),
            maybe=f"it is of {recording.metadata.get('model', 'something else')}",
            remedy="give the .reference.safetensors that lies beside the captured .pt2",
        )


def describe_model(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the manifest says of the weights."""
    rows = manifest.get("tensors", [])
    dtypes: dict[str, int] = {}
    for row in rows:
        dtypes[row["dtype"]] = dtypes.get(row["dtype"], 0) + 1
    return {
        "folder": folder.name,
        "class": str(manifest.get("model", {}).get("class", "")),
        "tensors": len(rows),
        "elements": sum(_product(row["shape"]) for row in rows),
        "bytes": sum(row["bytes"] for row in rows),
        "dtypes": dtypes,
        "ties": [[row["name"], *row["also"]] for row in rows if row.get("also")],
        "changes": [f"{row['name']}: was {row['source_dtype']}" for row in rows if row.get("source_dtype")],
    }


def _product(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


# -- the process ---------------------------------------------------------------------------------------------


def _run(folder: Path, recording: Reference, request: Request, ledger: Ledger, say: Say) -> dict[str, str]:
    """Runs the comparison, as often as it takes until no layer ends the process."""
    versions: dict[str, str] = {}
    for _ in range(MOST_CRASHES):
        job = {"folder": str(folder), "reference": str(recording.path), "request": asdict(request)}
        inside: list[str] = []
        done = False
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors_of:
            process = _start(job, errors_of)
            with process, contextlib.closing(_rows(process)) as rows:
                for row in rows:
                    done = done or "done" in row
                    versions.update(row.get("done") or {})
                    _take(row, ledger, inside, say)
            errors_of.seek(0)
            said = errors_of.read().strip()
        if done:
            break
        name = inside[-1] if inside else "the model"
        ledger.fail(name, _ending(process.returncode, said))
        if not inside or name in request.crashed:
            break
        request = replace(request, crashed=(*request.crashed, name))
    return versions


def _start(job: dict[str, Any], errors_of: IO[str]) -> subprocess.Popen[bytes]:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "torch2flow.parity.worker", str(writing)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors_of, pass_fds=[writing]
    )
    os.close(writing)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps(job).encode())
    process.stdin = None
    process.stdout = os.fdopen(reading, "rb")
    return process


def _rows(process: subprocess.Popen[bytes]) -> Generator[dict[str, Any], None, None]:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.endswith(b"\n"):  # what was cut off by the end of the process is no row
                yield json.loads(line)
    finally:
        if process.poll() is None:
            process.terminate()


def _take(row: dict[str, Any], ledger: Ledger, inside: list[str], say: Say) -> None:
    if "enter" in row:
        inside.append(row["enter"])
    elif "leave" in row:
        inside.pop()
    elif "say" in row:
        inside.clear()  # a phase that an exception ended has left no layer
        say(row["say"])
    elif "error" in row:
        kind: type[errors.Torch2FlowError] = getattr(errors, row["error"], DifferenceError)
        raise kind(row["what"], where=row["where"], remedy=row["remedy"])
    elif "done" not in row:
        ledger.accept(row)


def _ending(code: int | None, said: str) -> str:
    """How the process ended, and the last line that tells something."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.lstrip().startswith(("@", "***"))]
    reason = next((line for line in reversed(lines) if "Check failed" in line or "Error" in line), "")
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"OneFlow ended the whole process ({how}){': ' + reason[:300] if reason else ''}"
