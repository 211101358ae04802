"""`make demo`: models written by real PyTorch, converted, run by real OneFlow, and compared.

The first two are the examples of OneFlow's guide: their weights are converted. The others are captured by today's
PyTorch: their source is converted too. In demo-out/ each gets a folder with the scripts that were run; what is
printed is what ran, so it can be repeated and changed by hand.

The demo fails unless every weight is bit for bit the same and no result is further from PyTorch's float64 than
`NOISE_FACTOR` times the noise of float32: how far PyTorch's own float32 is from it. Where rounding decides on which
side of zero a ReLU is, the whole gradient jumps; then both sides are compared in float64, where none is that close.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import math
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from demo_examples import ALEXNET, GPT2, LINEAR, RESNET18, CapturedExample, Example
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.errors import InstallationError
from torch2flow.proof.parity import LIMIT, Measure, Reference, Request, measure, together, verify_folder
from torch2flow.runtime import import_flowvision, import_oneflow

ROOT = Path(__file__).resolve().parent.parent
TORCH = ROOT / ".venv-torch" / "bin" / "python"
BATCH = 8
NOISE_FACTOR = LIMIT
SEED = 20230101
LOADING = ("flow.load", "load_state_dict", "load_model")
"""Ways for weights to come over; the other rows of the table are of the same weights."""

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Measurement:
    """How a OneFlow model compares with PyTorch's.

    Attributes:
        way: how the weights came over, or what was compared.
        identical: how many tensors of the state dict are bit for bit the same.
        tensors: how many there are.
        error: the distance from PyTorch's float64 result, in parts of that result's length: all its numbers are
            one vector.
        noise: the same of PyTorch's own float32 result.
    """

    way: str
    identical: int
    tensors: int
    error: float
    noise: float

    @property
    def passed(self) -> bool:
        """Every bit is the same, and results are as near as float32 allows (NaN is not)."""
        return self.identical == self.tensors > 0 and self.error <= NOISE_FACTOR * self.noise

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row of the table."""
        ratio = self.error / self.noise if self.noise else math.nan
        return (
            self.way,
            f"{self.identical} of {self.tensors}" if self.way in LOADING else "",
            f"{self.error:.1e}",
            f"{self.noise:.1e}",
            f"{ratio:.2f}",
            "[green]ok[/]" if self.passed else "[red]not equal[/]",
        )


def main() -> int:
    """Runs all examples; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description="Convert models that PyTorch wrote; run them in OneFlow.")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-out", help="folder to work in")
    out = parser.parse_args().out.resolve()
    started = time.perf_counter()
    if not TORCH.exists():
        console.print(f"[red]{TORCH.parent.parent.name}, which holds today's PyTorch, is not there: run make setup[/]")
        return InstallationError.exit_code
    try:
        with console.status("importing PyTorch and OneFlow"):
            flow = import_oneflow()
            import_flowvision()
            import torch
    except InstallationError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return error.exit_code
    console.print(f"[bold]torch2flow[/]: from PyTorch {torch.__version__} to OneFlow {flow.__version__}")
    # torchvision and OneFlow warn of things that neither concern the demo nor can be mended here.
    warnings.simplefilter("ignore")
    results = {example.folder: run(example, out, torch, flow) for example in (LINEAR, ALEXNET)}
    results |= {example.folder: run_captured(example, out) for example in (RESNET18, GPT2)}
    show_results(results)
    show_commands(out)
    passed = all(row.passed for rows in results.values() for row in rows)
    verdict = "[bold green]equal[/]" if passed else "[bold red]NOT EQUAL[/]"
    console.print(f"\n{verdict}, in {time.perf_counter() - started:.0f} seconds")
    return 0 if passed else 1


def run(example: Example, out: Path, torch: Any, flow: Any) -> list[Measurement]:
    """Writes, converts, loads and compares one model."""
    folder = begin(example, out, ("save", "load", "direct"))
    torch.manual_seed(SEED)
    numbers = torch.randn(BATCH, *example.sample)
    with working_in(folder):
        say("PyTorch writes", "save.py")
        source = run_script("save.py")["model"].eval()
        say("torch2flow converts, with neither of them")
        torch2flow("convert", "model.pth", "-o", "out")
        torch2flow("check", "out", "--against", "model.pth")
        say("OneFlow loads the folder", "load.py")
        loaded = run_script("load.py")["model"].eval()
        say("or loads PyTorch's file, without a folder in between", "direct.py")
        direct = run_script("direct.py")["model"].eval()
    with torch.no_grad(), flow.no_grad():
        expected = source(numbers).numpy()
        weights = {name: tensor.numpy() for name, tensor in source.state_dict().items()}
        outputs = {
            "flow.load": (loaded, loaded(flow.tensor(numbers.numpy())).numpy()),
            "load_state_dict": (direct, direct(flow.tensor(numbers.numpy())).numpy()),
        }
        exact = source.double()(numbers.double()).numpy()
    return [
        measurement(way, (identical(model, weights), len(weights)), measure(output, exact, expected), norm(exact))
        for way, (model, output) in outputs.items()
    ]


def run_captured(example: CapturedExample, out: Path) -> list[Measurement]:
    """Captures, converts, trains and compares one model, source and all."""
    folder = begin(example, out, ("net", "load"))
    name = example.name
    with working_in(folder):
        say("Today's PyTorch captures it, in an environment of its own", "net.py")
        inputs = [word for text in example.inputs for word in ("--input", text)]
        torch2flow("capture", f"net.py:{name}", "-o", f"{name}.pt2", *inputs, "--gradients", python=TORCH)
        say("torch2flow converts, with neither of them")
        torch2flow("convert", f"{name}.pt2", "-o", name)
        source = Path(name, "model.py").read_text("utf-8")
        say(f"Of the {len(source.splitlines())} lines it wrote  [dim]{name}/model.py[/]")
        show_code(class_source(source, example.shown))
        say("OneFlow loads and trains it", "load.py")
        load_model = run_script("load.py")["load_model"]
        say("and computes what PyTorch computed")
        torch2flow("verify", name, "--report", "report.html", "--overwrite")
        recording = Reference(f"{name}.reference.safetensors")
        checkpoint = open_checkpoint(f"{name}.pt2")
        weights = {key: checkpoint[key].numpy() for key in json.loads(recording.metadata["state_dict"])}
        same = (identical(load_model(), weights), len(weights))
        found = verify_folder(name, request=Request(layers=False, training=False))
    parts = (("load_model", "output.", "outputs"), ("other sizes", "second.output.", "second"))
    return [
        measurement(way, same, together(found.ledger.measures(part)), recorded_norm(recording, prefix))
        for way, prefix, part in parts
    ]


def begin(example: Example | CapturedExample, out: Path, scripts: tuple[str, ...]) -> Path:
    """Prints the title and makes the folder with its scripts."""
    console.print()
    console.rule(f"[bold]{example.title}[/]", align="left", style="dim")
    folder = out / example.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in scripts:
        (folder / f"{name}.py").write_text(getattr(example, name), "utf-8")
    return folder


def measurement(way: str, same: tuple[int, int], found: Measure, length: float) -> Measurement:
    """A row of the table; a fault, such as another shape, is no matter of noise."""
    if found.fault:
        return Measurement(way, *same, math.inf, 0.0)
    error, noise = (math.sqrt(squares) / length for squares in found.squares)
    return Measurement(way, *same, error, noise)


def recorded_norm(recording: Reference, prefix: str) -> float:
    """The length of the float64 results under a prefix."""
    return norm(*(exact for _, _, exact in recording.pairs(prefix)))


def norm(*arrays: np.ndarray[Any, Any]) -> float:
    """The length of all numbers as one vector."""
    return math.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays))


def class_source(source: str, name: str) -> str:
    """The text of one class."""
    node = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name)
    return ast.get_source_segment(source, node) or ""


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Makes `folder` the working directory, and a place to import from, as `python load.py` does."""
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)


