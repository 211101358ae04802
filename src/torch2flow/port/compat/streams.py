"""Streams of CUDA, of which OneFlow has none to choose: it orders its own work, so that waiting for one is no work."""

from __future__ import annotations

import contextlib
import time

from torch2flow.models.lowering.lazy import flow
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


@stands_for("torch.cuda.Event", "torch.cuda.streams.Event", because="OneFlow has no events: this one reads the clock.")
class EventOfCuda:
    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        self.time = None

    def record(self, stream=None):
        if flow.cuda.is_available():
            flow.cuda.synchronize()
        self.time = time.perf_counter()

    def wait(self, stream=None):
        """What the event stands for is done."""

    def synchronize(self):
        """What the event stands for is done."""

    def query(self):
        return True

    def elapsed_time(self, end_event):
        """Milliseconds."""
        return (end_event.time - self.time) * 1000


@stands_for("torch.cuda.device", because="OneFlow's current device is set, and set back.")
class DeviceOfCuda:
    def __init__(self, device):
        self.index = getattr(device, "index", device)

    def __enter__(self):
        self.before = flow.cuda.current_device() if flow.cuda.is_available() else None
        if self.before is not None and isinstance(self.index, int) and self.index >= 0:
            flow.cuda.set_device(self.index)

    def __exit__(self, *error):
        if self.before is not None:
            flow.cuda.set_device(self.before)


@stands_for(
    "torch.cuda.OutOfMemoryError", "torch.OutOfMemoryError", because="OneFlow raises an error of its own, not this."
)
class OutOfMemoryError(RuntimeError):
    """PyTorch's error for too little memory on a GPU."""

    def __init__(self, *args):
        super().__init__(*args)


@stands_for("torch.random.fork_rng", because="OneFlow has no `fork_rng`.")
@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type="cuda"):
    state = flow.get_rng_state()
    yield
    if enabled:
        flow.set_rng_state(state)
