"""Legacy streams and tars: counts, keys and members that lie."""

# ruff: noqa: E501 - tables: one attack a line
from __future__ import annotations

import pickle
import struct
from pathlib import Path

from . import attack
from .bombs import doubled
from .build import (
    FOUR,
    LEGACY_MAGIC,
    SYSTEM,
    dict_of,
    legacy_file,
    legacy_tensor,
    list_of,
    name,
    number,
    put,
    stream,
    tar_file,
    tar_member,
    tar_tensor,
    tensor,
    text,
    tuple_of,
)

BODY = dict_of((text("weight"), legacy_tensor()))
VIEW = (text("storage"), name("torch.FloatStorage"), text("0"), text("cpu"), number(4))


def _view(view: bytes) -> bytes:
    return dict_of((text("weight"), tensor((2,), data=tuple_of(*VIEW, view) + b"Q")))


LEGACY = {
    "protocol_wrong": (
        LEGACY_MAGIC + pickle.dumps(1002, 2) + pickle.dumps(SYSTEM, 2) + stream(BODY),
        "a header that PyTorch never wrote",
        "Protocol 1002.",
    ),
    "system_info_of_text": (
        LEGACY_MAGIC + pickle.dumps(1001, 2) + pickle.dumps("x", 2) + stream(BODY),
        "a header that PyTorch never wrote",
        "Text where facts about the machine are expected.",
    ),
    "key_missing": (legacy_file(BODY, (), ()), "are not in the file", "The list of storages is empty."),
    "key_unknown": (
        legacy_file(BODY, ("0", "1"), ((4, FOUR), (4, FOUR))),
        "that no tensor uses",
        "The list names a storage that nothing refers to.",
    ),
    "key_twice": (legacy_file(BODY, ("0", "0"), ((4, FOUR), (4, FOUR))), "storages is damaged", "One storage twice."),
    "keys_of_numbers": (legacy_file(BODY, (1, None), ()), "storages is damaged", "Keys that are no text."),
    "keys_of_text": (legacy_file(BODY, pickle.dumps("0", 2)), "storages is damaged", "Text for the list of storages."),
    "keys_of_shared_lists": (
        legacy_file(BODY, stream(list_of(doubled(number(1), 60)))),
        "storages is damaged",
        "A key that is a list shared sixty levels deep.",
    ),
    "count_too_large": (legacy_file(BODY, storages=((1 << 40, FOUR),)), "elements here", "A count of 2**40 elements."),
    "count_negative": (legacy_file(BODY, storages=((-1, FOUR),)), "elements here", "A count of -1 elements."),
    "count_differs": (legacy_file(BODY, storages=((3, FOUR[:12]),)), "elements here", "A count of three for four."),
    "numel_of_a_terabyte": (
        legacy_file(dict_of((text("weight"), legacy_tensor(1 << 40)))),
        "more than the whole file",
        "The persistent id claims 2**40 elements.",
    ),
    "numel_negative": (
        legacy_file(dict_of((text("weight"), legacy_tensor(-1)))),
        "more than the whole file",
        "The persistent id claims -1 elements.",
    ),
    "view_of_text": (legacy_file(_view(text("x"))), "operand of the wrong kind", "Text for the description of a view."),
    "view_outside": (
        legacy_file(_view(tuple_of(text("v"), number(3), number(2)))),
        "lies outside its storage",
        "A view that leaves its storage.",
    ),
    "view_negative": (
        legacy_file(_view(tuple_of(text("v"), number(-3), number(2)))),
        "lies outside its storage",
        "A view that starts before its storage.",
    ),
    "view_offset_of_text": (
        legacy_file(_view(tuple_of(text("v"), text("0"), number(2)))),
        "operand of the wrong kind",
        "Text for a view's offset.",
    ),
    "persistent_id_of_nothing": (
        legacy_file(dict_of((text("weight"), b"NQ"))),
        "no storage",
        "None for a persistent id.",
    ),
    "persistent_id_key_shared": (
        legacy_file(doubled(number(1), 60) + put(99) + b"0" + dict_of((text("w"), tensor(data=tuple_of(*VIEW[:2], b"hc", *VIEW[3:], b"N") + b"Q")))),
        "no storage",
        "A storage's key that is a list shared sixty levels deep.",
    ),
    "object_of_a_gigabyte": (
        LEGACY_MAGIC + pickle.dumps(1001, 2) + pickle.dumps(SYSTEM, 2) + b"\x80\x02X" + struct.pack("<I", 1 << 30),
        "announces 1073741824 bytes",
        "Text of a gigabyte in a file of 200 bytes.",
    ),
}  # fmt: skip

for _name, (_data, _refused, _tries) in LEGACY.items():

    def _write(folder: Path, data: bytes = _data) -> Path:
        path = folder / "model.pth"
        path.write_bytes(data)
        return path

    attack(refused=_refused, name=f"legacy_{_name}", tries=_tries)(_write)


@attack(refused="longer than any")
def legacy_object_in_a_sparse_file(folder: Path) -> Path:
    """Text that is said, truly, to be three gigabytes long, in a sparse file."""
    path = folder / "model.pth"
    head = LEGACY_MAGIC + pickle.dumps(1001, 2) + pickle.dumps(SYSTEM, 2) + b"\x80\x02X" + struct.pack("<I", 3 << 30)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(4 << 30)
    return path


