"""What the cases use to say how they are captured; `python programs.py FOLDER [NAME ...]` captures them.

A case is a file of `cases/`: the author's modules, one of them marked with `@program(...)`, then a line that starts
with MARKER, then the OneFlow source that they become.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.py"))

MARKER = "# -- becomes "
SEPARATOR = f"\n\n{MARKER}{'-' * (110 - len(MARKER))}\n# fmt: off\n\n"

BATCH = {0: ("batch",)}


@dataclass
class Program:
    """The author's module, and how it is captured.

    Attributes:
        make: makes the module.
        args, kwargs: what `forward` is called with.
        dynamic: names of the axes that stay dynamic, as `torch2flow.capture` takes them.
        train: captures in train mode.
        gradients: records gradients and a step of SGD, to compare them too.
        decompose: exports with `run_decompositions()`.
    """

    make: Callable[[], Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    dynamic: dict[int | str, Any] | None = None
    train: bool = False
    gradients: bool = True
    decompose: bool = False


def program(*args: Any, **options: Any) -> Callable[[type], type]:
    """Marks the module of a case that is captured; the arguments are those of its `forward`, `options` of `Program`."""

    def mark(kind: type) -> type:
        sys.modules[kind.__module__].program_of_case = Program(kind, args, **options)  # type: ignore[attr-defined]
        return kind

    return mark


def x(*sizes: int, seed: int = 1) -> Any:
    """A tensor of random numbers, the same in each run."""
    import torch

    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


def halves(name: str) -> tuple[str, str]:
    """The two parts of a case: what the author wrote, and what it becomes, which is "" where nothing is there yet."""
    given, _, expected = (CASES / f"{name}.py").read_text("utf-8").partition(SEPARATOR)
    return given.rstrip("\n") + "\n", expected


def write(name: str, expected: str) -> None:
    """Writes the second part of a case anew."""
    (CASES / f"{name}.py").write_text(halves(name)[0] + SEPARATOR + expected, "utf-8")


def load(name: str) -> Program:
    """Runs the first part of a case, where PyTorch is."""
    module = ModuleType(f"cases.{name}")
    sys.modules[module.__name__] = module
    exec(compile(halves(name)[0], CASES / f"{name}.py", "exec"), module.__dict__)
    found = module.program_of_case
    assert isinstance(found, Program)
    return found


def capture(name: str, folder: Path) -> None:
    """Writes `NAME.pt2`, its recording and `NAME.keys` into the folder, or `NAME.error` where that fails."""
    import torch

    import torch2flow

    each = load(name)
    torch.manual_seed(0)
    model = each.make()
    out = folder / f"{name}.pt2"
    options = {"dynamic": each.dynamic, "train": each.train, "gradients": each.gradients}
    try:
        torch2flow.capture(model, each.args, each.kwargs, out=out, reference="outputs", **options)
    except torch2flow.Torch2FlowError as error:
        out.with_suffix(".error").write_text(str(error))
        return
    out.with_suffix(".keys").write_text("\n".join(model.state_dict()))
    if each.decompose:
        exported = torch.export.export(model.eval(), each.args).run_decompositions()
        torch.export.save(exported, out)


def main(folder: Path, names: list[str]) -> None:
    for name in names or NAMES:
        capture(name, folder)


if __name__ == "__main__":
    sys.modules["programs"] = sys.modules[__name__]  # the cases import it
    main(Path(sys.argv[1]), sys.argv[2:])
