"""What a person sees: tables, trees, summaries and the progress bar, in rich's hands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, TensorRef
from torch2flow.checkpoints.pytorch.pieced import PiecedTensor
from torch2flow.checkpoints.pytorch.selection import Search

if TYPE_CHECKING:
    from torch2flow.checking import Check
    from torch2flow.checkpoints.diffing import Diff
    from torch2flow.checkpoints.diffing import Row as Compared
    from torch2flow.checkpoints.writing import ConversionPlan
    from torch2flow.checkpoints.writing.entry_bytes import Progress
    from torch2flow.conversion import Result
    from torch2flow.models.codegen.writer import Source
    from torch2flow.models.lowering.listing import Row
    from torch2flow.proof.capture import Captured
    from torch2flow.proof.parity import Verification
    from torch2flow.runtime.doctor import Report
    from torch2flow.scale.estimate import Estimate
    from torch2flow.zoo.listing import Row as Model
    from torch2flow.zoo.predicting import Prediction
    from torch2flow.zoo.twins import Twin

SHOWN_FROM = 64 << 20
"""Bytes from which on a progress bar is worth its place."""

SHOWN_ROWS = 10
"""Parts that were not converted which the summary names; the manifest has all of them."""

SHOWN_DIFFERENCES = 200
"""Rows of each table of a comparison; more with --all."""

TREE_MEMBERS, TREE_NODES = 40, 4000
"""Members of one container that a tree shows, and of all; more are counted."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show_inspection(checkpoint: Checkpoint, pattern: str = "") -> None:
    """Format, producer, candidates, the tensors as a table, ties, unknown classes, totals."""
    container = checkpoint.container
    out.print(f"[bold]{shown(str(checkpoint.path), 4096)}[/]  {container.format}: {shown(container.producer)}")
    if len(checkpoint.candidates) > 1 or checkpoint.key != ".":
        out.print(f"showing [bold]{shown(checkpoint.key)}[/]: {shown(checkpoint.reason)}")
        for candidate in checkpoint.candidates:
            count = f", {candidate.tensors} tensors" if candidate.tensors else ""
            out.print(f"  --key {shown(candidate.path)}  ({candidate.kind}{count})", style="dim")
    _show_tensors((name, tensor) for name, tensor in checkpoint.items() if pattern in name)
    out.print(totals(checkpoint))
    for group in checkpoint.aliases:
        out.print(f"tied: {escape(' = '.join(map(printable, group)))}")
    for group in checkpoint.overlaps:
        out.print(f"one storage: {escape(', '.join(map(printable, group[:6])))}{' ...' if len(group) > 6 else ''}")
    if container.opaque:
        names = ", ".join(f"{printable(name)} ({count})" for name, count in sorted(container.opaque.items())[:20])
        out.print(f"unknown classes, kept as records, never imported: {escape(names)}", style="dim")
    for note in container.notes:
        out.print(f"note: {shown(note, 1000)}", style="dim")


def _show_tensors(tensors: Iterable[tuple[str, TensorRef | CompositeTensor]]) -> None:
    """The table of tensors. Not rich's own: that takes twelve seconds for 20,000 rows."""
    rows = [("name", "dtype", "shape", "bytes", "")]
    for name, tensor in tensors:
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        rows.append((printable(name), tensor.dtype.name, shape, f"{tensor.nbytes:,}", _remarks(tensor)))
    lines = _aligned(rows, right=(3,))
    out.print(escape(lines[0]), style="bold")
    out.file.write("".join(f"{line}\n" for line in lines[1:]))


def _aligned(rows: Sequence[tuple[str, ...]], right: tuple[int, ...]) -> list[str]:
    """Rows as lines whose columns are as wide as they have to be; those of `right` end where the column does."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        blanks = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [
            blank + cell if at in right else cell + blank
            for at, (cell, blank) in enumerate(zip(row, blanks, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def totals(checkpoint: Checkpoint) -> str:
    """One line of sums."""
    dtypes: dict[str, int] = {}
    for tensor in checkpoint.values():
        dtypes[tensor.dtype.name] = dtypes.get(tensor.dtype.name, 0) + 1
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(dtypes.items(), key=lambda item: -item[1]))
    rounded = f" ({decimal(checkpoint.nbytes)})" if checkpoint.nbytes >= 1000 else ""
    return f"{len(checkpoint):,} tensors ({kinds}), {checkpoint.nbytes:,} bytes{rounded}"


def printable(name: str, longest: int = 120) -> str:
    """Text out of a file without control characters and lone surrogates, and never longer than a line."""
    text = name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return text if len(text) <= longest else f"{text[: longest - 20]}... ({len(text)} characters)"


def shown(text: str, longest: int = 120) -> str:
    """Text out of a file for rich: neither the terminal nor rich's markup takes anything in it for an order."""
    return escape(printable(text, longest))


