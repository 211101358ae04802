"""Normalizations: the tensors that a module has say which of its options were set."""

from __future__ import annotations

from typing import Any

from torch2flow.models.lowering.modules.reading import affine, make, shape_of_tensor, whole_number
from torch2flow.models.lowering.modules.table import (
    AnyModule,
    Made,
    ModuleCall,
    RefusedModuleError,
    Shape,
    torch_classes,
)


def _arguments(module: AnyModule) -> dict[str, Any]:
    """What the tensors of a batch or instance norm say of its arguments."""
    own, track = affine(module), bool(module.shape("running_mean"))
    if bool(module.get("track_running_stats", track)) != track:
        raise RefusedModuleError("its track_running_stats was changed after it was made")
    shape = module.shape("weight") or module.shape("running_mean")
    if not shape:
        shape = module.input[1:] if isinstance(module, ModuleCall) else (module.get("num_features"),)
    given = {"num_features": shape[0], "affine": bool(own), "track_running_stats": track}
    return given | {"bias": own != ("weight",)}


def _norm(function: str, module: AnyModule, given: dict[str, Any]) -> Made:
    size = (given["num_features"],)
    tensors: dict[str, Shape] = {"weight": size, "bias": size}
    if given["track_running_stats"]:
        # PyTorch before 0.4.1 did not count batches; OneFlow's module then begins at 0 by itself.
        tensors |= {"running_mean": size, "running_var": size, "num_batches_tracked": ()}
    return make(function, module, tensors, **given)


@torch_classes("""
    BatchNorm{d}d(num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True): batch_norm _native_batch_norm_legit_no_training _native_batch_norm_legit_functional
    SyncBatchNorm
""")  # noqa: E501
def batch_norm(module: AnyModule) -> Made:
    given = _arguments(module)
    usual = module.get("momentum", 0.1) is not None and given["track_running_stats"] and given["bias"]
    usual = usual and module.known_as != "SyncBatchNorm"  # OneFlow's is for GPUs alone.
    return _norm(f"nn.{module.known_as}" if usual else "BatchNorm", module, given)


@torch_classes(
    "InstanceNorm{d}d(num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False): instance_norm"
)
def instance_norm(module: AnyModule) -> Made:
    given = _arguments(module)
    usual = not given["track_running_stats"] and given["bias"]
    return _norm(f"nn.{module.known_as}" if usual else "InstanceNorm", module, given)


@torch_classes("""
    LayerNorm(normalized_shape, eps=1e-05, elementwise_affine=True): layer_norm native_layer_norm
    RMSNorm
""")
def layer_norm(module: AnyModule) -> Made:
    own = affine(module)
    shape = tuple(module.get("normalized_shape", ())) or shape_of_tensor(module, "weight")
    given = {"normalized_shape": shape[0] if len(shape) == 1 else shape, "elementwise_affine": bool(own)}
    function = "RMSNorm" if module.known_as == "RMSNorm" else "nn.LayerNorm"
    if function == "nn.LayerNorm" and own == ("weight",):
        function, given["bias"] = "LayerNorm", False
    return make(function, module, {"weight": shape, "bias": shape}, **given)


@torch_classes("GroupNorm(num_groups, num_channels, eps=1e-05, affine=True): group_norm")
def group_norm(module: AnyModule) -> Made:
    own = affine(module)
    known = module.shape("weight") or (module.input[1:] if isinstance(module, ModuleCall) else ())
    channels = whole_number(module, "num_channels", (*known, None)[0])
    function = "GroupNorm" if own == ("weight",) else "nn.GroupNorm"
    tensors = {"weight": (channels,), "bias": (channels,)}
    return make(function, module, tensors, num_channels=channels, affine=bool(own))
