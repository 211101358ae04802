"""The likely cause of a difference, told by what the difference looks like: a row for each known cause.

The two results themselves tell most: the same numbers in another order, all of them twice as large, one channel alone,
what silu makes of the input where PyTorch has what relu makes of it. The rest tells the code that they come from.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from torch2flow.proof.parity.judge import Measure

Array = np.ndarray[Any, Any]

MOST = 3
"""How many causes are told at most."""

SAMPLE = 1 << 16
"""How many elements are looked at to tell which function was computed."""

SAME = 1e-5
"""Two float32 results that differ by less, relative to the largest value, are taken for the same function's."""


@dataclass(frozen=True)
class Evidence:
    """A tensor that is not within noise.

    Attributes:
        part: what was compared, as in `ledger.PARTS`.
        name: of the tensor.
        found: OneFlow's.
        exact: PyTorch's in float64.
        measure: how far they are apart.
        cls: the class of the module whose code or weights it comes from, such as `BatchNorm2d`.
        before: what a buffer was before the training step.
        given: what that module got, as PyTorch's got it.
        others: what PyTorch gave beside this tensor, by name.
    """

    part: str
    name: str
    found: Array
    exact: Array
    measure: Measure
    cls: type = object
    before: Array | None = None
    given: Callable[[], Sequence[Array]] = tuple
    others: Callable[[], Mapping[str, Array]] = dict

    @property
    def kind(self) -> str:
        """The name of the class."""
        return self.cls.__name__

    @functools.cached_property
    def code(self) -> str:
        """The source of the class, see `code_of`."""
        return code_of(self.cls)

    def is_a(self, *words: str) -> bool:
        """Whether the class's name holds one of these words."""
        return any(word in self.kind.lower() for word in words)

    def does(self, *words: str) -> bool:
        """Whether the class's code or name holds one of these words."""
        return any(word in self.code for word in words) or self.is_a(*words)

    @property
    def weighted(self) -> bool:
        """Whether the class has a weight, judged by the end of its name."""
        return LAYER_WITH_WEIGHTS.search(self.kind) is not None

    @property
    def layer(self) -> bool:
        """Whether the tensor is an output of a module or of the code between modules."""
        return self.part in ("own", "inputs")

    @functools.cached_property
    def comparable(self) -> bool:
        """Whether both sides are numbers of the same shape."""
        same = self.found.shape == self.exact.shape and not self.measure.fault
        return same and self.found.size > 0 and self.found.dtype.kind == "f"

    @functools.cached_property
    def values(self) -> tuple[Array, Array]:
        """Both sides in float64, with 0 where PyTorch's is no number."""
        finite = np.isfinite(self.exact) & np.isfinite(self.found)
        return np.where(finite, self.found, 0).astype(np.float64), np.where(finite, self.exact, 0).astype(np.float64)

    @property
    def scale(self) -> float:
        """The largest value of PyTorch's."""
        return float(np.abs(self.values[1]).max(initial=0.0))

    @functools.cached_property
    def relative(self) -> float:
        """The error relative to the largest value; infinite where there is nothing to compare."""
        if not self.comparable:
            return math.inf
        error = float(np.abs(self.values[0] - self.values[1]).max())
        return error / self.scale if self.scale else error

    def same(self, one: Array, other: Array) -> bool:
        """Whether two arrays are the same but for rounding."""
        if one.shape != other.shape:
            return False
        return bool(np.abs(one - other).max(initial=0.0) <= min(SAME, self.relative / 30) * self.scale)

    # -- what the two results show ---------------------------------------------------------------------------

    def rounded_to(self, mantissa: int) -> bool:
        """Whether every value fits a narrower float with so many bits after the leading one."""
        if self.found.dtype != np.float32 or not self.comparable or self.found.size < 8:
            return False
        bits = np.ascontiguousarray(self.found).view(np.uint32)
        single = np.ascontiguousarray(self.exact.astype(np.float32)).view(np.uint32)
        narrow = (1 << (23 - mantissa)) - 1
        return bool(np.abs(self.found).max()) and not (bits & narrow).any() and bool((single & narrow).any())

    def reordered(self) -> bool:
        """Whether both sides hold the same numbers in another order."""
        if not self.comparable or self.relative < 1e-4:
            return False
        return self.same(*(np.sort(side, axis=None) for side in self.values))

    def tied(self) -> bool:
        """Whether each row holds the same whole numbers, as the indices of a sort among equal values do."""
        if self.found.shape != self.exact.shape or self.found.dtype.kind not in "iu" or not self.found.ndim:
            return False
        found, exact = (np.sort(side, axis=-1) for side in (self.found, self.exact))
        return bool(np.array_equal(found, exact))

    def swapped(self) -> str:
        """Which other value of PyTorch's this is; "" if it is none."""
        if self.found.dtype.kind not in "fi" or not self.found.size:
            return ""
        scale = float(np.abs(self.found[np.isfinite(self.found)]).max(initial=0.0))
        same = (
            name
            for name, other in self.others().items()
            if name != self.name and other.shape == self.found.shape and scale
            and np.abs(self.found.astype(np.float64) - other).max() <= SAME * scale
        )  # fmt: skip
        return next(same, "")

    def shrunk(self) -> bool:
        """Whether the difference is a part of the result itself, as another eps makes it, in a row or in a channel."""
        if not self.comparable or self.found.ndim < 2 or self.relative > 0.1:
            return False
        difference, exact = self.values[0] - self.values[1], self.values[1]
        for axis in {1, self.found.ndim - 1}:
            alike = _correlations(
                *(np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1) for each in (difference, exact))
            )
            rows = _correlations(
                *(np.moveaxis(each, axis, -1).reshape(-1, each.shape[axis]) for each in (difference, exact))
            )
            # Another eps makes all of them smaller, or all of them larger.
            if max(abs(float(np.median(alike))), abs(float(np.median(rows)))) > 0.9:
                return True
        return False

    def scaled(self) -> str:
        """The factor by which every number is too large; "" if there is none."""
        if not self.layer or not self.comparable or self.found.size < 4:
            return ""
        found, exact = self.values
        factor = float((found * exact).sum() / max((exact**2).sum(), 1e-300))
        far = abs(factor - 1) > 1e-6 and factor != 0
        return f"{factor:.6g}" if far and self.same(found, exact * factor) else ""

    def activation(self) -> str:
        """Which known activation functions the two sides are; "" if they are none."""
        if self.part != "own" or not self.comparable:
            return ""
        for given in self.given():
            if given.shape == self.found.shape and given.dtype.kind == "f":
                here, there = (self._function(side, given) for side in self.values)
                # A layer that PyTorch's leaves as it is has no function that another could be mistaken for.
                if there and here != there and (here or there != "nothing"):
                    return f"{here or 'something else'} here, {there} there"
        return ""

    def _function(self, values: Array, given: Array) -> str:
        given, values = (np.ravel(each)[:SAMPLE].astype(np.float64) for each in (given, values))
        return next((name for name, function in ACTIVATIONS.items() if self.same(function(given), values)), "")

    def without_activation(self) -> str:
        """The activation function that turns OneFlow's result into PyTorch's; "" if none does."""
        if not self.layer or not self.comparable:
            return ""
        name = self._function(self.values[1], self.values[0])
        return "" if name == "nothing" else name

    def residual(self) -> bool:
        """Whether the difference of both sides is the input of the code."""
        if not self.layer or not self.comparable or self.relative < 1e-4:
            return False
        difference = self.values[1] - self.values[0]
        return any(self.same(abs(difference), abs(given)) for given in self.given() if given.dtype.kind == "f")

    def channel(self) -> str:
        """The only channel that differs, and whether it differs by one number everywhere; "" if several differ."""
        if self.part != "own" or not self.comparable or self.found.ndim < 2:
            return ""
        axis = 1 if self.is_a("conv") and not self.is_a("conv1d") and self.found.ndim > 2 else -1
        difference = np.moveaxis(self.values[0] - self.values[1], axis, 0)
        difference = difference.reshape(len(difference), -1)
        sizes = np.abs(difference).max(1)
        wrong = np.flatnonzero(sizes > max(10 * self.measure.noise, sizes.max() / 30))
        return str(wrong[0]) if len(wrong) == 1 and len(sizes) > 2 else ""

    def bias(self) -> bool:
        """Whether each channel is off by one number everywhere."""
        if self.part != "own" or not self.comparable or self.found.ndim < 2:
            return False
        axis = 1 if self.is_a("conv") and not self.is_a("conv1d") and self.found.ndim > 2 else -1
        difference = np.moveaxis(self.values[0] - self.values[1], axis, 0)
        difference = difference.reshape(len(difference), -1)
        if difference.shape[1] < 2:
            return False
        return self.same(difference, np.broadcast_to(difference[:, :1], difference.shape))

    def at_the_border(self) -> bool:
        """Whether an image differs at its border and nowhere else."""
        if not self.comparable or self.found.ndim < 4 or min(self.found.shape[-2:]) < 5:
            return False
        wrong = np.abs(self.values[0] - self.values[1]) > max(10 * self.measure.noise, self.scale * 1e-6)
        return bool(wrong.any()) and not bool(wrong[..., 2:-2, 2:-2].any())


