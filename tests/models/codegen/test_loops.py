"""Statements repeated for every module of a list become a loop; all else stays."""

from __future__ import annotations

import ast
import textwrap

import pytest

from torch2flow.models.codegen.loops import roll


class Lists:
    """Lists of modules, by name, with their lengths; `self.block1`, `self.block2`, ... where `blocks` is one."""

    def __init__(self, lengths: dict[str, int]) -> None:
        self.lengths = lengths

    def item(self, node: ast.AST) -> tuple[str, int] | None:
        match node:
            case ast.Subscript(value=ast.expr() as owner, slice=ast.Constant(value=int() as index)):
                return (ast.unparse(owner), index) if ast.unparse(owner).startswith("self.") else None
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name[5:].isdigit():
                return "self.block{i}", int(name.removeprefix("block")) - 1
        return None

    def length(self, owner: str) -> int:
        return self.lengths.get("blocks" if "{i}" in owner else owner.rpartition(".")[2], 0)

    def iterated(self, owner: str) -> str:
        return "self.children()" if "{i}" in owner else owner


def rolled(text: str, **lists: int) -> str:
    loops = roll(ast.parse(textwrap.dedent(text)).body, Lists(lists))
    return "\n".join(ast.unparse(ast.fix_missing_locations(each)) for each in loops)


def same(left: str, right: str) -> bool:
    return left == textwrap.dedent(right).strip()


def test_a_repeated_call_is_a_loop() -> None:
    assert same(
        rolled("x = self.layers[0](x)\nx = self.layers[1](x)\nx = self.layers[2](x)\nreturn x", layers=3),
        "for layer in self.layers:\n    x = layer(x)\nreturn x",
    )


def test_modules_with_numbered_names_are_looped_over() -> None:
    text = "features = [x]\nfor n in range(3):\n    pass\n"
    calls = "".join(f"new = self.block{n}(features)\nfeatures.append(new)\n" for n in (1, 2, 3))
    assert rolled(text + calls, blocks=3).endswith(
        "for block in self.children():\n    new = block(features)\n    features.append(new)"
    )


def test_several_statements_are_one_round() -> None:
    text = "y = self.layers[{0}](x)\nx = x + y\n"
    assert same(
        rolled("".join(text.format(n) for n in range(3)), layers=3),
        "for layer in self.layers:\n    y = layer(x)\n    x = x + y",
    )


def test_two_lists_are_zipped_the_first_used_first() -> None:
    text = "x = self.norms[{0}](x + self.layers[{0}](x))\n"
    assert rolled("".join(text.format(n) for n in range(2)), layers=2, norms=2).startswith("for ")
    assert "in zip(" in rolled("".join(text.format(n) for n in range(2)), layers=2, norms=2)


def test_a_first_round_that_reads_another_name_is_prepared() -> None:
    assert same(
        rolled("y = self.layers[0](x)\ny = self.layers[1](y)\ny = self.layers[2](y)", layers=3),
        "y = x\nfor layer in self.layers:\n    y = layer(y)",
    )


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("x = self.layers[0](x)\nx = self.layers[1](x) + 1", {"layers": 2}),
        ("x = self.layers[0](x)\nx = self.layers[2](x)", {"layers": 2}),
        ("x = self.layers[0](x)\nx = self.layers[1](x)", {"layers": 3}),
        ("x = self.layers[1](x)\nx = self.layers[0](x)", {"layers": 2}),
        ("x = self.layers[0](x)", {"layers": 1}),
        ("x = self.layers[0](x)\nx = self.layers[1](x)", {}),
        ("x = self.layers[0](x)\ny = self.layers[1](x)", {"layers": 2}),
        ("a = x[0](x)\na = x[1](x)", {"x": 2}),
    ],
)
def test_what_is_not_the_same_for_every_module_stays(text: str, lists: dict[str, int]) -> None:
    assert rolled(text, **lists) == text


def test_a_name_that_is_taken_is_not_the_variables() -> None:
    assert same(
        rolled("layer = self.layers[0](layer)\nlayer = self.layers[1](layer)", layers=2),
        "for module in self.layers:\n    layer = module(layer)",
    )


def test_numbers_that_are_no_modules_stay() -> None:
    assert same(
        rolled("x = self.layers[0](x, y[0])\nx = self.layers[1](x, y[0])", layers=2),
        "for layer in self.layers:\n    x = layer(x, y[0])",
    )


def test_a_list_within_a_module_is_found_by_its_name() -> None:
    statements = ast.parse("x = self.encoder.blocks[0](x)\nx = self.encoder.blocks[1](x)").body
    (loop,) = roll(statements, Lists({"blocks": 2}))
    assert ast.unparse(ast.fix_missing_locations(loop)) == "for block in self.encoder.blocks:\n    x = block(x)"


def test_a_part_of_a_list_is_no_loop() -> None:
    """A loop goes over the whole list: three statements for a list of four, and a fourth that differs, stay."""
    text = "y = self.layers[0](x)\ny = self.layers[1](y)\ny = self.layers[2](y)\nx = self.layers[3](y)"
    assert rolled(text, layers=4) == text


def test_what_comes_before_and_after_stays_in_place() -> None:
    assert same(
        rolled("x = self.stem(x)\nx = self.blocks[0](x)\nx = self.blocks[1](x)\nreturn self.head(x)", blocks=2),
        "x = self.stem(x)\nfor block in self.blocks:\n    x = block(x)\nreturn self.head(x)",
    )


def test_two_loops_one_after_the_other() -> None:
    text = "x = self.a_blocks[0](x)\nx = self.a_blocks[1](x)\nx = self.b_blocks[0](x)\nx = self.b_blocks[1](x)"
    assert rolled(text, a_blocks=2, b_blocks=2).count("for ") == 2
