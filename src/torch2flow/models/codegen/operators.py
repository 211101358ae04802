"""One call of an operator as a OneFlow expression: its rule, the casts PyTorch makes by itself, and train or eval."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch2flow.models.codegen.control_flow import comparison
from torch2flow.models.codegen.literals import attribute, dtype_name, literal
from torch2flow.models.codegen.recording import Recorder
from torch2flow.models.codegen.standins import DynamicSize, NamedValue, StandIn, number, source
from torch2flow.models.codegen.statements import Body
from torch2flow.models.lowering.lazy import is_float
from torch2flow.models.lowering.registry import RefusedError, Rule, closest, find
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES
from torch2flow.models.lowering.unsupported import reason
from torch2flow.models.program import Dtype, Graph, Line, Node, Ref, Symbol, SymInt
from torch2flow.models.program.budget import writing
from torch2flow.models.program.control_flow import COMPARE
from torch2flow.models.program.functional import STORE
from torch2flow.models.program.promotion import common_dtype, kind
from torch2flow.models.program.train_mode import FLAGS, NORMS, RECURRENT, acts_by_mode


@dataclass(frozen=True, slots=True)
class Missing:
    """A call that no rule can write."""

    target: str
    path: str
    line: Line | None
    reason: str
    closest: str


@dataclass(slots=True)
class Operators:
    """Writes operators' calls, and keeps account of those it can't."""

    graph: Graph
    recorder: Recorder = field(default_factory=Recorder)
    missing: list[Missing] = field(default_factory=list)

    def expression(self, node: Node, body: Body) -> ast.expr:
        """The expression of a call; where there is no rule, a call that raises, and a note in `missing`."""
        with writing(str(node)):
            return self._expression(node, body)

    def _expression(self, node: Node, body: Body) -> ast.expr:
        if node.operator == STORE:
            return self._store(node, body)
        if node.operator == COMPARE:
            return comparison(node, body)
        hints = body.number_names(node)
        arguments = {
            name: self.argument(value, hints.get(name) or name, body) for name, value in node.arguments.items()
        }
        for key in ("size", "shape"):
            if isinstance(sizes := arguments.get(key), tuple) and (known := body.explained(node)):
                pairs = zip(sizes, known, strict=True)
                arguments[key] = tuple(size if each is None else StandIn(each, False) for size, each in pairs)
        if node.operator == "aten.linear" and (module := self._module(node, body)) is not None:
            return ast.Call(module, [body.value(node.arguments["input"].name)], [])
        names = (node.target, node.operator)
        rename = next((table[key] for table in (RENAMES, FLOAT_RENAMES) for key in names if key in table), "")
        rule = find(node.target)
        if rule is not None and (not rename or not rule.is_ours):
            rename = ""  # A user's rule comes before a row of ours.
        try:
            if rename:
                return self.renamed(rename, arguments, node)
            if rule is None:
                raise RefusedError(reason(node.target) or "there is no rule for it")
            self._by_mode(node, arguments, body)
            self.promote(rule, node, arguments)
            expression = self.recorder.expression(
                rule,
                arguments,
                self.facts(node, body),
                lambda value: body.bind(on_device(value, body)),
                first=self._is_alone(node, body),
            )
        except RefusedError as error:
            self.missing.append(Missing(node.target, node.path, node.line, str(error), closest(node.target)))
            return _stub(node, arguments)
        return on_device(expression, body, creates=not node.refs())

    def argument(self, value: Any, hint: str | tuple[str, ...], body: Body) -> Any:
        """An operator's argument as a rule gets it; `hint` is what its numbers are called."""
        match value:
            case Ref():
                meta = self.graph.metas.get(value.name)
                made = body.value(value.name)
                return StandIn(made) if meta is None else StandIn(made, True, _dtype(meta.dtype), len(meta.shape))
            case SymInt():
                return StandIn(body.size(value), False)
            case list() if (kept := self._kept_list(value, body)):
                return StandIn(ast.Name(kept, ast.Load()))
            case list() | tuple():
                hints = hint if isinstance(hint, tuple) else (hint,) * len(value)
                return tuple(self.argument(item, each, body) for item, each in zip(value, hints, strict=True))
            case Dtype():
                return NamedValue(attribute(*_dtype(value.name).split(".")))
            case Symbol():
                return value.name
            case bool():
                return value
            case int() | float():
                return number(value, hint if isinstance(hint, str) else "")
        return value

    def _module(self, node: Node, body: Body) -> ast.expr | None:
        """The Linear whose weights the author passes to `F.linear`, where nothing else calls it: `self.qkv`."""
        given = [node.arguments.get("weight"), node.arguments.get("bias")]
        states = [self.graph.states.get(each.name) if isinstance(each, Ref) else None for each in given]
        weight, bias = states
        if _may_get_no_rows(node, self.graph):
            return None
        if weight is None or not weight.path.endswith(".weight") or (given[1] is not None and bias is None):
            return None
        owner = weight.path.removesuffix(".weight")
        if bias is not None and bias.path != f"{owner}.bias":
            return None
        return body.context.linear(owner, body.call.path, has_bias=bias is not None)

    def _kept_list(self, values: list[Any], body: Body) -> str:
        """The author's list that holds just these tensors, all of one dtype: `torch.cat(features, 1)`."""
        names = [value.name for value in values if isinstance(value, Ref)]
        dtypes = {self.graph.metas[name].dtype for name in names if name in self.graph.metas}
        return body.kept_list(names) if len(names) == len(values) and len(dtypes) == 1 else ""

    def _is_alone(self, node: Node, body: Body) -> bool:
        """Whether only the first of several results is used."""
        step = body.plan.step_of(node)
        return len(node.outputs) > 1 and len(step.outputs) == 1 and not node.is_list

    def _store(self, node: Node, body: Body) -> ast.expr:
        state, value = node.arguments["state"], node.arguments["value"]
        owner = body.context.state(state.name, body.call.path)
        assert owner is not None
        return ast.Call(ast.Attribute(owner, "copy_", ast.Load()), [body.value(value.name)], [])

    def renamed(self, name: str, arguments: dict[str, Any], node: Node) -> ast.expr:
        """A call of the function that does the same; of integers it makes floats first where PyTorch does."""
        if node.operator in FLOAT_RENAMES:
            for key, value in arguments.items():
                if isinstance(value, StandIn) and value._dtype and not is_float(value._dtype):
                    arguments[key] = _cast(value, "float32")
        positional = [source(value) for value in arguments.values() if isinstance(value, StandIn)]
        keywords = [
            ast.keyword(key, source(value)) for key, value in arguments.items() if not isinstance(value, StandIn)
        ]
        return ast.Call(attribute(*name.split(".")), positional, keywords)

    def _by_mode(self, node: Node, arguments: dict[str, Any], body: Body) -> None:
        """Dropout and batch norm act by `self.training`, also when the program was captured in eval mode.

        One that was told something else than the mode of the program does so in both modes: dropout that is always
        active, a batch norm that is frozen.
        """
        rate = node.arguments.get("dropout_p")
        if rate and (self.graph.mode != "eval" or node.outputs[0] in self.graph.restored):
            chosen = ast.IfExp(attribute("self", "training"), literal(rate), literal(0.0))
            arguments["dropout_p"] = StandIn(chosen, False)
        name = FLAGS.get(node.operator)
        if name is None or not acts_by_mode(node, self.graph):
            return
        if node.operator == "aten.batch_norm" and not self._tracks(node, arguments, body):
            return
        arguments[name] = StandIn(attribute("self", "training"), False)

    def _tracks(self, node: Node, arguments: dict[str, Any], body: Body) -> bool:
        """Whether a batch norm is known to act by mode; if its module counts batches, this one does too."""
        mean = node.arguments.get("running_mean")
        state = self.graph.states.get(mean.name) if isinstance(mean, Ref) else None
        owner = state.path.rpartition(".")[0] if state else ""
        path = f"{owner}.num_batches_tracked" if owner else "num_batches_tracked"
        counter = next((each for each, state in self.graph.states.items() if state.path == path), "")
        if not counter:
            return node.outputs[0] in self.graph.by_mode
        self._count_batches(counter, body)
        known = body.context.state(counter, body.call.path)
        if known is not None and is_cumulative(node, self.graph):
            count = ast.Call(ast.Attribute(known, "item", ast.Load()), [], [])
            mean_of_all = ast.BinOp(literal(1), ast.Div(), count)
            arguments["momentum"] = StandIn(ast.IfExp(attribute("self", "training"), mean_of_all, literal(0.0)), False)
        return True

    def _count_batches(self, counter: str, body: Body) -> None:
        """`num_batches_tracked` counts in train mode; a program captured in eval mode does not say so."""
        stored = (node.arguments["state"] for node in self.graph.nodes if node.operator == STORE)
        owner = body.context.state(counter, body.call.path)
        if owner is None or any(isinstance(ref, Ref) and ref.name == counter for ref in stored):
            return
        count = ast.Expr(ast.Call(ast.Attribute(owner, "add_", ast.Load()), [ast.Constant(1)], []))
        body.statements.append(ast.If(attribute("self", "training"), [count], []))

    def promote(self, rule: Rule, node: Node, arguments: dict[str, Any]) -> None:
        """Casts tensors to their common dtype, as PyTorch does."""
        given = [node.arguments[name] for name in rule.promotes if name in node.arguments]
        common = common_dtype(operand for value in given for operand in self._operands(value))
        if rule.floats and kind(common) < 2:
            common = "float32"
        for name in rule.promotes:
            value = arguments.get(name)
            if isinstance(value, tuple):
                arguments[name] = tuple(_cast(item, common) for item in value)
            elif isinstance(value, StandIn):
                arguments[name] = _cast(value, common)

    def _operands(self, value: Any) -> Iterator[tuple[str, int | None]]:
        if isinstance(value, Ref):
            meta = self.graph.metas.get(value.name)
            if meta is not None:
                yield meta.dtype, len(meta.shape)
        elif isinstance(value, list):
            for item in value:
                yield from self._operands(item)
        elif isinstance(value, bool | int | float):
            yield type(value).__name__, None

    def facts(self, node: Node, body: Body) -> dict[str, Any]:
        """What was recorded of the first tensor and of the result, and the operator's name."""
        facts: dict[str, Any] = {"name": node.operator.rpartition(".")[2]}
        names = node.refs()
        for prefix, name in (("in", names[0] if names else ""), ("out", node.outputs[0] if node.outputs else "")):
            meta = self.graph.metas.get(name)
            if meta is not None:
                facts[f"{prefix}_shape"] = tuple(_size(size, body) for size in meta.shape)
                facts[f"{prefix}_ndim"] = len(meta.shape)
                facts[f"{prefix}_dtype"] = NamedValue(attribute(*_dtype(meta.dtype).split(".")))
        return facts


