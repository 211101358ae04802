"""The longest common part of two lists, by how much their items are worth to each other; and of two orders."""

from __future__ import annotations

from collections.abc import Callable


def best_pairs(left: int, right: int, gain: Callable[[int, int], int]) -> list[tuple[int, int]]:
    """The pairs of items of two lists, in the order of both, that are worth the most together.

    Args:
        left, right: the lengths of the lists.
        gain: what a pair is worth; 0 where the two can't be one.
    """
    gains = [[gain(i, j) for j in range(right)] for i in range(left)]
    best = [[0] * (right + 1) for _ in range(left + 1)]
    for i in range(left - 1, -1, -1):
        for j in range(right - 1, -1, -1):
            paired = best[i + 1][j + 1] + gains[i][j] if gains[i][j] else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], paired)
    pairs, i, j = [], 0, 0
    while i < left and j < right:
        if gains[i][j] and best[i][j] == best[i + 1][j + 1] + gains[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def merged_order(left: list[str], right: list[str]) -> list[str]:
    """All names of two lists, in an order that both agree with as far as they agree with each other."""
    pairs = best_pairs(len(left), len(right), lambda i, j: int(left[i] == right[j]))
    result: list[str] = []
    after_left = after_right = 0
    for i, j in [*pairs, (len(left), len(right))]:
        result += [*left[after_left:i], *right[after_right:j], *left[i : i + 1]]
        after_left, after_right = i + 1, j + 1
    return list(dict.fromkeys(result))
