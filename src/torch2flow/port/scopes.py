"""What names mean in a file: by import and by scope, as Python itself looks them up.

A name that an import binds means the dotted path of what it imports: `F` is `torch.nn.functional`. Everything else that
binds a name (an argument, an assignment, a loop) makes it a name of the author's, which is left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from torch2flow.port.lookup import MODULES

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import binds a name to.

    Attributes:
        path: the dotted path, `torch.nn.functional`; of another file of the tree `.` and its path, `.models.common.nn`.
        plain: the whole module's path of `import torch.nn`, which binds `torch`; "" for all other imports.
    """

    path: str
    plain: str = ""


@dataclass(slots=True, eq=False)
class Scope:
    """A module, class, function or comprehension, and the names bound in it.

    Attributes:
        kind: `module`, `class` or `function`.
        parent: the scope around it.
        imports: names bound by imports, each with all of them.
        others: names bound otherwise; a `None` that stands for a module that is missing does not count.
        stars: the modules of `from MODULE import *`.
        outer: names that are declared global or nonlocal.
        aliases: names of imports that are bound by an assignment of a module, and by nothing else.
    """

    kind: str
    parent: Scope | None = None
    imports: dict[str, list[Imported]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    stars: list[str] = field(default_factory=list)
    outer: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)

    def bind(self, name: str) -> None:
        """Takes note of a name that is bound otherwise than by an import."""
        if name in self.aliases:
            self.aliases.remove(name)
            del self.imports[name]
        self.others.add(name)

    def home(self, name: str) -> Scope:
        """The scope in which a name is looked up: this one, one around it, or the module's."""
        scope: Scope = self
        first = True
        while scope.parent is not None:
            bound = name in scope.imports or name in scope.others
            if bound and name not in scope.outer and (first or scope.kind != "class"):
                return scope
            scope, first = scope.parent, False
        return scope


def scopes_of(tree: ast.Module, resolve: ResolveFrom, whole: bool = True) -> dict[ast.AST, Scope]:
    """The scopes of a file, by the node that opens them.

    Args:
        tree: the file.
        resolve: the path of the module that `from ..a import b` names, by its dots and its name.
        whole: False for the module's own scope alone.
    """
    scope = Scope("module")
    binder = _Binder(resolve, whole)
    binder.scopes[tree] = scope
    for statement in tree.body:
        binder.visit(statement, scope)
    return binder.scopes


class ResolveFrom:
    """Makes the path of a module out of what an import says, for one file."""

    def __init__(self, package: str = "") -> None:
        self.package = package

    def __call__(self, level: int, module: str | None) -> str:
        if not level:
            return module or ""
        parts = self.package.split(".") if self.package else []
        kept = parts[: max(len(parts) - level + 1, 0)]
        return "." + ".".join([*kept, *([module] if module else [])])


class _Binder:
    def __init__(self, resolve: ResolveFrom, whole: bool) -> None:
        self.resolve, self.whole = resolve, whole
        self.scopes: dict[ast.AST, Scope] = {}

    def visit(self, node: ast.AST, scope: Scope) -> None:
        kind = type(node)
        if kind is ast.Name:
            if type(node.ctx) is not ast.Load:  # type: ignore[attr-defined]
                scope.bind(node.id)  # type: ignore[attr-defined]
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, imported in imported_names(node, self.resolve):
                if name == "*":
                    scope.stars.append(imported.path)
                else:
                    scope.imports.setdefault(name, []).append(imported)
            return
        if isinstance(node, FUNCTIONS):
            self._function(node, scope)
            return
        if isinstance(node, ast.ClassDef):
            scope.bind(node.name)
            self._all([*node.decorator_list, *node.bases, *node.keywords], scope)
            self._all(node.body, self._open(node, "class", scope))
            return
        if isinstance(node, COMPREHENSIONS):
            if self.whole:
                self.visit(node.generators[0].iter, scope)
                self._all(list(ast.iter_child_nodes(node)), self._open(node, "function", scope))
            return
        if isinstance(node, ast.Assign) and self._is_module_alias(node, scope):
            return
        if kind is ast.Assign and _is_nothing(node.value):  # type: ignore[attr-defined]
            names = [target for target in node.targets if not isinstance(target, ast.Name)]  # type: ignore[attr-defined]
            self._all(names, scope)
            return
        if isinstance(node, ast.Global | ast.Nonlocal):
            scope.outer |= set(node.names)
        elif isinstance(node, ast.NamedExpr):
            holder = scope
            while holder.parent is not None and holder in self._comprehensions:
                holder = holder.parent
            holder.bind(node.target.id)
            self.visit(node.value, scope)
            return
        bound = getattr(node, "name", None) or getattr(node, "rest", None)  # an exception's, or one of a pattern
        if isinstance(bound, str):
            scope.bind(bound)
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)

    def _is_module_alias(self, node: ast.Assign, scope: Scope) -> bool:
        """Binds a name that stands for a module of PyTorch's as an import would: `F = torch.nn.functional`."""
        target, value, names = node.targets[0], node.value, list[str]()
        while isinstance(value, ast.Attribute):
            names.insert(0, value.attr)
            value = value.value
        if len(node.targets) > 1 or not isinstance(target, ast.Name) or not isinstance(value, ast.Name):
            return False
        roots = scope.home(value.id).imports.get(value.id, [])
        path = ".".join([roots[0].path, *names]) if len(roots) == 1 else ""
        if path not in MODULES or any(target.id in each for each in (scope.others, scope.outer, scope.imports)):
            return False
        scope.imports[target.id] = [Imported(path)]
        scope.aliases.add(target.id)
        return True

    @property
    def _comprehensions(self) -> list[Scope]:
        return [scope for node, scope in self.scopes.items() if isinstance(node, COMPREHENSIONS)]

    def _all(self, nodes: Iterable[ast.AST], scope: Scope) -> None:
        for node in nodes:
            self.visit(node, scope)

    def _open(self, node: ast.AST, kind: str, parent: Scope) -> Scope:
        self.scopes[node] = made = Scope(kind, parent)
        return made

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope) -> None:
        arguments = node.args
        if not isinstance(node, ast.Lambda):
            scope.bind(node.name)
            self._all(node.decorator_list, scope)
        self._all([each for each in [*arguments.defaults, *arguments.kw_defaults] if each is not None], scope)
        if not self.whole:
            return
        inner = self._open(node, "function", scope)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        inner.others |= {each.arg for each in every if each is not None}
        body: Iterable[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        self._all(body, inner)


def imported_names(node: ast.Import | ast.ImportFrom, resolve: ResolveFrom) -> Iterator[tuple[str, Imported]]:
    """The names that an import binds, each with what it binds it to; `*` with the module."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            if alias.asname:
                yield alias.asname, Imported(alias.name)
            else:
                root = alias.name.partition(".")[0]
                yield root, Imported(root, plain=alias.name)
        else:
            module = resolve(node.level, node.module)
            if alias.name == "*":
                yield "*", Imported(module)
            else:
                yield (
                    alias.asname or alias.name,
                    Imported(f"{module.rstrip('.')}.{alias.name}" if module else alias.name),
                )


def _is_nothing(value: ast.expr) -> bool:
    """`None` or `False`, which stands for what could not be imported."""
    return isinstance(value, ast.Constant) and value.value in (None, False)
