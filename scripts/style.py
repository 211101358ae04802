"""Measures how the source that torch2flow writes compares with what the author wrote, for docs/models.md.

    .venv/bin/python scripts/style.py                          the table, for the models of MODELS
    .venv/bin/python scripts/style.py torchvision/swin_t       for some
    .venv/bin/python scripts/style.py --write-docs             and renew the table in docs/models.md
    .venv/bin/python scripts/style.py swin_t --show            and list the placeholders and the names that lie

The original is what the model uses of its library: the classes of its modules, and what their source mentions of the
same file. Both sides go through the same formatter without docstrings and comments, and blank lines do not count.
Captured models and the originals are kept in build/style until the code that captures them changes.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ROOT = Path(__file__).resolve().parent.parent
TORCH = ROOT / ".venv-torch" / "bin" / "python"
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- style: make style -->", "<!-- end of style -->"
MODELS = (
    "torchvision/densenet121", "transformers/t5", "torchvision/swin_t", "torchvision/mobilenet_v3_small",
    "transformers/bert", "transformers/llama", "torchvision/resnet18", "torchvision/vit_b_32", "transformers/gpt2",
    "torchvision/convnext_tiny", "torchvision/efficientnet_b0", "torchvision/regnet_y_400mf",
    "torchvision/shufflenet_v2_x0_5", "torchvision/googlenet", "timm/convnext", "timm/swin_transformer",
    "transformers/distilbert", "transformers/roberta", "transformers/whisper",
)  # fmt: skip
"""Convolutions and attention, encoders and decoders, plain modules and ones that pass lists and tuples around."""
PLACEHOLDER = re.compile(r"value|size|end|pad|start|[A-Za-z]|\w+_\d+")
"""A name of a constructor argument that says nothing, unless the author uses it too."""


@dataclass
class Style:
    """The numbers of one model; `placeholders` and `lies` name what was found."""

    name: str
    lines: int
    original_lines: int
    classes: int
    original_classes: int
    arguments: int
    placeholders: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as torchvision/resnet18, or its last part")
    parser.add_argument("--fresh", action="store_true", help="capture the models again")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--show", action="store_true", help="list the placeholders and the names that lie")
    parser.add_argument("--write-docs", action="store_true", help="renew the table in docs/models.md")
    parser.add_argument("--originals", nargs=2, metavar=("NAMES", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.originals:
        names, out = arguments.originals
        Path(out).write_text(json.dumps({name: originals(name) for name in names.split(",")}), "utf-8")
        return 0
    known = (*MODELS, *(name for name in arguments.names if "/" in name and name not in MODELS))
    chosen = [name for name in known if not arguments.names or {name, name.split("/")[1]} & set(arguments.names)]
    if not chosen:
        parser.error("no model has such a name")
    folder = cache()
    prepare(chosen, folder, fresh=arguments.fresh)
    measured = [measure(name, folder) for name in chosen]
    if arguments.json:
        print(json.dumps([asdict(each) for each in measured], indent=1))
    else:
        print("\n".join(table(measured)))
    for each in measured if arguments.show else ():
        found = [f"  placeholder  {text}" for text in each.placeholders] + [f"  lie  {text}" for text in each.lies]
        print("\n".join(["", each.name, *found]))
    if arguments.write_docs:
        text = PAGE.read_text("utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text("\n".join([f"{before}{BEGIN}", "", *table(measured), "", f"{END}{after}"]), "utf-8")
    return 0


# Captured models and originals


def cache() -> Path:
    """A folder for what is captured, named by the code that captures."""
    digest = hashlib.sha256()
    for folder in ("src/torch2flow/proof/capture", "scripts/models"):
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return ROOT / "build" / "style" / digest.hexdigest()[:12]


def prepare(names: list[str], folder: Path, *, fresh: bool) -> None:
    """Captures the models that are not there, and asks PyTorch's side for their authors' source."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names if fresh or not captured(name, folder).exists()]
    if missing:
        command = [TORCH, "-m", "scripts.models", "capture", *missing, "-o", folder, "--dynamic", "--reference", "none"]
        subprocess.run([*map(str, command)], cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
    missing = [name for name in names if fresh or not source_of(name, folder).exists()]
    if missing:
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "originals.json"
            command = [TORCH, __file__, "--originals", ",".join(missing), out]
            subprocess.run([*map(str, command)], cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
            for name, found in json.loads(out.read_text("utf-8")).items():
                source_of(name, folder).write_text(json.dumps(found), "utf-8")


def captured(name: str, folder: Path) -> Path:
    return folder / f"{name.replace('/', '-')}-dynamic.pt2"


def source_of(name: str, folder: Path) -> Path:
    return folder / f"{name.replace('/', '-')}.original.json"


def originals(name: str) -> list[str]:
    """The source of the classes and functions that a model uses, in files' order; runs where PyTorch is."""
    import inspect
    import textwrap

    from torch import nn

    from scripts.models.catalogue import models

    module = models(name.partition("/")[0])[name].build()
    used = {type(part) for part in module.modules() if not type(part).__module__.startswith("torch.")}
    found: dict[tuple[str, int], str] = {}
    queue: list[Any] = list(used)
    seen: set[Any] = set()
    while queue:
        thing = inspect.unwrap(queue.pop())
        if thing in seen:
            continue
        seen.add(thing)
        try:
            lines, start = inspect.getsourcelines(thing)
        except OSError:
            continue  # made by other code, which stands elsewhere
        source = textwrap.dedent("".join(lines))
        found[thing.__module__, start] = source
        for node in ast.walk(ast.parse(source)):
            other = getattr(sys.modules[thing.__module__], node.id, None) if isinstance(node, ast.Name) else None
            own = getattr(other, "__module__", "") == thing.__module__
            if not own or not (inspect.isclass(other) or inspect.isfunction(other)):
                continue
            is_module = inspect.isclass(other) and issubclass(other, nn.Module)
            if not is_module or any(issubclass(each, other) for each in used):  # type: ignore[arg-type]
                queue.append(other)
    return [found[place] for place in sorted(found)]


# Both sides


def measure(name: str, folder: Path) -> Style:
    """Converts one captured model with the source of this checkout, and compares."""
    from torch2flow.conversion import convert

    author = plain("\n".join(json.loads(source_of(name, folder).read_text("utf-8"))))
    with tempfile.TemporaryDirectory() as place:
        result = convert(captured(name, folder), Path(place) / "out")
    assert result.model_source is not None, name
    ours = plain(result.model_source.text)
    style = Style(name, count(ours), count(author), len(classes(ours)), len(classes(author)), 0)
    for each in classes(ours).values():
        given = _parameters(each, "__init__")
        style.arguments += len(given)
        own = classes(author).get(original_name(each.name, author))
        known = set(_parameters(own, "__init__")) if own else set()
        style.placeholders += [
            f"{each.name}({argument})"
            for argument in given
            if PLACEHOLDER.fullmatch(argument) and argument not in known
        ]
        style.lies += [f"{each.name}: {text}" for text in (lies(each, own) if own else ())]
    return style


def plain(text: str) -> ast.Module:
    """A program without docstrings; parsing took the comments away."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(body, list) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return tree


def count(tree: ast.Module) -> int:
    """The lines that are not blank, as the formatter breaks them."""
    import black

    text = black.format_str(ast.unparse(tree), mode=black.Mode(line_length=100))
    return sum(bool(line.strip()) for line in text.splitlines())


def classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def original_name(name: str, author: ast.Module) -> str:
    """The author's class behind one of ours: `BertLayer2` is a `BertLayer`, `DenseLayer` a `_DenseLayer`."""
    bare = re.sub(r"_?\d+$", "", name)
    return next((each for each in (name, bare, f"_{name}", f"_{bare}") if each in classes(author)), name)


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == name), None)


