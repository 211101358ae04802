"""Finds the change of a prefix or suffix that would align the names of two checkpoints."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable


def suggest_rename(a: dict[str, tuple[int, ...]], b: dict[str, tuple[int, ...]]) -> tuple[str, str] | None:
    """The change of a prefix or suffix that would align most names. Two names match if their shapes match too."""
    fewest = min(len(a), len(b))
    overlap = len(a.keys() & b.keys())
    if not fewest or 2 * overlap > fewest:
        return None
    offers: list[tuple[int, int, int, str, str]] = []
    for step, separators in ((1, "."), (-1, "._:/")):  # a suffix is the prefix of a name read backwards
        ours, theirs = ({name[::step]: shape for name, shape in side.items()} for side in (a, b))
        for old in _prefixes(ours, separators):
            for new in _prefixes(theirs, separators):
                renamed = {new + n[len(old) :] if n.startswith(old) else n: shape for n, shape in ours.items()}
                fits = sum(theirs.get(name) == shape for name, shape in renamed.items())
                if fits > overlap and 2 * fits >= fewest and len(renamed) == len(a) and f"{old}{new}".isprintable():
                    offers.append((fits, -len(old) - len(new), step, old[::step], new[::step]))
    if not offers:
        return None
    _, _, step, old, new = max(offers)
    escaped = re.escape(old).replace("=", "\\x3d")
    return f"^{escaped}" if step > 0 else f"{escaped}$", new.replace("\\", "\\\\")


def _prefixes(names: Iterable[str], separators: str) -> list[str]:
    """The prefixes, up to a separator, that at least half of the names have; at most four of each name."""
    names = list(names)
    found: Counter[str] = Counter()
    for name in names:
        for match in itertools.islice(re.finditer(f"[{separators}]", name), 4):
            found[name[: match.end()]] += 1
    return ["", *(prefix for prefix, count in found.items() if 2 * count >= len(names) and len(prefix) < 100)]
