"""The OneFlow classes of `classes/` as source, to be copied into a generated model with all they need.

They are read as text and never imported: a conversion needs no OneFlow.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("classes")

KEYWORD: Any = type("_Keyword", (), {})
"""The default of an argument that must be given, and by its name."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function of `classes/`.

    Attributes:
        text: its source, comments included.
        tree: the same, parsed.
        needs: the other definitions it names.
    """

    text: str
    tree: ast.ClassDef | ast.FunctionDef
    needs: tuple[str, ...]


@cache
def library() -> dict[str, Definition]:
    """All definitions by name; each file's in its order."""
    found: dict[str, tuple[str, ast.ClassDef | ast.FunctionDef]] = {}
    for file in sorted(FOLDER.glob("*.py")):
        text = file.read_text("utf-8")
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.ClassDef | ast.FunctionDef):
                lines = text.split("\n")[statement.lineno - 1 : statement.end_lineno]
                found[statement.name] = ("\n".join(line.removesuffix("  # fmt: skip") for line in lines), statement)
    definitions = {}
    for name, (text, tree) in found.items():
        named = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
        needs = tuple(dict.fromkeys(each for each in named if each in found and each != name))
        definitions[name] = Definition(text, tree, needs)
    return definitions


def with_needs(names: list[str]) -> list[Definition]:
    """These definitions and all they need, each after those it needs."""
    ordered: dict[str, Definition] = {}

    def visit(name: str) -> None:
        if name not in ordered:
            definition = library()[name]
            for other in definition.needs:
                visit(other)
            ordered[name] = definition

    for name in names:
        visit(name)
    return list(ordered.values())


def arguments_of(function: ast.FunctionDef) -> dict[str, Any]:
    """The arguments of a function, or of a constructor, and their defaults; `...` for one without."""
    names = [argument.arg for argument in function.args.args if argument.arg != "self"]
    defaults = [_value(each) for each in function.args.defaults]
    given = dict(zip(names, [...] * (len(names) - len(defaults)) + defaults, strict=True))
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        given[argument.arg] = KEYWORD if default is None else _value(default)
    return given


def _value(node: ast.expr) -> Any:
    """A default's value; `1 / 3` is no literal for Python."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return ast.literal_eval(node.left) / ast.literal_eval(node.right)
    return ast.literal_eval(node)
