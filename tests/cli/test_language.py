"""What the command line says in Chinese: all of it has a translation, and what is read by programs has none."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import polib
import pytest

from torch2flow.cli.language import DOMAIN, FOLDER, translated

CATALOG = FOLDER / "zh" / "LC_MESSAGES" / f"{DOMAIN}.po"
CHINESE = {"LANGUAGE": "", "LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_CN.UTF-8"}
SCRIPTS = Path(__file__).parents[2] / "scripts"
HAN = re.compile("[\u4e00-\u9fff]")


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Texts in Chinese in this process."""
    from torch2flow.cli import language

    monkeypatch.setenv("LANGUAGE", "zh_CN")
    language._catalog.cache_clear()
    translated.cache_clear()
    yield translated
    monkeypatch.undo()
    language._catalog.cache_clear()
    translated.cache_clear()


@pytest.fixture(scope="module")
def messages() -> Any:
    """The functions of scripts/translations.py."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import translations
    finally:
        sys.path.remove(str(SCRIPTS))
    return translations


def test_help_is_chinese_where_the_locale_is(run_cli: Any) -> None:
    for command in ((), ("convert",), ("zoo", "convert")):
        code, out, err = run_cli(*command, "--help", env=CHINESE)
        assert (code, err) == (0, "")
        options = [line for line in out.splitlines() if re.match(r" +-", line)]
        assert options and HAN.search(out.splitlines()[2])
        assert not re.search(r"Usage|Options|Show this message", out)
    assert not HAN.search(run_cli("convert", "--help")[1])
    ascii_only = {**CHINESE, "PYTHONIOENCODING": "ascii"}
    assert run_cli("convert", "--help", env=ascii_only) == run_cli("convert", "--help")


def test_errors_are_chinese_and_name_what_they_named(run_cli: Any, tmp_path: Path) -> None:
    for words in (
        ["inspect", tmp_path / "absent.pth"],
        ["convert", "x"],
        ["convert", "x", "-o", "y", "--dtype", "int3"],
    ):
        code, _, err = run_cli(*words, env=CHINESE)
        plain_code, _, plain = run_cli(*words)
        assert code == plain_code and HAN.search(err) and not HAN.search(plain)
        for name in re.findall(r"[\w/.-]*(?:absent\.pth|--\w+)", plain):
            assert name in err


def test_json_is_the_same_in_every_language(run_cli: Any, fixtures: Path) -> None:
    words = ("inspect", fixtures / "torch-2.13.0/state_dict-zip.pth", "--json")
    assert run_cli(*words, env=CHINESE) == run_cli(*words)


def test_values_stand_where_the_translation_has_them(chinese: Any) -> None:
    told = chinese("The axis batch is 3 long in one input and 4 in another.")
    assert HAN.search(told) and {"batch", "3", "4"} <= set(re.findall(r"\w+", told, re.ASCII))
    assert chinese("what nobody translated") == "what nobody translated"
    assert HAN.search(chinese("Wrong. The axis batch is 3 long in one input and 4 in another. {1} {}"))


def test_the_compiled_catalog_is_that_of_the_text() -> None:
    compiled = {entry.msgid: entry.msgstr for entry in polib.mofile(str(CATALOG.with_suffix(".mo")))}
    assert compiled == {entry.msgid: entry.msgstr for entry in polib.pofile(str(CATALOG)) if entry.msgstr}


def test_a_translation_has_the_places_and_names_of_its_message() -> None:
    for entry in polib.pofile(str(CATALOG)):
        if entry.msgstr:
            places = re.findall(r"\{(\d*)\}", entry.msgstr)
            count = entry.msgid.count("{}")
            numbered = set(map(int, filter(None, places)))
            assert len(numbered) == len(places) if numbered else len(places) == count, entry.msgid
            assert numbered <= set(range(count)), entry.msgid
            for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+|\[/?[a-z ]+\]|\b\w+\.(?:pt2|pth|py)\b", entry.msgid):
                assert name in entry.msgstr, (name, entry.msgid)


def test_all_help_and_nearly_all_messages_have_a_translation(messages: Any) -> None:
    from torch2flow.cli.commands import cli

    catalog = [entry for entry in polib.pofile(str(CATALOG)) if not entry.fuzzy]
    assert set(messages.help_texts(cli)) - {entry.msgid for entry in catalog if entry.msgstr} == set()
    everything = {text for text, place in messages.all_messages().items() if place != "click"}
    new = everything - {entry.msgid for entry in catalog}
    assert len(new) < 0.05 * len(everything), "run `make translations`, and translate what it marks"
    assert sum(bool(entry.msgstr) for entry in catalog) > 0.9 * len(catalog)
