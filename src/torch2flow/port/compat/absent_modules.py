"""Classes of `torch.nn` that OneFlow lacks: those that converted models use too, losses, and small ones."""

import math

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.models.lowering.modules.classes.attention import MultiheadAttention
from torch2flow.models.lowering.modules.classes.normalization import LocalResponseNorm, RMSNorm
from torch2flow.models.lowering.modules.classes.recurrent import GRUCell, LSTMCell, RNNCell
from torch2flow.models.lowering.modules.classes.simple import (
    AlphaDropout,
    Bilinear,
    ChannelShuffle,
    EmbeddingBag,
    LogSigmoid,
    PairwiseDistance,
    PixelUnshuffle,
    RReLU,
    Softmax2d,
    Softmin,
    Tanhshrink,
    Unflatten,
)
from torch2flow.models.lowering.modules.classes.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from torch2flow.port.compat.activations import feature_alpha_dropout, mish
from torch2flow.port.compat.layers import lp_pool1d, lp_pool2d
from torch2flow.port.compat.losses import (
    binary_cross_entropy,
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    reduction_of,
    soft_margin_loss,
    summarized,
)
from torch2flow.port.compat.registry import stands_for

stands_for("torch.nn.MultiheadAttention", because="OneFlow has no `MultiheadAttention`.")(MultiheadAttention)
stands_for("torch.nn.TransformerEncoderLayer", because="OneFlow has no Transformer.")(TransformerEncoderLayer)
stands_for("torch.nn.TransformerEncoder", because="OneFlow has no Transformer.")(TransformerEncoder)
stands_for("torch.nn.TransformerDecoderLayer", because="OneFlow has no Transformer.")(TransformerDecoderLayer)
stands_for("torch.nn.TransformerDecoder", because="OneFlow has no Transformer.")(TransformerDecoder)
stands_for("torch.nn.Transformer", because="OneFlow has no Transformer.")(Transformer)
stands_for("torch.nn.LSTMCell", because="OneFlow's has no kernel for CPUs.")(LSTMCell)
stands_for("torch.nn.GRUCell", because="OneFlow's has no kernel for CPUs.")(GRUCell)
stands_for("torch.nn.RNNCell", because="OneFlow's has no kernel for CPUs.")(RNNCell)
stands_for("torch.nn.LocalResponseNorm", because="OneFlow has no `LocalResponseNorm`.")(LocalResponseNorm)
stands_for("torch.nn.RMSNorm", because="OneFlow's has no kernel for CPUs.")(RMSNorm)
stands_for("torch.nn.AlphaDropout", because="OneFlow has no `AlphaDropout`.")(AlphaDropout)
stands_for("torch.nn.Bilinear", because="OneFlow has no `Bilinear`.")(Bilinear)
stands_for("torch.nn.ChannelShuffle", because="OneFlow has no `ChannelShuffle`.")(ChannelShuffle)
stands_for("torch.nn.EmbeddingBag", because="OneFlow has no `EmbeddingBag`.")(EmbeddingBag)
stands_for("torch.nn.LogSigmoid", because="OneFlow's is -inf below -745.")(LogSigmoid)
stands_for("torch.nn.PairwiseDistance", because="OneFlow's differs for nearly equal rows.")(PairwiseDistance)
stands_for("torch.nn.PixelUnshuffle", because="OneFlow has no `PixelUnshuffle`.")(PixelUnshuffle)
stands_for("torch.nn.RReLU", because="OneFlow has no `RReLU`.")(RReLU)
stands_for("torch.nn.Softmax2d", because="OneFlow has no `Softmax2d`.")(Softmax2d)
stands_for("torch.nn.Softmin", because="OneFlow has no `Softmin`.")(Softmin)
stands_for("torch.nn.Tanhshrink", because="OneFlow has no `Tanhshrink`.")(Tanhshrink)
stands_for("torch.nn.Unflatten", because="OneFlow has no `Unflatten`.")(Unflatten)


@stands_for("torch.nn.FeatureAlphaDropout", because="OneFlow has no `FeatureAlphaDropout`.")
class FeatureAlphaDropout(nn.Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        self.p, self.inplace = p, inplace

    def forward(self, input):
        return feature_alpha_dropout(input, self.p, self.training, self.inplace)


@stands_for("torch.nn.Mish", because="OneFlow's is NaN from 100 on.")
class Mish(nn.Module):
    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return mish(input, self.inplace)


@stands_for("torch.nn.LPPool1d", because="OneFlow has no `LPPool1d`.")
class LPPool1d(nn.Module):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input):
        return lp_pool1d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


