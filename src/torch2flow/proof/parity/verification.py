"""Verifies a converted model against its recording: `torch2flow verify out`, and what it found."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch2flow._version import __version__
from torch2flow.checkpoints.writing.manifest_reading import Manifest, read_manifest
from torch2flow.errors import FormatError, UsageError
from torch2flow.proof.parity.comparison_run import Request
from torch2flow.proof.parity.divergence import Divergence, explicable, first_divergence
from torch2flow.proof.parity.fresh_recording import Original, record_against
from torch2flow.proof.parity.isolated import compare_isolated, explain_isolated, minimise_isolated
from torch2flow.proof.parity.judge import EXACT, LIMIT, VERDICTS, worst
from torch2flow.proof.parity.ledger import PARTS, Ledger
from torch2flow.proof.parity.reference import Reference, reference_of
from torch2flow.proof.parity.result_rows import finite, module_rows, part_row, unmatched

Say = Callable[[str], None]

SUFFIX = ".reference.safetensors"

NO_TENSORS = ("form", "dropout", "trainable")
"""The parts that compare something else than tensors."""

MOST_TOLD = 5
"""So many places that no run has used are told in the sentence; all are in the JSON."""

OF_LAYERS = ("own", "inputs")
"""The parts of a comparison that are judged layer by layer."""


FLOAT64 = ("float64", "training in float64", "locating in float64")
"""What a model that was written by hand need not run in: its author may ask for float32 where no one can change it."""


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
        notes: what else there is to say.
        by_hand: the model was written by hand, and may compute the same in other layers.
    """

    ledger: Ledger
    reference: Reference
    model: dict[str, Any] = field(default_factory=dict)
    repeat: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    by_hand: bool = False

    @property
    def parts(self) -> list[str]:
        """The parts that were judged, in the order in which they are shown."""
        return [part for part in PARTS if part in self.ledger.parts]

    @property
    def verdict(self) -> str:
        """The worst of all parts; what could not be run is different.

        The layers of a model that was written by hand say where it differs, but not whether: one of a name may hold
        more there than here.
        """
        deciding = self._deciding
        return worst([*map(deciding.verdict, deciding.parts.keys() & PARTS), *("different" for _ in deciding.failures)])

    @property
    def _deciding(self) -> Ledger:
        """The ledger without the layers, where the model was written by hand and its outputs are PyTorch's.

        Nor do large inputs decide then, for which another form of a formula may overflow: a note tells it.
        """
        if not (self.by_hand and "outputs" in self.ledger.parts and self.ledger.fine("outputs")):
            return self.ledger
        return self.ledger.without(*OF_LAYERS, *FLOAT64, "large")

    @property
    def faithful(self) -> bool:
        """Whether everything is within noise."""
        return VERDICTS.index(self.verdict) <= VERDICTS.index("within noise")

    @property
    def divergence(self) -> Divergence | None:
        """Where it starts to differ; None where it does not."""
        return None if self.faithful else first_divergence(self._deciding, self.reference)

    @property
    def sentence(self) -> str:
        """The whole in one sentence, or two where a part could not be compared."""
        divergence = self.divergence
        if divergence is not None:
            return divergence.sentence
        count = sum(len(self.ledger.parts[part]) for part in self.parts if part not in NO_TENSORS)
        told = f"All {count} tensors differ from PyTorch's by no more than float32 rounding explains."
        if self.verdict == "identical":
            told = f"All {count} tensors are PyTorch's, bit for bit."
        return " ".join([told, *self.missing])

    @property
    def missing(self) -> list[str]:
        """What was asked for and could not be compared, a sentence each."""
        told, said = [], self.reference.metadata
        if why := said.get("training") or self.ledger.untrained:
            told.append(f"Training was not compared: {why.removesuffix('.')}.")
        if said.get("input_gradients"):
            told.append(f"Gradients of inputs were not compared: {said['input_gradients'].removesuffix('.')}.")
        told += self.ledger.missing
        if self.by_hand:
            told += [f"In {part} it does not run: {self.ledger.failures[part]}." for part in FLOAT64[:1]
                     if part in self.ledger.failures]  # fmt: skip
        if said.get("float64", "recorded") != "recorded":
            told.append(f"Float64 could not be compared: {said['float64'].removeprefix('incomplete: ')}.")
        return told

    def conclude(self, versions: dict[str, str], seconds: float) -> None:
        """Adds what is known at the end: versions of what was involved, and how long it took."""
        if self.by_hand and self.faithful and not self.ledger.fine(*OF_LAYERS):
            self.notes.append("some layers hold other steps than PyTorch's of the same name; the whole decides")
        if self.by_hand and self.faithful and not ("large" not in self.ledger.failures and self.ledger.fine("large")):
            self.notes.append(
                "of inputs 100 times as large the outputs differ, by a clamp, a threshold or an overflow; the verdict "
                "leaves that out"
            )
        told = [self.reference.metadata["large"]] if "large" in self.reference.metadata else []
        self.notes += [*told, *self.ledger.remarks, *self.not_exercised]
        self.versions = {
            "torch2flow": __version__,
            "torch": self.reference.metadata.get("torch", "unknown"),
            **versions,
        }
        self.seconds = seconds
        self.reference.calls  # noqa: B018 - what is kept of a recording that may go now

    @property
    def not_exercised(self) -> list[str]:
        """One sentence about the branches, masks and clamps of the model that no run has used, if there are any."""
        told = [f"{text} (line {line})" for line, _, text in self.ledger.left_out]
        if not told:
            return []
        more = f", and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        return [f"not exercised, so nothing is said of it: in model.py {', '.join(told[:MOST_TOLD])}{more}"]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, without the values that were compared."""
        divergence = self.divergence
        told = {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "likely": [] if divergence is None else list(divergence.likely),
            "first": None if divergence is None else {"path": divergence.path, "part": divergence.part},
            "model": self.model,
            "versions": self.versions,
            "repeat": self.repeat,
            "settings": {"limit": LIMIT, "exact": EXACT},
            "seconds": round(self.seconds, 1),
            "parts": [part_row(part, self.ledger) for part in self.parts if part not in ("own", "inputs")],
            "modules": module_rows(self.ledger, self.reference),
            "failures": self.ledger.failures,
            "not_exercised": [{"line": line, "text": text} for line, _, text in self.ledger.left_out],
            "unmatched": unmatched(self.ledger, self.reference),
        }
        made: dict[str, Any] = finite(told)
        return made


