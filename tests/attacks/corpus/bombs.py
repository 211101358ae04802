"""Small files that unfold: depth, sharing, copies, collisions. Each must end soon and in little memory."""

# ruff: noqa: E501 - tables: one attack a line
from __future__ import annotations

import struct
from pathlib import Path

from . import attack
from .build import (
    call,
    dict_of,
    get,
    list_of,
    name,
    number,
    numbers,
    put,
    stream,
    tensor,
    text,
    torch_zip,
    tuple_of,
)

CALLS = 100_000
LONG = "x" * (1 << 20)


def save(folder: Path, body: bytes, protocol: int = 2) -> Path:
    """A plain pickle."""
    path = folder / "model.pkl"
    path.write_bytes(stream(body, protocol))
    return path


def save_zip(folder: Path, body: bytes) -> Path:
    """A file of torch.save."""
    path = folder / "model.pth"
    path.write_bytes(torch_zip(body))
    return path


# -- depth -------------------------------------------------------------------------------------------------------


@attack(refused="a key of more than 64 nested parts", memory=512)
def tuple_2_million_deep_as_key(folder: Path) -> Path:
    """Hashing it recurses in C: CPython, PyTorch 1.13 and 2.13 (weights_only too) end by SIGSEGV."""
    return save(folder, b"})" + b"\x85" * 2_000_000 + b"Ns")


@attack(refused="a key of more than 64 nested parts")
def frozenset_deep_as_key(folder: Path) -> Path:
    """The same with frozensets, which hash their members at once."""
    return save(folder, b"(" * 100_000 + b"\x91" * 100_000, 4)


@attack(refused="levels deep")
def list_300_000_deep(folder: Path) -> Path:
    """Whatever walks it by recursion overflows the stack."""
    return save(folder, b"]" * 300_000 + b"a" * 299_999)


@attack(refused="levels deep", memory=512)
def dict_300_000_deep(folder: Path) -> Path:
    """The same with dictionaries."""
    return save(folder, b"}" + (text("k") + b"}") * 300_000 + b"s" * 300_000)


@attack(refused="levels deep", memory=512)
def deque_deep(folder: Path) -> Path:
    """The same with deques, which few walkers look into."""
    deque = call("collections.deque")
    return save(folder, deque * 50_000 + b"a" * 49_999)


@attack(refused="levels deep", memory=512)
def object_state_deep(folder: Path) -> Path:
    """Unknown objects, each in the state of the next."""
    return save(folder, call("a.B") * 100_000 + b"b" * 99_999)


@attack(refused="nested too deep", memory=768)
def modules_100_000_deep(folder: Path) -> Path:
    """A pickled nn.Module nested 100,000 deep: `state_dict` recurses."""
    module = name("torch.nn.Module") + b")\x81}" + text("_parameters") + b"}s" + text("_buffers") + b"}s"
    opened = module + text("_modules") + b"}" + text("child")
    closed = b"s" + b"s" + b"b"
    return save(folder, opened * 100_000 + b"N" + closed * 100_000)


@attack(refused="holds itself")
def list_in_itself(folder: Path) -> Path:
    """A list that is its own member."""
    return save(folder, b"]" + put(0) + get(0) + b"a")


@attack(refused="holds itself")
def dict_in_itself(folder: Path) -> Path:
    """A dictionary that is its own value, two levels down."""
    return save(folder, b"}" + put(0) + text("a") + list_of(get(0)) + b"s")


@attack(reports=("a.B",))
def object_in_its_state(folder: Path) -> Path:
    """An object that is part of its own state, as a child that knows its parent is."""
    return save(folder, call("a.B") + put(0) + dict_of((text("parent"), get(0))) + b"b")


@attack(refused="nested too deep")
def module_in_itself(folder: Path) -> Path:
    """A pickled nn.Module that is its own child."""
    state = ((text("_parameters"), b"}"), (text("_modules"), dict_of((text("self"), get(0)))))
    return save(folder, name("torch.nn.Module") + b")\x81" + put(0) + dict_of(*state) + b"b")


@attack(refused="calls itself")
def rebuild_from_type_in_itself(folder: Path) -> Path:
    """`_rebuild_from_type_v2` that is told to call itself, ten thousand levels deep."""
    function = name("torch._tensor._rebuild_from_type_v2")
    opened = b"(" + function + name("torch.Tensor")
    return save(folder, function + opened * 10_000 + b")" + b"Nt" * 10_000 + b"R")


