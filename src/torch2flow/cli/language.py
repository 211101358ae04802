"""The language of the person at the terminal: help and messages in Chinese where the locale says so.

The English text is the key, as in gettext, whose variables (LANGUAGE, LC_ALL, LC_MESSAGES, LANG) choose. Texts are
translated where they are shown, so nothing else in the package knows of it: a message with values in it is found by
its template, in which `{}` stands for each value. What has no translation stays English, and so do names and JSON.
"""

from __future__ import annotations

import gettext
import inspect
import re
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import click

FOLDER = Path(__file__).with_name("locale")
DOMAIN = "messages"  # gettext's own default: click asks it for click's texts

LEAST = 5
"""Of how many letters and colons a template has to be: `{} to {}` would be found in any sentence."""

_END = re.compile(r"(?<=[.;:!?]) +|, +")


class _Catalog(gettext.GNUTranslations):
    """A catalog that also lists its templates: the literal parts of each message, and its translation."""

    def _parse(self, file: Any) -> None:
        super()._parse(file)
        self.templates: list[tuple[list[str], str]] = []
        for message, translation in self.__dict__["_catalog"].items():  # gettext has no way to ask for all of them
            if isinstance(message, str) and "{}" in message and len(re.findall("[a-z:]", message)) >= LEAST:
                self.templates.append((message.split("{}"), translation))
        self.templates.sort(key=lambda template: -sum(map(len, template[0])))


@cache
def _catalog() -> _Catalog | None:
    file = gettext.find(DOMAIN, str(FOLDER))
    if file is None or not _can_be_printed("中文"):
        return None
    with open(file, "rb") as opened:
        return _Catalog(opened)


def _can_be_printed(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (AttributeError, LookupError, UnicodeEncodeError):  # no standard output, or one of ASCII
        return False
    return True


@lru_cache(1 << 12)
def translated(text: str) -> str:
    """A text in the language of the user: as a whole, by its template, or sentence by sentence; else as it is."""
    catalog = _catalog()
    if catalog is None or not text:
        return text
    if "\n" in text:
        return _found(text, catalog) or "\n".join(map(translated, text.split("\n")))
    return _found(text, catalog) or _by_pieces(text, catalog) or text


def _found(text: str, catalog: _Catalog) -> str:
    if not text:  # gettext keeps what it says of the catalog itself under ""
        return ""
    whole = catalog.gettext(text)
    if whole != text:
        return whole
    for parts, translation in catalog.templates:
        values = _values(parts, text)
        if values is not None:
            # A value is a phrase of ours or a name: a name has no blanks, and is never in the catalog by chance.
            return _filled(translation, [_value(each, catalog) if " " in each else each for each in values])
    return ""


def _values(parts: list[str], text: str) -> list[str] | None:
    """What stands between the parts of a template in a text; None where they do not stand there in order."""
    end = len(text) - len(parts[-1])
    if not text.startswith(parts[0]) or not text.endswith(parts[-1]) or end < len(parts[0]):
        return None
    values, start = [], len(parts[0])
    for part in parts[1:-1]:
        found = text.find(part, start, end)
        if found < 0:
            return None
        values.append(text[start:found])
        start = found + len(part)
    return [*values, text[start:end]]


def _value(text: str, catalog: _Catalog) -> str:
    """A phrase inside another: a list of known phrases is that, and not one phrase with a comma in it."""
    known = [_found(each, catalog) for each in text.split(", ")]
    return "，".join(known) if all(known) else _found(text, catalog) or _by_pieces(text, catalog) or text


def _filled(translation: str, values: list[str]) -> str:
    """A translation with the values in their places: `{}` in the order of the English text, `{1}` by number.

    Where places have numbers, one may be left out: English says with "is" and "are" what Chinese does not say.
    """
    rest = iter(values)
    return re.sub(r"\{(\d*)\}", lambda match: values[int(match[1])] if match[1] else next(rest), translation)


def _by_pieces(text: str, catalog: _Catalog) -> str:
    """A text of several sentences, or a list of phrases, each by itself; "" where none has a translation."""
    pieces, ends = _END.split(text), [*_END.findall(text), ""]
    told = [_found(each, catalog) for each in pieces]
    if not any(told):
        return ""
    # After a Chinese full stop comes no blank, and a comma is another.
    return "".join(
        new + end.replace(", ", "，").strip() if new else old + end
        for old, new, end in zip(pieces, told, ends, strict=True)
    )


def translate_help(command: click.Command) -> None:
    """Puts a command's help, and that of all below it, into the language of the user, and click's own texts too."""
    if _catalog() is None:
        return
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    command.context_settings["max_content_width"] = 64  # characters, most of which are two columns wide
    _translate(command)


def _translate(command: click.Command) -> None:
    command.help, command.epilog = translated(inspect.cleandoc(command.help or "")), translated(command.epilog or "")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            parameter.help = translated(parameter.help or "")
    for below in getattr(command, "commands", {}).values():
        _translate(below)
