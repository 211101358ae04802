"""Where a call was written: module calls and source lines, told apart by `forward`."""

from __future__ import annotations

import pytest

from torch2flow.models.program import Frame, Line
from torch2flow.models.program.traces import read_frames, read_lines

HOME = "/home/someone/private/project"


def trace(*calls: tuple[str, int, str, str]) -> str:
    """A `stack_trace` as torch writes it: (file, line, function, source)."""
    return "\n".join(
        f'  File "{file}", line {line}, in {function}\n    {source}' for file, line, function, source in calls
    )


def test_each_module_call_is_a_frame() -> None:
    assert read_frames("L__self__,,net.Net;L__self__fc@1,fc,torch.nn.modules.linear.Linear") == (
        Frame("L__self__", "", "net.Net"),
        Frame("L__self__fc@1", "fc", "torch.nn.modules.linear.Linear"),
    )


@pytest.mark.parametrize("text", ["", ";", "k,p", "_empty_nn_module_stack_from_metadata_hook,,x"])
def test_what_is_no_frame_is_passed_over(text: str) -> None:
    assert read_frames(text) == ()


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("L['self'].fc", "fc"),
        ("L['self']", ""),
        ("getattr(L['self'].layers, '0').fc", "layers.0.fc"),
        ("getattr(getattr(L['self'].a, '1').b, '2')", "a.1.b.2"),
        ("L['self'].blocks[0].attn", "blocks.0.attn"),
        ("L['self'].heads['left']", "heads.left"),
    ],
)
def test_the_paths_of_torch_2_1_are_put_into_words(written: str, path: str) -> None:
    assert read_frames(f"k,{written},net.Net")[0].path == path


def test_each_forward_begins_the_lines_of_a_module_call() -> None:
    text = trace(("net.py", 10, "forward", "x = self.fc(x)"), ("linear.py", 125, "forward", "return F.linear(x)"))
    assert read_lines(text, 2) == (
        (Line("net.py", 10, "forward", "x = self.fc(x)"),),
        (Line("linear.py", 125, "forward", "return F.linear(x)"),),
    )


def test_helper_functions_belong_to_the_forward_that_calls_them() -> None:
    text = trace(("net.py", 10, "forward", "x = self._mix(x)"), ("net.py", 20, "_mix", "return x + 1"))
    assert [line.number for line in read_lines(text, 1)[0]] == [10, 20]


def test_lines_of_decorators_say_nothing() -> None:
    text = trace(
        ("net.py", 10, "forward", "x = self.fc(x)"),
        ("wrap.py", 5, "wrapper", "return function(self, *args, **kwargs)"),
    )
    assert [line.file for line in read_lines(text, 1)[0]] == ["net.py"]


def test_what_comes_before_the_first_forward_is_left_out() -> None:
    text = trace(("run.py", 3, "main", "model(x)"), ("net.py", 10, "forward", "x = x + 1"))
    assert [line.file for line in read_lines(text, 1)[0]] == ["net.py"]


def test_where_the_counts_differ_only_the_innermost_is_sure() -> None:
    text = trace(("net.py", 10, "forward", "x = self.fc.apply_to(x)"), ("fc.py", 3, "apply_to", "return x"))
    assert read_lines(text, 3) == ((), (), read_lines(text, 1)[0])


def test_without_a_trace_every_module_call_is_without_lines() -> None:
    assert read_lines("", 2) == ((), ())
    assert read_lines("", 0) == ()
    assert read_lines(trace(("net.py", 1, "forward", "x")), 0) == ()


def test_a_line_may_be_without_its_source() -> None:
    assert read_lines('File "net.py", line 3, in forward', 1) == ((Line("net.py", 3, "forward", ""),),)


@pytest.mark.parametrize("file", [f"{HOME}/net.py", r"C:\Users\someone\private\net.py", f"{HOME}/sub dir/net.py"])
def test_no_path_of_the_authors_machine_survives(file: str) -> None:
    (line,), = read_lines(trace((file, 10, "forward", "x = x + 1")), 1)  # fmt: skip
    assert line.file == "net.py" and str(line) == "net.py:10"
    assert "someone" not in repr(line)
