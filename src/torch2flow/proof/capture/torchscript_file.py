"""A model out of a file of TorchScript, as a module that PyTorch can export: by its own TS2EP converter.

The converter (`torch/_export/converter.py`, from PyTorch 2.5 on) makes a program of the graph; the module of that
program is what is captured. It has the keys of the file's state dict, and one mode, since it holds no Python.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.opening import open_container
from torch2flow.errors import InstallationError, Torch2FlowError, UnsupportedError, UsageError
from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.factories import in_words
from torch2flow.proof.capture.reasons import essence

_OPERATOR = re.compile(r"\b(?:aten|prim|torchvision|quantized)::\w+")


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of TorchScript."""
    try:
        return path.is_file() and open_container(path).format == "torchscript"
    except Torch2FlowError:
        return False


def module_of_script(torch: Any, path: Path, call: Call) -> Any:
    """The model of such a file, converted for these inputs.

    Raises:
        InstallationError: this PyTorch has no converter.
        UsageError: the model does not run with these inputs.
        UnsupportedError: the converter does not know an operator; its place in the author's code is told.
    """
    try:
        converter = importlib.import_module("torch._export.converter").TS2EPConverter
    except (ImportError, AttributeError):
        raise InstallationError(
            f"This PyTorch is {torch.__version__}; a file of TorchScript takes the converter of 2.5 or newer.",
            remedy="update PyTorch, or capture the model from its own class with --weights FILE",
        ) from None
    args, kwargs = call
    script = torch.jit.load(str(path), map_location="cpu").eval()
    try:
        with torch.no_grad():
            script(*args, **kwargs)
    except Exception as error:
        raise UsageError(
            f"The model does not run with these inputs: {in_words(error)}", where=str(path), remedy="change --input"
        ) from None
    try:
        program = converter(script, args, kwargs).convert()
        checks = {"check_guards": False} if "check_guards" in inspect.signature(program.module).parameters else {}
        module = program.module(**checks)
    except Exception as error:
        raise UnsupportedError(
            f"PyTorch can't convert this TorchScript: {type(error).__name__}: {essence(error)}",
            where=f"{path}{_place(script, error)}",
            remedy="capture the model from its own class: torch2flow capture nets.py:Net --weights FILE",
        ) from None
    # A program's module refuses both; here a mode changes nothing, and that is told.
    for name in ("train", "eval"):
        module.__dict__.pop(name, None)
    _restore_parameters(torch, module, script)
    name = str(getattr(script, "original_name", ""))
    if name.isidentifier():
        type(module).__name__ = name  # the class of a program's module is its own
    return module


def _restore_parameters(torch: Any, module: Any, script: Any) -> None:
    """Gives parameters and buffers their names again: the converter makes buffers or constants of some."""
    for node in module.graph.nodes:
        if node.op == "get_attr" and "." not in node.target:
            value = getattr(module, node.target)
            name = _name_of(torch, value, script, module) if isinstance(value, torch.Tensor) else ""
            if name:
                path, _, leaf = name.rpartition(".")
                _holder(torch, module, path).register_buffer(leaf, value.detach())
                node.target = name
    for name, parameter in script.named_parameters():
        path, _, leaf = name.rpartition(".")
        holder = _holder(torch, module, path)
        if leaf in holder._buffers:
            values = holder._buffers.pop(leaf)
            holder.register_parameter(leaf, torch.nn.Parameter(values.detach(), parameter.requires_grad))
    module.recompile()


def _name_of(torch: Any, value: Any, script: Any, module: Any) -> str:
    """The name of a tensor of the file that a constant is, and that the module has not yet."""
    known = module.state_dict()
    for name, tensor in script.state_dict().items():
        if name not in known and tensor.shape == value.shape and torch.equal(tensor, value):
            return str(name)
    return ""


def _holder(torch: Any, module: Any, path: str) -> Any:
    """The module at a path, made where there is none."""
    for part in path.split(".") if path else ():
        if part not in module._modules:
            module.add_module(part, torch.nn.Module())
        module = module._modules[part]
    return module


def _place(script: Any, error: Exception) -> str:
    """`, nets.py:12`: where in the author's code the operator stands that the message names, as far as it is kept."""
    names = set(_OPERATOR.findall(str(error)))
    try:
        for node in script.inlined_graph.nodes():
            if node.kind() in names:
                found = re.search(r'File "([^"]+)", line (\d+)|([\w./-]+\.py):(\d+)', node.sourceRange())
                if found:
                    return f", {Path(found[1] or found[3]).name}:{found[2] or found[4]}"
    except RuntimeError:  # a graph that can't be inlined
        pass
    return ""
