#!/usr/bin/env python3
"""Prints, as JSON, the public names of one library with their parameters, as that library itself tells them.

    .venv/bin/python scripts/api_names.py torch
    .venv/bin/python scripts/api_names.py oneflow < NAMES.json

Of PyTorch: all public names and the other spellings under which the same objects are found. Of OneFlow: what it has
under the names that are given, each with PyTorch's parameters, line by line: a wrong call can end the process. A
parameter is its name and a mark: `*` for what gathers the rest, `=` for
one that may be left out, `!` for one that is given by its name alone. What tells no parameters has null.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

MODULES = (
    "", "Tensor", "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "nn.utils.parametrizations",
    "nn.utils.parametrize", "nn.parallel", "optim", "optim.lr_scheduler", "optim.swa_utils", "utils", "utils.data",
    "utils.data.distributed", "utils.checkpoint", "utils.tensorboard", "utils.model_zoo", "utils.cpp_extension",
    "linalg", "fft", "special", "autograd", "autograd.functional", "autograd.profiler", "autograd.graph",
    "amp", "cuda", "cuda.amp", "cuda.nvtx", "distributed", "distributed.fsdp", "distributions", "distributions.kl",
    "distributions.constraints", "distributions.transforms", "jit", "backends", "backends.cudnn", "backends.cuda",
    "backends.cuda.matmul", "backends.mps", "backends.mkldnn", "backends.openmp", "random", "multiprocessing", "hub",
    "onnx", "fx", "profiler", "sparse", "futures", "overrides", "testing", "version", "mps", "compiler", "func",
    "nn.attention", "library", "_C", "quantization", "ao.quantization", "nn.Module", "nn.Sequential", "nn.ModuleList",
    "nn.ModuleDict", "nn.ParameterList", "nn.Parameter", "optim.Optimizer", "autograd.Function", "Size", "Generator",
    "optim.lr_scheduler.LRScheduler", "utils.data.Dataset", "utils.data.Sampler", "nn.LSTM", "nn.Linear", "nn.Conv2d",
    "nn.LayerNorm", "nn.BatchNorm2d", "nn.Embedding",
)  # fmt: skip
PRIVATE = (
    "torch._assert", "torch.nn.modules.conv._ConvNd", "torch.nn.modules.conv._ConvTransposeNd",
    "torch.nn.modules.batchnorm._BatchNorm", "torch.nn.modules.batchnorm._NormBase",
    "torch.nn.modules.instancenorm._InstanceNorm", "torch.nn.modules.dropout._DropoutNd",
    "torch.nn.modules.pooling._MaxPoolNd", "torch.nn.modules.pooling._AvgPoolNd",
    "torch.nn.modules.pooling._AdaptiveAvgPoolNd", "torch.nn.modules.loss._Loss",
    "torch.nn.modules.loss._WeightedLoss", "torch.nn.modules.utils._single", "torch.nn.modules.utils._pair",
    "torch.nn.modules.utils._triple", "torch.nn.modules.utils._quadruple", "torch.nn.modules.utils._ntuple",
    "torch.nn.modules.utils._reverse_repeat_tuple", "torch.nn.modules.activation._is_make_fx_tracing",
    "torch.nn.init._calculate_fan_in_and_fan_out", "torch.nn.init._calculate_correct_fan",
    "torch.nn.init._no_grad_trunc_normal_", "torch.nn.functional._in_projection_packed",
    "torch.nn.functional._verify_batch_size", "torch.nn.functional._canonical_mask",
    "torch.jit._overload", "torch.jit._overload_method", "torch.jit._script_if_tracing",
    "torch._foreach_add_", "torch._foreach_mul_", "torch._foreach_norm", "torch._foreach_mul", "torch._foreach_add",
    "torch._foreach_lerp_", "torch._foreach_sqrt", "torch._foreach_div_", "torch._foreach_addcmul_",
    "torch._foreach_addcdiv_", "torch._dynamo", "torch._C._get_tracing_state", "torch._utils._accumulate",
    "torch.nn.modules.rnn.RNNBase", "torch._six.string_classes", "torch._six.container_abcs", "torch._six.inf",
    "torch.optim.lr_scheduler._LRScheduler", "torch.optim.lr_scheduler.LRScheduler", "torch.optim.optimizer.required",
    "torch.utils.data._utils.collate.default_collate", "torch.utils.data._utils.collate.default_convert",
    "torch.utils.data.dataloader._SingleProcessDataLoaderIter", "torch.utils.data.sampler._RepeatSampler",
    "torch._utils._flatten_dense_tensors", "torch._utils._unflatten_dense_tensors", "torch._weight_norm",
    "torch.nn.parallel.distributed._find_tensors", "torch.cuda._device_t",
)  # fmt: skip
"""Names with an underscore that real code uses all the same."""


def main() -> None:
    library = sys.argv[1]
    output = os.dup(1)
    os.dup2(2, 1)  # Some modules print while they are imported.
    if library == "torch":
        os.write(output, json.dumps(torch_names()).encode())
    else:
        from torch2flow.runtime import import_oneflow

        import_oneflow()
        for name, taken in json.load(sys.stdin).items():
            os.write(output, json.dumps([name]).encode() + b"\n")
            os.write(output, json.dumps([name, oneflow_entry(name, taken)]).encode() + b"\n")
    os._exit(0)


def torch_names() -> dict[str, Any]:
    """All names and the other spellings of them."""
    names: dict[str, Any] = {}
    objects: dict[int, str] = {}
    for place in MODULES:
        where = f"torch.{place}".rstrip(".")
        owner = resolve(where)
        if owner is None or place == "_C":
            continue
        names.setdefault(where, entry_of(owner, where))
        for attribute in sorted(dir(owner)):
            with contextlib.suppress(Exception):
                value = getattr(owner, attribute)
                if is_public(owner, attribute, value):
                    add(names, objects, f"{where}.{attribute}", value)
    for name in PRIVATE:
        value = resolve(name)
        if value is not None:
            add(names, objects, name, value)
    aliases = {
        spelling: objects[id(value)]
        for spelling, value in spellings()
        if id(value) in objects and objects[id(value)] != spelling and spelling not in names
    }
    return {"names": names, "aliases": aliases}


def add(names: dict[str, Any], objects: dict[int, str], name: str, value: Any) -> None:
    names[name] = entry_of(value, name)
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        objects.setdefault(id(value), name)


def is_public(owner: Any, name: str, value: Any) -> bool:
    """Whether a module or class owns this name, rather than having imported it from another library."""
    if name.startswith("_"):
        return isinstance(owner, type) and (name in OPERATORS if owner.__name__ == "Tensor" else name in OVERRIDDEN)
    if isinstance(value, types.ModuleType):
        return value.__name__.startswith("torch") and name not in ("torch",)
    if isinstance(owner, type):
        return True
    home = getattr(value, "__module__", None) or ""
    if isinstance(value, type | types.FunctionType) and isinstance(owner, types.ModuleType):
        if not home.startswith("torch"):  # torch.multiprocessing has Python's own names, its classes too
            return owner.__name__ == "torch.multiprocessing" and name in owner.__all__
        # What a module only imports belongs to where it was written.
        listed = getattr(owner, "__all__", None)
        return listed is None or name in listed or home.startswith(owner.__name__) or owner.__name__.count(".") < 2
    return home != "typing" and not isinstance(value, types.ModuleType)


OPERATORS = (
    "__add__", "__radd__", "__iadd__", "__sub__", "__rsub__", "__isub__", "__mul__", "__rmul__", "__imul__",
    "__truediv__", "__rtruediv__", "__itruediv__", "__floordiv__", "__rfloordiv__", "__ifloordiv__", "__mod__",
    "__rmod__", "__imod__", "__pow__", "__rpow__", "__ipow__", "__matmul__", "__rmatmul__", "__neg__", "__pos__",
    "__abs__", "__invert__", "__and__", "__rand__", "__iand__", "__or__", "__ror__", "__ior__", "__xor__", "__rxor__",
    "__ixor__", "__lshift__", "__rshift__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__getitem__",
    "__setitem__", "__len__", "__iter__", "__contains__", "__bool__", "__int__", "__float__", "__index__",
    "__array__", "__hash__", "__deepcopy__", "__reversed__",
)  # fmt: skip

OVERRIDDEN = (
    "__init__", "__call__", "__setattr__", "__getattr__", "__repr__", "__len__", "__iter__", "__getitem__",
    "__setitem__", "__contains__", "__new__", "_load_from_state_dict", "_save_to_state_dict", "_apply",
    "_get_name", "_named_members",
)  # fmt: skip
"""Names with an underscore that classes of real code override or call by the class."""


def spellings() -> Iterator[tuple[str, Any]]:
    """Every class and function in every module of PyTorch's that is loaded."""
    for module_name, module in sorted(sys.modules.items()):
        parts = module_name.split(".")
        if parts[0] == "torch" and not any(p in module_name for p in ("_dynamo", "_inductor", "_prims", "testing")):
            for name, value in sorted(vars(module).items()):
                if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
                    yield f"{module_name}.{name}", value


