"""Every collective operation once, on two ranks: prints what this rank has afterwards."""

import json

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
rank, count = dist.get_rank(), dist.get_world_size()
mine = torch.arange(4.0) + 10 * rank
parts = [torch.zeros(4) for _ in range(count)] if rank == 0 else None
dist.gather(mine, parts, dst=0)
given = torch.zeros(2)
dist.scatter(given, [torch.full((2,), float(n)) for n in range(count)] if rank == 0 else None, src=0)
whole = torch.zeros(4 * count)
dist.all_gather_into_tensor(whole, mine)
part = torch.zeros(2)
dist.reduce_scatter_tensor(part, mine)
summed = torch.zeros(4)
dist.reduce_scatter(summed, [mine * (n + 1) for n in range(count)])
sent = [torch.zeros(1) for _ in range(count)]
dist.all_to_all(sent, [torch.tensor([10.0 * rank + n]) for n in range(count)])
other = torch.zeros(4)
if rank == 0:
    dist.send(mine, 1)
else:
    dist.recv(other, 0)
dist.barrier()  # a rank that has ended closes the connections of the other
print(json.dumps([each.tolist() for each in (*(parts or []), given, whole, part, summed, *sent, other)]))
