"""Notebooks: each cell of code is ported by itself, with the names that the cells before it bind."""

from __future__ import annotations

import re
import secrets
from typing import Any

from torch2flow.errors import FormatError
from torch2flow.guards.json_text import parse_object, to_json_text
from torch2flow.port.findings import PortFinding, Tally
from torch2flow.port.project import Project, SourceModule
from torch2flow.port.rebinding import FOR_EVER, spans_bound_anew
from torch2flow.port.rewriting import Rewriter
from torch2flow.port.scopes import Scope
from torch2flow.port.source import followed, parse_source

_MAGIC = re.compile(r"^([ \t\f]*)([%!?].*)$", re.MULTILINE)


def port_notebook(data: bytes, name: str, project: Project) -> tuple[bytes, Tally]:
    """The notebook with its code ported.

    Raises:
        FormatError: it is no notebook.
    """
    notebook = parse_object(data, name)
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise FormatError("It is no notebook of version 4: it has no cells.")
    whole, module = Tally(), SourceModule("")
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    with followed():
        changed = [_port_cell(cell, name, module, project, whole) for cell in code]
    if not any(changed):
        return data, whole
    begins = re.match(rb"[^{]{0,64}\{\r?\n?( {0,16})", data)
    text = to_json_text(notebook, indent=(len(begins[1]) if begins else 0) or None)
    return (text + "\n" * data.endswith(b"\n")).encode("utf-8", "surrogatepass"), whole


def _port_cell(cell: dict[str, Any], name: str, module: SourceModule, project: Project, whole: Tally) -> bool:
    given = cell.get("source", "")
    text = "".join(map(str, given)) if isinstance(given, list) else str(given)
    for line in text.splitlines():
        if line.lstrip().startswith(("%", "!")) and "torch" in line:
            reason = f"A line that is no Python names PyTorch: {line.strip()[:80]}"
            whole.findings.append(PortFinding(name, 0, "look", "torch", reason, "change it by hand"))
    if text.lstrip().startswith("%%"):
        return False
    kept = f"pass  #{secrets.token_hex(8)} "  # nobody's comment begins so, and comes back as code
    try:
        source = parse_source(_MAGIC.sub(lambda match: f"{match[1]}{kept}{match[2]}", text))
    except FormatError as error:
        whole.findings.append(PortFinding(name, 0, "error", "", f"A cell is no Python. {error.what}", "it is kept"))
        return False
    here = SourceModule("")
    scratch = Project(dict(project.modules))
    scratch.add(here, source)
    merged: Scope = module.scope
    imported_before = set(merged.imports)
    for bound, imports in here.scope.imports.items():
        merged.imports[bound] = imports
        merged.others.discard(bound)
    merged.others |= here.scope.others
    merged.stars += here.scope.stars
    rewriter = Rewriter(source, module, project, name)
    own = rewriter.scopes[source.tree]
    rewriter.imported_before = imported_before
    own.imports, own.others, own.stars = dict(merged.imports), set(merged.others), list(merged.stars)
    tally = rewriter.run()
    for bound in merged.imports.keys() & here.scope.others:
        if any(span.end == FOR_EVER for span in spans_bound_anew(source.tree.body, bound, bound in imported_before)):
            del merged.imports[bound]
    whole.add(tally)
    if source.is_edited:
        edited = source.edited().replace(kept, "")
        cell["source"] = edited.splitlines(keepends=True) if isinstance(given, list) else edited
    return source.is_edited
