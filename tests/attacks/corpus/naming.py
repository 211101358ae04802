"""Names that mean something to a terminal, a shell, a file system or a markup language. All of it is only text."""

from __future__ import annotations

from pathlib import Path

from . import attack
from .build import (
    call,
    dict_of,
    number,
    safe_entry,
    safetensors_file,
    tensor,
    text,
    torch_entries,
    torch_zip,
    tuple_of,
    zip_file,
)

NAMES = {
    "title": ("\x1b]0;owned\x07", "Changes the terminal's title."),
    "clear": ("\x1b[2J\x1b[H", "Clears the screen."),
    "hide": ("\x1b[8mhidden\x1b[0m", "Makes what follows invisible."),
    "c1": ("\x9b31m\x9d0;owned\x9c", "The same with the 8-bit control characters."),
    "return": ("safe\rowned", "Overwrites the line with a carriage return."),
    "backspace": ("evil\b\b\b\bgood", "Overwrites itself."),
    "newline": ("a\nError: all is well\nb", "Adds lines to the output."),
    "right_to_left": ("\u202egnp.exe", "Reverses the direction of writing."),
    "zero_width": ("weight\u200b", "Looks like another name."),
    "markup": ("[bold red]w[/]", "Markup of the library that prints tables."),
    "markup_broken": ("[/nothing]", "Markup that closes what was never opened."),
    "markup_link": ("[link=file:///etc/passwd]w[/link]", "A link."),
    "percent": ("%s%n%d{0}{name}", "Format directives."),
    "empty": ("", "No name at all."),
    "dot": (".", "The folder itself."),
    "dots": ("..", "The folder above."),
    "traversal": ("../../../canary", "A path out of the output."),
    "absolute": ("/tmp/canary", "An absolute path."),
    "windows": ("C:\\canary", "A drive."),
    "device": ("CON", "A device of Windows."),
    "nul": ("a\0b", "A NUL."),
    "surrogate": ("\ud800", "A lone surrogate, which no UTF-8 output can hold."),
    "long": ("x" * 3000, "Longer than any file's name."),
    "reserved": ("pickled_data", "A name that the output itself uses."),
    "manifest": ("manifest.json", "Another."),
    "pickle_newline": ("a\nposix\nsystem\n.", "Opcodes."),
    "shell": ("$(touch canary)`touch canary`;touch canary", "A shell command."),
    "quotes": ("\"'</script><script>alert(1)</script>", "HTML."),
}

for _name, (_text, _tries) in NAMES.items():

    def _write(folder: Path, key: str = _text) -> Path:
        path = folder / "model.pth"
        path.write_bytes(torch_zip(dict_of((text(key), tensor()), (text("sound"), tensor()))))
        return path

    attack(name=f"key_{_name}", tries=f"A tensor's name: {_tries}")(_write)


@attack(refused="can't be opened")
def path_with_controls(folder: Path) -> Path:
    """A path that clears the screen: every error names it."""
    return folder / "\x1b[2J\x07.pth"


@attack(reports=("evil.[/nothing]", "evil.\x1b]0;owned\x07"))
def class_names_with_controls(folder: Path) -> Path:
    """Classes named in markup and control characters: unknown classes are listed."""
    path = folder / "model.pth"
    classes = (call("evil.[/nothing]"), call("evil.\x1b]0;owned\x07"))
    path.write_bytes(torch_zip(dict_of((text("w"), tensor()), (text("x"), tuple_of(*classes)))))
    return path


@attack()
def version_with_controls(folder: Path) -> Path:
    """The record that holds the archive's version changes the terminal's title: `inspect` shows it."""
    entries = torch_entries(dict_of((text("w"), tensor())))
    entries[-1].data = b"\x1b]0;owned\x07[/nothing]\xff"
    path = folder / "model.pth"
    path.write_bytes(zip_file(entries))
    return path


@attack()
def metadata_with_controls(folder: Path) -> Path:
    """The metadata of a safetensors file does the same."""
    path = folder / "model.safetensors"
    path.write_bytes(safetensors_file({"__metadata__": {"\x1b[2J": "\x07[/x]"}, "\x1b[1m[/x]": safe_entry()}))
    return path


@attack(convert=(0, 4))
def values_with_controls(folder: Path) -> Path:
    """Text values do the same, where the tree is shown."""
    values = (text("\x1b[2J[/x]"), b"C\x03\x1b[H", call("torch.device", text("\x1b]0;x\x07")))
    path = folder / "model.pth"
    path.write_bytes(torch_zip(dict_of((text("w"), tensor()), (text("x"), tuple_of(*values)))))
    return path


@attack()
def keys_that_differ_by_case(folder: Path) -> Path:
    """Names that are one name on a file system that ignores case, and names that look alike."""
    keys = ("w", "W", "\u00e9", "e\u0301", "a/b", "a.b", "a_b", "a__b")
    path = folder / "model.pth"
    path.write_bytes(torch_zip(dict_of(*((text(key), tensor()) for key in keys))))
    return path


@attack()
def keys_of_every_kind(folder: Path) -> Path:
    """None, numbers, tuples and bytes for names, beside text that spells the same."""
    keys = (b"N", text("None"), number(1), text("1"), tuple_of(number(1), text("x")), b"C\x01a", b"\x88")
    path = folder / "model.pth"
    path.write_bytes(torch_zip(dict_of(*((key, tensor()) for key in keys))))
    return path
