"""Real models of torchvision with random weights, and what they compute."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_once import CAPTURING, made_once

ROOT = Path(__file__).resolve().parent.parent.parent

TRAINED = "regnet_y_400mf"
"""The one model of which a step of training is recorded, and compared: it takes as long as all the rest."""

Recorded = Callable[[str], Path]


@pytest.fixture(scope="session")
def recorded(oneflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """`recorded("swin_t")` is a folder with the model's `weights.pth` and `recording.safetensors`, made once."""
    made: dict[str, Path] = {}

    def record(name: str) -> Path:
        if name not in made:
            label = name.replace("/", "-")
            depends = [*CAPTURING, ROOT / "scripts" / "zoo_models.py", ROOT / "scripts" / "models"]
            made[name] = made_once(f"zoo-{label}", depends, partial(_record, name), tmp_path_factory.mktemp(label))
        return made[name]

    return record


def _record(name: str, folder: Path) -> None:
    command = [ROOT / ".venv" / "bin" / "python", "-m", "scripts.zoo_models", name, folder]
    command += [] if name == TRAINED else ["--no-training"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Server(http.server.ThreadingHTTPServer):
    """Serves `data` under any name; `breaks` is after how many bytes each of the next answers ends too early."""

    data: bytes
    breaks: list[int]
    ranges: bool
    asked: list[str]

    def url(self, name: str = "file.pth") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        given = self.headers.get("Range", "")
        self.server.asked.append(given)
        if "missing" in self.path:
            self.send_error(404)
            return
        start = int(given[6:-1]) if given and self.server.ranges else 0
        if start >= len(self.server.data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        body = self.server.data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks.pop(0)] if self.server.breaks else body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.data, running.breaks, running.ranges, running.asked = b"", [], True, []
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()