@stands_for("torch.nn.LPPool2d", because="OneFlow has no `LPPool2d`.")
class LPPool2d(LPPool1d):
    def forward(self, input):
        return lp_pool2d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


@stands_for(
    "torch.nn.DataParallel",
    "torch.nn.parallel.DataParallel",
    "torch.nn.parallel.data_parallel.DataParallel",
    because="OneFlow has no threads for several devices: it calls the module.",
)
class DataParallelOfOne(nn.Module):
    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)

    def forward(self, *inputs, **named):
        return self.module(*inputs, **named)


@stands_for(
    "torch.nn.parallel.data_parallel",
    "torch.nn.parallel.data_parallel.data_parallel",
    because="OneFlow has no threads for several devices: it calls the module.",
)
def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*inputs, **(module_kwargs or {}))


@stands_for("torch.nn.parallel.replicate", "torch.nn.parallel.replicate.replicate",
            because="OneFlow has no threads for several devices: there is one module.")  # fmt: skip
def replicate(network, devices, detach=False):
    return [network]


@stands_for("torch.nn.parallel.scatter_gather.scatter_kwargs", "torch.nn.parallel.scatter_kwargs",
            because="OneFlow has no threads for several devices: one gets all.")  # fmt: skip
def scatter_kwargs(inputs, kwargs, target_gpus, dim=0):
    return (inputs,), (kwargs or {},)


@stands_for("torch.nn.parallel.scatter", "torch.nn.parallel.scatter_gather.scatter",
            because="OneFlow has no threads for several devices: one gets all.")  # fmt: skip
def scatter_to_one(inputs, target_gpus, dim=0):
    return [inputs]


@stands_for("torch.nn.parallel.gather", "torch.nn.parallel.scatter_gather.gather",
            because="OneFlow has no threads for several devices: one has all.")  # fmt: skip
def gather_of_one(outputs, target_device, dim=0):
    if len(outputs) != 1:
        raise NotImplementedError("OneFlow has one device in a process, so outputs of several can't be gathered.")
    return outputs[0]


@stands_for("torch.nn.parallel.parallel_apply", "torch.nn.parallel.parallel_apply.parallel_apply",
            because="OneFlow has no threads for several devices: it calls one module after the other.")  # fmt: skip
def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    inputs = [each if isinstance(each, tuple) else (each,) for each in inputs]
    kwargs_tup = kwargs_tup or ({},) * len(modules)
    return [module(*given, **named) for module, given, named in zip(modules, inputs, kwargs_tup, strict=True)]


class LossModule(nn.Module):
    """A loss that keeps its reduction."""

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        self.reduction = reduction_of(reduction, size_average, reduce)


@stands_for(
    "torch.nn.MSELoss",
    because="OneFlow's takes no `size_average` and no `reduce`, and no two dtypes.",
    only_with=("size_average", "reduce"),
)
class MSELoss(LossModule):
    def forward(self, input, target):
        return mse_loss(input, target, reduction=self.reduction)


@stands_for("torch.nn.BCELoss", because="OneFlow's gradient is NaN for a chance of exactly 0 or 1.")
class BCELoss(LossModule):
    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


@stands_for("torch.nn.HuberLoss", because="OneFlow has no `HuberLoss`.")
class HuberLoss(LossModule):
    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        return huber_loss(input, target, self.reduction, self.delta)


@stands_for("torch.nn.CosineEmbeddingLoss", because="OneFlow has no `CosineEmbeddingLoss`.")
class CosineEmbeddingLoss(LossModule):
    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


@stands_for("torch.nn.HingeEmbeddingLoss", because="OneFlow has no `HingeEmbeddingLoss`.")
class HingeEmbeddingLoss(LossModule):
    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        return hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


@stands_for("torch.nn.SoftMarginLoss", because="OneFlow has no `SoftMarginLoss`.")
class SoftMarginLoss(LossModule):
    def forward(self, input, target):
        return soft_margin_loss(input, target, reduction=self.reduction)


@stands_for("torch.nn.MultiLabelSoftMarginLoss", because="OneFlow has no `MultiLabelSoftMarginLoss`.")
class MultiLabelSoftMarginLoss(LossModule):
    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


