"""Modules that differ only in numbers, or in one module that some lack, are one class."""

from __future__ import annotations

import ast
import textwrap
from typing import Any

import pytest

from torch2flow.models.codegen.classes import ClassWriter
from torch2flow.models.codegen.literals import literal
from torch2flow.models.codegen.model import _numbered
from torch2flow.models.codegen.optional import find_optional, make_optional, outdated, without_child
from torch2flow.models.codegen.structures import (
    Construct,
    Container,
    Draft,
    Instance,
    New,
    Own,
    Repeated,
    Slot,
    Structures,
    same,
)


def linear(width: int, out: int, bias: bool = True) -> New:
    slots = {"in_features": Slot(width, "in_features"), "out_features": Slot(out, "out_features")}
    return New("nn.Linear", {**slots, "bias": Slot(bias, "bias", True)})


def norm(width: int, eps: float = 1e-5) -> New:
    return New("nn.LayerNorm", {"normalized_shape": Slot(width, "normalized_shape"), "eps": Slot(eps, "eps", 1e-5)})


def method(text: str) -> ast.FunctionDef:
    """A `forward`, each number marked with where it came from, as the writer of bodies does."""
    (made,) = ast.parse(textwrap.dedent(text)).body
    assert isinstance(made, ast.FunctionDef)
    for node in ast.walk(made):
        if isinstance(node, ast.Constant):
            node.hint = "scale"  # type: ignore[attr-defined]
    return made


def block(
    children: dict[str, Construct] | None = None,
    forward: str = "def forward(self, x):\n    return self.fc(x)",
    name: str = "Block",
    owns: tuple[Own, ...] = (),
) -> Draft:
    return Draft(name, "nn.Module", list(owns), children or {}, [method(forward)])


def written(structures: Structures, *instances: Instance, reserved: tuple[str, ...] = ()) -> list[str]:
    """Every class, and the construction of each instance."""
    texts = []
    for structure in structures.found.values():
        structure.name = structure.draft.class_name
        structure.settle(set(reserved))
    for structure in structures.found.values():
        texts.append(ast.unparse(ast.fix_missing_locations(ClassWriter(structure).write())))
    holder = Structures()
    for instance in instances:
        draft = Draft("Holder", "nn.Module", [], {"it": instance}, [])
        top = holder.add(draft).structure
        top.rows, top.draft = [list(instance.row)], draft
        texts.append(ast.unparse(ClassWriter(top).construct(instance)))
    return texts


def test_equal_modules_are_one_class_without_arguments() -> None:
    structures = Structures()
    first, second = (structures.add(block({"fc": linear(4, 8)})) for _ in range(2))
    assert first.structure is second.structure
    text, one, two = written(structures, first, second)
    assert "def __init__(self):" in text and "nn.Linear(4, 8)" in text
    assert one == two == "Block()"


def test_a_number_that_differs_is_an_argument() -> None:
    structures = Structures()
    made = [structures.add(block({"fc": linear(4, out)})) for out in (8, 16)]
    text, *rest = written(structures, *made)
    assert "def __init__(self, out_features):" in text and "nn.Linear(4, out_features)" in text
    assert rest == ["Block(8)", "Block(16)"]


def test_numbers_that_change_together_are_one_argument() -> None:
    structures = Structures()
    made = [structures.add(block({"fc": linear(4, width), "norm": norm(width)})) for width in (8, 16)]
    text, *rest = written(structures, *made)
    assert "nn.LayerNorm(out_features)" in text
    assert rest == ["Block(8)", "Block(16)"]


def test_numbers_that_change_apart_are_two_arguments() -> None:
    structures = Structures()
    widths = [(8, 8), (8, 16), (16, 16)]
    made = [structures.add(block({"fc": linear(4, out), "proj": linear(4, other)})) for out, other in widths]
    text, *rest = written(structures, *made)
    assert "def __init__(self, out_features, proj_out_features):" in text
    assert rest == ["Block(8, 8)", "Block(8, 16)", "Block(16, 16)"]


def test_an_argument_at_its_default_is_left_out() -> None:
    structures = Structures()
    made = [structures.add(block({"norm": norm(8, eps)})) for eps in (1e-5, 1e-6)]
    text, *rest = written(structures, *made)
    assert "def __init__(self, eps=1e-05):" in text
    assert rest == ["Block()", "Block(eps=1e-06)"]


def test_a_number_in_forward_is_kept_on_the_module() -> None:
    structures = Structures()
    forward = "def forward(self, x):\n    return self.fc(x) * {}"
    made = [structures.add(block({"fc": linear(4, 4)}, forward.format(scale))) for scale in (0.5, 2.0)]
    text, *rest = written(structures, *made)
    assert "self.scale = scale" in text and "self.fc(x) * self.scale" in text
    assert rest == ["Block(0.5)", "Block(2.0)"]


def test_a_number_of_a_parameter_is_an_argument() -> None:
    structures = Structures()

    def own(size: int) -> Own:
        call = ast.Call(ast.parse("flow.zeros").body[0].value, [literal(size, "size")], [])  # type: ignore[attr-defined]
        target = ast.Attribute(ast.Name("self", ast.Load()), "gamma", ast.Store())
        return Own("gamma", ast.Assign([target], call))

    made = [structures.add(block(owns=(own(size),))) for size in (4, 8)]
    text, *rest = written(structures, *made)
    assert "self.gamma = flow.zeros(size)" in text
    assert rest == ["Block(4)", "Block(8)"]


def test_a_reserved_name_is_no_argument() -> None:
    structures = Structures()
    for out in (8, 16):
        structures.add(block({"fc": linear(4, out)}))
    (text,) = written(structures, reserved=("out_features",))
    assert "def __init__(self, fc_out_features):" in text


