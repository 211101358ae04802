"""Writes an argument that equals its default where another module of the class is given another value.

    F.conv2d(x, w, bias=self.bias)                  F.conv2d(x, w, bias=self.bias, stride=1, padding=0)
    F.conv2d(x, w, stride=2, padding=1)             F.conv2d(x, w, bias=self.bias, stride=2, padding=1)

So the two calls differ in numbers alone, and the class has `stride` and `padding` as its author's has. A module that
has no bias gets `self.bias = None`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from torch2flow.models.codegen.drafts import Draft, Own
from torch2flow.models.codegen.literals import Constant, attribute
from torch2flow.models.codegen.standins import ShortCall, source


def write_defaults(drafts: list[Draft]) -> None:
    """Makes the calls of the modules of one original class alike in what they are given by name."""
    found: dict[str, list[list[tuple[Draft, ShortCall]]]] = {}
    for draft in drafts if len(drafts) > 1 else ():
        calls: dict[str, list[tuple[Draft, ShortCall]]] = {}
        for node in (node for method in draft.methods for node in ast.walk(method)):
            if isinstance(node, ShortCall):
                calls.setdefault(ast.unparse(node.func), []).append((draft, node))
        for function, own in calls.items():
            found.setdefault(function, []).append(own)
    for modules in found.values():
        if len(set(map(len, modules))) == 1:  # else it is not known which call of one module is that of another
            for alike in zip(*modules, strict=True):
                for name in dict.fromkeys(each.arg for _, call in alike for each in call.keywords if each.arg):
                    _write(alike, name)


def _write(calls: tuple[tuple[Draft, ShortCall], ...], name: str) -> None:
    """Writes one argument in all calls, if that makes them alike."""
    given = [(draft, each) for draft, call in calls for each in call.keywords if each.arg == name]
    missing = [(draft, call) for draft, call in calls if name in call.defaulted]
    if all(isinstance(item, ast.Constant) for _, each in given for item in _items(each.value)):
        for _, call in missing:
            _add(call, name, source(call.defaulted[name]))
        _make_alike([each for _, call in calls for each in call.keywords if each.arg == name])
    elif held := _held_by_all(given):
        for draft, call in missing:
            if call.defaulted[name] is None and _leave_empty(draft, held, given[0][0]):
                _add(call, name, attribute("self", held))


def _add(call: ShortCall, name: str, value: ast.expr) -> None:
    call.keywords.append(ast.keyword(name, value))
    call.keywords.sort(key=lambda each: call.names.index(each.arg) if each.arg in call.names else len(call.names))


def _make_alike(keywords: list[ast.keyword]) -> None:
    """Lets values differ that are no numbers, and tuples stand beside numbers, as `(1, 2)` beside 1."""
    if len({len(each.value.elts) if isinstance(each.value, ast.Tuple) else 0 for each in keywords}) > 1:
        for each in keywords:
            each.value = Constant(ast.literal_eval(each.value), each.arg or "", varies=True)
    rows = [[item.value for item in _items(each.value) if isinstance(item, ast.Constant)] for each in keywords]
    if any(row != rows[0] for row in rows):
        for each in keywords:
            items = [_varying(item, each.arg or "") for item in _items(each.value)]
            each.value = ast.Tuple(items, ast.Load()) if isinstance(each.value, ast.Tuple) else items[0]


def _varying(item: ast.expr, name: str) -> ast.expr:
    assert isinstance(item, ast.Constant)
    return Constant(item.value, item.hint if isinstance(item, Constant) and item.hint else name, varies=True)


def _items(value: ast.expr) -> Iterable[ast.expr]:
    return value.elts if isinstance(value, ast.Tuple) else (value,)


def _held_by_all(given: list[tuple[Draft, ast.keyword]]) -> str:
    """The name of the parameter that all these modules give: "" if it is not one of their own."""
    texts = {ast.unparse(each.value) for _, each in given}
    name = texts.pop().removeprefix("self.") if len(texts) == 1 else ""
    return name if name and all(name in _parameters(draft) for draft, _ in given) else ""


def _parameters(draft: Draft) -> Iterator[str]:
    return (own.attribute for own in draft.owns if isinstance(own.statement, ast.Assign) and not own.is_fact)


def _leave_empty(draft: Draft, name: str, like: Draft) -> bool:
    """Gives a module None in the place where another has a parameter; False where it has something of that name."""
    own = [each.attribute for each in draft.owns]
    if name in own or name in draft.children:
        return name in _parameters(draft) and draft.owns[own.index(name)].is_empty
    before = [each.attribute for each in like.owns]
    before = before[: before.index(name)]
    place = max((own.index(each) + 1 for each in before if each in own), default=0)
    draft.owns.insert(place, Own(name, ast.Assign([attribute("self", name)], ast.Constant(None))))
    return True
