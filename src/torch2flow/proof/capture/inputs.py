"""The inputs a model is captured with, as a person writes them: `float32[batch,3,224,224]`.

    [NAME=]DTYPE[AXES][:VALUES]     float32[batch,3,64,64]   ids=int64[batch,seq]:0..30522   mask=bool[batch,seq]
    [NAME=]FILE[AXES]               pixels.npy   pixels.npy[batch,_,_,_]   inputs.safetensors
    [NAME=]CONSTANT                 return_dict=False

An axis is a number or a name. A name makes it dynamic, and the same name is the same size wherever it stands.
VALUES: floats are normally distributed, or uniform in LOW..HIGH; integers lie in LOW..HIGH, HIGH excluded
(0..2 where nothing is said: valid for whatever they index); booleans are either. One number is that number
everywhere. This file needs no PyTorch, so that a mistake in an input is told without it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DType, find_dtype, numpy_dtype
from torch2flow.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

Axes = tuple["int | str", ...]

SAMPLE_SIZES = {
    **dict.fromkeys(("batch", "batch_size", "b", "n"), 2),
    **dict.fromkeys(("height", "h"), 64),
    **dict.fromkeys(("width", "w"), 96),
}
"""How long a named axis is in the sample, by its name; others get the next of `OTHER_SIZES`."""

OTHER_SIZES = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
"""Prime and different, so that no relation between two axes holds by chance."""

GROWTH: tuple[dict[int, int], ...] = ({2: 1, 64: 32, 96: 32}, {}, {2: 1})
"""What is added to an axis for the second inputs, by its size, in the order tried; `DEFAULT_GROWTH` otherwise."""

DEFAULT_GROWTH = (4, None, 32)
"""Added to other axes in each of these tries; None doubles."""

GRAMMAR = "write [NAME=]DTYPE[AXES][:VALUES], such as 'float32[batch,3,224,224]' or 'ids=int64[batch,seq]:0..30522'"

_SPEC = re.compile(
    r"(?:(?P<name>[^\W\d]\w*)=)?" r"(?P<kind>[^\[\]=]*?)" r"(?:\[(?P<axes>[^\[\]]*)\])?" r"(?::(?P<values>[^\[\]:]*))?"
)
_KINDS = "biufc"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Array:
    """Values for one tensor. `values` is NumPy's; a dtype that NumPy lacks comes as float32."""

    dtype: DType
    values: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Input:
    """One input as it was written. What it is follows from which of `dtype`, `file` and neither is given."""

    text: str
    name: str = ""
    dtype: DType | None = None
    file: Path | None = None
    constant: Any = None
    axes: Axes | None = None
    low: float | None = None
    high: float | None = None


@dataclass
class Inputs:
    """What `module(*args, **kwargs)` is called with, `Array`s for tensors, and the names of dynamic axes.

    `dynamic` says for a position or a keyword which of its axes have which names; `sizes` how long they are.
    """

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    dynamic: dict[int | str, dict[int, str]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, value: Any, axes: Axes | None = None) -> None:
        """Adds the next positional input, or a keyword; `axes` name its dynamic ones."""
        if name and name in self.kwargs:
            raise UsageError(f"The input {name!r} is given twice.")
        key: int | str = name or len(self.args)
        if name:
            self.kwargs[name] = value
        else:
            self.args.append(value)
        named = {number: axis for number, axis in enumerate(axes or ()) if isinstance(axis, str) and axis != "_"}
        if named:
            self.dynamic[key] = named


def parse_input(text: str) -> Input:
    """One `--input`.

    Raises:
        UsageError: it is not of the form above, names an unknown dtype, or a file that is not there.
    """
    match = _SPEC.fullmatch(text.strip())
    if not match:
        raise UsageError("An input is not written as one.", where=f"--input {text!r}", remedy=GRAMMAR)
    name, kind = match["name"] or "", match["kind"].strip()
    if kind.endswith((".npy", ".safetensors")):
        if match["values"] is not None:
            raise UsageError("A file has its own values.", where=f"--input {text!r}", remedy="leave out what follows :")
        if not Path(kind).is_file():
            raise UsageError("The file of an input is not there.", where=kind)
        return Input(text, name, file=Path(kind), axes=_axes(match["axes"], text))
    if match["axes"] is None:
        return Input(text, name, constant=_constant(kind, match["values"], text))
    dtype = find_dtype(kind)
    if dtype is None or dtype.kind not in _KINDS or dtype.name == "complex32":
        raise UsageError(
            f"There is no dtype {kind!r} for an input.",
            where=f"--input {text!r}",
            remedy="use one of PyTorch's names, such as float32, float64, bfloat16, int64, int32, bool",
        )
    axes = _axes(match["axes"], text)
    if axes is not None and "_" in axes:
        raise UsageError("'_' stands for a size that a file has.", where=f"--input {text!r}", remedy="give the size")
    low, high = _range(match["values"], dtype, text)
    return Input(text, name, dtype, axes=axes, low=low, high=high)


