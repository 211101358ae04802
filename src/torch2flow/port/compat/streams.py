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
    state = state_of_draws()
    of_cuda = state_of_cuda()
    yield
    if enabled:
        set_state_of_draws(state)
        set_state_of_cuda(of_cuda)


STATE_LACKS = "OneFlow's state lacks how many numbers were drawn: set again, it gives others."


@stands_for("torch.Generator.get_state", because=STATE_LACKS)
def state_of_generator(self):
    """A seed that is drawn and set, as bytes: what is drawn from now on is drawn again where it is set again."""
    seed = flow._C.randint(0, 2**62, [1], dtype=flow.int64, generator=self).item()
    self.manual_seed(seed)
    return flow.tensor(list(seed.to_bytes(8, "little")), dtype=flow.uint8)


@stands_for("torch.Generator.set_state", because=STATE_LACKS)
def set_state_of_generator(self, new_state):
    self.manual_seed(int.from_bytes(bytes(new_state[:8].tolist()), "little") % 2**62)
    return self


@stands_for("torch.get_rng_state", "torch.random.get_rng_state", because=STATE_LACKS)
def state_of_draws():
    return state_of_generator(flow.default_generator)


@stands_for("torch.set_rng_state", "torch.random.set_rng_state", because=STATE_LACKS)
def set_state_of_draws(new_state):
    set_state_of_generator(flow.default_generator, new_state)


@stands_for("torch.cuda.get_rng_state", because=STATE_LACKS)
def state_of_cuda(device="cuda"):
    if not flow.cuda.is_available():
        return flow.zeros(8, dtype=flow.uint8)
    seed = flow.randint(0, 2**62, (1,), device="cuda").item()
    flow.cuda.manual_seed_all(seed)
    return flow.tensor(list(seed.to_bytes(8, "little")), dtype=flow.uint8)


@stands_for("torch.cuda.set_rng_state", because=STATE_LACKS)
def set_state_of_cuda(new_state, device="cuda"):
    if flow.cuda.is_available():
        flow.cuda.manual_seed_all(int.from_bytes(bytes(new_state[:8].tolist()), "little") % 2**62)


@stands_for("torch.cuda.get_rng_state_all", because=STATE_LACKS)
def states_of_cuda():
    return [state_of_cuda()]


@stands_for("torch.cuda.set_rng_state_all", because=STATE_LACKS)
def set_states_of_cuda(new_states):
    set_state_of_cuda(new_states[0])


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
