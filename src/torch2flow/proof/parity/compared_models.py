"""The OneFlow model that is compared: a converted package or a live module."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.writing.manifest_reading import Manifest, read_manifest
from torch2flow.models.codegen.package import retyping
from torch2flow.proof.attributes import Attributes
from torch2flow.proof.parity.exercised import NOTING, Exercised
from torch2flow.proof.parity.model_on_demand import StoredState, build_on_demand
from torch2flow.runtime.loading import load_state_dict
from torch2flow.runtime.nested import replaced
from torch2flow.runtime.replaced_attributes import replaced_attributes


class Subject(Protocol):
    """Builds the model, anew each time: a run in train mode changes its buffers."""

    @property
    def rounded(self) -> frozenset[str]:
        """The names of the weights that were asked to hold other values than PyTorch's, in a narrower dtype."""
        ...

    @property
    def exercised(self) -> Exercised:
        """What the runs of the models that were built have used of their code."""
        ...

    def build(self, flow: Any, *, double: bool = False) -> Any:
        """The model in eval mode; in float64 throughout if `double`."""
        ...

    def state(self, model: Any) -> Mapping[str, Any]:
        """The parameters and buffers of a model that it built, by name; they have a method `numpy`."""
        ...

    def dtype_for(self, flow: Any, recorded: str) -> str:
        """The dtype in which the model gives what PyTorch gives in the recorded one."""
        ...


@dataclass(frozen=True, slots=True)
class Package:
    """A converted model in its folder.

    Attributes:
        folder: of the model.
        exercised: what its runs have used of the code.
        on_demand: so many elements of its parameters are in memory at once, as far as its modules can be divided; 0 for
            all of them.
    """

    folder: Path
    exercised: Exercised = field(default_factory=Exercised, compare=False)
    on_demand: int = 0

    @property
    def rounded(self) -> frozenset[str]:
        """The weights that `--dtype` made narrower."""
        rows = [row for row in read_manifest(self.folder)["tensors"] if row.get("source_dtype") in DTYPES]
        return frozenset(
            row["name"] for row in rows if DTYPES[row["dtype"]].itemsize <= DTYPES[row["source_dtype"]].itemsize
        )

    def build(self, flow: Any, *, double: bool = False) -> Any:
        """Loads the package, and its weights tensor by tensor: `flow.load` holds all of them a second time."""
        half = half_precision(read_manifest(self.folder))
        widened = bool(half) and (double or not flow.cuda.is_available())
        package = load_package(self.folder, double=double, exercised=self.exercised, widened=widened)
        make = getattr(package, package.__all__[0])
        if self.on_demand:
            model = build_on_demand(flow, make, self.folder, double=double, limit=self.on_demand)
        else:
            model = make()
            load_state_dict(model, self.folder)
        model.eval()  # only now: some of flowvision's models derive tensors from their weights here
        if double:
            model = model if self.on_demand else model.to(flow.float64)
            model.__dict__[DEFAULT_DTYPE] = flow.float64
        return model

    def state(self, model: Any) -> Mapping[str, Any]:
        """The parameters and buffers by name, which have a method `numpy`."""
        state: Mapping[str, Any] = StoredState(self.folder) if self.on_demand else model.state_dict()
        return state

    def dtype_for(self, flow: Any, recorded: str) -> str:
        """The dtype of an output that PyTorch gives in another: by `--dtype`, or for the lack of kernels."""
        manifest = read_manifest(self.folder)
        asked = manifest.get("options", {}).get("dtype", "")
        dtype = retyping(asked).get(recorded, recorded) if asked else recorded
        return "float32" if dtype in HALF and half_precision(manifest) and not flow.cuda.is_available() else dtype


HALF = ("bfloat16", "float16")
"""For what OneFlow 0.9.0 lacks most kernels on the CPU: where there is no GPU, a model in it is compared in float32."""


def half_precision(manifest: Manifest) -> list[str]:
    """The dtypes of half precision that weights have: a model that computes in less than its weights has none."""
    return sorted({row["dtype"] for row in manifest["tensors"]} & set(HALF))


DEFAULT_DTYPE = "torch2flow_default_dtype"
"""The attribute of a model that says in which dtype its code runs that names none."""