def _axes(text: str | None, whole: str) -> Axes | None:
    if text is None:
        return None
    axes: list[int | str] = []
    for part in (part.strip() for part in text.split(",")) if text.strip() else ():
        if part.isdecimal():
            axes.append(int(part))
        elif part.isidentifier():
            axes.append(part)
        else:
            raise UsageError(
                f"{part!r} is neither a size nor a name for an axis.", where=f"--input {whole!r}", remedy=GRAMMAR
            )
    return tuple(axes)


def _constant(kind: str, values: str | None, text: str) -> Any:
    try:
        if values is not None:
            raise ValueError
        return ast.literal_eval(kind)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        what = "An input is neither a tensor, nor a .npy or .safetensors file, nor a constant."
        raise UsageError(what, where=f"--input {text!r}", remedy=GRAMMAR) from None


def _range(values: str | None, dtype: DType, text: str) -> tuple[float | None, float | None]:
    if values is None:
        return None, None
    parts = values.split("..")
    if len(parts) > 2 or not all(_NUMBER.fullmatch(part.strip()) for part in parts):
        raise UsageError(
            f"{values!r} is neither a number nor LOW..HIGH.", where=f"--input {text!r}", remedy="such as :0..30522"
        )
    low, high = float(parts[0]), float(parts[-1])
    if len(parts) == 2 and low >= high:
        raise UsageError(
            f"There is nothing in {values}: the end is excluded.", where=f"--input {text!r}", remedy="such as :0..2"
        )
    if dtype.kind == "b" and len(parts) == 2:
        raise UsageError(
            "Booleans have no range.", where=f"--input {text!r}", remedy="leave it out, or :1 for all true"
        )
    return low, high


def parse_sizes(texts: Iterable[str]) -> dict[str, int]:
    """Every `--size NAME=NUMBER`.

    Raises:
        UsageError: it is no such pair, or smaller than 2: PyTorch takes 0 and 1 for special sizes.
    """
    sizes = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not name.isidentifier() or not number.isdecimal():
            raise UsageError("A size is NAME=NUMBER.", where=f"--size {text!r}", remedy="such as --size seq=16")
        if int(number) < 2:
            raise UsageError(
                f"A dynamic axis can't be {number} long in the sample: PyTorch takes 0 and 1 for special sizes.",
                where=f"--size {text!r}",
                remedy="take 2 or more; the captured model then takes 1 too, unless torch.export says otherwise",
            )
        sizes[name] = int(number)
    return sizes


def choose_sizes(inputs: list[Input], given: dict[str, int]) -> dict[str, int]:
    """How long each named axis is: as given, by `SAMPLE_SIZES`, or prime. Axes of files are measured later.

    Raises:
        UsageError: a size is given for an axis that no input names.
    """
    named = [axis for entry in inputs for axis in entry.axes or () if isinstance(axis, str) and axis != "_"]
    if unknown := set(given) - set(named):
        raise UsageError(
            f"No input has an axis {sorted(unknown)[0]!r}.",
            remedy=f"named are {', '.join(dict.fromkeys(named))}" if named else "name an axis: float32[batch,3,64,64]",
        )
    others = iter(size for size in (*OTHER_SIZES, *range(43, 10**6, 2)) if size not in given.values())
    of_tensors = [axis for entry in inputs if entry.file is None for axis in entry.axes or () if isinstance(axis, str)]
    return {name: given.get(name) or SAMPLE_SIZES.get(name.lower()) or next(others) for name in of_tensors}


def second_sizes(sizes: dict[str, int], attempt: int) -> dict[str, int]:
    """Other sizes for the same axes: the `attempt`-th idea, as far as `GROWTH` has one."""
    grown = {}
    for name, size in sizes.items():
        more = GROWTH[attempt].get(size, DEFAULT_GROWTH[attempt])
        grown[name] = size * 2 if more is None else size + more
    return grown


