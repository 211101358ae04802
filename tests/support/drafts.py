"""Drafts of classes for the tests of `models/codegen`, and how they are written."""

from __future__ import annotations

import ast
import textwrap

from torch2flow.models.codegen.blueprints import settle
from torch2flow.models.codegen.classes import ClassWriter
from torch2flow.models.codegen.drafts import Blueprint, Code, Construct, Draft, Instance, New, Own, Slot
from torch2flow.models.codegen.literals import Constant
from torch2flow.models.codegen.variants import merged_classes


def linear(width: int, out: int, bias: bool = True) -> New:
    slots = {"in_features": Slot(width, "in_features"), "out_features": Slot(out, "out_features")}
    return New(Slot(Code("nn.Linear")), {**slots, "bias": Slot(bias, "bias", True)})


def norm(width: int, eps: float = 1e-5) -> New:
    slots = {"normalized_shape": Slot(width, "normalized_shape"), "eps": Slot(eps, "eps", 1e-5)}
    return New(Slot(Code("nn.LayerNorm")), slots)


class _Marked(ast.NodeTransformer):
    """Gives each number the name of what it was given for."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return Constant(node.value, "scale")


def method(text: str) -> ast.FunctionDef:
    """A `forward`, each number marked with where it came from, as the writer of bodies does."""
    (made,) = ast.parse(textwrap.dedent(text)).body
    assert isinstance(made, ast.FunctionDef)
    _Marked().visit(made)
    return made


def block(
    children: dict[str, Construct] | None = None,
    forward: str = "def forward(self, x):\n    return self.fc(x)",
    name: str = "Block",
    owns: tuple[Own, ...] = (),
) -> Draft:
    return Draft(name, "nn.Module", list(owns), children or {}, [method(forward)])


def written(*drafts: Draft, reserved: tuple[str, ...] = ()) -> list[str]:
    """The class of each draft of one original class, and then how each module is made."""
    classes, made = [], {}
    for draft, members in merged_classes(list(drafts)):
        blueprint = Blueprint(draft, [member.row for member in members], [drafts[m.number].facts for m in members])
        blueprint.name = f"{draft.class_name}{len(classes) + 1 if classes else ''}"
        classes.append(blueprint)
        made.update({member.number: Instance(blueprint, member.row) for member in members})
    for blueprint in classes:
        settle(blueprint, set(reserved))
    texts = [ast.unparse(ast.fix_missing_locations(ClassWriter(blueprint).write())) for blueprint in classes]
    for number in range(len(drafts)):
        holder = Blueprint(Draft("Holder", "nn.Module", [], {"it": made[number]}, []), [list(made[number].row)])
        texts.append(ast.unparse(ClassWriter(holder).construct(made[number])))
    return texts