def say(what: str, script: str = "") -> None:
    """Prints a step, and the script that it consists of."""
    console.print(f"\n{what}{f'  [dim]{script}[/]' if script else ''}")
    if script:
        show_code(Path(script).read_text("utf-8").strip())


def show_code(text: str) -> None:
    """Prints Python in colours."""
    code = Syntax(text, "python", theme="ansi_dark", background_color="default").highlight(text)
    for line in code.split():
        console.print("  ", line, sep="", end="\n")


def run_script(name: str) -> dict[str, Any]:
    """Runs a script of the folder, shows what it printed, and returns its variables."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        variables = runpy.run_path(name)
    show_output(printed.getvalue())
    return variables


def torch2flow(*arguments: str, python: str | Path = sys.executable) -> None:
    """Runs the command line in a process of its own and shows what it said.

    Raises:
        SystemExit: it failed; with its exit code.
    """
    console.print(f"  [bold]$ torch2flow {escape(shlex.join(arguments))}[/]")
    done = subprocess.run([python, "-I", "-m", "torch2flow", *arguments], capture_output=True, text=True, check=False)
    show_output(done.stdout + done.stderr)
    if done.returncode:
        sys.exit(done.returncode)


def show_output(text: str) -> None:
    """What a program printed, set apart from what it was told."""
    for line in text.splitlines():
        console.print(f"  [green]{escape(line)}[/]")


def identical(model: Any, weights: dict[str, Any]) -> int:
    """How many tensors of a OneFlow model have PyTorch's name, dtype, shape and bytes."""
    state = model.state_dict()
    if list(state) != list(weights):
        return 0
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    return sum(
        (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        and arrays[name].tobytes() == array.tobytes()
        for name, array in weights.items()
    )


def show_results(results: dict[str, list[Measurement]]) -> None:
    """The table of what was measured."""
    console.print()
    console.rule("[bold]Measured[/]", align="left", style="dim")
    console.print(
        "Error: how far OneFlow's result is from PyTorch's float64, in parts of its length.\n"
        f"Noise: how far PyTorch's own float32 is from it; {NOISE_FACTOR:g} times that is allowed.\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("", "", "same bits"):
        table.add_column(title, no_wrap=True)
    for title in ("error", "noise", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for folder, rows in results.items():
        for number, row in enumerate(rows):
            table.add_row("" if number else folder, *row.cells)
    console.print(table)


def show_commands(out: Path) -> None:
    """How to do it again without this script."""
    console.print()
    console.rule("[bold]By hand[/]", align="left", style="dim")
    here = Path(os.path.relpath(out))
    python = Path(os.path.relpath(sys.executable)).parent
    console.print(f"$ export PATH={python.absolute() if python.is_absolute() else f'$PWD/{python}'}:$PATH")
    console.print(f"{f'$ cd {here / ALEXNET.folder}':<35} [dim]# or {LINEAR.folder}[/]")
    console.print("$ python save.py && torch2flow inspect model.pth")
    console.print("$ torch2flow convert model.pth -o out --overwrite && torch2flow check out --against model.pth")
    console.print("$ python load.py && python direct.py")
    console.print(f"{f'$ cd ../{RESNET18.folder}':<35} [dim]# or {GPT2.folder}[/]")
    console.print(f"$ torch2flow convert {RESNET18.name}.pt2 -o {RESNET18.name} --overwrite")
    console.print(f"$ python load.py && torch2flow verify {RESNET18.name}")


if __name__ == "__main__":
    sys.exit(main())
