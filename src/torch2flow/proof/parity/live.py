"""`torch2flow.verify`: compares any OneFlow model with any PyTorch model, both live in one process."""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torch2flow.checkpoints.names.templates import ExactKeys
from torch2flow.checkpoints.names.user_choice import choose_names
from torch2flow.errors import InstallationError
from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.factories import unwrapped
from torch2flow.proof.capture.unexported import record_module
from torch2flow.proof.parity.compared_models import Live
from torch2flow.proof.parity.comparison_run import Request, Run
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import Reference
from torch2flow.proof.parity.verification import Verification, weights_described
from torch2flow.runtime import import_oneflow
from torch2flow.runtime.loading import load_state_dict
from torch2flow.runtime.loading.live import Rules, rename_rules
from torch2flow.runtime.nested import leaves, replaced
from torch2flow.runtime.packages import distribution_version, install_command


def verify(
    model: Any,
    original: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    transfer: bool = False,
    rename: Rules = (),
    request: Request | None = None,
    train: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Verification:
    """Compares a OneFlow model with its PyTorch original: outputs, layers of the same path, gradients, steps.

        found = torch2flow.verify(my_port, original, (torch.randn(2, 3, 224, 224),), transfer=True)
        print(found.verdict, found.sentence)

    Outputs, gradients and steps decide, also with one row and with more rows of the inputs, if all inputs have as many,
    and in a second call. Layers say where a difference begins: the port may be cut into others.

    Args:
        model: a `oneflow.nn.Module`; but for `transfer`, it stays as it is.
        original: a `torch.nn.Module`; it stays as it is. Of a compiled or a parallel one, what is inside is taken.
        args: positional inputs: PyTorch tensors or arrays, whatever they are nested in, and other values, which the
            port gets as they are.
        kwargs: keyword inputs.
        transfer: first put the weights of the original into the model.
        rename: `OLD=NEW` regular expressions (or pairs of them), applied in order to the original's names of parameters
            and buffers, where the port has others.
        request: what is compared; by default everything but graph mode.
        train: compare outputs in train mode.
        seed: of the weights of the loss, and of what the original draws.
        say: is told what is being done.

    Raises:
        InstallationError: OneFlow or PyTorch does not import.
        UsageError: the original does not run on these inputs, or a rule of `rename` can't be used.
        UnsupportedError: the weights do not fit, with `transfer`.
    """
    started = time.monotonic()
    flow = import_oneflow()
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise InstallationError(f"PyTorch does not import: {error}", remedy=install_command("torch>=1.13")) from None
    request, original = request or Request(), unwrapped(original)
    call = replaced(
        (tuple(args), dict(kwargs or {})),
        lambda value: torch.from_numpy(value) if isinstance(value, np.ndarray) else value,
    )
    naming = choose_names(original.state_dict(), rename=rename_rules(rename))
    with tempfile.TemporaryDirectory(prefix="torch2flow-") as folder:
        if transfer:
            path = Path(folder) / "weights.pth"
            torch.save(original.state_dict(), path)
            load_state_dict(model, path, rename=rename)
            path.unlink()
        path = Path(folder) / "recording.safetensors"
        record_module(
            torch, original, call[0], call[1], path, train=train, gradients=request.training, layers=request.layers,
            seed=seed, free=_batch(torch, call), resized=lambda sizes: _rows(torch, call, sizes), say=say,
        )  # fmt: skip
        recording, ledger = Reference(path, ExactKeys(naming.names), call=call), Ledger()
        with Live(model) as subject:
            Run(flow, subject, recording, request, ledger, say=say)()
        found = Verification(
            ledger, recording, describe_module(model), "torch2flow.verify(model, original, args)", notes=naming.notes,
            by_hand=True,
        )  # fmt: skip
        versions = {name: distribution_version(name) or "" for name in ("oneflow", "numpy")}
        found.conclude(versions, time.monotonic() - started)
    return found


def _batch(torch: Any, call: Call) -> dict[str, int]:
    """The length of the first axis of the inputs, if all tensors that have axes share it: mostly the batch."""
    sizes = {len(leaf) for leaf in leaves(call) if isinstance(leaf, torch.Tensor) and leaf.ndim}
    return {"batch": sizes.pop()} if len(sizes) == 1 and max(sizes) > 1 else {}


def _rows(torch: Any, call: Call, sizes: dict[str, int]) -> Call:
    """The inputs with more or fewer of their own rows; more are an odd number of them where these are even, or even."""
    count = next(len(leaf) for leaf in leaves(call) if isinstance(leaf, torch.Tensor) and leaf.ndim)
    size = sizes["batch"] + (sizes["batch"] > count and (sizes["batch"] - count) % 2 == 0)

    def rows(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or not leaf.ndim:
            return leaf
        return leaf.index_select(0, torch.arange(size, device=leaf.device) % len(leaf))

    made: Call = replaced(call, rows)
    return made


def describe_module(model: Any) -> dict[str, Any]:
    """What a report says of a live module's weights."""
    return weights_described(
        type(model).__name__,
        [
            (str(tensor.dtype).rpartition(".")[2], tensor.numel(), tensor.numel() * tensor.element_size())
            for tensor in model.state_dict().values()
        ],
    )
