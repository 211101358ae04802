"""The rows of `zoo list`: every model, its twin, how a checkpoint gets in, and what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch2flow.zoo.catalogue import twins
from torch2flow.zoo.families.without_twin import ALONE
from torch2flow.zoo.measured import GENERATED, TODAY, read_results

WEIGHTS = Path(__file__).parent / "weights.json"
"""The names and files of torchvision's weights, as `make zoo` found them in both releases."""


@dataclass(frozen=True, slots=True)
class ZooModel:
    """A model of the zoo.

    Attributes:
        name: of the PyTorch model.
        twin: flowvision's; "" where there is none.
        match: `keys equal`, `by rule`, or `no twin: generated`.
        weights: names of torchvision's weights.
        verdict: of the comparison; of the generated model where there is no twin.
        today: the same with today's PyTorch library.
        trained: whether a step of training was compared too.
        note: why it has no twin, or is compared in parts.
    """

    name: str
    twin: str
    match: str
    weights: list[str]
    verdict: str
    today: str
    trained: bool
    note: str

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def rows(pattern: str = "", match: str = "") -> list[ZooModel]:
    """The rows whose name or twin holds a text, and that match in this way."""
    return [
        row
        for row in sorted(_rows(), key=lambda row: (row.name.startswith("timm/"), row.name))
        if pattern.lower() in f"{row.name} {row.twin}".lower() and row.match.startswith(match)
    ]


def _rows() -> Iterator[ZooModel]:
    measured, weights = read_results(), known_weights()
    for name, twin in twins().items():
        found = measured.get(name, {})
        if not twin.differs:
            today = measured.get(name + TODAY, {})
            note = f"compared layer by layer: {twin.stages}" if twin.stages else ""
            yield ZooModel(
                name, twin.twin, twin.match, list(weights.get(name, {})), _verdict(found), _verdict(today),
                "gradients" in found, note,
            )  # fmt: skip
        else:
            yield _generated(name, twin.differs, measured)
    for name, reason in ALONE.items():
        yield _generated(name, reason, measured)


def _generated(name: str, reason: str, measured: dict[str, dict[str, Any]]) -> ZooModel:
    found = measured.get(GENERATED + name, {})
    weights = list(known_weights().get(name, {}))
    return ZooModel(
        name, "", "no twin: generated", weights, _verdict(found), "", "gradients" in found, found.get("note") or reason
    )


def _verdict(row: dict[str, Any]) -> str:
    return "not measured" if not row else "fails" if "failure" in row else str(row["verdict"])


@cache
def known_weights() -> dict[str, dict[str, str]]:
    """For each model of torchvision's, the names of its weights and of their files."""
    return dict(json.loads(WEIGHTS.read_text("utf-8"))) if WEIGHTS.exists() else {}