def _remarks(tensor: TensorRef | CompositeTensor) -> str:
    remarks = []
    if isinstance(tensor, CompositeTensor):
        remarks.append(tensor.layout)
    elif isinstance(tensor, PiecedTensor):
        remarks.append("in pieces")
    elif not tensor.is_plain:
        remarks.append("strided" if not (tensor.conj or tensor.neg) else "conjugate" if tensor.conj else "negative")
    if tensor.is_parameter:
        remarks.append("parameter" if tensor.requires_grad else "frozen parameter")
    return ", ".join(remarks)


def show_tree(checkpoint: Checkpoint) -> None:
    """The whole object as a tree."""
    search = Search()
    top = Tree(f"[bold]{shown(checkpoint.path.name)}[/]  {describe(checkpoint.root, search)}")
    _grow(top, checkpoint.root, 0, [TREE_NODES], search)
    out.print(top)


def _grow(branch: Tree, value: Any, depth: int, left: list[int], search: Search) -> None:
    """Adds what is below a value, to at most `left` nodes in all: a container can hold another many times."""
    if depth > 12:
        branch.add("...")
        return
    count = 0
    for count, (key, item) in enumerate(members_of(value), 1):
        if count <= TREE_MEMBERS and left[0] > 0:
            left[0] -= 1
            below = branch.add(f"{shown(str(key))}  [dim]{describe(item, search)}[/]")
            _grow(below, item, depth + 1, left, search)
    if count > TREE_MEMBERS:
        branch.add(f"... and {count - TREE_MEMBERS} more")
    elif left[0] <= 0 and count:
        branch.add("...")


def members_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """The named parts of a container or record."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif hasattr(value, "class_name"):
        if value.args:
            yield "(arguments)", value.args
        if isinstance(value.state, dict):
            yield from value.state.items()
        elif value.state is not None:
            yield "(state)", value.state
        yield from value.entries.items()
        yield from enumerate(value.items)


def describe(value: Any, search: Search) -> str:
    """A value in a few words."""
    if isinstance(value, TensorRef | CompositeTensor):
        return f"{value.dtype} {list(value.shape)}{f' {value.layout}' if isinstance(value, CompositeTensor) else ''}"
    if isinstance(value, dict | list | tuple):
        kind = search.classify(value) or type(value).__name__.replace("StatefulDict", "OrderedDict")
        return f"{kind} of {len(value)}"
    if hasattr(value, "class_name"):
        return escape(printable(value.class_name))
    text = repr(value) if isinstance(value, str | int | float | bool | type(None)) else type(value).__name__
    return escape(text if len(text) <= 80 else f"{text[:77]}...")


def show_result(result: Result) -> None:
    """The closing summary of a conversion."""
    plan, checkpoint = result.plan, result.plan.checkpoint
    if checkpoint.key != "." and result.model_source is None:
        err.print(f"took [bold]{shown(checkpoint.key)}[/]: {shown(checkpoint.reason)}")
    counts = [f"{sum(len(entry.names) for entry in plan.entries):,} tensors"]
    if plan.ties:
        counts.append(f"{sum(len(names) for names in plan.ties) - len(plan.ties)} of them tied to another")
    if plan.naming.sources:
        counts.append(f"{len(plan.naming.sources)} renamed")
    if plan.naming.skipped:
        counts.append(f"{len(plan.naming.skipped)} left out")
    if "mesh" in result.manifest:
        counts.append(f"cut for {result.manifest['ranks']} ranks")
    verb = "wrote" if result.written else "would write"
    rate = f", {decimal(int(plan.nbytes / result.seconds))}/s" if result.written and result.seconds > 0 else ""
    err.print(f"{verb} {', '.join(counts)}: {plan.nbytes:,} bytes in {result.seconds:.2f} s{rate}")
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
    """The model that was written, and what of it could not be."""
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
    """A path as short as it can be said from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def changes(plan: ConversionPlan) -> dict[str, list[str]]:
    """Names of the tensors that are not byte for byte the source's, by what happened to them."""
    rows: dict[str, list[str]] = {}
    for entry in plan.entries:
        if entry.change:
            label = f"{entry.change} {entry.tensor.dtype} to {entry.dtype}"
            rows.setdefault(label, []).append(printable(entry.names[0]))
    return rows


