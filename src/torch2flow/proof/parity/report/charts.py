"""The charts: error over depth, and how differences of the outputs are spread. Data for plotly, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch2flow.proof.parity.judge import ROUNDING
from torch2flow.proof.parity.report.layout import plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

END_TO_END, OWN, FLOOR = "#3b7dd8", "#c2571a", "rgba(128,128,128,0.22)"
"""Colours that can be seen on white and on black, and the smallest error that is drawn."""

HOVER = "%{customdata[0]}<br>%{customdata[1]}<br>" "%{y:.1e} of the largest value, %{customdata[2]:.3g} times the noise"

MOST_HISTOGRAMS = 6


def all_charts(result: dict[str, Any]) -> dict[str, str]:
    """JSON for each chart, by the id of its place; without what could end a script."""
    figures = {}
    if result["modules"]:
        figures["depth"] = depth(result["modules"], result["settings"]["limit"])
    outputs: list[dict[str, Any]] = next((part["tensors"] for part in result["parts"] if part["name"] == "outputs"), [])
    for number, tensor in enumerate([each for each in outputs if each.get("histogram")][:MOST_HISTOGRAMS]):
        figures[f"histogram-{number}"] = histogram(tensor)
    return {
        name: str(figure.to_json()).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        for name, figure in figures.items()
    }


def depth(rows: list[dict[str, Any]], limit: float) -> go.Figure:
    """Relative error of each call, in their order, end to end and one by one, over what noise explains."""
    figure = _empty()
    numbers = list(range(1, len(rows) + 1))
    allowed = [_allowed(row["end_to_end"] or row["own"], limit) for row in rows]
    lowest = min([value for value in allowed if value], default=1e-8) / 100
    figure.add_scatter(
        x=numbers, y=[lowest] * len(rows), mode="lines", line_width=0, hoverinfo="skip", showlegend=False
    )
    figure.add_scatter(
        x=numbers, y=allowed, mode="lines", line_width=0, fill="tonexty", fillcolor=FLOOR, hoverinfo="skip",
        name=f"up to {limit:g} times the noise",
    )  # fmt: skip
    for part, colour, title, mode in (
        ("end_to_end", END_TO_END, "end to end", "lines"),
        ("own", OWN, "one by one", "markers"),
    ):
        figure.add_scatter(
            x=numbers,
            y=[plain(row[part]["relative"]) or None if row[part] else None for row in rows],
            customdata=[[_call(row), row["class"], plain(row[part]["ratio"]) if row[part] else 0] for row in rows],
            hovertemplate=HOVER,
            mode=mode, name=title, line={"color": colour, "width": 2}, marker={"color": colour, "size": 5},
        )  # fmt: skip
    figure.update_layout(xaxis_title="layers in the order in which they end", yaxis_title="error, of the largest value")
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    return _styled(figure, 380)


def histogram(tensor: dict[str, Any]) -> go.Figure:
    """How many elements of an output are off by how much: OneFlow's, and PyTorch's own float32."""
    found = tensor["histogram"]
    edges = [int(edge) for edge in found["edges"]][:-1]
    used = [n for n, pair in enumerate(zip(found["found"], found["noise"], strict=True)) if any(pair)] or [0]
    part = slice(min(used), max(used) + 1)
    figure = _empty()
    for values, name, colour in (
        (found["noise"], "PyTorch's own float32", "#8a8f98"),
        (found["found"], "OneFlow", END_TO_END),
    ):
        figure.add_bar(x=[f"1e{edge}" for edge in edges[part]], y=values[part], name=name, marker_color=colour)
    figure.update_layout(
        xaxis_title="distance from PyTorch's float64, from this on", yaxis_title="elements", bargap=0.25,
        title={"text": f"output {tensor['name']}", "font": {"size": 14}},
    )  # fmt: skip
    figure.update_xaxes(type="category")
    return _styled(figure, 300)


def _allowed(measure: dict[str, Any] | None, limit: float) -> float | None:
    if not measure or not plain(measure["scale"]):
        return None
    return limit * max(plain(measure["noise"]) / plain(measure["scale"]), ROUNDING)


def _call(row: dict[str, Any]) -> str:
    # plotly takes some tags in a hover text for its own
    path = str(row["path"]).replace("&", "&amp;").replace("<", "&lt;")
    return path if not row["call"] else f"{path}, call {row['call']}"


def _empty() -> go.Figure:
    # Here and not above: what is imported without a report needs no plotly.
    import plotly.graph_objects as go

    return go.Figure()


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template="none", height=height, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 64, "r": 12, "t": 36, "b": 48}, hoverlabel={"font_family": "monospace"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, font={"size": 12, "family": "inherit"},
    )  # fmt: skip
    figure.update_xaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    return figure
