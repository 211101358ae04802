"""Finds the model that `package.module:factory` names, and builds it.

    torchvision.models:resnet18                     a function or class, called without arguments
    torchvision.models:resnet18(weights=None)       with constants as arguments
    project/nets.py:Net(width=64)                   out of a file
    project.nets:model                              a module that exists already

This runs the user's code, which may raise anything and even exit: each way to fail is one error.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch2flow.errors import FormatError, Torch2FlowError, UsageError

GRAMMAR = "write package.module:factory, such as torchvision.models:resnet18 or nets.py:Net(width=64)"

_FACTORY = re.compile(r"(?P<module>[^:()]+):(?P<path>\w+(?:\.\w+)*)\s*(?P<call>\(.*\))?", re.S)


def parse_factory(text: str) -> tuple[str, str, list[Any] | None, dict[str, Any]]:
    """The module, the dotted path in it, and the arguments: None where no parentheses are written.

    Raises:
        UsageError: it is not of that form, or an argument is no constant.
    """
    match = _FACTORY.fullmatch(text.strip())
    if not match:
        raise UsageError("The model is not named as one.", where=repr(text), remedy=GRAMMAR)
    if match["call"] is None:
        return match["module"], match["path"], None, {}
    try:
        call = ast.parse(f"f{match['call']}", mode="eval").body
        if (
            not isinstance(call, ast.Call)
            or not isinstance(call.func, ast.Name)
            or any(word.arg is None for word in call.keywords)
        ):
            raise ValueError("more than one call, or stars")
        args = [ast.literal_eval(argument) for argument in call.args]
        return match["module"], match["path"], args, {str(w.arg): ast.literal_eval(w.value) for w in call.keywords}
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UsageError(
            "The arguments of the factory are no constants.",
            where=repr(text),
            maybe=str(error),
            remedy="numbers, strings, True, None, and lists and dicts of those; for more, write a function of your own",
        ) from None


def build(text: str, given: Mapping[str, Any] | None = None) -> Any:
    """The object that a factory gives. A module that is not installed is looked for in the current folder.

    Only then: who names `torchvision.models` does not mean a torchvision.py that lies in a downloaded repository.

    Args:
        text: the factory.
        given: more arguments for it, by keyword.

    Raises:
        UsageError: the module or the name is not there, or the code raises.
    """
    module_name, path, args, kwargs = parse_factory(text)
    if not module_name.endswith(".py") and not _is_installed(module_name.partition(".")[0]):
        sys.path.insert(0, str(Path.cwd()))
    found: Any = _import(module_name, text)
    for number, part in enumerate(path.split(".")):
        try:
            found = getattr(found, part)
        except Exception as error:
            if not isinstance(error, AttributeError):
                raise raised(f"Looking for {part!r} raised", error, text) from None
            above = ".".join([module_name, *path.split(".")[:number]])
            near = get_close_matches(part, (name for name in dir(found) if not name.startswith("_")), 3)
            raise UsageError(
                f"There is no {part!r} in {above}.",
                where=repr(text),
                remedy=f"did you mean {' or '.join(near)}?" if near else GRAMMAR,
            ) from None
    if args is None and not given and (not callable(found) or _is_module(found)):
        return found
    try:
        return found(*args or (), **{**kwargs, **(given or {})})
    except (Exception, SystemExit) as error:
        raise raised("The factory raised", error, text) from None


def build_with_inputs(
    kind: type, text: str, given: Mapping[str, Any] | None = None
) -> tuple[Any, tuple[tuple[Any, ...], dict[str, Any]] | None]:
    """The module that a factory gives, and its inputs, where the factory gives these too.

    Args:
        kind: the class `nn.Module` of PyTorch or OneFlow.
        text: the factory: it gives a module, or `model, args`, or `model, args, kwargs`.
        given: more arguments for it, by keyword.

    Raises:
        UsageError: as `build`, or it gives something else.
    """
    found, call = build(text, given), None
    if isinstance(found, tuple) and 2 <= len(found) <= 3 and isinstance(found[1], list | tuple):
        call = (tuple(found[1]), dict(found[2]) if len(found) == 3 else {})
        found = found[0]
    if not isinstance(found, kind):
        raise UsageError(
            f"What {text} gives is no {kind.__module__.partition('.')[0]}.nn.Module.",
            remedy="name a function that returns one, or one and the inputs for it: model, args",
        )
    return found, call


def _is_installed(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _is_module(value: Any) -> bool:
    names = {f"{kind.__module__}.{kind.__name__}" for kind in type(value).__mro__}
    return not names.isdisjoint(_MODULES)


_MODULES = ("torch.nn.modules.module.Module", "oneflow.nn.modules.module.Module")


def _import(name: str, text: str) -> Any:
    try:
        if not name.endswith(".py"):
            return importlib.import_module(name)
        file = Path(name)
        if not file.is_file():
            raise FormatError("The file with the model is not there.", where=name, remedy=GRAMMAR)
        # With its folder on the path, as `python file.py` would have it, and by its own name unless that is taken.
        loaded = sys.modules.get(file.stem)
        if loaded is not None and Path(getattr(loaded, "__file__", None) or "").resolve() == file.resolve():
            return loaded
        sys.path.insert(0, str(file.resolve().parent))
        own = file.stem if loaded is None else f"_captured_{file.stem}"
        spec = importlib.util.spec_from_file_location(own, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[own] = module
        spec.loader.exec_module(module)
        return module
    except Torch2FlowError:
        raise
    except (Exception, SystemExit) as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise UsageError(
                f"There is no module {missing!r}.",
                where=repr(text),
                maybe="it is not installed for this Python, or you are in another folder",
                remedy=f"install it, change the folder, or set PYTHONPATH; {GRAMMAR}",
            ) from None
        raise raised(f"Importing {name} raised", error, text) from None


def raised(what: str, error: BaseException, where: str) -> Torch2FlowError:
    """An exception of the user's code as an error of ours: its type, its first lines, and the line it is from."""
    cause = _deepest(error)
    because = "" if cause is error else f"\n    because of {in_words(cause, 300)}"
    maybe, remedy = next((row[1:] for row in IMPORTS if row[0] in str(cause)), ("", ""))
    return UsageError(
        f"{what} {in_words(error)}{because}", where=f"{where}{place_of(error)}", maybe=maybe, remedy=remedy
    )


