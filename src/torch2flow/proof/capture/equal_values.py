"""Where a model chooses among equal values, and neither library says which of them comes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PLACES = {"topk": 2, "argmax": 1, "argmin": 1, "max": 1, "min": 1}
"""The functions that choose, and which of their arguments is the axis; what sorts keeps the order of equal values."""


@dataclass
class EqualValues:
    """Whether a run chooses among equal values, as where a sigmoid is 1: what comes first is then the library's choice.

    Attributes:
        torch: the module `torch`.
        function: the first function that did; "" where none has.
        backwards: the last of equal values comes first.
    """

    torch: Any
    function: str = ""
    backwards: bool = False

    def noted(self) -> Any:
        """A context in which the functions that choose are asked."""
        torch = self.torch
        places = {getattr(home, name): at for home in (torch, torch.Tensor) for name, at in PLACES.items()}

        class ChoiceMode(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
            def __torch_function__(mode, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                kwargs, place = kwargs or {}, places.get(func)
                if place is None:
                    return func(*args, **kwargs)
                values = args[0] if args else kwargs["input"]
                dim = kwargs.get("dim", args[place] if place < len(args) else -1 if func.__name__ == "topk" else None)
                if type(dim) is not int or not values.ndim or values.sort(dim)[0].diff(dim=dim).all():
                    return func(*args, **kwargs)
                self.function = self.function or func.__name__
                if not self.backwards:
                    return func(*args, **kwargs)
                made = func(values.flip(dim), *args[1:], **{k: v for k, v in kwargs.items() if k != "input"})
                last = values.shape[dim] - 1
                if isinstance(made, torch.Tensor):
                    return last - made
                return type(made)((made[0], last - made[1]))

        return ChoiceMode()
