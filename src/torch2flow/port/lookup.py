"""One question for names of PyTorch and of torchvision: what becomes of this dotted name?"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from torch2flow.port import forms, torchvision_names
from torch2flow.port.api import Api
from torch2flow.port.api import find as find_in_oneflow
from torch2flow.port.torch_modules import HIDDEN, oneflow_module
from torch2flow.port.torch_modules import MODULES as TORCH_MODULES

SAFETENSORS = "safetensors.torch"
MODULES = TORCH_MODULES | torchvision_names.HOMES.keys() | {SAFETENSORS}
ROOTS = ("torch", "torchvision")


def is_foreign(path: str) -> bool:
    """Whether a path is one of the packages whose names become others."""
    return path.partition(".")[0] in ROOTS or path == SAFETENSORS or path.startswith(f"{SAFETENSORS}.")


@cache
def find(path: str) -> Api:
    """What becomes of a name; its `oneflow` is a whole path, `oneflow.nn.Conv2d` or `flowvision.utils.make_grid`."""
    if path.startswith("torchvision"):
        return torchvision_names.find_in_flowvision(path)
    api = find_in_oneflow(path)
    return replace(api, oneflow=f"oneflow{api.oneflow[4:]}") if api.oneflow else api


def module_there(path: str) -> str:
    """The module in which the names of a module are: `oneflow.nn` for `torch.nn`; "" where there is none."""
    return torchvision_names.HOMES.get(path, "") or oneflow_module(path)


def has_a_form(path: str) -> bool:
    """Whether a name is written otherwise by `forms.py`, not by a name of OneFlow's."""
    return path in forms.VALUES or path in forms.ANSWERS or path in forms.COMPILER_MARKS


def longest(parts: list[str]) -> tuple[Api | None, int]:
    """What the longest beginning of a dotted name is that is known, and its length; None where it is a module."""
    for taken in range(len(parts), 0, -1):
        path = ".".join(parts[:taken])
        if has_a_form(path):
            return Api(path, "cannot"), taken
        if path in MODULES and not (path in HIDDEN and taken == len(parts)):
            if taken == len(parts) or (parts[taken].startswith("__") and not has_a_form(f"{path}.{parts[taken]}")):
                return None, taken
            name = ".".join(parts[: taken + 1])
            api = find(name)
            return (Api(api.name, "cannot") if has_a_form(api.name) else api), taken + 1
        api = find(path)
        if has_a_form(api.name):
            return Api(api.name, "cannot"), taken
        if api.status != "cannot":
            return api, taken
    return find(".".join(parts[:2])), min(2, len(parts))


def oneflow_path(path: str) -> str:
    """The path that a name has where it stands in the module there that is PyTorch's module here."""
    home, _, name = path.rpartition(".")
    return f"{module_there(home)}.{name}"
