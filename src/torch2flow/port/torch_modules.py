"""The modules of PyTorch that code imports by name, and which of them OneFlow 0.9.0 has.

A name is looked up in `api.py`; this says what `import torch.nn.functional as F` itself becomes.
"""

from __future__ import annotations

IN_ONEFLOW = frozenset(
    "torch" + (f".{name}" if name else "")
    for name in (
        "", "amp", "autograd", "autograd.graph", "backends", "backends.cudnn", "cuda", "cuda.amp", "distributed",
        "distributions", "distributions.categorical", "distributions.distribution", "distributions.utils", "hub",
        "linalg", "multiprocessing", "nn", "nn.functional", "nn.init", "nn.modules", "nn.modules.activation",
        "nn.modules.batchnorm", "nn.modules.container", "nn.modules.conv", "nn.modules.distance", "nn.modules.dropout",
        "nn.modules.flatten", "nn.modules.fold", "nn.modules.instancenorm", "nn.modules.linear", "nn.modules.loss",
        "nn.modules.module", "nn.modules.normalization", "nn.modules.padding", "nn.modules.pixelshuffle",
        "nn.modules.pooling", "nn.modules.rnn", "nn.modules.sparse", "nn.modules.utils", "nn.parallel",
        "nn.parameter", "nn.utils", "nn.utils.rnn", "optim", "optim.lr_scheduler",
        "optim.optimizer", "profiler", "utils", "utils.data", "utils.data.dataloader", "utils.data.dataset",
        "utils.data.distributed", "utils.data.sampler", "version",
    )
)  # fmt: skip
"""`oneflow` and the same path is a module of OneFlow."""

NOT_IN_ONEFLOW = frozenset(
    f"torch.{name}"
    for name in (
        "_C", "_dynamo", "_dynamo.config", "_inductor", "_inductor.config", "_jit_internal", "_six", "_tensor",
        "_utils", "_prims", "_refs", "_VF", "_ops", "_decomp", "_subclasses", "_higher_order_ops", "_functorch",
        "accelerator", "ao", "ao.quantization", "ao.nn", "autograd.function", "autograd.functional",
        "autograd.profiler",
        "autograd.variable", "autograd.grad_mode", "autograd.forward_ad", "backends.cuda", "backends.cuda.matmul",
        "backends.mkldnn", "backends.mps", "backends.openmp", "backends.quantized", "backends.mkl", "compiler",
        "cuda.comm", "cuda.nccl", "cuda.nvtx", "cuda.random", "distributed.algorithms", "distributed.checkpoint",
        "distributed.elastic", "distributed.fsdp", "distributed.nn", "distributed.optim", "distributed.pipeline",
        "distributed.rpc", "distributed.tensor", "distributed.launch", "distributed.distributed_c10d",
        "distributions.kl", "distributions.constraints", "distributions.transforms", "distributions.normal",
        "export", "fft", "func", "functional", "futures", "fx", "fx.node", "fx.graph_module", "fx.proxy", "jit",
        "jit.annotations", "library", "monitor", "mps", "nested", "nn.attention", "nn.attention.flex_attention",
        "nn.grad", "nn.intrinsic", "nn.modules.lazy", "nn.modules.transformer", "nn.modules.upsampling",
        "nn.modules.adaptive", "nn.modules.channelshuffle", "nn.parallel.data_parallel", "nn.parallel.distributed",
        "nn.parallel.scatter_gather", "nn.qat", "nn.quantizable", "nn.quantized", "nn.utils.clip_grad",
        "nn.utils.parametrizations", "nn.utils.parametrize", "nn.utils.prune", "nn.utils.spectral_norm",
        "nn.utils.stateless", "nn.utils.weight_norm", "nn.utils.fusion", "onnx", "onnx.symbolic_helper",
        "optim.adam", "optim.adamw", "optim.sgd", "optim.swa_utils", "ops", "overrides", "package", "quantization",
        "random", "return_types", "serialization", "sparse", "special", "storage", "testing", "torch_version",
        "types", "utils.benchmark", "utils.bottleneck", "utils.checkpoint", "utils.collect_env",
        "utils.cpp_extension", "utils.data._utils", "utils.data._utils.collate", "utils.data.datapipes",
        "utils.dlpack", "utils.hooks", "utils.mobile_optimizer", "utils.model_zoo", "utils.tensorboard", "xpu",
    )
)  # fmt: skip

MODULES = IN_ONEFLOW | NOT_IN_ONEFLOW

HIDDEN = frozenset({"torch.nn.utils.weight_norm", "torch.nn.utils.spectral_norm", "torch.nn.parallel.data_parallel"})
"""Modules that a function of the same name hides: this is what the whole path means, but for `import` itself."""


def oneflow_module(path: str) -> str:
    """`oneflow.nn` for `torch.nn`; "" where OneFlow has none."""
    return f"oneflow{path[5:]}" if path in IN_ONEFLOW else ""
