"""What is known of a pair of models: PyTorch's name, the OneFlow model that computes the same, and their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.names.templates import SAME, Keys

if TYPE_CHECKING:
    import numpy as np

    from torch2flow.checkpoints.pytorch import Tensor

Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True, slots=True)
class Repair:
    """A line of source that makes flowvision's model compute what PyTorch's does, and the reason for it."""

    line: str
    why: str


@dataclass(frozen=True, slots=True)
class Twin:
    """A pair of models.

    Attributes:
        name: of the PyTorch model: `vit_b_16`.
        twin: flowvision's function or class: `vit_base_patch16_224`.
        library: `torchvision` or `timm`.
        module: where flowvision has it.
        imports: what else its construction needs of there.
        arguments: given to it, as source.
        keys: names that differ.
        older: names in files that PyTorch's library itself changes when it loads them.
        repairs: lines to run after it is built.
        subclass: source of a class `Model` that derives from `{twin}`, where a line is not enough.
        settle: the twin for a checkpoint, where it depends on it: of its tensors, and the name of its weights.
        made: tensors that flowvision has besides, computed of the checkpoint's under flowvision's names.
        head: the tensor, under PyTorch's name, that has as many rows as there are classes.
        classes: how many there are unless said.
        stages: why it can't run as a whole on a CPU, and is compared layer by layer.
        differs: why it computes something else than PyTorch's; there is no rule for that.
    """

    name: str
    twin: str
    library: str = "torchvision"
    module: str = "flowvision.models"
    imports: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    keys: Keys = SAME
    older: Keys = SAME
    repairs: tuple[Repair, ...] = ()
    subclass: str = ""
    settle: Callable[[Twin, Tensors, str], Twin] = lambda twin, tensors, weights: twin
    made: Callable[[Tensors], dict[str, np.ndarray[Any, Any]]] = lambda tensors: {}
    head: str = ""
    classes: int = 1000
    stages: str = ""
    differs: str = ""

    @property
    def match(self) -> str:
        """How a checkpoint gets in: `keys equal`, `by rule`, or `no twin` if the namesake computes something else."""
        if self.differs:
            return "no twin"
        return "by rule" if self.keys or self.repairs or self.subclass else "keys equal"
