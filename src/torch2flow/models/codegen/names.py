"""Local names, taken from the author's own source lines.

    out = self.relu(self.bn1(self.conv1(x)))       the value is `out`, what goes in is `x`
    q, k, v = qkv.unbind(0)                        the three values are `q`, `k`, `v`

A traceback shows one line of each statement, so a long statement may be cut; its target is still read.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable
from functools import cache

from torch2flow.models.program import Line

_TARGET = re.compile(
    r"^([A-Za-z_][\w.]*(?:\s*,\s*[A-Za-z_*][\w.]*)*)\s*,?\s*(?::[^=]+)?(?:[-+*/@&|^]|//|\*\*|<<|>>)?=(?!=)"
)
_CLOSING = ("", ")", "))", ")))", "]", ")]", "])", ":", "\n    pass", ") + 0", "}")
NOT_VALUES = {"self", "torch", "F", "nn", "np", "math", "None", "True", "False", "int", "float", "len", "range"}

RESERVED = {
    "flow", "nn", "F", "math", "copy", "self", "Path", "OrderedDict", "NamedTuple", "constant", "missing_operator",
    "super", "getattr", "range", "zip", "float", "max", "min",
}  # fmt: skip
"""Names that the source itself uses."""


@cache
def targets(text: str) -> tuple[str, ...]:
    """The names a source line assigns to: `("q", "k")`; attributes and subscripts give "" in their place."""
    match = _TARGET.match(text)
    if match is None:
        return ()
    return tuple(name if is_name(name) else "" for name in re.split(r"\s*,\s*", match[1]))


@cache
def is_return(text: str) -> bool:
    return text.startswith(("return ", "return(")) or text == "return"


@cache
def parsed(text: str) -> ast.AST | None:
    for closing in _CLOSING:
        try:
            return ast.parse(text + closing)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


@cache
def read_names(text: str) -> tuple[str, ...]:
    """The variables a source line reads, each once, in order."""
    tree = parsed(text)
    if tree is None:
        return ()
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and id(node) not in called
        and node.id not in NOT_VALUES
    ]
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in names if is_name(node.id)))


@cache
def operations(text: str) -> int:
    """How many calls a source line can stand for by itself; a line that is cut can stand for a few more."""
    tree = parsed(text)
    if tree is None:
        return 8
    kinds = (ast.Call, ast.BinOp, ast.Subscript, ast.Compare, ast.UnaryOp, ast.AugAssign, ast.BoolOp)
    # An index may be several slices, a call may bring a cast or a reshape with it.
    return 2 * sum(isinstance(node, kinds) for node in ast.walk(tree)) + 1


@cache
def selected(text: str) -> tuple[int | str, ...]:
    """The part of a call's result that a line assigns: `(0,)` for `x = self.attn(x)[0]`, `()` for the whole."""
    tree = parsed(text)
    statement = tree.body[0] if isinstance(tree, ast.Module) and tree.body else None
    value = statement.value if isinstance(statement, ast.Assign) else None
    match value:
        case ast.Subscript(value=ast.Call(), slice=ast.Constant(value=int() | str() as key)):
            return (key,)
        case ast.Attribute(value=ast.Call(), attr=key):
            return (key,)
    return ()


@cache
def puts_together(text: str) -> bool:
    """Whether a line names a list, tuple, dict or object that it makes: `pairs = [(x, x + 1)]`, `state = State(h)`."""
    tree = parsed(text)
    statement = tree.body[0] if isinstance(tree, ast.Module) and tree.body else None
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    match statement.value:
        case ast.List() | ast.Dict() | ast.ListComp() | ast.DictComp():
            return True
        case ast.Tuple():
            return not isinstance(statement.targets[0], ast.Tuple)
        case ast.Call(func=ast.Name(id=name)):
            return name[:1].isupper()
    return False


@cache
def call_arguments(text: str, attribute: str) -> tuple[str, ...]:
    """The variables passed, by position or keyword, to `self.attribute(...)`; "" for anything but a variable.

    `attribute` may be the name of a loop variable too: then it is the only call of a plain name in the line.
    """
    tree = parsed(text)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == attribute]
    plain = [call for call in calls if isinstance(call.func, ast.Name | ast.Subscript)]
    chosen = named or (plain if len(plain) == 1 else [])
    if not chosen:
        return ()
    if any(each.arg is None for each in chosen[0].keywords):
        return ()  # `**kwargs`: what it brings is not in the line.
    values = [*chosen[0].args, *(each.value for each in chosen[0].keywords)]
    return tuple(value.id if isinstance(value, ast.Name) and is_name(value.id) else "" for value in values)


def is_attribute(text: str) -> bool:
    """Whether a text can follow a dot."""
    return text.isidentifier() and not keyword.iskeyword(text)


def is_name(text: str) -> bool:
    """Whether a text can be a local variable."""
    return text.isidentifier() and not keyword.iskeyword(text) and text not in NOT_VALUES and len(text) < 60


def statement_targets(lines: tuple[Line, ...]) -> tuple[str, ...]:
    """The names given to a value, from the innermost line out: what a function returns is named by its caller."""
    for line in reversed(lines):
        found = targets(line.text)
        if found:
            return found
        if not is_return(line.text):
            return ()
    return ()


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name itself, or the first of `name_2`, `name_3`, ... that is free."""
    candidate, count = name, 1
    while is_taken(candidate):
        count += 1
        candidate = f"{name}_{count}"
    return candidate


def singular(name: str) -> str:
    """`layers` for one of them: `layer`."""
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    if name.endswith(("sses", "xes", "ches")):
        return name[:-2]
    if name.endswith("s") and not name.endswith("ss") and len(name) > 2:
        return name[:-1]
    return "layer" if len(name) <= 2 else "block" if name == "layer" else f"each_{name}"


def class_name(text: str) -> str:
    """A text as a class name: `out_proj` gives `OutProj`."""
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W+|_", text) if part)
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"Module{name}"
