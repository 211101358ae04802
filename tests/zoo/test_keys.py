"""Templates of names: read from either side, they give each other back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch2flow.checkpoints.names.templates import CHANGES, Keys, translate
from torch2flow.errors import FormatError, UsageError
from torch2flow.zoo import twins


@pytest.mark.parametrize(
    ("template", "other", "name", "expected"),
    [
        ("a.{i}.{rest}", "b.{i}.{rest}", "a.3.c.weight", "b.3.c.weight"),
        ("a.{2*i+1}.{name}", "b.{i}.{name}", "a.5.weight", "b.2.weight"),
        ("a.{2*i+1}.{name}", "b.{i}.{name}", "a.4.weight", None),
        ("a.{2*i+1}.{name}", "b.{i}.{name}", "a.5.b.weight", None),
        ("a.{i}.0.{name}", "b.fcn{i+1}.{name}", "a.0.0.bias", "b.fcn1.bias"),
        ("b.fcn{i+1}.{name}", "a.{i}.0.{name}", "b.fcn0.bias", None),
        ("a.{i}.{i}", "b.{i}", "a.2.2", "b.2"),
        ("a.{i}.{i}", "b.{i}", "a.2.3", None),
        ("a+b.{name}", "c.{name}", "aab.x", None),
        ("plain", "other", "plain", "other"),
    ],
)
def test_a_template(template: str, other: str, name: str, expected: str | None) -> None:
    assert translate(name, template, other) == expected


def test_the_first_rule_counts_and_other_names_stay() -> None:
    keys = Keys(("a.{name}", "b.{name}"), ("a.{rest}", "c.{rest}"))
    assert [keys.find(name)[0] for name in ("a.x", "a.x.y", "d")] == ["b.x", "c.x.y", "d"]
    assert [keys.find(name, back=True)[0] for name in ("b.x", "c.x.y", "d")] == ["a.x", "a.x.y", "d"]


def test_two_tensors_never_get_one_name() -> None:
    with pytest.raises(UsageError, match=r"would both become b\.x: a\.x and b\.x"):
        list(Keys(("a.{name}", "b.{name}")).pairs(["a.x", "b.x"]))


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(0, 9))
def test_a_number_comes_back(value: int, factor: int, added: int) -> None:
    source, target = "a.{i}.w", f"b.{{{factor}*i+{added}}}.w"
    there = translate(f"a.{value}.w", source, target)
    assert there == f"b.{value * factor + added}.w"
    assert translate(there, target, source) == f"a.{value}.w"


@pytest.mark.parametrize(("change", "shape"), [("leading ones", (1, 1, 7)), ("trailing ones", (7, 1, 1)),
                                               ("square", (49,)), ("", (3, 4))])  # fmt: skip
def test_a_shape_comes_back(change: str, shape: tuple[int, ...]) -> None:
    both = CHANGES[change]
    assert both.back(both.there(shape)) == shape


@pytest.mark.parametrize("name", sorted({repr(twin.keys.to_json()): name for name, twin in twins().items()}.values()))
def test_rules_survive_the_manifest(name: str) -> None:
    keys = twins()[name].keys
    assert Keys.from_json(keys.to_json(), "x").to_json() == keys.to_json()


@pytest.mark.parametrize("rules", [None, 3, [["a"]], [[1, 2]], [["a", "b", "c"]]])
def test_damaged_rules_are_refused(rules: object) -> None:
    with pytest.raises(FormatError, match="should be|can't be used"):
        Keys.from_json({"rules": rules, "flow_only": []}, "out")