# -- sharing -----------------------------------------------------------------------------------------------------


def doubled(inner: bytes, levels: int, pair: str = "list") -> bytes:
    """`x = [x, x]`, again and again: 2**levels leaves in a few hundred bytes."""
    body = inner + put(0)
    for level in range(levels):
        one, other = get(level), get(level)
        made = {
            "list": list_of(one, other),
            "tuple": tuple_of(one, other),
            "dict": dict_of((text("a"), one), (text("b"), other)),
            "object": call("a.B") + tuple_of(one, other) + b"b",
            "module": call("torch.nn.Module")
            + dict_of((text("_parameters"), b"}"), (text("_modules"), dict_of((text("a"), one), (text("b"), other))))
            + b"b",
        }[pair]
        body += made + put(level + 1)
    return body


for _pair in ("list", "tuple", "dict", "object", "module"):

    def _dag(folder: Path, pair: str = _pair) -> Path:
        leaf = tensor()
        if pair == "module":
            parameters = dict_of((text("_parameters"), dict_of((text("w"), tensor()))), (text("_modules"), b"}"))
            leaf = call("torch.nn.Module") + parameters + b"b"
        return save_zip(folder, doubled(leaf, 60, pair))

    attack(
        refused="unfolds to more than",
        name=f"dag_of_{_pair}s_60_levels",
        tries=f"Sixty levels of {_pair}s that hold the level below twice: 2**60 leaves in 2 KB; flow.load never ends.",
    )(_dag)


@attack(refused="unfolds to more than")
def dag_without_tensors(folder: Path) -> Path:
    """The same without a tensor in it."""
    return save(folder, doubled(number(1), 60, "list"))


@attack(refused="unfolds to more than")
def dag_wide(folder: Path) -> Path:
    """Five levels of lists that hold the level below ten thousand times: 10**20 leaves in 200 KB."""
    body = number(1) + put(0)
    for level in range(5):
        body += list_of(*[get(level)] * 10_000) + put(level + 1)
    return save(folder, body)


@attack(refused="unfolds to more than")
def dag_wide_dicts(folder: Path) -> Path:
    """The same with dictionaries under the usual name: the search for a state dict must not walk it."""
    body = number(1) + put(0)
    for level in range(5):
        body += dict_of(*((number(key), get(level)) for key in range(5000))) + put(level + 1)
    return save(folder, body + put(99) + b"0" + dict_of((text("state_dict"), get(99))))


@attack(memory=512)
def dag_beside_the_state_dict(folder: Path) -> Path:
    """A sound state dict, and beside it dictionaries that are never walked to their end: `--tree` shows all."""
    body = number(1) + put(0)
    for level in range(5):
        body += dict_of(*((number(key), get(level)) for key in range(5000))) + put(level + 1)
    parts = ((text("x"), get(99)), (text("state_dict"), dict_of((text("w"), tensor()))))
    return save_zip(folder, body + put(99) + b"0" + dict_of(*parts))


@attack(refused="unfolds to more than")
def same_name_again_and_again(folder: Path) -> Path:
    """A million paths that all spell `a.a.a...`: `{"a": x, "a.a": y}` in levels."""
    body = dict_of((text("a"), tensor())) + put(0) + dict_of((text("a"), get(0))) + put(1)
    for level in range(2, 40):
        body += dict_of((text("a"), get(level - 1)), (text("a.a"), get(level - 2))) + put(level)
    return save_zip(folder, body)


@attack()
def same_name_thousands_of_times(folder: Path) -> Path:
    """Some 6,000 tensors with one dotted name: giving each its own must not be quadratic."""
    body = dict_of((text("a"), tensor())) + put(0) + dict_of((text("a"), get(0))) + put(1)
    for level in range(2, 19):
        body += dict_of((text("a"), get(level - 1)), (text("a.a"), get(level - 2))) + put(level)
    return save_zip(folder, body)


@attack(refused="is longer than")
def long_names_nested(folder: Path) -> Path:
    """One key of a megabyte, memoised, at each of a hundred levels: every dotted name would take 100 MB."""
    body = text(LONG) + put(0) + b"0}" + (get(0) + b"}") * 100 + dict_of((get(0), tensor())).removeprefix(b"}")
    return save_zip(folder, body + b"s" * 100)


