"""scikit-learn's handwritten digits as PNG folders: reference, calibration and incoming, which share no image."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uncertainty.images.corruptions import random_corruption

TRAINED, CALIBRATION = 350, 650
DAMAGED_SHARE = 0.3
_SEED = 0


@dataclass(frozen=True, eq=False)
class Digits:
    """(n, 8, 8, 3) uint8 images with labels (n,); `folder` is where the demo's files lie."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    folder: Path


def write_digits(folder: Path) -> Digits:
    """Write the three sets below `folder` and return the images the classifier is trained on.

    `reference/<digit>/` and `calibration/<digit>/` are sorted by class; `incoming/` is flat and its labels are in
    `labels.csv`, as labels arrive later. A share of the incoming images is damaged.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.repeat(np.round(data.images * (255 / 16)).astype(np.uint8)[..., None], 3, axis=3)
    order = np.random.default_rng(_SEED).permutation(len(images))
    sets = np.split(order, [TRAINED, TRAINED + CALIBRATION])
    for name, rows in zip(("reference", "calibration"), sets, strict=False):
        for row in rows:
            save(images[row], folder / name / str(data.target[row]) / f"{row:04d}.png")
    _write_incoming(images, data.target, sets[2], folder)
    return Digits(images[sets[0]], data.target[sets[0]].astype(np.int64), folder)


def _write_incoming(
    images: NDArray[np.uint8], labels: NDArray[np.int64], rows: NDArray[np.int64], folder: Path
) -> None:
    for row in rows[: round(DAMAGED_SHARE * len(rows))]:
        images[row] = random_corruption(images[row], f"{row:04d}", _SEED)[0]
    for row in rows:
        save(images[row], folder / "incoming" / f"{row:04d}.png")
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label"])
        writer.writerows((f"{row:04d}.png", labels[row]) for row in sorted(rows))


def save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write pixels as a file, in a folder that is made for it."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
