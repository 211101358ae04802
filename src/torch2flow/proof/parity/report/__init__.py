"""The report: one page that opens from disk, for a person who'd rather look than read.

It is made of the plain data of `Verification.to_json` and nothing else, by a template, with charts that are drawings.
Everything is in the one file: no network is needed, then or later.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.writing.kernel_copy import write_file
from torch2flow.checkpoints.writing.staging import Entries, Output, Staging, output_error
from torch2flow.errors import InstallationError
from torch2flow.proof.parity.judge import FINE
from torch2flow.proof.parity.report import charts, layout
from torch2flow.runtime.packages import install_command

MARK = b'<meta name="generator" content="torch2flow">'


def write_report(result: dict[str, Any], path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
    """Writes the page; it appears when it is complete.

    Args:
        result: what `Verification.to_json` gives.
        path: the file.
        overwrite: replace an existing report.

    Returns:
        What a user should know, or "".

    Raises:
        InstallationError: jinja2 is missing.
        OutputError: it exists, or can't be written.
    """
    page, path = render(result), Path(path)
    with Staging(Output(path, _objection), overwrite=overwrite) as staging:
        try:
            write_file(staging.paths[0], page.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise output_error(error, path) from None
        staging.commit()
    return staging.left


def _objection(path: Path, entries: Entries) -> str:
    """Says why a file is not replaced by a report."""
    if not path.is_file():
        return "it is no file"
    with open(path, "rb") as stream:
        return "" if MARK in stream.read(4096) else "it is no report of torch2flow's"


def render(result: dict[str, Any]) -> str:
    """The page as text.

    Raises:
        InstallationError: jinja2 is missing.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise InstallationError(
            f"A report is made with jinja2, and {error.name} is not installed here.",
            remedy=install_command("jinja2>=3.1"),
        ) from None

    here = FileSystemLoader(Path(__file__).parent)
    templates = Environment(loader=here, autoescape=True, undefined=StrictUndefined)
    templates.filters |= {"short": layout.short, "plain": layout.plain, "code": layout.with_code}
    return templates.get_template("page.html").render(
        result=result,
        tree=layout.module_tree(result["modules"]),
        worst=layout.worst_modules(result["modules"]),
        tables=[layout.Table(part) for part in result["parts"]],
        layers=layout.layer_parts(result["modules"]),
        marks=layout.MARKS,
        fine=FINE,
        position=lambda measure: layout.position(measure["ratio"]),
        limit=layout.position(result["settings"]["limit"]),
        charts=charts.all_charts(result),
    )
