"""The pages show what port really writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/port.md"])
def test_the_example_is_what_is_written(page: str, ported) -> None:
    shown = re.findall(r"^```diff\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.M | re.S)[-1].splitlines()
    before = [line[1:] for line in shown if line[:1] in (" ", "-", "")]
    after = [line[1:] for line in shown if line[:1] in (" ", "+", "")]
    assert ported("\n".join(before) + "\n") == "\n".join(after) + "\n"
