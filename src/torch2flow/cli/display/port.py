"""What a port did: the places that need a look, and the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch2flow.cli.display.console import err, out, shown

if TYPE_CHECKING:
    from torch2flow.port.porting import Ported

KINDS = {"error": "not ported", "cannot": "OneFlow can't", "look": "look at", "changed": "left out"}
"""The kinds of findings, in the order in which they are shown, each with its word."""

SHOWN_LINES = 6
"""How many places are shown of a finding; `--json` has all."""


def show_port(done: Ported, *, every: bool) -> None:
    """The findings, each name and reason once with its places, and the summary."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for finding in sorted(done.tally.findings, key=lambda each: list(KINDS).index(each.kind)):
        if finding.kind != "changed" or every:
            key = (finding.kind, finding.api, finding.reason, finding.remedy)
            rows.setdefault(key, []).append(f"{finding.file}:{finding.line}" if finding.line else finding.file)
    for (kind, api, reason, remedy), places in rows.items():
        more = f" and {len(places) - SHOWN_LINES} more" if len(places) > SHOWN_LINES else ""
        where = ", ".join(dict.fromkeys(places[:SHOWN_LINES])) + more
        out.print(f"{KINDS[kind]:14} [bold]{shown(api, 200)}[/]  {shown(where, 1000)}")
        out.print(f"{'':14} {shown(reason, 400)}{' To do: ' + shown(remedy, 400) + '.' if remedy else ''}", style="dim")
    uses = done.tally.uses
    total = sum(uses.values())
    parts = [f"{uses['same']:,} the same", f"{uses['compat']:,} through flow_compat"]
    if uses["dropped"]:
        parts.append(f"{uses['dropped']:,} left out that have no effect")
    parts.append(f"{uses['cannot']:,} OneFlow can't")
    err.print(f"{done.files:,} files, {done.tally.lines:,} lines; {total:,} uses: {', '.join(parts)}")
    if done.out is not None:
        err.print(f"[bold]{shown(str(done.out), 1000)}[/]")
