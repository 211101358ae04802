"""Writes the tables of the documentation that the code decides: dtypes and plans.

python scripts/docs_tables.py            check them
python scripts/docs_tables.py --write    put them into the pages
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rich.filesize import decimal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.trillion import LAYERS, embeddings, layer
from torch2flow.checkpoints.dtypes import DTYPES, DType
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Container, Storage, Tensor, TensorRef
from torch2flow.checkpoints.sharding import ShardingPlan, read_sharding_plan
from torch2flow.checkpoints.sharding.sharding_plan import Sized
from torch2flow.checkpoints.writing import Entry, Options, make_plan
from torch2flow.conversion import FORMATS
from torch2flow.errors import UnsupportedError
from torch2flow.scale.estimate import estimate

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"OneFlow": "folder", "safetensors": "safetensors", "`.pth`": "pth"}

ASKED = {
    "": Options(),
    "`--complex real`": Options(complex="real"),
    "`--quantized dequantize`": Options(quantized="dequantize"),
    "`--quantized int`": Options(quantized="int"),
}


def sample(dtype: DType) -> Tensor:
    """A tensor of this dtype with one element."""
    part = TensorRef(dtype, (1,), (1,), 0, Storage("", dtype.itemsize, data=b"\0" * dtype.itemsize))
    if dtype.storage.startswith("Q"):
        return CompositeTensor("quantized", dtype, (1,), {"int_repr": part})
    return part


def outcome(dtype: DType, output_format: str) -> str:
    """What a conversion makes of it: by itself, or with the options that allow it."""
    found: list[str] = []
    for option, options in ASKED.items():
        try:
            checkpoint = Checkpoint(Path("sample"), Container("zip", {"sample": sample(dtype)}, []))
            (entry,) = make_plan(checkpoint, options, FORMATS[output_format].target).entries
        except UnsupportedError:
            continue
        if not option:
            return described(dtype, entry)
        found.append(f"{option}: {described(dtype, entry)}")
    return f"refused; {', '.join(found)}" if found else "refused"


def described(dtype: DType, entry: Entry) -> str:
    """The dtype on the other side, and what happened to it."""
    if not entry.change:
        return f"{dtype}, stored as {entry.stored}" if entry.stored is not dtype else "as it is"
    note = {"widened": ", widened", "view_as_real": ", one dimension more"}.get(entry.change, "")
    return f"{entry.dtype}{note}"


def dtype_table() -> str:
    """A row for each dtype that PyTorch has."""
    rows = ["| PyTorch | bytes | " + " | ".join(TARGETS) + " |", "|---|---|" + "---|" * len(TARGETS)]
    for dtype in DTYPES.values():
        cells = [outcome(dtype, name) for name in TARGETS.values()]
        rows.append(f"| {dtype} | {dtype.itemsize} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


MESHES = (
    {"tensor": 64},
    {"data": 8, "pipeline": 2, "tensor": 64},
    {"data": 16, "pipeline": 8, "tensor": 8},
    {"data": 32, "pipeline": 16, "tensor": 8},
    {"data": 64, "pipeline": 61, "tensor": 1},
)


def scale_table() -> str:
    """What ranks would hold of a model of a trillion parameters."""
    shapes = embeddings() | {name: shape for number in range(LAYERS) for name, shape in layer(number).items()}
    sizes = {name: Sized(shape, 2, name) for name, shape in shapes.items()}
    rows = []
    for mesh in MESHES:
        plan = ShardingPlan(mesh, read_sharding_plan("llama").split)
        found = estimate(plan, sizes)
        axes = ", ".join(f"{name} = {size}" for name, size in mesh.items())
        rows.append(
            f"| {found.settled.mesh.ranks:,} | `{axes}` | {decimal(int(found.held.max()))} | {found.imbalance:.3f} "
            f"| {found.seconds:.1f} s |"
        )
    return "\n".join(rows) + "\n"


TABLES = {
    "scale": ("scale.md", scale_table),
    "dtypes": ("formats.md", dtype_table),
}
"""By the name of the comment that marks its place: the page, and what makes it."""


def renew(name: str, page: str) -> str:
    """The page with this table as the code has it."""
    table = TABLES[name][1]()
    block = re.compile(rf"(?<=<!-- {name}: make docs -->\n).*?(?=<!-- end of {name} -->)", re.S)
    page, count = block.subn(lambda _: table, page)
    if count != 1:
        raise SystemExit(f"there are {count} places for the table {name}")
    return page


def main() -> int:
    """Checks or writes the tables; 1 if a page has another."""
    parser = argparse.ArgumentParser(description="The tables of the documentation that the code decides.")
    parser.add_argument("--write", action="store_true", help="put them into the pages")
    write = parser.parse_args().write
    wrong = 0
    for name, (file, _) in TABLES.items():
        page = ROOT / "docs" / file
        before = page.read_text("utf-8")
        after = renew(name, before)
        if write:
            page.write_text(after, "utf-8")
        elif after != before:
            wrong = 1
            print(f"docs/{file}: the table {name} is not what the code has: run make docs")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
