"""Random damage to sound files, and random pickles out of every constructor there is. Runs inside a fork of the worker.

Each case is derived from its number alone, so `replay` makes the same file again.
"""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

from corpus import build

from torch2flow import Options, convert
from torch2flow.checkpoints.pytorch.constructors import CONSTRUCTORS
from torch2flow.errors import Torch2FlowError

SECONDS_A_CASE = 10
ASK_FOR_ALL = Options(key=".", complex="real", quantized="dequantize", sparse="dense")
NUMBERS = (0, 1, -1, 2, 4, 127, 128, 255, 256, 1 << 15, 1 << 16, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 40, 1 << 62)
NUMBERS = (*NUMBERS, (1 << 63) - 1, 1 << 63, -(1 << 63), 1 << 64, 1 << 200)
TEXTS = (
    "",
    "a",
    "0",
    "w",
    "cpu",
    "storage",
    "torch.float32",
    "f4",
    "latin1",
    "..",
    "/",
    "\0",
    "\ud800",
    "é",
    "x" * 300,
)
NAMES = (*CONSTRUCTORS, "torch.float32", "torch.FloatStorage", "torch.per_tensor_affine", "torch.sparse_coo", "a.B")
OPCODES = b"().0123BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}" + bytes((*range(0x80, 0x83), *range(0x85, 0x99)))


def fuzz(job: dict[str, Any]) -> dict[str, Any]:
    """Opens damaged files until the time or the count is used up, or one of them raises what it must not.

    The job holds `cases`, each a path to open and the files to damage, `first` and `count`, `until`, seconds, and
    `convert_each`: which of those that open are converted too.
    """
    from worker import drive

    end = time.monotonic() + job["until"]
    originals = {target: Path(target).read_bytes() for case in job["cases"] for target in case["targets"]}
    outcomes = {"opened": 0, "converted": 0, "refused": 0}
    number = job["first"]
    for number in range(job["first"], job["first"] + job["count"]):
        if time.monotonic() > end:
            break
        path, target, data = damaged(number, job["cases"], originals)
        Path(target).write_bytes(data)
        Path(job["report"]).with_suffix(".case").write_text(f"{number} {target}")
        signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CASE)
        try:
            drive({"path": path})
            outcomes["opened"] += 1
            if number % job["convert_each"] == 0:
                convert(path, Path(job["report"]).with_suffix(".converted"), ASK_FOR_ALL, overwrite=True)
                outcomes["converted"] += 1
        except Torch2FlowError:
            outcomes["refused"] += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CASE)
        Path(target).write_bytes(originals[target])
    return {**outcomes, "next": number}


def damaged(number: int, cases: list[dict[str, Any]], originals: dict[str, bytes]) -> tuple[str, str, bytes]:
    """Case `number`: the path to open, the file that is damaged, and its bytes."""
    rng = random.Random(number)
    case = rng.choice(cases)
    target = rng.choice(case["targets"])
    data = originals[target]
    if data.startswith(b"PK") and rng.random() < 0.35 and b"data.pkl" in data:
        return case["path"], target, build.torch_zip(value(rng, 4), {"0": build.FOUR})
    if data[:1] == b"{" or data[8:9] == b"{":
        return case["path"], target, other_json(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        data = rng.choice(DAMAGES)(rng, data, originals)
    return case["path"], target, data


# -- bytes ---------------------------------------------------------------------------------------------------------


def flip(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """One byte becomes another."""
    at = rng.randrange(len(data) or 1)
    return data[:at] + bytes((rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))),)) + data[at + 1 :]


