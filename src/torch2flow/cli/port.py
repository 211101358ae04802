"""`torch2flow port`: the author's PyTorch source becomes OneFlow source."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from torch2flow.cli.options import PATH
from torch2flow.cli.port_script import script_options, verify_ported_script
from torch2flow.cli.printing import print_json
from torch2flow.errors import DifferenceError, UnsupportedError, UsageError


@click.command(
    epilog="""\b
Examples:
  torch2flow port nets.py -o flow_nets.py
  torch2flow port some_nets -o ported/some_nets         a package stays one: import it with `ported` on the path
  torch2flow port my-repository -o my-repository-oneflow
  torch2flow port -m timm -o ported/timm --python /path/to/python
  torch2flow port my-repository --check                 how portable is it? Writes nothing
  torch2flow port my-repository -o OUT --verify-script 'train.py --epochs 1'"""
)
@click.argument("source", metavar="SRC", type=PATH)
@click.option("-o", "--output", "out", type=PATH, help="The ported file or folder.")
@click.option("-m", "as_module", is_flag=True, help="SRC is the name of an installed package, or of a module of one.")
@click.option("--python", type=str, metavar="PATH", help="With -m: the interpreter in which it is installed.")
@click.option("--with", "along", multiple=True, metavar="NAME", help="Port this installed package along. Repeatable.")
@click.option("--check", is_flag=True, help="Say what there is to say, and write nothing.")
@click.option("--rules", multiple=True, type=PATH, metavar="FILE.py", help="Your own substitutes. Runs it.")
@click.option(
    "--requirements", is_flag=True, help="Put OneFlow into requirements.txt, pyproject.toml, README and such."
)
@click.option("--overwrite", is_flag=True, help="Replace what an earlier port wrote at -o.")
@click.option("--no-cache", is_flag=True, help="Take nothing that was ported before, and keep nothing.")
@click.option("--all", "every", is_flag=True, help="Show also what was left out because it has no effect.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@script_options
def port(
    source: Path,
    out: Path | None,
    as_module: bool,
    python: str | None,
    along: tuple[str, ...],
    check: bool,
    rules: tuple[Path, ...],
    requirements: bool,
    overwrite: bool,
    no_cache: bool,
    every: bool,
    as_json: bool,
    quiet: bool,
    **script: Any,
) -> None:
    """Turns PyTorch source code into OneFlow source code that stays its author's. SRC is read, never run.

    What OneFlow lacks or does otherwise comes from one module that is written beside the code, flow_compat.py.
    Exit code 4: OneFlow can't do some of it; the ported code raises where it gets there.
    """
    from torch2flow.port.cache import Cache, default_folder
    from torch2flow.port.own_rules import load_own_rules
    from torch2flow.port.porting import Port
    from torch2flow.port.tree import add_package, installed, read_tree

    if (out is None) == (not check):
        raise UsageError("Give either -o OUT or --check.", remedy="torch2flow port --help shows examples")
    own = load_own_rules(rules)
    tree = read_tree(installed(str(source), python) if as_module else source, out)
    for name in along:
        add_package(tree, name, installed(name, python))
    with contextlib.ExitStack() as stack:
        advance: Callable[[int], None] = lambda count: None  # noqa: E731
        if not (quiet or as_json):
            from torch2flow.cli import display

            advance = stack.enter_context(display.progress_bar("porting", tree.nbytes()))
        work = Port(tree, advance, requirements, Cache(None if no_cache else default_folder()), own)
        done = work.check() if out is None else work.write(out.absolute(), overwrite)
    silent = as_json or quiet
    if not silent:
        display.show_port(done, every=every)
    run = verify_ported_script(script, tree.root, done.out, tree.name, python, silent=silent)
    if as_json:
        print_json(done.to_json() | ({"script": run.to_json()} if run else {}))
    elif run is not None:
        from torch2flow.cli import display

        display.show_script(run)
    if run is not None and not run.is_same:
        sys.exit(DifferenceError.exit_code)
    if done.tally.uses["cannot"]:
        sys.exit(UnsupportedError.exit_code)
