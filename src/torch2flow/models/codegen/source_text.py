"""Text that is Python source. Names and values out of a file become a part of it only here.

    name      a node of `ast`; `unparsed` prints no tree with a name in it that is no checked identifier
    value     `literals.literal` makes a node of it, which prints as Python's own `repr`
    prose     `words`, for docstrings and comments: one line without quotes and backslashes
    file      `filled`, a template of ours with such pieces in it

What writes a file of source takes a `SourceText`, so the type checker refuses a text that went past these functions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from torch2flow.checkpoints.writing.kernel_copy import write_file
from torch2flow.models.program.identifiers import is_identifier

LINE_LENGTH = 100
OURS = {"__init__", "__file__", "__name__"}
"""The names with two underscores that our own helpers use."""
_PLAIN = (bool, int, float, complex, str, type(None), type(...))


class SourceText(str):
    """Python source, or a piece of it. Only the functions of this file make one."""

    __slots__ = ()


def words(text: str, longest: int = 80) -> SourceText:
    """A text as prose: nothing in it can end a docstring or a comment, or change how the text around it looks."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    return SourceText(plain.replace("\\", "/").replace('"', "'").strip()[:longest])


def identifier(text: str) -> SourceText:
    """A name.

    Raises:
        ValueError: the text is none.
    """
    return unparsed(ast.Name(text, ast.Load()))


def filled(template: str, **parts: SourceText) -> SourceText:
    """A template that is a constant of ours, with its `{fields}` filled; as it is where there are none to fill."""
    return SourceText(template.format(**parts) if parts else template)


def copied(code: str) -> SourceText:
    """The source of functions of ours, or of a user's rules, as Python has read it; never a text of a checkpoint.

    Raises:
        SyntaxError: it is no source.
    """
    ast.parse(code)
    return SourceText(code)


def joined(parts: Sequence[SourceText], between: str) -> SourceText:
    """Sources with empty lines between them."""
    return SourceText(between.join(parts))


def unparsed(tree: ast.AST | Sequence[ast.stmt]) -> SourceText:
    """A tree, or statements, as source.

    Raises:
        ValueError: a name or a constant is none that we make.
    """
    body = [tree] if isinstance(tree, ast.AST) else tree
    for each in body:
        _check(each)
    return SourceText("\n\n".join(ast.unparse(ast.fix_missing_locations(each)) for each in body))


def assembled(head: SourceText, helpers: Sequence[SourceText], body: list[ast.stmt]) -> SourceText:
    """A whole file of source, formatted: its docstring and imports, helpers, and statements."""
    text = unparsed(body) + "\n"
    text = re.sub(r"(class .*:\n)\n", r"\1", text)
    text = re.sub(r"^( *return )\((.+)\)$", _without_parentheses, text, flags=re.MULTILINE)
    copied = "\n\n\n".join(helpers)
    return formatted(SourceText(f"{head}{copied}\n\n\n{text}"))


def write_python(path: Path, source: SourceText) -> None:
    """Writes a file of source."""
    write_file(path, source.encode("utf-8"))


def formatted(source: SourceText) -> SourceText:
    """Python source as a standard formatter writes it."""
    from black import Mode, format_str
    from black.mode import TargetVersion

    mode = Mode({TargetVersion.PY37}, LINE_LENGTH)  # A part of a file does not tell which Python it is for.
    return SourceText(format_str(source, mode=mode))


def _check(tree: ast.AST) -> None:
    """Refuses a name that is no identifier, and a constant that prints as something else than a value.

    Raises:
        ValueError: there is one.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, _PLAIN):
                raise ValueError(f"a {type(node.value).__name__} is no constant")
            continue
        for part in ("id", "attr", "arg", "name"):
            name = getattr(node, part, None)
            if name is not None and not isinstance(name, ast.AST) and not is_identifier(name) and name not in OURS:
                raise ValueError(f"{str(name)[:50]!r} is no name that Python code can have")


def _without_parentheses(match: re.Match[str]) -> str:
    """`return a, b`: `ast.unparse` puts every tuple in parentheses."""
    depth = 0
    for character in match[2]:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return match[0]
    tuple_ = isinstance(ast.parse(f"({match[2]})", mode="eval").body, ast.Tuple)
    return f"{match[1]}{match[2]}" if tuple_ else match[0]
