"""LiBai's models: weights of PyTorch's transformers under LiBai's names and in its layouts, and back. Nothing is read.

checkpoint = to_libai(open_checkpoint("gpt2.safetensors"), "gpt2", heads=12)
torch2flow.load_state_dict(model, checkpoint)            # a model of LiBai's, global or not
"""

from __future__ import annotations

from collections.abc import Iterable

from torch2flow.checkpoints.names.renamed_checkpoint import with_tensors
from torch2flow.checkpoints.names.templates import translate
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.errors import UnsupportedError, UsageError
from torch2flow.scale.libai.families import FAMILIES, Family
from torch2flow.scale.libai.rules import LAYOUTS, WeightRule, fused, parted

__all__ = ["FAMILIES", "from_libai", "to_libai"]

SHOWN = 20
OLD_NAMES = {"gamma": "weight", "beta": "bias"}
"""The names of a LayerNorm's parameters in old conversions from TensorFlow."""


def to_libai(checkpoint: Checkpoint, family: str, *, heads: int, vocabulary: int | None = None) -> Checkpoint:
    """A checkpoint of transformers' as LiBai's model of the same kind has it.

    Args:
        checkpoint: with the names of the model with or without a head.
        family: a key of `FAMILIES`.
        heads: attention heads, by which LiBai orders queries, keys and values.
        vocabulary: rows of LiBai's vocabulary, where it is padded so that it splits evenly; what is more is 0.

    Raises:
        UsageError: there is no such family, names belong to no rule, or shapes do not fit; all are listed.
        UnsupportedError: a tensor is not dense.

    Example:
        >>> to_libai(checkpoint, "llama", heads=32)                # doctest: +SKIP
    """
    kind = _family(family, heads, vocabulary)
    bare = bool(kind.prefix) and not any(name.startswith(kind.prefix) for name in checkpoint)
    lost: list[str] = []
    named: dict[str, str] = {}
    for name in checkpoint:
        new = _torch_name(name, kind, bare)
        if named.setdefault(new, name) != name:
            lost.append(f"{name}: it is {new}, as is {named[new]}")
    if kind.tied is not None and kind.tied[1] in named:
        named.setdefault(kind.tied[0], named[kind.tied[1]])
    rules = _numbered(kind, named, side=1)
    tensors: dict[str, TensorRef] = {}
    for name in named:
        rule, found = _find(rules, name)
        if rule is None:
            lost += [] if _any(kind.left_out, name) else [f"{named[name]}: no rule of {family} is for it"]
            continue
        if found in tensors:
            continue
        parts = [translate(found, rule.libai, template) or "" for template in rule.torch]
        missing = [part for part in parts if part not in named]
        if missing:
            lost.append(f"{found}: {', '.join(missing)} is missing")
            continue
        sources = [_dense(checkpoint, named[part]) for part in parts]
        try:
            tensors[found] = fused(sources, LAYOUTS[rule.layout], heads, vocabulary)
        except UsageError as error:
            lost.append(f"{found}: {error.what}")
            tensors[found] = sources[0]  # told once
    _refuse(lost, checkpoint, family)
    return with_tensors(checkpoint, tensors)


def from_libai(checkpoint: Checkpoint, family: str, *, heads: int, vocabulary: int | None = None) -> Checkpoint:
    """A checkpoint of LiBai's as transformers has it: the reverse of `to_libai`.

    Args:
        checkpoint: of LiBai's model.
        family: a key of `FAMILIES`.
        heads: attention heads.
        vocabulary: rows of PyTorch's vocabulary; what LiBai's has below them is cut off.

    Raises:
        UsageError: there is no such family, names belong to no rule, or shapes do not fit; all are listed.
        UnsupportedError: a tensor is not dense.

    Example:
        >>> from_libai(checkpoint, "llama", heads=32, vocabulary=32000)      # doctest: +SKIP
    """
    kind = _family(family, heads, vocabulary)
    rules = _numbered(kind, checkpoint, side=0)
    tensors: dict[str, TensorRef] = {}
    lost: list[str] = []
    for name in checkpoint:
        rule = next((rule for rule in rules if translate(name, rule.libai, rule.torch[0]) is not None), None)
        if rule is None:
            lost += [] if _any(kind.flow_only, name) else [f"{name}: no rule of {family} is for it"]
            continue
        try:
            found = parted(_dense(checkpoint, name), LAYOUTS[rule.layout], len(rule.torch), heads, vocabulary)
        except UsageError as error:
            lost.append(f"{name}: {error.what}")
            continue
        for template, part in zip(rule.torch, found, strict=True):
            tensors[translate(name, rule.libai, template) or ""] = part
    _refuse(lost, checkpoint, family)
    return with_tensors(checkpoint, tensors)


def _family(name: str, heads: int, vocabulary: int | None) -> Family:
    for what, count in (("heads", heads), ("rows of a vocabulary", vocabulary)):
        if count is not None and count < 1:
            raise UsageError(f"There can't be {count} {what}.")
    if name not in FAMILIES:
        raise UsageError(f"There is no family {name!r} of LiBai's.", remedy=f"choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _torch_name(name: str, family: Family, bare: bool) -> str:
    """The usual name of a weight: with the prefix that a model without a head lacks, and without old names."""
    head, _, leaf = name.rpartition(".")
    name = f"{head}.{OLD_NAMES[leaf]}" if leaf in OLD_NAMES else name
    return family.prefix + name if bare and _is_known(family, family.prefix + name) else name


def _is_known(family: Family, name: str) -> bool:
    last = [template.replace("{last}", "{i}") for rule in family.rules for template in rule.torch]
    return _any([*last, *family.left_out], name)


def _numbered(family: Family, names: Iterable[str], side: int) -> list[WeightRule]:
    """The rules with `{last}` replaced by the number of the last layer."""
    template = family.layers[side]
    if not template:
        return list(family.rules)
    found = [int(i) for name in names if (i := translate(name, template, "{i}")) is not None]
    last = str(max(found, default=0))
    return [
        WeightRule(rule.libai, tuple(each.replace("{last}", last) for each in rule.torch), rule.layout)
        for rule in family.rules
    ]


def _find(rules: list[WeightRule], name: str) -> tuple[WeightRule | None, str]:
    for rule in rules:
        for template in rule.torch:
            found = translate(name, template, rule.libai)
            if found is not None:
                return rule, found
    return None, ""


def _any(templates: Iterable[str], name: str) -> bool:
    return any(translate(name, template, template) is not None for template in templates)


def _dense(checkpoint: Checkpoint, name: str) -> TensorRef:
    tensor = checkpoint[name]
    if not isinstance(tensor, TensorRef):
        raise UnsupportedError(f"{name} is not dense: {tensor!r}.", where=str(checkpoint.path))
    return tensor


def _refuse(lost: list[str], checkpoint: Checkpoint, family: str) -> None:
    if lost:
        more = f"\n    and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        raise UsageError(
            f"{len(lost)} weights have no place in LiBai's {family}:\n    " + "\n    ".join(lost[:SHOWN]) + more,
            where=str(checkpoint.path),
            maybe="it is a model of another kind, or of another library",
        )
