"""Puts the file together: what it is, its imports, helpers, classes; formatted by black."""

from __future__ import annotations

import ast
import builtins
import contextlib
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from torch2flow._version import __version__
from torch2flow.checkpoints.pytorch.tensor import TensorRef
from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen import constants, operators
from torch2flow.models.codegen.adjustments import Adjustments
from torch2flow.models.codegen.alignment import CannotMergeError
from torch2flow.models.codegen.blueprints import settle
from torch2flow.models.codegen.classes import ClassWriter
from torch2flow.models.codegen.constants import Constants
from torch2flow.models.codegen.drafts import Blueprint, Instance, New, blueprints_in
from torch2flow.models.codegen.library_classes import copied_classes
from torch2flow.models.codegen.literals import attribute
from torch2flow.models.codegen.model import ModelWriter
from torch2flow.models.codegen.names import RESERVED
from torch2flow.models.codegen.operators import Missing
from torch2flow.models.codegen.size_checks import size_notes
from torch2flow.models.codegen.source_text import SourceText, assembled, filled, words
from torch2flow.models.lowering.modules.library import with_needs
from torch2flow.models.program import Graph, Ref, SymInt
from torch2flow.models.program.author_functions import with_functions, without_functions
from torch2flow.models.program.both_modes import joined
from torch2flow.models.program.budget import MALFORMED
from torch2flow.models.program.complex_numbers import complex_notes, without_complex_numbers
from torch2flow.models.program.control_flow import COMPARE, COND, WHILE
from torch2flow.models.program.functional import functionalize
from torch2flow.models.program.train_mode import mode_notes
from torch2flow.models.program.vocabulary import modernize


@dataclass(slots=True)
class Source:
    """A model as source.

    Attributes:
        text: the whole file.
        root: the name of the model's class.
        constants: tensors the source loads from `constants/`, by name.
        missing: the operators no rule could write; their places in `text` raise.
        notes: what a person should know of the model.
    """

    text: SourceText
    root: str
    constants: dict[str, TensorRef] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def missing_lines(self) -> list[str]:
        """One line for each operator without a rule: how often, where first, why, and which rule is closest."""
        places: dict[tuple[str, str], list[Missing]] = {}
        for each in self.missing:
            places.setdefault((each.target, each.reason), []).append(each)
        lines = []
        for (target, reason), found in places.items():
            first = found[0]
            line = f" ({first.line})" if first.line else ""
            hint = f"; closest: {first.closest}" if first.closest else ""
            count = "once" if len(found) == 1 else f"{len(found)} times, first"
            lines.append(f"{target}: {count} in {first.path or 'the model itself'}{line}: {reason}{hint}")
        return lines


def write_source(graph: Graph, tensors: dict[str, TensorRef], origin: str = "") -> Source:
    """The OneFlow source of a program.

    Args:
        graph: the program, as read.
        tensors: its buffers and constants that are not in the `state_dict()`, by name.
        origin: the file it came from, for the docstring.

    Raises:
        UnsupportedError: the program does something that no source is written for.
    """
    if graph.functions or (graph.other is not None and graph.other.functions):
        with contextlib.suppress(UnsupportedError, *MALFORMED):
            source = _written(_of_programs(graph, with_functions), tensors, origin)
            if not source.missing:
                return source
    return _written(_of_programs(graph, without_functions), tensors, origin)


