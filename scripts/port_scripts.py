#!/usr/bin/env python3
"""Ports the training scripts of tests/port/scripts, and compares their losses with today's PyTorch, step by step.

make port-scripts                       # all: minutes
make port-scripts ARGS='dcgan unet'
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "tests" / "port" / "scripts"
ONEFLOW, TORCH = ROOT / ".venv/bin/torch2flow", ROOT / ".venv-torch/bin/python"

RUNS = [
    ("mnist_cnn.py", "mnist_cnn.py", 1),
    ("vae.py", "vae.py", 1),
    ("dcgan.py", "dcgan.py", 1),
    ("word_language_model", "main.py", 1),
    ("word_language_model", "main.py --model GRU --tied", 1),
    ("word_language_model", "main.py --model Transformer --lr 0.5", 1),
    ("super_resolution.py", "super_resolution.py", 1),
    ("unet.py", "unet.py", 1),
    ("amp_accumulation.py", "amp_accumulation.py", 1),
    ("resume.py", "resume.py", 1),
    ("ddp.py", "ddp.py", 2),
]
"""The source in the folder of scripts, what is run of it, and in how many processes."""


def main() -> None:
    chosen = [row for row in RUNS if not sys.argv[1:] or any(name in " ".join(row[:2]) for name in sys.argv[1:])]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (source, command, ranks) in enumerate(chosen):
            words = [ONEFLOW, "port", SCRIPTS / source, "-o", f"{folder}/{number}/{source}", "--json"]
            words += ["--verify-script", command, "--python", TORCH, "--ranks", str(ranks)]
            Path(folder, str(number)).mkdir()
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            failed += done.returncode != 0
            said = json.loads(done.stdout)["script"]["sentence"] if done.stdout else done.stderr
            print(f"{command:40} {said}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
