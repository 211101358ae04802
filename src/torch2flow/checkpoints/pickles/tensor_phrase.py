"""A shortcut: the forty opcodes that a checkpoint's pickle repeats for every tensor are done in one step.

What `torch.save` writes behind the name of `_rebuild_tensor_v2` for a tensor of a state dict (1.6 to 2.15;
`torch/_tensor.py`, `_reduce_ex_internal`), each object that it makes put into the memo:

    ((h h X"12" h K tQ   K   K K \\x86   K K \\x86   \\x89   h )R   t R
      |                  |   |           |           |      |
      persistent id      |   sizes       strides     |      OrderedDict()
                         storage_offset              requires_grad

It saves half the time of reading 20,000 tensors and changes nothing else: where a byte differs, even in the
numbering of the memo, the single opcodes do it.
"""

from __future__ import annotations

import re
import struct

from torch2flow.checkpoints.pickles.machine import Machine

_NUMBER = rb"(?:K.|M..|J...[\0-\x7f])"
_TUPLE = rb"(%b\x85|%b{2}\x86|%b{3}\x87|\(%b{4,8}t)" % ((_NUMBER,) * 4)
_PUT = rb"r(....)"
_PHRASE = re.compile(
    rb"\(\(h(.)h(.)X(.)\0\0\0([0-9]{1,9})" + _PUT + rb"h(.)(" + _NUMBER + rb")t" + _PUT + rb"Q"
    rb"(" + _NUMBER + rb")" + _TUPLE + _PUT + _TUPLE + _PUT + rb"\x89h(.)\)R" + _PUT + rb"t" + _PUT + rb"R",
    re.DOTALL,
)
_SIX_INDICES = struct.Struct("<6I")
_OPERAND_SIZES = {ord("K"): 1, ord("M"): 2, ord("J"): 4}


def take_tensor(m: Machine, at: int) -> bool:
    """If the phrase begins at byte `at`, does all its opcodes and returns True. Otherwise does nothing."""
    found = _PHRASE.match(m.data, at)
    if found is None or m.persistent_load is None:
        return False
    word, kind, length, key, p0, place, numel, p1, offset, sizes, p2, strides, p3, hooks, p4, p5 = found.groups()
    memo = m.memo.items
    first = len(memo)
    usual = _SIX_INDICES.pack(*range(first, first + 6)) == p0 + p1 + p2 + p3 + p4 + p5
    if not usual or length[0] != len(key) or max(word[0], kind[0], place[0], hooks[0]) >= first:
        return False
    m.pos = found.end()
    m.objects += 4
    name = key.decode("ascii")
    pid = memo[word[0]], memo[kind[0]], name, memo[place[0]], _numbers(m, numel)[0]
    storage = m.persistent_load(pid)
    shape, stride = _numbers(m, sizes), _numbers(m, strides)
    extra = m.call(memo[hooks[0]], ())
    args = storage, _numbers(m, offset)[0], shape, stride, False, extra
    memo += name, pid, shape, stride, extra, args
    m.stack[-1] = m.call(m.stack[-1], args)
    return True


def _numbers(m: Machine, raw: bytes) -> tuple[int, ...]:
    """The numbers that the opcodes in `raw` push. They are kept, because many tensors of a model share a shape."""
    known = m.numbers.get(raw)
    if known is None:
        found, at = [], 0
        while at < len(raw):
            size = _OPERAND_SIZES.get(raw[at], 0)  # 0: a mark, or the tuple
            if size:
                found.append(int.from_bytes(raw[at + 1 : at + 1 + size], "little"))
            at += 1 + size
        known = m.numbers[raw] = tuple(found)
    return known
