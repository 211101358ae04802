"""A group of commands that lists them in the order in which they are written, not by the alphabet."""

from __future__ import annotations

import click


class OrderedGroup(click.Group):
    """Lists its commands in the order in which they were added, which is the order in which a user meets them."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of all commands."""
        return list(self.commands)
