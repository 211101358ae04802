"""What surrounds a model: scripting and compiling, precision, devices, seeds, files, gradients."""

import contextlib
import enum
import importlib
import os
from pathlib import Path

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.models.program.promotion import common_dtype
from torch2flow.port.compat.common import described
from torch2flow.port.compat.graph_nodes import leaves_that_would_keep, nodes_behind
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.jit.is_scripting",
    "torch.jit.is_tracing",
    "torch.onnx.is_in_onnx_export",
    "torch.overrides.has_torch_function",
    "torch.overrides.has_torch_function_unary",
    "torch.overrides.has_torch_function_variadic",
    "torch._C._get_tracing_state",
    "torch.is_autocast_enabled",
    "torch.is_inference_mode_enabled",
    "torch.is_deterministic_algorithms_warn_only_enabled",
    "torch.are_deterministic_algorithms_enabled",
    "torch.cuda.is_initialized",
    "torch.cuda.is_bf16_supported",
    "torch.cuda.is_current_stream_capturing",
    "torch.is_anomaly_enabled",
    "torch.is_autocast_cpu_enabled",
    "torch.backends.mps.is_available",
    "torch.backends.mps.is_built",
    "torch.backends.cudnn.is_available",
    "torch.backends.mkldnn.is_available",
    "torch.backends.openmp.is_available",
    "torch.compiled_with_cxx11_abi",
    "torch.compiler.is_compiling",
    "torch.compiler.is_exporting",
    "torch.compiler.is_dynamo_compiling",
    "torch._dynamo.is_compiling",
    "torch.set_flush_denormal",
    because="OneFlow has none of this.",
)
def is_not_so(*args, **named):
    return False


@stands_for(
    "torch.jit.script",
    "torch.jit.trace",
    "torch.jit.export",
    "torch.jit.ignore",
    "torch.jit.unused",
    "torch.jit.script_if_tracing",
    "torch.jit.script_method",
    "torch.jit.interface",
    "torch.jit._overload_method",
    "torch.jit._overload",
    "torch.jit._script_if_tracing",
    "torch.jit.freeze",
    "torch.jit.optimize_for_inference",
    "torch.fx.wrap",
    "torch.compiler.disable",
    "torch.compiler.allow_in_graph",
    "torch._dynamo.disable",
    "torch._dynamo.allow_in_graph",
    "torch.compile",
    "torch.cuda.amp.custom_fwd",
    "torch.cuda.amp.custom_bwd",
    "torch.amp.custom_fwd",
    "torch.amp.custom_bwd",
    "torch.autograd.function.once_differentiable",
    because="OneFlow runs Python as it is, and has nothing of this.",
)
def as_it_is(function=None, *args, **named):
    return as_it_is if function is None or isinstance(function, bool) else function


@stands_for("torch.jit.annotate", because="OneFlow has no TorchScript.")
def annotated(the_type, the_value):
    return the_value


@stands_for("torch.jit.isinstance", because="OneFlow has no TorchScript.")
def is_of_type(obj, target_type):
    return isinstance(obj, getattr(target_type, "__origin__", None) or target_type)


@stands_for("torch.jit.ScriptModule", because="OneFlow has no TorchScript.")
class ScriptModule(nn.Module):
    pass


@stands_for("torch.jit.Final", because="OneFlow has no TorchScript.")
class Final:
    def __class_getitem__(cls, kind):
        return kind


@stands_for("torch._check", because="OneFlow has no `_check`.")
def check(cond, message=None):
    if not cond:
        raise RuntimeError("Expected cond to be True, but got False." if message is None else str(message()))


@stands_for("torch._check_is_size", because="OneFlow has no `_check_is_size`.")
def check_size(i, message=None, *, max=None):
    check(i >= 0, message)


@stands_for("torch.get_autocast_gpu_dtype", "torch.get_autocast_dtype", because="OneFlow tells no such dtype.")
def dtype_of_autocast(device_type="cuda"):
    return flow.float16 if device_type == "cuda" else flow.bfloat16


@stands_for("torch._assert", because="OneFlow has no `_assert`.")
def assert_that(condition, message):
    assert condition, message


