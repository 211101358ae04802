"""What is written otherwise, or left out, beside names that have a substitute: data, each group with its reason.

These are no functions under another name: what PyTorch's compilers are told has no meaning in OneFlow, which compiles
nothing of what is ported.
"""

from torch2flow.port.compat import registry

COMPILER_MARKS = frozenset(
    {
        "torch._dynamo.allow_in_graph", "torch._dynamo.disable", "torch.compile", "torch.compiler.allow_in_graph",
        "torch.compiler.disable", "torch.fx.wrap", "torch.jit._overload", "torch.jit._overload_method",
        "torch.jit._script_if_tracing", "torch.jit.export", "torch.jit.ignore", "torch.jit.interface",
        "torch.jit.optimize_for_inference", "torch.jit.freeze", "torch.jit.script", "torch.jit.script_if_tracing",
        "torch.jit.script_method", "torch.jit.trace", "torch.jit.trace_module", "torch.jit.unused",
        "torch._jit_internal._overload", "torch._jit_internal._overload_method", "torch._jit_internal.ignore",
        "torch._jit_internal.export", "torch._jit_internal.unused", "torch._dynamo.optimize",
    }
)  # fmt: skip
"""As a decorator they go; called with a module or a function they are that."""

VALUES = {**registry.VALUES, "torchvision.__version__": '"0.15.2"'}
"""Constants. The version is the one whose names ported code may call, which is what code asks for it for."""

ANSWERS = {
    "torch.jit.is_scripting": "False",
    "torch.jit.is_tracing": "False",
    "torch._C._get_tracing_state": "None",
    "torch._dynamo.is_compiling": "False",
    "torch.compiler.is_compiling": "False",
    "torch.compiler.is_dynamo_compiling": "False",
    "torch.compiler.is_exporting": "False",
    "torch.onnx.is_in_onnx_export": "False",
    "torch.backends.cudnn.version": "None",
    "torch.nn.modules.activation._is_make_fx_tracing": "False",
    "torch.overrides.has_torch_function": "False",
    "torch.overrides.has_torch_function_unary": "False",
    "torch.overrides.has_torch_function_variadic": "False",
    "torch._utils.is_compiling": "False",
}
"""Calls whose answer is known: nothing is compiled, traced or exported in OneFlow."""

WITHOUT_EFFECT = (
    "torch.backends.",
    "torch._dynamo.",
    "torch._inductor.",
    "torch.compiler.reset",
    "torch.compiler.cudagraph_mark_step_begin",
    "torch._C._jit_",
    "torch._C._log_api_usage_once",
    "torch._C._debug_",
    "torch._C._set_",
    "torch._logging.",
    "torch.fx.wrap",
    "torch.library.",
    "torch.onnx.register_custom_op_symbolic",
    "torch.onnx.unregister_custom_op_symbolic",
    "torch.jit.set_fusion_strategy",
    "torch.jit.enable_onednn_fusion",
    "torch.set_float32_matmul_precision",
    "torch.set_flush_denormal",
    "torch.set_num_interop_threads",
    "torch.use_deterministic_algorithms",
    "torch.set_deterministic",
    "torch.set_warn_always",
    "torch.autograd.set_detect_anomaly",
    "torch.multiprocessing.set_sharing_strategy",
    "torch.cuda.memory._",
    "torch.cuda.reset_peak_memory_stats",
)
"""Settings of PyTorch's kernels and compilers: as a statement of its own, what begins so does nothing in OneFlow."""

DROPPED_ARGUMENTS = {
    "memory_format": "OneFlow has one memory format, values are the same",
    "non_blocking": "OneFlow copies asynchronously by itself",
    "pin_memory": "it changes how fast a copy is, not what is copied",
    "pin_memory_device": "it changes how fast a copy is, not what is copied",
    "layout": "OneFlow has dense tensors only",
    "foreach": "it chooses between kernels that compute the same",
    "fused": "it chooses between kernels that compute the same",
    "capturable": "it has no meaning without CUDA graphs",
    "weights_only": "OneFlow reads weights as data",
    "_use_new_zipfile_serialization": "OneFlow has one format",
    "pickle_protocol": "OneFlow has one format",
    "bucket_cap_mb": "it changes how gradients are sent, not which",
    "gradient_as_bucket_view": "it saves memory and changes no value",
    "static_graph": "it saves time and changes no value",
    "check_reduction": "PyTorch ignores it",
}
"""Arguments that change no value: a call loses them where OneFlow's has no such parameter."""

METHODS_WITH_DROPPED = frozenset(
    {"to", "cuda", "cpu", "float", "half", "double", "bfloat16", "long", "int", "contiguous", "clone", "copy_", "type"}
)
"""Methods of tensors and modules whose `memory_format` and `non_blocking` OneFlow's have not."""

ASKS_FOR_PACKAGES = {
    "importlib.util.find_spec": "find_spec",
    "importlib.metadata.version": "version",
    "importlib_metadata.version": "version",
}
"""Functions by which code asks whether PyTorch is there, and ours that know OneFlow in its place."""

OF_OTHER_PACKAGES = {"einops.layers.torch": "einops.layers.oneflow"}
"""Modules of other packages that make modules of PyTorch, and those that make OneFlow's (einops 0.6.1 or newer)."""

NEEDS_PYTORCH = {
    "torchvision": "flowvision has many of its parts; `--with torchvision` ports your own copy along",
    "timm": "port it along: `torch2flow port -m timm -o OUT/timm`",
    **dict.fromkeys(
        """torchaudio torchtext transformers diffusers torchmetrics pytorch_lightning lightning kornia apex xformers
        accelerate fairscale deepspeed ignite torch_geometric torch_scatter torchsummary torchinfo thop pytorch_msssim
        lpips functorch mmcv mmengine detectron2 segmentation_models_pytorch x_transformers bitsandbytes triton
        flash_attn torchsde torchdiffeq clip taming open_clip sentence_transformers peft fvcore torchviz""".split(),
        "",
    ),
}
"""Packages that import PyTorch themselves, and what to do. einops, NumPy, PIL and the like work as they are."""
