"""What the author's lines call a value, whatever it is called here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch2flow.models.codegen.borders import leaf
from torch2flow.models.codegen.names import call_arguments, is_name, read_names, statement_targets
from torch2flow.models.codegen.steps import Step, Steps
from torch2flow.models.program import Frame, Node
from torch2flow.models.program.calls import Call


class Surroundings(Protocol):
    """What the names of a body depend on outside of it."""

    def is_reserved(self, name: str) -> bool: ...

    def producer(self, value: str) -> Node | None: ...

    def input_name(self, value: str) -> str: ...

    def frames(self, call: Call) -> tuple[Frame, ...]: ...

    def returned_name(self, call: Call) -> str: ...


@dataclass(frozen=True, slots=True)
class AuthorsNames:
    """Looks for names in the lines of one body, and in those of its caller."""

    steps: Steps
    around: Surroundings

    def made_as(self, value: str) -> str:
        """What the value is called where it is made, deep inside another module."""
        node = self.around.producer(value)
        found = next((f for lines in reversed(node.lines) if (f := statement_targets(lines))), ()) if node else ()
        return found[0] if len(found) == 1 and is_name(found[0]) else ""

    def seen_as(self, value: str) -> str:
        """What this body, or its caller, calls a value from outside; the surest sign first."""
        users = [step for step in self.steps.steps if value in step.inputs and step.line is not None]
        for look in (self._passed_on_as, self.alone_as):
            for step in users:
                if is_name(found := look(step, value)):
                    return found
        passed = self._passed_as(value)
        if is_name(passed):
            return passed
        return next((found for step in users if is_name(found := self._ordered_as(step, value))), "")

    def _passed_on_as(self, step: Step, value: str) -> str:
        """`self.fc1(hidden)`."""
        if not step.child or step.line is None:
            return ""
        passed = call_arguments(step.line.text, step.child)
        if isinstance(step.item, Call) and step.item.border is not None:
            given = [each for _, each in step.item.border.arguments]
        else:
            given = [leaf(each) for each in step.inputs]
        position = next((n for n, each in enumerate(given) if each.kind == "value" and each.value == value), -1)
        return passed[position] if len(passed) == len(given) and position >= 0 else ""

    def alone_as(self, step: Step, value: str) -> str:
        """`F.relu(hidden)`: one variable, and one operand."""
        seen = read_names(step.line.text) if step.line is not None else ()
        return seen[0] if len(seen) == 1 and set(step.inputs) == {value} and not step.opaque else ""

    def _ordered_as(self, step: Step, value: str) -> str:
        """`q @ k`: as many variables as operands."""
        seen = read_names(step.line.text) if step.line is not None else ()
        distinct = list(dict.fromkeys(step.inputs))
        return seen[distinct.index(value)] if len(seen) == len(distinct) and not step.opaque else ""

    def _passed_as(self, value: str) -> str:
        """What a caller calls a value that it passes: as what it was assigned, or the input of the whole model."""
        node = self.around.producer(value)
        if node is None:
            return self.around.input_name(value)
        shared = 0
        for made, used in zip(node.frames, self.around.frames(self.steps.call), strict=False):
            if made.key != used.key:
                break
            shared += 1
        lines = node.lines[shared - 1] if 0 < shared <= len(node.lines) else ()
        found = statement_targets(lines)
        if len(found) == 1:
            return found[0]
        return found[node.outputs.index(value)] if len(found) == len(node.outputs) else ""