def opcode(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """One byte becomes a pickle opcode."""
    at = rng.randrange(len(data) or 1)
    return data[:at] + bytes((rng.choice(OPCODES),)) + data[at + 1 :]


def length(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Four or eight bytes become a number that is large, negative, or just beyond."""
    size = rng.choice((1, 2, 4, 8))
    at = rng.randrange(max(1, len(data) - size))
    number = rng.choice((*NUMBERS, len(data), len(data) + 1, len(data) - 1)) % (1 << 8 * size)
    return data[:at] + number.to_bytes(size, "little") + data[at + size :]


def cut(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """A piece is missing."""
    start = rng.randrange(len(data) or 1)
    return data[:start] + data[start + rng.choice((1, 2, 4, 8, 64, 1 << 30)) :]


def repeat(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """A piece stands twice."""
    start = rng.randrange(len(data) or 1)
    piece = data[start : start + rng.choice((1, 2, 8, 64, 512))]
    return data[:start] + piece * rng.choice((2, 2, 3, 100)) + data[start + len(piece) :]


def splice(rng: random.Random, data: bytes, originals: dict[str, bytes]) -> bytes:
    """A piece of another file in the middle."""
    other = rng.choice(list(originals.values()))
    start = rng.randrange(len(other) or 1)
    at = rng.randrange(len(data) or 1)
    return data[:at] + other[start : start + rng.choice((4, 30, 100, 1000))] + data[at + rng.choice((0, 4, 30)) :]


DAMAGES = (flip, flip, opcode, opcode, length, length, cut, repeat, splice)

# -- pickles ---------------------------------------------------------------------------------------------------------


def value(rng: random.Random, depth: int) -> bytes:
    """Opcodes that push one object of any kind, some of them sound."""
    leaves = (
        lambda: build.number(rng.choice(NUMBERS)),
        lambda: build.text(rng.choice(TEXTS)),
        lambda: rng.choice((b"N", b"\x88", b"\x89", b")", b"]", b"}", b"G\x7f\xf8\0\0\0\0\0\0")),
        lambda: b"C\x04" + rng.randbytes(4),
        lambda: build.name(rng.choice(NAMES)),
        lambda: b"h" + bytes((rng.randrange(6),)),
        lambda: build.storage(numel=rng.choice((4, 4, 4, 3, 1 << 40))),
        lambda: build.tensor([rng.choice((0, 1, 2, 4, 5, -1, 1 << 62)) for _ in range(rng.randrange(3))], (1,) * 2),
        lambda: build.tensor(),
    )
    if depth == 0:
        return rng.choice(leaves)()
    parts = [value(rng, rng.randrange(depth)) for _ in range(rng.choice((0, 1, 2, 2, 3, 4, 7)))]
    pairs = list(zip(parts[::2], parts[1::2], strict=False))
    branches = (
        lambda: build.tuple_of(*parts),
        lambda: build.list_of(*parts),
        lambda: build.dict_of(*pairs),
        lambda: build.dict_of(*((build.text(rng.choice(TEXTS)), part) for part in parts)),
        lambda: build.call(rng.choice(NAMES), *parts),
        lambda: build.call(rng.choice(NAMES), *parts),
        lambda: build.call(rng.choice(NAMES), *parts) + value(rng, depth - 1) + b"b",
        lambda: build.name(rng.choice(NAMES)) + build.tuple_of(*parts) + b"\x81",
        lambda: build.tuple_of(*parts) + b"Q",
        lambda: value(rng, depth - 1) + b"q" + bytes((rng.randrange(6),)),
        lambda: build.call("torch.nn.Linear") + module_state(rng, depth - 1) + b"b",
        lambda: rng.choice(leaves)(),
    )
    return rng.choice(branches)()


def module_state(rng: random.Random, depth: int) -> bytes:
    """The state of a pickled module, whose parts can be anything."""
    names = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
    return build.dict_of(*((build.text(name), value(rng, depth)) for name in names if rng.random() < 0.9))


# -- JSON ------------------------------------------------------------------------------------------------------------


def other_json(rng: random.Random, data: bytes) -> bytes:
    """One value somewhere in a JSON text, or in a safetensors header, becomes another."""
    start = 0 if data[:1] == b"{" else 8
    stop = len(data) if start == 0 else 8 + int.from_bytes(data[:8], "little")
    content = json.loads(data[start:stop])
    spots: list[tuple[Any, Any]] = []
    pending = [content]
    while pending:
        node = pending.pop()
        for key in node if isinstance(node, dict) else range(len(node)):
            spots.append((node, key))
            if isinstance(node[key], dict | list):
                pending.append(node[key])
    for _ in range(rng.choice((1, 1, 2))):
        node, key = rng.choice(spots)
        node[key] = rng.choice((None, True, -1, 1.5, "", "..", "x", [], {}, [[]], {"a": 1}, *NUMBERS, content.get("a")))
    try:
        raw = json.dumps(content).encode("utf-8", "surrogatepass")
    except ValueError:  # it holds itself
        return data
    return raw if start == 0 else len(raw).to_bytes(8, "little") + raw + data[stop:]
