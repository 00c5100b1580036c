"""The figures of the comparison: risk-coverage curves, and quality against cost."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.peers.compare_numbers import (
    BASELINE,
    OURS,
    SINGLE,
    Cell,
    best,
    cells,
    efforts_of,
    relative_cost,
)
from experiments.shared.image_sets import TITLES
from experiments.shared.results_file import change
from experiments.shared.splits import REGIMES

CURVES, COSTS = "compare_risk_coverage.png", "compare_cost.png"
COLOURS = {"fast": "#74add1", "balanced": "#4575b4", "thorough": "#1a2e66"}
GREY, ORANGE, GREEN = "#888888", "#e08214", "#1b9e4b"
_COLOURS_KEPT = 64
_FIRST = 0.1
"""Coverage from which curves are drawn: before it, single images decide."""


def drawn(cell: Cell) -> dict[str, tuple[str, str, str]]:
    """Return the curves of a cell: score to label, colour and line."""
    curves = {
        BASELINE: ("max softmax", GREY, "--"),
        best(cell, others=True): ("best of other projects", ORANGE, "-"),
        best(cell, others=False): ("our best single estimator", GREEN, "-"),
    }
    for effort in efforts_of([cell]):
        curves[f"{OURS} {effort}"] = (f"p_wrong, {effort}", COLOURS.get(effort, "#000000"), "-")
    return curves


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write both figures."""
    import matplotlib

    matplotlib.use("Agg")
    for name, figure in ((CURVES, _risk_coverage(results)), (COSTS, _quality_cost(results))):
        picture = io.BytesIO()
        figure.savefig(picture, dpi=80)
        # A palette makes a third of the size, and nothing of the program that wrote it is kept.
        Image.open(picture).convert("RGB").quantize(_COLOURS_KEPT).save(folder / name, optimize=True)


def _risk_coverage(results: dict[str, Any]) -> Any:
    figure, axes = _grid(results, (12, 10), sharex=True)
    for cell, ax in zip(_by_place(results), axes.flat, strict=True):
        if cell is None:
            ax.axis("off")
            continue
        for name, (label, colour, line) in drawn(cell).items():
            risk = np.array(cell.counts["curves"][name])
            coverage = np.linspace(0.02, 1, len(risk))
            shown = coverage >= _FIRST
            ax.plot(coverage[shown], 100 * risk[shown], line, color=colour, label=label, linewidth=1.6)
        ax.set_title(f"{cell.images}, {cell.stream}", fontsize=10)
        ax.grid(alpha=0.25)
        ax.set_ylim(bottom=0)
    _labelled(figure, axes, "share of images kept", "error rate of those kept, %")
    return figure


def _quality_cost(results: dict[str, Any]) -> Any:
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, axes = _grid(results, (12, 10), sharex="row")
    places = [(name, regime) for name in results["sets"] for regime in REGIMES]
    for cell, (images, _), ax in zip(_by_place(results), places, axes.flat, strict=True):
        if cell is None:
            ax.axis("off")
            continue
        for kind, (label, colour, marker) in _POINTS.items():
            points = [_point(results, images, cell, name) for name in cell.scores if _kind(cell, name) == kind]
            ax.scatter(*zip(*points, strict=True), s=16, color=colour, marker=marker, label=label, alpha=0.8)
        for effort in efforts_of([cell]):
            point = _point(results, images, cell, f"{OURS} {effort}")
            ax.scatter(
                *point, s=80, color=COLOURS.get(effort, "#000000"), marker="*", label=f"p_wrong, {effort}", zorder=3
            )
        ax.axhline(0, color=GREY, linewidth=1)
        ax.set_title(f"{cell.images}, {cell.stream}", fontsize=10)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(-100, 100)
        ax.grid(alpha=0.25)
    _labelled(
        figure,
        axes,
        "cost of an image, in passes of the classifier",
        "E-AURC against max softmax, %",
    )
    return figure


_POINTS = {"others": ("other projects", ORANGE, "o"), "single": ("our single estimators", GREEN, "^")}


def _kind(cell: Cell, name: str) -> str:
    return {OURS: "ours", SINGLE: "single"}.get(cell.project(name), "others")


def _point(results: dict[str, Any], images: str, cell: Cell, name: str) -> tuple[float, float]:
    cost = relative_cost(results, images, name)
    return (np.nan if cost is None else cost), change(cell.e_aurc(name), cell.e_aurc(BASELINE)).value


def _by_place(results: dict[str, Any]) -> list[Cell | None]:
    """Return the cells row by row, None where a set lacks a regime."""
    found = {(cell.images, cell.stream): cell for cell in cells(results)}
    return [found.get((TITLES[name], stream)) for name in results["sets"] for stream in REGIMES.values()]


def _grid(results: dict[str, Any], size: tuple[float, float], **shared: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    rows = len(results["sets"])
    figure = Figure(figsize=(size[0], size[1] * rows / 3 + 0.6), layout="constrained")
    return figure, figure.subplots(rows, len(REGIMES), squeeze=False, **shared)


def _labelled(figure: Any, axes: Any, x: str, y: str) -> None:
    handles: dict[str, Any] = {}
    for ax in axes.flat:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.supxlabel(x, fontsize=11)
    figure.supylabel(y, fontsize=11)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), fontsize=10)
