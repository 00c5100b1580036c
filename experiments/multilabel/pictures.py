"""Pictures that hold several things at once: up to four images in the cells of a two by two grid, each a label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.shared.image_sets import Images, Pixels, Rows
from uncertainty.demo.canvases import CELLS, Canvas


def pictures(
    things: Images, count: int, canvas: Canvas, seed: int, prefix: str, strangers: Sequence[Pixels] = ()
) -> Images:
    """Make `count` pictures of one to four things, labels (count, classes) of 0 and 1; ids are `prefix`/number.

    Things are gone through in a random order, and again in another where they do not suffice. With `strangers`, images
    of none of the labels, at least one thing of each picture is a stranger, so a picture may carry no label.
    """
    rng = np.random.default_rng([seed, 5])
    numbers = rng.integers(1, CELLS + 1, count)
    foreign = rng.integers(1, numbers + 1) if len(strangers) else np.zeros(count, dtype=np.int64)
    order, unknown = _endless(len(things), numbers.sum(), rng), _endless(len(strangers), foreign.sum(), rng)
    labels, made = np.zeros((count, len(things.classes)), dtype=np.int64), []
    for row, (n, odd) in enumerate(zip(numbers.tolist(), foreign.tolist(), strict=True)):
        own, order = order[: n - odd], order[n - odd :]
        others, unknown = unknown[:odd], unknown[odd:]
        labels[row, things.labels[own]] = 1
        made.append(canvas.place([*(things.pixels[k] for k in own), *(strangers[k] for k in others)], rng))
    return Images(made, labels, np.array([f"{prefix}/{row:05d}" for row in range(count)]), things.classes)


def left_over(things: Images, count: int, seed: int) -> Rows:
    """Return the rows of the things that are in none of the `count` pictures which `pictures` makes of them."""
    rng = np.random.default_rng([seed, 5])
    used = rng.integers(1, CELLS + 1, count).sum()
    return np.sort(_endless(len(things), len(things), rng)[used:])


def _endless(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    if not n:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([rng.permutation(n) for _ in range(-(-int(count) // n))] or [np.empty(0, dtype=np.int64)])
