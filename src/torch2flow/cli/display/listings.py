"""Tables of what there is: operators, models of the zoo, ranks of a plan, packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from torch2flow.cli.display.checkpoint import totals
from torch2flow.cli.display.console import aligned, err, out, shown

if TYPE_CHECKING:
    from torch2flow.checkpoints.pytorch import Checkpoint
    from torch2flow.models.lowering.listing import RuleRow
    from torch2flow.runtime.doctor import Report
    from torch2flow.scale.estimate import Estimate
    from torch2flow.zoo.listing import ZooModel


def show_operators(rows: list[RuleRow]) -> None:
    """The operators, each with its rule and where that is written."""
    table = Table("operator", "rule", "where", "note", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(shown(text) for text in (row.operator, row.rule or "none", row.place, row.note)))
    out.print(table)
    err.print(f"{sum(bool(row.rule) for row in rows)} with a rule, {sum(not row.rule for row in rows)} without")


def show_zoo(rows: list[ZooModel]) -> None:
    """The models of the zoo as a table."""
    columns = ("model", "flowvision", "match", "weights", "verdict")
    lines = [
        (row.name, row.twin or "-", row.match, f"{len(row.weights) or '-'}", row.verdict + (" *" if row.note else ""))
        for row in rows
    ]
    for number, line in enumerate(aligned(lambda: [columns, *lines], right=(3,))):
        out.print(escape(line), style="bold" if number == 0 else "")
    for note in dict.fromkeys(row.note for row in rows if row.note):
        out.print(f"* {shown(note, 400)}", style="dim")


def show_estimate(found: Estimate, checkpoint: Checkpoint, speed: float) -> None:
    """What each rank would hold: sums, evenness, and what costs most."""
    settled, mesh = found.settled, found.settled.mesh
    sizes = " x ".join(f"{name} {size}" for name, size in mesh.sizes.items())
    out.print(f"[bold]{shown(str(checkpoint.path), 4096)}[/]  {totals(checkpoint)}")
    out.print(f"{mesh.ranks:,} ranks: {sizes}")
    table = Table("", "least", "mean", "most", box=None)
    for label, numbers in (("held by a rank", found.held), ("read for it, in pages", found.touched)):
        table.add_row(label, *(decimal(int(n)) for n in (numbers.min(), numbers.mean(), numbers.max())))
    out.print(table)
    out.print(f"imbalance {found.imbalance:.3f} (most to mean; rank {int(found.held.argmax())} holds most)")
    total = int(found.held.sum())
    out.print(f"held by all ranks together {decimal(total)}, {total / max(1, found.whole):.2f} times the checkpoint")
    out.print(f"the slowest rank reads for {found.seconds:.2g} s at {speed:g} GB/s")
    if found.repeated:
        whole = sum(found.repeated.values())
        out.print(f"whole on every rank: {len(found.repeated)} tensors, {decimal(whole)}")
        for name, nbytes in list(found.repeated.items())[:5]:
            why = "" if name not in settled.unmatched else ", no pattern matches it"
            out.print(f"  {shown(name)}  {decimal(nbytes)}{why}", style="dim")


def show_doctor(report: Report) -> None:
    """What is installed and what is missing, with the commands that mend it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "what", "found"):
        table.add_column(column)
    for row in report.rows():
        table.add_row(*map(escape, row))
    out.print(table)
    for names, costs, command in report.remedies():
        out.print(f"\n[bold]{escape(names)}[/]  {escape(costs)}\n  {escape(command)}")
