"""What a PyTorch model calls in one mode, and by which module's code; and how its two modes differ.

A mode of PyTorch's sees every call of its own functions, from a module or from the author's code alike, so that
`nn.Dropout`, `F.dropout2d(x)`, attention with `dropout_p` and an LSTM's own dropout are one kind of thing.
"""

from __future__ import annotations

import contextlib
import inspect
import random
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch2flow.proof.capture.author_functions import OwnApply, functions_through
from torch2flow.proof.capture.control_flow import DECISIONS, plain_control_flow
from torch2flow.proof.capture.exporting import fast_paths_off
from torch2flow.proof.capture.module_state import untouched, version_of
from torch2flow.proof.fixed_draws import NAMES, numbers
from torch2flow.proof.random_calls import RECURRENT, RandomCall, recurrent_rate
from torch2flow.proof.watching import CallStack, watched
from torch2flow.runtime.nested import leaves
from torch2flow.runtime.replaced_attributes import replaced_attributes

DROPOUT = {
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
                     "dropout_", "alpha_dropout_", "feature_dropout", "feature_dropout_", "feature_alpha_dropout_",
                     "native_dropout"), ("input", "p", "training", "inplace")),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask", "dropout_p"),
}  # fmt: skip
"""PyTorch's functions with dropout, whether written in Python or not, and the order of their parameters."""

NORMS = {"batch_norm": "training", "instance_norm": "use_input_stats"}
"""PyTorch's functions with running statistics, and which parameter says that those of the batch are taken."""

RANDOM = (
    *NAMES, "multinomial", "poisson", "rrelu", "rrelu_", "binomial", "fractional_max_pool2d",
    "fractional_max_pool3d",
)  # fmt: skip
"""Functions that draw random numbers for another purpose than dropout."""

PYTHONS_RANDOM = "Python's random numbers"
"""Stands for what draws from the module `random`, or from NumPy's generator, which no program holds."""

CALLER = "its caller"
"""Stands for who gets what the model returns."""

_QUESTIONS = ("__get__", "size", "dim", "numel", "is_floating_point", "__len__", "_set_grad_enabled")
"""Functions that compute nothing."""

_BY_MODE = ("rrelu", "rrelu_")
"""Other functions that are told the mode, and that a converted model calls by its own."""

_COUNTING = ("add_", "__iadd__", "__float__", "item")
"""What a norm does with its number of batches, in train mode alone."""


