"""Strategies for Hypothesis: `.pt2` programs and pickled modules whose texts, numbers and nestings a stranger chose.

The grammar is that of a sound program: modules with parameters that call operators. Each name, path, class, line,
literal and tree in it is then drawn from hostile ones, and one in three programs is damaged somewhere beside.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from .corpus import build
from .programs import LEAF, Program, pack, spec, tensor

Draw = Callable[[st.SearchStrategy[Any]], Any]

PAYLOADS = [
    'x"""\nimport os\nos.system("touch pwned")\n"""',
    "x; import os; os.system('touch pwned')",
    "x)\nimport os\nos.system('touch pwned')\n(",
    "__import__('os').system('touch pwned')",
    "x'] + [__import__('os').system('touch pwned')] + ['",
    "{__import__('os').system('touch pwned')}",
    "{i}{__import__('os').system('touch pwned')}1",
    "\\'''\n\"\"\"\\",
    "a\r\nb\x00\x1b[2J\u202e\u2028",
]
OF_MODULES = [
    "train", "eval", "to", "apply", "forward", "state_dict", "training", "__class__", "__dict__", "__init__",
    "_modules", "_parameters", "register_buffer", "to_global", "half", "float", "parameters", "zero_grad",
    "load_state_dict",
]  # fmt: skip
RESERVED = [
    "__debug__", "_fields", "self", "F", "flow", "nn", "super", "getattr", "setattr", "NamedTuple", "OrderedDict",
    "Path", "constant", "missing_operator", "range", "zip", "None", "True", "class", "lambda", "match", "case",
    "type", "_", "__x", "print", "Exception", "copy", "math", "value", "load_model", "Model", "Net", "append", "keys",
    "items", "update", "forward_2", "i", "layers", "gelu", "relu", "value_2", "count", "index", "int", "torch",
]  # fmt: skip
ODD = [
    "", "0", "1", "01", "00", "²", "ﬁ", "ｓelf", "µ", "é", "e\u0301", "模型", "\U0001f600", "\ud800", "a-b", "a b",
    "layer{i + 1}", "{i}", "x" * 70, "x" * 300, "x" * 5000, "L['self']", "getattr(", "@1", "a@2", "<locals>", "%s",
    "\u13f0", "1a",
]  # fmt: skip
PLAIN = ["fc", "layers", "block", "a", "b", "w1", "w2", "w3", "layer1", "layer2", "layer3"]

NUMBERS: list[Any] = [0, 1, -1, 2, 3, 7, 64, 10**7, -(10**7), 1 << 31, 1 << 63, 1 << 64, 1 << 200, 10**4000]
NUMBERS += [True, 1.5, float("inf"), float("nan")]
SYMBOLS = [
    "s0", "Symbol('s0', positive=True, integer=True)", "2**64**64", "Pow(Integer(10), Integer(10000000))",
    "Symbol('__import__')", "__import__('os').system('touch pwned')", "Add(Symbol('s0'), Integer(1))",
    "((((s0*s0)*s0)*s0))", "s0" + "+1" * 1500, "(" * 900 + "s0" + ")" * 900, "-" * 3000 + "1", "Max(s0, 1)",
    "FloorDiv(s0, 2)", "s0.real", "Pow(Pow(Pow(s0, 8), 8), 8)", "Mod(s0, 0)", "1/0", "s0//0", "ﬁ", "Integer('7')",
    "Symbol(7)", "lambda: 0",
]  # fmt: skip
LINES = [
    "", "x = self.fc(x)", "return self.fc(x)", "y = F.relu(x) + self.w", "q, k, v = x.chunk(3)",
    "x = x.view(b, -1, self.n)", "if x: return x", "x" + ".b" * 100_000, "1" + "+1" * 100_000, "f" + "()" * 50_000,
    " " * 100_000 + "=", "[" * 400, "a" + " " * 400 + "= x", "ｓelf = x", "__debug__ = x", "self = x", "F = x",
    "flow, nn = x", "super = x", "print = x", "ﬁ = x", "Block = x", "Net, Out = x", "gelu = F.gelu(x)", "relu = x",
    "lambda: (yield)", "x = 10 ** 10 ** 10", "\x00", "*a, b = x", "x: int = y", "x" * 499 + "=1", "a," * 240 + "=x",
    "match = x", "getattr = range = x", "x[0:3] += y", "x = '\\d' is 5", "async = x", "for x in y", "a=b=c=x",
    *PAYLOADS[:6],
]  # fmt: skip
CLASSES = [
    "author.Block", "author.Net", "torch.nn.modules.linear.Linear", "torch.nn.modules.container.Sequential",
    "torch.nn.modules.activation.ReLU", "torch.nn.modules.container.ModuleList",
    "torch.nn.modules.normalization.LayerNorm", "torch.nn.modules.conv.Conv2d", "", "a.", "a.F", "a.²",
    "a.NamedTuple", "a.ﬁ", "a." + "x" * 900, "a.Exception", "a.1", "a.Path",
]  # fmt: skip

_names = st.sampled_from(PLAIN + RESERVED)
name = st.one_of(st.sampled_from(PLAIN), _names, _names, st.sampled_from(ODD + OF_MODULES + PAYLOADS))
plain_name = st.one_of(st.sampled_from(PLAIN), st.sampled_from(PLAIN + RESERVED + ODD[:20]))
line = st.one_of(st.sampled_from(LINES[:6]), st.sampled_from(LINES), name.map(lambda each: f"{each} = self.fc(x)"))
kind = st.one_of(st.sampled_from(CLASSES[:4]), st.sampled_from(CLASSES), name.map(lambda each: f"author.{each}"))
number = st.one_of(st.integers(-3, 5), st.sampled_from(NUMBERS))
size = st.one_of(
    number.map(lambda each: {"as_int": each}),
    st.sampled_from(SYMBOLS).map(lambda text: {"as_expr": {"expr_str": text, "hint": {"as_int": 3}}}),
)
literal = st.one_of(
    number.map(lambda each: {"as_int": each}),
    number.map(lambda each: {"as_float": each}),
    st.lists(number, max_size=5).map(lambda items: {"as_ints": items}),
    st.sampled_from([{"as_ints": [1] * 100_000}, {"as_ints": [1] * 900}, {"as_none": True}, {"as_bool": False}, {}]),
    name.map(lambda text: {"as_string": text}),
    size.map(lambda each: {"as_sym_int": each}),
    st.lists(size, max_size=4).map(lambda items: {"as_sym_ints": items}),
    st.integers(-1, 40).map(lambda each: {"as_scalar_type": each}),
    name.map(lambda text: {"as_device": {"type": text}}),
    name.map(lambda text: {"as_operator": text}),
    name.map(lambda text: {"as_custom_obj": {"class_fqn": text}}),
    name.map(lambda text: {"as_unheard_of": text}),
)
ELEMENTWISE = ["relu", "relu_", "gelu", "sigmoid", "clone", "tanh", "detach", "alias", "mish", "erfinv", "hardswish_"]
WITH_LITERALS = {
    "aten.select.int": ("dim", "index"), "aten.view.default": ("size",), "aten.add.Tensor": ("other",),
    "aten.mul_.Tensor": ("other",), "aten.pow.Tensor_Scalar": ("exponent",),
    "aten.slice.Tensor": ("dim", "start", "end", "step"), "aten.constant_pad_nd.default": ("pad", "value"),
    "aten.permute.default": ("dims",), "aten.chunk.default": ("chunks", "dim"), "aten.softmax.int": ("dim", "dtype"),
    "aten.repeat.default": ("repeats",), "aten.expand.default": ("size",), "aten.unsqueeze.default": ("dim",),
    "aten.sum.dim_IntList": ("dim", "keepdim"), "aten.fill_.Scalar": ("value",),
    "aten.new_zeros.default": ("size", "dtype"), "aten.movedim.int": ("source", "destination"),
    "aten.tile.default": ("dims",), "aten.diff.default": ("n", "dim"), "aten.one_hot.default": ("num_classes",),
    "aten.unbind.int": ("dim",), "aten.avg_pool2d.default": ("kernel_size", "stride", "padding"),
    "aten.roll.default": ("shifts", "dims"),
    "aten.upsample_bilinear2d.vec": ("output_size", "align_corners", "scale_factors"),
    "aten.pad.default": ("pad", "mode", "value"), "aten.linalg_matrix_power.default": ("n",),
    "aten.rot90.default": ("k", "dims"), "aten.flip.default": ("dims",), "aten.to.dtype": ("dtype",),
    "aten.narrow.default": ("dim", "start", "length"), "aten.unflatten.int": ("dim", "sizes"),
    "aten.adaptive_avg_pool2d.default": ("output_size",), "aten.bitwise_left_shift.Tensor_Scalar": ("other",),
    "aten.topk.default": ("k", "dim"), "aten.as_strided.default": ("size", "stride"),
    "aten.einsum.default": ("equation",), "torch2flow.setitem.default": ("keys", "value"),
    "torch2flow.store.default": ("state", "value"), "aten.einsum_.x": ("y",),
    "higher_order.wrap_with_set_grad_enabled": ("a",), "_operator.pow": ("a", "b"), "aten.sym_size.int": ("dim",),
}  # fmt: skip


@st.composite
def programs(draw: Draw, names: st.SearchStrategy[str] = name, sound: bool = False) -> Program:
    """A program; where it is `sound`, only its names and lines are hostile."""
    given = draw(st.sampled_from(["x", "input"])) if sound else draw(name)
    program = Program(f"author.{draw(names)}" if sound else draw(kind), {given: (2, 4)})
    program.argument_names = [draw(names)]
    value = given
    held: dict[str, str] = {}
    paths: list[tuple[str, str]] = []
    for number_ in range(draw(st.integers(1, 6))):
        if not paths or draw(st.booleans()):
            deep = [] if sound else [draw(st.sampled_from([*[1] * 20, 100, 3000]))]
            inside = draw(st.sampled_from(paths))[0] + "." if paths and draw(st.booleans()) else ""
            path = inside + ".".join([draw(names)] * (deep[0] if deep else 1))
            path = draw(st.sampled_from(paths))[0] if paths and draw(st.integers(0, 4)) == 0 else path
            paths.append((path, draw(kind)))
        path, class_name = draw(st.sampled_from(paths))
        around = [each for each in paths if path.startswith(each[0] + ".")][:1]
        modules = [*dict.fromkeys(around), (path, class_name)] if draw(st.integers(0, 5)) else []
        said, result = draw(line), f"v{number_}" if sound else draw(st.one_of(st.just(f"v{number_}"), name))
        options: dict[str, Any] = {"modules": modules, "line": said, "name": result}
        choice = draw(st.integers(0, 5))
        if choice == 0:
            own = held.setdefault(f"{path}.{draw(names)}", f"p{number_}")
            full = next(key for key, held_as in held.items() if held_as == own)
            if own not in program.states:
                program.state(own, full, 4, kind=draw(st.sampled_from(["parameter", "buffer"])))
            value = program.call("aten.mul.Tensor", {"self": value, "other": own}, 2, 4, **options)
        elif choice == 1 and f"{path}.weight" not in held:
            held[f"{path}.weight"] = held[f"{path}.bias"] = ""
            weight, bias = f"p{number_}_w", f"p{number_}_b"
            program.state(weight, f"{path}.weight", 4, 4)
            program.state(bias, f"{path}.bias", 4)
            given_ = {"input": value, "weight": weight, "bias": bias}
            value = program.call("aten.linear.default", given_, 2, 4, **options)
        elif choice == 2 and not sound:
            target = draw(st.sampled_from(sorted(WITH_LITERALS)))
            arguments: dict[str, Any] = {"self": value}
            for key in WITH_LITERALS[target]:
                if draw(st.integers(0, 3)):
                    arguments[key] = draw(literal)
            if draw(st.integers(0, 9)) == 0:
                arguments[draw(name)] = draw(literal)
            shape = [draw(size) for _ in range(draw(st.integers(0, 3)))]
            value = program.call(target, arguments, *shape, **options)
        elif choice == 3 and not sound:
            several = {"as_tensors": [{"name": each} for each in (value, given, value)]}
            value = program.call("aten.cat.default", {"tensors": several, "dim": draw(literal)}, 6, 4, **options)
        elif choice == 4 and not sound and draw(st.booleans()):
            value = program.call(draw(name), {draw(name): value}, 2, 4, **options)
        else:
            operator = draw(st.sampled_from(ELEMENTWISE[:5] if sound else ELEMENTWISE))
            value = program.call(f"aten.{operator}.default", {"self": value}, 2, 4, **options)
        if draw(st.integers(0, 7)) == 0:
            program.keys[path] = f"L__self__{path}@{number_}"
    program.modules = [path for path, _ in draw(st.lists(st.sampled_from(paths), max_size=3))]
    if draw(st.booleans()):
        program.modules.append(draw(names))
    program.outputs = [value, given][: draw(st.integers(1, 2))]
    if not draw(st.booleans()):
        program.tree = draw(trees(names, len(program.outputs)))
    return program


@st.composite
def trees(draw: Draw, names: st.SearchStrategy[str], leaves: int) -> dict[str, Any]:
    """A tree of outputs with so many leaves."""
    kind_ = draw(st.sampled_from(["tuple", "dict", "record", "model", "list"]))
    parts = [LEAF] * leaves
    if kind_ in ("tuple", "list"):
        return spec(f"builtins.{kind_}", "null", *parts)
    keys = draw(st.lists(names, min_size=leaves, max_size=leaves, unique=True))
    if kind_ == "dict":
        return spec("builtins.dict", json.dumps(keys), *parts)
    if kind_ == "record":
        return {**spec("collections.namedtuple", f"author.{draw(names)}", *parts), "fields": keys}
    return spec(f"author.{draw(names)}", json.dumps([keys, "x"]), *parts)


JUNK: list[Any] = [None, True, -1, 1.5, "", "x", [], {}, [[]], {"a": 1}, 1 << 200, "as_tensor", {"as_none": True}]


@st.composite
def damaged(draw: Draw, document: Any) -> Any:
    """The document with one or two of its values replaced by something else, taken away, or said twice."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 2))):
        owner, key = document, None
        while True:
            if isinstance(owner, dict) and owner:
                key = draw(st.sampled_from(sorted(owner)))
            elif isinstance(owner, list) and owner:
                key = draw(st.integers(0, len(owner) - 1))
            else:
                break
            if not isinstance(owner[key], dict | list) or not owner[key] or draw(st.integers(0, 5)) == 0:
                how = draw(st.integers(0, 3))
                if how == 0:
                    del owner[key]
                elif how == 1 and isinstance(owner, list):
                    owner.append(owner[key])
                else:
                    owner[key] = draw(st.one_of(st.sampled_from(JUNK), name, number))
                break
            owner = owner[key]
    return document


