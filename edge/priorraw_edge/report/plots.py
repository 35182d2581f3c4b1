"""The plots of reports: SVG by Matplotlib, the same bytes for the same figures, fit for print."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, RED = "#2a6fb0", "#d9822b", "#8a8a8a", "#b3261e"
STYLE: Any = {
    "svg.hashsalt": "priorraw",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
BAR = 0.24  # inches


def bars(names: Sequence[str], values: Sequence[float], label: str, *, ours: Sequence[bool], log: bool = False) -> str:
    """A horizontal bar for each name, ours in blue, from the top."""
    with _styled():
        figure = _figure(8, 0.8 + BAR * len(names))
        axes = figure.subplots()
        places = range(len(names), 0, -1)
        axes.barh(places, values, 0.72, color=[BLUE if own else GREY for own in ours])
        axes.set(yticks=list(places), yticklabels=names, xlabel=label, xscale="log" if log else "linear")
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f" {value:.3g}" if value < 1000 else f" {value:,.0f}", (value, place), va="center", fontsize=8
            )
        axes.margins(y=0.01, x=0.1)
        return _svg(figure)


def sorted_curves(curves: dict[str, Sequence[float]], label: str) -> str:
    """Each curve's values from the worst to the best: what part of the pictures is at least so good."""
    with _styled():
        figure = _figure(8, 3.2)
        axes = figure.subplots()
        for (name, values), colour in zip(curves.items(), (BLUE, ORANGE, GREY, RED), strict=False):
            part = [100 * (i + 0.5) / len(values) for i in range(len(values))]
            axes.plot(part, sorted(values), ".-" if len(values) < 60 else "-", color=colour, label=name)
        axes.set(xlabel="% of the pictures, from the worst", ylabel=label, xlim=(0, 100))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        return _svg(figure)


def scatter(x: Sequence[float], y: Sequence[float], x_label: str, y_label: str) -> str:
    """A point a picture."""
    with _styled():
        figure = _figure(8, 3.2)
        axes = figure.subplots()
        axes.plot(x, y, "o", color=BLUE, markersize=4, alpha=0.7)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(alpha=0.3)
        return _svg(figure)


def against_bounds(rows: Mapping[str, tuple[Sequence[float], float]], label: str) -> str:
    """Values of every row as points, its bound as a line; left of it is failed."""
    with _styled():
        figure = _figure(8, 0.9 + BAR * 1.4 * len(rows))
        axes = figure.subplots()
        for place, (values, least) in zip(range(len(rows), 0, -1), rows.values(), strict=True):
            colours = [RED if value < least else BLUE for value in values]
            axes.scatter(values, [place] * len(values), s=16, c=colours, alpha=0.7, zorder=3)
            axes.plot([least, least], [place - 0.4, place + 0.4], color=ORANGE, linewidth=2)
        axes.set(yticks=range(len(rows), 0, -1), yticklabels=list(rows), xlabel=label, ylim=(0.4, len(rows) + 0.6))
        axes.grid(axis="x", alpha=0.3)
        return _svg(figure)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _styled():
    import matplotlib

    return matplotlib.rc_context(STYLE)


def _svg(figure: "Figure") -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
