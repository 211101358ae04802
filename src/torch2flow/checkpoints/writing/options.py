"""What a user can ask for, and what a format can hold: the two sides that a plan brings together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch2flow.checkpoints.dtypes import DType


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Attributes:
        key: dotted path of the part to convert; None chooses by rule, "." is the whole.
        rename: pairs of regular expression and replacement, applied in order to every name.
        include: only names that one of these matches are converted.
        exclude: names that one of these matches are left out.
        dtype: floating tensors become this.
        strict_dtype: refuse lossless widening.
        complex: "" refuses complex tensors the target lacks; "real" gives them a last dimension of 2.
        quantized: "" refuses quantized tensors and packed weights; "dequantize" gives their values, "int" the integers.
        sparse: "" refuses sparse tensors; "dense".
        merge_adapter: the base model to whose weights those of PEFT's adapter, which is the source, are added.
    """

    key: str | None = None
    rename: tuple[tuple[str, str], ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    dtype: str = ""
    strict_dtype: bool = False
    complex: str = ""
    quantized: str = ""
    sparse: str = ""
    merge_adapter: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a format can hold.

    Attributes:
        name: the format's name, for messages.
        stored: the dtype a value is stored as; None if there is no such tensor on that side.
        widened: the dtype that holds every value of one there is not.
        adapt: turns the tree into what the other side expects (optimizer states), with notes.
        flat: it holds named tensors and nothing else.
        objection: says why it can't hold a tensor of some name; "" where it can.
    """

    name: str
    stored: Callable[[DType], DType | None]
    widened: Callable[[DType], DType | None] = lambda dtype: None
    adapt: Callable[[Any], tuple[Any, list[str]]] = lambda tree: (tree, [])
    flat: bool = False
    objection: Callable[[str], str] = lambda name: ""


def is_unicode(name: str) -> bool:
    """Whether UTF-8 can write a text: a pickle may hold halves of surrogate pairs, other formats can't."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
