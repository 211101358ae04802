"""Weights that a program fetches itself, into the folder in which PyTorch keeps them."""

import hashlib
import os
import re
import urllib.request
from pathlib import Path

from torch2flow.port.compat.registry import stands_for
from torch2flow.port.compat.running import load

CHOSEN = {"folder": ""}
"""What `set_dir` chose."""


@stands_for("torch.hub._get_torch_home", because="OneFlow has no `torch.hub`.")
def torch_home():
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return str(Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser())


@stands_for("torch.hub.get_dir", because="OneFlow has no `torch.hub`.")
def get_dir():
    return CHOSEN["folder"] or str(Path(torch_home()) / "hub")


@stands_for("torch.hub.set_dir", because="OneFlow has no `torch.hub`.")
def set_dir(d):
    CHOSEN["folder"] = str(Path(d).expanduser())


@stands_for("torch.hub.download_url_to_file", because="OneFlow has no `torch.hub`.")
def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
    part = Path(f"{dst}.{os.getpid()}.partial")
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(request) as answer, open(part, "wb") as file:
            while chunk := answer.read(1 << 17):
                file.write(chunk)
                digest.update(chunk)
        if hash_prefix and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}")')
        part.replace(dst)
    finally:
        part.unlink(missing_ok=True)


@stands_for(
    "torch.hub.load_state_dict_from_url", "torch.utils.model_zoo.load_url", because="OneFlow has no `torch.hub`."
)
def load_state_dict_from_url(
    url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=False
):
    folder = Path(model_dir or Path(get_dir()) / "checkpoints")
    folder.mkdir(parents=True, exist_ok=True)
    name = file_name or url.partition("?")[0].rpartition("/")[2]
    found = re.search(r"-([a-f0-9]*)\.", name) if check_hash else None
    if not (folder / name).exists():
        download_url_to_file(url, folder / name, found[1] if found else None, progress)
    return load(folder / name, map_location)
