"""What goes wrong on one rank while all load a checkpoint, and what each of them then says."""

import os
import signal
import sys

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
rank = flow.env.get_rank()
what, source, other = sys.argv[1:]


class Net(flow.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = flow.nn.Parameter(flow.zeros(1024, 1024))


model = torch2flow.to_global(Net(), "zero")
if what == "memory":
    source = other  # transposed: it has to be put in order in memory
if rank == 1:
    if what in ("other file", "change"):  # a file of its own: rank 0 must not see that this one's changes
        source = other
    if what == "memory":
        import resource

        with open("/proc/self/statm") as stream:
            pages = int(stream.read().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (1 << 20), -1))
    if what in ("kill", "exit", "raise", "change"):
        from torch2flow.runtime.loading import live

        fill = live.Filler.fill

        def broken(self, tensor, piece):
            if what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "exit":
                sys.exit(7)
            if what == "raise":
                raise RuntimeError("broken on rank 1")
            fill(self, tensor, piece)
            os.utime(source)

        live.Filler.fill = broken
torch2flow.load_state_dict(model, source)
print("loaded")
