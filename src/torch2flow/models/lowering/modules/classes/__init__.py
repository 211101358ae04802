"""Modules of PyTorch's that OneFlow 0.9.0 lacks, or has without an argument, as OneFlow classes.

A generated model that needs one gets a copy of its source (`lowering/modules/library.py`), and so does ported code
(`port/compat`), which imports them without OneFlow, inside `lazy.declaring`.
"""