@stands_for("torch.nn.MultiMarginLoss", because="OneFlow has no `MultiMarginLoss`.")
class MultiMarginLoss(LossModule):
    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.p, self.margin = p, margin
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


@stands_for("torch.nn.PoissonNLLLoss", because="OneFlow has no `PoissonNLLLoss`.")
class PoissonNLLLoss(LossModule):
    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input, target):
        return poisson_nll_loss(log_input, target, self.log_input, self.full, None, self.eps, None, self.reduction)


@stands_for("torch.nn.GaussianNLLLoss", because="OneFlow has no `GaussianNLLLoss`.")
class GaussianNLLLoss(LossModule):
    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input, target, var):
        return gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


@stands_for("torch.nn.TripletMarginWithDistanceLoss", because="OneFlow has no `TripletMarginWithDistanceLoss`.")
class TripletMarginWithDistanceLoss(LossModule):
    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        self.distance = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor, positive, negative):
        near, far = self.distance(anchor, positive), self.distance(anchor, negative)
        far = flow.minimum(far, self.distance(positive, negative)) if self.swap else far
        return summarized(nn.functional.relu(near - far + self.margin), self.reduction)


@stands_for("torch.nn.quantized.FloatFunctional", "torch.ao.nn.quantized.FloatFunctional",
            because="OneFlow has no quantization: this computes as it is.")  # fmt: skip
class FloatFunctional(nn.Module):
    def add(self, x, y):
        return x + y

    def mul(self, x, y):
        return x * y

    def cat(self, x, dim=0):
        return flow.cat(x, dim=dim)

    def add_relu(self, x, y):
        return nn.functional.relu(x + y)


@stands_for("torch.ao.quantization.QuantStub", "torch.ao.quantization.DeQuantStub", "torch.quantization.QuantStub",
            "torch.quantization.DeQuantStub", because="OneFlow has no quantization: this changes nothing.")  # fmt: skip
class QuantStub(nn.Module):
    def __init__(self, qconfig=None):
        super().__init__()

    def forward(self, x):
        return x


MODULE_SETATTR = nn.Module.__setattr__


@stands_for("torch.nn.Buffer", because="OneFlow has no `Buffer`: a module registers what it is given as one.")
class Buffer:
    """A tensor that becomes a buffer of the module that it is assigned to."""

    def __init__(self, data=None, *, persistent=True):
        self.data, self.persistent = data, persistent
        nn.Module.__setattr__ = set_attribute


def set_attribute(self, name, value):
    """Sets an attribute of a module, and registers a `Buffer`."""
    if isinstance(value, Buffer):
        self.register_buffer(name, value.data, value.persistent)
    else:
        MODULE_SETATTR(self, name, value)


@stands_for("torch.nn.Module.get_submodule", because="OneFlow has no `get_submodule`.")
def get_submodule(self, target):
    found = self
    for name in target.split(".") if target else []:
        found = found._modules[name]
    return found


@stands_for("torch.nn.Module.get_parameter", because="OneFlow has no `get_parameter`.")
def get_parameter(self, target):
    path, _, name = target.rpartition(".")
    return get_submodule(self, path)._parameters[name]


@stands_for("torch.nn.Module.get_buffer", because="OneFlow has no `get_buffer`.")
def get_buffer(self, target):
    path, _, name = target.rpartition(".")
    return get_submodule(self, path)._buffers[name]


@stands_for("torch.nn.Sequential.append", because="OneFlow has no `append`.")
def append_module(self, module):
    self.add_module(str(len(self)), module)
    return self


@stands_for("torch.nn.Module.share_memory", because="OneFlow has no `share_memory`.")
def share_memory(self):
    return self


@stands_for("torch.nn.ModuleList.__add__", because="OneFlow has no sum of lists of modules.")
def joined_modules(self, other):
    return nn.ModuleList([*self, *other])


@stands_for("torch.nn.Module.type", because="OneFlow has no `type`.")
def module_to_type(self, dst_type):
    return self.to(dst_type)


@stands_for("torch.nn.Module.bfloat16", because="OneFlow has no `bfloat16`.")
def module_to_bfloat16(self):
    return self.to(flow.bfloat16)


class HookOfModule:
    """A hook among those of a module, which can be removed; OneFlow's can't."""

    def __init__(self, hooks, hook):
        self.hooks, self.key = hooks, max(hooks, default=-1) + 1
        hooks[self.key] = hook

    def remove(self):
        self.hooks.pop(self.key, None)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.remove()


