"""Loads a checkpoint into the live module that is captured: `capture nets.py:Net --weights best.pth`.

The checkpoint is read as `convert` reads it, as data: nothing in it is executed, DeepSpeed's folders and files of all
ranks are put together. The module says which names it wants; what a wrapper added to the file's is taken off, and told.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.names.wanted_names import change_of_names
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.writing import ConversionPlan, Entry, Options, make_plan
from torch2flow.conversion.formats import FORMATS
from torch2flow.errors import UsageError

COUNTER = ".num_batches_tracked"
"""A buffer that checkpoints before PyTorch 0.4.1 lack; it counts batches, and no output depends on it by default."""

SHOWN = 8


@dataclass(frozen=True)
class GivenWeights:
    """The checkpoint, and which part of it under which names.

    Attributes:
        key: the part to take, as a dotted path; None chooses by rule.
        rename: pairs of regular expression and replacement, for every name of the file.
    """

    path: Path
    key: str | None = None
    rename: tuple[tuple[str, str], ...] = ()

    def load_into(self, torch: Any, module: Any) -> list[str]:
        """Loads them, and returns what a person should know.

        Raises:
            UsageError: the module wants tensors that the file has not, or of other shapes; all of them are listed.
            UnsupportedError: packed, sparse or emptied weights.
            FormatError: the file is broken or hostile.
        """
        checkpoint = open_checkpoint(self.path, self.key)
        plan = make_plan(checkpoint, Options(key=self.key, rename=self.rename), FORMATS["pth"].target)
        given = {name: entry for entry in plan.entries for name in entry.names}
        wanted = {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
        change, told = change_of_names(wanted, given)
        named = {change(name): name for name in given}
        self._refuse(wanted, given, named, plan)
        state = {name: _live(torch, given[named[name]]) for name in wanted if name in named}
        try:
            module.load_state_dict(state, strict=False)
        except Exception as error:
            raise UsageError(f"The model does not load its state dict: {error}"[:2000], where=str(self.path)) from None
        spare = [old for new, old in named.items() if new not in wanted]
        casts = [name for name in state if state[name].dtype != wanted[name].dtype]
        notes = [
            f"weights: {len(state)} tensors of {self.path.name}"
            + (f", part {checkpoint.key!r}" * (checkpoint.key != "."))
        ]
        notes += told
        if spare:
            notes.append(f"the model has no place for {len(spare)} tensors of the file: {_some(spare)}")
        if casts:
            notes.append(f"the dtype of {len(casts)} tensors is the model's, not the file's: {_some(casts)}")
        return notes

    def _refuse(
        self, wanted: dict[str, Any], given: dict[str, Entry], named: dict[str, str], plan: ConversionPlan
    ) -> None:
        lines = []
        for name, value in wanted.items():
            if name not in named:
                if not name.endswith(COUNTER):
                    lines.append(f"{name}: not in the file{_near(name, value, wanted, given, named)}")
            elif _has_shape(value) and tuple(value.shape) != given[named[name]].shape:
                lines.append(f"{name}: {list(value.shape)} in the model, {list(given[named[name]].shape)} in the file")
        if lines:
            more = f"\n    and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
            parts = [part.path for part in plan.checkpoint.candidates if part.kind != "optimizer state"]
            others = ", ".join(part for part in parts if part != plan.checkpoint.key)
            raise UsageError(
                "The weights don't fit the model:\n    " + "\n    ".join(lines[:SHOWN]) + more,
                where=f"{self.path}, part {plan.checkpoint.key!r}",
                maybe="it was built with other arguments than the checkpoint's" if given.keys() & wanted.keys() else "",
                remedy="--rename OLD=NEW gives the file's names others"
                + (f"; --key takes another part: {others}" if others else ""),
            )


def _near(name: str, value: Any, wanted: dict[str, Any], given: dict[str, Entry], named: dict[str, str]) -> str:
    """`; did you mean ...?`: among the file's that the model does not want, one of the same shape first."""
    spare = [old for new, old in named.items() if new not in wanted]
    shape = tuple(value.shape) if _has_shape(value) else ()
    leaf = name.rpartition(".")[2]
    alike = [old for old in spare if given[old].shape == shape and old.rpartition(".")[2] == leaf]
    found = get_close_matches(name, (alike or spare)[:2000], 1, 0.3 if alike else 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _has_shape(tensor: Any) -> bool:
    """Whether a tensor has one: a lazy layer's gets it from the file."""
    return type(tensor).__name__ not in ("UninitializedParameter", "UninitializedBuffer")


def _live(torch: Any, entry: Entry) -> Any:
    """The tensor of an entry of the plan, bit for bit."""
    held = bytearray(b"".join(chunk.tobytes() for chunk in entry.chunks()))
    dtype = getattr(torch, entry.dtype.name)
    return torch.frombuffer(held, dtype=dtype).reshape(entry.shape) if held else torch.empty(entry.shape, dtype=dtype)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
