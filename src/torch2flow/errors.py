"""The errors torch2flow raises: what happened, where, what it may mean, what to do.

Each class is one exit code of the command line (`torch2flow --help` lists them), so a script can tell a
broken file from a full disk without reading the text.
"""

from __future__ import annotations

from collections.abc import Callable


class Torch2FlowError(Exception):
    """Base of every error raised on purpose.

    Args:
        what: one sentence: what happened.
        where: the file, byte offset, record, tensor or module path it happened at.
        maybe: what it may mean, where that is not obvious.
        remedy: what the user can do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", maybe: str = "", remedy: str = "") -> None:
        self.what, self.where, self.maybe, self.remedy = what, where, maybe, remedy
        super().__init__(what)

    def __str__(self) -> str:
        return self.text(str)

    def text(self, translate: Callable[[str], str]) -> str:
        """What happened, and a line each for where, what it may mean and what to do; in another language, if asked."""
        lines = [translate(self.what)]
        if self.where:
            lines.append(f"  {translate('at:')} {translate(self.where)}")
        if self.maybe:
            lines.append(f"  {translate('this may mean:')} {translate(self.maybe)}")
        if self.remedy:
            lines.append(f"  {translate('what to do:')} {translate(self.remedy)}")
        return "\n".join(lines)


class DifferenceError(Torch2FlowError):
    """A check ran to its end and found a difference."""

    exit_code = 1


class UsageError(Torch2FlowError):
    """The request itself can't be carried out: an unknown key, a pattern that matches nothing."""

    exit_code = 2


class FormatError(Torch2FlowError):
    """The input is broken, hostile, or no checkpoint at all."""

    exit_code = 3


class UnsupportedError(Torch2FlowError):
    """The input is sound, but the target can't hold it as it is and no option said what becomes of it."""

    exit_code = 4


class OutputError(Torch2FlowError):
    """The output can't be written: it exists, the disk is full, there is no permission."""

    exit_code = 5


class DefectError(Torch2FlowError):
    """Something was raised that nobody foresaw: a defect of torch2flow itself."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


class InstallationError(Torch2FlowError):
    """OneFlow, PyTorch or one of their libraries is missing or does not import."""

    exit_code = 6
