"""Pictures that hold several digits at once: folders with a table of their labels, and incoming ones labelled later."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uncertainty.demo.images import DAMAGED_SHARE, save
from uncertainty.images.corruptions import random_corruption
from uncertainty.images.label_text import joined

CELLS = 4
CANVAS_SIDE = 20
_DIGITS = (697, 550, 550)
_PICTURES = {"reference": 2500, "calibration": 800, "incoming": 600}
_MOST_DIGITS = 3
_SEED = 0


@dataclass(frozen=True)
class Canvas:
    """A grid of two by two square cells `cell` pixels wide; where nothing lies it is of one grey."""

    cell: int
    grey: int

    def place(self, images: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Put each image (h, w, 3) into a cell of its own, anywhere inside it."""
        canvas = np.full((2 * self.cell, 2 * self.cell, 3), self.grey, dtype=np.uint8)
        for image, cell in zip(images, rng.permutation(CELLS), strict=False):
            height, width = image.shape[:2]
            top, left = (int(rng.integers(0, self.cell - extent + 1)) for extent in (height, width))
            row, column = self.cell * (cell // 2) + top, self.cell * (cell % 2) + left
            canvas[row : row + height, column : column + width] = image
        return canvas


@dataclass(frozen=True, eq=False)
class Pictures:
    """(n, 20, 20, 3) uint8 pictures with labels (n, 10) of 0 and 1."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @property
    def texts(self) -> list[str]:
        """The labels of each picture as text."""
        return [joined(str(k) for k in np.flatnonzero(row)) for row in self.labels]


def write_canvases(folder: Path) -> Pictures:
    """Write three sets below `folder` that share no digit, and return the pictures that the classifier is trained on.

    `reference/` and `calibration/` have their labels in `metadata.csv`, `incoming/` has them in `labels.csv` beside it,
    as labels arrive later. A picture has one to three digits; a share of the incoming ones is damaged.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    digits = np.repeat(np.round(data.images * (255 / 16)).astype(np.uint8)[..., None], 3, axis=3)
    order = np.random.default_rng(_SEED).permutation(len(digits))
    sets: dict[str, Pictures] = {}
    for (name, count), rows in zip(_PICTURES.items(), np.split(order, np.cumsum(_DIGITS)[:-1]), strict=True):
        sets[name] = made(digits[rows], data.target[rows], count, [_SEED, len(sets)])
    damaged = sets["incoming"].images
    for row in range(round(DAMAGED_SHARE * len(damaged))):
        damaged[row] = random_corruption(damaged[row], f"{row:04d}", _SEED)[0]
    for name, pictures in sets.items():
        table = folder / ("labels.csv" if name == "incoming" else f"{name}/metadata.csv")
        _write(folder / name, table, pictures)
    return sets["reference"]


def made(digits: NDArray[np.uint8], values: NDArray[np.int64], count: int, seed: Sequence[int]) -> Pictures:
    """Make pictures of one to three of these digits; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    images, labels = [], np.zeros((count, 10), dtype=np.int64)
    for row, number in enumerate(rng.integers(1, _MOST_DIGITS + 1, count).tolist()):
        own = rng.integers(0, len(digits), number)
        labels[row, values[own]] = 1
        images.append(Canvas(CANVAS_SIDE // 2, 0).place([digits[k] for k in own], rng))
    return Pictures(np.stack(images), labels)


def _write(folder: Path, table: Path, pictures: Pictures) -> None:
    names = [f"{row:04d}.png" for row in range(len(pictures.images))]
    for name, pixels in zip(names, pictures.images, strict=True):
        save(pixels, folder / name)
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "label"), *zip(names, pictures.texts, strict=True)])
