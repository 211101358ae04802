"""Where the module of a factory is, in the original and in what was ported.

It is part of what was ported, or a file of its own that builds models with it: that is then ported for the occasion.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch2flow.errors import UsageError
from torch2flow.port.porting import Port
from torch2flow.port.tree import SourceTree, read_tree
from torch2flow.proof.capture.factories import GRAMMAR, parse_factory
from torch2flow.proof.parity.ported_models import PortedFactory


@contextlib.contextmanager
def located(tree: SourceTree, out: Path, text: str, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, PortedFactory]]:
    """The factory of the original, and what builds the ported model; a context that keeps what both need.

    Args:
        tree: what was ported.
        out: where it is.
        text: the factory: its module is named as the code itself imports it, or as a file.
        kwargs: arguments for the factory, by keyword.

    Raises:
        UsageError: it is no factory, or its module is nowhere.
    """
    name, _, _, _ = parse_factory(text)
    rest = text.strip()[len(name) :]
    home, there = tree.root.resolve(), out.resolve()
    modules = {tree.module(path): tree.file(path).resolve() for path in tree.files if _is_module(tree.file(path))}
    whole = tree.name or (home.stem if tree.files == [""] else "")
    original_path = [str(home.parent if whole else home)]
    path = [str(there.parent if whole else there)]
    if tree.name:  # a folder that is a package, and whose scripts find what lies beside them all the same
        original_path, path = [*original_path, str(home)], [*path, str(there)]
    file = Path(name).resolve() if name.endswith(".py") else None
    module = next((each for each, of in modules.items() if of == file), "") if file is not None else name
    if module in modules:
        if not whole:  # a file that nothing of the tree imports has what belongs to it beside it
            inside = modules[module].parent.relative_to(home)
            original_path, path = [*original_path, str(home / inside)], [*path, str(there / inside)]
        factory = f"{module}{rest}"
        yield factory, PortedFactory(factory, path, original_path, kwargs, {whole: str(there)} if whole else {})
        return
    if file is None or not file.is_file():
        near = ", ".join(sorted(modules)[:5])
        raise UsageError(
            f"There is no module {name!r} in {tree.root}, and no file of this name.",
            where=repr(text),
            maybe=f"there are {near}{' and others' if len(modules) > 5 else ''}",
            remedy=f"name it as the code imports it; {GRAMMAR}",
        )
    with tempfile.TemporaryDirectory(prefix="torch2flow-") as folder:
        original, written = Path(folder, "original", file.stem), Path(folder, "ported", file.stem)
        original.mkdir(parents=True)
        written.parent.mkdir()
        shutil.copyfile(file, original / "__init__.py")
        Port(read_tree(original)).write(written, False)
        factory, ported = f"{file.stem}{rest}", {file.stem: str(written), **({whole: str(there)} if whole else {})}
        yield factory, PortedFactory(factory, path, [*original_path, str(original.parent)], kwargs, ported)


def _is_module(file: Path) -> bool:
    return file.suffix in (".py", ".pyw")
