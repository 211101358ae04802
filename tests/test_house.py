"""The plan of the house holds: no circle of files, libraries only where they belong, one name for each class.

The direction of imports between and inside the wings is held by the contracts in pyproject.toml (`make lint`).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "torch2flow"

COPIED = "torch2flow.models.lowering.modules.classes"
"""Source that generated models and ported code get copies of."""

NAMED_BY_PYTORCH = "torch2flow.port.compat."
"""Classes that ported code asks for by PyTorch's own names."""


def module_name(path: Path) -> str:
    parts = ["torch2flow", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def trees() -> dict[str, ast.Module]:
    """Every file, parsed; not before a test asks for it, since all lanes of the tests read this file."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}


def imported_modules(name: str) -> set[str]:
    """The files of the package that a file imports, wherever in it; also those for type checkers alone."""
    found = set()
    for node in ast.walk(trees()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: imports are spelled in full"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in FILES else str(node.module) for each in whole}
    return found & FILES.keys()


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """The groups of files in which each reaches each (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = lowest[name] = len(index)
        stack.append(name)
        for target in arrows[name]:
            if target not in index:
                visit(target)
            if target in stack:
                lowest[name] = min(lowest[name], lowest[target])
        if lowest[name] == index[name]:
            group = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(group)

    for name in arrows:
        if name not in index:
            visit(name)
    return found


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [{"b", "c"}]


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles({name: imported_modules(name) for name in FILES}) == []


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for name, tree in trees().items():
        if name.startswith(NAMED_BY_PYTORCH):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_only_their_rooms_import_libraries() -> None:
    for name, tree in trees().items():
        imported = list(imports(tree))
        copies = name.startswith((COPIED, NAMED_BY_PYTORCH))
        assert copies or not any(module.startswith(COPIED) for module, _ in imported), name
        tops = {module.partition(".")[0] for module, _ in imported}
        assert not tops & {"torch", "oneflow", "flowvision"}, name
        assert not tops & {"click", "rich"} or name.startswith("torch2flow.cli"), name
        at_head = {module.partition(".")[0] for module, inside in imported if not inside}
        assert not at_head & {"numpy", "ml_dtypes"} or name.startswith("torch2flow.proof.parity."), name


def imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Every module that is imported, and whether inside a function; not those for type checkers."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        above = list(ancestors(node, parents))
        if any(isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING" for n in above):
            continue
        inside = any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in above)
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        yield from ((name, inside) for name in names)


def ancestors(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    while node in parents:
        node = parents[node]
        yield node
