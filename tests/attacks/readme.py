"""Writes README.md from the corpus: `cd tests && python -m attacks.readme`."""

from __future__ import annotations

import sys
from pathlib import Path

from .corpus import Attack, all_attacks

README = Path(__file__).with_name("README.md")

HEAD = """# Attacks

Hostile and broken files, and what becomes of them here. Written by `cd tests && python -m attacks.readme` from the
corpus in `corpus/`, where each is a few lines that put its bytes together by hand; nothing binary is committed.

What holds for every one of them (`test_attacks.py`): either it is **refused** with one clear error, that says what
and where, and exit code 3; or it **opens**, since what it tries does nothing here, and the classes it names are
reported. Either way nothing is executed (an audit hook watches for it, and each payload would make a file), nothing
is written but the output, which names nothing that the file named, nothing in it reaches the terminal as an order,
and time and memory are bounded (20 s, 1 GiB of address space; most take milliseconds and a few MiB).

Beside them: `test_truncation.py` cuts a file of every container at every byte near its ends and at strides between;
`test_programs.py` holds programs to their price, `test_generated_source.py` draws hostile programs and modules;
`test_fuzz.py` damages sound files, PyTorch's own among them, and makes pickles out of every constructor there is
(`TORCH2FLOW_FUZZ_SECONDS=600` runs longer); `../pickles/` holds the machine to its refusals and to round trips.
"""

TITLES = {
    "executing": "Pickles that try to execute",
    "pickles": "Broken pickle streams",
    "bombs": "Bombs: depth, sharing, copies, collisions",
    "tensors": "Tensors and arrays that lie",
    "zips": "Zip archives that lie",
    "legacy": "Legacy streams and tars",
    "jsons": "safetensors, sharded indexes, .pt2",
    "dcp": "Distributed checkpoints",
    "oneflow": "OneFlow's own folders and files",
    "naming": "Names",
    "files": "Files that are none",
}


def text() -> str:
    """The whole page."""
    attacks = all_attacks()
    parts = [f"{HEAD}\n{len(attacks)} attacks, {sum(a.refused is not None for a in attacks)} of them refused.\n"]
    for family, title in TITLES.items():
        members = [attack for attack in attacks if attack.family == family]
        gadgets = [attack for attack in members if attack.name == f"reduce_{'.'.join(attack.reports)}"]
        rows = "".join(row(attack) for attack in members if attack not in gadgets)
        parts.append(f"## {title}\n\n| attack | what it tries | what happens |\n|---|---|---|\n{rows}")
        if gadgets:
            names = " ".join(f"`{attack.reports[0]}`" for attack in gadgets)
            parts.append(f"Called by REDUCE, one file each; each opens and is reported:\n{names}\n")
    return "\n".join(parts)


def row(attack: Attack) -> str:
    """One line of a table."""
    if attack.refused is not None:
        happens = f"refused: {cell(attack.refused)}" if attack.refused else "refused"
    else:
        happens = "opens" + (
            f"; reported: {', '.join(f'`{cell(name)}`' for name in attack.reports)}" if attack.reports else ""
        )
        happens += {(0,): "", (4,): "; OneFlow can't hold it", (5,): "; no disk can hold it"}.get(attack.convert, "")
    return f"| {attack.name} | {cell(attack.tries)} | {happens} |\n"


def cell(content: str) -> str:
    """Text that neither the table nor the terminal takes for anything else."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in content)
    return shown.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    README.write_text(text(), "utf-8")
    sys.exit(0)
