"""What `safetensors.torch` does: files of safetensors, read and written with OneFlow's tensors."""

import json
from pathlib import Path

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.registry import stands_for

NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "I8": "int8", "U8": "uint8",
    "BOOL": "bool", "BF16": "bfloat16", "I16": "int16",
}  # fmt: skip
"""The dtypes of the format, by NumPy's names; NumPy itself has no bfloat16."""


@stands_for("safetensors.torch.load", because="It imports PyTorch.")
def load_safetensors(data):
    import numpy as np

    size = int.from_bytes(data[:8], "little")
    found = {}
    for name, row in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        start, end = row["data_offsets"]
        part, kind = data[8 + size + start : 8 + size + end], NAMES[row["dtype"]]
        if kind == "bfloat16":
            array = (np.frombuffer(part, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(part, kind)
        array = array.astype(np.int32) if kind == "int16" else array.copy()
        made = flow.tensor(array.reshape(row["shape"]))
        found[name] = made.to(flow.bfloat16) if kind == "bfloat16" else made
    return found


@stands_for("safetensors.torch.load_file", because="It imports PyTorch.")
def load_file(filename, device="cpu"):
    found = load_safetensors(Path(filename).read_bytes())
    return found if str(device) == "cpu" else {name: each.to(device) for name, each in found.items()}


@stands_for("safetensors.torch.save", because="It imports PyTorch.")
def save_safetensors(tensors, metadata=None):
    import numpy as np

    codes = {name: code for code, name in NAMES.items()}
    head, parts, at = ({"__metadata__": metadata} if metadata else {}), [], 0
    for name, tensor in sorted(tensors.items()):
        kind = str(tensor.dtype).rpartition(".")[2]
        array = (tensor.to(flow.float32) if kind == "bfloat16" else tensor).detach().cpu().numpy()
        array = (array.view(np.uint32) >> 16).astype(np.uint16) if kind == "bfloat16" else array
        data = array.tobytes()
        head[name] = {"dtype": codes[kind], "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


@stands_for("safetensors.torch.save_file", because="It imports PyTorch.")
def save_file(tensors, filename, metadata=None):
    Path(filename).write_bytes(save_safetensors(tensors, metadata))


@stands_for("safetensors.torch.load_model", because="It imports PyTorch.")
def load_model(model, filename, strict=True, device="cpu"):
    missing, unexpected = model.load_state_dict(load_file(filename, device), strict=strict)
    return set(missing), list(unexpected)


@stands_for("safetensors.torch.save_model", because="It imports PyTorch.")
def save_model(model, filename, metadata=None, force_contiguous=True):
    save_file(model.state_dict(), filename, metadata)


@stands_for("safetensors.torch.storage_ptr", because="It imports PyTorch.")
def storage_ptr(tensor):
    return id(tensor)


@stands_for("safetensors.torch.storage_size", because="It imports PyTorch.")
def storage_size(tensor):
    return tensor.numel() * tensor.element_size()
