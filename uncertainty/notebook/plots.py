"""Plots by matplotlib, which is imported here alone: each draws into new axes, or those given, and returns them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import MissingDependencyError

_NAMES = {"p_wrong": "p_wrong", "max_softmax": "max softmax", "perfect": "perfect ranking"}


def axes(ax: Any = None, **size: Any) -> Any:
    """Return the axes to draw into: those given, or those of a new figure; the caller's current figure stays so.

    Raises MissingDependencyError without matplotlib.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingDependencyError(
            "plots need matplotlib; pip install 'uncertainty-vision[plots]', or pip install matplotlib"
        ) from error
    before = pyplot.gcf().number if pyplot.get_fignums() else None
    _, made = pyplot.subplots(layout="constrained", **size)
    if before is not None:
        pyplot.figure(before)
    return made


def risk_coverage(curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], ax: Any = None) -> Any:
    """Draw the share of errors among the images kept, against the share kept, for each named score."""
    ax = axes(ax)
    for name, (coverage, risk) in curves.items():
        ax.plot(coverage, risk, "--" if name == "perfect" else "-", label=_NAMES.get(name, name))
    ax.set(xlabel="share of images kept", ylabel="share of errors among them", xlim=(0, 1))
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def reliability(predicted: NDArray[Any], observed: NDArray[Any], counts: NDArray[Any], ax: Any = None) -> Any:
    """Draw the share of errors against p_wrong, bin by bin, and the diagonal on which both are the same."""
    ax = axes(ax)
    ax.plot([0, 1], [0, 1], "--", color="grey", label="as promised")
    ax.plot(predicted, observed, "o-", label=f"bins of about {int(np.median(counts))} images")
    ax.set(xlabel="mean p_wrong", ylabel="share of errors", xlim=(0, 1), ylim=(0, 1))
    ax.legend()
    return ax


def confusion(counts: NDArray[Any], classes: Sequence[str], ax: Any = None) -> Any:
    """Draw (c, c) counts, one row for each true class and one column for each predicted one."""
    ax = axes(ax)
    ax.imshow(counts, cmap="Blues")
    places = np.arange(len(classes))
    ax.set_xticks(places, map(plain, classes), rotation=90)
    ax.set_yticks(places, map(plain, classes))
    ax.set(xlabel="predicted", ylabel="label")
    dark = counts.max(initial=0) / 2
    for (row, column), count in np.ndenumerate(counts if len(classes) <= 30 else counts[:0]):
        colour = "white" if count > dark else "black"
        ax.text(column, row, str(count), ha="center", va="center", color=colour)
    return ax


def gallery(pictures: Sequence[Any], titles: Sequence[str], ax: Any = None, columns: int = 6) -> Any:
    """Draw pictures of any size beside and below each other in one pair of axes, each under its title."""
    wide = max(min(columns, len(pictures)), 1)
    high = max(math.ceil(len(pictures) / wide), 1)
    ax = axes(ax, figsize=(1.8 * wide, 2.1 * high))
    ax.set(xlim=(0, wide), ylim=(high * 1.3, 0), aspect="equal")
    ax.axis("off")
    for k, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        x, y = k % wide, (k // wide) * 1.3 + 0.3
        ax.text(x + 0.5, y - 0.03, plain(title), ha="center", va="bottom", fontsize=7)
        if picture is not None:
            width, height = (side / max(picture.size) * 0.9 for side in picture.size)
            left, top = x + (1 - width) / 2, y + (0.9 - height) / 2
            ax.imshow(np.asarray(picture), extent=(left, left + width, top + height, top))
    ax.set(xlim=(0, wide), ylim=(high * 1.3, 0))
    return ax


def plain(text: str) -> str:
    """Return text of which matplotlib takes nothing for a formula.

    >>> plain("$1 and $2")
    '\\\\$1 and \\\\$2'
    """
    return text.replace("$", r"\$")