@st.composite
def facts(draw: Draw, program: Program) -> dict[str, Any]:
    """What `torch2flow capture` adds, with hostile names."""
    paths = [path.rpartition(".")[0] for _, path, _ in program.states.values()] + ["", *program.modules]
    value = st.one_of(number.filter(lambda each: each == each), name, st.lists(number, max_size=3))
    attributes = {
        draw(st.sampled_from(paths)): {draw(name): draw(value) for _ in range(3)}
        for _ in range(draw(st.integers(0, 3)))
    }
    parts = {"kind": "value", "value": program.outputs[0]}
    result = draw(st.sampled_from([parts, {"kind": f"author.{draw(name)}", "names": [draw(name)], "items": [parts]}]))
    border = {"path": draw(st.sampled_from(paths)), "call": 0, "result": result}
    row = {**border, "arguments": [[draw(name), {"kind": "value", "value": next(iter(program.inputs))}]]}
    signature = {"constructor": [{"name": draw(name), "default": draw(value)}], "forward": [draw(name)]}
    return {"attributes": attributes, "borders": [row], "signatures": {draw(kind): signature}}


@st.composite
def documents(draw: Draw) -> tuple[Any, dict[str, tuple[int, ...]], Any]:
    """The content of a file: the program, the weights, and the facts."""
    program = draw(programs())
    document = finished(program)
    added = draw(facts(program)) if draw(st.integers(0, 2)) == 0 else None
    if draw(st.integers(0, 2)) == 0:
        document = draw(damaged(document))
    return document, program.weights(), added


