"""What is asked of a capture, what it made, and a run of the module with its inputs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch2flow.errors import UsageError
from torch2flow.proof.capture.axes import Call, Dynamic
from torch2flow.proof.capture.control_flow import plain_control_flow
from torch2flow.proof.capture.exporting import Axis, bind
from torch2flow.proof.capture.factories import raised
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.capture.reasons import OWN_GRADIENT, refusal
from torch2flow.proof.capture.references import Say, input_leaves
from torch2flow.proof.capture.without_weights import CheckpointWeights
from torch2flow.runtime.nested import replaced


@dataclass
class Captured:
    """What a capture made.

    Attributes:
        out: the `.pt2`.
        reference: the recording beside it, or None.
        axes: the named axes, with what became of each.
        second: sizes of the named axes in the second inputs; empty where there are none.
        notes: what a user should know.
    """

    out: Path
    reference: Path | None
    torch: str
    nbytes: int
    reference_nbytes: int
    recorded: int
    nodes: int
    parameters: int
    axes: dict[str, Axis]
    second: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "out": str(self.out), "reference": self.reference and str(self.reference)}


@dataclass
class CaptureJob:
    """Everything that was asked for.

    Attributes:
        afterwards: what is undone at the end.
        first_call: a note of what the first call of the model sets, once the model was set up by one.
        untrained: why training can't be compared, as far as that call says.
    """

    torch: Any
    module: Any
    call: Call
    dynamic: Dynamic
    sizes: dict[str, int]
    second: Callable[[dict[str, int]], Call]
    model: str
    train: bool
    gradients: bool
    reference: str
    seed: int
    say: Say
    weights: CheckpointWeights | None = None
    tell: Say = lambda text: None
    folder: Path = Path()
    afterwards: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    first_call: str = ""
    untrained: str = ""

    def laid_out(self) -> Any:
        """A context in which the module can be exported."""
        return contextlib.nullcontext() if self.weights is None else self.weights.laid_out()

    def given(self) -> Any:
        """A context in which the module can be called."""
        return contextlib.nullcontext() if self.weights is None else self.weights.given()


def copies(torch: Any, call: Call) -> Call:
    """The inputs, so that what is written into them is lost."""
    copies: Call = replaced(call, lambda x: x.clone() if isinstance(x, torch.Tensor) else x)
    return copies


def run_module(job: CaptureJob, call: Call) -> None:
    """Calls the module once, and keeps nothing of it.

    Raises:
        UsageError: `forward` does not take the inputs, or raises.
    """
    bind(job.module, *call)
    call = copies(job.torch, call)
    try:
        with job.torch.no_grad(), untouched(job.torch, job.module), plain_control_flow(job.torch):
            job.module(*call[0], **call[1])
    except Exception as error:
        if re.search(OWN_GRADIENT.pattern, str(error)):
            raise refusal("PyTorch can't export the model", error, job.model, False) from None
        fault = raised("forward raised", error, job.model)
        shapes = [
            f"{name}: {str(leaf.dtype).removeprefix('torch.')}{list(leaf.shape)}"
            for name, leaf in input_leaves(*call)
            if isinstance(leaf, job.torch.Tensor)
        ]
        fault.maybe = f"the inputs ({', '.join(shapes)}) are not what the model takes"
        fault.remedy = "change --input (and --size for named axes), or the model"
        raise UsageError(fault.what, where=fault.where, maybe=fault.maybe, remedy=fault.remedy) from None
