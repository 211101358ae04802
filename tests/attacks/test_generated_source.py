"""Names out of a hostile `.pt2` must not become code in the source that is written from it."""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torch2flow.conversion import convert
from torch2flow.errors import Torch2FlowError

FIXTURE = Path(__file__).resolve().parent.parent / "fixtures" / "torch-2.13.0" / "net.pt2"

PAYLOADS = [
    'x"""\nimport os\nos.system("touch pwned")\n"""',
    "x; import os; os.system('touch pwned')",
    "x)\nimport os\nos.system('touch pwned')\n(",
    "__import__('os').system('touch pwned')",
    "x'] + [__import__('os').system('touch pwned')] + ['",
    "{__import__('os').system('touch pwned')}",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a document has strings, keys of objects included."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, ("key", key))
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))
    elif isinstance(value, str):
        yield path


def poisoned(document: Any, path: tuple[Any, ...], payload: str, *, everywhere: bool) -> Any:
    """The document with one string replaced, or every string that is equal to it."""
    where = path[:-1]
    owner = document
    for step in where:
        owner = owner[step]
    last = path[-1]
    old = last[1] if isinstance(last, tuple) else owner[last]
    if everywhere:
        return json.loads(json.dumps(document).replace(json.dumps(old), json.dumps(payload)))
    copy = json.loads(json.dumps(document))
    owner = copy
    for step in where:
        owner = owner[step]
    if isinstance(last, tuple):
        owner[payload] = owner.pop(old)
    else:
        owner[last] = payload
    return copy


@pytest.mark.parametrize("everywhere", [False, True], ids=["one", "all"])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_string_of_a_program_becomes_code(payload: str, everywhere: bool, tmp_path: Path) -> None:
    """Every string of a program in turn: it is refused, or is a name or a literal in the source."""
    with zipfile.ZipFile(FIXTURE) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    (program,) = (name for name in records if name.endswith("models/model.json"))
    document = json.loads(records[program])
    found = list(places(document))
    for number, path in enumerate(found[::13]):
        hostile = tmp_path / f"{number}.pt2"
        with zipfile.ZipFile(hostile, "w") as archive:
            for name, data in records.items():
                text = json.dumps(poisoned(document, path, payload, everywhere=everywhere)).encode()
                archive.writestr(name, text if name == program else data)
        try:
            source = convert(hostile, tmp_path / "out", dry_run=True, partial=True).model_source
        except Torch2FlowError:
            continue
        finally:
            hostile.unlink()
        assert source is not None
        tree = ast.parse(source.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = {node.module} if isinstance(node, ast.ImportFrom) else {each.name for each in node.names}
                assert all(
                    (module or "").split(".")[0] in {"oneflow", "math", "pathlib", "typing", "collections"}
                    for module in modules
                ), path
            assert not (isinstance(node, ast.Name) and node.id in {"__import__", "os", "exec", "eval"}), (
                path,
                source.text,
            )
