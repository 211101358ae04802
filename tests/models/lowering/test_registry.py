"""Two rules for one operator are an error; a user's rule takes the place of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from torch2flow.models.lowering import operators  # noqa: F401 - registers the rules
from torch2flow.models.lowering.registry import RULES, find, operator


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(RULES)
    yield
    RULES.clear()
    RULES.update(before)


FILE = """
from torch2flow import operator

@operator("mylib.twice")
def twice(x):
    return x * 2
"""


def test_a_second_rule_for_an_operator_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mylib.twice has a rule already, at <string>:4; <string>:8 gives it another"):
        exec(FILE + "\n" + FILE.partition("\n\n")[2], {"__name__": "rules"})


def test_a_file_of_rules_may_be_run_again() -> None:
    exec(FILE, {"__name__": "rules"})
    exec("\n" + FILE, {"__name__": "rules"})
    rule = find("mylib.twice.default")
    assert rule is not None and rule.place == "<string>:5"


def test_two_files_may_not_have_a_rule_for_one_operator() -> None:
    exec(FILE, {"__name__": "rules"})
    with pytest.raises(ValueError, match="has a rule already"):
        exec(FILE, {"__name__": "other"})


def test_a_users_rule_takes_the_place_of_ours() -> None:
    @operator("aten.rsub")
    def rsub(self, other, alpha=1):
        return other - self

    rule = find("aten.rsub.Scalar")
    assert rule is not None and not rule.is_ours
