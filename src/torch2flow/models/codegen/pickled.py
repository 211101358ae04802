"""From a pickled `nn.Module` made of `torch.nn` classes to OneFlow source: one constructor's call, and what differs.

class Model(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 64, kernel_size=3, padding=1),
            nn.BatchNorm2d(64),
            ...
        )
        self[0].requires_grad_(False)

The file says which classes the modules are of and what their attributes are, not what their `forward` does: that
is known for the classes of `torch.nn` (`lowering/modules`), and for no others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch2flow.checkpoints.pickles import Global, label
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.checkpoints.pytorch.tree import at_path, is_module
from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen import constants as constant_tensors
from torch2flow.models.codegen.adjustments import Adjustments, added_tensor, method_call
from torch2flow.models.codegen.classes import expression, subclass
from torch2flow.models.codegen.constants import Constants
from torch2flow.models.codegen.drafts import Construct
from torch2flow.models.codegen.module_tree import Module
from torch2flow.models.codegen.names import OF_CONTAINERS, is_taken
from torch2flow.models.codegen.ready_modules import construction
from torch2flow.models.codegen.source_text import filled
from torch2flow.models.codegen.writer import Source, assemble, header
from torch2flow.models.lowering.modules.library import library, with_needs
from torch2flow.models.lowering.modules.reading import construct
from torch2flow.models.lowering.modules.table import Made, RefusedModuleError, UnknownClassError, signature
from torch2flow.models.program import Meta, State
from torch2flow.models.program.budget import writing
from torch2flow.models.program.pickled import PickledModule, read_module

ROOT = "Model"
_LISTED = 3
_LATER = {"num_batches_tracked"}
"""What a class makes now that modules pickled long ago lack; OneFlow fills it in."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A module that no source can be written for; `class_name` is empty where the class is known."""

    path: str
    class_name: str
    reason: str


def pickled_source(checkpoint: Checkpoint) -> tuple[Source | None, list[str]]:
    """The source of a checkpoint that is a pickled module, and what a person should know.

    Returns:
        None and no notes where it is none; None and the reasons where no source can be written.
    """
    if checkpoint.format == "torchscript":
        return None, []  # Its modules are written in the file as code of their own.
    record = at_path(checkpoint.root, checkpoint.key)
    if not is_module(record):
        return None, []
    try:
        with writing(checkpoint.path.name):
            writer = _PickledWriter(read_module(record), checkpoint.path.name, checkpoint.container.producer)
            source = writer.source()
    except UnsupportedError as error:
        # The weights are converted whatever becomes of the source.
        return None, [f"no model.py: {error.what} Please report this"]
    return (None, list(_reasons(writer.problems))) if source is None else (source, [])


def _reasons(problems: list[Problem]) -> Iterator[str]:
    unknown = list(dict.fromkeys(each.class_name for each in problems if each.class_name))
    if unknown:
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        yield (
            f"no model.py: the file holds the weights of {', '.join(unknown[:_LISTED])}{more}, and not the code. "
            "Two ways on: capture the model where its code is (torch2flow capture MODULE:FACTORY -o model.pt2 "
            "--input ...) and convert that; or load these weights into a OneFlow class of the same structure "
            "(flowvision has those of torchvision)"
        )
    refused = [f"{each.path or 'the model itself'}: {each.reason}" for each in problems if not each.class_name]
    if refused:
        more = f"; and {len(refused) - _LISTED} more" if len(refused) > _LISTED else ""
        yield f"no model.py: OneFlow can't do what these modules do: {'; '.join(refused[:_LISTED])}{more}"


