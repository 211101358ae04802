"""Keeps the source lines of helper functions beside the operators they call, not only those of `forward`.

`torch.export` records for each operator the frames whose function is called `forward`. What `forward` does in functions
of its own (`_forward_impl`, `apply_rotary_pos_emb`, `F.multi_head_attention_forward`) then all lies in one line, and
names in generated source must be made up. PyTorch's tracer says that this filter may be replaced:
`TracerBase._filter_traceback_frames` (`torch/fx/proxy.py`, 2.10 on); where it is not there, its own filter stays.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from torch2flow.proof.capture import author_functions, borders, traced_control_flow
from torch2flow.runtime.replaced_attributes import replaced_attributes


@contextlib.contextmanager
def all_source_lines(torch: Any) -> Iterator[None]:
    """While this lasts, an export records the lines of all functions of models and of `torch.nn`."""
    experimental = f"{torch.__name__}.fx.experimental"
    try:
        PythonKeyTracer = import_module(f"{experimental}.proxy_tensor").PythonKeyTracer
        uninteresting_files = import_module(f"{experimental}.symbolic_shapes").uninteresting_files
    except (ImportError, AttributeError):
        yield
        return
    if not hasattr(PythonKeyTracer, "_filter_traceback_frames"):
        yield
        return
    root = f"{Path(torch.__file__).parent}{os.sep}"
    shown = (f"{root}nn{os.sep}modules", f"{root}nn{os.sep}functional.py")
    skipped = {*uninteresting_files(), author_functions.__file__, borders.__file__, traced_control_flow.__file__}

    def keep(frame: traceback.FrameSummary) -> bool:
        if frame.filename in skipped or frame.filename.endswith(f"modules{os.sep}module.py"):
            return False
        if not frame.filename.startswith(root):
            return True
        return frame.filename.startswith(shown) and "handle_torch_function" not in (frame.line or "")

    def frames(self: Any, summary: Any) -> Any:
        found = [frame for frame in summary if keep(frame)]
        first = next((number for number, frame in enumerate(found) if frame.name == "forward"), len(found))
        return traceback.StackSummary.from_list(found[first:])

    with replaced_attributes((PythonKeyTracer, "_filter_traceback_frames", frames)):
        yield
