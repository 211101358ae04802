"""Small programs, one for each way in which people write models; `python nets.py FOLDER` captures them all.

`program` says how each is captured: its inputs, its named axes, in which mode.
"""

from __future__ import annotations

import math
import pathlib
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

BATCH = {0: ("batch",)}


@dataclass
class Program:
    make: Callable[[], nn.Module]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    dynamic: dict[int | str, Any] | None = None
    train: bool = False
    gradients: bool = True
    decompose: bool = False


PROGRAMS: dict[str, Program] = {}


def program(*args: Any, **options: Any) -> Callable[[type[nn.Module]], type[nn.Module]]:
    def register(kind: type[nn.Module]) -> type[nn.Module]:
        PROGRAMS[kind.__name__] = Program(kind, args, **options)
        return kind

    return register


def x(*sizes: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


# -- modules and their calls -----------------------------------------------------------------------------------


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        gate = torch.sigmoid(self.fc(x))
        return gate * x if other is None else gate * other


@program(x(2, 4), dynamic=BATCH)
class CalledTwice(nn.Module):
    """One module, called in two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.gate(x)
        return self.gate(out, x)


@program(x(2, 4), dynamic=BATCH)
class Shared(nn.Module):
    """One module under two names, and three times in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.layers = nn.ModuleList([Gate()] * 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(torch.relu(self.first(x)))
        for layer in self.layers:
            x = layer(x)
        return x


@program(torch.tensor([[1, 2, 3], [4, 5, 6]]), dynamic={0: ("batch", "length")})
class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(ids))


@program(x(2, 4), dynamic=BATCH)
class Containers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"left": nn.Linear(4, 4), "right": nn.Linear(4, 4)})
        self.scales = nn.ParameterList([torch.full((4,), 0.5), torch.full((4,), 2.0)])
        self.shifts = nn.ParameterDict({"in": torch.ones(4), "out": torch.ones(4)})
        self.tail = nn.Sequential(OrderedDict(norm=nn.LayerNorm(4), act=nn.ReLU()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.shifts["in"]
        left = self.heads["left"](x) * self.scales[0]
        right = self.heads["right"](x) * self.scales[1]
        return self.tail(left + right) + self.shifts["out"]


@program(x(2, 4), dynamic=BATCH)
class OddNames(nn.Module):
    """Modules, parameters and variables with names that mean something else."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("self", "0", "class", "a-b", "flow", "super"):
            self.add_module(name, nn.Linear(4, 4))
        self.register_parameter("lambda", nn.Parameter(torch.ones(4)))
        self.register_parameter("nn", nn.Parameter(torch.ones(4)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flow = self.self(x)
        nn = getattr(self, "0")(flow)
        math = getattr(self, "class")(nn) + flow
        x = getattr(self, "a-b")(math) * getattr(self, "lambda") + nn
        return self.super(self.flow(x)) * self.nn


class Linear(nn.Module):
    """Called as one of PyTorch's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width) * 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.weight)


@program(x(2, 4), dynamic=BATCH)
class OwnLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own = Linear(4)
        self.theirs = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.theirs(self.own(x))


class Pyramid(nn.Module):
    """A block that holds a smaller one of its own class."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, width // 2)
        self.inner = Pyramid(width // 2, depth - 1) if depth else None
        self.up = nn.Linear(width // 2, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.relu(self.down(x))
        if self.inner is not None:
            out = self.inner(out)
        return x + self.up(out)


@program(x(2, 16), dynamic=BATCH)
class Recursive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pyramid(x)


class Residual(nn.Module):
    def __init__(self, width: int, out: int, scale: float) -> None:
        super().__init__()
        self.fc = nn.Linear(width, out)
        self.shortcut = nn.Linear(width, out, bias=False) if width != out else None
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        out = torch.relu(self.fc(x)) * self.scale
        return out + identity


@program(x(2, 4), dynamic=BATCH)
class Residuals(nn.Module):
    """Blocks that differ in numbers, and in one module that some lack."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Residual(4, 4, 1.5), Residual(4, 8, 0.5), Residual(8, 8, 1.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(x)


@program(x(2, 4), dynamic=BATCH)
class Loops(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(x + layer(x))
        return x


@program(x(2, 4), dynamic=BATCH)
class PartOfASequence(nn.Module):
    """A sequence that is not called as one; and modules that are never called."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
        self.unused = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle = self.features[:2](x)
        return self.features[2](middle) + middle


class Inner(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, out)
        self.norm = nn.LayerNorm(out) if out > 4 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.fc(x)
        return x if self.norm is None else self.norm(x)


class Outer(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, out)
        self.shortcut = Inner(width, out) if width != out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        return torch.relu(self.fc(x)) + identity


@program(x(2, 4), dynamic=BATCH)
class OptionalInOptional(nn.Module):
    """A module that some blocks lack itself holds one that some lack."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Outer(4, 4), Outer(4, 6), Outer(6, 3), Outer(3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(x)


def block(add: float) -> nn.Module:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) + add if add else torch.tanh(self.fc(x))

    return Block()


class Path(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) * 2


@program(x(2, 4), dynamic=BATCH)
class SameClassNames(nn.Module):
    """Different classes of one name, and one called as something that the source imports."""

    def __init__(self) -> None:
        super().__init__()
        self.first = block(0.0)
        self.second = block(1.0)
        self.path = Path()
        self.register_buffer("table", x(5, 4, seed=7), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.path(self.second(self.first(x))) + self.table[1]


@program(x(2, 4), dynamic=BATCH)
class Iterates(nn.Module):
    """One layer again and again; a list of results."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.heads = nn.ModuleList(nn.Linear(4, n) for n in (2, 3, 2))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for head in self.heads:
            for _ in range(2):
                x = torch.tanh(self.layer(x))
            found.append(head(x))
        return found


@program(torch.tensor([[1, 2, 3], [4, 5, 6]]), dynamic={0: ("batch", "length")})
class Borrows(nn.Module):
    """The weight of one module in the forward of another."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.bias = nn.Parameter(torch.zeros(7))
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return F.linear(self.embed(ids) * self.scale, self.embed.weight, self.bias)


# -- inputs and outputs ----------------------------------------------------------------------------------------


@program(
    {"image": x(2, 4), "boxes": [x(2, 4, seed=2), x(2, 4, seed=3)]},
    kwargs={"options": {"bias": x(4)}},
    gradients=False,
)
class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, inputs: dict[str, Any], *, options: dict[str, torch.Tensor]) -> dict[str, Any]:
        first, second = inputs["boxes"]
        out = self.fc(inputs["image"]) + options["bias"]
        return {"out": out, "boxes": [first + out, (second, out.sum())], "b c": out * 2}


@program({"inputs": x(2, 4), "flow": x(2, 4, seed=2), "a-b": x(2, 4, seed=3)}, x(2, 4, seed=4), gradients=False)
class NamesOfInputs(nn.Module):
    """Inputs called as the source's own imports, as what holds them, and as nothing."""

    def forward(self, inputs: dict[str, torch.Tensor], flow: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.relu(inputs["inputs"]), inputs["flow"], inputs["a-b"] - flow])


@dataclass
class Detection:
    logits: torch.Tensor
    hidden: torch.Tensor | None = None
    scores: torch.Tensor | None = None


torch.export.register_dataclass(Detection, serialized_type_name="nets.Detection")


@program(x(2, 4), dynamic=BATCH, gradients=False)
class ReturnsDataclass(nn.Module):
    """A dataclass, beside a module whose class has the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = type("Detection", (Gate,), {})()

    def forward(self, x: torch.Tensor) -> Detection:
        out = self.fc(x)
        return Detection(out, scores=out.softmax(-1))


@program(x(2, 4), dynamic=BATCH, gradients=False)
class ReturnsNone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> tuple[Any, ...]:
        return None, self.fc(x), 3, [None, x]


@program(x(2, 4), dynamic=BATCH, gradients=False)
class ReturnsInput(nn.Module):
    """The same value twice, an input as it came, a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = x + self.bias
        return out, x, out, self.bias


@program(x(2, 4), dynamic=BATCH)
class Defaults(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, scale: float = 2.0, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.fc(x) * scale
        return x if mask is None else x * mask


@program(x(2, 4), kwargs={"mode": "sum", "power": 3}, dynamic=BATCH)
class TakesConstants(nn.Module):
    def forward(self, x: torch.Tensor, mode: str = "mean", power: int = 2) -> tuple[torch.Tensor]:
        x = x**power
        return (x.sum(1) if mode == "sum" else x.mean(1),)


@program(x(2, 4), x(2, 4, seed=2), kwargs={"scale": x(4)})
class Variadic(nn.Module):
    def forward(self, *xs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        return (xs[0] + xs[1]) * named["scale"]


@program(x(2, 4), kwargs={"mask": torch.tensor([True, False, True, True])})
class SkipsAnArgument(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(
        self, x: torch.Tensor, scale: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        assert scale is None and mask is not None
        return self.fc(x).masked_fill(~mask, 0.0)


@program(
    torch.tensor([[3, 1, 2], [0, 5, 4]]), torch.tensor([[True, False, True]]), dynamic={0: ("batch",)}, gradients=False
)
class IntegersAndBools(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.arange(6))

    def forward(self, ids: torch.Tensor, keep: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.steps[ids] * 2 + keep
        return found, found > 4, found // 3, found % 3, found / 2, found.sum(1), keep | (ids > 2)


# -- tensors of the model --------------------------------------------------------------------------------------


@program(x(2, 4), dynamic=BATCH)
class Buffers(nn.Module):
    """A buffer of each kind that is not in the state dict, and one that is."""

    def __init__(self) -> None:
        super().__init__()
        table = x(5, 4, seed=7)
        for name, value in {
            "positions": torch.arange(4),
            "evens": torch.arange(2, 10, 2, dtype=torch.int32)[None],
            "zeros": torch.zeros(1, 4),
            "mean": torch.tensor([0.485, 0.456, 0.406, 0.25]),
            "table": table,
            "again": table.clone(),
            "mask": torch.ones(4, 4, dtype=torch.bool).tril(),
            "scale": torch.tensor(0.5),
            "infinite": torch.full((4, 4), float("-inf")).triu(1),
        }.items():
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("kept", torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - self.mean) * self.scale + self.zeros + self.positions + self.evens + self.kept
        scores = (x @ self.mask.float() + self.infinite[0]).softmax(-1)
        return scores + self.table[0] - self.again[1]


@program(x(2, 4), dynamic=BATCH)
class Constants(nn.Module):
    """Tensors that are made in `forward`, and one that is a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.table = x(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = torch.tensor([[1.0, 2.0, 3.0, 4.5]])
        half = torch.tensor(0.5)
        x = x @ self.table
        return x * weights * half + torch.arange(4, device=x.device) - torch.full((4,), 2.5) + torch.zeros_like(x)


@program(x(2, 4), dynamic=BATCH, train=True)
class Counts(nn.Module):
    """Buffers that a run in train mode changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("last", torch.zeros(4))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            with torch.no_grad():
                self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
                self.last[1:] = x[0, 1:]
            self.calls += 1
        return self.norm(x) - self.mean


@program(x(2, 4), dynamic=BATCH, gradients=False)
class CopiesABuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(4))
        self.register_buffer("kept", torch.ones(4))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        before, kept = self.calls.clone(), self.kept.clone()
        self.calls.add_(1).mul_(3)
        return x + before, x + self.calls, x + kept


@program(x(2, 4), dynamic=BATCH, gradients=False)
class WritesIntoItsInput(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.mul_(2)
        return x + 1


@program(x(2, 4), dynamic=BATCH)
class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.head = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.full((4,), 0.5), requires_grad=False)
        self.shift = nn.Parameter(torch.zeros(4))
        self.stem.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(x)) * self.scale + self.shift


@program(x(2, 4), dynamic=BATCH, gradients=False)
class Weightless(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) + 1


@program(x(2, 4).double(), dynamic=BATCH)
class Double(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0, 4.0]), persistent=False)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x) * self.scale + torch.ones(4, dtype=torch.float64)


@program(x(2, 4).bfloat16(), gradients=False)
class BFloat16(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.bfloat16()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.fc(x))


@program(x(2, 4).half(), gradients=False)
class Float16(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.half()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.fc(x))


# -- what forward does -----------------------------------------------------------------------------------------


@program(x(2, 4, 6), dynamic=BATCH)
class WritesThroughViews(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.fc(x)
        rows = x.view(-1, 6)
        rows.mul_(2)
        turned = x.transpose(1, 2)
        turned.add_(1)
        x[:, 0].zero_()
        x[:, 1:3, ::2] = rows[0, 0]
        return x + turned.permute(0, 2, 1) + rows.view_as(x)


@program(x(3, 4), dynamic=BATCH)
class WritesIntoNew(nn.Module):
    """Fills a tensor piece by piece."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.zeros_like(x)
        out[:, :2] = x[:, 2:]
        out[:, 2:] = x[:, :2] * 2
        out[0] += 1
        return out


@program(x(3, 5, 4), dynamic={0: ("batch", "length")})
class Arithmetic(nn.Module):
    """Sizes computed from two dynamic ones."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        batch, length, width = x.shape
        flat = x.flatten(0, 1)
        doubled = torch.cat([x, x]).reshape(batch * 2, length, 2, width // 2)
        padded = F.pad(x, (0, 0, 1, 2))
        half = x[:, : length // 2]
        return flat, doubled, padded.transpose(1, 2).reshape(batch, -1), half, x.new_ones(batch, length + 1) / length


@program(x(3, 5, 4), dynamic={0: ("batch", "length")})
class ScalesBySize(nn.Module):
    """Numbers, not integers, computed from a dynamic size."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        length = x.shape[1]
        return x / length, x * length**-0.5, x * (1.0 / length), x.sum(1) / (length * 2 - 1)


@program(x(3, 5, 4), dynamic=BATCH)
class ScalesByAFixedSize(nn.Module):
    """`math.sqrt` makes a plain number of a size."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x / math.sqrt(x.shape[1]), x * x.shape[1] ** -0.5


@program(x(2, 3, 8, 8), dynamic={0: ("batch", None, "height", "width")})
class Resizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = self.conv(x)
        b, c, h, w = small.shape
        tokens = small.flatten(2).transpose(1, 2)
        back = tokens.transpose(1, 2).reshape(b, c, h, w)
        return F.interpolate(back, size=x.shape[2:], mode="nearest") + x


@program(x(4, 6), dynamic=BATCH, gradients=False)
class ActsByMode(nn.Module):
    """Dropout and batch norm as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.norm(x), F.dropout(x, 0.5, self.training), F.dropout(x, 0.5, False), self.drop(x)


@program(x(2, 4), dynamic=BATCH)
class NoGrad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.teacher = nn.Linear(4, 4)
        self.student = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            target = self.teacher(x)
        out = self.student(x)
        return (out - target) ** 2 + out.detach()


@program(x(2, 5, 4), decompose=True)
class Decomposed(nn.Module):
    """`run_decompositions()`: addmm, native_layer_norm, no views."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.fc2 = nn.Linear(8, 4, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.norm(self.fc1(x)))
        x = self.fc2(x).softmax(-1)
        return self.head(x.mean(1))


class Fusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, state: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        if residual is not None:
            state = state + self.fc(residual)
        return torch.tanh(state)


@program(x(2, 6), x(2, 6), x(2, 6), dynamic={0: ("batch",), 1: ("batch",), 2: ("batch",)})
class Fused(nn.Module):
    """Another call in the first round, and variables that change places."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Fusion() for _ in range(3)])

    def forward(self, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        fused = None
        for state, layer in zip([a, b, c], self.layers, strict=True):
            fused = layer(state) if fused is None else layer(fused, state)
        return fused


class Stack(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList([PreNorm(6) for _ in range(count)])

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            x = layer(x) * scale
        return x


class PreNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = x
        x = self.norm(x)
        x = self.fc(x)
        return x + residual


@program(x(2, 6), dynamic=BATCH)
class Stacks(nn.Module):
    """Lists of one name and of different lengths; residuals."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList([Stack(3), Stack(4), Stack(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            x = layer(x, torch.tensor(0.5))
        return x


@program(x(2, 3, 8, 8))
class FixedSizes(nn.Module):
    """Nothing is dynamic."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.fc = nn.Linear(64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).relu()
        return self.fc(x.view(x.size(0), -1))


def main(folder: pathlib.Path, only: list[str]) -> None:
    import torch2flow

    for name, each in PROGRAMS.items():
        if only and name not in only:
            continue
        torch.manual_seed(0)
        model = each.make()
        out = folder / f"{name}.pt2"
        options = {"dynamic": each.dynamic, "train": each.train, "gradients": each.gradients}
        try:
            torch2flow.capture(model, each.args, each.kwargs, out=out, reference="outputs", **options)
        except torch2flow.Torch2FlowError as error:
            out.with_suffix(".error").write_text(str(error))
            continue
        out.with_suffix(".keys").write_text("\n".join(model.state_dict()))
        if each.decompose:
            exported = torch.export.export(model.eval(), each.args).run_decompositions()
            torch.export.save(exported, out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
