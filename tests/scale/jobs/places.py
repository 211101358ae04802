"""Every placement and SBP pair: what `load_state_dict` puts into a rank equals OneFlow's own shard of the tensor."""

import json
import sys

import numpy as np

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
S, B = flow.sbp.split, flow.sbp.broadcast
every = list(range(flow.env.get_world_size()))


def module(shape, placement, sbp, dtype):
    part = flow.nn.Module()
    empty = flow.empty(*shape, dtype=dtype, placement=placement, sbp=sbp)
    part.register_parameter("weight", flow.nn.Parameter(empty))
    return part


def check(source, shape, placement, sbp, dtype):
    model = module(shape, placement, sbp, dtype)
    report = torch2flow.load_state_dict(model, source)
    own = model.weight.to_local()
    whole = torch2flow.load(source)["weight"].to(flow.float32)
    # OneFlow's own sharding of the same tensor, in float32, which holds bfloat16 exactly
    expected = whole.to_global(placement=placement, sbp=[B] * len(sbp)).to_global(sbp=sbp).to_local()
    found = own.to(flow.float32).numpy()
    assert found.shape == tuple(expected.shape), (sbp, found.shape, expected.shape)
    assert np.array_equal(found, expected.numpy()), (source, sbp, dtype, found, expected.numpy())
    assert report.nbytes == own.numel() * (2 if dtype == flow.bfloat16 else 4)


line = flow.placement("cpu", every)
for source, shape in json.loads(sys.argv[1]):
    dtypes = [flow.float32, flow.bfloat16] if "bfloat16" in source else [flow.float32]
    for sbp in ([S(0)], [S(1)], [B]):
        for dtype in dtypes:
            check(source, shape, line, sbp, dtype)
    if len(every) == 4:
        square = flow.placement("cpu", [[0, 1], [2, 3]])
        for first in (S(0), S(1), B):
            for second in (S(0), S(1), B):
                check(source, shape, square, [first, second], flow.float32)
        model = module(shape, flow.placement("cpu", [1, 3]), [S(0)], flow.float32)
        torch2flow.load_state_dict(model, source)
        rows = {1: slice(0, 4), 3: slice(4, 7)}.get(flow.env.get_rank())
        if rows:
            whole = torch2flow.load(source)["weight"].to(flow.float32).numpy()
            assert np.array_equal(model.weight.to_local().numpy(), whole[rows])
print("equal")
