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
is known for the classes of `torch.nn` (`lowering/modules/constructors.py`), and for no others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch2flow._version import __version__
from torch2flow.checkpoints.pickles import Global, label
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.checkpoints.pytorch.tensor import Tensor
from torch2flow.checkpoints.pytorch.tree import at_path, is_module
from torch2flow.models.codegen import constants as constant_tensors
from torch2flow.models.codegen.constants import Constants
from torch2flow.models.codegen.literals import UNIFORM, attribute, dtype_name, literal
from torch2flow.models.codegen.names import is_attribute
from torch2flow.models.codegen.writer import Source, assemble
from torch2flow.models.lowering.modules.constructors import (
    Code,
    Made,
    RefusedError,
    UnknownClassError,
    construct,
)
from torch2flow.models.lowering.modules.library import with_needs
from torch2flow.models.program import State
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
    writer = _Writer(read_module(record), checkpoint.path.name, checkpoint.container.producer)
    try:
        source = writer.source()
    except (LookupError, AssertionError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # The weights are converted whatever becomes of the source.
        return None, [f"no model.py: it could not be written ({type(error).__name__}: {str(error)[:200]}); report this"]
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
class _Writer:
    """Writes one model.

    Attributes:
        module: the root.
        problems: what can't be written.
        changes: statements that make what the constructors gave into what the file holds.
        needed: the definitions of `classes/` that are called.
    """

    module: PickledModule
    origin: str
    producer: str
    problems: list[Problem] = field(default_factory=list)
    changes: list[ast.stmt] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)

    def source(self) -> Source | None:
        """The source; None where there are `problems`."""
        root = self._build(self.module)
        if self.problems or root is None:
            return None
        hidden = {
            _join(module.path, name): tensor
            for module in self.module.walk()
            for name, tensor in module.buffers.items()
            if name in module.hidden and isinstance(tensor, TensorRef)
        }
        known = Constants(hidden)
        self._override(root, self.module)
        for module in self.module.walk():
            self._tensors(module, known)
        if self.problems:
            return None
        self._dtypes(self.module)
        self._ties()
        self._freeze(self.module)
        body: list[ast.stmt] = [self._class(root)]
        helpers = [definition.text for definition in with_needs(self.needed)]
        if known.stored:
            helpers.insert(0, constant_tensors.HELPER.strip())
        origin, producer = (re.sub(r"[^\w .,:()+-]", "_", text) for text in (self.origin, self.producer))
        made = f" from {origin}" if origin else ""
        by = f", which {producer} wrote" if producer else ""
        header = f'"""{ROOT} for OneFlow, written by torch2flow {__version__}{made}{by}."""\n\n'
        return Source(assemble(header, body, helpers), ROOT, known.stored)

    # From modules to constructors.

    def _build(self, module: PickledModule) -> Made | None:
        """The call for a module as it is in the file, and for all inside."""
        made: Made | None = None
        try:
            made = construct(module)
            self._check(module, made)
        except UnknownClassError:
            self.problems.append(Problem(module.path, label(Global(module.class_name)), ""))
        except RefusedError as error:
            self.problems.append(Problem(module.path, "", str(error)))
        children = {name: self._build(child) for name, child in module.children.items()}
        if made is None:
            return None
        self.made[module.path] = made
        if made.is_container:
            made.children = {name: child for name, child in children.items() if child is not None}
            if list(children) == [str(number) for number in range(len(children))]:
                self.lists.add(module.path)
            elif made.function == "nn.ModuleList":
                self.problems.append(Problem(module.path, "", "its modules are not numbered from 0"))
        return made

    def _check(self, module: PickledModule, made: Made) -> None:
        """Refuses names that no module can have, and tensors that the constructor would not make so."""
        tensors = module.tensors()
        for name in (*tensors, *module.children):
            if not name or "." in name:
                raise RefusedError(f"it has a part named {name!r}")
        for name, shape in made.tensors.items():
            if name in _LATER and name not in tensors:
                continue
            if name not in tensors:
                raise RefusedError(f"it has no {name}")
            if name in module.hidden:
                raise RefusedError(f"its {name} is not in its state dict")
            if tuple(tensors[name].shape) != shape:
                raise RefusedError(f"its {name} is {list(tensors[name].shape)}, and not {list(shape)}")
        for name, tensor in tensors.items():
            if not isinstance(tensor, TensorRef):
                raise RefusedError(f"its {name} is {tensor.layout}")

    def _override(self, made: Made, module: PickledModule) -> None:
        """Replaces the modules that are not as the constructor around them makes them."""
        for name, child in module.children.items():
            expected, actual = made.children.get(name), self.made[child.path]
            if expected is None:
                method = ast.Attribute(self._access(module.path), "add_module", ast.Load())
                self.changes.append(ast.Expr(ast.Call(method, [ast.Constant(name), self._call(actual)], [])))
                self._override(actual, child)
            elif (expected.function, expected.arguments) != (actual.function, actual.arguments):
                self.changes.append(self._assignment(child.path, self._call(actual)))
                self._override(actual, child)
            else:
                self._override(expected, child)
        for name in made.children:
            if name not in module.children:
                self.problems.append(Problem(module.path, "", f"its {name!r} is missing"))

    # From constructors to expressions.

    def _call(self, made: Made) -> ast.expr:
        return ast.Call(self._function(made), *self._arguments(made))

    def _function(self, made: Made) -> ast.expr:
        if not made.function.startswith("nn."):
            self.needed.append(made.function)
        return attribute(*made.function.split("."))

    def _arguments(self, made: Made) -> tuple[list[ast.expr], list[ast.keyword]]:
        if made.is_container:
            return self._items(made), []
        positional: list[ast.expr] = []
        keywords: list[ast.keyword] = []
        for name, default in made.defaults().items():
            value = made.arguments.get(name, default)
            if made.function.startswith(("nn.", "PaddedConv")) and name in UNIFORM:
                value = _single(value)
            if default is ... and not any(isinstance(each, ast.Call) for each in positional):
                positional.append(self._value(value))
            elif type(value) is not type(default) or value != default:
                keywords.append(ast.keyword(name, self._value(value)))
        return positional, keywords

    def _value(self, value: Any) -> ast.expr:
        if isinstance(value, Made):
            return self._call(value)
        return ast.parse(value.text, mode="eval").body if isinstance(value, Code) else literal(value)

    def _items(self, made: Made) -> list[ast.expr]:
        children = made.children
        counted = list(children) == [str(number) for number in range(len(children))]
        items = list(children.values())
        if made.function == "nn.ModuleDict":
            return [ast.Dict([ast.Constant(name) for name in children], [self._call(item) for item in items])]
        if counted and len(items) > 1 and _is_large(items[0]) and all(item == items[0] for item in items[1:]):
            loop = ast.parse(f"[0 for _ in range({len(items)})]", mode="eval").body
            assert isinstance(loop, ast.ListComp)
            loop.elt = self._call(items[0])
            return [ast.Starred(loop, ast.Load()) if made.function == "nn.Sequential" else loop]
        calls = [self._call(item) for item in items]
        if made.function == "nn.ModuleList":
            return [ast.List(calls, ast.Load())]
        if counted:
            return calls
        names: list[ast.expr | None] = [ast.Constant(name) for name in children]
        return [ast.Call(attribute("OrderedDict"), [ast.Dict(names, calls)], [])]

    def _class(self, root: Made) -> ast.ClassDef:
        start = ast.parse("super().__init__()").body[0]
        assert isinstance(start, ast.Expr) and isinstance(start.value, ast.Call)
        base = self._function(root)
        start.value.args, start.value.keywords = self._arguments(root)
        arguments = ast.arguments([], [ast.arg("self")], None, [], [], None, [])
        constructor = ast.FunctionDef("__init__", arguments, [start, *self.changes], [])
        return ast.ClassDef(ROOT, [base], [], [constructor], [])

    def _access(self, path: str) -> ast.expr:
        """`self.layers[0].weight`."""
        expression: ast.expr = ast.Name("self", ast.Load())
        here = ""
        for part in path.split(".") if path else []:
            made = self.made.get(here)
            if here in self.lists:
                expression = ast.Subscript(expression, ast.Constant(int(part)), ast.Load())
            elif made is not None and made.function == "nn.ModuleDict" and _join(here, part) in self.made:
                expression = ast.Subscript(expression, ast.Constant(part), ast.Load())
            elif is_attribute(part):
                expression = ast.Attribute(expression, part, ast.Load())
            else:
                expression = ast.Call(attribute("getattr"), [expression, ast.Constant(part)], [])
            here = _join(here, part)
        return expression

    # What constructors don't do.

    def _tensors(self, module: PickledModule, known: Constants) -> None:
        """Registers the parameters and buffers that were added to a module."""
        made = self.made[module.path]
        for name, tensor in module.tensors().items():
            if name in made.tensors:
                continue
            arguments: list[ast.expr] = [ast.Constant(name)]
            keywords = []
            if name in module.parameters:
                method = "register_parameter"
                arguments.append(ast.Call(attribute("nn", "Parameter"), [_zeros(tensor)], []))
            else:
                method = "register_buffer"
                if name in module.hidden:
                    arguments.append(
                        known.expression(State("buffer", _join(module.path, name), persistent=False), tensor.dtype.name)
                    )
                    keywords.append(ast.keyword("persistent", ast.Constant(False)))
                else:
                    arguments.append(_zeros(tensor))
            function = ast.Attribute(self._access(module.path), method, ast.Load())
            self.changes.append(ast.Expr(ast.Call(function, arguments, keywords)))

    def _dtypes(self, module: PickledModule) -> None:
        """Casts modules whose tensors of floating point are not float32."""
        found = {
            dtype_name(tensor.dtype.name)
            for each in module.walk()
            for name, tensor in each.tensors().items()
            if tensor.dtype.kind == "f" and name in self.made[each.path].tensors
        }
        if len(found) == 1 and found != {"float32"}:
            cast = ast.Attribute(self._access(module.path), "to", ast.Load())
            self.changes.append(ast.Expr(ast.Call(cast, [attribute("flow", found.pop())], [])))
        elif found - {"float32"}:
            own = {dtype_name(t.dtype.name) for t in module.tensors().values() if t.dtype.kind == "f"}
            if len(own) > 1 or (own - {"float32"} and module.children):
                self.problems.append(Problem(module.path, "", f"its tensors are of {', '.join(sorted(found))}"))
            for child in module.children.values():
                self._dtypes(child)

    def _ties(self) -> None:
        """Makes one of modules and parameters that are one in the original."""
        modules: dict[int, str] = {}
        parameters: dict[Any, str] = {}
        done: set[str] = set()
        for module in self.module.walk():
            if module.path.rpartition(".")[0] in done:
                done.add(module.path)
                continue
            first = modules.setdefault(id(module.record), module.path)
            if first != module.path:
                if module.tensors() or any(child.tensors() for child in module.walk()):
                    self._assign(module.path, first)
                done.add(module.path)
                continue
            for name, tensor in module.parameters.items():
                if tensor is not None and tensor.nbytes:
                    path = _join(module.path, name)
                    first = parameters.setdefault(tensor.identity, path)
                    if first != path:
                        self._assign(path, first)

    def _assign(self, path: str, first: str) -> None:
        self.changes.append(self._assignment(path, self._access(first)))

    def _assignment(self, path: str, value: ast.expr) -> ast.stmt:
        target = self._access(path)
        if isinstance(target, ast.Call):  # a name that can't follow a dot
            owner, _, name = path.rpartition(".")
            return ast.Expr(ast.Call(attribute("setattr"), [self._access(owner), ast.Constant(name), value], []))
        target.ctx = ast.Store()  # type: ignore[attr-defined]
        return ast.Assign([target], value)

    def _freeze(self, module: PickledModule) -> None:
        """Freezes what was frozen: a whole module where all of it was."""
        parameters = [
            (_join(each.path, name), tensor)
            for each in module.walk()
            for name, tensor in each.parameters.items()
            if tensor is not None
        ]
        frozen = [path for path, tensor in parameters if not tensor.requires_grad]
        if frozen and len(frozen) == len(parameters):
            self._frozen(module.path)
        elif frozen:
            for name, tensor in module.parameters.items():
                if tensor is not None and not tensor.requires_grad:
                    self._frozen(_join(module.path, name))
            for child in module.children.values():
                self._freeze(child)

    def _frozen(self, path: str) -> None:
        call = ast.Attribute(self._access(path), "requires_grad_", ast.Load())
        self.changes.append(ast.Expr(ast.Call(call, [ast.Constant(False)], [])))


def _single(value: Any) -> Any:
    """One number for several equal ones: OneFlow's modules take either."""
    alike = isinstance(value, tuple) and value and all(item == value[0] for item in value)
    return value[0] if alike else value


def _zeros(tensor: Tensor) -> ast.expr:
    keywords = []
    dtype = dtype_name(tensor.dtype.name)
    if dtype != "float32":
        keywords.append(ast.keyword("dtype", attribute("flow", dtype)))
    sizes = [literal(size) for size in tensor.shape] or [literal(())]
    return ast.Call(attribute("flow", "zeros"), sizes, keywords)


def _is_large(made: Made) -> bool:
    """Whether a call is more than a line's worth, so that equal ones are better made in a loop."""
    return made.is_container or not made.function.startswith("nn.") or bool(made.children)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
