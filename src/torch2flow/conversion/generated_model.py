"""The generated source of a model, as files beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.oneflow.folder import write_folder
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch import Checkpoint, Container
from torch2flow.checkpoints.writing import Options, make_plan
from torch2flow.conversion.formats import ONEFLOW
from torch2flow.conversion.weights_apart import NAMES

if TYPE_CHECKING:
    from torch2flow.models.codegen.writer import Source


@dataclass(frozen=True, slots=True)
class GeneratedModel:
    """A model that was written from a program, or from a pickled module."""

    source: Source
    checkpoint: Checkpoint
    cut: bool = False

    def write(self, folder: Path, name: str) -> None:
        """Writes source, package and constants."""
        from torch2flow.models.codegen.package import CONSTANTS, write_package

        write_package(self.source, folder, name, cut=self.cut)
        if self.source.constants:
            (folder / CONSTANTS).mkdir(exist_ok=True)
            held = Container("pt2", StatefulDict(self.source.constants), self.checkpoint.container.files)
            plan = make_plan(Checkpoint(self.checkpoint.path, held, "."), Options(key=".", complex="real"), ONEFLOW)
            write_folder(plan, folder / CONSTANTS, lambda count: None)

    def describe(self, manifest: dict[str, Any]) -> None:
        """Says what is missing, and takes the constants off the list of what was not converted: the source has them."""
        from torch2flow.models.codegen.package import CONSTANTS

        missing = [
            {"operator": each.target, "module": each.path, "line": str(each.line or ""), "reason": each.reason}
            for each in self.source.missing
        ]
        manifest["model"] = {"class": self.source.root, "missing": missing, "notes": self.source.notes}
        if names := self.checkpoint.container.metadata.get(NAMES):
            manifest["weight_names"] = names
        manifest["not_converted"] = [row for row in manifest["not_converted"] if row["name"] != CONSTANTS]
