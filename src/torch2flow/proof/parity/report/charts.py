"""The charts: error over depth, and how differences of the outputs are spread. Drawn as SVG, in the page's own colours.

A library for charts in a browser is five megabytes a page; these are two kinds of chart, and each point says by a
tooltip of the browser's own what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch2flow.proof.parity.judge import ROUNDING
from torch2flow.proof.parity.report.layout import plain, short

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 58, 8, 30, 42
"""Of a drawing, in its own units: the whole, and what the axes take on each side."""

MOST_HISTOGRAMS, MOST_TOOLTIPS = 6, 400

Point = tuple[float, float]


def all_charts(result: dict[str, Any]) -> dict[str, Markup]:
    """Each chart, by the id of its place."""
    drawn = {}
    if result["modules"]:
        drawn["depth"] = depth(result["modules"], result["settings"]["limit"])
    outputs: list[dict[str, Any]] = next((part["tensors"] for part in result["parts"] if part["name"] == "outputs"), [])
    for number, tensor in enumerate([each for each in outputs if each.get("histogram")][:MOST_HISTOGRAMS]):
        drawn[f"histogram-{number}"] = histogram(tensor)
    return drawn


def depth(rows: list[dict[str, Any]], limit: float) -> Markup:
    """Relative error of each call, in their order, end to end and one by one, over what noise explains."""
    height = 340
    allowed = [_allowed(row["end_to_end"] or row["own"], limit) for row in rows]
    errors = {
        part: [plain(row[part]["relative"]) if row[part] else 0.0 for row in rows] for part in ("end_to_end", "own")
    }
    present = [value for value in (*allowed, *errors["end_to_end"], *errors["own"]) if 0 < value < math.inf] or [1e-8]
    low = math.floor(math.log10(min(value for value in allowed if value) if any(allowed) else min(present))) - 2
    high = max(math.ceil(math.log10(max(present))), low + 2)

    def at(number: int, value: float) -> Point:
        share = (min(max(math.log10(value), low), high) - low) / (high - low)
        x = LEFT + (WIDTH - LEFT - RIGHT) * (number / max(1, len(rows) - 1) if len(rows) > 1 else 0.5)
        return x, height - BOTTOM - share * (height - TOP - BOTTOM)

    floor = height - BOTTOM
    parts = [*_powers(low, high, height)]
    known = [at(number, value) for number, value in enumerate(allowed) if value]
    if known:
        band = [(known[0][0], floor), *known, (known[-1][0], floor)]
        parts.append(_element("polygon", points=_points(band), class_="noise"))
    for run in _runs(at(n, value) if 0 < value < math.inf else None for n, value in enumerate(errors["end_to_end"])):
        parts.append(_element("polyline", points=_points(run), class_="end-to-end"))
    radius = "2.5" if len(rows) <= 200 else "1.5"
    told = set(sorted(range(len(rows)), key=lambda n: errors["own"][n], reverse=True)[:MOST_TOOLTIPS])
    for number, value in enumerate(errors["own"]):
        if 0 < value < math.inf:
            x, y = at(number, value)
            row = rows[number]
            said = f"{value:.1e} of the largest value, {short(row['own']['ratio'])} × the noise"
            title = f"{_call(row)} ({row['class']}): {said}"
            parts.append(
                _element(
                    "circle", title if number in told else "", cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius, class_="own"
                )
            )
    legend = (("noise", f"up to {limit:g} times the noise"), ("end-to-end", "end to end"), ("own", "one by one"))
    return _drawing(height, parts, legend, "layers in the order in which they end", "error, of the largest value")


def histogram(tensor: dict[str, Any]) -> Markup:
    """How many elements of an output are off by how much: OneFlow's, and PyTorch's own float32."""
    height = 280
    found = tensor["histogram"]
    edges = [int(edge) for edge in found["edges"]][:-1]
    used = [n for n, pair in enumerate(zip(found["found"], found["noise"], strict=True)) if any(pair)] or [0]
    part = slice(min(used), max(used) + 1)
    both = [
        (edge, plain(noise), plain(ours))
        for edge, noise, ours in zip(edges[part], found["noise"][part], found["found"][part], strict=True)
    ]
    most = max((max(noise, ours) for _, noise, ours in both), default=0.0) or 1.0
    room = (WIDTH - LEFT - RIGHT) / len(both)
    parts: list[Markup] = []
    for share in (0.5, 1.0):
        y = height - BOTTOM - share * (height - TOP - BOTTOM)
        parts += _line(y, short(most * share))
    for number, (edge, noise, ours) in enumerate(both):
        left = LEFT + number * room
        for place, value, name in ((0.1, noise, "float32"), (0.5, ours, "end-to-end")):
            tall = value / most * (height - TOP - BOTTOM)
            title = f"{value:,.0f} elements from 1e{edge} on"
            parts.append(
                _element("rect", title, x=f"{left + place * room:.1f}", y=f"{height - BOTTOM - tall:.1f}",
                         width=f"{0.4 * room:.1f}", height=f"{tall:.1f}", class_=name)
            )  # fmt: skip
        if len(both) <= 12 or number % 2 == 0:
            parts.append(_text(left + room / 2, height - BOTTOM + 15, f"1e{edge}", "middle"))
    legend = (("float32", "PyTorch's own float32"), ("end-to-end", "OneFlow"))
    title = f"output {tensor['name']}: distance from PyTorch's float64, from this on"
    return _drawing(height, parts, legend, title, "elements")


def _allowed(measure: dict[str, Any] | None, limit: float) -> float:
    if not measure or not plain(measure["scale"]):
        return 0.0
    return limit * max(plain(measure["noise"]) / plain(measure["scale"]), ROUNDING)


def _call(row: dict[str, Any]) -> str:
    return str(row["path"]) if not row["call"] else f"{row['path']}, call {row['call']}"


def _powers(low: int, high: int, height: int) -> Iterator[Markup]:
    """Lines at powers of ten, eight at most."""
    step = max(1, -(-(high - low) // 8))
    for power in range(low, high + 1, step):
        yield from _line(height - BOTTOM - (power - low) / (high - low) * (height - TOP - BOTTOM), f"1e{power}")


def _line(y: float, label: str) -> list[Markup]:
    grid = _element("line", x1=str(LEFT), x2=str(WIDTH - RIGHT), y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid-line")
    return [grid, _text(LEFT - 6, y + 4, label, "end")]


def _runs(points: Iterable[Point | None]) -> Iterator[list[Point]]:
    """The stretches of points without a gap."""
    run: list[Point] = []
    for point in (*points, None):
        if point is not None:
            run.append(point)
        elif run:
            yield run
            run = []


def _points(points: list[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _element(name: str, title: str = "", /, **attributes: str) -> Markup:
    from markupsafe import Markup

    said = Markup("").join(Markup(' {}="{}"').format(key.rstrip("_"), value) for key, value in attributes.items())
    inside = Markup("<title>{}</title>").format(title) if title else Markup("")
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, inside)


def _text(x: float, y: float, text: str, anchor: str, name: str = "label") -> Markup:
    from markupsafe import Markup

    place = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>')
    return place.format(x, y, anchor, name, text)


def _drawing(height: int, parts: list[Markup], legend: Iterable[tuple[str, str]], below: str, beside: str) -> Markup:
    from markupsafe import Markup

    x = float(LEFT)
    for name, text in legend:
        parts.append(_element("rect", x=f"{x:.1f}", y="8", width="12", height="8", class_=name))
        parts.append(_text(x + 17, 16, text, "start"))
        x += 34 + 6.2 * len(text)
    parts.append(_text((WIDTH + LEFT) / 2, height - 8, below, "middle", "label xtitle"))
    turned = Markup('<text transform="translate(12 {}) rotate(-90)" text-anchor="middle" class="label">{}</text>')
    parts.append(turned.format(height // 2, beside))
    return Markup('<svg viewBox="0 0 {} {}" role="presentation">{}</svg>').format(WIDTH, height, Markup("").join(parts))