@attack(refused="is longer than")
def long_names_of_modules(folder: Path) -> Path:
    """The same with modules, whose names are put together elsewhere."""
    opened = call("torch.nn.Module") + b"}" + text("_parameters") + dict_of((get(0), tensor())) + b"s"
    opened += text("_modules") + b"}" + get(0)
    return save_zip(folder, text(LONG) + put(0) + b"0" + opened * 100 + b"N" + b"ssb" * 100)


@attack(refused="is longer than")
def key_of_long_strings(folder: Path) -> Path:
    """A tuple of sixty memoised megabytes as a key: sixty megabytes as soon as it is a name."""
    return save_zip(folder, text(LONG) + put(0) + b"0" + dict_of((tuple_of(*[get(0)] * 60), tensor())))


# -- text of deep or shared data ----------------------------------------------------------------------------------

STRINGIFIED = {
    "storage_key": ("no storage", lambda bomb: tensor(data=tuple_of(text("storage"), name("torch.FloatStorage"), bomb, text("cpu"), number(4)) + b"Q")),
    "storage_class": ("no storage", lambda bomb: tuple_of(text("storage"), bomb, text("0"), text("cpu"), number(4)) + b"Q"),
    "dtype": ("unknown element type", lambda bomb: call("torch._utils._rebuild_meta_tensor_no_storage", bomb, numbers((4,)), numbers((1,)), b"\x89")),
    "layout": ("never wrote", lambda bomb: call("torch._utils._rebuild_sparse_tensor", bomb, tuple_of(tensor(), tensor(), numbers((4,))))),
    "layout_name": (None, lambda bomb: call("torch.serialization._get_layout", bomb)),
    "scheme": (0, lambda bomb: call("torch._utils._rebuild_qtensor", storage_of_ints(), number(0), numbers((4,)), numbers((1,)), tuple_of(bomb, number(1), number(0)))),
    "subclass": (0, lambda bomb: call("torch._utils._rebuild_wrapper_subclass", bomb, name("torch.float32"), numbers((4,)), numbers((1,)), number(0), b"N", b"N")),
}  # fmt: skip
"""Places where a name is expected: text made of a shared or deep object never ends."""


def storage_of_ints() -> bytes:
    """The persistent id of sixteen quantized bytes."""
    return tuple_of(text("storage"), name("torch.QInt8Storage"), text("0"), text("cpu"), number(16)) + b"Q"


for _place, (_refused, _make) in STRINGIFIED.items():
    for _kind, _bomb in (("shared", doubled(number(1), 60)), ("deep", b"]" * 20_000 + b"a" * 19_999)):

        def _text_of(folder: Path, make=_make, bomb: bytes = _bomb) -> Path:  # type: ignore[no-untyped-def]
            return save_zip(folder, bomb + put(99) + b"0" + make(get(99)))

        attack(
            refused=_refused or None,
            convert=(0,) if _refused is None else (4,),
            name=f"{_kind}_list_as_{_place}",
            tries=f"A {_kind} list where a {_place.replace('_', ' ')} is expected: `str()` of it does not end.",
        )(_text_of)


# -- copies --------------------------------------------------------------------------------------------------------


def repeated(value: bytes, each: bytes) -> bytes:
    """`value` memoised at 0, then a list of `each`, many times."""
    return value + put(0) + b"0" + b"](" + each * CALLS + b"e"


BIG_TUPLE = b"(" + b"N" * (1 << 20) + b"t"
DTYPE = call("numpy.dtype", text("S1048576"), b"\x89", b"\x88")
EMPTY_ARRAY = call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), tuple_of(number(0)), text("b"))

