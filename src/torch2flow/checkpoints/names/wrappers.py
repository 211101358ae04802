"""Parts of names that a wrapper adds to those of the model: told, and taken off only when that is asked for.

module.layer1.0.weight                       DataParallel, DistributedDataParallel
_orig_mod.layer1.0.weight                    torch.compile
layer1._fsdp_wrapped_module.0.weight         FullyShardedDataParallel
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LIGHTNING = "pytorch-lightning_version"
"""A key of every checkpoint that Lightning writes."""

MOST_NAMES = 1 << 20
"""Of how many names it is looked at, so that a state dict of a million tensors costs no second time."""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A part that a wrapper puts into names.

    Attributes:
        part: one part of a dotted name.
        who: what puts it there.
        inside: it also stands in the middle of names.
    """

    part: str
    who: str
    inside: bool = True

    @property
    def rule(self) -> str:
        """The rule of `--rename` that takes it off."""
        return rf"(^|\.){self.part}\.=\1" if self.inside else rf"^{self.part}\.="


WRAPPERS = (
    Wrapper("module", "DataParallel, DistributedDataParallel or DeepSpeed", inside=False),
    Wrapper("_orig_mod", "torch.compile"),
    Wrapper("_fsdp_wrapped_module", "FullyShardedDataParallel"),
    Wrapper("_checkpoint_wrapped_module", "checkpoint_wrapper"),
    Wrapper("model", "a LightningModule whose attribute it is", inside=False),
)
"""`model` means nothing by itself: models of transformers begin so too."""


def wrappers_of(names: Iterable[str], *, is_lightning: bool = False) -> list[Wrapper]:
    """The wrappers that names tell of: those at the head of all names, or anywhere in some.

    Args:
        names: of tensors.
        is_lightning: the file is one of Lightning's, where `model.` may be the attribute's name.
    """
    names = list(names)[:MOST_NAMES]
    found = []
    for wrapper in WRAPPERS:
        head, middle = f"{wrapper.part}.", f".{wrapper.part}."
        if wrapper.part == "model" and not is_lightning:
            continue
        if wrapper.inside:
            is_there = any(name.startswith(head) or middle in name for name in names)
        else:
            is_there = bool(names) and all(name.startswith(head) for name in names)
        if is_there:
            found.append(wrapper)
    return found


def unwrapped(name: str) -> str:
    """The name without what any wrapper adds, `model.` excepted."""
    parts = name.split(".")
    added = {wrapper.part for wrapper in WRAPPERS if wrapper.inside}
    while parts and parts[0] in (*added, "module") and len(parts) > 1:
        parts = parts[1:]
    return ".".join(part for part in parts if part not in added)


def notes_on(names: Iterable[str], *, is_lightning: bool = False) -> list[str]:
    """A sentence for each wrapper that names tell of, with the option that takes it off."""
    names = list(names)
    adapter = any(".lora_A." in name for name in names)
    told = (
        ["these are the weights of a LoRA adapter alone; --merge-adapter BASE adds them to the model's"]
        if adapter
        else []
    )
    return told + [
        f"{'names hold' if each.inside else 'all names begin with'} {each.part!r}, which {each.who} adds;"
        f" --rename '{each.rule}' takes it off"
        for each in wrappers_of(names, is_lightning=is_lightning)
    ]
