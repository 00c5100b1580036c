"""Images with their labels, whatever the labels were written with: what `fit` takes as calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uncertainty.errors import InputError
from uncertainty.images.folders import SPLITS
from uncertainty.images.manifests import Columns
from uncertainty.images.sources import AnyPath, ImageSet, find_images

_USUAL = Columns()


def labelled_images(path: AnyPath, columns: Columns = _USUAL) -> ImageSet:
    """Find images and their labels: folders, manifests and packed files as `find_images` does.

    Where the source says which part of a data set each image belongs to (a column `split`, folders or files called
    train, val and test), one part is taken, `columns.split`. Raises InputError where there are several and none is
    asked for: to calibrate on training images makes p_wrong far too low.
    """
    found = find_images(path, columns)
    return _of_split(found, columns.split, Path(str(path)))


def _of_split(images: ImageSet, wanted: str | None, path: Path) -> ImageSet:
    if images.splits is None:
        if wanted is not None:
            raise InputError(f"{path} does not say which images are of the part {wanted!r}; give that part alone")
        return images
    there = list(dict.fromkeys(one for one in images.splits if one is not None))
    if wanted is None and len(there) < 2:
        return images
    if wanted is None:
        raise InputError(
            f"{path} holds the parts {_listed(there)} of a data set; say which with --split, best one that the model "
            "was not trained on"
        )
    rows = np.array([_meant(one) == _meant(wanted) for one in images.splits], dtype=bool)
    if not rows.any():
        raise InputError(f"{path} has no part {wanted!r}; it has {_listed(there)}")
    return images.select(rows)


def _meant(split: str | None) -> str | None:
    return None if split is None else SPLITS.get(split.strip().lower(), split.strip())


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(sorted(parts))
