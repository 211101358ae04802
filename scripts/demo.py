"""`make demo`: the two examples of OneFlow's guide, written by real PyTorch, converted, run by real OneFlow.

In demo-out/ each example gets a folder with the scripts that were run: `save.py` (PyTorch), `load.py` and
`direct.py` (OneFlow). What is printed is what ran, so it can be repeated and changed by hand.

The demo fails unless every weight is bit for bit the same and no output is further from PyTorch's than
`NOISE_FACTOR` times the noise of float32: how far PyTorch's float32 is from PyTorch's own float64.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import runpy
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
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from torch2flow.errors import InstallationError
from torch2flow.oneflow.runtime import import_flowvision, import_oneflow

ROOT = Path(__file__).resolve().parent.parent
BATCH = 8
NOISE_FACTOR = 3.0
SEED = 20230101

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Example:
    """One model on both sides: the scripts are shown, written to the folder, and run."""

    title: str
    folder: str
    sample: tuple[int, ...]
    save: str
    load: str
    direct: str


LINEAR = Example(
    "A linear layer and a softmax, saved as a whole module",
    "1-linear",
    (128,),
    save="""\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(128, 2), nn.Softmax(dim=1))
torch.save(model, "model.pth")
""",
    load="""\
from torch2flow.oneflow.runtime import import_oneflow

flow = import_oneflow()  # 'import oneflow as flow', without its two lines of noise
model = flow.nn.Sequential(flow.nn.Linear(128, 2), flow.nn.Softmax(dim=1))
print(model.load_state_dict(flow.load("out"), strict=True))
""",
    direct="""\
import torch2flow
from torch2flow.oneflow.runtime import import_oneflow

flow = import_oneflow()
model = flow.nn.Sequential(flow.nn.Linear(128, 2), flow.nn.Softmax(dim=1))
print(torch2flow.load_state_dict(model, "model.pth"))
""",
)

ALEXNET = Example(
    "torchvision's AlexNet, saved as a state dict, into flowvision's AlexNet",
    "2-alexnet",
    (3, 224, 224),
    save="""\
import torch
import torchvision

model = torchvision.models.alexnet()
torch.save(model.state_dict(), "model.pth")
""",
    load="""\
from torch2flow.oneflow.runtime import import_flowvision, import_oneflow

flow, flowvision = import_oneflow(), import_flowvision()
model = flowvision.models.alexnet()
print(model.load_state_dict(flow.load("out"), strict=True))
""",
    direct="""\
import torch2flow
from torch2flow.oneflow.runtime import import_flowvision

model = import_flowvision().models.alexnet()
print(torch2flow.load_state_dict(model, "model.pth"))
""",
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """How a OneFlow model compares with PyTorch's.

    Attributes:
        way: how the weights came over.
        identical: how many tensors of the state dict are bit for bit the same.
        tensors: how many there are.
        difference: the largest distance of any output from PyTorch's float32.
        noise: the largest distance of PyTorch's float32 from its float64, on the same input.
    """

    way: str
    identical: int
    tensors: int
    difference: float
    noise: float

    @property
    def passed(self) -> bool:
        """Every bit is the same, and outputs are as near as float32 allows (NaN is not)."""
        return self.identical == self.tensors > 0 and self.difference <= NOISE_FACTOR * self.noise


def main() -> int:
    """Runs both examples; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description="Convert two models that PyTorch wrote; run them in OneFlow.")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-out", help="folder to work in")
    out = parser.parse_args().out.resolve()
    started = time.perf_counter()
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
    show_results(results)
    show_commands(out)
    passed = all(row.passed for rows in results.values() for row in rows)
    verdict = "[bold green]equal[/]" if passed else "[bold red]NOT EQUAL[/]"
    console.print(f"\n{verdict}, in {time.perf_counter() - started:.0f} seconds")
    return 0 if passed else 1


