"""Runs a training script under observation, in a process of its own: with PyTorch to record, with OneFlow to repeat.

What is random is made equal by what PyTorch drew: the state of each module as its constructor leaves it, and each
random tensor that the script asks for (`equal_draws.py`). Dropout is switched off on both sides: its masks are drawn
inside the libraries. The loss of a step is the number on which `backward` is called.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import random
import runpy
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from torch2flow.proof.scripts.equal_draws import EqualDraws, replace, to_array
from torch2flow.proof.scripts.ordered_sets import OrderedSet

DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")

ULP = 2.0**-23

OWN_NAMES = {"set": OrderedSet}
"""What the script's own modules find under a name of Python's."""


def main() -> None:
    """Runs the script that the first argument describes."""
    job = json.loads(sys.argv[1])
    recorder = ScriptRecorder(job)
    sys.argv[:] = [job["script"], *job["arguments"]]
    run: Callable[..., Any] = runpy.run_path
    if job["as_module"]:
        sys.path.insert(0, str(Path.cwd()))
        run = functools.partial(runpy.run_module, alter_sys=True)
    else:
        sys.path.insert(0, str(Path(job["script"]).resolve().parent))
    try:
        run(job["script"], run_name="__main__", init_globals=OWN_NAMES)
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
        self.settled: list[Any] = []
        self.steps = 0
        self.bits = np.random.RandomState(7)
        self.library = self._import()
        repeat = Path(job["repeat"]) / self.rank if job["repeat"] else None
        self.draws = EqualDraws(self.library, self.out, repeat, self._shake if job["shaken"] else None)
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
        self.draws.watch()
        sys.meta_path.insert(0, OwnModules(lambda module: self.draws.watch_functions(module, module)))
        for name in DROPOUTS:
            replace(library, library.nn.functional, name, self._without_dropout)
        library.Tensor.backward = self._stepping(library.Tensor.backward)
        self._watch_modules(library.nn.Module)

    # -- what is left out ----------------------------------------------------------------------------------------------

    def _without_dropout(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def keep_all(input: Any, p: float = 0.5, *args: Any, **named: Any) -> Any:
            self._note_dropout(p)
            return function(input, 0.0, *args, **named)

        return keep_all

    def _note_dropout(self, rate: Any) -> None:
        if rate:
            self.draws.notes["dropout is switched off on both sides"] += 1

    # -- what is built -------------------------------------------------------------------------------------------------

    def _watch_modules(self, base: Any) -> None:
        """Sees when the constructor of a module has ended that is no part of another one that is being built."""
        recorder, known = self, set()

        def watch(kind: Any) -> None:
            made = vars(kind).get("__init__")
            if made is None or kind in known:
                return
            known.add(kind)

            @functools.wraps(made)
            def __init__(module: Any, *args: Any, **named: Any) -> None:
                recorder.draws.building += 1
                try:
                    made(module, *args, **named)
                finally:
                    recorder.draws.building -= 1
                if not recorder.draws.building and type(module).__init__ is __init__:
                    recorder.built(module)

            kind.__init__ = __init__

        def __init_subclass__(cls: Any, /, **named: Any) -> None:
            super(base, cls).__init_subclass__(**named)
            watch(cls)

        known_kinds = [base]
        for kind in known_kinds:
            known_kinds.extend(kind.__subclasses__())
        for kind in known_kinds[1:]:
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
        state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        key = "state " + " ".join(f"{name}{list(value.shape)}" for name, value in sorted(state.items()))
        if not state:
            return
        if not self.job["repeat"]:
            self.draws.keep(key, {name: to_array(value) for name, value in state.items()})
            if self.job["shaken"]:
                self._shake_weights(module)
            return
        found = self.draws.next(key)
        if found is None and all(any(each is known for known in self.settled) for each in module.parameters()):
            return  # it only holds others
        self.settled += module.parameters()
        if found is None:
            name = type(module).__name__
            self.draws.notes[f"{name} is not built on PyTorch's side: its weights are not the same"] += 1
            return
        values = {name: self.library.tensor(found[name]).to(value.dtype) for name, value in state.items()}
        module.load_state_dict(values, strict=False)

    def _shake_weights(self, module: Any) -> None:
        with self.library.no_grad():
            for each in module.parameters():
                signs = self.bits.choice((-1.0, 1.0), tuple(each.shape))
                each.mul_(self.library.as_tensor(1 + ULP * signs).to(each.dtype))

    def _shake(self, tensor: Any) -> None:
        """Makes the numbers of a tensor that are no integers a little smaller, so that none leaves its range."""
        with self.library.no_grad():
            values = tensor.data
            bits = self.library.as_tensor(ULP * self.bits.choice((0.0, 2.0), tuple(values.shape)))
            values.sub_(values * bits.to(values.dtype) * (values != values.round()))

    # -- what is trained -----------------------------------------------------------------------------------------------

    def _stepping(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def backward(tensor: Any, *args: Any, **named: Any) -> Any:
            result = function(tensor, *args, **named)
            value = float(to_array(tensor.detach()).sum())
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
        self.draws.close()
        self.losses.close()


class OwnModules:
    """Finds the modules in the folder of the script, and gives them what is the same on both sides.

    Args:
        watch: gets a compatibility module as soon as it is imported.
    """

    def __init__(self, watch: Callable[[Any], None]) -> None:
        self.folder, self.watch = f"{Path.cwd()}{os.sep}", watch

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """As Python asks its finders."""
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None or not (spec.origin or "").startswith(self.folder):
            return None
        loader: Any = spec.loader
        run = loader.exec_module
        is_compat = name.rpartition(".")[2] == "flow_compat"

        def exec_module(module: Any) -> None:
            if not is_compat:
                vars(module).update(OWN_NAMES)
            run(module)
            if is_compat:
                self.watch(module)

        loader.exec_module = exec_module
        return spec
