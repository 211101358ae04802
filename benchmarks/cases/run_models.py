"""A captured model as OneFlow source: how long writing it takes, and how fast it runs beside flowvision's own.

The twin is the same model written by hand for OneFlow. The model is captured once, by today's PyTorch.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab import GB, Lab, child
from measuring import Contender, compare
from report import Comparison, Target

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("resnet50", "mobilenet_v2")
NEEDS = 1 * GB


def run(lab: Lab) -> Iterator[Comparison]:
    """The writing of the source, then forward passes and training steps."""
    captured = lab.fresh("captured")
    python = ROOT / ".venv-torch" / "bin" / "python"
    command = [python, "-m", "scripts.models", "capture", *(f"torchvision/{name}" for name in MODELS), "-o", captured]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, command), "--dynamic", "--reference", "none"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise OSError(f"PyTorch could not capture the models: {done.stderr[-300:]}")
    yield _writing(lab, captured / "torchvision-resnet50-dynamic.pt2")
    for name in MODELS:
        yield _running(lab, captured, name)


def _writing(lab: Lab, model: Path) -> Comparison:
    tool = [ROOT / ".venv" / "bin" / "torch2flow", "convert", model, "-q"]
    figures = compare(
        lab,
        [
            Contender("torch2flow convert", lambda out: [*tool, "-o", out], (model,), output="model.py"),
            Contender(
                "the weights alone", lambda out: [*tool, "-o", out, "--weights-only"], (model,), output="weights"
            ),
        ],
    )
    whole, weights = figures
    beyond = Target("beyond the weights", whole.wall - weights.wall, 2, "s")
    return Comparison("The source of resnet50.pt2", figures, [beyond])


def _running(lab: Lab, captured: Path, name: str) -> Comparison:
    folder = lab.fresh(name)
    model = captured / f"torchvision-{name}-dynamic.pt2"
    tool = ROOT / ".venv" / "bin" / "torch2flow"
    subprocess.run([tool, "convert", model, "-o", folder, "-q"], check=True)
    figures = compare(
        lab,
        [
            Contender("converted", lambda out: [*child("run_model"), folder]),
            Contender("flowvision's", lambda out: [*child("run_model"), name]),
        ],
    )
    ours, own = figures
    return Comparison(
        f"{name} in OneFlow, 4 images of 128x128 (whole processes)",
        figures,
        [
            Target("forward, converted", ours.told("forward"), unit="s"),
            Target("times flowvision's forward", ours.told("forward") / own.told("forward"), 1.05),
            Target("training step, converted", ours.told("step"), unit="s"),
            Target("times flowvision's training step", ours.told("step") / own.told("step"), 1.05),
        ],
    )
