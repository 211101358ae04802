"""Makes faults out of a converted model, by a seed: small changes to its source or to its weights, one at a time.

    .venv/bin/python scripts/mutants.py net --count 20 --seed 1                 lists them
    .venv/bin/python scripts/mutants.py net --count 20 --seed 1 --judge         and asks the judge about each

Each is a change that a converter or a person makes: another constant, a residual left out, two weights swapped. Where
it lies is not claimed here, but found by running both models (`scripts/mutant_judging.py`).
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.mutant_rules import ARGUMENTS, HELPERS, KINDS, RULES, sites

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        kind: a row of `KINDS`.
        name: what was changed, in words.
        line: in `model.py`; 0 where a weight was changed.
        source: the whole source; "" where it stays.
        weights: other values of weights, by name.
        cause: what a likely cause must speak of, as a regular expression.
    """

    kind: str
    name: str
    line: int
    cause: str
    source: str = ""
    weights: dict[str, Array] = field(default_factory=dict)


def of_source(source: str) -> list[Mutant]:
    """Every fault that the rules make of a source."""
    tree, lines, found = ast.parse(source), source.splitlines(keepends=True), {}
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    raw = source.encode()
    for site in sites(tree):
        for rule in RULES:
            for new, kind, words in rule(site):
                old: Any = site.node
                if isinstance(old, ast.If) and isinstance(new, ast.Expr):
                    old, new = old.test, new.value
                begin, end = starts[old.lineno - 1] + old.col_offset, starts[old.end_lineno - 1] + old.end_col_offset
                text = new if isinstance(new, str) else ast.unparse(new)
                if not isinstance(new, str) and isinstance(new, ast.BinOp | ast.IfExp | ast.UnaryOp):
                    text = f"({text})"
                made = (raw[:begin] + text.encode() + raw[end:]).decode()
                for helper, body in HELPERS.items():
                    if helper in text:
                        made = _with_helper(made, f"def {helper}({ARGUMENTS.get(helper, 'x')}):\n{body}\n")
                if re.search(r"\bflow\.", made) and "import oneflow as flow" not in source:
                    made = f"{made.rstrip()}\n\n\nimport oneflow as flow\n"
                if made == source or made in found:
                    continue
                try:
                    compile(made, "model.py", "exec")
                except SyntaxError:
                    continue
                found[made] = Mutant(kind, f"line {old.lineno}: {words}", old.lineno, KINDS[kind], made)
    return list(found.values())


def _with_helper(source: str, helper: str) -> str:
    """At the end, where no line changes its number."""
    return f"{source.rstrip()}\n\n\n{helper}"


# -- weights -------------------------------------------------------------------------------------------------


def of_weights(values: dict[str, Array], rng: np.random.Generator) -> Iterator[Mutant]:
    """Faults in a checkpoint, some of each kind."""

    def put(kind: str, name: str, array: Array, words: str = "") -> Mutant:
        return Mutant(kind, f"{kind}: {words or name}", 0, KINDS[kind], weights={name: np.ascontiguousarray(array)})

    floats = [name for name, array in values.items() if array.dtype == np.float32 and array.size]
    if not floats:
        return
    for _ in range(3):
        name = str(rng.choice(floats))
        array, at = values[name].copy(), int(rng.integers(values[name].size))
        array.reshape(-1)[at] = np.nextafter(array.reshape(-1)[at], np.float32(np.inf))
        yield put("one ulp", name, array)
        array = values[name].copy()
        array.reshape(-1)[at] += 0.5
        yield put("one value", name, array)
        yield put("zeroed", name, np.zeros_like(array))
        for bits, kind in ((16, "cut to bfloat16"), (13, "cut to float16")):
            cut = values[name].copy()
            cut.reshape(-1).view(np.uint32)[...] &= np.uint32(0xFFFFFFFF << bits & 0xFFFFFFFF)
            if not np.array_equal(cut, values[name]):
                yield put(kind, name, cut)
    pairs = [
        (a, b) for a in floats for b in floats if a < b and values[a].shape == values[b].shape and values[a].size > 1
    ]
    for index in rng.permutation(len(pairs))[:3]:
        one, other = pairs[index]
        made = {one: values[other], other: values[one]}
        yield Mutant(
            "two weights swapped",
            f"two weights swapped: {one} and {other}",
            0,
            KINDS["two weights swapped"],
            weights=made,
        )
    for name in floats:
        array = values[name]
        if array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] > 1:
            yield put("weight transposed", name, array.T)
        if array.ndim >= 1 and array.shape[0] % 3 == 0 and array.shape[0] >= 24:
            one, two, three = np.split(array, 3)
            yield put("slices swapped", name, np.concatenate([two, one, three]))
        if "running" in name:
            yield put("zeroed", name, np.zeros_like(array) + np.float32(0.0 if "mean" in name else 1.0))


def stored(folder: Path) -> dict[str, Array]:
    """The weights of a converted folder by name."""
    rows = json.loads((folder / "manifest.json").read_text("utf-8"))["tensors"]
    dtypes = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "int32": np.int32}
    return {
        row["name"]: np.frombuffer((folder / "weights" / row["name"] / "out").read_bytes(), dtypes[row["dtype"]])
        .reshape(row["shape"]).copy()
        for row in rows if row["dtype"] in dtypes
    }  # fmt: skip


def mutants(folder: Path, count: int, seed: int) -> list[Mutant]:
    """So many faults of a converted model: a few of every kind rather than many of one."""
    source = (folder / "model.py").read_text("utf-8")
    rng = random.Random(seed)
    groups: dict[str, list[Mutant]] = {}
    for mutant in (*of_source(source), *of_weights(stored(folder), np.random.default_rng(seed))):
        groups.setdefault(mutant.kind, []).append(mutant)
    for group in groups.values():
        rng.shuffle(group)
    kinds, chosen = list(groups), []
    rng.shuffle(kinds)
    while len(chosen) < count and groups:
        for kind in kinds:
            if groups.get(kind) and len(chosen) < count:
                chosen.append(groups[kind].pop())
        groups = {kind: group for kind, group in groups.items() if group}
    return chosen


def main() -> int:
    """Lists the faults, or judges them; 1 where a fault that a run can reach is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what `torch2flow convert` made of a captured model")
    parser.add_argument("--reference", type=Path, help="the recording; that beside the .pt2 if it is not given")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", action="store_true", help="ask the judge about each")
    arguments = parser.parse_args()
    made = mutants(arguments.folder, arguments.count, arguments.seed)
    if not arguments.judge:
        for mutant in made:
            print(f"{mutant.kind:<26} {mutant.name}")
        return 0
    from scripts.mutant_judging import judge_mutants

    reference = arguments.reference or arguments.folder.with_suffix(".reference.safetensors")
    failed = 0
    for row in judge_mutants(arguments.folder, reference, made):
        failed += row["outcome"] == "missed"
        marks = f"{'located' if row['located'] else '':<8}{'named' if row['named'] else '':<6}"
        print(f"{row['outcome']:<14} {marks} {row['kind']}, {row['name']}")
        print(f"    {row['sentence']}")
        for text in row["likely"][:2]:
            print(f"    - {text}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
