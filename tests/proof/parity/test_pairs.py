"""Faithful ports by hand, of many kinds: each is written once and built of either library, and must be called right."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import torch2flow

PAIRS: dict[str, Callable[[Any], Any]] = {}
"""By name, a function that is given `torch` or `oneflow` and returns a class or function that builds the module."""

INPUTS: dict[str, Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]] = {}


def pair(inputs: Callable[[Any], Any]) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        PAIRS[build.__name__] = build
        INPUTS[build.__name__] = inputs
        return build

    return register


def x(torch: Any) -> Any:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def one(torch: Any) -> Any:
    return (x(torch),), {}


@dataclasses.dataclass
class Batch:
    values: Any
    mask: Any = None
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Frozen:
    values: Any


class Fields(NamedTuple):
    first: Any
    second: Any


class Cache:
    """What a decoder keeps."""

    def __init__(self, keys: list[Any]) -> None:
        self.keys = keys
        self.steps = 3


@pair(lambda torch: ((x(torch), 2.5, None, True, "twice"), {}))
def plain_values(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)

        def forward(self, x: Any, scale: float, bias: Any, twice: bool, word: str) -> Any:
            x = self.fc(x) * scale
            x = x if bias is None else x + bias
            return x * 2 if twice and word == "twice" else x

    return Net


def nested(torch: Any) -> Any:
    extra = {"mask": x(torch) > 0, "power": 2, "rest": [None, x(torch)]}
    return ([x(torch), x(torch) + 1],), {"extra": extra}


@pair(nested)
def nested_values(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 3)

        def forward(self, both: Any, extra: Any) -> Any:
            x = self.fc(both[0]) + self.fc(both[1]) ** extra["power"]
            return {"x": x, "rest": [extra["rest"][1] * extra["mask"].float(), x.sum()]}

    return Net


@pair(lambda torch: ((Batch(x(torch), x(torch) > 0, 3.0), Frozen(x(torch))), {}))
def dataclasses_in_and_out(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)

        def forward(self, batch: Batch, frozen: Frozen) -> Batch:
            x = self.fc(batch.values * batch.mask.float()) * batch.scale + frozen.values
            return Batch(x, batch.mask)

    return Net


@pair(lambda torch: ((Fields(x(torch), [x(torch)]),), {"cache": Cache([x(torch), x(torch) * 2])}))
def cache_and_fields(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)

        def forward(self, given: Fields, cache: Cache) -> Any:
            x = self.fc(given.first) + given.second[0]
            for key in cache.keys:
                x = x + key * cache.steps
            cache.keys.append(x)
            return OrderedDict([("b", x), ("a", cache.keys[0])])

    return Net


@pair(one)
def hooks(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.out = lib.nn.Linear(6, 6), lib.nn.Linear(6, 2)
            self.fc.register_forward_hook(lambda module, args, output: output * 3)
            self.out.register_forward_pre_hook(lambda module, args: (args[0] + 1,))

        def forward(self, x: Any) -> Any:
            return self.out(self.fc(x).tanh())

    return Net


@pair(one)
def lock(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lock, self.fc = threading.Lock(), lib.nn.Linear(6, 6)

        def forward(self, x: Any) -> Any:
            with self.lock:
                return self.fc(x)

    return Net


@pair(one)
def called_twice(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.norm = lib.nn.Linear(6, 6), lib.nn.BatchNorm1d(6)
            self.same = self.fc

        def forward(self, x: Any) -> Any:
            return self.norm(self.same(self.norm(self.fc(x))))

    return Net


@pair(one)
def weight_norm(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.utils.weight_norm(lib.nn.Linear(6, 6))
            self.out = lib.nn.Linear(6, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.fc(x))

    return Net


@pair(one)
def plain_attributes(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)
            self.scale, self.table = lib.ones(6) * 0.3, {"shift": [lib.ones(6) * 0.1]}
            self.cache: Any = None
            self.calls: list[int] = []

        def forward(self, x: Any) -> Any:
            if self.cache is None:
                self.cache = lib.arange(6).float() / 7
            self.calls.append(1)
            return self.fc(x) * self.scale + self.table["shift"][0] + self.cache

    return Net


@pair(one)
def asks_for_float32(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)

        def forward(self, x: Any) -> Any:
            mask = (x > 0).to(lib.float32) + (x > 1).float() + lib.ones(4, 6) + lib.zeros(4, 6, dtype=lib.float32)
            return lib.matmul(self.fc(x * mask), lib.ones(6, 6) / 3)

    return Net


@pair(one)
def frozen_and_tied(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = lib.nn.Linear(6, 6), lib.nn.Linear(6, 6), lib.nn.Linear(6, 6)
            self.b.weight = self.a.weight
            for parameter in self.c.parameters():
                parameter.requires_grad = False

        def forward(self, x: Any) -> Any:
            return self.c(self.b(self.a(x).tanh()).tanh())

    return Net


@pair(one)
def dropouts(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.drop = lib.nn.Linear(6, 6), lib.nn.Dropout(0.4)

        def forward(self, x: Any) -> Any:
            x = lib.nn.functional.dropout(self.fc(x), 0.2, training=self.training)
            return self.drop(x).relu()

    return Net


@pair(lambda torch: ((torch.tensor([[1, 2, 0], [3, 0, 0]]),), {}))
def embedding(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table, self.rnn = lib.nn.Embedding(5, 6, padding_idx=0), lib.nn.LSTM(6, 4, batch_first=True)

        def forward(self, ids: Any) -> Any:
            found, (hidden, cell) = self.rnn(self.table(ids))
            return found, hidden

    return Net


@pair(one)
def lists_of_modules(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.blocks = lib.nn.ModuleList([lib.nn.Sequential(lib.nn.Linear(6, 6), lib.nn.ReLU()) for _ in range(3)])
            self.by_name = lib.nn.ModuleDict({"a": lib.nn.Linear(6, 2)})
            self.gains = lib.nn.ParameterList([lib.nn.Parameter(lib.ones(6)) for _ in range(3)])

        def forward(self, x: Any) -> Any:
            for gain, block in zip(self.gains, self.blocks, strict=True):
                x = x + gain * block(x)
            return self.by_name["a"](x)

    return Net


@pair(one)
def buffers(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)
            self.register_buffer("mean", lib.zeros(6))
            self.register_buffer("count", lib.zeros(1, dtype=lib.int64))

        def forward(self, x: Any) -> Any:
            x = self.fc(x)
            if self.training:
                self.mean.copy_(self.mean * 0.9 + x.detach().mean(0) * 0.1)
                self.count += 1
            return x - self.mean

    return Net


@pair(one)
def counts_its_calls(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.calls, self.seen = lib.nn.Linear(6, 6), 0, {"last": None}

        def forward(self, x: Any) -> Any:
            self.calls += 1
            last, self.seen["last"] = self.seen["last"], x
            x = self.fc(x) * self.calls
            return x if last is None else x + last

    return Net


@pair(lambda torch: ((x(torch).view(1, 1, 4, 6),), {}))
def convolutions(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = lib.nn.Sequential(
                lib.nn.Conv2d(1, 4, 3, padding=1), lib.nn.GroupNorm(2, 4), lib.nn.LeakyReLU(0.2), lib.nn.MaxPool2d(2)
            )
            self.norm, self.act = lib.nn.BatchNorm2d(4), lib.nn.PReLU(4)
            self.up = lib.nn.ConvTranspose2d(4, 1, 2, stride=2)

        def forward(self, x: Any) -> Any:
            return self.up(self.act(self.norm(self.body(x)))).sigmoid()

    return Net


@pair(one)
def random_in_train_mode(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.out = lib.nn.Linear(6, 6), lib.nn.Linear(6, 6)

        def forward(self, x: Any) -> Any:
            x = self.fc(x)
            return self.out(x + lib.randn(4, 6) if self.training else x)

    return Net


@pair(
    lambda torch: ((torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1]]),), {"mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])})
)
def attention(lib: Any) -> Any:
    class Block(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, heads: int) -> None:
            super().__init__()
            self.heads, self.qkv, self.out = heads, lib.nn.Linear(8, 24), lib.nn.Linear(8, 8)
            self.norm, self.drop = lib.nn.LayerNorm(8), lib.nn.Dropout(0.1)

        def forward(self, x: Any, mask: Any) -> Any:
            batch, length, width = x.shape
            q, k, v = self.qkv(self.norm(x)).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            scores = lib.matmul(q, k.transpose(-2, -1)) / (width / self.heads) ** 0.5
            scores = scores.masked_fill(mask[:, None, None, :] == 0, -1e9)
            mixed = lib.matmul(self.drop(scores.softmax(dim=-1)), v)
            return x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table = lib.nn.Embedding(6, 8)
            self.blocks = lib.nn.ModuleList([Block(2) for _ in range(2)])
            self.head = lib.nn.Linear(8, 6, bias=False)
            self.head.weight = self.table.weight

        def forward(self, ids: Any, mask: Any = None) -> Any:
            x = self.table(ids)
            for block in self.blocks:
                x = block(x, mask)
            return {"logits": self.head(x), "hidden": x}

    return Net


@pair(one)
def autoencoder(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.mean, self.scale = lib.nn.Linear(6, 8), lib.nn.Linear(8, 2), lib.nn.Linear(8, 2)
            self.decoder = lib.nn.Sequential(lib.nn.Linear(2, 8), lib.nn.ELU(), lib.nn.Linear(8, 6))

        def forward(self, x: Any) -> Any:
            hidden = self.encoder(x).relu()
            mean, scale = self.mean(hidden), self.scale(hidden)
            drawn = mean + lib.exp(0.5 * scale) * lib.randn(4, 2)
            return self.decoder(drawn), mean, scale

    return Net


@pair(one)
def sampling(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, sharpness: float = 1.0) -> None:
            super().__init__()
            self.fc, self.sharpness = lib.nn.Linear(6, 3), sharpness

        def forward(self, x: Any) -> Any:
            chances = (self.fc(x) * 8 * self.sharpness).softmax(-1)
            return lib.multinomial(chances, 64, True).float()  # drawn inside of a function of the library

    return Net


@pair(lambda torch: ((x(torch).view(2, 2, 6),), {"hidden": torch.ones(4, 2, 5)}))
def recurrent(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = lib.nn.GRU(6, 5, 2, batch_first=True, bidirectional=True, dropout=0.2)

        def forward(self, x: Any, hidden: Any) -> Any:
            found, last = self.rnn(x, hidden)
            return found.flip(1), last

    return Net


@pair(lambda torch: ((torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0)),), {"size": (9, 7)}))
def skip_connections(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down = lib.nn.ModuleList([lib.nn.Conv2d(3, 4, 3, 2, 1), lib.nn.Conv2d(4, 4, 3, 2, 1)])
            self.norms = lib.nn.ModuleList([lib.nn.BatchNorm2d(4, momentum=0.3), lib.nn.InstanceNorm2d(4, affine=True)])
            self.mix, self.gain = lib.nn.Conv2d(8, 2, 1), lib.nn.Parameter(lib.zeros(1) + 0.5)

        def forward(self, x: Any, size: Any) -> Any:
            kept = []
            for conv, norm in zip(self.down, self.norms, strict=True):
                x = lib.nn.functional.leaky_relu(norm(conv(x)), 0.1)
                kept.append(x)
            wide = lib.nn.functional.interpolate(kept[1], size=kept[0].shape[2:], mode="bilinear", align_corners=False)
            x = self.mix(lib.cat([kept[0], wide * self.gain], dim=1))
            return lib.nn.functional.interpolate(x, size=size, mode="nearest"), kept

    return Net


@pair(lambda torch: ((x(torch), torch.tensor([0, 2, 1, 0])), {}))
def loss_inside(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.loss = lib.nn.Linear(6, 3), lib.nn.CrossEntropyLoss()
            self.register_buffer("centers", lib.ones(3) * 0.2, persistent=False)

        def forward(self, x: Any, target: Any) -> Any:
            logits = self.fc(x) - self.centers
            return self.loss(logits, target), logits.argmax(dim=-1), logits.softmax(dim=-1).max(dim=-1)[0]

    return Net


@pair(one)
def frozen_norm(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.norm, self.out = lib.nn.Linear(6, 6), lib.nn.BatchNorm1d(6), lib.nn.Linear(6, 2)

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, x: Any) -> Any:
            return self.out(self.norm(self.fc(x)).clamp(min=-0.5, max=0.5))

    return Net


@pair(one)
def constants_in_a_buffer(lib: Any) -> Any:
    theirs = lib.__name__ == "torch"

    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)
            if theirs:
                self.register_buffer("steps", lib.arange(6).float(), persistent=False)

        def forward(self, x: Any) -> Any:
            return self.fc(x) * (self.steps if theirs else lib.arange(6).float())

    return Net


def dropped_by_hand(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.nn.Linear(6, 6)

        def forward(self, x: Any) -> Any:
            x = self.fc(x)
            if lib.__name__ == "torch":
                return lib.nn.functional.alpha_dropout(x, 0.25, self.training)
            kept = (lib.rand(*x.shape) >= 0.25).to(x.dtype) if self.training else 1.0
            return x * kept / (0.75 if self.training else 1.0)

    return Net


def test_a_port_that_draws_itself_what_pytorch_drops_is_told_not_accused(torch: Any, flow: Any) -> None:
    found = torch2flow.verify(dropped_by_hand(flow)(), dropped_by_hand(torch)(), *one(torch), transfer=True)
    assert found.faithful, found.sentence
    assert "Training was not compared: the model itself draws random numbers of its own" in found.sentence


@pytest.mark.parametrize("name", PAIRS)
def test_a_faithful_pair_is_called_faithful(name: str, torch: Any, flow: Any) -> None:
    torch.manual_seed(0)
    original, port = PAIRS[name](torch)(), PAIRS[name](flow)()
    args, kwargs = INPUTS[name](torch)
    found = torch2flow.verify(port, original, args, kwargs, transfer=True)
    assert found.faithful, (found.sentence, found.ledger.failures)
    if name == "sampling":
        assert "random" in found.parts and "in train mode the model draws random numbers" in found.sentence
    else:
        assert {"outputs", "gradients", "sgd"} <= set(found.parts) and not found.missing


def test_another_chance_in_what_stays_random_is_caught(torch: Any, flow: Any) -> None:
    found = torch2flow.verify(sampling(flow)(-1.0), sampling(torch)(), *one(torch), transfer=True)
    assert not found.faithful, found.sentence
    assert found.ledger.parts["random"]


def inner(lib: Any, parts: str) -> Any:
    """Three linear layers in one of several cuts and under one of several names."""

    class Block(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, first: str, second: str) -> None:
            super().__init__()
            self.names = first, second
            self.add_module(first, lib.nn.Linear(6, 6))
            self.add_module(second, lib.nn.Linear(6, 6))

        def forward(self, x: Any) -> Any:
            x = getattr(self, self.names[0])(x)
            return getattr(self, self.names[1])(x.tanh() if parts != "activation outside" else x)

    class Net(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.block = Block(*("ab" if parts != "renamed" else ("first", "second")))
            self.head = lib.nn.Linear(6, 2)

        def forward(self, x: Any) -> Any:
            if parts == "activation outside":
                return self.head(self.block.b(self.block.a(x).tanh()))
            if parts == "another activation":
                return self.head(self.block.b(self.block.a(x).relu()))
            return self.head(self.block(x))

    return Net()


def test_names_that_the_port_changed_are_given(torch: Any, flow: Any) -> None:
    rules = [r"block\.a=block.first", r"block\.b=block.second"]
    found = torch2flow.verify(inner(flow, "renamed"), inner(torch, ""), *one(torch), transfer=True, rename=rules)
    assert found.faithful, found.sentence
    assert "block.first.weight" in found.ledger.parts["gradients"] and "block.first.weight" in found.ledger.parts["sgd"]
    assert set(found.ledger.seen) >= {"block.first", "head"}
    assert any(name.startswith("module.block.first") or "block.a" in name for name in found.ledger.parts["own"])


def test_a_port_that_is_cut_into_other_layers_is_faithful(torch: Any, flow: Any) -> None:
    found = torch2flow.verify(inner(flow, "activation outside"), inner(torch, ""), *one(torch), transfer=True)
    assert found.faithful, found.sentence
    other = torch2flow.verify(inner(flow, "another activation"), inner(torch, ""), *one(torch), transfer=True)
    assert not other.faithful


def test_a_parallel_module_and_a_graph_of_fx_are_originals_too(torch: Any, flow: Any) -> None:
    original = inner(torch, "")
    for wrapped in (torch.nn.DataParallel(original), torch.fx.symbolic_trace(original)):
        found = torch2flow.verify(inner(flow, ""), wrapped, *one(torch), transfer=True)
        assert found.faithful, found.sentence


def test_both_sides_keep_their_hooks_caches_and_tensors(torch: Any, flow: Any) -> None:
    for name in ("hooks", "plain_attributes", "counts_its_calls"):
        original, port = PAIRS[name](torch)(), PAIRS[name](flow)()
        before = [{part: dict(vars(part)) for part in model.modules()} for model in (original, port)]
        torch2flow.verify(port, original, *INPUTS[name](torch))
        for model, kept in zip((original, port), before, strict=True):
            for part in model.modules():
                assert vars(part).keys() == kept[part].keys()
                assert all(vars(part)[key] is value for key, value in kept[part].items())
        assert not getattr(original, "calls", 0) and not getattr(port, "calls", 0)
