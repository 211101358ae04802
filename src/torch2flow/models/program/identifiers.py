"""Whether a text out of a file may be a name in Python source: the one place that says so."""

from __future__ import annotations

import keyword
import unicodedata
from typing import Any

LONGEST = 200


def is_identifier(text: Any) -> bool:
    """Whether a text is a name that means the same to every Python that may read the source.

    Python changes a name that is not in the form NFKC, and one that begins with two underscores inside a class. A
    letter that Unicode 3.2 did not have is no letter to an older Python.
    """
    if not isinstance(text, str) or not text.isidentifier() or len(text) > LONGEST or keyword.iskeyword(text):
        return False
    if text.isascii():
        return not text.startswith("__")
    old = unicodedata.ucd_3_2_0
    return unicodedata.normalize("NFKC", text) == text and all(old.category(letter) != "Cn" for letter in text)
