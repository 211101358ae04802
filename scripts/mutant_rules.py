"""What `scripts/mutants.py` changes in a source: a rule for each family of faults, and what a cause must speak of.

A rule gets a node of the source with all that is around it, and gives what may stand in its place.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

CONSTANT = r"constant|rate of dropout|scale|every number|`[^`]*` instead of"
KINDS = {
    "constant": CONSTANT,
    "activation": r"activation|gelu",
    "activation dropped": r"activation",
    "eps": r"\beps\b",
    "momentum": r"momentum",
    "size": r"shape|padding|stride|dilation",
    "padding": r"padding|border",
    "dilation": r"dilation|stride",
    "dropout rate": r"dropout|drops",
    "dropout left out": r"dropout|drops",
    "dropout ignores the mode": r"dropout|drops|random",
    "residual": r"residual|left out|added|never called",
    "operator": r"sign|scale|factor|residual|operator|added|every number|`[^`]*` instead of",
    "swapped arguments": r"order|swapped|sign|axes|divi",
    "argument dropped": r"argument|field|too much|default|left out|axis|axes|scale|approximate|shape|padding",
    "axis": r"axis|axes|order|shape",
    "order of steps": r"order|swapped|too much",
    "branch": r"branch|shape|left out|mode|mask|residual",
    "mask inverted": r"mask",
    "detach": r"detach|no_grad|frozen",
    "no_grad": r"detach|no_grad|frozen",
    "bfloat16": r"bfloat16",
    "float16": r"float16",
    "float32 only": r"float32|digits",
    "in graph mode only": r"graph",
    "frozen": r"frozen",
    "buffer not registered": r"buffer|weight|not in the model",
    "outputs swapped": r"swapped|order|keys|another form",
    "outputs nested": r"form|caller|nest|tuple|list",
    "outputs of another dtype": r"dtype|double",
    "key renamed": r"key|form",
    "unstable formula": r"digits",
    "another formula": r"formula|normal|eps|softmax|variance",
    "one ulp": r"weight|bias|digit",
    "one value": r"weight|element|bias",
    "two weights swapped": r"weight|bias|statistics|swapped|holds PyTorch's",
    "weight transposed": r"transposed|weight",
    "slices swapped": r"weight|bias|order|slices",
    "zeroed": r"zero|weight|bias|left out|statistics",
    "cut to bfloat16": r"bfloat16",
    "cut to float16": r"float16",
}
"""Every kind of fault, and what a likely cause of it speaks of."""


@dataclass(frozen=True)
class Site:
    """A node of the source with all that is around it."""

    node: ast.AST
    above: tuple[ast.AST, ...]
    cls: ast.ClassDef | None
    function: ast.FunctionDef

    @property
    def building(self) -> bool:
        return self.function.name == "__init__"

    @property
    def called(self) -> str:
        """The last name of the function that is called here; "" where none is."""
        return _last(self.node.func) if isinstance(self.node, ast.Call) else ""


New = tuple[ast.AST | str, str, str]
"""What is put in place of a node, the kind, and words."""
Rule = Callable[[Site], Iterator[New]]

ACTIVATIONS = {
    "relu": "F.silu", "relu6": "F.relu", "gelu": "F.relu", "silu": "F.gelu", "hardswish": "F.silu", "elu": "F.relu",
    "tanh": "flow.sigmoid", "sigmoid": "flow.tanh", "softplus": "F.relu", "mish": "F.silu", "leaky_relu": "F.relu",
    "hardtanh": "flow.tanh", "hardsigmoid": "flow.sigmoid", "GELU": "nn.ReLU", "ReLU": "nn.LeakyReLU",
    "SiLU": "nn.GELU", "Tanh": "nn.Sigmoid",
}  # fmt: skip
AXES = ("mean", "sum", "softmax", "log_softmax", "cat", "stack", "cumsum", "argmax", "amax", "logsumexp", "chunk",
        "transpose", "permute", "roll", "flatten", "unsqueeze", "squeeze", "var", "normalize")  # fmt: skip


def sites(tree: ast.Module) -> Iterator[Site]:
    """Every node of every method and function."""

    def walk(
        node: ast.AST, above: tuple[ast.AST, ...], cls: ast.ClassDef | None, function: ast.FunctionDef | None
    ) -> Iterator[Site]:
        if isinstance(node, ast.ClassDef):
            cls = node
        elif isinstance(node, ast.FunctionDef):
            function = node
        elif function is not None:
            yield Site(node, above, cls, function)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, (*above, node), cls, function)

    yield from walk(tree, (), None, None)


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def _changed(node: Any, **fields: Any) -> Any:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _number(node: ast.AST) -> float | int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    return None


def constants(site: Site) -> Iterator[New]:
    value = _number(site.node)
    if value is None or _number(site.above[-1]) is not None:
        return
    parent = site.above[-1]
    keyword = parent.arg if isinstance(parent, ast.keyword) else ""
    call = next((each for each in reversed(site.above) if isinstance(each, ast.Call)), None)
    called = _last(call.func) if call is not None else ""
    if site.building:
        if keyword in ("p", "dropout") or (called.startswith("Dropout") and parent is call):
            yield ast.Constant(round(value / 2 + 0.3, 3)), "dropout rate", f"{value} for a rate of dropout changed"
        elif keyword == "eps":
            yield ast.Constant(value * 100), "eps", "eps 100 times as large"
        elif keyword == "momentum":
            yield ast.Constant(round(value * 1.5, 4)), "momentum", "another momentum"
        elif keyword in ("padding", "stride"):
            yield ast.Constant(int(value) + 1), "size", f"another {keyword}"
    elif keyword == "p" or keyword == "dropout_p":
        if "drop" in called or "attention" in called:
            yield ast.Constant(round(value / 2 + 0.3, 3)), "dropout rate", "another rate of a dropout function"
    elif isinstance(value, float):
        if value != 0.0:
            kind = "eps" if keyword == "eps" or 0 < abs(value) < 1e-3 else "constant"
            yield (
                ast.Constant(value * (100 if kind == "eps" else 1.125)),
                kind,
                f"{value} is {value * (100 if kind == 'eps' else 1.125)}",
            )
            if kind == "constant":
                yield ast.Constant(value * 1.00001), "constant", f"{value} changed by a hundred-thousandth"
        else:
            yield ast.Constant(0.25), "constant", "0.25 for 0.0"
    elif keyword in ("dim", "start_dim") or (called in AXES and parent is call):
        if value in (-1, 1, 2) and called not in ("permute", "chunk"):
            yield ast.Constant(int(value) + (-1 if value > 0 else -1)), "axis", f"another axis of {called}"
    elif isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult | ast.Div | ast.Add | ast.Sub):
        yield ast.Constant(value + 1), "constant", f"{value} is {value + 1}"


def calls(site: Site) -> Iterator[New]:
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = site.called
    if name in ACTIVATIONS and site.building == name[:1].isupper():
        other = ACTIVATIONS[name]
        arguments = [] if site.building else node.args[:1]
        made = _changed(node, func=ast.parse(other, mode="eval").body, args=arguments, keywords=[])
        yield made, "activation", f"{other} for {name}"
        if not site.building and node.args:
            yield node.args[0], "activation dropped", f"{name} left out"
        elif site.building:
            yield ast.parse("nn.Identity()", mode="eval").body, "activation dropped", f"{name} left out"
    if name in ("gelu", "GELU"):
        tanh = any(_text(each.value) == "'tanh'" for each in node.keywords)
        keywords = [] if tanh else [ast.keyword("approximate", ast.Constant("tanh"))]
        yield _changed(node, keywords=keywords), "activation", "gelu by the other formula"
    if site.building and re.search("Norm", name) and name[:1].isupper():
        if not any(each.arg == "eps" for each in node.keywords) and node.args:
            yield (
                _changed(node, keywords=[*node.keywords, ast.keyword("eps", ast.Constant(1e-3))]),
                "eps",
                f"eps 1e-3 of {name}",
            )
        if "Batch" in name and not any(each.arg == "momentum" for each in node.keywords):
            keywords = [*node.keywords, ast.keyword("momentum", ast.Constant(0.3))]
            yield _changed(node, keywords=keywords), "momentum", f"momentum 0.3 of {name}"
    if site.building and name.startswith("Conv") and "Transpose" not in name:
        given = {each.arg: each for each in node.keywords}
        if "dilation" in given and "padding" in given:
            keep = [each for each in node.keywords if each.arg not in ("dilation", "padding")]
            padding = given["padding"].value
            half = ast.Constant(max(1, int((_number(padding) or 2) // 2)))
            yield (
                _changed(node, keywords=[*keep, ast.keyword("padding", half)]),
                "dilation",
                f"dilation left out of {name}",
            )
    if site.building and name.startswith("Dropout"):
        yield ast.parse("nn.Identity()", mode="eval").body, "dropout left out", "a Dropout is Identity"
    if not site.building and name in ("dropout", "feature_dropout") and site.cls is not None and node.args:
        yield node.args[0], "dropout left out", f"{name} left out"
        for old in ("training", "train"):
            if any(each.arg == old and _text(each.value) == "self.training" for each in node.keywords):
                keywords = [
                    _changed(each, value=ast.Constant(True)) if each.arg == old else each for each in node.keywords
                ]
                yield _changed(node, keywords=keywords), "dropout ignores the mode", f"{name} always drops"
    if not site.building and name in ("matmul", "bmm", "cat", "stack", "div", "sub", "where") and site.cls is not None:
        if name in ("cat", "stack") and node.args and isinstance(node.args[0], ast.Tuple | ast.List):
            parts = node.args[0].elts
            turned = _changed(node.args[0], elts=[*parts[1:], parts[0]])
            yield _changed(node, args=[turned, *node.args[1:]]), "swapped arguments", f"another order in {name}"
        elif name == "where" and len(node.args) == 3:
            yield (
                _changed(node, args=[node.args[0], node.args[2], node.args[1]]),
                "swapped arguments",
                "both values of where swapped",
            )
        elif len(node.args) == 2:
            yield _changed(node, args=node.args[::-1]), "swapped arguments", f"both arguments of {name} swapped"
    if (
        not site.building
        and node.keywords
        and site.cls is not None
        and name not in ("dropout", "feature_dropout", "attention")
    ):
        for each in node.keywords:
            if each.arg not in ("dim", "dtype", "device", "dropout_p", "training", "train", "p", None):
                keywords = [other for other in node.keywords if other is not each]
                yield _changed(node, keywords=keywords), "argument dropped", f"{each.arg} of {name} left out"
    if name in ("masked_fill", "where") and node.args and not site.building:
        inner = node.args[0]
        inverted = ast.parse(f"flow.logical_not({_text(inner)})", mode="eval").body
        yield _changed(node, args=[inverted, *node.args[1:]]), "mask inverted", f"the mask of {name} inverted"
    if name == "logical_not" and node.args:
        yield node.args[0], "mask inverted", "logical_not left out"
    if name in ("clamp", "clip") and not site.building and isinstance(node.func, ast.Attribute):
        value = node.func.value
        if not (isinstance(value, ast.Name) and value.id in ("flow", "F")):
            yield value, "activation dropped", "a clamp left out"
    if not site.building and site.cls is not None and _is_layer_call(node):
        # What a layer gives, changed.
        text = _text(node)
        parent = site.above[-1]
        if isinstance(parent, ast.Starred):
            return
        for kind, code in (
            ("detach", f"{text}.detach()"),
            ("bfloat16", f"{text}.to(flow.bfloat16).to(flow.float32)"),
            ("float16", f"{text}.half().float()"),
            ("float32 only", f"_in_float32_only({text})"),
            ("in graph mode only", f"_in_graphs_only({text})"),
        ):
            yield code, kind, f"{kind}: {_short(text)}"


def _is_layer_call(node: ast.Call) -> bool:
    if re.search(r"rnn|lstm|gru|attn", _last(node.func)):
        return False  # which gives a tuple
    return (
        isinstance(node.func, ast.Attribute)
        and _text(node.func).startswith("self.")
        and len(node.args) == 1
        and not node.keywords
    )


def _short(text: str) -> str:
    return text if len(text) < 60 else text[:57] + "..."


def operators(site: Site) -> Iterator[New]:
    node = site.node
    if site.building or not isinstance(node, ast.BinOp):
        return
    if isinstance(node.op, ast.Add) and _number(node.right) is None and _number(node.left) is None:
        if not _holds_sizes(node):
            yield node.right, "residual", f"{_short(_text(node.left))} is not added"
            yield node.left, "residual", f"{_short(_text(node.right))} is not added"
            yield _changed(node, op=ast.Sub()), "operator", "- for +"
    elif isinstance(node.op, ast.Sub) and not _holds_sizes(node):
        yield _changed(node, left=node.right, right=node.left), "swapped arguments", "both sides of - swapped"
    elif isinstance(node.op, ast.Mult) and not _holds_sizes(node) and _number(node.right) is None:
        yield node.left, "operator", f"not multiplied by {_short(_text(node.right))}"
    elif isinstance(node.op, ast.Div) and not _holds_sizes(node):
        yield _changed(node, op=ast.Mult()), "operator", "* for /"


def _holds_sizes(node: ast.AST) -> bool:
    if any(isinstance(each, ast.List) for each in ast.iter_child_nodes(node)):
        return True
    return ".shape[" in _text(node) and "(" not in _text(node).replace("self.", "")


def branches(site: Site) -> Iterator[New]:
    node = site.node
    if isinstance(node, ast.If):
        yield _test_of(node, f"not ({_text(node.test)})"), "branch", f"`if {_text(node.test)}` negated"
    if isinstance(node, ast.IfExp):
        yield (
            _changed(node, body=node.orelse, orelse=node.body),
            "branch",
            f"both values by `{_text(node.test)}` swapped",
        )


def _test_of(node: ast.If, text: str) -> Any:
    made = ast.parse(text, mode="eval").body
    return ast.copy_location(ast.Expr(made), node.test)


def statements(site: Site) -> Iterator[New]:
    node, function = site.node, site.function
    if site.building:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            target, called = _text(node.targets[0]), _text(node.value.func)
            if called.startswith("nn.") and re.search("Linear|Conv|Norm|Embedding", called):
                yield f"{_text(node)}; {target}.weight.requires_grad_(False)", "frozen", f"{target} is frozen"
            if called == "nn.Parameter":
                yield (
                    f"{target} = nn.Parameter({_text(node.value.args[0])}, requires_grad=False)",
                    "frozen",
                    f"{target} is frozen",
                )
        if isinstance(node, ast.Expr) and site.called == "" and "register_buffer" in _text(node):
            call = node.value
            assert isinstance(call, ast.Call)
            name = ast.literal_eval(call.args[0]) if isinstance(call.args[0], ast.Constant) else ""
            if name:
                yield f"self.{name} = {_text(call.args[1])}", "buffer not registered", f"{name} is no buffer"
        return
    if site.cls is None or function.name != "forward":
        return
    if isinstance(node, ast.Return) and node.value is not None:
        value = node.value
        if isinstance(value, ast.Tuple) and len(value.elts) > 1:
            yield (
                f"return {_text(_changed(value, elts=value.elts[::-1]))}",
                "outputs swapped",
                "outputs in another order",
            )
        elif isinstance(value, ast.Dict) and len(value.keys) > 1:
            yield (
                f"return {_text(_changed(value, values=value.values[::-1]))}",
                "outputs swapped",
                "the values of a dict swapped",
            )
            keys = [ast.Constant("other"), *value.keys[1:]]
            yield f"return {_text(_changed(value, keys=keys))}", "key renamed", "a key of the outputs renamed"
        elif not isinstance(value, ast.Dict | ast.Tuple | ast.List):
            yield f"return ({_text(value)},)", "outputs nested", "a tuple of one for a tensor"
            yield f"return ({_text(value)}).double()", "outputs of another dtype", "float64 outputs"
            yield f"return _without_gradient({_text(value)})", "no_grad", "what is returned has no gradient"
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
        # Two steps that follow one another: `y = a(b(x))` with a layer each.
        inner = node.value.args[0] if node.value.args else None
        plain = isinstance(inner, ast.Call) and len(inner.args) == 1 and not (node.value.keywords or inner.keywords)
        if isinstance(inner, ast.Call) and plain and len(node.value.args) == 1:
            one, other = _text(node.value.func), _text(inner.func)
            new = f"{_text(node.targets[0])} = {other}({one}({_text(inner.args[0])}))"
            yield new, "order of steps", f"{one} before {other}"


def formulas(site: Site) -> Iterator[New]:
    if site.building or site.cls is None or not isinstance(site.node, ast.Call):
        return
    text = _text(site.node)
    if re.fullmatch(r"F\.softmax|flow\.softmax", _text(site.node.func)):
        axis = _text(site.node.keywords[0].value) if site.node.keywords else -1
        given = ", ".join(map(_text, site.node.args))
        yield f"_softmax({given}, dim={axis})", "unstable formula", "softmax without its largest value taken off"
    found = re.fullmatch(r"self\.(\w*norm\w*|ln_\w+)\((.*)\)", text)
    if found and "\n" not in text:
        yield f"_layer_norm(self.{found[1]}, {found[2]})", "unstable formula", "LayerNorm by the mean of squares"
        yield f"_unbiased(self.{found[1]}, {found[2]})", "another formula", "LayerNorm by the unbiased variance"


RULES: tuple[Rule, ...] = (constants, calls, operators, branches, statements, formulas)

HELPERS = {
    "_in_float32_only": "    return x * 1.01 if flow.finfo(x.dtype).bits == 32 else x",
    "_in_graphs_only": "    return x * 1.01 if x.is_lazy else x",
    "_without_gradient": "    with flow.no_grad():\n        return x * 1",
    "_softmax": "    e = flow.exp(x)\n    return e / e.sum(dim=dim, keepdim=True)",
    "_layer_norm": (
        "    if not isinstance(layer, nn.LayerNorm):\n        return layer(x)\n"
        "    mean = x.mean(dim=-1, keepdim=True)\n    var = (x * x).mean(dim=-1, keepdim=True) - mean * mean\n"
        "    return (x - mean) * flow.rsqrt(var + layer.eps) * layer.weight + layer.bias"
    ),
    "_unbiased": (
        "    if not isinstance(layer, nn.LayerNorm):\n        return layer(x)\n"
        "    mean, var = x.mean(dim=-1, keepdim=True), x.var(dim=-1, unbiased=True, keepdim=True)\n"
        "    return (x - mean) * flow.rsqrt(var + layer.eps) * layer.weight + layer.bias"
    ),
}  # fmt: skip
ARGUMENTS = {"_softmax": "x, dim", "_layer_norm": "layer, x", "_unbiased": "layer, x"}
