"""One call that takes or gives a complex tensor, and the calls that are made before it: see `complex_numbers.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch2flow.models.program.graph import Dtype, Meta, Node, Ref, refs
from torch2flow.models.program.symbols import SymInt

Arguments = dict[str, Any]


@dataclass(slots=True)
class ComplexCall:
    """One call that takes or gives something complex, and the calls that are to come before it.

    Attributes:
        node: the call.
        name: its operator without what it is of and whether it is in place: `add`.
        given: its arguments.
        known: what was recorded of each complex tensor of the program.
        metas: what is known of all tensors, pairs for complex ones.
        before: the calls that are made first.
    """

    node: Node
    name: str
    given: Arguments
    known: dict[str, Meta]
    metas: dict[str, Meta]
    before: list[Node]

    @property
    def rank(self) -> int:
        """The number of dimensions of the first tensor that goes in, as PyTorch has it."""
        return self.rank_of(next(refs(list(self.given.values())), ""))

    @property
    def gives_complex(self) -> bool:
        """Whether the result is complex."""
        return any(map(self.known.__contains__, self.node.outputs))

    @property
    def dtype(self) -> str:
        """The dtype of the result, or of its parts; of a call in place, that of what it changes."""
        name = self.node.outputs[0] if self.node.outputs and self.node.outputs[0] else self.node.refs()[0]
        return self.metas[name].dtype

    def rank_of(self, name: str) -> int:
        """The number of dimensions of a tensor, as PyTorch has it."""
        return len(self.metas[name].shape) - (name in self.known) if name in self.metas else 0

    def is_complex(self, value: Any) -> bool:
        """Whether an argument is complex, or holds something that is."""
        if isinstance(value, list):
            return any(map(self.is_complex, value))
        return isinstance(value, complex) or (isinstance(value, Ref) and value.name in self.known)

    def made(self, target: str, arguments: Arguments, shape: tuple[int | SymInt, ...], dtype: str) -> Ref:
        """What one more call gives, which comes before this one."""
        name = f"{self.node.outputs[0] if self.node.outputs else self.name}__c{len(self.before)}"
        while name in self.metas:
            name += "_"
        self.metas[name] = Meta(dtype, shape, _strides(shape))
        self.before.append(replace(self.node, target=target, arguments=arguments, outputs=[name], is_list=False))
        return Ref(name)

    def cast(self, value: Ref, dtype: str) -> Ref:
        """A tensor in another dtype."""
        meta = self.metas[value.name]
        if meta.dtype == dtype:
            return value
        made = self.made("aten.to.dtype", {"self": value, "dtype": Dtype(dtype)}, meta.shape, dtype)
        if value.name in self.known:
            self.known[made.name] = self.known[value.name]
        return made

    def pair(self, value: Any) -> Any:
        """A tensor, or a list of them, as pairs in the dtype of the result; a number as it is."""
        if isinstance(value, list):
            return [self.pair(item) for item in value]
        if not isinstance(value, Ref):
            return value
        value = self.cast(value, self.dtype if self.gives_complex else self._widest())
        if value.name in self.known:
            return value
        meta = self.metas[value.name]
        return self.made("complex.complex.of_real", {"real": value}, (*meta.shape, 2), meta.dtype)

    def _widest(self) -> str:
        """The dtype of the parts of complex operands that make something real, as `==` does."""
        names = [name for name in self.node.refs() if name in self.known]
        return max(self.metas[name].dtype for name in names) if names else self.dtype

    def column(self, value: Any, dtype: str = "") -> Any:
        """A real tensor with a last dimension of 1, which goes with both parts of pairs; a number as it is."""
        if not isinstance(value, Ref):
            return value
        value = self.cast(value, dtype) if dtype else value
        meta = self.metas[value.name]
        arguments = {"self": value, "dim": len(meta.shape)}
        return self.made("aten.unsqueeze.default", arguments, (*meta.shape, 1), meta.dtype)

    def part(self, value: Ref, index: int) -> Ref:
        """The real parts of pairs, or the imaginary ones."""
        meta = self.metas[value.name]
        arguments = {"self": value, "dim": len(meta.shape) - 1, "index": index}
        return self.made("aten.select.int", arguments, meta.shape[:-1], meta.dtype)

    def size(self, value: Ref) -> Ref:
        """The absolute values of pairs."""
        meta = self.metas[value.name]
        return self.made("complex.abs.default", {"self": value}, meta.shape[:-1], meta.dtype)


def _strides(shape: tuple[int | SymInt, ...]) -> tuple[int | SymInt, ...]:
    """Those of a new tensor, as far as sizes are known."""
    steps, step = [1], 1
    for size in shape[:0:-1]:
        step *= size if isinstance(size, int) else size.hint
        steps.insert(0, step)
    return tuple(steps[: len(shape)])
