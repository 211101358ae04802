"""Says in one way what programs say in several: `linear` for `t`, `view`, `addmm`, `view`.

torch 2.1 to 2.5 export the functional vocabulary, and `run_decompositions()` gives it today. Most of it needs nothing
but a rule of its own; a linear layer is the one thing that fell into pieces.
"""

from __future__ import annotations

from dataclasses import replace

from torch2flow.models.program.functional import prune
from torch2flow.models.program.graph import Graph, Node, Ref

_FILLS = (
    "aten.bernoulli", "aten.uniform", "aten.normal", "aten.normal_functional", "aten.exponential", "aten.log_normal",
    "aten.cauchy", "aten.geometric", "aten.random",
)  # fmt: skip
"""What draws random numbers into a tensor, and takes but its shape, dtype and device."""

_VIEWS = ("aten.view", "aten.reshape", "aten._unsafe_view")


def modernize(graph: Graph) -> Graph:
    """The program with linear layers in one piece."""
    return _Modernizer(graph).run()


class _Modernizer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.uses = graph.uses()

    def run(self) -> Graph:
        linears = {id(node): linear for node in self.graph.nodes if (linear := self._linear(node)) is not None}
        nodes = [self._filled(self._without_empty(linears.get(id(node), node))) for node in self.graph.nodes]
        if linears:
            nodes = self._without_views(nodes)
        return prune(replace(self.graph, nodes=nodes))

    def _linear(self, node: Node) -> Node | None:
        """`addmm(bias, x, t(weight))` and `mm(x, t(weight))` as `linear(x, weight, bias)`."""
        given = node.arguments
        if node.operator == "aten.addmm" and given.get("beta", 1) == given.get("alpha", 1) == 1:
            x, second, bias = given["mat1"], given["mat2"], given["self"]
        elif node.operator == "aten.mm":
            x, second, bias = given["self"], given["mat2"], None
        else:
            return None
        turned = self.makers.get(second.name)
        if turned is None or not self._turns(turned):
            return None
        weight = turned.arguments["self"]
        if weight.name not in self.graph.states or (bias is not None and bias.name not in self.graph.states):
            return None
        arguments = {"input": x, "weight": weight, "bias": bias}
        return replace(node, target="aten.linear.default", arguments=arguments)

    def _filled(self, node: Node) -> Node:
        """Draws in the shape of a tensor itself, where the program first makes an empty one like it."""
        made = self.makers.get(node.refs()[0]) if node.operator in _FILLS and node.in_place else None
        if made is None or made.operator not in ("aten.empty_like", "aten.zeros_like"):
            return node
        source = made.arguments["self"]
        if self.graph.metas[source.name].dtype != self.graph.metas[made.outputs[0]].dtype:
            return node
        return replace(node, arguments={**node.arguments, "self": source}, in_place=False)

    def _without_empty(self, node: Node) -> Node:
        """Leaves out what PyTorch's `cat` passes over whatever the other shapes are: `torch.tensor([])`."""
        if node.operator not in ("aten.cat", "aten.concat"):
            return node
        given = node.arguments["tensors"]
        kept = [ref for ref in given if (meta := self.graph.metas.get(ref.name)) is None or meta.shape != (0,)]
        return replace(node, arguments={**node.arguments, "tensors": kept}) if kept else node

    @staticmethod
    def _turns(node: Node) -> bool:
        return node.operator == "aten.t" or (node.operator == "aten.permute" and node.arguments["dims"] == [1, 0])

    def _without_views(self, nodes: list[Node]) -> list[Node]:
        """Takes away the views that made two dimensions of three for the matrix product, and three of two after it."""
        makers = {name: node for node in nodes for name in node.outputs}
        made: list[Node] = []
        for node in nodes:
            flat = makers.get(node.refs()[0]) if node.operator in _VIEWS and node.refs() else None
            if flat is not None and flat.operator == "aten.linear" and self.uses.get(flat.outputs[0]) == 1:
                before = makers.get(flat.arguments["input"].name)
                if before is not None and before.operator in _VIEWS and self._same_rows(before, node):
                    source = Ref(before.refs()[0])
                    arguments = {**flat.arguments, "input": source}
                    node = replace(flat, arguments=arguments, outputs=node.outputs)
            made.append(node)
        return made

    def _same_rows(self, before: Node, after: Node) -> bool:
        source, result = (self.graph.metas.get(name) for name in (before.refs()[0], after.outputs[0]))
        return source is not None and result is not None and source.shape[:-1] == result.shape[:-1]