def _correlations(one: Array, other: Array) -> Array:
    """Of each row of one array with that of the other; 0 where a row is constant."""
    one, other = (side - side.mean(1, keepdims=True) for side in (one, other))
    size = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    alike: Array = np.divide((one * other).sum(1), size, out=np.zeros_like(size), where=size > 0)
    return alike


def _gelu(x: Array) -> Any:
    return x * 0.5 * (1 + np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2)))


def _sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS: dict[str, Callable[[Array], Any]] = {
    "nothing": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "silu": lambda x: x * _sigmoid(x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(x, 0),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "gelu by sigmoid": lambda x: x * _sigmoid(1.702 * x),
    "gelu by tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu by erf": _gelu,
}


def code_of(cls: type) -> str:
    """The source of a class's methods but its constructor, in lower case; "" of OneFlow's own classes."""
    return "\n".join(ast.unparse(part) for part in methods_of(cls) if part.name != "__init__").lower()


def methods_of(cls: type) -> list[ast.FunctionDef]:
    """The methods of a class; none of OneFlow's own classes."""
    if cls.__module__.startswith("oneflow."):
        return []
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return []  # a class defined at a prompt has no source
    return [part for part in ast.walk(body) if isinstance(part, ast.FunctionDef)]


def never_read(cls: type) -> str:
    """The first of the parameters and layers that the constructor makes and no method reads, or ""."""
    made: list[str] = []
    read = set()
    for method in methods_of(cls):
        for node in ast.walk(method):
            is_own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
            if isinstance(node, ast.Assign) and method.name == "__init__" and isinstance(node.value, ast.Call):
                made += [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
            elif is_own and isinstance(node.ctx, ast.Load) and method.name != "__init__":  # type: ignore[attr-defined]
                read.add(node.attr)  # type: ignore[attr-defined]
    plain = all(base.__module__.startswith("oneflow.") for base in cls.__bases__)
    return next((name for name in made if name not in read), "") if plain and "getattr" not in code_of(cls) else ""


class Cause(NamedTuple):
    """One cause: a test of the evidence, and the sentence to tell, in which `{}` stands for what the test returned."""

    likely: Callable[[Evidence], bool | str]
    text: str


LAYER_WITH_WEIGHTS = re.compile(
    r"(Linear|Conv|ConvTranspose|Embedding|EmbeddingBag|Norm|LSTM|GRU|RNN|PReLU|Cell)(\d?[dD])?\d*$"
)

ANY_CODE = "the code between the layers: another order of what it does, a residual left out, another weight or constant"
"""The cause that is told if nothing more precise is known."""

OTHER_SIZES = ("second", "third", "other_mode")
SIZE_IS_FIXED = "a size is fixed in the code, or a branch asks for it"
"""The cause of what only runs at other sizes show."""

CAUSES = (
    Cause(lambda e: e.swapped(), "this is what PyTorch gives as {}: two values are swapped"),
    Cause(
        lambda e: "shape" in e.measure.fault,
        "another shape: a stride, a padding, a size or a flag such as keepdim or ceil_mode differs",
    ),
    Cause(
        lambda e: "NaN" in e.measure.fault,
        "NaN or infinity on one side only: a mask of -inf, a division by zero, an overflow, or swapped statistics",
    ),
    Cause(lambda e: "dtype" in e.measure.fault, "another dtype: a conversion is missing"),
    # -- training
    Cause(
        lambda e: "not there" in e.measure.fault and e.part.endswith("gradients"),
        "no gradient arrives: the parameter is frozen, or a detach or no_grad cuts it off",
    ),
    Cause(
        lambda e: e.part == "buffers" and e.before is not None and np.array_equal(e.found, e.before),
        "the buffer does not move: the layer is frozen, in eval mode, or its momentum is 0",
    ),
    Cause(lambda e: e.part == "buffers" and "running" in e.name, "another momentum, or another input of this layer"),
    Cause(lambda e: e.part in ("buffers", "later_buffers"), "the buffer is updated otherwise: another factor or count"),
    Cause(
        lambda e: e.part == "again",
        "the first call leaves something behind that the second one meets: a counter, a cache, a buffer",
    ),
    Cause(lambda e: e.part in OTHER_SIZES, SIZE_IS_FIXED),
    Cause(lambda e: e.part == "eval_outputs", "the code takes another way in eval mode: a branch by `self.training`"),
    Cause(
        lambda e: e.part == "graph_training",
        "the code takes another way in graph mode, or OneFlow trains an operator otherwise there",
    ),
    Cause(
        lambda e: e.part.endswith("gradients"),
        "part of the gradient is missing: a detach or no_grad cuts off a branch, or a weight is not tied to another",
    ),
    Cause(lambda e: e.part == "adamw", "the optimizer: another weight decay, eps, betas, or another learning rate"),
    Cause(lambda e: e.part == "sgd", "the optimizer: another learning rate, weight decay or momentum"),
    # -- what the numbers show
    Cause(
        lambda e: e.part == "graph",
        "the code takes another way in graph mode, or OneFlow computes an operator otherwise there",
    ),
    Cause(lambda e: e.rounded_to(7), "computed in bfloat16: every value is one of bfloat16"),
    Cause(lambda e: e.rounded_to(10) and not e.rounded_to(7), "computed in float16: every value is one of float16"),
    Cause(
        lambda e: e.does("sort", "topk", "argmax") and e.tied(),
        "equal values are sorted in another order, which neither library promises: sort by a second key, or break ties",
    ),
    Cause(
        lambda e: e.part == "inputs" and e.found.dtype.kind in "iu",
        "other indices: positions or types that count from another number, another offset or another padding",
    ),
    Cause(
        lambda e: e.part == "inputs" and e.found.dtype.kind == "b",
        "another mask: inverted, dropped, or of another axis",
    ),
    Cause(lambda e: e.activation(), "another activation: {}"),
    Cause(
        lambda e: e.reordered(),
        "the same numbers in another order: a permute, reshape, shift or concatenation goes over other axes",
    ),
    Cause(lambda e: e.without_activation(), "an activation is left out: {} of this is what PyTorch has"),
    Cause(lambda e: e.scaled(), "every number is {} times PyTorch's: another scale, or one that is left out"),
    Cause(lambda e: e.residual(), "the difference is what the code was given: a residual is left out, or added twice"),
    Cause(lambda e: e.bias() and e.weighted, "another bias: each channel is off by one number everywhere"),
    Cause(
        lambda e: e.channel() if e.weighted else "", "one element of the weight or bias: only channel {} differs"
    ),
    Cause(lambda e: e.at_the_border(), "another padding: the inner part of the image agrees, its border does not"),
    Cause(
        lambda e: never_read(e.cls) if e.layer and e.code else "",
        "`{}` is never read: a scale, a shift or a layer is left out",
    ),
    # -- what the code does
    Cause(
        lambda e: e.layer and e.does("norm", "rsqrt", "eps") and not e.is_a("attention", "block") and e.shrunk(),
        "another eps in a normalization",
    ),
    Cause(
        lambda e: e.layer and e.does("gelu") and e.relative < 1e-3,
        "gelu by tanh on one side and by erf on the other, or other constants: up to 5e-4 apart",
    ),
    Cause(
        lambda e: e.layer and e.relative < 1e-5 and bool(e.code),
        "a constant in this code has other last digits, or is rounded to fewer",
    ),
    Cause(
        lambda e: e.layer and e.does("interpolate", "upsample", "resize", "grid_sample"),
        "another align_corners, or another way of resampling",
    ),
    Cause(
        lambda e: e.layer and e.does("cos(", "sin(", "rotary"),
        "other positions: another frequency, or the halves of a rotation in another order",
    ),
    Cause(
        lambda e: e.layer and e.does("softmax", "attention("),
        "a mask that is dropped or turned round, another scale, softmax over another axis, or heads in another order",
    ),
    Cause(
        lambda e: e.part == "own" and e.weighted,
        "another weight or bias: transposed, swapped or left out ('torch2flow check' compares the weights bit for bit)",
    ),
    Cause(
        lambda e: e.part == "own" and not e.code and e.is_a("conv", "pool"),
        "another stride, padding, dilation or number of groups",
    ),
    Cause(
        lambda e: e.layer and e.does("pad("), "another padding, or what is padded with"
    ),
    Cause(
        lambda e: e.part == "own" and not e.code and not e.weighted and e.relative < 1e-3,
        "an approximation: gelu by tanh instead of erf is up to 5e-4 apart",
    ),
    Cause(
        lambda e: e.layer and bool(e.code),
        ANY_CODE,
    ),
)  # fmt: skip


def likely_causes(evidence: Evidence) -> Iterator[str]:
    """The causes that the evidence speaks for, the most telling first."""
    told = 0
    with np.errstate(all="ignore"):
        for cause in CAUSES:
            found = cause.likely(evidence)
            if found:
                yield cause.text.format(found)
                told += 1
                if told == MOST:
                    return
