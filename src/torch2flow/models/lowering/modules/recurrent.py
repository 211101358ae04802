"""Recurrent networks and their cells."""

from __future__ import annotations

from torch2flow.models.lowering.modules.reading import make, shape_of_tensor
from torch2flow.models.lowering.modules.table import Made, RefusedModuleError, Shape, torch_classes
from torch2flow.models.program.pickled import PickledModule

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@torch_classes("""
    LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0)
    GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)
    RNN(input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, bidirectional=False)
""")  # noqa: E501
def recurrent(module: PickledModule) -> Made:
    made = make(f"nn.{module.known_as}", module)
    given = made.arguments
    if module.known_as == "RNN":
        given["nonlinearity"] = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}.get(module.get("mode"), "tanh")
    hidden, directions = given["hidden_size"], 2 if given["bidirectional"] else 1
    rows, projected = _GATES[module.known_as] * hidden, given.get("proj_size", 0) or hidden
    if given["num_layers"] > len(module.parameters):
        raise RefusedModuleError("it has fewer weights than layers")
    for layer in range(given["num_layers"]):
        size = given["input_size"] if layer == 0 else projected * directions
        for suffix in (f"_l{layer}", f"_l{layer}_reverse")[:directions]:
            made.tensors |= {f"weight_ih{suffix}": (rows, size), f"weight_hh{suffix}": (rows, projected)}
            if given["bias"]:
                made.tensors |= {f"bias_ih{suffix}": (rows,), f"bias_hh{suffix}": (rows,)}
            if given.get("proj_size", 0):
                made.tensors[f"weight_hr{suffix}"] = (projected, hidden)
    return made


@torch_classes("LSTMCell; GRUCell; RNNCell")
def cell(module: PickledModule) -> Made:
    rows, size = shape_of_tensor(module, "weight_ih", 2)
    bias = bool(module.shape("bias_ih"))
    hidden = rows // _GATES[module.known_as.removesuffix("Cell")]
    tensors: dict[str, Shape] = {"weight_ih": (rows, size), "weight_hh": (rows, hidden)}
    tensors |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
    return make(module.known_as, module, tensors, input_size=size, hidden_size=hidden, bias=bias)