# -- tar -----------------------------------------------------------------------------------------------------------

STORAGE = stream(tuple_of(text("0"), text("cpu"), name("torch.FloatStorage")))
VIEWS = pickle.dumps([], 2)


def _storages(
    count: int = 4, data: bytes = FOUR, entry: bytes = STORAGE, views: bytes = VIEWS, n: bytes = b""
) -> bytes:
    return (n or pickle.dumps(1, 2)) + entry + struct.pack("<q", count) + data + views


def _tensors(entry: bytes, count: object = 1) -> bytes:
    return pickle.dumps(count, 2) + entry


TAR = {
    "size_not_octal": (tar_member("pickle", b"x", b"99999999999"), "is damaged", "A member's size with nines in octal."),
    "size_of_text": (tar_member("pickle", b"x", b"abcdefghijk"), "is damaged", "A member's size that is no number."),
    "size_too_large": (tar_member("pickle", b"x", b"77777777777"), "is cut off inside", "A member of eight gigabytes."),
    "size_base_256": (tar_member("pickle", b"x", b"\x80" + b"\xff" * 11), "is damaged", "A size in GNU's binary form."),
    "no_members": (tar_member("readme", b"x") + bytes(1024), "it has no member", "A tar of something else."),
    "member_twice": (
        tar_file().removesuffix(bytes(1024)) + tar_member("pickle", stream(b"N")) + bytes(1024),
        "twice",
        "Two members of one name.",
    ),
    "member_is_a_link": (
        tar_member("pickle", b"", kind=b"2") + bytes(1024),
        "it has no member",
        "A member that is a link to a file outside.",
    ),
    "member_traversal": (
        tar_member("../../../../tmp/canary", b"x") + tar_file(),
        None,
        "A member named `../../../../tmp/canary`: nothing is unpacked.",
    ),
    "storage_count_too_large": (tar_file(_storages(1 << 40)), "reaches outside its member", "A storage of 2**40."),
    "storage_count_negative": (tar_file(_storages(-4)), "reaches outside its member", "A storage of -4 elements."),
    "storages_count_of_text": (tar_file(_storages(n=pickle.dumps("1", 2))), "absurd number", "Text for a count."),
    "storages_count_negative": (tar_file(_storages(n=pickle.dumps(-1, 2))), "absurd number", "A count of -1."),
    "storages_count_huge": (tar_file(_storages(n=pickle.dumps(1 << 60, 2))), "absurd number", "A count of 2**60."),
    "storage_entry_of_nothing": (tar_file(_storages(entry=stream(b"N"))), "contradicts itself", "None for an entry."),
    "storage_key_shared": (
        tar_file(_storages(entry=stream(tuple_of(doubled(number(1), 60), text("cpu"), name("torch.FloatStorage"))))),
        "contradicts itself",
        "A key that is a list shared sixty levels deep.",
    ),
    "view_of_unknown": (
        tar_file(_storages(views=pickle.dumps([("v", "7", 0, 4)], 2))),
        "contradicts itself",
        "A view of a storage that is not there.",
    ),
    "view_of_text": (
        tar_file(_storages(views=pickle.dumps([("0", "0", "a", "b")], 2))),
        "contradicts itself",
        "A view that starts at `a`.",
    ),
    "views_of_nothing": (tar_file(_storages(views=pickle.dumps(None, 2))), "contradicts itself", "None for views."),
    "tensor_of_unknown_storage": (
        tar_file(_storages(entry=stream(tuple_of(text("7"), text("cpu"), name("torch.FloatStorage"))))),
        "contradicts itself",
        "A tensor of a storage that is not there.",
    ),
    "tensor_dimensions_negative": (
        tar_file(tensors=_tensors(tar_tensor((4,), (1,), 0, -1))),
        "-1 dimensions",
        "A tensor of -1 dimensions.",
    ),
    "tensor_dimensions_huge": (
        tar_file(tensors=_tensors(tar_tensor((4,), (1,), 0, 1 << 30))),
        "dimensions",
        "A tensor of 2**30 dimensions.",
    ),
    "tensor_dimensions_cut_off": (
        tar_file(tensors=_tensors(tar_tensor((4,), (1,), 0, 30))),
        "is cut off",
        "A tensor of thirty dimensions, but room for one.",
    ),
    "tensor_outside": (tar_file(tensors=_tensors(tar_tensor((5,), (1,), 0))), "lies outside its storage", "Five of four."),
    "tensor_negative_offset": (
        tar_file(tensors=_tensors(tar_tensor((2,), (1,), -2))),
        "lies outside its storage",
        "An offset of -2.",
    ),
    "reference_unknown": (
        tar_file(body=dict_of((text("w"), text("x") + b"Q"))),
        "that is not there",
        "A reference to a tensor that is not there.",
    ),
    "reference_shared": (
        tar_file(body=doubled(number(1), 60) + b"Q"),
        "that is not there",
        "A reference that is a list shared sixty levels deep.",
    ),
}  # fmt: skip

for _name, (_data, _refused, _tries) in TAR.items():

    def _write_tar(folder: Path, data: bytes = _data) -> Path:
        path = folder / "model.pth"
        path.write_bytes(data)
        return path

    attack(refused=_refused, name=f"tar_{_name}", tries=_tries)(_write_tar)
