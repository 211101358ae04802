"""What `torch2flow operators` lists: every rule, rename and refusal, as rows; and the loading of a user's rules."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch2flow.models.lowering.operators  # noqa: F401  registers the rules
from torch2flow.errors import UsageError
from torch2flow.models.lowering.registry import RULES
from torch2flow.models.lowering.renames import FLOAT_RENAMES, RENAMES
from torch2flow.models.lowering.unsupported import UNSUPPORTED


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One operator.

    Attributes:
        operator: `aten.add`, or with an overload.
        rule: the OneFlow function it is renamed to, or the rule's own name; "" where there is none.
        place: where the rule is written.
        note: what it does or can't do.
    """

    operator: str
    rule: str
    place: str
    note: str = ""

    def to_json(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.__slots__}


def operator_rows(pattern: str = "") -> list[RuleRow]:
    """The operators whose name holds `pattern`, by name."""
    rows = {name: RuleRow(name, function, "renames.py") for name, function in {**RENAMES, **FLOAT_RENAMES}.items()}
    for name, rule in RULES.items():
        rows[name] = RuleRow(name, rule.function.__name__, rule.place, rule.restriction or rule.summary)
    for name, reason in UNSUPPORTED.items():
        rows.setdefault(name, RuleRow(name, "", "", reason))
    return [rows[name] for name in sorted(rows) if pattern in name]


def load_rules(path: Path) -> None:
    """Runs a file of a user's own rules: it registers them with `@torch2flow.operator`.

    Raises:
        UsageError: the file is missing, or fails.
    """
    spec = importlib.util.spec_from_file_location(f"torch2flow_rules_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError("The file of rules is not there, or is no Python file.", where=str(path))
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"The file of rules fails: {type(error).__name__}: {str(error)[:300]}.",
            where=str(path),
            remedy="run it with python to see where; `from torch2flow.models.lowering.lazy import F, flow` needs"
            " no OneFlow",
        ) from error
