"""The losses of a script on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from torch2flow.cli.display.console import out, shown

if TYPE_CHECKING:
    from torch2flow.proof.scripts.step_comparison import LossStep, ScriptComparison

SHOWN = 5
"""How many steps are shown at the beginning, around the first difference, and at the end; `--json` has all."""

COLOURS = {"within noise": "green", "undecided": "yellow", "different": "red"}


def show_script(found: ScriptComparison, *, brief: bool = False) -> None:
    """The table of steps, what could not be made equal, and the verdict."""
    table = Table(box=None)
    for head in ("step", "PyTorch", "OneFlow", "difference", "allowed", ""):
        table.add_column(head, justify="left" if not head else "right")
    last = -1
    for place in _chosen(found.steps):
        if place != last + 1:
            table.add_row("...")
        last, step = place, found.steps[place]
        off = "" if step.torch is None or step.flow is None else f"{abs(step.torch - step.flow):.2g}"
        verdict = f"[{COLOURS[step.verdict]}]{step.verdict}[/]"
        table.add_row(str(step.number), _loss(step.torch), _loss(step.flow), off, f"{step.allowed:.2g}", verdict)
    if not brief:
        out.print(table)
    for note in found.notes:
        out.print(shown(note, 400), style="dim")
    for line in found.failure.splitlines():
        out.print(shown(line, 1000))
    out.print(shown(found.sentence, 1000), style="bold green" if found.is_same else "bold red")


def _loss(value: float | None) -> str:
    return "none" if value is None else f"{value:.7g}"


def _chosen(steps: list[LossStep]) -> list[int]:
    first = next((place for place, step in enumerate(steps) if step.verdict == "different"), 0)
    near = range(max(0, first - SHOWN), min(len(steps), first + SHOWN))
    return sorted({*range(min(SHOWN, len(steps))), *near, *range(max(0, len(steps) - SHOWN), len(steps))})
