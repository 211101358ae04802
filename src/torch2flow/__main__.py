"""`python -m torch2flow`."""

from torch2flow.cli import main

main()
