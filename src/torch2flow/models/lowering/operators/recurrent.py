"""Recurrent layers and cells."""

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.lstm.input", "aten.gru.input", "aten.rnn_tanh.input", "aten.rnn_relu.input")
def recurrent(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first, *, name):
    layer = getattr(flow._C, name)
    return layer(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


@operator("aten.lstm_cell")
@helper
def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """PyTorch's `lstm_cell`; OneFlow 0.9.0's has no CPU kernel."""
    hidden, cell = hx
    gates = F.linear(input, w_ih, b_ih) + F.linear(hidden, w_hh, b_hh)
    enter, forget, new, leave = gates.chunk(4, -1)
    cell = flow.sigmoid(forget) * cell + flow.sigmoid(enter) * flow.tanh(new)
    return flow.sigmoid(leave) * flow.tanh(cell), cell


@operator("aten.gru_cell")
@helper
def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """PyTorch's `gru_cell`; OneFlow 0.9.0's has no CPU kernel."""
    x_reset, x_update, x_new = F.linear(input, w_ih, b_ih).chunk(3, -1)
    h_reset, h_update, h_new = F.linear(hx, w_hh, b_hh).chunk(3, -1)
    update = flow.sigmoid(x_update + h_update)
    new = flow.tanh(x_new + flow.sigmoid(x_reset + h_reset) * h_new)
    return new + update * (hx - new)


@operator("aten.rnn_tanh_cell", "aten.rnn_relu_cell")
def rnn_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None, *, name):
    step = F.linear(input, w_ih, b_ih) + F.linear(hx, w_hh, b_hh)
    return flow.tanh(step) if name == "rnn_tanh_cell" else F.relu(step)