def verify_folder(
    folder: str | os.PathLike[str],
    reference: str | os.PathLike[str] | None = None,
    request: Request | None = None,
    *,
    original: Original | None = None,
    seeds: int = 1,
    minimise: Path | None = None,
    overwrite: bool = False,
    say: Say | None = None,
) -> Verification:
    """Compares a converted model with its recording; neither PyTorch nor OneFlow is imported into this process.

    Args:
        folder: what `convert` made of a `.pt2`.
        reference: the recording; by default the one beside the `.pt2` that was converted.
        request: what is compared.
        original: a PyTorch model to record now; the inputs of a recording that is found are then taken, unless it has
            its own.
        seeds: how often to record `original`, each time with the next seed; the worst outcome is returned.
        minimise: a script to write where a layer differs: the smallest case that shows it.
        overwrite: replace that script if it is there.
        say: is told what is being done.

    Raises:
        UsageError: the folder holds no model, or there is no recording.
        FormatError: the recording is damaged, or of another model.
        InstallationError: OneFlow does not import, or PyTorch in the interpreter of `original`.
        DifferenceError: `original` has other weights.
    """
    folder, request, say = Path(folder), request or Request(), say or (lambda text: None)
    manifest = _manifest_of_a_model(folder)
    if original is None:
        return _verify(
            folder, manifest, _find_reference(folder, manifest, reference), request, minimise, overwrite, say
        )
    if not original.inputs:
        original = replace(original, inputs=[str(_find_reference(folder, manifest, reference))])
    outcomes = []
    for seed in range(original.seed, original.seed + seeds):
        with tempfile.TemporaryDirectory(prefix="torch2flow-") as temporary:
            path = Path(temporary) / "recording.safetensors"
            record_against(folder, replace(original, seed=seed), path, request, say)
            found = _verify(folder, manifest, path, request, minimise, overwrite, say)
        found.repeat = f"torch2flow verify {folder.name} --against {original.factory} --seed {seed}"
        outcomes.append(found)
    worst_one = max(outcomes, key=lambda each: VERDICTS.index(each.verdict))
    if seeds > 1:
        told = (f"seed {original.seed + number}: {each.verdict}" for number, each in enumerate(outcomes))
        worst_one.notes.append(", ".join(told))
    return worst_one


