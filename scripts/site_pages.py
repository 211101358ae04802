"""What mkdocs asks while it builds the site: READMEs are its first pages, and links to code lead to the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
FIRST_PAGES = {"index.md": "README.md", "zh-CN/index.md": "README.zh-CN.md"}
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the READMEs."""
    for page, source in FIRST_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Has each link lead to a page of the site where there is one, else to the file in the repository."""
    source = FIRST_PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    here = posixpath.dirname(page.file.src_uri)
    pages = {source: page for page, source in FIRST_PAGES.items()}

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        inside = pages.get(target, target.removeprefix("docs/") if target.startswith("docs/") else "")
        if inside:
            return posixpath.relpath(inside, here or ".")
        return f"{config.repo_url.rstrip('/')}/blob/main/{target}"

    return LINK.sub(lead, markdown)
