"""Trains `make demo`'s GPT-2 as a job of four ranks. In demo-out/4-gpt2:

PYTHONPATH=. torch2flow launch --nproc-per-node 4 ../../examples/train_global.py
"""

from pathlib import Path

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
from gpt2.model import GPT2LMHeadModel  # noqa: E402 - what `torch2flow convert gpt2.pt2 -o gpt2` wrote

model = torch2flow.to_global(GPT2LMHeadModel(), Path(__file__).with_name("plan.toml"))
report = torch2flow.load_state_dict(model, "gpt2.pt2")
place = torch2flow.input_placement(model)
optimizer = flow.optim.AdamW(model.parameters(), lr=0.01)
rank = flow.env.get_rank()
print(f"rank {rank} read {report.nbytes:,} bytes")

flow.manual_seed(rank // 2)  # the two ranks of a pair compute with the same part of the batch
tokens = flow.randint(0, 1000, (4, 20)).to_global(**place)
mask = flow.ones(tokens.shape[0], 19, dtype=flow.int64, **place)
for step in range(3):
    logits = model(tokens[:, :-1], mask).logits
    loss = flow.nn.functional.cross_entropy(logits.reshape(-1, 1000), tokens[:, 1:].reshape(-1))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    shown = loss.to_global(sbp=[flow.sbp.broadcast] * 2).to_local().item()
    if rank == 0:
        print(f"step {step}: loss {shown:.1f}")