def oneflow_entry(name: str, taken: list[str]) -> dict[str, Any] | None:
    """What OneFlow has under PyTorch's name; of PyTorch's parameters, those that it takes where it tells nothing."""
    value = resolve(name.replace("torch", "oneflow", 1))
    if value is None:
        return None
    entry = entry_of(value, name)
    if entry.get("parameters", ()) is None or isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType):
        entry["refused"] = [each for each in taken if is_refused(value, name, each)]
        entry["first"] = first_of(value, name)
    return entry


def is_refused(value: Any, name: str, parameter: str) -> bool:
    """Whether a function of C++ knows no argument of this name; its required ones are given as it asks for them."""
    flow = importlib.import_module("oneflow")
    first = (flow.ones(1),) if ".Tensor." in name else ()
    given: dict[str, Any] = {parameter: flow.ones(1)}
    for _ in range(8):
        try:
            value(*first, **given)
        except Exception as error:
            text = str(error)
            if f"unexpected keyword argument '{parameter}'" in text or "takes no keyword arguments" in text:
                return True
            if "valid signatures are" in text:
                return not re.search(rf"\b{parameter}\b", text.partition("valid signatures are")[2])
            asked = re.search(r"missing required argument (\w+)", text)
            wrong = re.search(r"argument '(\w+)' must be ([\w ]+)", text)
            if asked and asked.group(1) not in given:
                given[asked.group(1)] = flow.ones(1)
            elif wrong:
                given[wrong.group(1)] = example_of(wrong.group(2), flow)
            else:
                return False
        else:
            return False
    return False


