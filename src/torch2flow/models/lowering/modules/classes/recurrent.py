"""Cells of recurrent networks; OneFlow 0.9.0's have no CPU kernel."""
# mypy: ignore-errors

from torch2flow.models.lowering.lazy import F, flow, nn


class RecurrentCell(nn.Module):
    """The weights of one step of a recurrent network, `gates` of them together."""

    def __init__(self, input_size, hidden_size, bias, gates):
        super().__init__()
        self.hidden_size = hidden_size
        bound = hidden_size**-0.5
        shapes = {"weight_ih": (gates * hidden_size, input_size), "weight_hh": (gates * hidden_size, hidden_size)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(flow.zeros(*shape).uniform_(-bound, bound)))
        for name in ("bias_ih", "bias_hh"):
            value = flow.zeros(gates * hidden_size).uniform_(-bound, bound)
            self.register_parameter(name, nn.Parameter(value) if bias else None)

    def zeros(self, x):
        return flow.zeros(*x.shape[:-1], self.hidden_size, dtype=x.dtype, device=x.device)

    def parts(self, x, hidden):
        """What the input and the state contribute; without a batch, as one of size one."""
        if x.ndim == 1:
            x, hidden = x.unsqueeze(0), hidden.unsqueeze(0)
        return F.linear(x, self.weight_ih, self.bias_ih), F.linear(hidden, self.weight_hh, self.bias_hh)


class LSTMCell(RecurrentCell):
    """PyTorch's `nn.LSTMCell`: one step; returns the new hidden and cell state."""

    def __init__(self, input_size, hidden_size, bias=True):
        super().__init__(input_size, hidden_size, bias, 4)

    def forward(self, input, hx=None):
        hidden, cell = (self.zeros(input), self.zeros(input)) if hx is None else hx
        given, kept = self.parts(input, hidden)
        enter, forget, new, leave = (given + kept).reshape(*input.shape[:-1], -1).chunk(4, dim=-1)
        cell = flow.sigmoid(forget) * cell + flow.sigmoid(enter) * flow.tanh(new)
        return flow.sigmoid(leave) * flow.tanh(cell), cell


class GRUCell(RecurrentCell):
    """PyTorch's `nn.GRUCell`: one step; returns the new hidden state."""

    def __init__(self, input_size, hidden_size, bias=True):
        super().__init__(input_size, hidden_size, bias, 3)

    def forward(self, input, hx=None):
        hidden = self.zeros(input) if hx is None else hx
        given, kept = (part.reshape(*input.shape[:-1], -1).chunk(3, dim=-1) for part in self.parts(input, hidden))
        reset, update = flow.sigmoid(given[0] + kept[0]), flow.sigmoid(given[1] + kept[1])
        new = flow.tanh(given[2] + reset * kept[2])
        return (1 - update) * new + update * hidden


class RNNCell(RecurrentCell):
    """PyTorch's `nn.RNNCell`: one step; returns the new hidden state."""

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh"):
        super().__init__(input_size, hidden_size, bias, 1)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        given, kept = self.parts(input, self.zeros(input) if hx is None else hx)
        hidden = (given + kept).reshape(*input.shape[:-1], -1)
        return flow.tanh(hidden) if self.nonlinearity == "tanh" else flow.relu(hidden)