def _of_programs(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """The programs of both modes, each changed."""
    return replace(change(graph), other=None if graph.other is None else change(graph.other))


def _written(graph: Graph, tensors: dict[str, TensorRef], origin: str) -> Source:
    if graph.other is not None:
        with contextlib.suppress(CannotMergeError, UnsupportedError, *MALFORMED):
            source = _source_of_both_modes(graph, graph.other, tensors, origin)
            if source is not None and not source.missing:
                return source
    known = Constants(tensors)
    return _source(_functional(replace(graph, other=None), known), graph, known, origin)


def _source_of_both_modes(graph: Graph, other: Graph, tensors: dict[str, TensorRef], origin: str) -> Source | None:
    """The source with `if self.training:` where the modes differ; None where the programs do not belong together."""
    known = Constants(tensors)
    programs = [_functional(each, known) for each in (replace(graph, other=None), other)]
    both = joined(*(programs if graph.mode == "eval" else programs[::-1]))
    return None if both is None else _source(both, graph, known, origin)


def _functional(graph: Graph, known: Constants) -> Graph:
    return modernize(functionalize(without_complex_numbers(graph), known.numbers(graph.states)))


def _source(graph: Graph, original: Graph, known: Constants, origin: str) -> Source:
    writer = ModelWriter(graph, known.expression)
    root = writer.write()
    order = _ordered(root.blueprint)
    uses = writer.uses()
    functions = [each.name for each in writer.functions]
    _name(
        order,
        {
            *RESERVED,
            *dir(builtins),
            *writer.records,
            *functions,
            *(each.tree.name for each in with_needs(sorted(uses))),
        },
    )
    classes = [ClassWriter(blueprint).write() for blueprint in order]
    mixed = _adjust(classes[-1], writer)
    helpers = writer.operators.recorder.helpers.definitions()
    if writer.operators.missing:
        helpers += ast.parse(textwrap.dedent(operators.MISSING_HELPER)).body
    if known.stored:
        helpers += ast.parse(textwrap.dedent(constants.HELPER)).body
    helpers += list(_records(writer))
    body: list[ast.stmt] = [*helpers, *writer.functions, *copied_classes(classes, uses), *classes]
    text = assemble(header(root.blueprint.name, origin, graph.producer), body)
    notes = [*_notes(graph, writer), *complex_notes(original, writer.inputs_tree.values), *mixed]
    return Source(text, root.blueprint.name, known.stored, writer.operators.missing, notes)


def _notes(graph: Graph, writer: ModelWriter) -> Iterator[str]:
    metas = [(value.name, graph.metas[value.name]) for value in graph.inputs if isinstance(value, Ref)]
    if metas and not any(isinstance(size, SymInt) for _, meta in metas for size in meta.shape):
        sizes = ", ".join(f"{name} {meta.dtype}{list(meta.shape)}" for name, meta in metas)
        yield f"captured with fixed sizes ({sizes}): other sizes may fail; name the axes that change when capturing"
    yield from size_notes(graph, writer.inputs_tree.values)
    arguments = writer.inputs_tree.arguments
    pairs = zip(arguments.args[::-1], arguments.defaults[::-1], strict=False)
    fixed = [f"{each.arg}={ast.unparse(value)}" for each, value in pairs if ast.unparse(value) != "None"]
    if fixed:
        yield f"captured with {', '.join(fixed[::-1])}: forward takes these arguments, and knows no other values"
    written = [writer.inputs_tree.values.get(name, name) for name in graph.stores]
    if written:
        yield f"PyTorch's forward writes into {', '.join(written)}, which the caller gave: this one leaves it as it was"
    short = sorted({meta.dtype for meta in graph.metas.values()} & {"float16", "bfloat16"})
    if short:
        yield (
            f"the model computes in {' and '.join(short)}, for which OneFlow 0.9.0 lacks most CPU kernels:"
            " --dtype float32 makes one that runs everywhere"
        )
    compared = {name for node in graph.nodes if node.operator == COMPARE for name in node.outputs}
    tests = [node.arguments["test"] for node in graph.nodes if node.operator in (COND, WHILE)]
    if any(not isinstance(test, Ref) or test.name not in compared for test in tests):
        yield (
            "the model decides by the values of its tensors, as PyTorch's does: it runs eagerly, and not as a "
            "flow.nn.Graph, which takes no decision"
        )
    if graph.autocast:
        yield (
            f"PyTorch computes a part of the model under autocast ({'; '.join(dict.fromkeys(graph.autocast))}): this "
            "one computes it, and returns it, in the dtype of its inputs; OneFlow has flow.autocast"
        )
    yield from mode_notes(graph.mode, graph.other_mode or (), graph.backwards)
    gone = sorted(module.path for module in writer.modules.values() if writer.is_gone(module))
    if gone and graph.other is None and graph.other_mode is None:  # else a capture has compared the modes
        yield (
            f"{len(gone)} module{'s' if len(gone) > 1 else ''} did nothing in the capture and"
            f" {'are' if len(gone) > 1 else 'is'} nn.Identity() now: {', '.join(gone[:3])}"
            f"{', ...' if len(gone) > 3 else ''}; what they do in train mode is lost"
        )


def _ordered(root: Blueprint) -> list[Blueprint]:
    """The classes that are used, each after those it uses."""
    ordered: dict[int, Blueprint] = {}

    def visit(blueprint: Blueprint) -> None:
        if id(blueprint) not in ordered:
            for other in blueprints_in(blueprint.draft):
                visit(other)
            ordered[id(blueprint)] = blueprint

    visit(root)
    return list(ordered.values())


def _name(blueprints: list[Blueprint], taken: set[str]) -> None:
    # The model's own class first: it keeps its name whatever else has it.
    counts: dict[str, int] = {}
    for blueprint in [blueprints[-1], *blueprints[:-1]]:
        name = wanted = blueprint.draft.class_name
        while name in taken:
            counts[wanted] = counts.get(wanted, 1) + 1
            name = f"{wanted}{counts[wanted]}"
        taken.add(name)
        blueprint.name = name
    for blueprint in blueprints:
        settle(blueprint, taken)


def _adjust(root: ast.ClassDef, writer: ModelWriter) -> list[str]:
    """Adds what the model's constructor does once its modules are made; returns what it could not do."""
    paths = {state.path for state in writer.graph.states.values()}
    made = {path for path in paths if not isinstance(writer.constructs.get(path.rpartition(".")[0]), Instance)}
    adjustments = Adjustments(writer.tree, writer.constructs, writer.graph.metas, made, writer.same)
    for item in root.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            item.body += adjustments.write([])
    mixed = [each for each in adjustments.mixed.items() if isinstance(writer.constructs.get(each[0]), New)]
    return [f"{path}: its tensors are of {dtypes}, and float32 in OneFlow's module" for path, dtypes in mixed]


def _records(writer: ModelWriter) -> Iterator[ast.stmt]:
    """The classes of the objects with fields that modules return."""
    for name, fields in writer.records.items():
        body: list[ast.stmt] = [
            ast.AnnAssign(ast.Name(each, ast.Store()), attribute("flow", "Tensor"), ast.Constant(None), 1)
            for each in fields
        ]
        yield ast.ClassDef(name, [attribute("NamedTuple")], [], body or [ast.Pass()], [])


_HEADER = '''"""{root} for OneFlow.

Written by torch2flow {version}{made}{by}.
"""

'''


def header(root: str, origin: str, producer: str) -> SourceText:
    """The docstring of a file: of which model it is, from which file, and who wrote that."""
    made, by = (words(text) for text in (origin, producer.partition("+")[0]))
    return filled(
        _HEADER,
        root=words(root),
        version=words(__version__),
        made=filled(" from {origin}", origin=made) if made else made,
        by=filled(", which {producer} wrote", producer=by) if by else by,
    )


def assemble(header: SourceText, body: list[ast.stmt], helpers: list[SourceText] | None = None) -> SourceText:
    """A whole file: its docstring, the imports it needs, helpers that are source already, and statements."""
    copied = ast.parse("\n\n\n".join(helpers or ())).body
    head = filled("{header}{imports}", header=header, imports=_imports([*copied, *body]))
    return assembled(head, helpers or [], body)


_IMPORTS = {
    "copy": "import copy",
    "math": "import math",
    "OrderedDict": "from collections import OrderedDict",
    "Path": "from pathlib import Path",
    "NamedTuple": "from typing import NamedTuple",
    "flow": "import oneflow as flow",
    "nn": "import oneflow.nn as nn",
    "F": "import oneflow.nn.functional as F",
}


def _imports(body: list[ast.stmt]) -> SourceText:
    used = {node.id for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    lines = [line for name, line in _IMPORTS.items() if name in used]
    standard = [line for line in lines if "oneflow" not in line]
    ordered = [*standard, *([""] if standard else []), *(line for line in lines if "oneflow" in line)]
    return filled("\n".join(ordered) + "\n\n")
