"""What `torch2flow capture` recorded of a model: inputs, outputs, layers, gradients, in float32 and float64.

The names are those of docs/capturing.md. Tensors are read one at a time, when they are asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from torch2flow.checkpoints.names.renamed_checkpoint import renamed
from torch2flow.checkpoints.names.templates import SAME, Keys
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import TensorRef
from torch2flow.checkpoints.writing.manifest_reading import Manifest, manifest_keys
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import parse_json
from torch2flow.guards.records import Count, Demand, Name, checked
from torch2flow.guards.regular_files import is_regular
from torch2flow.runtime.nested import replaced_by_name

DOUBLE = "float64/"
OWN = "own/"

FINER = {"bfloat16": 2.0**-14, "float16": 2.0**-11}
"""How much less noise float32 has, in which OneFlow computes what PyTorch did in these.

Its numbers are 2^16 and 2^13 times finer; but PyTorch sums up in float32 there too, and rounds once, at the end.
"""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call of a submodule: `layer1.0.conv1#0`, its class, and the names of the tensors it got and gave."""

    name: str
    kind: str
    fed: bool
    inputs: list[str]
    outputs: list[str]
    passes: bool = False
    hooked: bool = False

    @property
    def path(self) -> str:
        """The module's path."""
        return self.name.rpartition("#")[0]

    def taken(self, name: str) -> str:
        """The name of an input that is the output of another call."""
        return f"{self.name} < {name}"


CallName = Annotated[
    Name, Demand(lambda name: _CALL.fullmatch(name) is not None, "a module's path, a #, and the number of the call")
]
_CALL = re.compile(r"[^#]*#[0-9]{1,9}")


class _Call(TypedDict):
    name: CallName
    kind: Name
    fed: bool
    inputs: list[Name]
    outputs: list[Name]


class CallRow(_Call, total=False):
    """A `RecordedCall` as the recording keeps it."""

    passes: bool
    hooked: bool


class AdamWSettings(TypedDict):
    """What a step of AdamW was made with."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float


RandomRow = tuple[Name, Name, float, Name] | tuple[Name, Name, float, Name, bool]
"""A `RandomCall`; older recordings don't say whether it is read."""


class DrawsNote(TypedDict):
    """Of a model that stays random: of how many runs mean and deviation are, and which tensors other draws change."""

    draws: Annotated[Count, Demand(lambda count: 2 <= count <= 10_000, "a whole number from 2 to 10000")]
    tensors: list[Name]


class TiesNote(TypedDict):
    """Of a model that chooses among equal values: the function, and which tensors another choice changes."""

    function: Name
    tensors: list[Name]