@dataclass(slots=True)
class _PickledWriter:
    """Writes one model.

    Attributes:
        module: the root.
        problems: what can't be written.
        made: the constructor's call for each module, by its path.
        constructs: the same as it is written.
        metas: the dtype and shape of each tensor, by its path.
        same: the modules that are another one under a second name: the path of the first, by their own.
        first: the path of the first of each module and parameter, by what tells them apart.
        hidden: the tensors that are not in the `state_dict()`, by path.
    """

    module: PickledModule
    origin: str
    producer: str
    problems: list[Problem] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)
    constructs: dict[str, Construct] = field(default_factory=dict)
    metas: dict[str, Meta] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    first: dict[Any, str] = field(default_factory=dict)
    hidden: dict[str, TensorRef] = field(default_factory=dict)

    def source(self) -> Source | None:
        """The source; None where there are `problems`."""
        root = self._build(self.module)
        if self.problems or root is None:
            return None
        self.constructs = {path: construction(made) for path, made in self.made.items()}
        tree = self._tree(self.module)
        ready = {_join(path, name) for path, made in self.made.items() for name in made.tensors}
        adjustments = Adjustments(tree, self.constructs, self.metas, ready, self.same)
        replaced = list(self._replaced(root, self.module, adjustments))
        known = Constants(self.hidden)
        added = [
            added_tensor(adjustments.access(module.path), name, state, self.metas[path], known.expression)
            for module in tree.walk()
            for name, (path, state) in module.states.items()
            if path not in ready
        ]
        statements = [*replaced, *adjustments.write(added)]
        mixed = adjustments.mixed.items()
        self.problems += [Problem(path, "", f"its tensors are of {dtypes}") for path, dtypes in mixed]
        if self.problems:
            return None
        written = subclass(ROOT, self.constructs[""], statements)
        named = [node.id for node in ast.walk(written) if isinstance(node, ast.Name) and node.id in library()]
        helpers = [filled(definition.text) for definition in with_needs(named)]
        if known.stored:
            helpers.insert(0, filled(constant_tensors.HELPER.strip()))
        text = assemble(header(ROOT, self.origin, self.producer), [written], helpers)
        return Source(text, ROOT, known.stored)

    # From modules to constructors.

    def _build(self, module: PickledModule) -> Made | None:
        """The call for a module as it is in the file, and for all inside."""
        made: Made | None = None
        try:
            made = construct(module)
            self._check(module, made)
        except UnknownClassError:
            self.problems.append(Problem(module.path, label(Global(module.class_name)), ""))
        except RefusedModuleError as error:
            self.problems.append(Problem(module.path, "", str(error)))
        children = {name: self._build(child) for name, child in module.children.items()}
        if made is None:
            return None
        self.made[module.path] = made
        if made.is_container:
            made.children = {name: child for name, child in children.items() if child is not None}
            if made.function == "nn.ModuleList" and list(children) != [str(number) for number in range(len(children))]:
                self.problems.append(Problem(module.path, "", "its modules are not numbered from 0"))
        return made

    def _check(self, module: PickledModule, made: Made) -> None:
        """Refuses names that no module can have, and tensors that the constructor would not make so."""
        tensors = module.tensors()
        others = OF_CONTAINERS if made.is_container else {*signature(made.function), *module.attributes}
        parts = [*(name for name, value in [*module.parameters.items(), *module.buffers.items()] if value is not None)]
        parts += module.children
        for name in parts:
            added = name not in made.tensors and (made.is_container or name not in made.children)
            if not name or "." in name or is_taken(name) or (added and name in others) or parts.count(name) > 1:
                raise RefusedModuleError(f"it has a part named {name[:60]!r}, which no module of OneFlow's can have")
        for name, shape in made.tensors.items():
            if name in _LATER and name not in tensors:
                continue
            if name not in tensors:
                raise RefusedModuleError(f"it has no {name}")
            if name in module.hidden:
                raise RefusedModuleError(f"its {name} is not in its state dict")
            if tuple(tensors[name].shape) != shape:
                raise RefusedModuleError(f"its {name} is {list(tensors[name].shape)}, and not {list(shape)}")
        for name, tensor in tensors.items():
            if not isinstance(tensor, TensorRef):
                raise RefusedModuleError(f"its {name} is {tensor.layout}")

    def _tree(self, module: PickledModule) -> Module:
        """The modules and their tensors in the form that a captured program has too."""
        first = self.first.setdefault(id(module.record), module.path)
        if first != module.path:
            self.same[module.path] = first
        states: dict[str, tuple[str, State]] = {}
        for name, tensor in module.tensors().items():
            path = _join(module.path, name)
            self.metas[path] = Meta(tensor.dtype.name, tuple(tensor.shape), (), tensor.requires_grad)
            if name in module.parameters:
                alias = self.first.setdefault(tensor.identity, path) if tensor.nbytes else ""
                states[name] = path, State("parameter", path, alias=alias)
                continue
            states[name] = path, State("buffer", path, name not in module.hidden)
            if name in module.hidden and isinstance(tensor, TensorRef):
                self.hidden[path] = tensor
        children = {name: self._tree(child) for name, child in module.children.items()}
        return Module(module.path, states, children)

    def _replaced(self, made: Made, module: PickledModule, adjustments: Adjustments) -> Iterator[ast.stmt]:
        """Statements for the modules that are not as the constructor around them makes them."""
        for name, child in module.children.items():
            expected, actual = made.children.get(name), self.made[child.path]
            if expected is None:
                owner, new = adjustments.access(module.path), expression(self.constructs[child.path])
                yield method_call(owner, "add_module", ast.Constant(name), new)
            elif (expected.function, expected.arguments) != (actual.function, actual.arguments):
                yield adjustments.assignment(child.path, expression(self.constructs[child.path]))
            else:
                actual = expected
            yield from self._replaced(actual, child, adjustments)
        for name in made.children:
            if name not in module.children:
                self.problems.append(Problem(module.path, "", f"its {name!r} is missing"))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
