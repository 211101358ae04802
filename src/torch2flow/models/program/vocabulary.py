"""Says in one way what programs say in several: `linear` for `t`, `view`, `addmm`, `view`.

torch 2.1 to 2.5 export the functional vocabulary, and `run_decompositions()` gives it today. Most of it needs nothing
but a rule of its own; a linear layer is the one thing that fell into pieces. `F.normalize` does so in every program.
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

NORMALIZE = "torch2flow.normalize"
"""`F.normalize` in one piece: a tensor divided by its norm along `dim`, which is at least `eps`."""

_VIEWS = ("aten.view", "aten.reshape", "aten._unsafe_view")


def modernize(graph: Graph) -> Graph:
    """The program with linear layers and `F.normalize` in one piece."""
    return _Modernizer(graph).run()


class _Modernizer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.uses = graph.uses()

    def run(self) -> Graph:
        linears = {id(node): linear for node in self.graph.nodes if (linear := self._linear(node)) is not None}
        nodes = [self._filled(self._without_empty(linears.get(id(node), node))) for node in self.graph.nodes]
        nodes = [self._normalized(node) or node for node in nodes]
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

    def _normalized(self, node: Node) -> Node | None:
        """`x / linalg_vector_norm(x, 2, [dim], True).clamp_min(eps).expand_as(x)` as one call."""
        if node.operator != "aten.div" or not isinstance(bound := node.arguments.get("other"), Ref):
            return None
        steps = []
        for operator in ("aten.expand_as", "aten.clamp_min", "aten.linalg_vector_norm"):
            made = self.makers.get(bound.name)
            if made is None or made.operator != operator or self.uses[bound.name] != 1 or made.frames != node.frames:
                return None
            steps.append(made)
            bound = made.arguments["self"]
        expanded, clamped, norm = (each.arguments for each in steps)
        divided = node.arguments["self"]
        whole = bound == divided == expanded["other"] and norm.get("ord", 2) == 2 and norm.get("keepdim") is True
        if not whole or any(each.no_grad is not node.no_grad for each in steps) or len(norm.get("dim") or ()) != 1:
            return None
        if len({self.graph.metas[name].dtype for name in (divided.name, *node.outputs)}) > 1 or norm.get("dtype"):
            return None
        arguments = {"x": divided, "dim": norm["dim"][0], "eps": clamped["min"]}
        own = node.lines[-1] if node.lines else ()
        lines = (*node.lines[:-1], tuple(line for line in own if line.function != "normalize"))  # without PyTorch's own
        return replace(node, target=f"{NORMALIZE}.default", arguments=arguments, lines=lines)

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
