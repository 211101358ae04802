"""Tensors that are not in the `state_dict()`, as expressions: a range, a constant, a few numbers, or a stored file.

flow.arange(512).reshape(1, 512)         a buffer of positions
flow.tensor([0.485, 0.456, 0.406])       a few numbers
constant("rotary_emb.inv_freq")          anything else: kept in `constants/` beside the source
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.pytorch.tensor import TensorRef
from torch2flow.checkpoints.writing.value_changes import REAL_OF
from torch2flow.errors import FormatError
from torch2flow.models.codegen.literals import Constant, attribute, dtype_name, literal
from torch2flow.models.program import State

if TYPE_CHECKING:
    import numpy as np

SMALL = 16
"""Up to so many elements are written out in the source."""

EXPANDED = 64 << 20
"""Bytes that a tensor may have beyond those in the file, which its strides repeat."""

HELPER = '''
def constant(name):
    """A tensor that the original made in its constructor and did not put into its state_dict."""
    return flow.load(str(Path(__file__).parent / "constants"))[name]
'''


@dataclass(slots=True)
class Constants:
    """Gives the expression for each such tensor; remembers those that need a file.

    Args:
        tensors: by the name of the buffer or constant.
    """

    tensors: dict[str, TensorRef]
    stored: dict[str, TensorRef] = field(default_factory=dict)
    by_value: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def expression(self, state: State, dtype: str) -> ast.expr:
        """The expression that makes the tensor, in the dtype the program uses it in.

        Raises:
            FormatError: the file does not hold it.
        """
        key = state.key or state.path
        tensor = self.tensors.get(key)
        if tensor is None:
            raise FormatError(
                f"The program uses {state.path!r}, which the file does not hold.",
                maybe="the file is damaged, or was saved from a model on the meta device",
            )
        if tensor.nbytes > tensor.storage.nbytes + EXPANDED:
            raise FormatError(
                f"The constant {state.path!r} would take {tensor.nbytes:,} bytes, of which the file holds few.",
                maybe="one value is repeated along its dimensions; no model needs so many",
            )
        dtype, held = dtype_name(dtype), dtype_name(REAL_OF.get(tensor.dtype.name, tensor.dtype.name))
        values = tensor.numpy()
        if values.dtype.kind == "c":
            values = values.view(dtype).reshape(*values.shape, 2)
        made = _regular(values, dtype)
        if made is None:
            made = self._stored(key, tensor, values)
            if held != dtype:
                made = ast.Call(ast.Attribute(made, "to", ast.Load()), [attribute("flow", dtype)], [])
        return made

    def numbers(self, states: Mapping[str, State]) -> dict[str, float]:
        """The constants that are single numbers, by the name of their value."""
        found = {}
        for name, state in states.items():
            tensor = self.tensors.get(state.key)
            is_number = tensor is not None and tensor.shape == () and tensor.dtype.name not in REAL_OF
            if state.kind == "constant" and tensor is not None and is_number:
                found[name] = tensor.numpy().item()
        return found

    def _stored(self, name: str, tensor: TensorRef, values: np.ndarray[Any, Any]) -> ast.expr:
        key = (str(values.dtype), values.shape, hashlib.sha256(values.tobytes()).digest())
        name = self.by_value.setdefault(key, name)
        self.stored[name] = self.tensors[name]
        return ast.Call(attribute("constant"), [Constant(name, "constant_name", varies=True)], [])


def _regular(values: np.ndarray[Any, Any], dtype: str) -> ast.expr | None:
    """The expression for a tensor whose elements follow a pattern, or are few."""
    import numpy as np

    kind = attribute("flow", dtype)
    flat = values.reshape(-1)
    if dtype in ("bfloat16", "float16"):
        return None
    if flat.size <= 1:
        return _reshaped(_tensor(flat, kind), values.shape, flat.shape)
    if values.dtype.kind in "iu" and flat.size > 2:
        steps = np.diff(flat)
        if (steps == steps[0]).all() and steps[0] != 0:
            start, step = int(flat[0]), int(steps[0])
            numbers = [start, start + step * flat.size] if start or step != 1 else [flat.size]
            numbers += [step] if step != 1 else []
            keywords = [] if dtype == "int64" else [ast.keyword("dtype", kind)]
            made = ast.Call(attribute("flow", "arange"), [literal(int(number), "size") for number in numbers], keywords)
            return _reshaped(made, values.shape, flat.shape)
    if (flat == flat[0]).all():
        value = flat[0].item()
        name = {0: "zeros", 1: "ones"}.get(value, "full")
        sizes = literal(tuple(int(size) for size in values.shape), "size")
        given = [sizes] if name != "full" else [sizes, literal(value, "value")]
        return ast.Call(attribute("flow", name), given, [ast.keyword("dtype", kind)])
    if flat.size <= SMALL:
        return _reshaped(_tensor(flat, kind), values.shape, flat.shape)
    return None


def _tensor(flat: np.ndarray[Any, Any], kind: ast.expr) -> ast.expr:
    numbers = ast.List([literal(value, "value") for value in flat.tolist()], ast.Load())
    return ast.Call(attribute("flow", "tensor"), [numbers], [ast.keyword("dtype", kind)])


def _reshaped(made: ast.expr, shape: tuple[int, ...], have: tuple[int, ...]) -> ast.expr:
    if shape == have:
        return made
    if shape == () and isinstance(made, ast.Call) and isinstance(made.args[0], ast.List):
        made.args[0] = made.args[0].elts[0]
        return made
    sizes = [literal(int(size), "size") for size in shape]
    return ast.Call(ast.Attribute(made, "reshape", ast.Load()), list(sizes), [])
