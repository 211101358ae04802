"""Pickle streams as data: a machine that reads them and executes nothing, and a writer that needs no classes.

>>> from torch2flow.checkpoints.pickles import read_pickle
>>> import pickle, os
>>> read_pickle(pickle.dumps({"w": [1, 2]}))
{'w': [1, 2]}
>>> read_pickle(pickle.dumps(os.system))
Global('posix.system')
"""

from torch2flow.checkpoints.pickles.machine import Constructor, Machine, PersistentLoad
from torch2flow.checkpoints.pickles.reading import read_pickle, run_stream
from torch2flow.checkpoints.pickles.values import Global, Name, Opaque, PickledCall, StatefulDict, label
from torch2flow.checkpoints.pickles.writer import write_pickle

__all__ = [
    "Constructor",
    "Global",
    "Machine",
    "Name",
    "Opaque",
    "PersistentLoad",
    "PickledCall",
    "StatefulDict",
    "label",
    "read_pickle",
    "run_stream",
    "write_pickle",
]
