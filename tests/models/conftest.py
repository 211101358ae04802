"""Real models, captured once a session by today's PyTorch in `.venv-torch`, for OneFlow to run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from made_once import CAPTURING, made_once
from sampling import sample

ROOT = Path(__file__).resolve().parent.parent.parent

MODELS = {
    "torchvision": ["alexnet", "resnet18", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5", "swin_t",
                    "regnet_x_400mf", "vit_b_32", "r3d_18"],
    "timm": ["levit", "ghostnet", "mobilevit", "edgenext", "convnext"],
    "transformers": ["gpt2", "bert", "t5", "llama", "vit", "mixtral", "clip"],
}  # fmt: skip
"""A sample of the coverage that is quick enough for every run of the tests."""

LARGE = {"torchvision/alexnet", "torchvision/regnet_x_400mf", "torchvision/shufflenet_v2_x0_5", "torchvision/r3d_18",
         "timm/ghostnet", "timm/mobilevit", "timm/edgenext"}  # fmt: skip
"""Those that take longest, and have no mechanism that the others lack."""

EVERY = {f"{library}/{name}" for library, names in MODELS.items() for name in names}
NAMES = sample(sorted(EVERY), EVERY - LARGE)
TRAINED = [name for name in NAMES if name.startswith("transformers/")] + [
    f"torchvision/{name}" for name in ("resnet18", "mobilenet_v3_small", "squeezenet1_1")
]


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every model's `.pt2` and recording."""
    depends = [*CAPTURING, ROOT / "scripts" / "models", Path(__file__)]
    return made_once("models", depends, capture, tmp_path_factory.mktemp("captured"))


def capture(folder: Path) -> None:
    """Captures all models, in two processes."""
    python = ROOT / ".venv-torch" / "bin" / "python"
    if not python.exists():
        pytest.fail(".venv-torch is not there: run make setup", pytrace=False)
    running = []
    for names, options in (
        (TRAINED, ["--gradients"]),
        ([name for name in NAMES if name not in TRAINED], []),
    ):
        command = [str(python), "-m", "scripts.models", "capture", *names, "-o", str(folder), "--dynamic"]
        running.append(
            subprocess.Popen(
                [*command, *options],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    for each in running:
        output, _ = each.communicate()
        assert each.returncode == 0, output