IMPORTS = (
    (
        "operator torchvision::",
        "torchvision and torch are of different builds: one is for CUDA, and the other for the CPU",
        "install both anew, by one command and from one place",
    ),
    (
        "numpy.core.multiarray failed to import",
        "a library was built for another NumPy than the one that is installed",
        "update that library, or install 'numpy<2'",
    ),
)
"""What libraries say when they don't fit one another: a part of the message, what it means, what to do."""


def _deepest(error: BaseException) -> BaseException:
    """The exception that it all began with: libraries that import others on demand hide it behind their own."""
    seen = {id(error)}
    while (inner := error.__cause__) is not None and id(inner) not in seen:
        error = inner
        seen.add(id(error))
    return error


def in_words(error: BaseException, longest: int = 600) -> str:
    """The type and the message of an exception, shortened."""
    text = "\n".join(line for line in str(error).strip().splitlines() if line.strip())
    text = text if len(text) <= longest else f"{text[:longest]} ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_LIBRARIES = frozenset({"torch", "oneflow", "flow_compat.py"})


def place_of(error: BaseException) -> str:
    """`, nets.py:12 in forward`: the innermost line that is no library's and not ours, or ""."""
    frame = _innermost(error)
    return f", {_short(Path(frame.filename))}:{frame.lineno} in {frame.name}" if frame else ""


def line_of(error: BaseException) -> str:
    """What that line says."""
    frame = _innermost(error)
    return (frame.line or "").strip() if frame else ""


def _innermost(error: BaseException) -> traceback.FrameSummary | None:
    own = Path(__file__).resolve().parents[2]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if not _LIBRARIES.isdisjoint(file.parts) or file.is_relative_to(own) or frame.filename.startswith("<"):
            continue
        if "importlib" in file.parts or "_pytest" in file.parts:
            continue
        return frame
    return None


def _short(file: Path) -> Path:
    """A path as it is known: from the installed package on, or from here; never the whole of it."""
    if "site-packages" in file.parts:
        return Path(*file.parts[file.parts.index("site-packages") + 1 :])
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else Path(*file.parts[-2:])


def unwrapped(module: Any) -> Any:
    """The author's module in what `torch.compile`, `DataParallel` and `DistributedDataParallel` make of it."""
    while True:
        inside = dict(module.named_children())
        if list(inside) == ["_orig_mod"] or (list(inside) == ["module"] and "Parallel" in type(module).__name__):
            (module,) = inside.values()
        else:
            return module
