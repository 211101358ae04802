"""The command line: the only wing that prints."""

from torch2flow.cli.commands import cli, main

__all__ = ["cli", "main"]
