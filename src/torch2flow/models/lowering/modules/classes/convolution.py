"""Convolutions whose edges are not zeros, or not the same on both sides."""
# mypy: ignore-errors

from torch2flow.models.lowering.lazy import F, flow, nn


def pad_edges(x, padding, mode="constant", value=0.0):
    """PyTorch's `F.pad` in all its modes; `padding` is (left, right), those of the last dimension first."""
    if mode == "constant":
        return F.pad(x, padding, value=value)
    for index in range(len(padding) // 2):
        dim, (left, right) = x.ndim - 1 - index, padding[2 * index : 2 * index + 2]
        size = x.shape[dim]
        # Where each new element comes from; a plain index is right in every mode and number of dimensions.
        places = [_place(i, size, mode) for i in range(-left, size + right)]
        if left or right:
            x = x.index_select(dim, flow.tensor(places, dtype=flow.int64, device=x.device))
    return x


def _place(index, size, mode):
    if mode == "circular":
        return index % size
    if mode == "replicate":
        return min(max(index, 0), size - 1)
    index = abs(index)
    return index if index < size else 2 * (size - 1) - index


class PaddedConv1d(nn.Conv1d):
    """`nn.Conv1d` with PyTorch's `padding_mode`; `edges` is (left, right)."""

    def __init__(self, *args, edges, padding_mode="constant", **kwargs):
        super().__init__(*args, **kwargs)
        self.edges, self.edge_mode = edges, padding_mode

    def forward(self, x):
        return super().forward(pad_edges(x, self.edges, self.edge_mode))


class PaddedConv2d(nn.Conv2d):
    """`nn.Conv2d` with PyTorch's `padding_mode`; `edges` is (left, right, top, bottom)."""

    def __init__(self, *args, edges, padding_mode="constant", **kwargs):
        super().__init__(*args, **kwargs)
        self.edges, self.edge_mode = edges, padding_mode

    def forward(self, x):
        return super().forward(pad_edges(x, self.edges, self.edge_mode))


class PaddedConv3d(nn.Conv3d):
    """`nn.Conv3d` with PyTorch's `padding_mode`; `edges` is (left, right, top, bottom, front, back)."""

    def __init__(self, *args, edges, padding_mode="constant", **kwargs):
        super().__init__(*args, **kwargs)
        self.edges, self.edge_mode = edges, padding_mode

    def forward(self, x):
        return super().forward(pad_edges(x, self.edges, self.edge_mode))


class Pad(nn.Module):
    """PyTorch's padding modules; `padding` is (left, right), then those of the dimension before."""

    def __init__(self, padding, mode="constant", value=0.0):
        super().__init__()
        self.padding, self.mode, self.value = padding, mode, value

    def forward(self, x):
        return pad_edges(x, self.padding, self.mode, self.value)
