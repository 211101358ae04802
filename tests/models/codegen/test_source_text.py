"""The one door through which a text of a file gets into source: as a checked name, a literal, or prose."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from torch2flow.models.codegen.literals import literal
from torch2flow.models.codegen.source_text import filled, identifier, unparsed, words
from torch2flow.models.program.identifiers import is_identifier

SOURCE = Path(__file__).resolve().parents[3] / "src" / "torch2flow"

NO_NAMES = [
    "", "a b", "a.b", "1a", "class", "None", "__debug__", "__class__", "__x", "ﬁ", "ｓelf", "µ", "²", "x\n", "x;y",
    "a" * 201, "\ud800", "\u202e", "ꟊ",
]  # fmt: skip
TEXTS = ['"""', "\\", '\\"', "'''", "a\nb", "\r", "\x00", "\u2028", "\u202e", "\x85", "{x}", "#", "\ud800", 'x"', "x\\"]


@pytest.mark.parametrize("text", NO_NAMES)
def test_what_is_no_name_to_every_python_is_never_printed_as_one(text: str) -> None:
    """`ꟊ` is a letter since Unicode 14: Python 3.10 has none of it."""
    assert not is_identifier(text)
    load, store = ast.Load(), ast.Store()
    name = ast.Name("x", load)
    for node in (
        ast.Name(text, load),
        ast.Attribute(name, text, load),
        ast.Call(name, [], [ast.keyword(text, name)]),
        ast.ClassDef(text, [], [], [ast.Pass()], []),
        ast.FunctionDef("f", ast.arguments([], [ast.arg(text)], None, [], [], None, []), [ast.Pass()], []),
        ast.Assign([ast.Name(text, store)], name),
    ):
        with pytest.raises(ValueError, match="is no name"):
            unparsed(node)
    with pytest.raises(ValueError, match="is no name"):
        identifier(text)


@pytest.mark.parametrize("text", ["x", "_", "é", "模型", "match", "type", "Ünï", "x_1"])
def test_names_are_printed_as_they_are(text: str) -> None:
    assert identifier(text) == text


def test_a_constant_that_is_no_plain_value_is_refused() -> None:
    class Value:
        def __repr__(self) -> str:
            return "__import__('os')"

    with pytest.raises(ValueError, match="a Value is no constant"):
        unparsed(ast.Constant(Value()))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_a_literal_or_prose(text: str) -> None:
    assert ast.literal_eval(unparsed(literal(text))) == text
    source = filled('"""{title}"""\n# {title}\nx = {value}\n', title=words(text), value=unparsed(literal(text)))
    source.encode()
    tree = ast.parse(source)
    assert [type(node) for node in tree.body] == [ast.Expr, ast.Assign] and source.count("\n") == 3
    assert all(letter.isprintable() or letter == "\n" for letter in source)


def test_prose_has_an_end() -> None:
    assert words("x" * 1000) == "x" * 80


def test_only_one_file_says_that_a_text_is_source() -> None:
    """Everywhere else the type checker refuses a text that did not come out of its functions."""
    makers = [path.name for path in SOURCE.rglob("*.py") if "SourceText(" in path.read_text("utf-8")]
    assert makers == ["source_text.py"]
