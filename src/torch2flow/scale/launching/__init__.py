"""Starts the processes of a OneFlow job in order, shows what they say, and ends them together."""

from torch2flow.scale.launching.job import Job

__all__ = ["Job"]