class Notes(TypedDict, total=False):
    """What the metadata say as JSON: calls of modules, names of parameters and buffers, an optimizer, checksums."""

    calls: list[CallRow]
    state_dict: list[Name]
    adamw: AdamWSettings
    weights: dict[str, str]
    modules: list[Name]
    other_names: dict[str, str]
    notes: list[str]
    outline: Any
    spread: dict[str, float]
    random_calls: dict[str, list[RandomRow]]
    random: DrawsNote
    ties: TiesNote
    trainable: list[Name]
    moved_in_eval: list[Name]


Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword inputs."""

MOST_LEVELS, MOST_ARGUMENTS = 64, 255
"""How deep the inputs of a model may be nested, and how many arguments it may take."""


class Reference:
    """A recording.

    Args:
        path: the `.reference.safetensors`.
        keys: the rules by which parameters and buffers of the OneFlow model have other names than PyTorch's; all names
            are then OneFlow's.
        twin: whether the OneFlow model is another library's, whose layers may hold other steps.
        call: the positional and keyword inputs themselves, where the recording was made here: not all are tensors.

    Raises:
        FormatError: it is missing, damaged, or no recording.
    """

    def __init__(
        self, path: str | os.PathLike[str], keys: Keys = SAME, *, twin: bool = False, call: Call | None = None
    ) -> None:
        self.path, self.keys, self.twin, self.call = Path(path), keys, twin, call
        self.call_pairs: dict[str, str] = {}
        self.checkpoint = open_checkpoint(path, ".")
        self.metadata: dict[str, str] = dict(self.checkpoint.container.metadata.get("__metadata__", {}))
        if keys:
            self.checkpoint = renamed(self.checkpoint, _RecordedKeys(keys))
        if not any(name.startswith(("input.", "output.")) for name in self.checkpoint):
            raise FormatError(
                "This file is no recording of `torch2flow capture`.",
                where=str(path),
                remedy="give the .reference.safetensors that lies beside the captured .pt2",
            )

    @cached_property
    def notes(self) -> Notes:
        """What the metadata say as JSON.

        Raises:
            FormatError: they say something else.
        """
        texts = {name: self.metadata[name] for name in Notes.__annotations__ if name in self.metadata}
        where = f"{self.path}, __metadata__"
        found = {name: parse_json(text.encode("utf-8", "surrogatepass"), where) for name, text in texts.items()}
        return checked(Notes, found, where)

    @property
    def learning_rate(self) -> float:
        """Of the step of SGD."""
        text = self.metadata.get("lr", "0.01")
        try:
            return float(text)
        except ValueError:
            raise FormatError(f"The learning rate {text[:60]!r} is no number.", where=str(self.path)) from None

    @property
    def on_demand(self) -> int:
        """So many elements of the weights were in memory at once when it was made; 0 for all of them."""
        text = self.metadata.get("on_demand", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """A recorded tensor. bfloat16 and float16 become float32, which holds their values exactly.

        Raises:
            FormatError: the recording names it, and does not hold it.
        """
        tensor = self.checkpoint.get(name)
        if not isinstance(tensor, TensorRef):
            raise FormatError(f"The recording does not hold {name[:200]!r}.", where=str(self.path))
        values = tensor.numpy()
        return values.astype(np.float32) if tensor.dtype.kind == "f" and values.dtype.itemsize < 4 else values

    @cached_property
    def calls(self) -> dict[str, RecordedCall]:
        """Every call of a submodule, in the order in which they ended; empty where layers were not recorded."""
        rows = [
            RecordedCall(
                row["name"],
                row["kind"],
                row["fed"],
                row["inputs"],
                row["outputs"],
                row.get("passes", False),
                row.get("hooked", False),
            )  # fmt: skip
            for row in self.notes.get("calls", [])
        ]
        if self.keys:
            paths = self.paths
            rows = [replace(row, name=paths[row.path] + row.name[len(row.path) :]) for row in rows if row.path in paths]
        return {row.name: row for row in rows}

    def call_of(self, name: str) -> RecordedCall | None:
        """The recorded call that a call in OneFlow is compared with: by `call_pairs` or by its name; None for none."""
        return self.calls.get(self.call_pairs.get(name, name))

    @cached_property
    def paths(self) -> dict[str, str]:
        """OneFlow's path of each module of PyTorch's that holds parameters or buffers, by PyTorch's."""
        pairs = self.keys.pairs(self.notes.get("state_dict", []))
        return {old.rpartition(".")[0]: new.rpartition(".")[0] for old, new, _ in pairs}

    @cached_property
    def state(self) -> set[str]:
        """The names of all parameters and buffers; empty where they were not recorded."""
        return {new for _, new, _ in self.keys.pairs(self.notes.get("state_dict", []))}

    @property
    def trainable(self) -> list[str] | None:
        """OneFlow's names of the parameters that PyTorch trains; None where they were not recorded."""
        if "trainable" not in self.notes:
            return None
        return [new for _, new, _ in self.keys.pairs(self.notes["trainable"])]

    @property
    def other_names(self) -> dict[str, str]:
        """For each further path of a module that has more than one in PyTorch, the first of them."""
        return {} if self.twin else self.notes.get("other_names", {})

    def single(self, name: str, exact: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A recorded tensor with the noise of float32: one of bfloat16 or float16 is moved nearer to float64."""
        recorded, kind = self.array(name), self.checkpoint[name].dtype.name
        return exact + (recorded - exact) * FINER[kind] if kind in FINER else recorded

    def exact(self, name: str) -> np.ndarray[Any, Any]:
        """The float64 value of a recorded tensor, or the recorded one where there is none."""
        if DOUBLE + name not in self:
            return self.array(name)
        found = self.array(DOUBLE + name)
        return self.array(name).astype(np.float64) + found if found.dtype == np.float32 else found

    def own_exact(self, name: str) -> np.ndarray[Any, Any]:
        """The float64 value of what a submodule gave, had it been fed the recorded inputs."""
        recorded = self.array(name)
        return recorded.astype(np.float64) + self.array(OWN + name) if OWN + name in self else recorded

    @cached_property
    def spread(self) -> dict[str, float]:
        """How far PyTorch's float32 spreads around a float64 value, by the tensor's name."""
        given = self.notes.get("spread", {})
        return {new: given[old] for old, new, _ in _RecordedKeys(self.keys).pairs(given)} if self.keys else given

    @cached_property
    def random(self) -> set[str]:
        """The tensors of a model that stays random which other draws make different; empty for any other model."""
        return set(self.notes["random"]["tensors"]) if "random" in self.notes else set()

    @property
    def draws(self) -> int:
        """How many runs the recorded mean and deviation of random outputs are of; 0 where the model is not random."""
        return self.notes["random"]["draws"] if "random" in self.notes else 0

    def __contains__(self, name: str) -> bool:
        return name in self.checkpoint

    def names(self, prefix: str) -> list[str]:
        """The recorded names that begin with a prefix, without it: `output.` gives `["0", "1"]`."""
        return [name[len(prefix) :] for name in self.checkpoint if name.startswith(prefix)]

    def pairs(self, prefix: str) -> Iterator[tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        """For each name under a prefix: the rest of the name, and its values in float32 and in float64."""
        for name in self.names(prefix):
            exact = self.exact(prefix + name)
            yield name, self.single(prefix + name, exact), exact

    def inputs(self, convert: Any, prefix: str = "") -> tuple[list[Any], dict[str, Any]]:
        """The inputs of a run, nested as they were, positional and by keyword.

        Args:
            convert: makes a framework's tensor of an array; it is given the input's name too.
            prefix: `second.` for the second run.

        Raises:
            FormatError: the names are not those of nested values.
        """
        if self.call is not None:

            def change(name: str, leaf: Any) -> Any:
                recorded = f"{prefix}input.{name}"
                return convert(name, self.array(recorded)) if recorded in self else leaf

            positional, keywords = self.call
            return [replaced_by_name(str(number), value, change) for number, value in enumerate(positional)], {
                name: replaced_by_name(name, value, change) for name, value in keywords.items()
            }
        nested: dict[str, Any] = {}
        for name in self.names(f"{prefix}input."):
            place = nested
            *path, last = name.split(".")
            for part in path:
                place = place.setdefault(part, {}) if isinstance(place, dict) else place
            if len(path) > MOST_LEVELS or not isinstance(place, dict) or last in place:
                raise FormatError(f"The recorded input {name[:200]!r} is in no place.", where=str(self.path))
            place[last] = convert(name, self.array(f"{prefix}input.{name}"))
        given = {key: _unfold(value) for key, value in nested.items()}
        positions = [int(key[:9]) for key in given if key.isascii() and key.isdigit()]
        if max(positions, default=0) > MOST_ARGUMENTS:
            raise FormatError(f"The recorded input {max(positions)} is none of a model's.", where=str(self.path))
        # An argument without a tensor has no name here.
        args = [given.pop(str(position), None) for position in range(max(positions, default=-1) + 1)]
        return args, given


class _RecordedKeys(Keys):
    """The rules for names, for all that a recording holds of a parameter, such as its gradient."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self.rules, self._keys = keys.rules, keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, name: str, back: bool = False) -> tuple[str, str]:
        elements = _ELEMENTS.match(name)
        prefix = elements or _OF_PARAMETERS.match(name)
        if prefix is None:
            return name, ""
        new, change = self._keys.find(name[prefix.end() :], back)
        return prefix[0] + new, "" if elements else change


_ELEMENTS = re.compile(f"(?:{DOUBLE})?train\\.(?:sgd|adamw)\\.")
"""What holds some elements of a parameter, in no shape."""
_OF_PARAMETERS = re.compile(f"(?:{DOUBLE})?(?:train|eval)\\.(?:gradient|step|second_step)\\.")


def _unfold(value: Any) -> Any:
    """Turns a dict whose keys are 0, 1, 2, ... into the list that it was."""
    if not isinstance(value, dict):
        return value
    items = {key: _unfold(item) for key, item in value.items()}
    indices = [str(number) for number in range(len(items))]
    return [items[index] for index in indices] if items.keys() == set(indices) else items


def reference_of(manifest: Manifest, folder: Path, path: str | os.PathLike[str]) -> Reference:
    """A recording, under the names of the converted model in a folder."""
    return Reference(path, manifest_keys(manifest, str(folder)), twin="zoo" in manifest)


def open_reference(model: str | os.PathLike[str]) -> Reference | None:
    """The recording beside a captured `.pt2`; None where there is none."""
    path = Path(model).with_suffix(".reference.safetensors")
    return Reference(path) if is_regular(path) else None