@stands_for("torch.typename", because="OneFlow has no `typename`.")
def typename(obj):
    if isinstance(obj, flow.Tensor):
        return obj.type().replace("oneflow.", "torch.")
    return f"{type(obj).__module__}.{type(obj).__name__}"


@stands_for("torch.result_type", because="OneFlow has no `result_type`.")
def result_type(tensor1, tensor2):
    return getattr(flow, common_dtype([described(tensor1), described(tensor2)]))


@stands_for("torch.promote_types", because="OneFlow has no `promote_types`.")
def promote_types(type1, type2):
    return getattr(flow, common_dtype([(str(each).rpartition(".")[2], 1) for each in (type1, type2)]))


@stands_for("torch.can_cast", because="OneFlow has no `can_cast`.")
def can_cast(from_, to):
    kinds = [2 if each.is_floating_point else 0 if each == flow.bool else 1 for each in (from_, to)]
    return kinds[0] <= kinds[1]


# --- precision


@stands_for("torch.cuda.amp.autocast", because="OneFlow has it as `autocast` of a named device alone.")
class AutocastOfCuda(flow.autocast):
    def __init__(self, enabled=True, dtype=None, cache_enabled=True):
        super().__init__("cuda" if flow.cuda.is_available() else "cpu", enabled=enabled and flow.cuda.is_available())


