"""Puts a `.pt2` together by hand: a small program of modules and operators, every text of which a test can choose."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLOAT = 7
"""The number of float32 in PyTorch's schema."""


def tensor(*sizes: Any, dtype: int = FLOAT, grad: bool = False) -> dict[str, Any]:
    """What a program says of a tensor; a size is a number, or a union of the schema."""
    shape = [size if isinstance(size, dict) else {"as_int": size} for size in sizes]
    known = [size if isinstance(size, int) else 1 for size in sizes]
    steps = [{"as_int": math.prod(known[position + 1 :])} for position in range(len(known))]
    return {
        "dtype": dtype, "sizes": shape, "requires_grad": grad, "device": {"type": "cpu", "index": None},
        "strides": steps, "storage_offset": {"as_int": 0}, "layout": 7,
    }  # fmt: skip


LEAF = {"type": None, "context": None, "children_spec": []}


def spec(kind: str, context: str | None, *children: dict[str, Any]) -> dict[str, Any]:
    """A node of a tree of inputs or outputs."""
    return {"type": kind, "context": context, "children_spec": list(children)}


@dataclass
class Program:
    """A program, as far as it is put together.

    Attributes:
        root: the full name of the model's class.
        states: the kind, the path, and the shape of each tensor of the model, by its name.
        modules: the paths of modules that are not called.
        outputs: the names of the values that come out.
        tree: of the outputs; a tensor, or a tuple of them, where it is None.
    """

    root: str = "author.Net"
    inputs: dict[str, tuple[Any, ...]] = field(default_factory=lambda: {"x": (2, 4)})
    nodes: list[dict[str, Any]] = field(default_factory=list)
    metas: dict[str, Any] = field(default_factory=dict)
    states: dict[str, tuple[str, str, tuple[int, ...]]] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    tree: dict[str, Any] | None = None
    argument_names: list[str] = field(default_factory=lambda: ["x"])
    keys: dict[str, str] = field(default_factory=dict)

    def state(self, name: str, path: str, *shape: int, kind: str = "parameter") -> str:
        """Adds a parameter or buffer, and gives its name."""
        self.states[name] = (kind, path, shape)
        self.metas[name] = tensor(*shape, grad=kind == "parameter")
        return name

    def call(
        self,
        target: str,
        arguments: dict[str, Any],
        *shape: Any,
        modules: list[tuple[str, str]] | None = None,
        line: str = "",
        name: str = "",
    ) -> str:
        """Adds a call of an operator, and gives the name of its result.

        Args:
            target: `aten.relu.default`.
            arguments: a text that is the name of a value, or a union of the schema.
            shape: of the result.
            modules: the path and class of each module around it, the root excluded.
            line: the author's line.
            name: of the result.
        """
        name = name or f"v{len(self.nodes)}"
        frames = [f"L__self__,,{self.root}"]
        trace = [f'File "net.py", line {len(self.nodes) + 1}, in forward\n    {line}'] if line else []
        for path, kind in modules or []:
            frames.append(f"{self.keys.get(path, f'L__self__{path}')},{path},{kind}")
            trace += [f'File "layer.py", line 1, in forward\n    {line}'] if line else []
        given = [
            {"name": key, "arg": {"as_tensor": {"name": value}} if isinstance(value, str) else value, "kind": 1}
            for key, value in arguments.items()
        ]
        metadata = {"nn_module_stack": ";".join(frames), "stack_trace": "\n".join(trace)}
        outputs = [{"as_tensor": {"name": name}}]
        node = {"target": f"torch.ops.{target}", "inputs": given, "outputs": outputs, "metadata": metadata}
        self.nodes.append(node)
        self.metas[name] = tensor(*shape)
        return name

    def document(self) -> dict[str, Any]:
        """The content of `model.json`."""
        inputs = {name: tensor(*shape) for name, shape in self.inputs.items()}
        specs: list[dict[str, Any]] = []
        for name, (kind, path, _) in self.states.items():
            row: dict[str, Any] = {"arg": {"name": name}, f"{kind}_name": path}
            specs.append({kind: {**row, "persistent": True} if kind == "buffer" else row})
        specs += [{"user_input": {"arg": {"as_tensor": {"name": name}}}} for name in inputs]
        outputs = [{"as_tensor": {"name": name}} for name in self.outputs]
        given = spec("builtins.tuple", "null", *[LEAF] * len(inputs))
        tree = self.tree or (LEAF if len(outputs) == 1 else spec("builtins.tuple", "null", *[LEAF] * len(outputs)))
        call = {
            "inputs": [], "outputs": [],
            "in_spec": json.dumps([1, spec("builtins.tuple", "null", given, spec("builtins.dict", "[]"))]),
            "out_spec": json.dumps([1, tree]), "forward_arg_names": self.argument_names,
        }  # fmt: skip
        graph = {
            "inputs": [{"as_tensor": {"name": name}} for name in [*self.states, *inputs]], "outputs": outputs,
            "nodes": self.nodes, "tensor_values": {**self.metas, **inputs}, "sym_int_values": {},
            "sym_bool_values": {}, "is_single_tensor_return": False, "custom_obj_values": {}, "sym_float_values": {},
        }  # fmt: skip
        modules = [{"fqn": "", "signature": call}, *({"fqn": path, "signature": None} for path in self.modules)]
        module = {
            "graph": graph,
            "signature": {"input_specs": specs, "output_specs": [{"user_output": {"arg": each}} for each in outputs]},
            "module_call_graph": modules, "metadata": {}, "treespec_namedtuple_fields": {},
        }  # fmt: skip
        return {
            "graph_module": module, "opset_version": {"aten": 10}, "range_constraints": {},
            "schema_version": {"major": 8, "minor": 20}, "verifiers": [], "torch_version": "2.13.0", "guards_code": [],
        }  # fmt: skip

    def weights(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors in the file, by name."""
        return {path: shape for _, path, shape in self.states.values()}

    def write(self, path: Path) -> Path:
        """Writes the file, with zeros for weights."""
        return pack(path, self.document(), self.weights())


def pack(
    path: Path, document: Any, weights: dict[str, tuple[int, ...]], facts: Any = None, constants: Any = None
) -> Path:
    """Writes a `.pt2` of today's layout: the program, weights of zeros, and constants of one zero each.

    Args:
        document: the program, as JSON or as bytes.
        weights: the shapes, by name.
        facts: what `torch2flow capture` adds.
        constants: what the file says of each, by name.
    """
    config: dict[str, Any] = {}
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, shape) in enumerate(weights.items()):
            meta = tensor(*shape, grad=True)
            config[name] = {"path_name": f"weight_{number}", "is_param": True, "use_pickle": False, "tensor_meta": meta}
            archive.writestr(f"net/data/weights/weight_{number}", bytes(4 * math.prod(shape)))
        archive.writestr("net/data/weights/model_weights_config.json", json.dumps({"config": config}))
        described = {}
        for number, (name, meta) in enumerate((constants or {}).items()):
            described[name] = {"path_name": f"tensor_{number}", "use_pickle": False, "tensor_meta": meta}
            archive.writestr(f"net/data/constants/tensor_{number}", bytes(4))
        archive.writestr("net/data/constants/model_constants_config.json", json.dumps({"config": described}))
        text = document if isinstance(document, bytes) else json.dumps(document).encode("utf-8", "surrogatepass")
        archive.writestr("net/models/model.json", text)
        if facts is not None:
            archive.writestr("net/extra/torch2flow.json", json.dumps(facts))
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/byteorder", "little")
    return path
