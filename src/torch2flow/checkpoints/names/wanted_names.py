"""Finds out how a checkpoint's names become a model's: what a wrapper or another head added to them is taken off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from torch2flow.checkpoints.names.wrappers import unwrapped


def change_of_names(wanted: Collection[str], given: Iterable[str]) -> tuple[Callable[[str], str], list[str]]:
    """The change of names under which a model finds most of its own, and what to say of it.

    Args:
        wanted: the names that the model has.
        given: the names that the checkpoint has.
    """
    names = list(given)
    best: Callable[[str], str] = _same
    most, told = len(set(names) & set(wanted)), ""
    for change, words in _changes(list(wanted), names):
        changed = [change(name) for name in names]
        if len(set(changed)) == len(changed) and (fits := len(set(changed) & set(wanted))) > most:
            best, most, told = change, fits, words
    return best, [told] if told else []


def _same(name: str) -> str:
    return name


def _changes(wanted: list[str], names: list[str]) -> Iterator[tuple[Callable[[str], str], str]]:
    yield unwrapped, "names: what wrappers (DataParallel, torch.compile, FSDP) add to the file's was taken off"
    for tail in wanted[:1]:
        for name in names:
            plain = unwrapped(name)
            if plain.endswith(f".{tail}"):
                prefix = plain[: -len(tail)]
                yield _without(prefix), f"names: {prefix!r} at the head of the file's was taken off"
    for name in names[:1]:
        plain = unwrapped(name)
        for tail in wanted:
            if tail.endswith(f".{plain}"):
                prefix = tail[: -len(plain)]
                yield _with(prefix), f"names: {prefix!r} was put before the file's"


def _without(prefix: str) -> Callable[[str], str]:
    return lambda name: unwrapped(name).removeprefix(prefix)


def _with(prefix: str) -> Callable[[str], str]:
    return lambda name: prefix + unwrapped(name)