@stands_for(
    "torch.cuda.amp.GradScaler",
    "torch.cuda.amp.grad_scaler.GradScaler",
    "torch.amp.GradScaler",
    "torch.GradScaler",
    because="OneFlow's is for graphs alone.",
)
class LossScaler:
    """Scales a loss up, so that small gradients of float16 are not lost, and steps where all gradients are finite."""

    def __init__(
        self,
        device="cuda",
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        if not isinstance(device, str):  # As `torch.cuda.amp` has it, the scale comes first.
            device, init_scale = "cuda", device
        self.enabled = enabled and flow.cuda.is_available()
        self.factor, self.growth, self.backoff = init_scale, growth_factor, backoff_factor
        self.interval, self.good_steps, self.finite, self.unscaled = growth_interval, 0, {}, set()

    def is_enabled(self):
        return self.enabled

    def get_scale(self):
        return float(self.factor) if self.enabled else 1.0

    def scale(self, outputs):
        if not self.enabled:
            return outputs
        if isinstance(outputs, flow.Tensor):
            return outputs * self.factor
        return type(outputs)(self.scale(each) for each in outputs)

    def unscale_(self, optimizer):
        if not self.enabled or id(optimizer) in self.unscaled:
            return
        finite = True
        for group in optimizer.param_groups:
            for parameter in group["params"] if isinstance(group, dict) else group.parameters:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad / self.factor
                    finite = finite and not bool((parameter.grad - parameter.grad != 0).any())
        self.finite[id(optimizer)] = finite
        self.unscaled.add(id(optimizer))

    def step(self, optimizer, *args, **named):
        self.unscale_(optimizer)
        return optimizer.step(*args, **named) if self.finite.get(id(optimizer), True) else None

    def update(self, new_scale=None):
        if not self.enabled:
            return
        good = all(self.finite.values())
        self.good_steps = self.good_steps + 1 if good else 0
        if new_scale is not None:
            self.factor = float(new_scale)
        elif not good:
            self.factor *= self.backoff
        elif self.good_steps == self.interval:
            self.factor, self.good_steps = self.factor * self.growth, 0
        self.finite, self.unscaled = {}, set()

    def state_dict(self):
        if not self.enabled:
            return {}
        names = "scale growth_factor backoff_factor growth_interval _growth_tracker".split()
        values = self.factor, self.growth, self.backoff, self.interval, self.good_steps
        return dict(zip(names, values, strict=True))

    def load_state_dict(self, state_dict):
        if self.enabled:
            self.factor, self.good_steps = state_dict["scale"], state_dict["_growth_tracker"]


# --- devices and seeds


@stands_for(
    "torch.cuda.empty_cache",
    "torch.cuda.ipc_collect",
    "torch.cuda.reset_peak_memory_stats",
    "torch.cuda.reset_max_memory_allocated",
    "torch.cuda.reset_max_memory_cached",
    "torch.cuda.reset_accumulated_memory_stats",
    "torch.cuda.set_per_process_memory_fraction",
    "torch.set_anomaly_enabled",
    "torch.accelerator.synchronize",
    "torch.cuda.synchronize",
    "torch.cuda.set_sync_debug_mode",
    "torch.cuda.init",
    "torch.use_deterministic_algorithms",
    "torch.set_deterministic_debug_mode",
    "torch.set_num_threads",
    "torch.set_num_interop_threads",
    "torch.set_float32_matmul_precision",
    "torch.set_warn_always",
    "torch.autograd.set_detect_anomaly",
    "torch.multiprocessing.set_sharing_strategy",
    "torch.multiprocessing.set_start_method",
    "torch.backends.cuda.enable_flash_sdp",
    "torch.backends.cuda.enable_mem_efficient_sdp",
    "torch.backends.cuda.enable_math_sdp",
    "torch.jit.enable_onednn_fusion",
    "torch.jit.set_fusion_strategy",
    "torch._dynamo.mark_static_address",
    "torch._dynamo.mark_dynamic",
    "torch._dynamo.reset",
    "torch._C._jit_set_profiling_executor",
    "torch._C._jit_set_profiling_mode",
    "torch._C._jit_override_can_fuse_on_gpu",
    "torch._C._jit_override_can_fuse_on_cpu",
    "torch._C._jit_set_texpr_fuser_enabled",
    "torch._C._jit_set_nvfuser_enabled",
    "torch.serialization.add_safe_globals",
    because="OneFlow has no such switch: it does nothing.",
)
def does_nothing(*args, **named):
    return None


@stands_for(
    "torch.autograd.detect_anomaly",
    "torch.backends.cudnn.flags",
    "torch.backends.cuda.sdp_kernel",
    "torch.nn.attention.sdpa_kernel",
    "torch.jit.optimized_execution",
    "torch.serialization.safe_globals",
    "torch.autograd.profiler.record_function",
    "torch.profiler.record_function",
    because="OneFlow has no such switch: the block runs as it is.",
)
def runs_as_it_is(*args, **named):
    return contextlib.nullcontext()


@stands_for("torch.nn.attention.SDPBackend", because="OneFlow has no choice of kernels for attention.")
class SDPBackend(enum.Enum):
    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3


@stands_for("torch.accelerator.is_available", because="OneFlow has it for CUDA by its name.")
def has_accelerator():
    return flow.cuda.is_available()


@stands_for("torch.accelerator.device_count", because="OneFlow has it for CUDA by its name.")
def count_of_accelerators():
    return flow.cuda.device_count() if flow.cuda.is_available() else 0


@stands_for("torch.accelerator.current_accelerator", because="OneFlow has none: it is CUDA, where there is one.")
def current_accelerator(check_available=False):
    return flow.device("cuda") if flow.cuda.is_available() else None


@stands_for(
    "torch.accelerator.current_device_index",
    "torch.accelerator.current_device_idx",
    because="OneFlow has it for CUDA by its name.",
)
def index_of_accelerator():
    return flow.cuda.current_device()


@stands_for(
    "torch.accelerator.set_device_index",
    "torch.accelerator.set_device_idx",
    because="OneFlow has it for CUDA by its name.",
)
def choose_accelerator(device, /):
    flow.cuda.set_device(device)


@stands_for(
    "torch.cuda.memory_allocated",
    "torch.cuda.max_memory_allocated",
    "torch.cuda.memory_reserved",
    "torch.cuda.max_memory_reserved",
    "torch.cuda.max_memory_cached",
    "torch.cuda.memory_cached",
    because="OneFlow does not tell how much memory it holds.",
)
def tells_zero(*args, **named):
    return 0


@stands_for("torch.cuda.manual_seed", "torch.cuda.manual_seed_all", because="OneFlow's ends the process without a GPU.")
def seed_of_cuda(seed):
    if flow.cuda.is_available():
        flow.cuda.manual_seed_all(int(seed))


@stands_for("torch.random.manual_seed", because="OneFlow has it as `manual_seed` alone.")
def manual_seed(seed):
    return flow.manual_seed(int(seed))


@stands_for("torch.get_num_threads", "torch.get_num_interop_threads", because="OneFlow does not tell.")
def count_of_threads():
    return os.cpu_count() or 1


# --- gradients


@stands_for("torch.autograd.Variable", because="OneFlow has tensors alone.")
def Variable(data, requires_grad=False, volatile=False):
    return data.detach().requires_grad_() if requires_grad else data


BACKWARDS_UNDER_WAY = []


class ContextOfFunction:
    """What `forward` keeps for `backward`. OneFlow's own keeps tensors alone alive: a list kept in it is lost."""

    def __init__(self, needed):
        self.needs_input_grad, self.own, self.are_tensors = needed, None, ()

    @property
    def saved_tensors(self):
        saved = iter(self.own.saved_tensors)
        return tuple(next(saved) if is_tensor else None for is_tensor in self.are_tensors)

    saved_variables = saved_tensors

    def save_for_backward(self, *tensors):
        self.are_tensors = [each is not None for each in tensors]
        self.own.save_for_backward(*[each for each in tensors if each is not None])

    def mark_non_differentiable(self, *tensors):
        self.own.mark_non_differentiable(*tensors)

    def mark_dirty(self, *tensors):
        """OneFlow tells by itself what is changed in place."""

    def set_materialize_grads(self, value):
        """OneFlow always gives zeros where no gradient comes."""


@stands_for(
    "torch.autograd.Function",
    "torch.autograd.function.Function",
    because="OneFlow's takes tensors alone, and tells no `needs_input_grad`.",
)
class FunctionOfAnyArguments(flow.autograd.Function):
    @classmethod
    def apply(cls, *args):
        places = [place for place, each in enumerate(args) if isinstance(each, flow.Tensor)]
        needed = tuple(isinstance(each, flow.Tensor) and each.requires_grad for each in args)

        context = ContextOfFunction(needed)

        def forward(ctx, *tensors):
            given = list(args)
            for place, each in zip(places, tensors, strict=True):
                given[place] = each
            context.own = ctx
            if hasattr(cls, "setup_context"):  # of PyTorch 2
                result = cls.forward(*given)
                cls.setup_context(context, tuple(given), result)
            else:
                result = cls.forward(context, *given)
            return result

        def backward(ctx, *gradients):
            context.own = ctx
            BACKWARDS_UNDER_WAY.append(cls)
            try:
                found = cls.backward(context, *gradients)
            finally:
                BACKWARDS_UNDER_WAY.pop()
            found = found if isinstance(found, tuple | list) else (found,)
            return tuple(found[place] for place in places)

        base = flow.autograd.Function.__mro__[1]
        return base.apply(cls.__name__, forward, backward, *[args[place] for place in places])


@stands_for("torch.autograd.backward", because="OneFlow's wants `grad_tensors`.")
def backward_of(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    tensors = [tensors] if isinstance(tensors, flow.Tensor) else list(tensors)
    if grad_tensors is None:
        grad_tensors = [flow.ones_like(each) for each in tensors]
    grad_tensors = [grad_tensors] if isinstance(grad_tensors, flow.Tensor) else list(grad_tensors)
    kept = create_graph if retain_graph is None else retain_graph
    flow.autograd.backward(tensors, grad_tensors, bool(kept), create_graph)


@stands_for("torch.utils.tensorboard.SummaryWriter", "torch.utils.tensorboard.writer.SummaryWriter",
            because="OneFlow has none: the package tensorboardX writes the same.")  # fmt: skip
def SummaryWriter(*args, **named):
    try:
        package = importlib.import_module("tensorboardX")
    except ImportError:
        raise ImportError("OneFlow has no SummaryWriter: install the package tensorboardX, which has it") from None
    return package.SummaryWriter(*args, **named)


@stands_for("torch.autograd.grad", because="OneFlow's takes no `only_inputs`, and nothing that is not used.")
def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True, allow_unused=False,
    is_grads_batched=False,
):  # fmt: skip
    outputs, inputs = ([each] if isinstance(each, flow.Tensor) else list(each) for each in (outputs, inputs))
    if grad_outputs is None:
        grad_outputs = [flow.ones_like(each) for each in outputs]
    elif isinstance(grad_outputs, flow.Tensor):
        grad_outputs = [grad_outputs]
    grad_outputs = [
        flow.ones_like(each) if weight is None else weight for each, weight in zip(outputs, grad_outputs, strict=True)
    ]
    retained = create_graph if retain_graph is None else retain_graph
    for each in inputs if BACKWARDS_UNDER_WAY else ():
        if each.is_leaf:  # What has come to it in the outer backward would be lost: this puts it into its `grad`.
            with flow.enable_grad():
                flow.autograd.backward([each.view(each.shape)], [flow.zeros_like(each)])
    # Of what the outputs do not come from, OneFlow gives numbers that nobody wrote, if it was once part of a graph.
    reached = nodes_behind(outputs)
    used = [each for each in inputs if each.grad_fn in reached or any(each is one for one in outputs)]
    if len(used) < len(inputs) and not allow_unused:
        raise RuntimeError("one of the differentiated tensors was not used in the graph: set allow_unused=True")
    asked = [*used, *leaves_that_would_keep(outputs, used)] if used else []
    found = iter(flow.autograd.grad(outputs, asked, grad_outputs, retained, create_graph) if used else ())
    return tuple(next(found) if any(each is one for one in used) else None for each in inputs)


@stands_for("torch.utils.checkpoint.checkpoint", because="OneFlow's takes no `use_reentrant`: what is kept is kept.")
def checkpoint(function, *args, use_reentrant=None, preserve_rng_state=True, **named):
    return function(*args, **named)


@stands_for("torch.utils.checkpoint.checkpoint_sequential", because="OneFlow has no `checkpoint_sequential`.")
def checkpoint_sequential(functions, segments, input, use_reentrant=None, **named):
    for function in functions.children() if isinstance(functions, nn.Module) else functions:
        input = function(input)
    return input


# --- files


@stands_for(
    "torch.save",
    because="OneFlow's writes a folder: this writes a file, with arrays of NumPy's in it, that `load` here reads.",
)
def save(obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True):
    import io
    import pickle

    class Pickler(pickle.Pickler):
        def reducer_override(self, value):
            if not isinstance(value, flow.Tensor):
                return NotImplemented
            whole = value.to(flow.float32) if value.dtype == flow.bfloat16 else value
            dtype = str(value.dtype).rpartition(".")[2]
            kept = whole.detach().cpu().numpy(), dtype, value.requires_grad, isinstance(value, nn.Parameter)
            return tensor_of_file, kept

    data = io.BytesIO()
    Pickler(data, protocol=4).dump({"flow_compat": 1, "data": obj})
    if hasattr(f, "write"):
        f.write(data.getvalue())
    else:
        with open(f, "wb") as file:
            file.write(data.getvalue())


def tensor_of_file(array, dtype, requires_grad, is_parameter):
    """A tensor as a file keeps it, alone or in a module."""
    made = flow.tensor(array).to(getattr(flow, dtype))
    return nn.Parameter(made, requires_grad) if is_parameter else made.requires_grad_(requires_grad)


@stands_for(
    "torch.load",
    because="OneFlow's takes no `weights_only`, no open file, and no function as `map_location`.",
)
def load(f, map_location=None, pickle_module=None, *, weights_only=False, mmap=None, **pickle_load_args):
    """What `save` wrote. A file of PyTorch's is read by torch2flow, where that is installed, else by OneFlow."""
    import pickle

    place = "cpu" if callable(map_location) or isinstance(map_location, dict) else map_location
    if not hasattr(f, "read") and not Path(f).is_dir():
        with open(f, "rb") as file:
            return load(file, map_location)
    if hasattr(f, "read"):
        place_before = f.tell()
        is_ours = b"flow_compat" in f.read(64)
        f.seek(place_before)
        if is_ours:
            return placed_on(place, pickle.load(f)["data"])
        f = getattr(f, "name", f)
    try:
        reader = importlib.import_module("torch2flow")
    except ImportError:
        return flow.load(str(f), map_location=place)
    return reader.load(f)


def placed_on(device, value):
    """Values with all tensors on a device; None is where they are."""
    if device is None:
        return value
    if isinstance(value, flow.Tensor | nn.Module):
        return value.to(device)
    if isinstance(value, dict):
        return {key: placed_on(device, each) for key, each in value.items()}
    return type(value)(placed_on(device, each) for each in value) if type(value) in (list, tuple) else value