def run(example: Example, out: Path, torch: Any, flow: Any) -> list[Measurement]:
    """Writes, converts, loads and compares one model."""
    console.print()
    console.rule(f"[bold]{example.title}[/]", align="left", style="dim")
    folder = out / example.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("save", "load", "direct"):
        (folder / f"{name}.py").write_text(getattr(example, name), "utf-8")
    torch.manual_seed(SEED)
    numbers = torch.randn(BATCH, *example.sample)
    with working_in(folder):
        say("PyTorch writes", "save.py")
        source = run_script("save.py").eval()
        say("torch2flow converts, with neither of them")
        torch2flow("convert", "model.pth", "-o", "out")
        torch2flow("check", "out", "--against", "model.pth")
        say("OneFlow loads the folder", "load.py")
        loaded = run_script("load.py").eval()
        say("or loads PyTorch's file, without a folder in between", "direct.py")
        direct = run_script("direct.py").eval()
    with torch.no_grad(), flow.no_grad():
        expected = source(numbers).numpy()
        weights = {name: tensor.numpy() for name, tensor in source.state_dict().items()}
        outputs = {
            "flow.load": (loaded, loaded(flow.tensor(numbers.numpy())).numpy()),
            "load_state_dict": (direct, direct(flow.tensor(numbers.numpy())).numpy()),
        }
        noise = largest(source.double()(numbers.double()).numpy() - expected)
    return [
        Measurement(way, identical(model, weights), len(weights), largest(output - expected), noise)
        for way, (model, output) in outputs.items()
    ]


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Makes `folder` the working directory: the scripts name their files as a user would."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def say(what: str, script: str = "") -> None:
    """Prints a step, and the script that it consists of."""
    console.print(f"\n{what}{f'  [dim]{script}[/]' if script else ''}")
    if script:
        text = Path(script).read_text("utf-8").strip()
        code = Syntax(text, "python", theme="ansi_dark", background_color="default").highlight(text)
        for line in code.split():
            console.print("  ", line, sep="", end="\n")


def run_script(name: str) -> Any:
    """Runs a script of the folder, shows what it printed, and returns its `model`."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        model = runpy.run_path(name)["model"]
    show_output(printed.getvalue())
    return model


def torch2flow(*arguments: str) -> None:
    """Runs the command line in a process of its own and shows what it said.

    Raises:
        SystemExit: it failed; with its exit code.
    """
    console.print(f"  [bold]$ torch2flow {' '.join(arguments)}[/]")
    done = subprocess.run([sys.executable, "-m", "torch2flow", *arguments], capture_output=True, text=True, check=False)
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


def largest(difference: Any) -> float:
    """The largest absolute value; NaN if there is one."""
    return float(np.abs(difference).max())


def show_results(results: dict[str, list[Measurement]]) -> None:
    """The table of what was measured."""
    console.print()
    console.rule("[bold]Measured[/]", align="left", style="dim")
    console.print(
        f"For {BATCH} random inputs: how far any output of OneFlow is from PyTorch's, at most. The noise is\n"
        f"how far PyTorch in float32 is from PyTorch in float64; {NOISE_FACTOR:g} times that is allowed.\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("", "weights by", "same bits"):
        table.add_column(title, no_wrap=True)
    for title in ("outputs apart", "float32 noise", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("")
    for folder, rows in results.items():
        name = folder
        for row in rows:
            table.add_row(
                name,
                row.way,
                f"{row.identical} of {row.tensors}",
                f"{row.difference:.1e}",
                f"{row.noise:.1e}",
                f"{row.difference / row.noise:.2f}" if row.noise else "-",
                "[green]ok[/]" if row.passed else "[red]not equal[/]",
            )
            name = ""  # said once
    console.print(table)


def show_commands(out: Path) -> None:
    """How to do it again without this script."""
    console.print()
    console.rule("[bold]By hand[/]", align="left", style="dim")
    here = Path(os.path.relpath(out))
    python = Path(os.path.relpath(sys.executable)).parent
    console.print(f"$ export PATH={python.absolute() if python.is_absolute() else f'$PWD/{python}'}:$PATH")
    console.print(f"$ cd {here / ALEXNET.folder}            [dim]# or {LINEAR.folder}[/]")
    console.print("$ python save.py && torch2flow inspect model.pth")
    console.print("$ torch2flow convert model.pth -o out --overwrite && torch2flow check out --against model.pth")
    console.print("$ python load.py && python direct.py")


if __name__ == "__main__":
    sys.exit(main())
