"""Finds the cuDNN and cuBLAS libraries OneFlow links to, and loads them where OneFlow would not find them.

OneFlow's extension looks in `nvidia/cudnn/lib` and `nvidia/cublas/lib` of the site-packages it lies in itself
(its RPATH is `$ORIGIN/../nvidia/...`). Where those packages lie on another part of `sys.path` (a base
environment, `pip install --target`, the user's own site), loading them by path first does the same, and no
LD_LIBRARY_PATH is needed. OneFlow needs them on a machine without a GPU too.
"""

from __future__ import annotations

import ctypes
import site
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Library:
    """One wheel of libraries; `file` is the one that pulls in the wheel's others."""

    title: str
    folder: str
    file: str

    def beside_oneflow(self) -> Path | None:
        """The file where OneFlow looks by itself, or None."""
        spec = find_spec("oneflow")
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin).parent.parent / self.folder / self.file
        return path if path.exists() else None

    def elsewhere(self) -> Path | None:
        """The file in another folder that holds packages for this interpreter, or None."""
        paths = (folder / self.folder / self.file for folder in package_folders())
        return next((path for path in paths if path.exists()), None)


# Names and versions: `readelf -d` of the extension in oneflow 0.9.0. cuBLAS first, as cuDNN 8 links to it.
LIBRARIES = (
    Library("cuBLAS 11", "nvidia/cublas/lib", "libcublas.so.11"),
    Library("cuDNN 8", "nvidia/cudnn/lib", "libcudnn_cnn_train.so.8"),
)


def package_folders() -> Iterator[Path]:
    """Every folder that may hold packages: `sys.path`, then this environment's and its base's own."""
    yield from map(Path, dict.fromkeys(sys.path))
    yield from map(Path, site.getsitepackages([sys.prefix, sys.base_prefix]))
    yield Path(site.getusersitepackages())


def preload() -> bool:
    """Loads the libraries that do not lie beside OneFlow; False if none was found to load."""
    found = [library.elsewhere() for library in LIBRARIES if library.beside_oneflow() is None]
    paths = [path for path in found if path is not None]
    for path in paths:
        ctypes.CDLL(str(path))
    return bool(paths)
