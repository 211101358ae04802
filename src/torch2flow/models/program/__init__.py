"""The neutral form of a model: a graph of ATen calls, or a tree of modules, whatever file it came from."""

from torch2flow.models.program.graph import (
    Border,
    Dtype,
    Frame,
    Graph,
    Line,
    Meta,
    Node,
    Ref,
    Signature,
    State,
    Structure,
    Symbol,
    Tree,
)
from torch2flow.models.program.symbols import SymInt

__all__ = [
    "Border", "Dtype", "Frame", "Graph", "Line", "Meta", "Node", "Ref", "Signature", "State", "Structure",
    "SymInt", "Symbol", "Tree",
]  # fmt: skip