def finished(program: Program) -> Any:
    """The document of a program, with the fields of its NamedTuple where PyTorch keeps them."""
    document = program.document()
    if program.tree is not None and "fields" in program.tree:
        rows = {program.tree["context"]: {"field_names": program.tree["fields"]}}
        document["graph_module"]["treespec_namedtuple_fields"] = rows
    return document


def written(path: Path, content: tuple[Any, dict[str, tuple[int, ...]], Any]) -> Path:
    """The file."""
    document, weights, added = content
    return pack(path, document, {**weights}, added)


# -- pickled modules -----------------------------------------------------------------------------------------------

ATTRIBUTES = [
    "in_features", "out_features", "bias", "p", "inplace", "dim", "kernel_size", "stride", "padding",
    "normalized_shape", "eps", "padding_mode", "output_size", "num_layers", "training", "upscale_factor",
    "negative_slope", "approximate",
]  # fmt: skip
LAYERS = [
    "linear.Linear", "activation.ReLU", "activation.GELU", "dropout.Dropout", "container.Sequential",
    "container.ModuleList", "container.ModuleDict", "normalization.LayerNorm", "conv.Conv2d", "pooling.MaxPool2d",
    "flatten.Flatten", "pixelshuffle.PixelShuffle", "activation.LeakyReLU", "pooling.AdaptiveAvgPool2d", "rnn.LSTM",
    "linear.Identity",
]  # fmt: skip


