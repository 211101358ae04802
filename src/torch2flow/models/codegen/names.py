"""Local names, taken from the author's own source lines.

    out = self.relu(self.bn1(self.conv1(x)))       the value is `out`, what goes in is `x`
    q, k, v = qkv.unbind(0)                        the three values are `q`, `k`, `v`

A traceback shows one line of each statement, so a long statement may be cut; its target is still read.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Callable
from functools import cache

from torch2flow.models.program import Line
from torch2flow.models.program.identifiers import is_identifier

_TARGET = re.compile(r"([A-Za-z_][\w.]*(?: ?, ?[A-Za-z_*][\w.]*)*) ?,? ?(?::[^=]+)?(?:[-+*/@&|^]|//|\*\*|<<|>>)?=(?!=)")
"""In a line whose spaces are single: no part of it can be matched in two ways."""
_CALL = re.compile(r"\w ?\(")
_CLOSING = ("", ")", "))", ")))", "]", ")]", "])", ":", "\n    pass", ") + 0", "}")
LONGEST_NAME = 100
NOT_VALUES = {"self", "torch", "F", "nn", "np", "math", "None", "True", "False", "int", "float", "len", "range"}

RESERVED = {
    "flow", "nn", "F", "math", "copy", "self", "Path", "OrderedDict", "NamedTuple", "constant", "missing_operator",
    "super", "getattr", "setattr", "range", "zip", "float", "max", "min",
}  # fmt: skip
"""Names that the source itself uses."""

OF_EVERY_MODULE = {
    "T_destination", "add_module", "apply", "buffers", "children", "cpu", "cuda", "double", "eval", "extra_repr",
    "float", "forward", "half", "load_state_dict", "modules", "named_buffers", "named_children", "named_modules",
    "named_parameters", "parameters", "register_buffer", "register_forward_hook", "register_forward_pre_hook",
    "register_parameter", "requires_grad_", "state_dict", "to", "to_consistent", "to_global", "to_local", "train",
    "training", "zero_grad", "_apply", "_backward_hooks", "_buffers", "_forward_hooks", "_forward_pre_hooks",
    "_get_name", "_is_ddp_module", "_is_full_backward_hook", "_load_from_state_dict", "_load_state_dict_pre_hooks",
    "_modules", "_named_members", "_non_persistent_buffers_set", "_oneflow_internal_module_tensor_applied_dict__",
    "_parameters", "_save_to_state_dict", "_shallow_repr", "_state_dict_hooks",
}  # fmt: skip
"""The attributes of every `oneflow.nn.Module` (0.9.0): nothing else in a module can have such a name."""

OF_CONTAINERS = {"append", "clear", "extend", "insert", "items", "keys", "pop", "update", "values"}
"""What `nn.ModuleList` and `nn.ModuleDict` have beside it."""


def is_taken(name: str) -> bool:
    """Whether no module can hold anything of this name, since it is something else there."""
    return name in OF_EVERY_MODULE or (name.startswith("__") and name.endswith("__"))


@cache
def targets(text: str) -> tuple[str, ...]:
    """The names a source line assigns to: `("q", "k")`; attributes and subscripts give "" in their place.

    Those of `output, (hidden, cell) = ...` are three.
    """
    head, equals, rest = " ".join(text.split()).partition("=")
    if not _CALL.search(head):
        head = head.replace("(", "").replace(")", "")
    match = _TARGET.match(head + equals + rest)
    if match is None:
        return ()
    return tuple(name if is_name(name) else "" for name in map(str.strip, match[1].split(",")))


@cache
def is_return(text: str) -> bool:
    return text.startswith(("return ", "return(")) or text == "return"


@cache
def parsed(text: str) -> ast.AST | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's opinion of the author's line is nothing for our user.
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
    """Whether a text can follow a dot: the name of a module, or of what it holds."""
    return is_identifier(text) and text not in OF_EVERY_MODULE


def is_name(text: str) -> bool:
    """Whether a text can be a local variable."""
    return is_identifier(text) and text not in NOT_VALUES and len(text) < 60


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
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"[\W_]+", text[:LONGEST_NAME]) if part)
    if not is_identifier(name):
        name = "".join(letter for letter in name if letter.isascii())
    return name if is_identifier(name) else f"Module{name}"


def record_name(text: str) -> str:
    """The name of the class of an object with fields, by the full name of the author's class."""
    name = class_name(text.rpartition(".")[2])
    return f"{name}Record" if name in RESERVED or hasattr(builtins, name) else name
