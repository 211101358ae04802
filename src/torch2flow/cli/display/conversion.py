"""What a conversion, a capture or a check did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.markup import escape

from torch2flow.checkpoints.packed import PackedTensor
from torch2flow.cli.display.console import err, out, printable, shown

if TYPE_CHECKING:
    from torch2flow.checking import Check
    from torch2flow.checkpoints.writing import ConversionPlan
    from torch2flow.conversion import Result
    from torch2flow.models.codegen.writer import Source
    from torch2flow.proof.capture import Captured
    from torch2flow.zoo.twins import Twin

SHOWN_ROWS = 10
"""How many parts that were not converted the summary names. The manifest has all of them."""


def show_result(result: Result) -> None:
    """The closing summary of a conversion."""
    plan, checkpoint = result.plan, result.plan.checkpoint
    if checkpoint.key != "." and result.model_source is None:
        err.print(f"took [bold]{shown(checkpoint.key)}[/]: {shown(checkpoint.reason)}")
    tensors = sum(len(entry.names) for entry in plan.entries)
    counts = [f"{tensors:,} tensors" if tensors else "no tensor, since there is none"]
    if plan.ties:
        counts.append(f"{sum(len(names) for names in plan.ties) - len(plan.ties)} of them tied to another")
    if plan.naming.sources:
        counts.append(f"{len(plan.naming.sources)} renamed")
    if plan.naming.skipped:
        counts.append(f"{len(plan.naming.skipped)} left out")
    if "mesh" in result.manifest:
        counts.append(f"cut for {result.manifest['ranks']} ranks")
    rate = f", {decimal(int(plan.nbytes / result.seconds))}/s" if result.written and result.seconds > 0 else ""
    if result.written:
        err.print(f"wrote {', '.join(counts)}: {plan.nbytes:,} bytes in {result.seconds:.2f} s{rate}")
    else:
        err.print(f"would write {', '.join(counts)}: {plan.nbytes:,} bytes")
    for change, rows in changes(plan).items():
        err.print(f"{change}: {len(rows)} tensors, for example {shown(', '.join(rows[:3]), 400)}")
    left = result.manifest["not_converted"]
    for row in left[:SHOWN_ROWS]:
        err.print(f"not converted: {shown(row['name'])} ({shown(row['reason'])})", style="dim")
    if len(left) > SHOWN_ROWS:
        err.print(f"and {len(left) - SHOWN_ROWS} more that were not converted: the manifest lists them", style="dim")
    if result.model_source is not None:
        _show_source(result.model_source, result.written, result.out.name, cut="mesh" in result.manifest)
    for note in plan.notes:
        err.print(f"note: {shown(note, 1000)}")
    done = "" if result.written else "  (dry run: nothing was written)"
    err.print(f"[bold]{shown(_nearest(result.out), 1000)}[/]{done}")


def _show_source(source: Source, written: bool, name: str, *, cut: bool) -> None:
    """Shows the class that was written, and what of the model could not be written."""
    lines = source.text.count("\n")
    err.print(f"{'wrote' if written else 'would write'} [bold]model.py[/]: class {shown(source.root)}, {lines} lines")
    if source.missing:
        err.print(f"{len(source.missing)} calls of operators without a OneFlow equivalent:", style="yellow")
        for line in source.missing_lines():
            err.print(f"  {shown(line, 1000)}")
    for note in source.notes:
        err.print(f"note: {shown(note, 1000)}")
    if written and name.isidentifier():
        use = f"from {name} import {shown(source.root)}; torch2flow.to_global({shown(source.root)}(), PLAN)"
        err.print(f"use it: {use}" if cut else f"use it: from {name} import load_model; model = load_model()")


def _nearest(path: Path) -> str:
    """A path relative to the current folder where it lies in it, else as it is."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def changes(plan: ConversionPlan) -> dict[str, list[str]]:
    """Names of the tensors that are not byte for byte the source's, by what happened to them."""
    rows: dict[str, list[str]] = {}
    for entry in plan.entries:
        if entry.change:
            was = entry.tensor.scheme if isinstance(entry.tensor, PackedTensor) else entry.tensor.dtype
            label = f"{entry.change} {was} to {entry.dtype}"
            rows.setdefault(label, []).append(printable(entry.names[0]))
    return rows


def show_check(check: Check) -> None:
    """The outcome of a check."""
    for difference in check.differences[:50]:
        err.print(f"[red]different[/] {shown(difference)}")
    if len(check.differences) > 50:
        err.print(f"and {len(check.differences) - 50} more")
    verdict = "[red]not the same[/]" if check.differences else "[green]ok[/]"
    out.print(f"{verdict}: {check.tensors} tensors, {check.compared} of them by their bytes  {escape(str(check.path))}")


def show_note(text: str) -> None:
    """A sentence that a person should read before the work goes on."""
    err.print(f"note: {shown(text, 1000)}")


def show_capture(captured: Captured) -> None:
    """The closing summary of a capture."""
    err.print(
        f"captured {captured.nodes:,} operations and {captured.parameters:,} parameters with PyTorch "
        f"{shown(captured.torch)} in {captured.seconds:.1f} s"
    )
    for axis in captured.axes.values():
        kind = "dynamic" if axis.dynamic else "static"
        sizes = f", {axis.low or 0} to {axis.high if axis.high is not None else 'any'}" if axis.dynamic else ""
        err.print(f"axis {shown(axis.name)}: {kind}{sizes}; {axis.size} in the sample")
    for note in captured.notes:
        err.print(f"note: {shown(note, 1000)}")
    err.print(f"[bold]{shown(_nearest(captured.out), 1000)}[/]  {decimal(captured.nbytes)}")
    if captured.reference is not None:
        counted = f"{captured.recorded:,} tensors, {decimal(captured.reference_nbytes)}"
        err.print(f"[bold]{shown(_nearest(captured.reference), 1000)}[/]  {counted}")


def show_twin(twin: Twin, result: Result) -> None:
    """The closing lines of `zoo convert`: the model that was built, and the repairs in it."""
    err.print(f"model: flowvision's [bold]{shown(twin.twin)}[/]({shown(', '.join(twin.arguments), 400)}), {twin.match}")
    for repair in twin.repairs:
        err.print(f"mended: {shown(repair.why, 400)}")
    if result.written and result.out.name.isidentifier():
        err.print(f"use it: from {result.out.name} import load_model; model = load_model()")
