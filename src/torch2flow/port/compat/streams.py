"""Streams of CUDA, of which OneFlow has none to choose: it orders its own work, so that waiting for one is no work."""

from __future__ import annotations

import contextlib

from torch2flow.port.compat.registry import stands_for


@stands_for("torch.cuda.Stream", "torch.cuda.streams.Stream", because="OneFlow orders its own work.")
class StreamOfCuda:
    def __init__(self, device=None, priority=0):
        self.device, self.priority = device, priority

    def wait_stream(self, stream):
        """What both do is in order."""

    def wait_event(self, event):
        """What the event stands for is in order."""

    def synchronize(self):
        """Whatever reads a value waits for it."""

    def record_event(self, event=None):
        return event

    def query(self):
        return True


@stands_for("torch.cuda.current_stream", "torch.cuda.default_stream", because="OneFlow orders its own work.")
def stream_of_now(device=None):
    return StreamOfCuda(device)


@stands_for("torch.cuda.stream", "torch.cuda.StreamContext", because="OneFlow orders its own work.")
def in_stream(stream):
    return contextlib.nullcontext()


@stands_for("torch.Tensor.record_stream", because="OneFlow orders its own work.")
def record_stream(self, stream):
    return None