def _parameters(node: ast.ClassDef, name: str) -> list[str]:
    method = _method(node, name)
    if method is None:
        return []
    return [each.arg for each in (*method.args.posonlyargs, *method.args.args[1:], *method.args.kwonlyargs)]


def lies(ours: ast.ClassDef, author: ast.ClassDef) -> Iterator[str]:
    """Assignments `x = self.child(x, ...)` where the author gives what `self.child` returns another name."""
    named: dict[str, set[str]] = {}
    for method in (node for node in author.body if isinstance(node, ast.FunctionDef)):
        for callee, target, _ in assigned_calls(method):
            named.setdefault(callee, set()).update(target)
    for method in (node for node in ours.body if isinstance(node, ast.FunctionDef)):
        for callee, targets, call in assigned_calls(method):
            given = {
                node.id for node in ast.walk(ast.Tuple([*call.args, *call.keywords])) if isinstance(node, ast.Name)
            }  # type: ignore[list-item]
            author_targets = named.get(callee, set())
            for target in targets:
                if target in given and author_targets and target not in author_targets:
                    yield f"{target} = {ast.unparse(call)} is {' or '.join(sorted(author_targets))}"


def assigned_calls(method: ast.FunctionDef) -> Iterator[tuple[str, list[str], ast.Call]]:
    """Each call of a child that is assigned: the child as `self.child`, the targets' names, and the call.

    A call of a loop's variable counts as one of what is looped over: `layer(x)` in `for layer in self.layers`.
    """
    looped: dict[str, str] = {}
    for node in ast.walk(method):
        if isinstance(node, ast.For | ast.comprehension):
            source = next((text for part in ast.walk(node.iter) if (text := _attribute(part))), "")
            for name in (part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)):
                looped[name] = source
    for node in ast.walk(method):
        if not isinstance(node, ast.Assign):
            continue
        value: ast.expr = node.value
        while isinstance(value, ast.Subscript):
            value = value.value
        if isinstance(value, ast.Call):
            function = value.func
            while isinstance(function, ast.Subscript):
                function = function.value
            callee = looped.get(function.id, "") if isinstance(function, ast.Name) else _attribute(function)
            targets = [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            if callee:
                yield callee, targets, value


def _attribute(node: ast.AST) -> str:
    """`self.child`, for such a node; "" for any other."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return f"self.{node.attr}"
    return ""


# The table


def table(measured: list[Style]) -> list[str]:
    """A table in Markdown with a last row of sums."""
    rows = [
        "| model | lines | original | classes | original | arguments | placeholders | names that lie |",
        "|---|---|---|---|---|---|---|---|",
    ]
    numbers = [
        (s.lines, s.original_lines, s.classes, s.original_classes, s.arguments, len(s.placeholders), len(s.lies))
        for s in measured
    ]
    rows += [_row(each.name, row) for each, row in zip(measured, numbers, strict=True)]
    if len(rows) > 3:
        rows.append(_row("together", tuple(map(sum, zip(*numbers, strict=True)))))
    return rows


def _row(name: str, numbers: tuple[int, ...]) -> str:
    return f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |"


if __name__ == "__main__":
    sys.exit(main())
