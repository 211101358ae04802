"""What crosses the border of a module call, found from the author's lines, where no capture recorded it.

    new_features = layer(features)                     one argument, several values: a list
    position_embeddings = self.rotary_emb(x, ids)      one name, several values: a tuple
    x = layer(x, position_embeddings)                  the tuple again

A `.pt2` of `torch.export.save` only says which values a call reads and makes.
"""

from __future__ import annotations

from torch2flow.models.codegen.borders import leaf, loose
from torch2flow.models.codegen.names import call_arguments, is_name, read_names, selected, statement_targets
from torch2flow.models.program import Border, Graph, Node, Ref, Structure
from torch2flow.models.program.calls import Call, lent_path, line_of, lines_of


def infer_borders(graph: Graph, call: Call) -> None:
    """Gives the calls inside a call the borders that its lines tell."""
    given = call.border.arguments if call.border is not None else ()
    tuples = {name: [part.value for part in each.children] for name, each in given if each.kind == "tuple"}
    for item in call.items:
        if not isinstance(item, Call):
            continue
        line = line_of(item, call.depth)
        result = loose(item.outputs)
        if line is not None:
            arguments = _arguments(graph, item, line.text, tuples)
            targets = statement_targets(lines_of(item, call.depth))
            if len(item.outputs) > 1 and len(targets) == 1 and not selected(line.text):
                result = Structure("tuple", children=tuple(map(leaf, item.outputs)))
                tuples[targets[0]] = item.outputs
            if arguments or result.kind == "tuple":
                item.border = Border(tuple(arguments), result)
        infer_borders(graph, item)


def _arguments(graph: Graph, call: Call, line: str, tuples: dict[str, list[str]]) -> list[tuple[str, Structure]]:
    """The arguments of a call that are a list or a tuple. A line that goes on in the next one may not show them all."""
    passed = call_arguments(line, call.path.rpartition(".")[2])
    inputs = [value for value in call.inputs if value not in graph.states and lent_path(value) is None]
    found = [
        (name, Structure("tuple", children=tuple(map(leaf, values))))
        for name, values in tuples.items()
        if set(values) <= set(inputs)
    ]
    if not found and len(passed) == 1 and is_name(passed[0]):
        called = _read_as(call, inputs)
        if called or len(inputs) > 1:
            found.append((called or passed[0], Structure("list", children=tuple(map(leaf, inputs)))))
    return found


def _read_as(call: Call, values: list[str]) -> str:
    """What the body of a call calls a list that it hands to an operator as a whole: `inputs` of `torch.cat(inputs)`."""
    for item in call.items:
        line = line_of(item, call.depth)
        if isinstance(item, Node) and line is not None and [Ref(value) for value in values] in item.arguments.values():
            names = read_names(line.text)
            return names[0] if len(names) == 1 else ""
    return ""