def first_of(value: Any, name: str) -> str:
    """The name of the first argument of a function of C++; "" where it does not tell."""
    if ".Tensor." in name:
        return ""
    try:
        value()
    except Exception as error:
        found = re.search(r"missing required argument (\w+)|\*0: \w+ ?\(\w+ (\w+)", str(error))
        return "".join(each or "" for each in found.groups()) if found else ""
    return ""


def example_of(kind: str, flow: Any) -> Any:
    """A value of the kind that OneFlow asks for."""
    if "tuple" in kind:
        return [flow.ones(1)]
    if "list" in kind:
        return [0]
    return {"string": "sum", "bool": True}.get(kind.split()[0], 0)


def resolve(name: str) -> Any:
    """The object of this name; None where there is none."""
    parts = name.split(".")
    value: Any = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], 2):
        try:
            value = getattr(value, part)
        except Exception:
            try:
                value = importlib.import_module(".".join(parts[:place]))
            except Exception:
                return None
    return value


def entry_of(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, types.ModuleType):
        return {"kind": "module"}
    if isinstance(value, type):
        return {"kind": "class", "parameters": parameters(value, name)}
    if callable(value):
        return {"kind": "function", "parameters": parameters(value, name)}
    if inspect.isdatadescriptor(value) or isinstance(value, property):
        return {"kind": "attribute"}
    return {"kind": "value"}


def parameters(value: Any, name: str) -> list[str] | None:
    """The parameters that a function, method or constructor takes; None where nothing tells them."""
    documented = from_text(getattr(value, "__doc__", None) or "", name.rpartition(".")[2])
    try:
        found = [marked(each) for each in inspect.signature(value).parameters.values()]
    except (TypeError, ValueError):
        found = None
    if found is None or (found in (["*args*", "**kwargs*"], ["*args*"]) and documented):
        found = documented if sys.argv[1] == "torch" else from_refusal(value, name)
    return [each for each in found if each != "self"] if found else found


def marked(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"*{parameter.name}*"
    if parameter.kind is parameter.VAR_KEYWORD:
        return f"**{parameter.name}*"
    mark = "!" if parameter.kind is parameter.KEYWORD_ONLY else ""
    return parameter.name + ("" if parameter.default is parameter.empty else "=") + mark


def from_text(text: str, name: str) -> list[str] | None:
    """The parameters in the first lines of a docstring: `cat(tensors, dim=0, *, out=None) -> Tensor`."""
    found: list[str] = []
    for match in re.finditer(
        rf"^\s*(?:\.\. function:: )?(?:\S*\.)?{re.escape(name)}\((.*?)\)\s*(?:->|$)", text, re.M | re.S
    ):
        if (match.start() > 200 and not found) or any(mark in match.group(1) for mark in "[{>"):
            continue
        found += [each for each in split(match.group(1)) if each.rstrip("=!") not in {f.rstrip("=!") for f in found}]
    return found or None


def split(text: str) -> list[str]:
    found, named = [], False
    for part in re.split(r",(?![^(\[]*[)\]])", text):
        part = part.strip()
        if part == "*":
            named = True
        elif part and part != "/":
            key, equals, _ = part.partition("=")
            key = key.strip().split(" ")[-1].split(":")[0].strip()
            key = part.split(":")[0].split("=")[0].strip().split(" ")[-1] if ":" in part else key
            star = "*" * key.count("*")
            if not key.strip("*").isidentifier():
                continue
            found.append(f"{star}{key.strip('*')}*" if star else key + ("=" if equals else "") + ("!" if named else ""))
    return found


def from_refusal(value: Any, name: str) -> list[str] | None:
    """What OneFlow's functions of C++ tell of their parameters when they are called with what none of them takes."""
    owner = importlib.import_module("oneflow")
    first = (owner.ones(1),) if ".Tensor." in name else ()
    for wrong in ({"no_such_argument": owner.ones(1)}, {"dim": "no such dimension", "no_such_argument": 1}):
        try:
            value(*first, **wrong)
        except Exception as error:
            rows = re.findall(r"^\s*\*\s*\((.*)\)\s*$", str(error), re.M) or re.findall(
                r"^\s*\*\s*\S+\s+\w+\((.*)\)\s*$", str(error), re.M
            )
            found: list[str] = []
            for row in rows:
                found += [x for x in split(row) if x.rstrip("=!") not in {f.rstrip("=!") for f in found}]
            if found:
                return found
    return None


if __name__ == "__main__":
    main()