def is_cumulative(node: Node, graph: Graph) -> bool:
    """Whether a batch norm keeps the mean of all batches, which PyTorch says by `momentum=None`."""
    return node.operator == "aten.batch_norm" and graph.attributes.get(node.path, {}).get("momentum", 0.1) is None


def is_usual(node: Node, graph: Graph) -> bool:
    """Whether OneFlow's own module does the same: it takes this rank, gets some rows, and acts by mode."""
    if node.operator == "aten.linear" and _may_get_no_rows(node, graph):
        return False
    if not _takes_rank(node, graph):
        return False
    if node.operator not in FLAGS or (node.operator in NORMS and node.arguments.get("running_mean") is None):
        return True
    if node.operator in RECURRENT and not node.arguments.get("dropout"):
        return True
    return acts_by_mode(node, graph) and not is_cumulative(node, graph)


def _takes_rank(node: Node, graph: Graph) -> bool:
    """Whether OneFlow's own module takes as few dimensions as there are: most need those of a batch."""
    meta = graph.metas.get(node.refs()[0])
    rank = len(meta.shape) if meta else 0
    match node.operator.partition(".")[2]:
        case "pixel_shuffle":
            return rank == 4
        case "prelu":
            return rank > 1
        case "group_norm":
            return rank > 2
        case "layer_norm":
            return rank > len(node.arguments.get("normalized_shape") or ())
        case "instance_norm":
            return rank > 2
        case name if found := re.search(r"(?:conv|conv_transpose|pool)([123])d", name):
            return rank == int(found[1]) + 2
    return True


