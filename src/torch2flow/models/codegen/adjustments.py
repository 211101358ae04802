"""What a model's constructor does once its modules are made: it casts them, ties and freezes their tensors.

self.layers[2].to(flow.float16)
self[0].register_buffer("mean", flow.zeros(4))
self.decoder.weight = self.encoder.weight
self[0].requires_grad_(False)
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from torch2flow.models.codegen.drafts import Construct, ContainerCall, Instance, New
from torch2flow.models.codegen.literals import attribute, dtype_name, literal
from torch2flow.models.codegen.module_tree import Module
from torch2flow.models.codegen.names import is_attribute
from torch2flow.models.program import Meta, State


def access(module: Module, path: str, constructs: Mapping[str, Construct]) -> ast.expr:
    """`self.layers[0].weight`: what is at `path`, as a method of the module reaches it."""
    expression: ast.expr = ast.Name("self", ast.Load())
    here = module
    rest = path[len(module.path) :].lstrip(".")
    for part in rest.split(".") if rest else []:
        construct = constructs.get(here.path)
        if isinstance(construct, ContainerCall) and construct.kind == "nn.ModuleDict" and part in here.children:
            expression = ast.Subscript(expression, ast.Constant(part), ast.Load())
        elif here.is_list_of_parameters or (here.is_counted and part.isdigit() and not isinstance(construct, New)):
            expression = ast.Subscript(expression, ast.Constant(int(part)), ast.Load())
        else:
            expression = child(expression, part)
        here = here.children.get(part, here)
    return expression


def child(module: ast.expr, name: str) -> ast.expr:
    """`module.name`, also where the name can't follow a dot."""
    if is_attribute(name):
        return ast.Attribute(module, name, ast.Load())
    return ast.Call(attribute("getattr"), [module, ast.Constant(name)], [])


def method_call(owner: ast.expr, method: str, *arguments: ast.expr) -> ast.Expr:
    """The statement `owner.method(...)`."""
    return ast.Expr(ast.Call(ast.Attribute(owner, method, ast.Load()), list(arguments), []))


def added_tensor(
    owner: ast.expr, name: str, state: State, meta: Meta, values: Callable[[State, str], ast.expr]
) -> ast.stmt:
    """The statement that gives a module a parameter or buffer.

    Args:
        owner: the module.
        name: the attribute that holds the tensor.
        state: what kind of tensor it is.
        meta: its dtype and shape.
        values: gives the expression for a tensor that is not in the `state_dict()`, in the dtype it is used in.
    """
    sizes = [literal(size, "size") for size in meta.hint] or [literal(())]
    dtype = dtype_name(meta.dtype)
    keywords = [] if dtype == "float32" else [ast.keyword("dtype", attribute("flow", dtype))]
    zeros = ast.Call(attribute("flow", "zeros"), sizes, keywords)
    if state.kind == "parameter":
        frozen = [] if meta.requires_grad else [ast.keyword("requires_grad", ast.Constant(False))]
        parameter = ast.Call(attribute("nn", "Parameter"), [zeros], frozen)
        if is_attribute(name):
            return ast.Assign([ast.Attribute(owner, name, ast.Store())], parameter)
        return method_call(owner, "register_parameter", ast.Constant(name), parameter)
    if state.persistent:
        return method_call(owner, "register_buffer", ast.Constant(name), zeros)
    statement = method_call(owner, "register_buffer", ast.Constant(name), values(state, meta.dtype))
    statement.value.keywords = [ast.keyword("persistent", ast.Constant(False))]  # type: ignore[attr-defined]
    return statement


