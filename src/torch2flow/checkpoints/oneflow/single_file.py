"""Writes the single file of OneFlow 1.x's `flow.save`: one pickle with the arrays inside.

    {"protocol_version": 1, "__oneflow__": None, "data": object}
    a tensor's state is {"data": numpy array, "dtype": oneflow.dtype, "device": "cpu"}

Follows `oneflow/framework/check_point_v2.py` at OneFlow's main branch (1.0). OneFlow 0.9.0's `flow.load` reads
folders only, but `pickle.load(f)["data"]` there gives the same object.
"""

from __future__ import annotations

import os
from pathlib import Path

from torch2flow.checkpoints.dtypes import numpy_dtype
from torch2flow.checkpoints.oneflow.dtypes import DATA_TYPES
from torch2flow.checkpoints.oneflow.pickled_object import PROTOCOL_VERSION, encode
from torch2flow.checkpoints.pickles import Name, PickledCall
from torch2flow.checkpoints.pickles.writer import Payload
from torch2flow.checkpoints.writing import ConversionPlan, Entry
from torch2flow.checkpoints.writing.entry_bytes import Progress, write_entry
from torch2flow.checkpoints.writing.kernel_copy import create, write_all


def write_single_file(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes the pickle, copying each tensor's bytes into their place in the stream.

    Raises:
        FormatError: the source is damaged.
        OSError: the file can't be written.
    """
    payloads: list[tuple[Payload, Entry]] = []

    def state(entry: Entry) -> dict[str, object]:
        payload = Payload(entry.nbytes)
        payloads.append((payload, entry))
        array = PickledCall(Name("numpy.ndarray"), (entry.shape, numpy_dtype(entry.stored).str, payload))
        dtype = PickledCall(Name("oneflow._oneflow_internal.dtype"), (), DATA_TYPES[entry.dtype.name][1], new=True)
        return {"data": array, "dtype": dtype, "device": "cpu"}

    value = {"protocol_version": PROTOCOL_VERSION, "__oneflow__": None, "data": plan.tree}
    stream = encode(plan, value, state, casts=False)
    fd = create(path)
    try:
        at = 0
        for payload, entry in sorted(payloads, key=lambda pair: pair[0].position):
            write_all(fd, stream[at : payload.position])
            write_entry(entry, fd, progress, hashing)
            at = payload.position
        write_all(fd, stream[at:])
    finally:
        os.close(fd)
