"""What a repository says of PyTorch beside its code: it is listed, and changed where that is asked for."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch2flow.port.findings import PortFinding

INSTEAD = {"torch": "oneflow==0.9.0", "torchvision": "flowvision==0.2.1"}
"""What takes the place of a package. For others, and for those of conda, there is nothing."""

MOST = 1 << 20
LONGEST = 2000
"""A longer line is no line that a person wrote, and is not looked at."""

_VERSION = r"[=<>~!]{1,3}\s*[\w.*+!-]+"
_PACKAGE = (
    r"(?<![\w./@-])(?P<name>torch|torchvision|torchaudio|pytorch)(?![\w./-])"
    rf"(?P<version>(?:\s*\[[^\]\"']*\])?(?:\s*{_VERSION}(?:\s*,\s*{_VERSION})*|\s*@\s*[^\s;\"']+)?)"
)
_LINE = re.compile(rf"^\s*(?P<list>-\s+)?{_PACKAGE}(?P<hashes>(?:\s+--hash=\S+)*)(?=\s*(?:;|#|\\?$))")
_QUOTED = re.compile(rf"(?P<quote>[\"']){_PACKAGE}(?=\s*(?:;(?:(?!(?P=quote)).)*)?(?P=quote)\s*(?:[,\])#]|$))")
_POETRY = re.compile(r"^\s*(?P<name>torch|torchvision)(?P<version>\s*=\s*(?:\"[^\"]*\"|'[^']*'|\{.*\}))(?=\s*(?:#|$))")
_WORD = re.compile(rf"(?<=[\s\"']){_PACKAGE}(?=[\s\"'`;&|)]|$)")
_INSTALL = re.compile(r"\b(?:pip3?|uv|conda|mamba)\b")
_SOURCE = re.compile(r"\s*(?:--(?:extra-)?index-url|--find-links|-i|-f)[\s=]+[\"']?https://download\.pytorch\.org\S*")
_TABLE = re.compile(r"^\s*\[{1,2}([^\]]+)\]+\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([\w-]+)\s*=")

_REQUIREMENTS = re.compile(
    r"(.*/)?(requirements[^/]*\.(txt|in)|requirements/[^/]*\.txt|setup\.cfg|environment[^/]*\.ya?ml)"
)
_PROSE = re.compile(r"(.*/)?(README[^/]*|INSTALL[^/]*|Dockerfile[^/]*)")


@dataclass(slots=True)
class Packaging:
    """What one file says.

    Attributes:
        findings: a row for each line that asks for PyTorch.
        data: what the file becomes.
    """

    findings: list[PortFinding] = field(default_factory=list)
    data: bytes = b""


def read_packaging(path: str, file: Path, data: bytes | None = None) -> Packaging:
    """The lines of a file that ask for PyTorch to be installed, and the file as it would be without.

    Args:
        path: its path in the tree.
        file: where it lies.
        data: what it became so far, where that is not what lies there.
    """
    name = path.rpartition("/")[2]
    if not is_packaging(path) or (data is None and file.stat().st_size > MOST):
        return Packaging()
    given = file.read_bytes() if data is None else data
    text = given.decode("utf-8", "surrogateescape")
    found, lines = Packaging(), []
    for number, (line, matches) in enumerate(_lines(path, name, text), 1):
        for match in matches:
            package, instead = match["name"], _instead(match, line)
            reason = f"It asks for {package}, which the ported code does not import."
            remedy = f"put {instead} there, or take it out" if instead else "take it out"
            remedy += "; --requirements does so" if instead else ""
            finding = PortFinding(path, number, "look", package, reason, remedy)
            if finding not in found.findings:
                found.findings.append(finding)
        lines.append(_changed(line, matches))
    found.data = "".join(lines).encode("utf-8", "surrogateescape")
    return found


def is_packaging(path: str) -> bool:
    """Whether a file, by its name, may ask for packages."""
    name = path.rpartition("/")[2]
    return bool(name in ("pyproject.toml", "setup.py") or _REQUIREMENTS.fullmatch(path) or _PROSE.fullmatch(path))


def _lines(path: str, name: str, text: str) -> Iterator[tuple[str, list[re.Match[str]]]]:
    """Each line, and where it asks for PyTorch."""
    table = key = ""
    required = _required(text) if name == "setup.py" else set()
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if len(line) > LONGEST:
            yield line, []
        elif name == "pyproject.toml":
            head = _TABLE.match(line)
            table, key = (head[1].strip(), "") if head else (table, (_KEY.match(line) or ("", key))[1])
            yield line, list(_in_toml(line, table, key))
        elif name == "setup.py":
            yield line, list(_QUOTED.finditer(line)) if number in required else []
        elif _PROSE.fullmatch(path):
            begun = _INSTALL.search(line)
            at = line.find("install", begun.end()) if begun else -1
            yield line, list(_WORD.finditer(line, at)) if at >= 0 else []
        else:
            found = _LINE.match(line)
            yield line, [found] if found else []


def _required(text: str) -> set[int]:
    """The lines of a `setup.py` in which requirements stand: `install_requires=[...]`, `requirements = [...]`."""
    found: set[int] = set()
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        for node in ast.walk(ast.parse(text)):
            named = [node.arg or ""] if isinstance(node, ast.keyword) else []
            if isinstance(node, ast.Assign):
                named = [each.id for each in node.targets if isinstance(each, ast.Name)]
            if isinstance(node, ast.keyword | ast.Assign) and re.search("require|depend", " ".join(named), re.I):
                found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def _in_toml(line: str, table: str, key: str) -> Iterator[re.Match[str]]:
    if "dependencies" in table.rpartition(".")[2] and "poetry" in table:
        yield from filter(None, [_POETRY.match(line)])
    elif (
        (table == "project" and key in ("dependencies", "optional-dependencies"))
        or (table == "build-system" and key == "requires")
        or table in ("project.optional-dependencies", "dependency-groups")
    ):
        yield from _QUOTED.finditer(line)


def _instead(match: re.Match[str], line: str) -> str:
    """What is put in the place of a package; "" where that is for its user to decide."""
    is_continued = match.re is _LINE and line.rstrip().endswith("\\")
    if is_continued or re.search(r"\b(conda|mamba)\b.*\binstall\b", line):
        return ""
    if match.groupdict().get("list") and re.fullmatch(r"\s*=[^=].*", match["version"]):
        return ""  # conda's `torch=1.13`
    instead = INSTEAD.get(match["name"], "")
    if match.re is _POETRY and instead:
        package, _, version = instead.partition("==")
        return f'{package} = "{version}"'
    return instead


def _changed(line: str, matches: list[re.Match[str]]) -> str:
    """A line that asks for OneFlow."""
    pieces, reached, is_changed = [], 0, False
    for match in matches:
        instead = _instead(match, line)
        if instead:
            end = match.end("hashes" if match.re is _LINE else "version")
            pieces += [line[reached : match.start("name")], instead]
            reached, is_changed = end, True
    changed = "".join([*pieces, line[reached:]])
    return _SOURCE.sub("", changed) if is_changed else changed