@st.composite
def pickled_value(draw: Draw) -> bytes:
    """A plain value of an attribute."""
    each = draw(st.one_of(st.integers(-2, 9), st.sampled_from([1 << 40, 1 << 200, True, None, "x"]), name))
    if each is None:
        return b"N"
    if isinstance(each, bool):
        return b"\x88"
    if isinstance(each, str):
        return build.text(each.encode("utf-8", "replace").decode())
    return build.numbers([each] * draw(st.integers(1, 3))) if draw(st.booleans()) else build.number(each)


@st.composite
def pickled_modules(draw: Draw, depth: int = 3, sound: bool = False) -> bytes:
    """The stream that makes one module; where it is `sound`, only its names are hostile."""
    kind_ = draw(st.sampled_from(LAYERS if depth else LAYERS[:4]))
    attributes = [(build.text("training"), b"\x88")]
    parameters: list[tuple[bytes, bytes]] = []
    children: list[tuple[bytes, bytes]] = []
    if kind_ == "linear.Linear":
        sound = {"in_features": 2, "out_features": 2}
        attributes += [(build.text(key), build.number(value)) for key, value in sound.items()]
        parameters.append((build.text("weight"), build.tensor((2, 2), (2, 1))))
        parameters.append((build.text("bias"), build.tensor((2,))))
    for key in draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=0 if sound else 4, unique=True)):
        attributes.append((build.text(key), draw(pickled_value())))
    encodable = name.map(lambda each: each.encode("utf-8", "replace").decode())
    if draw(st.integers(0, 3)) == 0:
        parameters.append((build.text(draw(encodable)), build.tensor()))
    if kind_.startswith("container"):
        for number_ in range(draw(st.integers(0, 3))):
            key = draw(st.one_of(st.just(str(number_)), encodable))
            children.append((build.text(key), draw(pickled_modules(depth - 1, sound))))
    state = [
        *attributes, (build.text("_parameters"), build.dict_of(*parameters)),
        (build.text("_buffers"), build.dict_of()), (build.text("_modules"), build.dict_of(*children)),
    ]  # fmt: skip
    return build.name(f"torch.nn.modules.{kind_}") + b")\x81" + build.dict_of(*state) + b"b"


__all__ = ["documents", "finished", "pickled_modules", "plain_name", "programs", "tensor", "written"]
