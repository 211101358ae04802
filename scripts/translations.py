"""Writes what the command line says into the catalog of its translations, and compiles that.

    python scripts/translations.py [--check]

A message is a text that a user can read: the help of the commands, what click itself says, and every phrase in the
package's code, with `{}` for each value in it. New ones are added and marked `fuzzy`, as gettext has it; those that are
gone leave. One that is code and no text stays without a translation. --check changes nothing, and lists the new ones.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import polib

from torch2flow.cli.commands import cli
from torch2flow.cli.display.comparison import COLOURS
from torch2flow.cli.language import DOMAIN, FOLDER
from torch2flow.proof.parity.ledger import PARTS

PACKAGE = Path(__file__).parents[1] / "src" / "torch2flow"
SOURCE_TEXT = ("port/compat/", "models/lowering/operators/", "models/lowering/modules/", "zoo/families/")
"""Folders whose strings become generated source, or stand in it."""

CATALOG = FOLDER / "zh" / "LC_MESSAGES" / f"{DOMAIN}.po"

TABLE_HEADS = ("Table", "add_column")
"""Functions of rich whose arguments are the heads of a table."""

LABELS = ("at:", "this may mean:", "what to do:", *PARTS.values(), *COLOURS)


def main() -> None:
    messages = all_messages()
    known = {entry.msgid: entry for entry in polib.pofile(str(CATALOG))}
    new = [message for message in messages if message not in known or known[message].fuzzy]
    if "--check" in sys.argv:
        print("\n".join(new))
        sys.exit(bool(new))
    written = polib.POFile(wrapwidth=120)
    written.metadata = {"Language": "zh", "Content-Type": "text/plain; charset=UTF-8"}
    for message, place in messages.items():
        entry = known.get(message) or polib.POEntry(msgid=message, flags=["fuzzy"])
        entry.occurrences = [(place, "")]
        written.append(entry)
    written.save(str(CATALOG))
    written.save_as_mofile(str(CATALOG.with_suffix(".mo")))
    print(f"{len(messages):,} messages, {len(new):,} of them new: translate those marked fuzzy, and remove the mark.")


def all_messages() -> dict[str, str]:
    """Every message, with the file that it comes from, relative to the package."""
    found: dict[str, str] = {}
    for text in (*help_texts(cli), *LABELS):
        found.setdefault(text, "cli")
    for text in click_texts():
        found.setdefault(text, "click")
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if not name.startswith(SOURCE_TEXT):
            for text in phrases(ast.parse(file.read_text("utf-8")), everything=name.startswith("cli/display/")):
                found.setdefault(text, name)
    return found


def help_texts(command: click.Command) -> Iterator[str]:
    """The help of a command, of its options and of the commands below it."""
    options = (each.help for each in command.params if isinstance(each, click.Option))
    yield from filter(None, (inspect.cleandoc(command.help or ""), command.epilog, *options))
    for below in getattr(command, "commands", {}).values():
        yield from help_texts(below)


def click_texts() -> Iterator[str]:
    """What click says to users: the arguments of its calls of gettext. Plural forms stay English."""
    for file in sorted(Path(str(click.__file__)).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                text = template(node.args[0])
                if text and len(text) > 1:
                    yield text


def phrases(tree: ast.Module, everything: bool) -> Iterator[str]:
    """Texts of at least three words that are no docstrings; of what only prints, those of one word too."""
    nodes = list(ast.walk(tree))
    skipped = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    skipped |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in TABLE_HEADS:
            yield from filter(None, (template(each) for each in node.args))
        text = None if id(node) in skipped else template(node)
        if text is not None and " " in text.strip() and "\n" not in text.strip("\n"):
            words = re.findall(r"[A-Za-z][a-z]+", re.sub(r"\[/?[a-z ]*\]", "", text))
            if len(words) >= (1 if everything else 3):
                yield text


def template(node: ast.expr | ast.AST) -> str | None:
    """The text of a string, with `{}` for each value in it; None of what is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


if __name__ == "__main__":
    main()