@pytest.mark.parametrize(
    "other",
    [
        block({"fc": linear(4, 8)}, name="Other"),
        block({"fc": norm(4)}),
        block({"fc1": linear(4, 8)}),
        block({"fc": linear(4, 8)}, "def forward(self, x):\n    return self.fc(x) + x"),
        block({"fc": Container("nn.Sequential", {"0": linear(4, 8)})}),
    ],
)
def test_other_differences_make_another_class(other: Draft) -> None:
    structures = Structures()
    assert structures.add(block({"fc": linear(4, 8)})).structure is not structures.add(other).structure


def test_the_names_of_local_variables_are_no_difference() -> None:
    structures = Structures()
    left = structures.add(block(forward="def forward(self, x):\n    y = self.fc(x)\n    return y"))
    right = structures.add(block(forward="def forward(self, z):\n    out = self.fc(z)\n    return out"))
    assert left.structure is right.structure


def test_swapped_variables_are_a_difference() -> None:
    structures = Structures()
    left = structures.add(block(forward="def forward(self, x, y):\n    return x - y"))
    right = structures.add(block(forward="def forward(self, x, y):\n    return y - x"))
    assert left.structure is not right.structure


def test_a_bool_is_no_number() -> None:
    structures = Structures()
    left = structures.add(block(forward="def forward(self, x):\n    return x.f(True)"))
    right = structures.add(block(forward="def forward(self, x):\n    return x.f(False)"))
    assert left.structure is not right.structure


def test_the_same_construction_has_the_same_numbers() -> None:
    assert same(linear(4, 8), linear(4, 8))
    assert not same(linear(4, 8), linear(4, 9))
    assert not same(linear(4, 8), norm(4))
    assert not same(norm(4, 1), norm(4, True))


def test_repeated_modules_are_a_comprehension() -> None:
    structures = Structures()
    inner = structures.add(block({"fc": linear(4, 8)}))
    top = structures.add(
        Draft("Top", "nn.Module", [], {"layers": Repeated("nn.ModuleList", inner, Slot(3, "depth"))}, [])
    )
    assert "self.layers = nn.ModuleList([Block() for _ in range(3)])" in written(structures, top)[1]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["0", "1"], ""),
        (["layer_0", "layer_1"], "layer_{i}"),
        (["layer_1", "layer_2"], None),
        (["a", "b"], None),
        (["0", "2"], None),
        (["{x}0", "{x}1"], None),
        (["it's0", "it's1"], None),
    ],
)
def test_names_that_count_from_zero_are_a_pattern(names: list[str], pattern: str | None) -> None:
    assert _numbered(names) == pattern


# -- one module that some lack ---------------------------------------------------------------------------------

FULL = "def forward(self, x):\n    identity = self.down(x)\n    out = self.fc(x)\n    return out + identity"
SMALL = "def forward(self, x):\n    out = self.fc(x)\n    return out + x"


def residuals(*widths: tuple[int, int], optional: Any = None) -> tuple[Structures, list[Instance]]:
    structures = Structures(optional)
    made = []
    for width, out in widths:
        down: dict[str, Construct] = {"down": linear(width, out)} if width != out else {}
        draft = block({"fc": linear(width, out), **down}, FULL if down else SMALL)
        made.append(structures.add(draft))
    return structures, made


def test_a_module_that_some_lack_is_optional() -> None:
    widths = ((4, 4), (4, 8), (8, 8))
    optional = find_optional(residuals(*widths)[0])
    structures, made = residuals(*widths, optional=optional)
    text, *rest = written(structures, *made)
    assert "def __init__(self, in_features, out_features, down=False):" in text
    assert "self.down = nn.Linear(4, 8) if down else None" in text
    assert "identity = x if self.down is None else self.down(x)" in text
    assert rest == ["Block(4, 4)", "Block(4, 8, down=True)", "Block(8, 8)"]
    assert not outdated(structures) and not find_optional(structures)


def test_a_case_whose_modules_are_not_met_is_outdated() -> None:
    optional = find_optional(residuals((4, 4), (4, 8))[0])
    assert outdated(residuals((4, 8), optional=optional)[0]) == optional.keys()


def test_another_forward_is_no_case_of_it() -> None:
    structures = Structures()
    structures.add(block({"fc": linear(4, 8), "down": linear(4, 8)}, FULL))
    structures.add(block({"fc": linear(4, 4)}, SMALL.replace("out + x", "out - x")))
    assert find_optional(structures) == {}


def test_a_class_is_no_case_of_one_that_it_lies_in() -> None:
    structures = Structures()
    small = structures.add(block({"fc": linear(4, 4)}, "def forward(self, x):\n    return self.fc(x)"))
    structures.add(
        block({"fc": linear(4, 4), "inner": small}, "def forward(self, x):\n    return self.fc(self.inner(x))")
    )
    assert find_optional(structures) == {}


def test_a_module_is_taken_out_of_a_method_where_it_is_called_once() -> None:
    assert ast.unparse(without_child(method(FULL), "down")) == ast.unparse(method(SMALL))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "def forward(self, x):\n    return self.down(self.down(x))",
        "def forward(self, x):\n    return self.down(x, x)",
        "def forward(self, x):\n    return x @ self.down.weight",
        "def forward(self, x):\n    return self.fc(x)",
    ],
)
def test_a_module_used_otherwise_is_not_optional(text: str) -> None:
    assert without_child(method(text), "down") is None


def test_an_optional_module_is_tested_where_it_is_called() -> None:
    made = make_optional(method("def forward(self, x):\n    return x + self.down(x)"), "down")
    assert ast.unparse(made.body[0]) == "return x + (x if self.down is None else self.down(x))"
