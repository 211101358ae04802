"""Notes which branches, masks and clamps of a generated model its runs have used, and tells what none has.

A comparison says nothing of code that did not run, of a mask that was never true, of a clamp that never clamped. So the
source is compiled with a call around each test, each mask and each clamp, which notes what it sees; line numbers and
results stay the same.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch2flow.models.lowering.modules.library import library

NOTING = "_torch2flow_noting"
"""The name by which the compiled source calls the object that notes."""

CLAMPS = ("clamp", "clip", "relu6", "hardtanh")
"""Functions that leave most values as they are, and bound the others."""

BELOW, ABOVE, TRUE, FALSE = "below", "above", "true", "false"

WORDS = {
    TRUE: "`{}` was never true",
    FALSE: "`{}` was never false",
    BELOW: "`{}` never met a smaller value",
    ABOVE: "`{}` never met a larger value",
}


@dataclass(frozen=True)
class UsedPlace:
    """A test, a mask or a clamp of the source.

    Attributes:
        line, end: of the statement that hangs on it.
        text: the source of it.
        wanted: what runs should have seen.
    """

    line: int
    end: int
    text: str
    wanted: frozenset[str]


@dataclass
class Exercised:
    """What the runs of a model have seen.

    Attributes:
        places: by number.
        seen: what was seen of each.
    """

    places: list[UsedPlace] = field(default_factory=list)
    seen: dict[int, set[str]] = field(default_factory=dict)

    def compiled(self, source: str, file: str) -> Any:
        """The code of a source that notes what it sees."""
        self.places = []
        tree = _Around(self).visit(ast.parse(source))
        return compile(ast.fix_missing_locations(tree), file, "exec")

    def place(self, node: ast.expr, around: ast.AST, text: str, wanted: frozenset[str]) -> ast.expr:
        """The number of a new place, as an expression."""
        end = getattr(around, "end_lineno", None) or node.lineno
        self.places.append(UsedPlace(node.lineno, end, text, wanted))
        return ast.Constant(len(self.places) - 1)

    # -- called by the compiled source -------------------------------------------------------------------------

    def test(self, number: int, value: Any) -> Any:
        """Notes the outcome of a test."""
        outcome = bool(value)
        self.seen.setdefault(number, set()).add(TRUE if outcome else FALSE)
        return value

    def mask(self, number: int, value: Any) -> Any:
        """Notes whether a mask holds true and false."""
        if self._asked(number, value):
            flags = value.numpy().astype(bool)
            seen = self.seen.setdefault(number, set())
            seen |= ({TRUE} if flags.any() else set()) | (set() if flags.all() else {FALSE})
        return value

    def clamp(self, number: int, function: Callable[[Any], Any], value: Any) -> Any:
        """Notes whether a function has bounded a value."""
        result = function(value)
        if self._asked(number, value):
            before, after = value.detach().numpy(), result.detach().numpy()
            seen = self.seen.setdefault(number, set())
            seen |= ({BELOW} if (after > before).any() else set()) | ({ABOVE} if (after < before).any() else set())
        return result

    def _asked(self, number: int, value: Any) -> bool:
        """Whether something of a tensor is not known yet; in graph mode it has no values."""
        return not self.places[number].wanted <= self.seen.get(number, set()) and not getattr(value, "is_lazy", True)

    # ----------------------------------------------------------------------------------------------------------

    def left_out(self) -> list[tuple[int, int, str]]:
        """What no run has seen: first and last line, and a sentence; what lies in another is left to it."""
        found: list[tuple[int, int, str]] = []
        for number, place in enumerate(self.places):
            inside = any(line < place.line <= end for line, end, _ in found)
            for outcome in sorted(place.wanted - self.seen.get(number, set())):
                if not inside:
                    found.append((place.line, place.end, WORDS[outcome].format(place.text)))
        return found


class _Around(ast.NodeTransformer):
    """Puts the calls around; constructors, and helpers and classes that are torch2flow's own, stay as they are."""

    def __init__(self, noting: Exercised) -> None:
        self.noting, self.depth = noting, 0

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        ours = library().get(node.name)
        if ours is not None and ast.get_docstring(node) == ast.get_docstring(ours.tree):
            return node
        for index, part in enumerate(node.body):
            if isinstance(part, ast.FunctionDef) and part.name != "__init__":
                node.body[index] = self.generic_visit(part)  # type: ignore[call-overload]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return node

    def visit_If(self, node: ast.If) -> Any:
        if all(isinstance(part, ast.Raise) for part in node.body):
            return node
        node.test = self._test(node.test, node)
        return self.generic_visit(node)

    def visit_While(self, node: ast.While) -> Any:
        if not isinstance(node.test, ast.Constant):
            node.test = self._test(node.test, node)
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        node.test = self._test(node.test, node)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        text, masks = ast.unparse(node), [ast.unparse(each) for each in node.args]
        self.generic_visit(node)
        module = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in ("flow", "F")
        if name in ("masked_fill", "where"):
            at = 1 if module and name == "masked_fill" else 0
            if at < len(node.args):
                mask = node.args[at]
                number = self.noting.place(mask, node, masks[at], frozenset((TRUE, FALSE)))
                node.args[at] = _called("mask", number, mask)
        elif name in CLAMPS and (not module or node.args):
            return self._clamp(node, module, text)
        return node

    def _clamp(self, node: ast.Call, module: bool, text: str) -> ast.expr:
        bounds = [*node.args[1 if module else 0 :], *(each.value for each in node.keywords)]
        names = {each.arg for each in node.keywords}
        wanted = {BELOW, ABOVE}
        if len(bounds) == 1 and names & {"min", "max", "min_val", "max_val"}:
            wanted = {BELOW if names & {"min", "min_val"} else ABOVE}
        argument = ast.Name("_value", ast.Load())
        if module:
            value, node.args[0] = node.args[0], argument
        else:
            assert isinstance(node.func, ast.Attribute)
            value, node.func.value = node.func.value, argument
        number = self.noting.place(value, node, text, frozenset(wanted))
        arguments = ast.arguments([], [ast.arg("_value")], None, [], [], None, [])
        return ast.copy_location(_called("clamp", number, ast.Lambda(arguments, node), value), value)

    def _test(self, test: ast.expr, around: ast.AST) -> ast.expr:
        number = self.noting.place(test, around, ast.unparse(test), frozenset((TRUE, FALSE)))
        return ast.copy_location(_called("test", number, test), test)


def _called(method: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(NOTING, ast.Load()), method, ast.Load()), list(arguments), [])
