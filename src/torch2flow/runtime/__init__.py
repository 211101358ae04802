"""OneFlow as it is installed here: finds it, imports it, says what is wrong with it, loads tensors into its models."""

from torch2flow.runtime.importing import import_flowvision, import_oneflow

__all__ = ["import_flowvision", "import_oneflow"]
