"""Streams of CUDA, of which OneFlow has none to choose: it orders its own work, so that waiting for one is no work."""

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


@stands_for("torch.cuda.get_rng_state", "torch.random.get_rng_state", because="OneFlow has one state, of all devices.")
def state_of_draws(device="cuda"):
    return flow.get_rng_state()


@stands_for("torch.random.set_rng_state", because="OneFlow has it as `set_rng_state` alone.")
def set_state_of_draws(new_state):
    flow.set_rng_state(new_state)


@stands_for("torch.cuda.get_rng_state_all", because="OneFlow has one state, of all devices.")
def states_of_draws():
    return [flow.get_rng_state()]


@stands_for("torch.cuda.initial_seed", "torch.random.initial_seed", because="OneFlow has it for all devices.")
def first_seed():
    return flow.initial_seed()


@stands_for("torch.cuda.seed", "torch.cuda.seed_all", "torch.random.seed", because="OneFlow has it for all devices.")
def new_seed():
    return flow.seed()


@stands_for("torch.cuda.mem_get_info", because="OneFlow does not tell how much memory it holds.")
def free_and_whole_memory(device=None):
    return 0, flow.cuda.get_device_properties(device or 0).total_memory if flow.cuda.is_available() else 0


@stands_for("torch.cuda.memory_summary", "torch.cuda.list_gpu_processes",
            because="OneFlow does not tell how much memory it holds.")  # fmt: skip
def memory_in_words(*args, **named):
    return "OneFlow does not tell how much memory it holds."


@stands_for("torch.cuda.memory_stats", because="OneFlow does not tell how much memory it holds.")
def memory_by_name(device=None):
    return {}
