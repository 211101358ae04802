"""Small models for the tests of `capture`: those that work, and one for each way in which one does not."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn


class Net(nn.Module):
    """Convolution, normalisation, dropout; nested outputs with a None in them."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(width, 5)
        self.unused = nn.Parameter(torch.zeros(2))

    def forward(self, x: torch.Tensor) -> dict[str, object]:
        x = torch.relu(self.bn(self.conv(x)))
        x = self.head(self.drop(x.mean((2, 3))))
        return {"logits": x, "rest": (None, [x.argmax(1), x * 2])}


class Twice(nn.Module):
    """One layer, called twice; a keyword; a mask; code that asks for float32."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.layer = nn.Linear(8, 8)

    def forward(self, ids: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.embed(ids).float()
        x = self.layer(torch.tanh(self.layer(x)))
        return x if mask is None else x * mask[..., None].to(torch.float32)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, 2, batch_first=True, dropout=0.2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        return self.lstm(x)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(ids))


@dataclass
class Pair:
    first: torch.Tensor
    second: torch.Tensor


class MakesPair(nn.Module):
    def forward(self, x: torch.Tensor) -> Pair:
        return Pair(x + 1, x - 1)


class UsesPair(nn.Module):
    """A submodule returns a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = MakesPair()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pair = self.pair(x)
        return pair.first * pair.second


class Dtypes(nn.Module):
    def forward(self, *, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return a * 2, b + 1, torch.view_as_complex(torch.stack([c, c], -1)), c[:0], c.sum(), c > 0


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.bfloat16()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class WritesIntoItsInput(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(2) + 1


class Counts(nn.Module):
    """A buffer that every call changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.add_(1)
        return x * self.calls


class Several(nn.Module):
    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        return xs[0] + xs[1]


class Keywords(nn.Module):
    def forward(self, **named: torch.Tensor) -> torch.Tensor:
        return named["a"] + named["b"]


class Listed(nn.Module):
    def forward(self, pair: list[torch.Tensor], scale: float = 1.0) -> torch.Tensor:
        return (pair[0] + pair[1]) * scale


# -- axes ----------------------------------------------------------------------------------------------------


class FixesBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1)


class FoldsFours(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0], x.shape[1] // 4, 4)


class Adds(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


# -- what fails ----------------------------------------------------------------------------------------------


class Decides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x - 1


class DropsLayers(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if self.training and torch.rand([]) < 0.5 else x


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x + torch.rand_like(x))


class DrawsInPython(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * random.random()


class Samples(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.multinomial(x.softmax(-1), 1)  # drawn inside of the function


class Unknown:
    pass


class ReturnsObject(nn.Module):
    def forward(self, x: torch.Tensor) -> Unknown:
        return Unknown()


class Halves(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@dataclass
class Boxes:
    corners: torch.Tensor
    halves: Halves


class ReturnsBoxes(nn.Module):
    """Classes that PyTorch was never told of."""

    def forward(self, x: torch.Tensor) -> Boxes:
        return Boxes(x + 1, Halves(x, x * 2))


class KeepsSteps(nn.Module):
    """Keeps a tensor from one call to the next, which in an export has no values."""

    steps: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.steps is None:
            self.steps = torch.arange(x.shape[1], dtype=x.dtype)
        return x * self.steps


class Mapped(nn.Module):
    """Calls a layer for each row, and gives a result of one element with an odd stride."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.func.vmap(self.layer)(x), x[:1, 1]


class LoopsByData(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.abs().max() > 0.1:
            x = x / 2
        return x


class CarriesANumber(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from torch._higher_order_ops.while_loop import while_loop  # which an old PyTorch has not

        return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, x))[1]


class NormsInABranch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, self.norm, torch.sin, (x,))


class Chooses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.yes, self.no = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, self.yes, self.no, (x,))


class Hooked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.layer.register_forward_hook(lambda module, args, output: output + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class RunsOnce(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_exporting():
            raise RuntimeError("only once")
        return x + 1


class TakesGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.layer(x).sin().sum(), x)[0]


class TakesGradientAsCalled(TakesGradient):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(self.layer(x).sin().sum(), x)[0]


class Packs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x[:, None], torch.tensor([2]))
        return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0])[0]


class TakesCache(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting():
            raise TypeError("DynamicCache is not supported")
        return x


class ByNumpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("these are no images\nreally")


class NoFloat64(nn.Module):
    """Works in float32 only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:
            raise TypeError("float32 only")
        return x + 1


class OnlyEval(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise RuntimeError("not made for training")
        return self.layer(x)


library = torch.library.Library("torch2flow_tests", "DEF")
library.define("own(Tensor x) -> Tensor")
library.impl("own", lambda x: x.clone(), "CPU")


class OwnOperator(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.torch2flow_tests.own(x)


lazy = nn.LazyLinear(3)
ready = nn.Linear(3, 3)


def scripted() -> nn.Module:
    return torch.jit.script(nn.Linear(3, 3))


def chatty() -> nn.Module:
    print("loading weights")
    return nn.Linear(3, 3)


def boom() -> nn.Module:
    raise RuntimeError("no weights here")


def leaves() -> nn.Module:
    sys.exit("usage: train.py DATA")


def no_module() -> list[int]:
    return [1]


class Teaches(nn.Module):
    """A frozen teacher that follows its student in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.teacher = nn.Linear(3, 3).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            for mine, theirs in zip(self.teacher.parameters(), self.fc.parameters(), strict=True):
                mine.data.mul_(0.9).add_(theirs.data, alpha=0.1)
        return self.fc(x) + self.teacher(x)


class ClipsItsWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.fc.weight.data.clamp_(-0.2, 0.2)
        return self.fc(x)


class AsksValuesInTrainMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and x.sum() > 0:
            x = x * 2
        return self.fc(x)


class ReturnsByMode(nn.Module):
    """Both modes call the same functions, and return others of their results."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        first = self.fc(self.drop(x))
        second = self.fc(first)
        return [first, second] if self.training else [second]


class WiresByMode(nn.Module):
    """Both modes call the same functions, on others of their results."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.a(x), self.b(x)
        return torch.tanh(one if self.training else other)


class HoldsLiterals(nn.Module):
    """Numbers that float32 rounds, written in forward."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tensor([0.1, 0.2, 0.3], dtype=x.dtype) + torch.as_tensor(0.7)


class ReadsBeside(nn.Module):
    """Reads what a dropout is given after the dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.second = nn.Linear(3, 3), nn.Dropout(0.3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x)
        return self.drop(hidden) + nn.functional.alpha_dropout(hidden, 0.1, self.training) + self.second(hidden)
