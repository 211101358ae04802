"""`torch2flow port`: the author's PyTorch source becomes OneFlow source."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from torch2flow.cli.options import PATH
from torch2flow.cli.port_proof import check_proof, proof_options, prove
from torch2flow.cli.port_script import prove_script, script_options
from torch2flow.cli.printing import print_json
from torch2flow.errors import UnsupportedError, UsageError


@click.command(
    epilog="""\b
Examples:
  torch2flow port nets.py -o flow_nets.py
  torch2flow port some_nets -o ported/some_nets         a package stays one: import it with `ported` on the path
  torch2flow port my-repository -o my-repository-oneflow
  torch2flow port -m timm -o ported/timm --python /path/to/python
  torch2flow port -m timm.models.resnet -o ported/timm   that module, and what it needs of its package
  torch2flow port my-repository --check                 how portable is it? Writes nothing
  torch2flow port nets.py -o flow_nets.py --verify 'nets:Net(width=64)' --input 'float32[batch,3,64,64]'
  torch2flow port my-repository -o OUT --verify-script 'train.py --epochs 1' --python /path/to/python"""
)
@click.argument("source", metavar="SRC", type=PATH)
@click.option("-o", "--output", "out", type=PATH, help="The ported file or folder.")
@click.option("-m", "as_module", is_flag=True, help="SRC is the name of an installed package, or of a module of one.")
@click.option(
    "--python", type=str, metavar="PATH", help="Of -m, --verify, --verify-script: the interpreter that has it."
)
@click.option("--with", "along", multiple=True, metavar="NAME", help="Port this installed package along. Repeatable.")
@click.option("--check", is_flag=True, help="Say what there is to say, and write nothing.")
@click.option("--rules", multiple=True, type=PATH, metavar="FILE.py", help="Your own substitutes. Runs it.")
@click.option(
    "--requirements", is_flag=True, help="Put OneFlow into requirements.txt, pyproject.toml, README and such."
)
@click.option("--overwrite", is_flag=True, help="Replace what an earlier port wrote at -o.")
@click.option("--no-cache", is_flag=True, help="Take nothing that was ported before, and keep nothing.")
@click.option("--all", "every", is_flag=True, help="Show also what was left out because it has no effect.")
@proof_options
@script_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and verdicts only.")
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
    **proof: Any,
) -> None:
    """Turns PyTorch source code into OneFlow source code that stays its author's. SRC is read, never run.

    What OneFlow lacks or does otherwise comes from one module that is written beside the code, flow_compat.py.
    Exit code 4: OneFlow can't do some of it; the ported code raises where it gets there.
    """
    from torch2flow.port.cache import Cache, default_folder
    from torch2flow.port.own_rules import load_own_rules
    from torch2flow.port.part_of_package import installed_tree
    from torch2flow.port.porting import Port
    from torch2flow.port.tree import add_package, installed, read_tree

    if (out is None) == (not check):
        raise UsageError("Give either -o OUT or --check.", remedy="torch2flow port --help shows examples")
    rows = check_proof(proof, check, overwrite)
    own = load_own_rules(rules)
    as_is = bool(proof["as_is"])
    tree = installed_tree(str(source), python, out) if as_module else read_tree(source, out)
    for name in along:
        add_package(tree, name, installed(name, python))
    told: dict[str, Any] = {}
    code = 0
    if not as_is:
        with contextlib.ExitStack() as stack:
            advance: Callable[[int], None] = lambda count: None  # noqa: E731
            if not (quiet or as_json):
                from torch2flow.cli import display

                advance = stack.enter_context(display.progress_bar("porting", tree.nbytes()))
            work = Port(tree, advance, requirements, Cache(None if no_cache else default_folder()), own)
            done = work.check() if out is None else work.write(out.absolute(), overwrite)
        unread = [finding for finding in done.tally.findings if finding.kind == "error"]
        told, code = done.to_json(), UnsupportedError.exit_code if done.tally.uses["cannot"] or unread else 0
        if not (quiet or as_json):
            display.show_port(done, every=every)
        for finding in unread if quiet and not as_json else ():
            click.echo(f"torch2flow: {finding.file}: {finding.reason}", err=True)
    if out is not None:
        loud = not (quiet or as_json)
        if rows:
            told["models"], found = prove(
                tree, out, python, rows, proof["report"], overwrite=overwrite, loud=loud, quiet=quiet
            )
            code = found or code
        if proof["verify_script"] is not None:
            told["script"], found = prove_script(tree, out, python, proof, loud=loud, quiet=quiet)
            code = found or code
    if as_json:
        print_json(told)
    sys.exit(code)