COPIES = {
    "encode": (text(LONG), call("_codecs.encode", get(0), text("latin1"))),
    "bytearray": (text(LONG), call("builtins.bytearray", get(0), text("latin1"))),
    "list": (BIG_TUPLE, call("builtins.list", get(0))),
    "tuple": (list_of(b"N" * (1 << 20)), call("builtins.tuple", get(0))),
    "deque": (BIG_TUPLE, call("collections.deque", get(0))),
    "set": (tuple_of(*(number(n) for n in range(100_000))), call("builtins.set", get(0))),
    "dict": (dict_of(*((number(n), b"N") for n in range(100_000))), call("builtins.dict", get(0))),
    "ordered_dict": (dict_of(*((number(n), b"N") for n in range(100_000))), call("collections.OrderedDict", get(0))),
    "counter": (dict_of(*((number(n), number(n)) for n in range(100_000))), call("collections.Counter", get(0))),
    "size": (BIG_TUPLE, call("torch.Size", get(0))),
    "typed_storage": (BIG_TUPLE, name("torch.storage.TypedStorage") + get(0) + b"R"),
    "buffer": (BIG_TUPLE, name("torch.nn.parameter.Buffer") + get(0) + b"R"),
    "newobj_ex": (BIG_TUPLE, name("a.B") + get(0) + dict_of((text("k"), b"N")) + b"\x92"),
    "call_of_an_object": (BIG_TUPLE, call("a.B") + get(0) + b"R"),
    "meta_shape": (
        BIG_TUPLE,
        call("torch._utils._rebuild_meta_tensor_no_storage", name("torch.float32"), get(0), get(0), b"\x89"),
    ),
    "quantizer": (
        BIG_TUPLE,
        call("torch._utils._rebuild_qtensor", storage_of_ints(), number(0), numbers((4,)), numbers((1,)), get(0)),
    ),
    "tensor_state": (
        dict_of(*((number(n), b"N") for n in range(100_000))),
        call("torch._tensor._rebuild_from_type_v2", name("torch._utils._rebuild_wrapper_subclass"), name("a.B"), tuple_of(name("a.B"), name("torch.float32"), numbers((4,)), numbers((1,)), number(0), b"N", b"N"), get(0)),
    ),
    "numpy_state": (
        text(LONG),
        EMPTY_ARRAY + tuple_of(number(1), b")", DTYPE, b"\x89", get(0)) + b"b",
    ),
    "numpy_scalar": (text(LONG), call("numpy.core.multiarray.scalar", DTYPE, get(0))),
    "global_name": (text(LONG), get(0) + get(0) + b"\x93"),
}  # fmt: skip

REFUSED = {"meta_shape": "1048576 dimensions", "quantizer": "a quantizer that PyTorch never wrote"}

for _what, (_value, _each) in COPIES.items():

    def _copies(folder: Path, value: bytes = _value, each: bytes = _each) -> Path:
        return save_zip(folder, repeated(value, each))

    attack(
        refused=REFUSED.get(_what, "pickle stream is broken or hostile"),
        name=f"copies_by_{_what}",
        tries=f"A megabyte, memoised once and handed 100,000 times to what copies it ({_what.replace('_', ' ')}).",
        memory=512,
    )(_copies)


# -- objects and collisions ------------------------------------------------------------------------------------------

for _what, _each in {
    "lists": b"]",
    "marks": b"(",
    "objects": b"h\x00)R",
}.items():

    def _many(folder: Path, each: bytes = _each) -> Path:
        return save(folder, name("a.B") + b"q\x00" + each * (8_000_000 // len(each)), 4)

    attack(
        refused="more objects than",
        name=f"millions_of_{_what}",
        tries=f"8 MB of opcodes that make {_what}, a byte or four each; each is worth some 70 bytes of memory.",
        memory=512,
    )(_many)


@attack(refused="more than 64 bits as a key")
def colliding_integers(folder: Path) -> Path:
    """Integers that hash alike (multiples of 2**61-1) make a dictionary quadratic: hours for 2 MB."""
    pairs = b"".join(number(n * ((1 << 61) - 1)) + b"N" for n in range(1, 100_000))
    return save(folder, b"}(" + pairs + b"u")


@attack(refused="numbers, tuples or sets as keys")
def colliding_tuples(folder: Path) -> Path:
    """Complex numbers and tuples whose hashes are chosen to collide."""
    half = (struct.pack(">d", float(n)) for n in range(60_000))
    pairs = b"".join(b"G" + raw + number(-1000003 * n) + b"\x86N" for n, raw in enumerate(half))
    return save(folder, b"}(" + pairs + b"u")


@attack(refused="keys of one hash")
def colliding_tuples_of_integers(folder: Path) -> Path:
    """Tuples of integers that fit 64 bits and hash alike: within each limit, but each is compared with all others."""
    prime = (1 << 61) - 1
    keys = (tuple(part + prime * (n >> 3 * part & 7) for part in range(57)) for n in range(8_000))
    pairs = b"".join(tuple_of(*map(number, key)) + b"N" for key in keys)
    return save(folder, b"}(" + pairs + b"u")


@attack(refused="memo index")
def colliding_memo(folder: Path) -> Path:
    """The same through the memo's indices."""
    return save(folder, b"N" + b"".join(b"p%d\n" % (n * ((1 << 61) - 1)) for n in range(1, 30_000)))
