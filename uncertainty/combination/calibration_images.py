"""The labelled images of a fit, wherever they come from: they are read several times, in one order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from uncertainty.classifiers.base import Collected, Images, image_items
from uncertainty.errors import InputError
from uncertainty.images.data_sets import HeldImages, StreamedImages, kind_of
from uncertainty.images.sources import ImageItem, ImageSet
from uncertainty.labels.class_folders import in_class_folders
from uncertainty.labels.images import labelled_images
from uncertainty.labels.label_sets import of_columns


def calibration_images(calibration: Images, classes: Sequence[str], *, divided: bool) -> tuple[Any, list[str]]:
    """Return images with their labels, and notes; `divided`: the reference is taken of them too.

    Raises InputError for images that carry no labels, and for those that can't be read again or divided.
    """
    items = labelled_images(calibration) if isinstance(calibration, str | os.PathLike) else image_items(calibration)
    if isinstance(items, StreamedImages) and (items.once or divided):
        why = "can't be divided; give a reference too" if divided else "is read once only; give a Dataset or a list"
        raise InputError(f"calibration is read several times, and {kind_of(items.source)} {why}")
    if isinstance(items, ImageSet):
        found, notes = in_class_folders(items.labelled(), classes)
        labels, of_table = of_columns(found.labels or (), found.asked, classes)
        return (found if found.asked is None else replace(found, labels=labels)), [*notes, *of_table]
    if isinstance(items, HeldImages | StreamedImages):
        return items.labelled(), []
    if all(item.label is None for item in items):
        raise InputError("arrays carry no labels; give them beside the images, labels=[...], one for each")
    return ImageSet.of([ImageItem(*item) for item in items]), []


def refuse_another_order(first: Collected, again: Collected) -> None:
    """Raise InputError where images that are told by their position had other labels the second time."""
    labels = dict(zip(map(str, first.outputs.ids), first.labels, strict=True))
    for name, label in zip(map(str, again.outputs.ids), again.labels, strict=True):
        if labels.get(name, label) != label:
            raise InputError(
                f"image {name} of calibration had the label {labels[name]!r}, and {label!r} when it was read again; "
                "calibration is read several times in one order: don't shuffle it"
            )
