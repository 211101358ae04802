"""`torch.testing`, as far as tests beside a model use it."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.registry import stands_for

TOLERANCES = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}
"""PyTorch's own, relative and absolute."""


@stands_for("torch.testing.assert_close", because="OneFlow has no `assert_close`.")
def assert_close(actual, expected, *, rtol=None, atol=None, equal_nan=False, msg=None, check_dtype=True, **named):
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys(), f"The keys are {list(actual)} and {list(expected)}."
        actual, expected = list(actual.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(actual) == len(expected), f"There are {len(actual)} values and {len(expected)}."
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, rtol=rtol, atol=atol, equal_nan=equal_nan, msg=msg, check_dtype=check_dtype)
        return
    one, other = (each if isinstance(each, flow.Tensor) else flow.tensor(each) for each in (actual, expected))
    assert one.shape == other.shape, f"The shapes are {tuple(one.shape)} and {tuple(other.shape)}."
    assert one.dtype == other.dtype or not check_dtype, f"The dtypes are {one.dtype} and {other.dtype}."
    relative, absolute = TOLERANCES.get(str(other.dtype).rpartition(".")[2], (0.0, 0.0))
    import numpy as np

    found = one.detach().to(flow.float64).cpu().numpy(), other.detach().to(flow.float64).cpu().numpy()
    limits = {"rtol": relative if rtol is None else rtol, "atol": absolute if atol is None else atol}
    if not np.allclose(*found, **limits, equal_nan=equal_nan):
        raise AssertionError(msg or f"They differ by up to {np.abs(found[0] - found[1]).max()}.")