def _may_get_no_rows(node: Node, graph: Graph) -> bool:
    meta = graph.metas.get(node.refs()[0])
    return any(isinstance(size, SymInt) and size.depends_on_values for size in (meta.shape if meta else ()))


def _size(size: int | SymInt | None, body: Body) -> int | DynamicSize:
    """A size that was recorded; a rule can't take a dynamic one for a number."""
    if isinstance(size, int):
        return size

    def write() -> ast.expr:
        try:
            if size is not None:
                return body.size(size)
        except KeyError:
            pass
        raise RefusedError("a size of its result depends on the inputs, and can't be computed where it is called")

    return DynamicSize(write, size is not None and size.depends_on_values)


def _dtype(name: str) -> str:
    """`flow.float32`."""
    return f"flow.{dtype_name(name)}"


def _cast(value: Any, dtype: str) -> Any:
    """`x.to(flow.float32)`, where a tensor has another dtype."""
    if not isinstance(value, StandIn) or not dtype or value._dtype in ("", _dtype(dtype)):
        return value
    target = attribute("flow", dtype_name(dtype))
    node = ast.Call(ast.Attribute(source(value), "to", ast.Load()), [target], [])
    return StandIn(node, True, _dtype(dtype), value._ndim)


_CREATORS = {
    "zeros", "ones", "full", "empty", "tensor", "arange", "linspace", "eye", "rand", "randn", "randint", "randperm",
}  # fmt: skip


def on_device(expression: ast.expr, body: Body, creates: bool = False) -> ast.expr:
    """Makes new tensors where the body's input is, as PyTorch's code does by whatever means.

    What a rule makes that is copied as a function, and is given no tensor, is moved there.
    """
    owner = next((name for name, value in body.bound.items() if value in body.call.inputs), "")
    owner = owner or next(iter(body.bound), "")
    match expression:
        case ast.Call(func=ast.Name()) if creates and owner:
            return ast.Call(ast.Attribute(expression, "to", ast.Load()), [attribute(owner, "device")], [])
    for node in ast.walk(expression):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="flow"), attr=name)) if name in _CREATORS and owner:
                if not any(keyword.arg == "device" for keyword in node.keywords):
                    node.keywords.append(ast.keyword("device", attribute(owner, "device")))
    return expression


def _stub(node: Node, arguments: dict[str, Any]) -> ast.expr:
    """What `--partial` writes for an operator without a rule."""
    values = [source(value) for value in arguments.values() if isinstance(value, StandIn) and value._is_tensor]
    return ast.Call(attribute("missing_operator"), [ast.Constant(node.target), *values], [])


MISSING_HELPER = '''
def missing_operator(name, *tensors):
    """Stands for an operator that torch2flow has no rule for: write it here, or add a rule and convert again."""
    raise NotImplementedError(f"{name} has no OneFlow equivalent yet: see where it is called")
'''
