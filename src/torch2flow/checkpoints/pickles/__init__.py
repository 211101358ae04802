"""Pickle streams as data: a machine that reads them and executes nothing, and a writer that needs no classes.

>>> from torch2flow.checkpoints.pickles import read_pickle
>>> import pickle, os
>>> read_pickle(pickle.dumps({"w": [1, 2]}))
{'w': [1, 2]}
>>> read_pickle(pickle.dumps(os.system))
Global('posix.system')
"""

from torch2flow.checkpoints.pickles.machine import Machine, read_pickle
from torch2flow.checkpoints.pickles.values import Call, Global, Name, Opaque, StatefulDict, label
from torch2flow.checkpoints.pickles.writer import write_pickle

__all__ = [
    "Call",
    "Global",
    "Machine",
    "Name",
    "Opaque",
    "StatefulDict",
    "label",
    "read_pickle",
    "write_pickle",
]
