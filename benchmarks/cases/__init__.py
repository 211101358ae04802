"""The benchmarks, one a file. Each knows the room it needs on the disk and yields its comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab import Lab
from report import Comparison

from cases import (
    convert_folder,
    inspect_large,
    load_global,
    load_live,
    other_formats,
    run_models,
    start_up,
    verify_large,
)


@dataclass(frozen=True)
class Benchmark:
    """One file of this folder.

    Attributes:
        needs: bytes on the disk, most at once, at full size.
        run: measures, a comparison at a time.
    """

    needs: int
    run: Callable[[Lab], Iterator[Comparison]]


BENCHMARKS = {
    "start-up": Benchmark(0, start_up.run),
    "inspect": Benchmark(inspect_large.NEEDS, inspect_large.run),
    "convert": Benchmark(convert_folder.NEEDS, convert_folder.run),
    "formats": Benchmark(other_formats.NEEDS, other_formats.run),
    "load": Benchmark(load_live.NEEDS, load_live.run),
    "global": Benchmark(load_global.NEEDS, load_global.run),
    "models": Benchmark(run_models.NEEDS, run_models.run),
    "verify": Benchmark(verify_large.NEEDS, verify_large.run),
}
