"""What OneFlow 0.9.0 does wrong on a CPU, each with a probe that shows it and the rules that work around it.

A probe is an expression over `flow`, `F` and `np` that is true while the defect is there; tests run them all, so that
a OneFlow that has mended one tells which workaround can go. Those that end the process are marked `aborts`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong.

    Attributes:
        name: a few words.
        fault: what happens, and what PyTorch gives.
        probe: an expression that is true while it is so; one that raises is true too where `raises` is set.
        rules: the operators whose rules work around it.
        raises: the fault is an error.
        aborts: the fault ends the process.
    """

    name: str
    fault: str
    probe: str
    rules: tuple[str, ...] = ()
    raises: bool = False
    aborts: bool = False


DEFECTS = (
    Defect(
        "layer_norm with a weight alone",
        "F.layer_norm ignores a weight without a bias, and a bias without a weight.",
        "F.layer_norm(flow.tensor([[1.0, 3.0]]), (2,), flow.tensor([5.0, 5.0])).numpy().max() < 2",
        ("aten.layer_norm", "aten.native_layer_norm"),
    ),
    Defect(
        "batch_norm with a weight alone",
        "F.batch_norm ignores a weight without a bias.",
        "F.batch_norm(flow.ones(2, 1), flow.zeros(1), flow.ones(1), weight=flow.tensor([5.0])).numpy().max() < 2",
        ("aten.batch_norm", "aten._native_batch_norm_legit_no_training"),
    ),
    Defect(
        "sum of float16",
        "float16 numbers are added in float16: 5,000 times 0.7 are 3,502. PyTorch adds them in float32: 3,500.",
        "flow.full((5000,), 0.7, dtype=flow.float16).sum().item() == 3502",
        ("aten.sum", "aten.mean"),
    ),
    Defect(
        "negative integers",
        "-x of int64 is float32.",
        "(-flow.tensor([1])).dtype != flow.int64",
        ("aten.neg",),
    ),
    Defect(
        "sign of integers",
        "flow.sign of int64 is float32.",
        "flow.sign(flow.tensor([1])).dtype != flow.int64",
        ("aten.sign",),
    ),
    Defect(
        "logsigmoid of large negative numbers",
        "F.logsigmoid of -746 and less is -inf in float32.",
        "np.isinf(F.logsigmoid(flow.tensor([-1e4])).numpy()).all()",
        ("aten.log_sigmoid",),
    ),
    Defect(
        "mish of large numbers",
        "F.mish of 100 and more is NaN in float32.",
        "np.isnan(F.mish(flow.tensor([100.0])).numpy()).all()",
        ("aten.mish",),
    ),
    Defect(
        "power of integers",
        "flow.pow of two int64 tensors is float32.",
        "flow.pow(flow.tensor([2]), flow.tensor([2])).dtype != flow.int64",
        ("aten.pow",),
    ),
    Defect(
        "remainder",
        "-7 % 3 takes the dividend's sign: -1, where PyTorch gives 2.",
        "(flow.tensor([-7]) % 3).item() == -1",
        ("aten.remainder",),
    ),
    Defect(
        "floor division",
        "-7 // 2 is rounded towards zero: -3, where PyTorch gives -4.",
        "flow.floor_divide(flow.tensor([-7]), 2).item() == -3",
        ("aten.floor_divide", "aten.div"),
    ),
    Defect(
        "integer and 0-dim float",
        "The sum of an int64 tensor and a 0-dim float32 tensor is int64.",
        "(flow.tensor([1]) + flow.tensor(0.5)).dtype == flow.int64",
        ("promotes",),
    ),
    Defect(
        "clamp of integers",
        "clamp of an int64 tensor to 1.5 is int64, where PyTorch gives float32.",
        "flow.clamp(flow.tensor([3]), max=1.5).dtype == flow.int64",
        ("aten.clamp",),
    ),
    Defect(
        "and of integers",
        "x & y of int64 tensors is a bool.",
        "(flow.tensor([6]) & flow.tensor([3])).dtype == flow.bool",
        ("aten.bitwise_and", "aten.bitwise_or", "aten.bitwise_xor"),
    ),
    Defect(
        "where with a Python float",
        "where(condition, float32 tensor, 1.0) is float64.",
        "flow.where(flow.tensor([True]), flow.tensor([1.0]), 2.0).dtype == flow.float64",
        ("aten.where.ScalarOther", "aten.where.ScalarSelf"),
    ),
    Defect(
        "where of two dtypes",
        "where refuses branches of two dtypes.",
        "flow.where(flow.tensor([True]), flow.tensor([1.0]), flow.tensor([1]))",
        ("aten.where",),
        raises=True,
    ),
    Defect(
        "cumsum of int32",
        "cumsum of int32 to int32 is int64.",
        "flow.cumsum(flow.tensor([1], dtype=flow.int32), 0).dtype != flow.int32",
        ("aten.cumsum", "aten.cumprod"),
    ),
    Defect(
        "new_ones without dimensions",
        "x.new_ones(()) has the shape of x.",
        "tuple(flow.new_ones(flow.zeros(3), ()).shape) == (3,)",
        ("aten.new_ones", "aten.new_zeros"),
    ),
    Defect(
        "flatten of a 0-dim tensor",
        "flatten of a 0-dim tensor has no dimensions, where PyTorch gives one.",
        "flow.tensor(1.0).flatten().ndim == 0",
        ("aten.flatten",),
    ),
    Defect(
        "full without dimensions",
        "flow.full(()) fails.",
        "flow.full((), 1.0)",
        ("aten.full", "aten.new_full"),
        raises=True,
    ),
    Defect(
        "expand to no dimensions",
        "x.expand() of a 0-dim tensor fails.",
        "flow.tensor(1.0).expand()",
        ("aten.expand", "aten.expand_as"),
        raises=True,
    ),
    Defect(
        "var over all dimensions",
        "x.var(dim=(0, 1)) of a matrix fails.",
        "flow.ones(2, 2).var(dim=(0, 1))",
        ("aten.var", "aten.var_mean"),
        raises=True,
    ),
    Defect(
        "largest of minus infinities",
        "amax and max of nothing but -inf is -3.4e38.",
        "flow.amax(flow.tensor([float('-inf')] * 3), dim=0).item() > float('-inf')",
    ),
    Defect(
        "mean of nothing",
        "The mean of no elements is 0, where PyTorch gives NaN.",
        "flow.zeros(0).mean().item() == 0",
    ),
    Defect(
        "dropout2d",
        "F.dropout2d and its kin fail.",
        "F.dropout2d(flow.ones(1, 2, 2, 2))",
        ("aten.feature_dropout",),
        raises=True,
    ),
    Defect(
        "sort gives int32",
        "The indices of flow.sort and flow.argsort are int32, and equal elements may come in any order.",
        "flow.sort(flow.tensor([1.0]))[1].dtype == flow.int32",
        ("aten.sort", "aten.argsort"),
    ),
    Defect(
        "atan2 does not broadcast",
        "flow.atan2 wants two tensors of one shape.",
        "flow.atan2(flow.ones(3, 1), flow.ones(2))",
        ("aten.atan2",),
        raises=True,
    ),
    Defect(
        "gradient of nansum",
        "The gradient of nansum at a NaN is 1, where PyTorch gives 0.",
        "[x := flow.tensor([float('nan')], requires_grad=True), x.nansum().backward(), x.grad.item() == 1][2]",
        ("aten.nansum", "aten.nanmean"),
    ),
    Defect(
        "gradient of lgamma",
        "The gradient of lgamma is 0 everywhere.",
        "[x := flow.tensor([3.0], requires_grad=True), flow.lgamma(x).backward(), x.grad.item() == 0][2]",
        ("aten.lgamma",),
    ),
    Defect(
        "gradient of erfinv",
        "flow.erfinv has no gradient.",
        "[x := flow.tensor([0.3], requires_grad=True), flow.erfinv(x)]",
        ("aten.erfinv",),
        raises=True,
    ),
    Defect(
        "gradient of a diagonal",
        "The gradient of a diagonal of other dimensions than the first two has another shape than the tensor.",
        "[x := flow.ones(2, 3, 3, requires_grad=True), flow.diagonal(x, 0, 1, 2).sum().backward(),"
        " tuple(x.grad.shape) != (2, 3, 3)][2]",
        ("aten.diagonal", "aten.linalg_diagonal"),
    ),
    Defect(
        "gradient of std of equal values",
        "The gradient of std is NaN where all values are equal.",
        "[x := flow.ones(3, requires_grad=True), x.std().backward(), np.isnan(x.grad.numpy()[0])][2]",
        ("aten.std", "aten.std_mean"),
    ),
    Defect(
        "gradient of max among equal values",
        "The gradient of max and min along a dimension is shared among equal values; PyTorch gives it to one of them.",
        "[x := flow.ones(2, requires_grad=True), flow.max(x, 0)[0].backward(), x.grad.numpy()[0] == 0.5][2]",
        ("aten.max.dim", "aten.min.dim"),
    ),
    Defect(
        "gradient of atan2 at the origin",
        "The gradient of atan2 is NaN where both numbers are 0.",
        "[x := flow.zeros(1, requires_grad=True), flow.atan2(x, flow.zeros(1)).backward(),"
        " np.isnan(x.grad.numpy()[0])][2]",
        ("aten.atan2",),
    ),
    Defect(
        "smallest of bytes",
        "topk of uint8 with largest=False takes 0 for the largest.",
        "flow.topk(flow.tensor([0, 4], dtype=flow.uint8), 1, largest=False)[0].item() == 4",
        ("aten.topk", "aten.kthvalue"),
    ),
    Defect(
        "gradient of fmod by a tensor without one",
        "The backward pass of fmod fails where only the dividend has a gradient.",
        "flow.fmod(flow.ones(2, requires_grad=True), flow.ones(2)).sum().backward()",
        ("aten.fmod", "aten.remainder"),
        raises=True,
    ),
    Defect(
        "gradient of a repeated letter",
        "The gradient of einsum has another shape than the operand where a letter comes twice in it.",
        "[x := flow.ones(2, 3, 3, requires_grad=True), flow.einsum('bii->bi', x).sum().backward(),"
        " tuple(x.grad.shape) != (2, 3, 3)][2]",
        ("aten.einsum",),
    ),
    Defect(
        "gradient of prod at zero",
        "The gradient of prod is NaN where an element is 0.",
        "[x := flow.tensor([0.0, 2.0], requires_grad=True), flow.prod(x).backward(), np.isnan(x.grad.numpy()[0])][2]",
        ("aten.prod",),
    ),
    Defect(
        "gradient of matrices times a vector",
        "The gradient of a batch of matrices times one vector ends the process.",
        "flow.matmul(flow.ones(2, 3, 4, requires_grad=True), flow.ones(4, requires_grad=True)).sum().backward()",
        ("aten.matmul",),
        aborts=True,
    ),
    Defect(
        "matrices without elements",
        "A product of matrices without elements ends the process.",
        "flow.matmul(flow.ones(2, 0, 3), flow.ones(3, 2)).numpy()",
        ("aten.matmul", "aten.linear", "aten.mm", "aten.bmm"),
        aborts=True,
    ),
    Defect(
        "softmax of a 0-dim tensor",
        "F.softmax of a 0-dim tensor ends the process.",
        "F.softmax(flow.tensor(1.0), dim=0)",
        ("aten.softmax", "aten.log_softmax"),
        aborts=True,
    ),
    Defect(
        "roll along a dimension counted from the end",
        "flow.roll(x, 2, -1) moves elements out of their rows.",
        "flow.roll(flow.arange(8).reshape(2, 4), 2, -1).numpy()[0].tolist() != [2, 3, 0, 1]",
        ("aten.roll",),
    ),
    Defect(
        "roll without elements",
        "flow.roll of no elements ends the process.",
        "flow.roll(flow.zeros(0, 2), 1, 0)",
        ("aten.roll",),
        aborts=True,
    ),
)  # fmt: skip
