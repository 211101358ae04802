"""The page about the corpus says what the corpus says."""

from __future__ import annotations

from .corpus import all_attacks
from .readme import README, TITLES, text


def test_the_page_is_current() -> None:
    """Written again by `cd tests && python -m attacks.readme`."""
    assert README.read_text("utf-8") == text()


def test_each_family_has_a_table() -> None:
    """None is left out of the page."""
    assert {attack.family for attack in all_attacks()} == set(TITLES)