def show_operators(rows: list[Row]) -> None:
    """The operators, each with its rule and where that is written."""
    table = Table("operator", "rule", "where", "note", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(shown(text) for text in (row.operator, row.rule or "none", row.place, row.note)))
    out.print(table)
    err.print(f"{sum(bool(row.rule) for row in rows)} with a rule, {sum(not row.rule for row in rows)} without")


def show_check(check: Check) -> None:
    """The outcome of a check."""
    for difference in check.differences[:50]:
        err.print(f"[red]different[/] {shown(difference)}")
    if len(check.differences) > 50:
        err.print(f"and {len(check.differences) - 50} more")
    verdict = "[red]not the same[/]" if check.differences else "[green]ok[/]"
    out.print(f"{verdict}: {check.tensors} tensors, {check.compared} of them by their bytes  {escape(str(check.path))}")


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
        lines = _aligned(table, numbers)
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


def _compared(row: Compared, columns: tuple[str, ...], measured: bool) -> tuple[str, ...]:
    """The cells of one row, as `DIFF_COLUMNS` has them."""
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


COLOURS = {"identical": "green", "within noise": "green", "elevated": "yellow", "different": "red"}


def show_verification(found: Verification, *, brief: bool = False) -> None:
    """The verdict, part by part and in one sentence, and where it starts to differ."""
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
                PARTS[part],
                f"{len(measures):,}",
                f"{max(each.ratio for each in measures):,.2f}",
                f"{max(each.error for each in measures) / (max(each.scale for each in measures) or 1):.0e}",
                "" if double is None else f"{double:.0e}",
                f"[{COLOURS[verdict]}]{verdict}[/]",
            )
        out.print(table)
        for where, text in found.ledger.failures.items():
            out.print(f"[red]not run[/] {shown(where)}: {shown(text, 400)}")
    out.print(f"[bold {COLOURS[found.verdict]}]{found.verdict}[/]: {shown(found.sentence, 1000)}")
    divergence = found.divergence
    for text in divergence.likely if divergence is not None else ():
        out.print(f"  likely: {shown(text, 400)}")
    for note in found.notes:
        out.print(f"  {shown(note, 400)}")


@contextmanager
def conversion_progress() -> Iterator[Callable[[int], Progress]]:
    """Gives a conversion its progress bar: on a terminal, and for work that is longer than a moment."""
    with ExitStack() as stack:
        yield lambda total: stack.enter_context(progress_bar("writing", total))


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Progress]:
    """A bar with rate and time left; nothing where stderr is no terminal or there is little to do."""
    if not err.is_terminal or total < SHOWN_FROM:
        yield lambda count: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(label, total=total)
        pending, shown = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal pending, shown
            pending += count
            if time.monotonic() - shown > 0.1:  # a call per tensor would cost more than the tensor
                bar.advance(task, pending)
                pending, shown = 0, time.monotonic()

        yield advance


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Tells on a terminal which step of a longer work is being done; nothing elsewhere."""
    if not err.is_terminal:
        yield lambda text: None
        return
    with err.status("") as status:
        yield lambda text: status.update(escape(text))


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


def show_zoo(rows: list[Model]) -> None:
    """The models of the zoo as a table."""
    columns = ("model", "flowvision", "match", "weights", "verdict")
    lines = [
        (row.name, row.twin or "-", row.match, f"{len(row.weights) or '-'}", row.verdict + (" *" if row.note else ""))
        for row in rows
    ]
    for number, line in enumerate(_aligned([columns, *lines], right=(3,))):
        out.print(escape(line), style="bold" if number == 0 else "")
    for note in dict.fromkeys(row.note for row in rows if row.note):
        out.print(f"* {shown(note, 400)}", style="dim")


def show_twin(twin: Twin, result: Result) -> None:
    """What was built around the weights, and what had to be mended."""
    err.print(f"model: flowvision's [bold]{shown(twin.twin)}[/]({shown(', '.join(twin.arguments), 400)}), {twin.match}")
    for repair in twin.repairs:
        err.print(f"mended: {shown(repair.why, 400)}")
    if result.written and result.out.name.isidentifier():
        err.print(f"use it: from {result.out.name} import load_model; model = load_model()")


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
