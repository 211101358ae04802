"""Runs a training script under observation, in a process of its own: with PyTorch to record, with OneFlow to repeat.

What is random is made equal by what PyTorch drew: the state of each module as its constructor leaves it, and each
random tensor that the script asks for. OneFlow's side gets, for the nth of one kind and shape, the nth that PyTorch
had. Dropout is switched off on both sides: its masks are drawn inside the libraries. The loss of a step is the number
on which `backward` is called.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import random
import runpy
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib.machinery import PathFinder
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
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")

SEEN_INSIDE = ("sampler.py", "dataset.py", "distributed.py")
"""Files of the libraries that draw for the script: the order of batches, and the parts of a data set."""

ULP = 2.0**-23


def main() -> None:
    """Runs the script that the first argument describes."""
    job = json.loads(sys.argv[1])
    recorder = ScriptRecorder(job)
    sys.argv[:] = [job["script"], *job["arguments"]]
    if job["as_module"]:
        sys.path.insert(0, str(Path.cwd()))
        run = functools.partial(runpy.run_module, job["script"], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(job["script"]).resolve().parent))
        run = functools.partial(runpy.run_path, job["script"], run_name="__main__")
    try:
        run()
    finally:
        recorder.close()


class ScriptRecorder:
    """Sees what a script draws, builds and trains.

    Args:
        job: `library`, the name of the module; `out`, the folder of its records; `repeat`, the folder whose random
            numbers it repeats, or ""; `steps`, after how many steps it ends; `shaken`, whether weights differ in their
            last bit.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        import numpy as np

        self.job = job
        self.rank = os.environ.get("RANK", "0")
        self.out = Path(job["out"]) / self.rank
        self.out.mkdir(parents=True)
        self.losses = (self.out / "losses.jsonl").open("w", buffering=1, encoding="utf-8")
        self.kept: dict[str, list[str]] = defaultdict(list)
        self.given = json.loads((Path(job["repeat"]) / self.rank / "kept.json").read_text()) if job["repeat"] else {}
        self.taken: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.settled: list[Any] = []
        self.steps = self.depth = 0
        self.is_inside = False
        self.signs = np.random.RandomState(7)
        self.library = self._import()
        self.home = str(Path(self.library.__file__).parent)
        random.seed(0)
        np.random.seed(0)
        self.library.manual_seed(0)
        self._watch()

    def _import(self) -> Any:
        if self.job["library"] == "torch":
            return importlib.import_module("torch")
        from torch2flow.runtime.importing import import_oneflow

        return import_oneflow()

    def _watch(self) -> None:
        library = self.library
        self._watch_functions(library, library.nn.init)
        if self.job["library"] == "oneflow":
            sys.meta_path.insert(0, CompatFinder(lambda module: self._watch_functions(module, module)))
            self._replace(library._C, "randperm", lambda function: self._drawing(function, KINDS["randperm"]))
        for name in FILLS:
            self._replace(library.Tensor, name, lambda function: self._drawing(function, "fill"))
        for name in DROPOUTS:
            self._replace(library.nn.functional, name, self._without_dropout)
        for name in ("RandomSampler", "SubsetRandomSampler"):
            self._replace(getattr(library.utils.data, name), "__iter__", self._ordering)
        library.Tensor.backward = self._stepping(library.Tensor.backward)
        self._watch_modules(library.nn.Module)

    def _watch_functions(self, functions: Any, inits: Any) -> None:
        for name, kind in KINDS.items():
            self._replace(functions, name, lambda function, kind=kind: self._drawing(function, kind))
        for name in INITS:
            self._replace(inits, name, lambda function: self._drawing(function, "fill"))

    def _replace(self, holder: Any, name: str, watched: Callable[..., Any]) -> None:
        """Puts what is watched in the place of a function, also where a module of the library has it by itself."""
        original = getattr(holder, name, None)
        if original is None:
            return
        made = watched(original)
        setattr(holder, name, made)
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", {})
            if names.get("__name__", "").startswith(f"{self.job['library']}.") and names.get(name) is original:
                setattr(module, name, made)

    # -- what is drawn -------------------------------------------------------------------------------------------------

    def _drawing(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def draw(*args: Any, **named: Any) -> Any:
            caller = sys._getframe(1).f_code.co_filename
            inner = caller.startswith(self.home) and not caller.endswith(SEEN_INSIDE)
            inner |= bool(self.depth) and caller.endswith("flow_compat.py")  # a module of PyTorch's own
            if self.is_inside or inner:
                return function(*args, **named)
            self.is_inside = True
            try:
                result = function(*args, **named)
                return self._equal(result, f"{kind} {list(result.shape)}")
            finally:
                self.is_inside = False

        return draw

    def _equal(self, result: Any, key: str) -> Any:
        """Keeps what was drawn, or puts what PyTorch drew in its place."""
        if not self.job["repeat"]:
            self._keep(key, {"x": _array(result)})
            return result
        found = self._next(key)
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

    def _ordering(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The order in which a sampler goes through a data set."""

        @functools.wraps(function)
        def __iter__(sampler: Any) -> Any:
            outer, self.is_inside = self.is_inside, True
            try:
                order = list(function(sampler))
            finally:
                self.is_inside = outer
            key = f"order [{len(order)}]"
            if not self.job["repeat"]:
                self._keep(key, {"x": order})
                return iter(order)
            found = self._next(key)
            return iter(order if found is None else found["x"].tolist())

        return __iter__

    def _keep(self, key: str, arrays: dict[str, Any]) -> None:
        import numpy as np

        name = f"{sum(map(len, self.kept.values()))}.npz"
        np.savez(self.out / name, **arrays)
        self.kept[key].append(name)

    def _next(self, key: str) -> dict[str, Any] | None:
        import numpy as np

        names = self.given.get(key, ())
        if self.taken[key] >= len(names):
            return None
        self.taken[key] += 1
        with np.load(Path(self.job["repeat"]) / self.rank / names[self.taken[key] - 1]) as file:
            return dict(file)

    def _without_dropout(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def keep_all(input: Any, p: float = 0.5, *args: Any, **named: Any) -> Any:
            self._note_dropout(p)
            return function(input, 0.0, *args, **named)

        return keep_all

    def _note_dropout(self, rate: Any) -> None:
        if rate:
            self.notes["dropout is switched off on both sides"] += 1

    # -- what is built -------------------------------------------------------------------------------------------------

    def _watch_modules(self, base: Any) -> None:
        """Sees when the constructor of a module has ended that is no part of another one that is being built."""
        nn, recorder, known = self.library.nn, self, set()

        def watch(kind: Any) -> None:
            made = vars(kind).get("__init__")
            if made is None or kind in known:
                return
            known.add(kind)

            @functools.wraps(made)
            def __init__(module: Any, *args: Any, **named: Any) -> None:
                recorder.depth += 1
                try:
                    made(module, *args, **named)
                finally:
                    recorder.depth -= 1
                if not recorder.depth and type(module).__init__ is __init__:
                    recorder.built(module)

            kind.__init__ = __init__

        def __init_subclass__(cls: Any, /, **named: Any) -> None:
            super(base, cls).__init_subclass__(**named)
            watch(cls)

        for kind in list(vars(nn).values()):
            if isinstance(kind, type) and issubclass(kind, base) and kind is not base:
                watch(kind)
        setattr(base, "__init_subclass__", classmethod(__init_subclass__))  # noqa: B010

    def built(self, module: Any) -> None:
        """A module is there: its dropout is taken off, and its state kept or made PyTorch's."""
        if not hasattr(module, "_parameters"):
            return
        for part in module.modules():
            kind = type(part).__name__.lower()
            name = "p" if "dropout" in kind else "dropout"
            if isinstance(getattr(part, name, None), float):
                self._note_dropout(getattr(part, name))
                setattr(part, name, 0.0)
        state = {name: value for name, value in module.state_dict().items() if hasattr(value, "shape")}
        key = "state " + " ".join(f"{name}{list(value.shape)}" for name, value in sorted(state.items()))
        if not state:
            return
        if not self.job["repeat"]:
            self._keep(key, {name: _array(value) for name, value in state.items()})
            if self.job["shaken"]:
                self._shake(module)
            return
        found = self._next(key)
        if found is None and all(any(each is known for known in self.settled) for each in module.parameters()):
            return  # it only holds others
        self.settled += module.parameters()
        if found is None:
            self.notes[f"{type(module).__name__} is not built on PyTorch's side: its weights are not the same"] += 1
            return
        values = {name: self.library.tensor(found[name]).to(value.dtype) for name, value in state.items()}
        module.load_state_dict(values)

    def _shake(self, module: Any) -> None:
        with self.library.no_grad():
            for each in module.parameters():
                signs = self.signs.choice((-1.0, 1.0), tuple(each.shape))
                each.mul_(self.library.tensor(1 + ULP * signs, dtype=each.dtype))

    # -- what is trained -----------------------------------------------------------------------------------------------

    def _stepping(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def backward(tensor: Any, *args: Any, **named: Any) -> Any:
            result = function(tensor, *args, **named)
            value = float(_array(tensor.detach()).sum())
            self.losses.write(json.dumps(value) + "\n")
            self.steps += 1
            if self.steps >= self.job["steps"]:
                self.close()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
            return result

        return backward

    def close(self) -> None:
        """Writes what was seen."""
        (self.out / "kept.json").write_text(json.dumps(self.kept))
        (self.out / "notes.json").write_text(json.dumps(self.notes))
        self.losses.close()


class CompatFinder:
    """Has the functions of a compatibility module watched as soon as it is imported."""

    def __init__(self, watch: Callable[[Any], None]) -> None:
        self.watch = watch

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """As Python asks its finders."""
        spec = PathFinder.find_spec(name, path) if name.rpartition(".")[2] == "flow_compat" else None
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            self.watch(module)

        loader.exec_module = exec_module
        return spec


def _array(tensor: Any) -> Any:
    import numpy as np

    tensor = tensor.detach().cpu()
    dtype = str(tensor.dtype).rpartition(".")[2]
    array = (tensor.float() if dtype == "bfloat16" else tensor).numpy()
    return np.array(array)
