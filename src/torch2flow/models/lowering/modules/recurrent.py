"""Recurrent networks and their cells."""

from __future__ import annotations

from torch2flow.models.lowering.modules.reading import make, shape_of_tensor, whole_number
from torch2flow.models.lowering.modules.table import (
    AnyModule,
    Made,
    ModuleCall,
    RefusedModuleError,
    Shape,
    torch_classes,
)
from torch2flow.models.program.pickled import PickledModule

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@torch_classes("""
    LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0): lstm
    GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False): gru
    RNN(input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, bidirectional=False): rnn_tanh rnn_relu
""")  # noqa: E501
def recurrent(module: AnyModule) -> Made:
    rows, size = shape_of_tensor(module, "weight_ih_l0", 2)
    hidden, projected = rows // _GATES[module.known_as], (module.shape("weight_hr_l0") or (0,))[0]
    bias, both = bool(module.shape("bias_ih_l0")), bool(module.get("bidirectional"))
    layers = whole_number(module, "num_layers")
    if not module.shape(f"weight_ih_l{layers - 1}"):
        raise RefusedModuleError("it has fewer weights than layers")
    given = {"input_size": size, "hidden_size": hidden, "bias": bias, "proj_size": projected}
    made = make(f"nn.{module.known_as}", module, nonlinearity=_nonlinearity(module), **given)  # type: ignore[arg-type]
    states = projected or hidden
    for layer in range(layers):
        for suffix in (f"_l{layer}", f"_l{layer}_reverse") if both else (f"_l{layer}",):
            made.tensors |= {f"weight_ih{suffix}": (rows, size), f"weight_hh{suffix}": (rows, states)}
            if bias:
                made.tensors |= {f"bias_ih{suffix}": (rows,), f"bias_hh{suffix}": (rows,)}
            if projected:
                made.tensors[f"weight_hr{suffix}"] = (projected, hidden)
        size = states * (2 if both else 1)
    return made


def _nonlinearity(module: AnyModule) -> str:
    mode = module.node.operator if isinstance(module, ModuleCall) else module.get("mode")
    return "relu" if mode in ("aten.rnn_relu", "RNN_RELU") else "tanh"


@torch_classes("LSTMCell; GRUCell; RNNCell")
def cell(module: PickledModule) -> Made:
    rows, size = shape_of_tensor(module, "weight_ih", 2)
    bias = bool(module.shape("bias_ih"))
    hidden = rows // _GATES[module.known_as.removesuffix("Cell")]
    tensors: dict[str, Shape] = {"weight_ih": (rows, size), "weight_hh": (rows, hidden)}
    tensors |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
    return make(module.known_as, module, tensors, input_size=size, hidden_size=hidden, bias=bias)