def same_modules(tree: Module) -> dict[str, str]:
    """The modules that are another one under a second name, by the tensors they hold: the path of that one, by theirs.

    It is the one that is called, since it is known what that does. Modules without buffers are left out: tying their
    parameters does the same, and they may be of two classes, as an Embedding and a Linear with one weight.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Module]] = {}
    for module in tree.walk():
        states = [state for inner in module.walk() for _, state in inner.states.values()]
        key = tuple((state.path[len(module.path) :], state.alias) for state in states)
        if module.path and all(alias for _, alias in key) and any(state.kind == "buffer" for state in states):
            groups.setdefault(key, []).append(module)
    found: dict[str, str] = {}
    for group in groups.values():
        called = [module for module in group if any(inner.calls for inner in module.walk())]
        first = (called or group)[0]
        found.update({module.path: first.path for module in group if module is not first})
    return found


@dataclass(slots=True)
class Adjustments:
    """Writes the statements after those that make a model's modules.

    Attributes:
        tree: the model.
        constructs: how each module is made, by its path.
        metas: what is known of each tensor, by the name of its value.
        made: the paths of the tensors that constructors of ready modules make, in float32 and to be trained; a class
            that is written for the model makes its own as they are.
        same: the modules that are another one under a second name: the path of the first, by their own.
        mixed: the modules that can't be cast because they hold tensors of several dtypes, with those dtypes.
    """

    tree: Module
    constructs: Mapping[str, Construct]
    metas: Mapping[str, Meta]
    made: set[str]
    same: Mapping[str, str] = field(default_factory=dict)
    mixed: dict[str, str] = field(default_factory=dict)

    def write(self, added: list[ast.stmt]) -> list[ast.stmt]:
        """All statements; those that add tensors come after the casts, which leave them as they are."""
        return [*self._casts(self.tree), *added, *self._ties(self.tree), *self._freezing(self.tree)]

    def access(self, path: str) -> ast.expr:
        return access(self.tree, path, self.constructs)

    def assignment(self, path: str, value: ast.expr) -> ast.stmt:
        """`self.layers[0].weight = value`."""
        target = self.access(path)
        if isinstance(target, ast.Call):  # The name can't follow a dot.
            return ast.Expr(ast.Call(attribute("setattr"), [*target.args, value], []))
        target.ctx = ast.Store()  # type: ignore[attr-defined]
        return ast.Assign([target], value)

    def _casts(self, module: Module) -> Iterator[ast.stmt]:
        """Casts modules whose tensors of floating point are not float32."""
        inside = list(module.walk())
        found = self._dtypes(inside)
        if len(found) == 1 and found != {"float32"}:
            if any(state.path in self.made for each in inside for _, state in each.states.values()):
                yield method_call(self.access(module.path), "to", attribute("flow", found.pop()))
        elif found - {"float32"}:
            own = self._dtypes([module])
            if len(own) > 1 or (own - {"float32"} and module.children):
                self.mixed[module.path] = ", ".join(sorted(found))
            for child in module.children.values():
                yield from self._casts(child)

    def _dtypes(self, modules: list[Module]) -> set[str]:
        """The dtypes of floating point of the tensors that a cast would change."""
        return {
            self.metas[value].dtype
            for module in modules
            for value, state in module.states.values()
            if state.path in self.made or isinstance(self.constructs.get(module.path), Instance)
            if "float" in self.metas[value].dtype
        }

    def _ties(self, tree: Module) -> Iterator[ast.stmt]:
        """Makes one of the modules and parameters that are one in the original."""
        first: dict[str, str] = {}

        def visit(module: Module) -> Iterator[ast.stmt]:
            if module.path in self.same:
                if any(each.states for each in module.walk()):
                    yield self.assignment(module.path, self.access(self.same[module.path]))
                return
            for _, state in module.states.values():
                if state.kind == "parameter" and state.alias:
                    path = first.setdefault(state.alias, state.path)
                    if path != state.path:
                        yield self.assignment(state.path, self.access(path))
            for child in module.children.values():
                yield from visit(child)

        return visit(tree)

    def _freezing(self, module: Module) -> Iterator[ast.stmt]:
        """Freezes what was frozen: a whole module where all of it was."""
        values = [each for inner in module.walk() for each in inner.states.values() if each[1].kind == "parameter"]
        frozen = [state.path for value, state in values if not self.metas[value].requires_grad]
        if not self.made.intersection(frozen):
            return
        if len(frozen) == len(values):
            yield method_call(self.access(module.path), "requires_grad_", ast.Constant(False))
            return
        for _, state in module.states.values():
            if state.path in self.made.intersection(frozen):
                yield method_call(self.access(state.path), "requires_grad_", ast.Constant(False))
        for child in module.children.values():
            yield from self._freezing(child)
