"""What a script draws at random is the same on both sides: PyTorch's side keeps it, and OneFlow's side gets it.

OneFlow's side gets, for the nth of one kind and shape, the nth that PyTorch had.
"""

from __future__ import annotations

import functools
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = {
    "rand": "uniform", "rand_like": "uniform", "randn": "normal", "randn_like": "normal", "normal": "normal",
    "randint": "integers", "randint_like": "integers", "randperm": "permutation", "bernoulli": "bernoulli",
    "multinomial": "multinomial",
}  # fmt: skip
"""Functions that draw, and what each draws: ported code may come to it by another one."""

FILLS = ("bernoulli_", "exponential_", "normal_", "random_", "uniform_")
"""Methods that fill a tensor with what they draw."""

INITS = (
    "kaiming_normal_", "kaiming_uniform_", "normal_", "orthogonal_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_",
)  # fmt: skip

SEEN_INSIDE = ("sampler.py", "dataset.py", "distributed.py")
"""Files of the libraries that draw for the script: the order of batches, and the parts of a data set."""

DISTRIBUTIONS = str(Path("torch", "distributions"))
"""The folder in PyTorch whose files draw for the script: the noise of `rsample`."""


class EqualDraws:
    """Watches the functions of a library that draw.

    Args:
        library: the module, PyTorch or OneFlow.
        out: the folder in which is kept what was drawn.
        repeat: the folder of PyTorch's side, whose numbers are given again; None on PyTorch's side.
        shake: changes the values of a tensor in their last bit, where it is measured what rounding makes of the loss.

    Attributes:
        notes: what could not be made equal, and how often.
        building: how many constructors of modules are under way.
    """

    def __init__(self, library: Any, out: Path, repeat: Path | None, shake: Callable[[Any], None] | None) -> None:
        self.library, self.out, self.repeat, self.shake = library, out, repeat, shake
        self.home = str(Path(library.__file__).parent)
        self.kept: dict[str, list[str]] = defaultdict(list)
        self.given = json.loads((repeat / "kept.json").read_text()) if repeat else {}
        self.taken: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.building = 0
        self._is_inside = False

    def watch(self) -> None:
        """Has all functions of the library watched that draw."""
        library = self.library
        self.watch_functions(library, library.nn.init)
        for name in FILLS:
            drawing = self._exponential if name == "exponential_" else self._drawing
            replace(library, library.Tensor, name, lambda function, drawing=drawing: drawing(function, "fill"))
        for name in ("RandomSampler", "SubsetRandomSampler"):
            replace(library, getattr(library.utils.data, name), "__iter__", self._ordering)
        if library.__name__ == "oneflow":
            replace(library, library._C, "randperm", lambda function: self._drawing(function, KINDS["randperm"]))
        else:
            self._watch_distributions(library.distributions)
        if self.shake is not None:
            replace(library, library, "tensor", self._measuring)

    def watch_functions(self, functions: Any, inits: Any) -> None:
        """Has the functions of a module watched, and those that initialize."""
        for name, kind in KINDS.items():
            replace(self.library, functions, name, lambda function, kind=kind: self._drawing(function, kind))
        for name in INITS:
            replace(self.library, inits, name, lambda function: self._drawing(function, "fill"))
        if functions is not self.library:
            self._watch_distributions(functions)

    def _watch_distributions(self, module: Any) -> None:
        """Samples without a gradient are equal as a whole, since each library comes to them by other numbers."""
        for kind in list(vars(module).values()):
            if isinstance(kind, type) and hasattr(kind, "has_rsample") and "sample" in vars(kind):
                replace(self.library, kind, "sample", lambda function: self._drawing(function, "sample"))

    def _drawing(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def draw(*args: Any, **named: Any) -> Any:
            caller = sys._getframe(1).f_code.co_filename
            if self._is_inside or (kind != "sample" and self._is_of_the_library(caller)):
                return function(*args, **named)
            self._is_inside = True
            try:
                result = function(*args, **named)
                is_noise = function.__name__ == "normal_" and _is_in_distributions(caller)
                return self._equal(result, f"{'normal' if is_noise else kind} {list(result.shape)}")
            finally:
                self._is_inside = False

        return draw

    def _is_of_the_library(self, caller: str) -> bool:
        """Whether it is a library that draws for itself, and not for the script."""
        inner = caller.startswith(self.home) and not caller.endswith(SEEN_INSIDE)
        is_of_pytorch = self.building > 0 and caller.endswith("flow_compat.py")  # a module of PyTorch's own is built
        return (inner and not _is_in_distributions(caller)) or is_of_pytorch

    def _exponential(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """What PyTorch draws from the exponential distribution, ported code makes of a uniform number."""
        draw = self._drawing(function, kind)

        @functools.wraps(function)
        def exponential_(tensor: Any, *args: Any, **named: Any) -> Any:
            caller = sys._getframe(1).f_code.co_filename
            from_library = caller.startswith(self.home) and caller.endswith(("functional.py", "exponential.py"))
            if self._is_inside or not from_library or not tensor.is_floating_point():
                return draw(tensor, *args, **named)
            function(tensor, *args, **named)
            uniform = -self.library.expm1(-tensor.detach())
            self.keep(f"uniform {list(tensor.shape)}", {"x": to_array(uniform)})
            return tensor.copy_(-self.library.log(self.library.clamp(1 - uniform, 1e-20, 1 - 1e-7)))

        return exponential_

    def _equal(self, result: Any, key: str) -> Any:
        """Keeps what was drawn, or puts what PyTorch drew in its place."""
        if self.repeat is None:
            self.keep(key, {"x": to_array(result)})
            return self._shaken(result)
        found = self.next(key)
        if found is None:
            self.notes[f"OneFlow draws {key} more than PyTorch: these numbers are not the same"] += 1
            return result
        with self.library.no_grad():
            values = self.library.tensor(found["x"]).to(result.dtype).to(result.device)
            if result.is_leaf and not result.requires_grad:
                result.copy_(values)
            else:
                result.data.copy_(values)
        return result

    def _shaken(self, tensor: Any) -> Any:
        """The tensor, its last bits changed where that is measured."""
        if self.shake is not None and tensor.is_floating_point():
            self.shake(tensor)
        return tensor

    def _measuring(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What the script makes of its own numbers: a loss whose terms cancel shows how these were rounded."""

        @functools.wraps(function)
        def tensor(*args: Any, **named: Any) -> Any:
            made = function(*args, **named)
            return made if sys._getframe(1).f_code.co_filename.startswith(self.home) else self._shaken(made)

        return tensor

    def _ordering(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The order in which a sampler goes through a data set."""

        @functools.wraps(function)
        def __iter__(sampler: Any) -> Any:
            outer, self._is_inside = self._is_inside, True
            try:
                order = list(function(sampler))
            finally:
                self._is_inside = outer
            key = f"order [{len(order)}]"
            if self.repeat is None:
                self.keep(key, {"x": order})
                return iter(order)
            found = self.next(key)
            return iter(order if found is None else found["x"].tolist())

        return __iter__

    def keep(self, key: str, arrays: dict[str, Any]) -> None:
        """Keeps arrays as the next ones of a kind."""
        import numpy as np

        name = f"{sum(map(len, self.kept.values()))}.npz"
        np.savez(self.out / name, **arrays)
        self.kept[key].append(name)

    def next(self, key: str) -> dict[str, Any] | None:
        """The next arrays of a kind that PyTorch's side kept; None where it had no more."""
        import numpy as np

        names = self.given.get(key, ())
        if self.repeat is None or self.taken[key] >= len(names):
            return None
        self.taken[key] += 1
        with np.load(self.repeat / names[self.taken[key] - 1]) as file:
            return dict(file)

    def close(self) -> None:
        """Writes what was kept, and the notes."""
        (self.out / "kept.json").write_text(json.dumps(self.kept))
        (self.out / "notes.json").write_text(json.dumps(self.notes))


def _is_in_distributions(caller: str) -> bool:
    return str(Path(caller).parent).endswith(DISTRIBUTIONS)


def replace(library: Any, holder: Any, name: str, watched: Callable[..., Any]) -> None:
    """Puts what is watched in the place of a function, also where a module of the library has it by itself."""
    original = getattr(holder, name, None)
    if original is None:
        return
    made = watched(original)
    setattr(holder, name, made)
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names.get("__name__", "").startswith(f"{library.__name__}.") and names.get(name) is original:
            setattr(module, name, made)


def to_array(tensor: Any) -> Any:
    """The values of a tensor as a new array of NumPy's; those of bfloat16 as float32."""
    import numpy as np

    tensor = tensor.detach().cpu()
    dtype = str(tensor.dtype).rpartition(".")[2]
    return np.array((tensor.float() if dtype == "bfloat16" else tensor).numpy())