class Live:
    """A live module of the caller, which is run itself: a copy of a OneFlow module has lost its hooks.

    It runs on copies of its tensors. A context, after which all modules hold again the very objects that they held.

    Args:
        model: the `oneflow.nn.Module`.
    """

    rounded: frozenset[str] = frozenset()

    def __init__(self, model: Any) -> None:
        self.model, self.exercised, self._attributes = model, Exercised(), Attributes(model)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *raised: object) -> None:
        self._attributes.put_back()

    def build(self, flow: Any, *, double: bool = False) -> Any:
        """The module as it was at first, in eval mode, with new tensors in it."""
        self._attributes.put_back()
        made: dict[int, Any] = {}
        single = flow.float32

        def new(tensor: Any) -> Any:
            if not isinstance(tensor, flow.Tensor):
                return flow.float64 if double and tensor is single else tensor
            if id(tensor) not in made:
                copied = tensor.detach().clone()
                copied = copied.double() if double and tensor.dtype == flow.float32 else copied
                parameter = isinstance(tensor, flow.nn.Parameter)
                made[id(tensor)] = flow.nn.Parameter(copied, tensor.requires_grad) if parameter else copied
            return made[id(tensor)]

        for part, attributes in self._attributes:
            for name, value in attributes.items():
                if name in ("_parameters", "_buffers"):
                    value.update({key: new(tensor) for key, tensor in value.items()})
                elif not name.startswith("_"):
                    part.__dict__[name] = replaced(value, new)
        if double:
            self.model.__dict__["forward"] = _in_float64(flow, self.model.forward)
        return self.model.eval()

    def state(self, model: Any) -> Mapping[str, Any]:
        """The parameters and buffers by name."""
        state: Mapping[str, Any] = model.state_dict()
        return state

    def dtype_for(self, flow: Any, recorded: str) -> str:
        """The same dtype."""
        return recorded


def _in_float64(flow: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function, in which code that asks for float32, or for no dtype, gets float64; also where it runs backwards."""
    functions = flow.autograd.Function.__mro__[1]

    def apply(name: str, forward: Callable[..., Any], backward: Callable[..., Any], *tensors: Any) -> Any:
        return apply_as_it_is(name, forward, _in_float64(flow, backward), *tensors)

    apply_as_it_is = functions.apply
    named = [
        (flow, "float32", flow.float64),
        (flow, "float", flow.float64),
        (flow.Tensor, "float", flow.Tensor.double),
        (functions, "apply", staticmethod(apply)),
    ]

    def call(*args: Any, **kwargs: Any) -> Any:
        default = flow.get_default_dtype()
        flow.set_default_dtype(flow.float64)
        try:
            with replaced_attributes(*named):
                return function(*args, **kwargs)
        finally:
            flow.set_default_dtype(default)

    return call


def load_package(
    folder: Path, *, double: bool = False, widened: bool = False, exercised: Exercised | None = None
) -> ModuleType:
    """Imports a converted model's package from wherever it lies.

    Args:
        folder: the output of a conversion.
        double: turn every float32 in its source into float64, for a comparison without noise.
        widened: turn float16 and bfloat16 in it into float32, or into float64 if `double`.
        exercised: notes which branches run.
    """
    name = f"torch2flow_converted_{abs(hash(str(folder)))}{'_double' if double else ''}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules.pop(f"{name}.model", None)
    sys.modules[name] = package
    if double or widened or exercised is not None:
        source = (folder / "model.py").read_text("utf-8")
        wide = "float64" if double else "float32"
        for dtype in (*(HALF if widened else ()), *(("float32",) if double else ())):
            source = re.sub(rf"\bflow\.{dtype}\b", f"flow.{wide}", source)
        model = ModuleType(f"{name}.model")
        model.__file__ = str(folder / "model.py")
        sys.modules[model.__name__] = model
        file = str(folder / "model.py")
        if exercised is not None:
            vars(model)[NOTING] = exercised
        code = compile(source, file, "exec") if exercised is None else exercised.compiled(source, file)
        exec(code, model.__dict__)
    spec.loader.exec_module(package)
    return package


@contextlib.contextmanager
def untouched(flow: Any, model: Any) -> Iterator[None]:
    """A context after which a model holds what it held: some count, keep something, or change a weight in `forward`."""
    attributes = Attributes(model)
    held = [*model.named_parameters(), *model.named_buffers()]
    kept = [(value, value.detach().clone()) for _, value in held]
    try:
        yield
    finally:
        attributes.put_back()
        with flow.no_grad():
            for value, copy in kept:
                if not _same_bits(value.detach().numpy(), copy.numpy()):
                    value.copy_(copy)


def _same_bits(one: Any, other: Any) -> bool:
    """Whether two arrays of one dtype are the same, also where they are NaN: as integers they are compared at once."""
    bits = f"u{one.dtype.itemsize}"
    return np.array_equal(one.view(bits), other.view(bits))