@stands_for("torch.nn.Module.register_forward_hook", because="OneFlow's returns no handle.")
def register_forward_hook(self, hook):
    return HookOfModule(self._forward_hooks, hook)


@stands_for("torch.nn.Module.register_forward_pre_hook", because="OneFlow's returns no handle.")
def register_forward_pre_hook(self, hook):
    return HookOfModule(self._forward_pre_hooks, hook)


@stands_for("torch.nn.Module._register_state_dict_hook", because="OneFlow gives its hooks fewer arguments.")
def register_state_dict_hook(self, hook):
    return HookOfModule(self._state_dict_hooks, lambda module, state, prefix: hook(module, state, prefix, {}))


@stands_for("torch.nn.Module.register_state_dict_post_hook", because="OneFlow has no `register_state_dict_post_hook`.")
def register_state_dict_post_hook(self, hook):
    return register_state_dict_hook(self, lambda *given: hook(*given) and None)


@stands_for("torch.nn.Module._register_load_state_dict_pre_hook", because="OneFlow has none that registers.")
def register_load_state_dict_pre_hook(self, hook, with_module=False):
    return HookOfModule(self._load_state_dict_pre_hooks, (lambda *given: hook(self, *given)) if with_module else hook)


@stands_for("torch.nn.Module.register_load_state_dict_pre_hook", because="OneFlow has none that registers.")
def register_load_state_dict_pre_hook_of_module(self, hook):
    return register_load_state_dict_pre_hook(self, hook, with_module=True)


@stands_for(
    "torch.nn.Module.named_modules",
    because="OneFlow's takes no `remove_duplicate`.",
    only_with=("remove_duplicate",),
)
def named_modules(self, memo=None, prefix="", remove_duplicate=True):
    memo = set() if memo is None else memo
    if self in memo:
        return
    if remove_duplicate:
        memo.add(self)
    yield prefix, self
    for name, module in self._modules.items():
        if module is not None:
            yield from named_modules(module, memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)


MODULE_TO = nn.Module.to


@stands_for(
    "torch.nn.Module.to",
    because="OneFlow's takes one argument alone, and no `non_blocking`.",
    only_with=("non_blocking", "memory_format"),
)
def module_to(self, *args, device=None, dtype=None, non_blocking=False, memory_format=None):
    for each in (*args, device, dtype):
        if isinstance(each, flow.Tensor):
            self = MODULE_TO(MODULE_TO(self, each.device), each.dtype)
        elif isinstance(each, int) and not isinstance(each, bool):
            self = MODULE_TO(self, f"cuda:{each}")
        elif each is not None and not isinstance(each, bool):
            self = MODULE_TO(self, each)
    return self


@stands_for("torch.nn.utils.parameters_to_vector", because="OneFlow has no `parameters_to_vector`.")
def parameters_to_vector(parameters):
    return flow.cat([each.reshape(-1) for each in parameters])


@stands_for("torch.nn.utils.vector_to_parameters", because="OneFlow has no `vector_to_parameters`.")
def vector_to_parameters(vec, parameters):
    start = 0
    for each in parameters:
        each.data = vec[start : start + each.numel()].reshape(*each.shape)
        start += each.numel()


@stands_for("torch.nn.utils.clip_grad_norm", because="OneFlow has it as `clip_grad_norm_` alone.")
def clip_grad_norm(parameters, max_norm, norm_type=2.0):
    return nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)


@stands_for("torch.nn.utils.rnn.pack_padded_sequence", because="OneFlow's wants sequences that are sorted by length.")
def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    lengths = [int(each) for each in lengths]
    if enforce_sorted:
        return nn.utils.rnn.pack_padded_sequence(input, flow.tensor(lengths, dtype=flow.int64), batch_first)
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    places = flow.tensor(order, dtype=flow.int64, device=input.device)
    back = flow.tensor(sorted(range(len(order)), key=order.__getitem__), dtype=flow.int64, device=input.device)
    sorted_lengths = flow.tensor([lengths[place] for place in order], dtype=flow.int64)
    packed = nn.utils.rnn.pack_padded_sequence(
        flow.index_select(input, 0 if batch_first else 1, places), sorted_lengths, batch_first
    )
    packed.sorted_indices, packed.unsorted_indices = places, back
    return packed