def _verify(
    folder: Path,
    manifest: Manifest,
    path: Path,
    request: Request,
    minimise: Path | None,
    overwrite: bool,
    say: Say,
) -> Verification:
    started = time.monotonic()
    recording = reference_of(manifest, folder, path)
    _check_belongs(recording, manifest)
    found = Verification(Ledger(), recording, describe_model(folder, manifest), by_hand=recording.twin)
    found.repeat = f"torch2flow verify {folder.name} --reference {recording.path.name}"
    versions = compare_isolated({"folder": str(folder)}, recording, request, found.ledger, say)
    if not found.ledger.parts and not found.ledger.failures:
        raise FormatError("There is nothing in the recording to compare.", where=str(recording.path))
    where = found.divergence
    if where is not None and not recording.twin and explicable(where):
        say("looking for the cause")
        explained = explain_isolated(folder, recording, where, found.ledger.call_pairs)
        if explained is not None:
            found.ledger.explain(where.tensor, *explained)
    if minimise is not None and found.divergence is not None:
        found.notes.append(
            minimise_isolated(folder, recording, found.divergence, found.ledger.call_pairs, minimise, overwrite)
        )
    found.conclude(versions, time.monotonic() - started)
    return found


def _manifest_of_a_model(folder: Path) -> Manifest:
    if not (folder / "model.py").is_file():
        remedy = "torch2flow convert model.pt2 -o out makes one of a model that torch2flow capture wrote"
        if folder.is_dir():
            raise UsageError("There is no model.py here, only weights, or nothing.", where=str(folder), remedy=remedy)
        if not os.path.lexists(folder):
            raise FormatError("The folder is not there.", where=str(folder), remedy="check the path")
        raise UsageError("This is no folder of a converted model.", where=str(folder), remedy=remedy)
    return read_manifest(folder)


def _find_reference(folder: Path, manifest: Manifest, given: str | os.PathLike[str] | None) -> Path:
    """The recording that is named, that lies in the folder, or that lies beside the source of the conversion."""
    if given is not None:
        path = Path(given)
        places = [path.with_suffix(SUFFIX) if path.suffix == ".pt2" else path]  # of a .pt2, the recording beside it
    else:
        name = Path(manifest.get("source", {}).get("name") or "model.pt2").stem + SUFFIX
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


def _check_belongs(recording: Reference, manifest: Manifest) -> None:
    """Refuses the recording of another model: its parameters have other names or shapes."""
    expected = recording.state
    names = {name for row in manifest["tensors"] for name in (row["name"], *row.get("also", []))}
    if expected and names and not expected & names:
        raise FormatError(
            "This recording is of another model: not one parameter has the same name.",
            where=str(recording.path),
            maybe=f"it is of {recording.metadata.get('model', 'something else')}",
            remedy="give the .reference.safetensors that lies beside the captured .pt2",
        )


def describe_model(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """What the manifest says of the weights."""
    rows = manifest["tensors"]
    sizes = [(row["dtype"], math.prod(row["shape"]), row["bytes"]) for row in rows]
    return {
        **weights_described(manifest.get("model", {}).get("class", ""), sizes),
        "folder": folder.name,
        "ties": [[row["name"], *row["also"]] for row in rows if row.get("also")],
        "changes": [f"{row['name']}: was {row['source_dtype']}" for row in rows if row.get("source_dtype")],
    }


def weights_described(name: str, tensors: list[tuple[str, int, int]]) -> dict[str, Any]:
    """What a report says of the weights of a class.

    Args:
        name: of the class.
        tensors: the dtype, the number of elements and the number of bytes of each.
    """
    return {
        "folder": "",
        "class": name,
        "tensors": len(tensors),
        "elements": sum(elements for _, elements, _ in tensors),
        "bytes": sum(nbytes for _, _, nbytes in tensors),
        "dtypes": dict(Counter(dtype for dtype, _, _ in tensors)),
        "ties": [],
        "changes": [],
    }
