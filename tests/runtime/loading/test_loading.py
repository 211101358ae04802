"""From PyTorch's files straight into live OneFlow modules and tensors."""

from __future__ import annotations

import collections
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.conversion import convert
from torch2flow.errors import FormatError, UnsupportedError, UsageError
from torch2flow.runtime.loading import filling
from torch2flow.runtime.loading.live import load, load_state_dict
from torch2flow.runtime.loading.model_without_values import without_values

pytestmark = pytest.mark.oneflow


def values(module: Any) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def make_net(library: Any) -> Any:
    nn = library.nn
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 5, bias=False)
    )


def module_of(flow: Any, **tensors: Any) -> Any:
    """A module with these tensors: parameters where they are float, buffers otherwise."""
    module = flow.nn.Module()
    for name, tensor in tensors.items():
        if tensor.dtype in (flow.float16, flow.float32, flow.float64, flow.bfloat16):
            module.register_parameter(name, flow.nn.Parameter(tensor))
        else:
            module.register_buffer(name, tensor)
    return module


@pytest.fixture
def net_file(torch: Any, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = make_net(torch)
    net(torch.randn(4, 3, 8, 8))  # moves the running statistics
    torch.save({"epoch": 3, "state_dict": net.state_dict()}, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def save(torch: Any, path: Path, **tensors: Any) -> Path:
    torch.save(collections.OrderedDict(tensors), path)
    return path


# -- load_state_dict: what is loaded -------------------------------------------------------------------------


def test_a_model_gets_the_bits_and_computes_the_same(torch: Any, flow: Any, net_file: Path) -> None:
    theirs, ours = make_net(torch), make_net(flow)
    theirs.load_state_dict(torch.load(net_file)["state_dict"])
    report = load_state_dict(ours, net_file)
    expected = theirs.state_dict()
    assert report.loaded == list(expected) and not (report.missing or report.unexpected or report.converted)
    assert all(bits(value) == bits(expected[name].numpy()) for name, value in values(ours).items())
    batch = np.random.RandomState(0).standard_normal((2, 3, 8, 8)).astype("float32")
    outputs = ours.eval()(flow.tensor(batch)).numpy(), theirs.eval()(torch.tensor(batch)).detach().numpy()
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-5
    assert str(report).startswith("8 tensors loaded; 0.0 MB in ")


def test_objects_stay_and_an_optimizer_made_before_goes_on(flow: Any, net_file: Path) -> None:
    ours = make_net(flow)
    objects = [id(tensor) for tensor in ours.state_dict().values()]
    optimizer = flow.optim.SGD(ours.parameters(), lr=1.0)
    load_state_dict(ours, net_file)
    assert [id(tensor) for tensor in ours.state_dict().values()] == objects
    before = values(ours)["4.weight"]
    ours(flow.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    change = values(ours)["4.weight"] - before
    assert np.allclose(change, -ours[4].weight.grad.numpy(), atol=1e-6) and np.abs(change).max() > 0


def test_what_runs_before_sees_the_old_values(torch: Any, flow: Any, tmp_path: Path) -> None:
    """OneFlow runs operators later, on another thread: none may read half of the new weights."""
    side = 1500
    path = save(torch, tmp_path / "x.pth", w=torch.full((side, side), 2.0))
    model = module_of(flow, w=flow.ones(side, side))
    x = flow.ones(side, side)
    for _ in range(4):
        x = flow.matmul(x, model.w) / side
    load_state_dict(model, path)
    assert (x.numpy() == 1).all() and (model.w.numpy() == 2).all()


SMALL, LARGE, HUGE = 7, filling.DIRECT // 4 + 3, 2 * filling.PENDING // 4
WAYS_IN = [
    *(
        (size, source, target)
        for size in (SMALL, LARGE)
        for source in ("plain", "transposed", "sliced", "expanded", "float64", "float16", "bfloat16")
        for target in ("float32", "bfloat16", "strided")
    ),
    (HUGE, "plain", "bfloat16"),  # these go by chunks, and wait for some of them
    (HUGE, "transposed", "float32"),
]


@pytest.mark.parametrize(("size", "source", "target"), WAYS_IN)
def test_every_way_in(torch: Any, flow: Any, tmp_path: Path, size: int, source: str, target: str) -> None:
    base = torch.randn(4, (size + 3) // 4)
    made = {
        "plain": base,
        "transposed": base.t().contiguous().t(),
        "sliced": torch.cat([base, base])[2:6],
        "expanded": base[:1].expand(4, -1),
    }
    tensor = made[source] if source in made else base.to(getattr(torch, source))
    path = save(torch, tmp_path / "x.pth", w=tensor)
    shape = tuple(tensor.shape)
    dtype = flow.bfloat16 if target == "bfloat16" else flow.float32
    memory = flow.zeros(*shape[::-1]).t() if target == "strided" else flow.zeros(shape, dtype=dtype)
    model = module_of(flow, w=memory)
    report = load_state_dict(model, path)
    expected = tensor.to(torch.bfloat16 if target == "bfloat16" else torch.float32).float().numpy()
    assert np.array_equal(model.w.detach().to(flow.float32).numpy(), expected)
    assert model.w.dtype == dtype
    kept = str(tensor.dtype).removeprefix("torch.") == str(dtype).removeprefix("oneflow.")
    assert (report.converted == {}) is kept


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_bfloat16_where_oneflow_does_not_copy_bits(
    torch: Any, flow: Any, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.9.0 does; a later one may check the dtype."""
    monkeypatch.setattr(filling.Filler, "copies_bits", False)
    path = save(torch, tmp_path / "x.pth", w=torch.randn(size).bfloat16())
    model = module_of(flow, w=flow.zeros(size, dtype=flow.bfloat16))
    load_state_dict(model, path)
    expected = torch.load(path)["w"].float().numpy()
    assert np.array_equal(model.w.detach().to(flow.float32).numpy(), expected)


def test_bfloat16_that_a_folder_holds_as_float32(torch: Any, flow: Any, tmp_path: Path) -> None:
    path = save(torch, tmp_path / "x.pth", w=torch.randn(LARGE).bfloat16())
    convert(path, tmp_path / "out")
    model = module_of(flow, w=flow.zeros(LARGE, dtype=flow.bfloat16))
    load_state_dict(model, tmp_path / "out")
    assert np.array_equal(model.w.detach().to(flow.float32).numpy(), torch.load(path)["w"].float().numpy())


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,)], ids=["scalar", "empty", "vector"])
def test_every_dtype_and_odd_shapes(torch: Any, flow: Any, tmp_path: Path, dtype: str, shape: Any) -> None:
    tensor = (torch.rand(shape) * 100 - 20).to(getattr(torch, dtype))
    path = save(torch, tmp_path / "x.pth", w=tensor)
    model = module_of(flow, w=flow.zeros(shape, dtype=getattr(flow, dtype)))
    load_state_dict(model, path)
    assert bits(model.w.numpy()) == bits(tensor.numpy()) and tuple(model.w.shape) == shape


def test_ties_stay_and_one_name_is_enough(torch: Any, flow: Any, tmp_path: Path) -> None:
    model = flow.nn.Sequential(flow.nn.Linear(3, 3, bias=False), flow.nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    path = save(torch, tmp_path / "x.pth", **{"1.weight": torch.arange(9.0).reshape(3, 3)})
    report = load_state_dict(model, path)
    assert model[0].weight is model[1].weight and model[0].weight.numpy()[2, 2] == 8
    assert report.tied == [["0.weight", "1.weight"]] and report.missing == [] and report.loaded == ["1.weight"]


def test_ties_with_two_values_take_the_last_and_say_so(torch: Any, flow: Any, tmp_path: Path) -> None:
    model = flow.nn.Sequential(flow.nn.Linear(2, 1, bias=False), flow.nn.Linear(2, 1, bias=False))
    model[1].weight = model[0].weight
    tensors = {"1.weight": torch.ones(1, 2), "0.weight": torch.zeros(1, 2)}
    report = load_state_dict(model, save(torch, tmp_path / "x.pth", **tensors))
    assert model[0].weight.numpy().tolist() == [[1, 1]]
    assert report.notes == ["one tensor in the model, several in the checkpoint, the last counts: 0.weight, 1.weight"]


def test_every_kind_of_source(flow: Any, net_file: Path, tmp_path: Path) -> None:
    first = make_net(flow)
    load_state_dict(first, str(net_file))
    flow.save(first.state_dict(), tmp_path / "saved")
    for source in (open_checkpoint(net_file), open_checkpoint(net_file, "."), tmp_path / "saved"):
        again = make_net(flow)
        load_state_dict(
            again,
            source,
            key="state_dict" if source is not tmp_path / "saved" and not isinstance(source, Path) else None,
        )
        assert all(bits(value) == bits(values(first)[name]) for name, value in values(again).items())


@pytest.mark.parametrize("version", ["1.0.1", "1.4.0", "1.6.0", "1.13.1", "2.13.0"])
def test_files_of_every_version(fixtures: Path, flow: Any, version: str) -> None:
    for path in sorted((fixtures / f"torch-{version}").glob("*state_dict*.pth")):
        checkpoint = open_checkpoint(path)
        model = flow.nn.Module()
        for name, tensor in checkpoint.items():
            owner, (*folders, leaf) = model, name.split(".")
            for folder in folders:
                if folder not in owner._modules:
                    owner.add_module(folder, flow.nn.Module())
                owner = owner._modules[folder]
            dtype = getattr(flow, tensor.dtype.name)
            owner.register_buffer(leaf, flow.zeros(tensor.shape, dtype=dtype))
        report = load_state_dict(model, path)
        assert report.loaded and not report.converted
        assert all(bits(value) == bits(checkpoint[name].numpy()) for name, value in values(model).items())


# -- load_state_dict: what does not fit ----------------------------------------------------------------------


def refused(model: Any, *args: Any, error: Any = UsageError, **kwargs: Any) -> str:
    """The message; and the model is as it was."""
    before = {name: bits(value) for name, value in values(model).items()}
    with pytest.raises(error) as caught:
        load_state_dict(model, *args, **kwargs)
    assert {name: bits(value) for name, value in values(model).items()} == before
    return str(caught.value)


def test_everything_that_does_not_fit_is_told_at_once(torch: Any, flow: Any, tmp_path: Path) -> None:
    names = {f"{i}.weight": torch.zeros(3, 3) for i in range(4)}
    names["1.weight"] = torch.zeros(2, 3)
    names["2.weight"] = torch.zeros(3, 3, dtype=torch.int64)
    names["3.wieght"] = names.pop("3.weight")
    model = flow.nn.Sequential(*(flow.nn.Linear(3, 3, bias=False) for _ in range(4)))
    path = save(torch, tmp_path / "x.pth", **names)
    assert refused(model, path) == (
        "The checkpoint does not fit the model; nothing was changed.\n"
        "  do not fit (2):\n"
        "    1.weight (Linear): [2, 3] in the checkpoint, [3, 3] in the model\n"
        "    2.weight (Linear): int64 in the checkpoint, float32 in the model\n"
        "  missing from the checkpoint (1):\n"
        "    3.weight (Linear); did you mean 3.wieght?\n"
        "  not in the model (1):\n"
        "    3.wieght\n"
        f"  at: {path}"
    )
    # Shapes are no matter of strictness.
    assert "do not fit (2)" in refused(model, path, strict=False)


def test_without_strict_the_rest_is_loaded_and_reported(torch: Any, flow: Any, tmp_path: Path) -> None:
    model = flow.nn.Linear(2, 1)
    bias = values(model)["bias"]
    path = save(torch, tmp_path / "x.pth", weight=torch.ones(1, 2, dtype=torch.float64), other=torch.ones(1))
    report = load_state_dict(model, path, strict=False)
    assert (report.loaded, report.missing, report.unexpected) == (["weight"], ["bias"], ["other"])
    assert report.converted == {"weight": ("float64", "float32")} and report.nbytes == 8
    assert values(model)["weight"].tolist() == [[1, 1]] and values(model)["bias"] == bias
    assert str(report).startswith("1 tensors loaded, 1 missing, 1 unexpected, 1 converted; 0.0 MB in ")


def test_a_checkpoint_with_no_name_in_common_is_refused_in_any_case(torch: Any, flow: Any, tmp_path: Path) -> None:
    path = save(torch, tmp_path / "x.pth", **{"module.weight": torch.ones(1, 2), "module.bias": torch.ones(1)})
    message = refused(flow.nn.Linear(2, 1), path, strict=False)
    assert message.endswith(r"the checkpoint's names start with 'module.': rename=r'^module\.='")


@pytest.mark.parametrize(
    ("prefix", "suggestion"),
    [
        ("module.", r"the checkpoint's names start with 'module.': rename=r'^module\.='"),
        (
            "model.backbone.",
            r"the checkpoint's names start with 'model.backbone.': rename=r'^model\.backbone\.='",
        ),
    ],
)
def test_a_prefix_that_explains_all_is_suggested_and_helps(
    torch: Any, flow: Any, net_file: Path, prefix: str, suggestion: str
) -> None:
    state = torch.load(net_file)["state_dict"]
    path = save(torch, net_file.parent / "p.pth", **{prefix + name: tensor for name, tensor in state.items()})
    model = make_net(flow)
    assert refused(model, path).endswith(f"what to do: {suggestion}")
    report = load_state_dict(model, path, rename=suggestion.split("'")[-2])
    assert len(report.loaded) == 8
    # A part of a greater model.
    path = save(torch, path, **{prefix + name: tensor for name, tensor in state.items()}, head=torch.ones(1))
    assert refused(model, path).endswith(f"what to do: {suggestion} and strict=False (1 other names)")


def test_a_prefix_that_the_checkpoint_lacks_is_suggested(flow: Any, net_file: Path) -> None:
    model = flow.nn.Module()
    model.backbone = make_net(flow)
    message = refused(model, net_file)
    assert message.endswith("the checkpoint's names lack 'backbone.': rename='^=backbone.'")
    assert len(load_state_dict(model, net_file, rename="^=backbone.").loaded) == 8


def test_another_part_of_the_file_is_suggested(torch: Any, flow: Any, net_file: Path) -> None:
    state = torch.load(net_file)["state_dict"]
    path = net_file.parent / "two.pth"
    torch.save({"state_dict": {"teacher": torch.ones(1)}, "model_ema": state}, path)
    model = make_net(flow)
    assert refused(model, path).endswith("another part of the file: key='model_ema'")
    assert len(load_state_dict(model, path, key="model_ema").loaded) == 8


def test_renaming(torch: Any, flow: Any, tmp_path: Path) -> None:
    path = save(torch, tmp_path / "x.pth", **{"a.w": torch.ones(1, 2), "a.b": torch.ones(1)})
    rules = tmp_path / "rules.txt"
    rules.write_text("# a comment\n\\.w$=.weight\n\\.b$=.bias\n")
    for rename in (
        [r"^a\.=", "^w$=weight", "^b$=bias"],
        [("^a.w$", "weight"), ("^a.b$", "bias")],
        [str(rules), r"^a\.="],
    ):
        assert sorted(load_state_dict(flow.nn.Linear(2, 1), path, rename=rename).loaded) == ["bias", "weight"]
    report = load_state_dict(flow.nn.Linear(2, 1), path, rename=[*rename, "nothing=else"])
    assert report.notes == ["the rename rule 'nothing' matched no name"]
    model = flow.nn.Linear(2, 1)
    assert "a.w and a.b would both become x" in refused(model, path, rename=".*=x")
    assert "is no regular expression" in refused(model, path, rename="(=x")
    assert "can't be used" in refused(model, path, rename=r"a=\1")


def test_integers_are_narrowed_only_where_they_fit(torch: Any, flow: Any, tmp_path: Path) -> None:
    model = module_of(flow, n=flow.zeros(2, dtype=flow.int32), flag=flow.zeros(1, dtype=flow.bool))
    path = tmp_path / "x.pth"
    save(torch, path, n=torch.tensor([1, 1 << 40]), flag=torch.tensor([2], dtype=torch.uint8))
    message = refused(model, path)
    assert "n (Module): int64 holds numbers beyond the model's int32" in message
    assert "flag (Module): uint8 holds numbers beyond the model's bool" in message
    report = load_state_dict(
        model, save(torch, path, n=torch.tensor([-5, 7]), flag=torch.tensor([1], dtype=torch.uint8))
    )
    assert model.n.numpy().tolist() == [-5, 7] and model.flag.numpy().tolist() == [True]
    assert report.converted == {"n": ("int64", "int32"), "flag": ("uint8", "bool")}


def test_what_oneflow_lacks_is_widened_into_the_models_dtype(torch: Any, flow: Any, tmp_path: Path) -> None:
    model = module_of(flow, n=flow.zeros(2, dtype=flow.int32))
    load_state_dict(model, save(torch, tmp_path / "x.pth", n=torch.tensor([-5, 300], dtype=torch.int16)))
    assert model.n.numpy().tolist() == [-5, 300]


def test_tensors_oneflow_has_not_are_refused_where_the_model_wants_them(torch: Any, flow: Any, tmp_path: Path) -> None:
    tensors = {
        "c": torch.ones(2, dtype=torch.complex64),
        "s": torch.eye(2).to_sparse(),
        "q": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    }
    path = save(torch, tmp_path / "x.pth", w=torch.ones(2), **tensors)
    model = module_of(flow, w=flow.zeros(2), c=flow.zeros(2), s=flow.zeros(2, 2), q=flow.zeros(2))
    message = refused(model, path, error=UnsupportedError)
    assert "OneFlow has no such tensors (3)" in message
    assert "c (Module): dense complex64 into oneflow.float32" in message
    assert "s (Module): sparse_coo float32" in message and "q (Module): quantized qint8" in message
    small = module_of(flow, w=flow.zeros(2))
    assert load_state_dict(small, path, strict=False).unexpected == ["c", "s", "q"]


def test_a_counter_that_old_checkpoints_lack_starts_at_zero(torch: Any, flow: Any, net_file: Path) -> None:
    """As OneFlow's own batch norm has it."""
    state = torch.load(net_file)["state_dict"]
    del state["1.num_batches_tracked"]
    model = make_net(flow)
    model[1].num_batches_tracked.add_(5)
    report = load_state_dict(model, save(torch, net_file, **state))
    assert model[1].num_batches_tracked.numpy() == 0 and report.missing == []
    assert report.notes == ["set to zero, as the checkpoint is older than them: 1.num_batches_tracked"]


def test_a_frozen_batch_norm_ignores_the_counter(torch: Any, flow: Any, net_file: Path) -> None:
    from flowvision.layers.blocks.misc import FrozenBatchNorm2d

    model = make_net(flow)
    model[1] = FrozenBatchNorm2d(8)
    report = load_state_dict(model, net_file)
    assert len(report.loaded) == 7
    assert report.notes == ["not used by the model's frozen batch norms: 1.num_batches_tracked"]


def test_modules_that_load_themselves_are_refused(flow: Any, net_file: Path) -> None:
    class Own(flow.nn.Linear):
        def _load_from_state_dict(self, *args: Any) -> None: ...

    model = flow.nn.Sequential(Own(2, 2), flow.nn.Linear(2, 2))
    model[1]._load_state_dict_pre_hooks[0] = print
    message = refused(model, net_file, error=UnsupportedError)
    assert "0 (Own): loads its state by _load_from_state_dict of its own" in message
    assert "1 (Linear): loads its state by a hook of its own" in message


def test_global_tensors_that_are_sums_are_refused(flow: Any, net_file: Path) -> None:
    model = flow.nn.Linear(2, 2).to_global(placement=flow.placement("cpu", [0]), sbp=flow.sbp.partial_sum)
    with pytest.raises(UnsupportedError, match=r"(?s)weight: a global tensor that is a sum.*bias: a global tensor"):
        load_state_dict(model, net_file)


def test_what_is_no_module_is_refused(flow: Any, net_file: Path) -> None:
    class Graph(flow.nn.Graph):
        pass

    with pytest.raises(UsageError, match=r"a Graph, no oneflow\.nn\.Module"):
        load_state_dict(Graph(), net_file)
    with pytest.raises(UsageError, match="a dict, no"):
        load_state_dict({}, net_file)


def test_a_file_that_changed_since_it_was_opened_is_refused(flow: Any, net_file: Path) -> None:
    checkpoint = open_checkpoint(net_file)
    os.utime(net_file, ns=(1, 1))
    assert "changed" in refused(make_net(flow), checkpoint, error=FormatError)


def test_a_failure_while_writing_says_that_the_model_is_mixed(
    flow: Any, net_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(FormatError, match=r"(?s)Input/output error.*the model is partly loaded: load it again"):
        load_state_dict(make_net(flow), net_file)


# -- load ----------------------------------------------------------------------------------------------------


def test_a_state_dict_with_its_metadata(torch: Any, flow: Any, net_file: Path) -> None:
    state, expected = load(net_file), torch.load(net_file)["state_dict"]
    assert isinstance(state, collections.OrderedDict) and list(state) == list(expected)
    assert state._metadata == expected._metadata
    assert all(bits(state[name].numpy()) == bits(tensor.numpy()) for name, tensor in expected.items())
    assert all(type(tensor) is flow.Tensor and not tensor.requires_grad for tensor in state.values())
    make_net(flow).load_state_dict(state)


def test_parameters_gradients_and_ties(torch: Any, flow: Any, tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    tree = {
        "a": weight,
        "b": {"again": weight},
        "frozen": torch.nn.Parameter(torch.ones(1), requires_grad=False),
        "asks": torch.ones(3, requires_grad=True),
        "half": torch.nn.Parameter(torch.tensor([1.5, -3e38]).bfloat16()),
        "whole": (torch.tensor(3), [torch.zeros(0, 2, dtype=torch.bfloat16)]),
    }
    torch.save(tree, tmp_path / "x.pth")
    loaded = load(tmp_path / "x.pth", key=".")
    assert loaded["a"] is loaded["b"]["again"]
    assert isinstance(loaded["a"], flow.nn.Parameter) and loaded["a"].requires_grad
    assert isinstance(loaded["frozen"], flow.nn.Parameter) and not loaded["frozen"].requires_grad
    assert not isinstance(loaded["asks"], flow.nn.Parameter) and loaded["asks"].requires_grad
    assert loaded["asks"].is_leaf
    assert loaded["half"].dtype == flow.bfloat16 and isinstance(loaded["half"], flow.nn.Parameter)
    assert loaded["half"].detach().to(flow.float32).numpy().tolist() == tree["half"].float().tolist()
    assert loaded["whole"][0].item() == 3 and tuple(loaded["whole"][1][0].shape) == (0, 2)


def test_everything_else_in_the_tree(torch: Any, flow: Any, tmp_path: Path) -> None:
    shared = [1, 2]
    tree = {
        "size": torch.Size([2, 3]),
        "dtype": torch.float16,
        "other_dtype": torch.complex64,
        "array": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float32(0.1),
        "text": np.array(["ab", "c"]),
        "numpy_dtype": np.dtype(">i4"),
        "default": collections.defaultdict(list, {1: [2]}),
        "shared": [shared, shared],
        "none": None,
    }
    torch.save(tree, tmp_path / "x.pth")
    loaded = load(tmp_path / "x.pth")
    assert loaded["size"] == flow.Size([2, 3]) and isinstance(loaded["size"], flow.Size)
    assert loaded["dtype"] is flow.float16 and loaded["other_dtype"] == "torch.complex64"
    assert np.array_equal(loaded["array"], tree["array"]) and loaded["array"].flags.writeable
    assert loaded["scalar"] == np.float32(0.1) and isinstance(loaded["scalar"], np.float32)
    assert loaded["text"].tolist() == ["ab", "c"] and loaded["numpy_dtype"] == np.dtype(">i4")
    assert loaded["default"][5] == [] and loaded["default"][1] == [2]
    assert loaded["shared"][0] is loaded["shared"][1] and loaded["none"] is None


def test_what_oneflow_lacks_is_widened_and_told(torch: Any, flow: Any, tmp_path: Path) -> None:
    path = save(torch, tmp_path / "x.pth", n=torch.tensor([-5, 300], dtype=torch.int16), w=torch.ones(1))
    with pytest.warns(UserWarning, match="n: int16 became int32"):
        loaded = load(path)
    assert loaded["n"].dtype == flow.int32 and loaded["n"].numpy().tolist() == [-5, 300]


@pytest.mark.parametrize("name", ["dtypes-zip.pth", "dtypes.safetensors", "big_endian.pth", "aligned_4096.pth"])
def test_todays_dtypes(fixtures: Path, flow: Any, name: str) -> None:
    from torch2flow.checkpoints.oneflow.dtypes import DATA_TYPES, widened_dtype

    checkpoint = open_checkpoint(fixtures / "torch-2.13.0" / name)
    able = {n: t for n, t in checkpoint.items() if t.dtype.name in DATA_TYPES or widened_dtype(t.dtype)}
    if len(able) < len(checkpoint):
        with pytest.raises(UnsupportedError) as caught:
            load(checkpoint)
        assert all(n in str(caught.value) for n in checkpoint.keys() - able.keys())
        checkpoint.tree = dict(able)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load(checkpoint)
    assert able
    if isinstance(next(iter(loaded.values())), dict):
        loaded = {f"{dtype}.{kind}": t for dtype, kinds in loaded.items() for kind, t in kinds.items()}
    for n, tensor in able.items():
        ours = loaded[n].to(flow.float32) if loaded[n].dtype == flow.bfloat16 else loaded[n]
        exact = "f8" if tensor.dtype.kind == "f" else "i8" if tensor.dtype.kind != "b" else "?"
        assert np.array_equal(ours.numpy().astype(exact), tensor.numpy().astype(exact), equal_nan=exact == "f8"), n


def test_a_training_checkpoint_resumes_without_conversion(torch: Any, flow: Any, tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, foreach=True)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save({"model": layer.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "x.pth")
    with pytest.warns(UserWarning, match="optimizer: Adam: foreach=True"):
        loaded = load(tmp_path / "x.pth", key=".")
    ours = flow.nn.Linear(3, 2)
    ours.load_state_dict(loaded["model"])
    resumed = flow.optim.Adam(ours.parameters())
    resumed.load_state_dict(loaded["optimizer"])
    for net, optim, library in ((layer, optimizer, torch), (ours, resumed, flow)):
        optim.zero_grad()
        net(library.ones(1, 3)).sum().backward()
        optim.step()
    assert np.abs(ours.weight.detach().numpy() - layer.weight.detach().numpy()).max() < 1e-5


# -- cost ----------------------------------------------------------------------------------------------------

MEASURE = """
import sys
from torch2flow.runtime import import_oneflow
flow = import_oneflow()
import numpy, ml_dtypes
from torch2flow.runtime.loading.live import load_state_dict
model = flow.nn.Module()
for i in range(4):
    memory = flow.zeros(4096, 4096, dtype=getattr(flow, sys.argv[2]))
    setattr(model, f"w{i}", flow.nn.Parameter(memory))
load_state_dict(flow.nn.Linear(1, 1), sys.argv[3])  # what is loaded only once
flow._oneflow_internal.eager.Sync()
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew (man 5 proc)
kilobytes = lambda field: next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(field))
before = kilobytes("VmRSS")
load_state_dict(model, sys.argv[1])
print(kilobytes("VmHWM") - before)
"""


@pytest.mark.parametrize("source", ["float32", "bfloat16", "transposed"])
@pytest.mark.parametrize("target", ["float32", "bfloat16"])
def test_no_more_than_a_few_buffers_beside_the_model(
    torch: Any, run_python: Any, oneflow_python: Path, tmp_path: Path, source: str, target: str
) -> None:
    """Four tensors of 64 MB: holding one of them would show."""
    made = torch.zeros(4096, 4096)
    made = made.t() if source == "transposed" else made.to(getattr(torch, source))
    state = {f"w{i}": made.clone(memory_format=torch.preserve_format) for i in range(4)}
    path = save(torch, tmp_path / "x.pth", **state)
    small = save(torch, tmp_path / "small.pth", weight=torch.ones(1, 1), bias=torch.ones(1))
    extra = int(run_python(oneflow_python, MEASURE, path, target, small))
    # A strided source is mapped; its pages are the kernel's, and counted.
    assert extra < 100_000 + (4 * 65_536 if source == "transposed" else 0)


def test_a_model_without_values_may_pad_and_become_another_dtype(flow: Any) -> None:
    class Net(flow.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = flow.nn.Embedding(300, 64, padding_idx=0)
            self.norm = flow.nn.LayerNorm(64)
            self.to(flow.bfloat16)

    with without_values():
        net = Net()
    weight = net.embedding.weight
    assert (weight.dtype, weight.stride(), tuple(weight.shape)) == (flow.bfloat16, (0, 0), (300, 64))
    assert net.norm.weight.dtype == flow.bfloat16
    assert Net().embedding.weight.stride() == (64, 1)
