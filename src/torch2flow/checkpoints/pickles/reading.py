"""Reads a pickle stream: runs its opcodes on a machine that holds inert data.

Python's own Unpickler is not used: with `find_class` overridden it still crashes on deep keys and lets a
stream modify what `find_class` returned (docs/formats.md, "Why our own pickle machine").
"""

from __future__ import annotations

import struct
from itertools import repeat
from typing import Any

from torch2flow.checkpoints.pickles.limits import MAX_OBJECTS, Broken
from torch2flow.checkpoints.pickles.machine import Machine
from torch2flow.checkpoints.pickles.opcodes import TABLE
from torch2flow.checkpoints.pickles.python_constructors import CONSTRUCTORS
from torch2flow.checkpoints.pickles.tensor_phrase import take_tensor
from torch2flow.errors import FormatError

BLOCK = 1 << 16  # opcodes between two looks at `Machine.objects`

LONG_BINPUT, BINGET, MARK = ord("r"), ord("h"), ord("(")


def run_stream(machine: Machine) -> Any:
    """The object the stream describes.

    Raises:
        FormatError: the stream is cut off, inconsistent, or asks for what no checkpoint needs.
    """
    table, data, size = TABLE, machine.data, len(machine.data)
    memo, memo_index = machine.memo.items, struct.Struct("<I").unpack_from
    at = machine.pos
    try:
        while True:
            for _ in repeat(None, BLOCK):
                at = machine.pos
                if at >= size:
                    machine.starved = size + 1
                    raise Broken("the stream ends before its STOP")
                code = data[at]
                # Two opcodes are half of every checkpoint's stream: they are done here, without a call.
                if code == LONG_BINPUT and at + 4 < size:
                    index = memo_index(data, at + 1)[0]
                    if index == len(memo):
                        memo.append(machine.stack[-1])
                    else:
                        machine.memo.put(index, machine.stack[-1])
                    machine.pos = at + 5
                    continue
                if code == BINGET and at + 1 < size and data[at + 1] < len(memo):
                    machine.stack.append(memo[data[at + 1]])
                    machine.pos = at + 2
                    continue
                if code == MARK and take_tensor(machine, at):
                    continue
                machine.pos = at + 1
                operation = table[code]
                if operation is None:
                    break
                operation(machine)
            else:
                _check_objects(machine)
                continue
            break
        _check_objects(machine)
        value = machine.stack.pop()
    except FormatError:
        raise
    except Broken as error:
        raise _error(machine, str(error), at) from None
    except IndexError:
        raise _error(machine, "takes more from the stack than was put on it", at) from None
    except struct.error:
        machine.starved = size + 8
        raise _error(machine, "has its operand cut off", at) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _error(machine, f"has an operand of the wrong kind ({error})", at) from None
    machine.end = machine.pos
    return value


def _check_objects(machine: Machine) -> None:
    if machine.objects > MAX_OBJECTS:
        raise Broken(f"is where the stream holds more objects than any checkpoint ({MAX_OBJECTS})")


def _error(machine: Machine, reason: str, at: int) -> FormatError:
    opcode = machine.data[at : at + 1]
    reason = reason if len(reason) <= 200 else f"{reason[:200]}..."
    return FormatError(
        f"The pickle stream is broken or hostile: opcode {opcode!r} {reason}."
        if opcode
        else f"The pickle stream is cut off: {reason}.",
        where=f"{machine.where}, byte {at}",
        maybe="the file was cut off or damaged on its way, or made to attack the program that loads it",
        remedy="compare its size and checksum with the original and fetch it again",
    )


def read_pickle(data: bytes, *, where: str = "pickle") -> Any:
    """Reads a stream that has no persistent ids.

    Args:
        data: the pickle stream.
        where: names the source in errors.

    Raises:
        FormatError: the stream is broken or hostile.
    """
    return run_stream(Machine(data, constructors=CONSTRUCTORS, where=where))
