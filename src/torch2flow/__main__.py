"""`python -m torch2flow`."""

from torch2flow.cli.commands import main

main()