@stands_for("torch.nn.utils.rnn.pad_packed_sequence", because="OneFlow's gives lengths of float32.")
def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    if not hasattr(sequence, "unsorted_indices"):  # OneFlow's layers forget it.
        sequence.unsorted_indices = flow.argsort(sequence.sorted_indices).to(flow.int64)
    padded, lengths = nn.utils.rnn.pad_packed_sequence(sequence, batch_first, padding_value, total_length)
    return padded, lengths.to(flow.int64)


@stands_for("torch.nn.utils.spectral_norm", because="OneFlow has no `spectral_norm`.")
def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    norm = SpectralNorm(
        name, n_power_iterations, eps, int("Transpose" in type(module).__name__) if dim is None else dim
    )
    norm.start(module)
    register_forward_pre_hook(module, norm)
    return module


class SpectralNorm:
    """Divides a weight by its largest singular value, which some steps of power iteration follow."""

    def __init__(self, name, steps, eps, dim):
        self.name, self.steps, self.eps, self.dim = name, steps, eps, dim

    def start(self, module):
        weight = module._parameters.pop(self.name)
        module.register_parameter(f"{self.name}_orig", weight)
        matrix = self.matrix(weight)
        for key, size in (("u", matrix.shape[0]), ("v", matrix.shape[1])):
            vector = flow.randn(size, dtype=weight.dtype, device=weight.device)
            module.register_buffer(f"{self.name}_{key}", vector / flow.linalg.vector_norm(vector))
        setattr(module, self.name, weight.detach())

    def matrix(self, weight):
        return (
            flow.transpose(weight, 0, self.dim).reshape(weight.shape[self.dim], -1)
            if self.dim
            else weight.reshape(weight.shape[0], -1)
        )

    def __call__(self, module, inputs):
        weight = getattr(module, f"{self.name}_orig")
        matrix = self.matrix(weight)
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        if module.training:
            with flow.no_grad():
                fixed = matrix.detach()
                for _ in range(self.steps):
                    new = flow.mv(flow.transpose(fixed, 0, 1), u)
                    v = new / flow.clamp(flow.linalg.vector_norm(new), min=self.eps)
                    new = flow.mv(fixed, v)
                    u = new / flow.clamp(flow.linalg.vector_norm(new), min=self.eps)
                getattr(module, f"{self.name}_u")[...] = u
                getattr(module, f"{self.name}_v")[...] = v
        sigma = (u * (matrix * v).sum(dim=1)).sum()
        setattr(module, self.name, weight / sigma)


@stands_for("torch.nn.init.orthogonal_", because="OneFlow's writes nothing into the tensor.")
def orthogonal_(tensor, gain=1, generator=None):
    with flow.no_grad():
        rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
        drawn = flow.randn(max(rows, columns), min(rows, columns)).tolist()
        # Gram-Schmidt, column by column; OneFlow has no QR decomposition.
        basis = []
        for place in range(len(drawn[0])):
            column = [row[place] for row in drawn]
            for _ in range(2):
                for other in basis:
                    share = sum(a * b for a, b in zip(column, other, strict=True))
                    column = [a - share * b for a, b in zip(column, other, strict=True)]
            length = math.sqrt(sum(each * each for each in column))
            basis.append([each / length for each in column])
        matrix = flow.tensor(basis, dtype=tensor.dtype, device=tensor.device)
        matrix = matrix if rows <= columns else flow.transpose(matrix, 0, 1)
        tensor[...] = gain * matrix.reshape(*tensor.shape)
    return tensor


@stands_for("torch.nn.init.dirac_", because="OneFlow has no `dirac_`.")
def dirac_(tensor, groups=1):
    with flow.no_grad():
        tensor.zero_()
        for group in range(groups):
            for place in range(min(tensor.shape[0] // groups, tensor.shape[1])):
                centre = tuple(size // 2 for size in tensor.shape[2:])
                tensor[(group * (tensor.shape[0] // groups) + place, place, *centre)] = 1
    return tensor


@stands_for("torch.nn.init.sparse_", because="OneFlow has no `sparse_`.")
def sparse_(tensor, sparsity, std=0.01, generator=None):
    with flow.no_grad():
        rows, columns = tensor.shape
        tensor.normal_(0, std)
        for column in range(columns):
            hidden = flow.randperm(rows)[: math.ceil(sparsity * rows)].to(tensor.device)
            tensor[hidden, column] = 0
    return tensor
