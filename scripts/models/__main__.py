"""The command `python -m scripts.models`."""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path

from scripts.models.catalogue import LIBRARIES, capture_model, models
from torch2flow.errors import Torch2FlowError


def main() -> int:
    """Lists models, or captures those whose names match; 1 where one can't be captured."""
    parser = argparse.ArgumentParser(prog="python -m scripts.models", description=sys.modules["scripts.models"].__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="names, inputs, and why some are left out")
    listing.add_argument("library", nargs="?", default="", choices=["", *LIBRARIES])
    capturing = commands.add_parser("capture", help="capture models")
    capturing.add_argument("names", nargs="+", metavar="NAME", help="such as timm/beit, or 'torchvision/resnet*'")
    capturing.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    for flag in ("dynamic", "train", "gradients"):
        capturing.add_argument(f"--{flag}", action="store_true")
    capturing.add_argument("--reference", default="all", choices=["all", "outputs", "none"])
    capturing.add_argument("--skipped", action="store_true", help="also try those that PyTorch did not export")
    arguments = parser.parse_args()
    if arguments.command == "list":
        for model in models(arguments.library).values():
            print(f"{model.name:<50} {' '.join(model.inputs)}" + (f"  SKIPPED: {model.skip}" if model.skip else ""))
        return 0
    libraries = {name.partition("/")[0] for name in arguments.names}
    known = {
        name: model for library in LIBRARIES if {library, "*"} & libraries for name, model in models(library).items()
    }
    chosen = [model for name, model in known.items() if any(fnmatch(name, pattern) for pattern in arguments.names)]
    if not chosen:
        raise SystemExit(f"no model is named {' or '.join(arguments.names)}")
    failed = 0
    for model in chosen:
        if model.skip and not arguments.skipped:
            print(f"{model.name}: skipped, {model.skip}", flush=True)
            continue
        try:
            captured = capture_model(
                model,
                arguments.output,
                dynamic=arguments.dynamic,
                train=arguments.train,
                gradients=arguments.gradients,
                reference=arguments.reference,
            )
        except Torch2FlowError as error:
            failed = 1
            print(f"{model.name}: FAILED {error}", flush=True)
            continue
        except Exception as error:  # one model's own code must not end the run of the others
            failed = 1
            print(f"{model.name}: FAILED {type(error).__name__}: {error}", flush=True)
            continue
        notes = "".join(f"\n    {note}" for note in captured.notes)
        print(f"{model.name}: {captured.nodes} operations, {captured.seconds:.1f} s{notes}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
