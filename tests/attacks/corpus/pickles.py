"""Broken pickle streams: operands, stacks and arguments that are not what they should be."""

from __future__ import annotations

import struct
from pathlib import Path

from . import attack
from .build import call, dict_of, get, list_of, name, number, put, stream, text, tuple_of

ANNOUNCED = 1 << 40

BROKEN = {
    "empty_stack": (b"", "takes more from the stack", "STOP with nothing on the stack."),
    "binbytes8_of_a_terabyte": (
        b"\x8e" + struct.pack("<Q", ANNOUNCED),
        "announces 1099511627776 bytes",
        "BINBYTES8 announces a terabyte: CPython allocates it first (MemoryError).",
    ),
    "bytearray8_of_a_terabyte": (
        b"\x96" + struct.pack("<Q", ANNOUNCED),
        "announces 1099511627776 bytes",
        "BYTEARRAY8 announces a terabyte.",
    ),
    "binunicode8_beyond_64_bits": (
        b"\x8d" + b"\xff" * 8,
        "announces 18446744073709551615 bytes",
        "BINUNICODE8 of 2**64-1 bytes, which overflows a signed length.",
    ),
    "binstring_negative": (b"T" + struct.pack("<i", -5) + b"abc", "announces -5 bytes", "BINSTRING of -5 bytes."),
    "long4_negative": (b"\x8b" + struct.pack("<i", -1), "announces -1 bytes", "LONG4 of -1 bytes."),
    "long4_huge": (
        b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20),
        "an integer of 1048576 bytes",
        "An integer of a megabyte: printing it takes minutes.",
    ),
    "long_text_huge": (
        b"L" + b"9" * 100_000 + b"L\n",
        "an integer of 100000 digits",
        "A hundred thousand digits, converted in quadratic time before Python 3.11.",
    ),
    "float_of_junk": (b"F" + b"x" * 100_000 + b"\n", "operand of the wrong kind", "A float that is no number."),
    "int_of_junk": (b"Ix\n", "operand of the wrong kind", "An integer that is no number."),
    "string_without_quotes": (b"Sabc\n", "a string without quotes", "A protocol 0 string without quotes."),
    "string_with_bad_escape": (b"S'\\x'\n", "operand of the wrong kind", "A protocol 0 string with half an escape."),
    "unicode_with_bad_escape": (b"V\\u12\n", "operand of the wrong kind", "A protocol 0 text with half an escape."),
    "binunicode_not_utf8": (
        b"X\x02\x00\x00\x00\xff\xfe",
        "operand of the wrong kind",
        "Text that is not UTF-8.",
    ),
    "global_not_utf8": (b"c\xff\xfe\n\xff\n", "operand of the wrong kind", "A class name that is not UTF-8."),
    "global_without_end": (b"cos\nsystem", "text operand without an end", "A class name that never ends."),
    "protocol_6": (b"\x80\x06N", "announces pickle protocol 6", "PROTO 6, which does not exist."),
    "protocol_255": (b"\x80\xffN", "announces pickle protocol 255", "PROTO 255."),
    "frame_cut_off": (b"\x95\x01", "announces 8 bytes", "Half a FRAME."),
    "unknown_opcode": (b"\xff", "is unknown", "An opcode that no protocol has."),
    "get_unknown": (get(5), "operand of the wrong kind", "BINGET of an index that was never put."),
    "get_text_negative": (b"g-1\n", "operand of the wrong kind", "GET of index -1."),
    "put_far": (
        b"Nr\xff\xff\xff\x3f",
        "memo index",
        "LONG_BINPUT of index 0x3fffffff: CPython allocates a table of 16 GB.",
    ),
    "put_text_negative": (b"Np-1\n", "memo index", "PUT of index -1."),
    "put_text_huge": (b"Np" + b"9" * 300 + b"\n", "memo index", "PUT of an index of 300 digits."),
    "put_on_nothing": (put(0), "takes more from the stack", "PUT with an empty stack."),
    "memoize_on_nothing": (b"\x94", "takes more from the stack", "MEMOIZE with an empty stack."),
    "tuple_without_mark": (b"t", "takes more from the stack", "TUPLE without a MARK."),
    "tuple3_of_two": (b"NN\x87", "takes more from the stack", "TUPLE3 of two objects."),
    "pop_on_nothing": (b"0", "takes more from the stack", "POP of an empty stack."),
    "dup_on_nothing": (b"2", "takes more from the stack", "DUP of an empty stack."),
    "mark_never_taken": (b"N(", "takes more from the stack", "STOP with a MARK open."),
    "append_to_number": (number(1) + number(2) + b"a", "appends to a int", "APPEND to an integer."),
    "appends_to_tuple": (b")(Ne", "appends to a tuple", "APPENDS to a tuple."),
    "additems_to_dict": (b"}(N\x90", "appends to a dict", "ADDITEMS to a dictionary."),
    "setitem_of_list": (b"]NNs", "sets items of a list", "SETITEM of a list."),
    "setitems_odd": (b"}(NNNu", "a key without a value", "SETITEMS with a key and no value."),
    "dict_odd": (b"(NNNd", "a key without a value", "DICT with a key and no value."),
    "list_as_key": (b"}" + list_of() + b"Ns", "a list as a key", "A list as a key."),
    "dict_in_tuple_as_key": (b"}" + tuple_of(b"}") + b"Ns", "a dict as a key", "A dictionary inside a key."),
    "list_in_set": (b"\x8f(]\x90", "a list as a key", "A list in a set."),
    "dict_in_frozenset": (b"(}\x91", "a dict as a key", "A dictionary in a frozenset."),
    "reduce_with_list": (name("collections.OrderedDict") + b"]R", "no tuple", "REDUCE with a list of arguments."),
    "reduce_number": (number(1) + b")R", "not a named function", "REDUCE of an integer."),
    "newobj_ex_wrong": (name("a.b") + b")N\x92", "no tuple and dict", "NEWOBJ_EX without keywords."),
    "obj_without_class": (b"(o", "operand of the wrong kind", "OBJ with nothing behind the mark."),
    "build_on_list": (b"]}b", "sets the state of a list", "BUILD on a list."),
    "build_on_dict": (b"}}b", "sets the state of a dict", "BUILD on a dictionary."),
    "ordered_dict_of_number": (
        call("collections.OrderedDict", number(7)),
        "operand of the wrong kind",
        "OrderedDict(7).",
    ),
    "ordered_dict_of_triples": (
        call("collections.OrderedDict", list_of(tuple_of(b"N", b"N", b"N"))),
        "operand of the wrong kind",
        "OrderedDict of triples.",
    ),
    "ordered_dict_of_unhashables": (
        call("collections.OrderedDict", list_of(tuple_of(b"]", b"N"))),
        "a list as a key",
        "OrderedDict with a list as a key.",
    ),
    "set_of_unhashables": (call("builtins.set", list_of(b"}")), "a dict as a key", "set([{}])."),
    "too_many_arguments": (
        call("collections.OrderedDict", *[b"N"] * 40),
        "40 arguments",
        "A constructor called with forty arguments.",
    ),
    "bytearray_of_number": (
        call("builtins.bytearray", number(ANNOUNCED)),
        "a bytearray from something other",
        "bytearray(2**40) allocates a terabyte.",
    ),
    "encode_with_other_codec": (
        call("_codecs.encode", text("x"), text("zlib")),
        "asks for the codec 'zlib'",
        "Codecs can be bombs and even code.",
    ),
    "encode_with_long_codec": (
        call("_codecs.encode", text("x"), text("z" * 100_000)),
        "asks for the codec",
        "A codec with a name of 100,000 letters: errors must stay short.",
    ),
    "bytearray_with_other_codec": (
        call("builtins.bytearray", text("x"), text("idna")),
        "asks for the codec 'idna'",
        "The same through bytearray.",
    ),
    "encode_number": (call("_codecs.encode", number(1)), "operand of the wrong kind", "encode(1)."),
    "deque_of_negative_length": (
        call("collections.deque", list_of(), number(-1)),
        "operand of the wrong kind",
        "deque([], -1).",
    ),
    "complex_of_text": (call("builtins.complex", text("x")), "operand of the wrong kind", "complex('x')."),
    "name_of_ten_thousand_letters": (
        call("a." + "b" * 10_000),
        "longer than any",
        "A class name of ten thousand letters.",
    ),
    "lone_surrogates": (text("\ud800"), None, "A lone surrogate, which no UTF-8 output can hold."),
    "unpickled_dict_of_everything": (
        dict_of((b"N", b"N"), (b"\x88", b"N"), (number(1 << 62), b"N"), (b"G" + struct.pack(">d", float("nan")), b"N")),
        None,
        "None, True, a large number and NaN as keys.",
    ),
}

for _name, (_body, _refused, _tries) in BROKEN.items():

    def _write(folder: Path, body: bytes = _body) -> Path:
        path = folder / "model.pkl"
        path.write_bytes(stream(body))
        return path

    attack(refused=_refused, name=_name, tries=_tries)(_write)