class Origins:
    """Where tensors come from: the name of a weight, or the call that made one.

    Args:
        torch: the module `torch`.
        module: whose weights have names.
    """

    def __init__(self, torch: Any, module: Any) -> None:
        self.torch = torch
        self._known: dict[int, tuple[Any, str]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            self._keep(tensor, name)

    def _keep(self, tensor: Any, origin: str) -> None:
        self._known[id(tensor)] = weakref.ref(tensor), origin

    def of(self, value: Any) -> str:
        """Of one tensor; "" where it is not known, as that of an input."""
        held, origin = self._known.get(id(value), (None, ""))
        return origin if held is not None and held() is value else ""

    def outline(self, value: Any) -> str:
        """Those of all tensors in a nested value, and how it is nested."""
        leaves, form = self.torch.utils._pytree.tree_flatten(value)
        return f"{form} {[self.of(leaf) if isinstance(leaf, self.torch.Tensor) else type(leaf) for leaf in leaves]}"

    def made(self, made: Any, path: str, name: str) -> None:
        """Notes what a call of a function in a module made."""
        number = self._counts[path, name] = self._counts[path, name] + 1
        for place, leaf in enumerate(self.torch.utils._pytree.tree_flatten(made)[0]):
            if isinstance(leaf, self.torch.Tensor):
                self._keep(leaf, f"{path}:{name}:{number}:{place}")

    def passed(self, made: Any, given: Any) -> None:
        """Notes what dropout made: it is what it was given, as far as the mode does not drop."""
        if isinstance(made, self.torch.Tensor) and made is not given:
            self._keep(made, self.of(given))


class Readers:
    """Which calls the result of a run depends on, by the storages of the tensors that each call reads and writes.

    Args:
        torch: the module `torch`.
        module: what runs; what it holds is read by others.
        call: its inputs, which are their owner's.
    """

    def __init__(self, torch: Any, module: Any, call: Any) -> None:
        self.torch = torch
        owned = [value for part in module.modules() for name, value in vars(part).items() if name != "_modules"]
        self._held = self._storages([owned, call])
        self._rows: list[tuple[set[int], set[int]]] = []
        self.draws: list[int] = []  # the numbers of the calls of random functions

    def _tensors(self, value: Any) -> list[Any]:
        parts = self.torch.utils._pytree.tree_flatten(value)[0]
        return [part for part in parts if isinstance(part, self.torch.Tensor)]

    def _storages(self, value: Any) -> set[int]:
        """The storages of all tensors in a nested value; 0 stands for that of a tensor that has none."""
        found = set()
        for tensor in self._tensors(value):
            try:
                storage = getattr(tensor, "untyped_storage", tensor.storage)  # PyTorch 1.13 has the latter alone
                found.add(storage()._cdata)
            except (NotImplementedError, RuntimeError):  # a sparse tensor, or one of a transform
                found.add(0)
        return found

    def called(self, function: Any, args: Any, kwargs: Any, *, draws: bool) -> Any:
        """Calls a function, and notes what it reads and writes."""
        self.draws += [len(self._rows)] * draws
        given = self._tensors((args, kwargs))
        reads, before = self._storages(given), [version_of(each) for each in given]
        made = function(*args, **kwargs)
        written = [each for each, version in zip(given, before, strict=True) if version_of(each) != version]
        self._rows.append((reads, self._storages((made, written))))
        return made

    def unread(self, made: Any) -> set[int]:
        """The numbers of the calls that neither what the module gives nor what it holds depends on.

        There are none where something depends on a value that no call has made, as far as calls were seen.
        """
        live, unread = self._storages([*leaves(made)]) | self._held, set()
        for number, (reads, writes) in reversed([*enumerate(self._rows)]):
            if writes and not writes & live:
                unread.add(number)
            else:
                live = (live - (writes - reads - {0})) | reads
        return unread if live <= self._held else set()


Calls = Counter[tuple[str, str, str]]
"""How often each function was called: the path of the module, the function, and what tells its calls apart."""


@dataclass
class ModeCalls:
    """The calls of one run.

    Attributes:
        random: of functions that drop or draw, in order.
        norms: of functions with running statistics: the path, the function, and whether it takes those of the batch.
        functions: how often each function was called at each path, with the numbers that it was given.
        sources: the same, with where the tensors come from that it was given; and that of what the model returns.
        backwards: the path and the class of each `torch.autograd.Function`.
        writes: whether parameters or buffers hold something else after the run.
    """

    random: list[RandomCall] = field(default_factory=list)
    norms: list[tuple[str, str, bool]] = field(default_factory=list)
    functions: Calls = field(default_factory=Counter)
    sources: Calls = field(default_factory=Counter)
    backwards: list[tuple[str, str]] = field(default_factory=list)
    writes: bool = False


def mode_calls(
    torch: Any,
    module: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    train: bool,
    everything: bool = False,
) -> ModeCalls:
    """What a module calls in one mode, dropout active; the module stays as it is.

    Args:
        torch: the module `torch`.
        module: what is run.
        args: positional inputs, which the module may write into.
        kwargs: keyword inputs.
        train: the mode.
        everything: of a `torch.cond` run both branches, as a program has both.

    Raises:
        Exception: whatever the module raises.
    """
    calls, stack = ModeCalls(), CallStack()
    plain = plain_control_flow(torch, everything=everything)
    surroundings = (torch.no_grad(), fast_paths_off(torch), plain, watched(module, stack))
    with untouched(torch, module) as changed, contextlib.ExitStack() as entered:
        for each in surroundings:
            entered.enter_context(each)
        module.train(train)
        before, state = _generators(), random.getstate()
        origins = Origins(torch, module)
        readers = Readers(torch, module, (args, kwargs))
        with _mode(torch, calls, stack, origins, readers), _backwards_noted(torch, calls, stack):
            made = module(*args, **kwargs)
        unread = readers.unread(made)
        calls.random = [
            call._replace(read=number not in unread) for call, number in zip(calls.random, readers.draws, strict=True)
        ]
        calls.sources["", CALLER, origins.outline(made)] += 1
        if _generators() != before:
            random.setstate(state)
            calls.functions["", PYTHONS_RANDOM, ""] += 1
    calls.writes = bool(changed)
    return calls


def _generators() -> str:
    """The state of the generators of `random` and NumPy."""
    import numpy as np

    state: Any = np.random.get_state()
    return repr((random.getstate(), state[1].tobytes(), state[2]))


def calls_by_mode(torch: Any, module: Any, inputs: Callable[[], Any], seed: int) -> dict[str, ModeCalls]:
    """What a module calls in each mode; nothing for one in which it does not run, which the recording tells.

    Args:
        torch: the module `torch`.
        module: what is run.
        inputs: gives the positional and keyword inputs, which the module may write into.
        seed: of PyTorch's generator before each run.
    """
    found: dict[str, ModeCalls] = {}
    DECISIONS.clear()
    for mode in ("eval", "train"):
        with contextlib.suppress(Exception):
            torch.manual_seed(seed)
            found[mode] = mode_calls(torch, module, *inputs(), train=mode == "train", everything=True)
    return found


def draws_in_python(calls: ModeCalls | None) -> bool:
    """Whether a model draws random numbers that are not PyTorch's."""
    return calls is not None and any(function == PYTHONS_RANDOM for _, function, _ in calls.functions)


def facts_of_modes(module: Any, modes: Mapping[str, ModeCalls], *, train: bool) -> dict[str, Any]:
    """What the program of one mode does not say of the other, as plain data."""
    here, there = (modes.get("train" if mode else "eval") for mode in (train, not train))
    dropout = [call for call in there.random if call.kind == "dropout"] if there else []
    kinds = {path: type(part).__name__ for path, part in module.named_modules()}
    rows = differences(here, there) if here and there else []
    return {
        "dropout": [[call.path, call.function, call.rate] for call in dropout],
        "norms": [list(row) for row in there.norms] if there else [],
        "other_mode": [[path, kinds.get(path, ""), more, fewer] for path, more, fewer in rows],
        "backwards": [list(row) for row in dict.fromkeys(each for calls in modes.values() for each in calls.backwards)],
    }


def differences(here: ModeCalls, other: ModeCalls) -> list[tuple[str, list[str], list[str]]]:
    """Where two modes call other functions: the path, what only the other mode calls, and what only this one does."""
    return _differing(here, here.functions, other.functions) or _differing(here, here.sources, other.sources)


def _differing(here: ModeCalls, mine: Calls, theirs: Calls) -> list[tuple[str, list[str], list[str]]]:
    rows: dict[str, tuple[list[str], list[str]]] = {}
    norms = {path for path, _, _ in here.norms}
    for column, found in enumerate((theirs - mine, mine - theirs)):
        for path, function, _ in found:
            if path in norms and function in _COUNTING:
                continue
            names = rows.setdefault(path, ([], []))[column]
            if function not in names:
                names.append(function)
    return [(path, *names) for path, names in rows.items()]


def _drawn(torch: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """Calls a random function, and puts fixed numbers in the place of what it drew."""
    if func.__name__ == "gumbel_softmax":  # which draws inside, where no mode sees it
        with _fixed_exponential(torch):
            return func(*args, **kwargs)
    made = func(*args, **kwargs)
    with torch._C.DisableTorchFunction(), torch.no_grad():  # float32 means float32 here, see `double_mode`
        fixed = numbers(torch, func.__name__, made, args, kwargs)
        if fixed is not None:
            made.copy_(fixed)
    return made


def _fixed_exponential(torch: Any) -> contextlib.AbstractContextManager[None]:
    """A context in which `x.exponential_()` gives fixed numbers."""
    original = torch.Tensor.exponential_

    def exponential_(*args: Any, **kwargs: Any) -> Any:
        return _drawn(torch, original, args, kwargs)

    return replaced_attributes((torch.Tensor, "exponential_", exponential_))


def nothing_dropped(torch: Any) -> Any:
    """A context in which nothing is dropped, in whatever mode the model is, and draws give fixed numbers."""
    return _mode(torch, ModeCalls(), CallStack())


def _mode(
    torch: Any, calls: ModeCalls, stack: CallStack, origins: Origins | None = None, readers: Readers | None = None
) -> Any:
    """Sees all calls; where they are only to be noted, what drops drops, and what draws draws."""

    class CallMode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs, name = kwargs or {}, getattr(func, "__name__", "")
            rate, without = _dropout(func, args, kwargs)
            numbers = ""
            if without is not None:
                calls.random.append(RandomCall(stack.path, "dropout", rate, name))
                if rate and readers is None:
                    args, kwargs = without
            elif name in NORMS:
                _note_norm(func, args, kwargs, calls, stack.path)
            else:
                if name in RANDOM:
                    calls.random.append(RandomCall(stack.path, name, 0.0))
                    if readers is None:
                        return _drawn(torch, func, args, kwargs)
                given = () if name in _BY_MODE else (*args, *kwargs.values())
                numbers = repr([each for each in given if type(each) in (int, float, bool, str)])
            if name in _QUESTIONS or origins is None or readers is None:
                return func(*args, **kwargs)
            path, tensors = stack.path, [each for each in args if isinstance(each, torch.Tensor)]
            calls.functions[path, name, numbers] += 1
            calls.sources[path, name, repr([origins.of(each) for each in tensors])] += 1
            made = readers.called(func, args, kwargs, draws=without is not None or name in RANDOM)
            if without is not None and tensors and name in DROPOUT and name != "scaled_dot_product_attention":
                origins.passed(made, tensors[0])
            else:
                origins.made(made, path, name)
            return made

    return CallMode()


def _note_norm(func: Any, args: Any, kwargs: Any, calls: ModeCalls, path: str) -> None:
    """Notes whether a norm with running statistics takes those of the batch."""
    names: tuple[str, ...] = ("input", "weight", "bias", "running_mean", "running_var", NORMS[func.__name__])
    if inspect.isfunction(func):
        names = tuple(inspect.signature(func).parameters)
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if given.get("running_mean") is not None:
        flag = given.get(NORMS[func.__name__], func.__name__ == "instance_norm")
        calls.norms.append((path, func.__name__, bool(flag)))


def _backwards_noted(torch: Any, calls: ModeCalls, stack: CallStack) -> contextlib.AbstractContextManager[None]:
    """A context that notes each use of an author's `torch.autograd.Function`."""

    def noted(cls: Any, own: OwnApply, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        calls.backwards.append((stack.path, cls.__name__))
        return own(cls)(*args, **kwargs)

    return functions_through(torch, noted)


def _dropout(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, Any]:
    """The rate of a call of dropout, 0 if it is told not to drop, and the arguments with which it drops nothing.

    The arguments of any other call are None.
    """
    name = getattr(func, "__name__", "")
    if name in RECURRENT:
        at, rate = recurrent_rate(args)
        return rate, ((*args[:at], 0.0, *args[at + 1 :]), kwargs)
    if name == "multi_head_attention_forward":
        bound = inspect.signature(func).bind(*args, **kwargs)
        bound.apply_defaults()
        rate = bound.arguments["dropout_p"] if bound.arguments["training"] else 0.0
        bound.arguments["dropout_p"] = 0.0
        return rate, (bound.args, bound.kwargs)
    names = DROPOUT.get(name)
    if names is None:
        return 0.0, None
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    key = "dropout_p" if "dropout_p" in names else "p"
    active = given.get("training", given.get("train", True))
    rate = given.get(key, 0.0 if key == "dropout_p" else 0.5) if active else 0.0
    place = names.index(key)
    if place < len(args):
        return float(rate or 0.0), ((*args[:place], 0.0, *args[place + 1 :]), kwargs)
    return float(rate or 0.0), (args, {**kwargs, key: 0.0})
