"""Modules of PyTorch's that OneFlow 0.9.0 lacks, or has without an argument, as OneFlow classes.

Only their source is used: a generated model that needs one gets a copy of it (`lowering/modules/library.py`). So the
files of this folder import OneFlow, and nothing imports them but tests.
"""