def odd_sizes(sizes: dict[str, int]) -> list[dict[str, int]]:
    """Sizes that even samples leave untried, in the order tried: one of the first axis and odd ones, either, one."""
    odd = {name: size + 1 + size % 2 for name, size in sizes.items()}
    first = dict.fromkeys(list(sizes)[:1], 1)
    return [{**odd, **first}, odd, first]


def make_inputs(inputs: list[Input], sizes: dict[str, int], seed: int) -> Inputs:
    """Draws the values of all inputs, or reads their files.

    Raises:
        UsageError: a file does not fit its axes, or two inputs disagree about the size of an axis.
        FormatError: a file is broken.
    """
    import numpy as np

    made = Inputs(sizes=dict(sizes))
    for number, entry in enumerate(inputs):
        if entry.file is not None:
            _add_file(made, entry)
        elif entry.dtype is None:
            made.add(entry.name, entry.constant)
        else:
            shape = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in entry.axes or ())
            values = draw(entry, shape, np.random.default_rng([seed, number]))
            made.add(entry.name, Array(entry.dtype, values), entry.axes)
    return made


def draw(entry: Input, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Values of a shape, as the input says."""
    import numpy as np

    dtype, low, high = entry.dtype, entry.low, entry.high
    assert dtype is not None
    wanted = numpy_dtype(dtype) if dtype.kind != "f" or dtype.name == "float64" else np.dtype("<f4")
    if low is not None and low == high:
        return np.full(shape, low).astype(wanted)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(wanted)
    if dtype.kind in "iu":
        return rng.integers(int(low or 0), int(2 if high is None else high), shape).astype(wanted)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(wanted)
    values = rng.standard_normal(shape) if low is None or high is None else rng.uniform(low, high, shape)
    return np.asarray(values).astype(wanted)


def _add_file(made: Inputs, entry: Input) -> None:
    """The array of a .npy; or every tensor of a .safetensors, by name, or in order where names are numbers."""
    import numpy as np

    from torch2flow.checkpoints.opening import open_checkpoint
    from torch2flow.checkpoints.pytorch import TensorRef

    assert entry.file is not None
    if entry.file.suffix == ".npy":
        try:
            values = np.load(entry.file, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UsageError(f"The file is no array that NumPy reads: {error}.", where=str(entry.file)) from None
        dtype = find_dtype(values.dtype.name)
        if dtype is None:
            raise UsageError(f"PyTorch has no dtype {values.dtype}.", where=str(entry.file))
        _add_array(made, entry, entry.name, Array(dtype, values))
        return
    tensors = {name: tensor for name, tensor in open_checkpoint(entry.file).items() if isinstance(tensor, TensorRef)}
    # A reference that an earlier capture wrote: its inputs are under `input.`.
    tensors = {name[6:]: tensor for name, tensor in tensors.items() if name.startswith("input.")} or tensors
    if entry.name and len(tensors) != 1:
        raise UsageError(
            f"The file holds {len(tensors)} tensors, and one name is given.",
            where=str(entry.file),
            remedy="leave out the name: keywords are named as in the file",
        )
    for name in sorted(tensors, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0)):
        tensor = tensors[name]
        keyword = entry.name or ("" if name.isdecimal() else name)
        if not name.isdecimal() and not keyword.isidentifier():
            raise UsageError(f"{name!r} in the file is no name of an argument.", where=str(entry.file))
        _add_array(made, entry, keyword, Array(tensor.dtype, tensor.numpy()))


def _add_array(made: Inputs, entry: Input, name: str, array: Array) -> None:
    """Adds an array of a file after comparing it with the axes that are written behind the file."""
    shape = array.values.shape
    if entry.axes is not None and len(entry.axes) != len(shape):
        raise UsageError(
            f"{len(entry.axes)} axes are named, and the array has the shape {list(shape)}.", where=entry.text
        )
    for axis, size in zip(entry.axes or (), shape, strict=False):
        known = axis if isinstance(axis, int) else made.sizes.setdefault(axis, size) if axis != "_" else size
        if known != size:
            raise UsageError(
                f"The axis {axis} is {known} long elsewhere, and {size} in the file.",
                where=entry.text,
                remedy=f"add --size {axis}={size}" if isinstance(axis, str) else "",
            )
    made.add(name, array, entry.axes)
