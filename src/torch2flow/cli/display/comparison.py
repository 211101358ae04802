"""How two sides compare: two checkpoints, a model and its recording, two predictions."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from torch2flow.cli.display.console import aligned, out, printable, shown
from torch2flow.cli.language import translated

if TYPE_CHECKING:
    from torch2flow.checkpoints.diffing import Diff, TensorDifference
    from torch2flow.proof.parity import Verification
    from torch2flow.zoo.predicting import Prediction

SHOWN_DIFFERENCES = 200
"""How many rows of each table of a comparison are shown without --all."""

DIFF_COLUMNS = {
    "only in A": ("dtype_a", "shape_a"),
    "only in B": ("dtype_b", "shape_b"),
    "dtype differs": ("dtype_a", "dtype_b", "shape_a", "values"),
    "shape differs": ("dtype_a", "shape_a", "dtype_b", "shape_b", "values"),
    "values differ": ("dtype_a", "shape_a", "values"),
    "equal": ("dtype_a", "shape_a"),
}
"""What the table of each status shows of a row."""

DIFF_HEADS = {"dtype_a": "A", "dtype_b": "B", "shape_a": "shape", "shape_b": "shape"}

MEASURES = ("max |a-b|", "relative", "differ", "at", "A there", "B there")

COLOURS = {
    "identical": "green",
    "within noise": "green",
    "loses digits": "yellow",
    "elevated": "yellow",
    "different": "red",
}


def show_diff(found: Diff, *, every: bool = False) -> None:
    """One table for each way to differ, the worst first; then the sums."""
    for status, columns in DIFF_COLUMNS.items():
        rows = found.group(status)
        if not rows or (status == "equal" and not every):
            continue
        measured = "values" in columns and any(row.values is not None for row in rows)
        heads = [DIFF_HEADS[column] for column in columns if column != "values"]
        table = [(f"{status}: {len(rows):,}", *heads, *(MEASURES if measured else ()), "")]
        table.extend(_compared(row, columns, measured) for row in rows[: None if every else SHOWN_DIFFERENCES])
        numbers = tuple(range(1 + len(heads), 4 + len(heads))) if measured else ()
        lines = list(aligned(partial(iter, table), numbers))
        out.print(escape(lines[0]), style="bold green" if status == "equal" else "bold red")
        out.file.write("".join(f"{line}\n" for line in lines[1:]))
        if len(rows) > len(table) - 1:
            out.print(f"and {len(rows) - len(table) + 1:,} more: --all shows them", style="dim")
    for note in found.notes:
        out.print(f"note: {shown(note, 1000)}", style="dim")
    if found.rename:
        out.print(f"the names would align with: {shown(found.rename, 1000)}")
    if found.differs:
        counted = ", ".join(f"{status}: {count:,}" for status, count in found.counts.items() if count)
        out.print(f"[red]different[/]; {counted}")
    else:
        out.print(f"[green]equal[/], bit for bit: {len(found.rows):,} tensors")


def _compared(row: TensorDifference, columns: tuple[str, ...], measured: bool) -> tuple[str, ...]:
    """The cells of one row of the table, by `DIFF_COLUMNS`."""
    cells = [printable(row.name)]
    for column in columns:
        if column.startswith("dtype"):
            cells.append(printable(getattr(row, column)))
        elif column.startswith("shape"):
            cells.append("x".join(map(str, getattr(row, column))) or "scalar")
    values = row.values
    if measured and values is None:
        cells.extend([""] * len(MEASURES))
    elif measured and values is not None:
        cells.extend("" if number is None else f"{number:.3g}" for number in (values.largest, values.relative))
        cells.append(f"{values.different:,} of {values.elements:,} ({values.different / max(1, values.elements):.2%})")
        cells.append("" if values.index is None else str(list(values.index)))
        cells.extend((printable(values.a), printable(values.b)))
    return (*cells, printable("; ".join(row.remarks), 400))


def show_verification(found: Verification, *, brief: bool = False, label: str = "") -> None:
    """The verdict, part by part and in one sentence, and where it starts to differ; of many, each with a label."""
    from torch2flow.proof.parity.ledger import PARTS

    if not brief:
        table = Table(box=None, pad_edge=False)
        table.add_column("compared", no_wrap=True)
        for name in ("tensors", "x noise", "error", "float64"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for part in found.parts:
            measures = found.ledger.measures(part)
            double = max((each.double for each in measures if each.double is not None), default=None)
            verdict = found.ledger.verdict(part)
            table.add_row(
                translated(PARTS[part]),
                f"{len(measures):,}",
                _number(max(each.ratio for each in measures), ",.2f"),
                _number(max(each.error for each in measures) / (max(each.scale for each in measures) or 1), ".0e"),
                _number(double, ".0e"),
                f"[{COLOURS[verdict]}]{translated(verdict)}[/]",
            )
        out.print(table)
        for where, text in found.ledger.failures.items():
            out.print(f"[red]not run[/] {shown(where)}: {shown(text, 400)}")
    named = f"{shown(label, 200)}  " if label else ""
    out.print(f"{named}[bold {COLOURS[found.verdict]}]{translated(found.verdict)}[/]: {shown(found.sentence, 1000)}")
    divergence = found.divergence
    for text in divergence.likely if divergence is not None else ():
        out.print(f"  likely: {shown(text, 400)}")
    for note in found.notes:
        out.print(f"  {shown(note, 400)}")


def _number(value: float | None, form: str) -> str:
    """A cell of a table; "-" for what can't be measured, such as another shape."""
    return "" if value is None else format(value, form) if math.isfinite(value) else "-"


def show_predictions(found: list[Prediction]) -> None:
    """What both sides see in each picture."""
    for each in found:
        agree = "both agree" if each.agree else "[red]they differ[/]"
        out.print(f"[bold]{shown(each.image, 1000)}[/]  {agree}; pixels differ by {each.pixels:.1e} at most")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("", "PyTorch", "", "OneFlow", ""):
            table.add_column(column, justify="right" if not column else "left")
        for place, (ours, first, theirs, second) in enumerate(each.top(), 1):
            table.add_row(str(place), shown(ours), f"{first:.4f}", shown(theirs), f"{second:.4f}")
        out.print(table)
