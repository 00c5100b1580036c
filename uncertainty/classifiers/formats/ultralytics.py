"""`ultralytics:FILE.onnx`: a classification network as Ultralytics exports it, which is never imported.

Preprocessing is that of its `classify_transforms`, read in 8.4.190 and alike since 8.1: upright RGB, the short side
resized by Pillow (bilinear), the centre cropped, 0..1 without mean and std; an oblong input is squeezed into.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats._onnx_graph import class_names, literal
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.classifiers.formats.onnx import described, read_file
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ModelError

logger = logging.getLogger("uncertainty")
_KEYS = ("output", "output_name", "features", "autocast")
_SINCE = (8, 1)


def describe(request: Request) -> Description:
    """Read the file and what the export wrote into its metadata."""
    if request.path.suffix != ".onnx":
        raise ModelError(
            f"{request.target} is no .onnx file; write one by `yolo export model={request.path.name} format=onnx` (a "
            ".pt file is a pickle of classes, which is not read)"
        )
    read = read_file(request)
    metadata = read.metadata
    if metadata.get("task") != "classify":
        raise ModelError(
            f"{request.target} is of the task {metadata.get('task')!r}; only 'classify' exports of Ultralytics can be "
            "screened (onnx: reads any other classifier)"
        )
    classes = class_names(metadata)
    if classes is None:
        raise ModelError(f"{request.target} has no class names in its metadata; export it again, or use onnx:")
    _warn_of_old(metadata.get("version", ""), request.target)
    known = described(read, request)
    return replace(known, classes=classes, preprocess=_preprocess(metadata, known.preprocess), assumed=())


def _preprocess(metadata: Mapping[str, str], known: Preprocess) -> Preprocess:
    size = _size(metadata, known)
    square = isinstance(size, int) or size[0] == size[1]
    return Preprocess(
        size=size,
        resize="short_side" if square else "exact",
        interpolation="bilinear",
        mean=0.0,
        std=1.0,
        grayscale=known.grayscale,
        draft=0,
        exif=True,
    )


def _size(metadata: Mapping[str, str], known: Preprocess) -> Any:
    """Return height and width: those of the metadata, or of the input where these are missing."""
    said = literal(metadata.get("imgsz", ""))
    if isinstance(said, int):
        return said
    sides = tuple(said) if isinstance(said, list | tuple) else ()
    return sides if len(sides) == 2 and all(isinstance(side, int) for side in sides) else known.size


def _warn_of_old(version: str, name: str) -> None:
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and tuple(map(int, found.groups())) < _SINCE:
        logger.warning(
            "%s is of Ultralytics %s, which cropped first and resized by OpenCV; the ways since 8.1 are taken, and "
            "resizer=opencv is nearer where it was trained and tested before",
            name,
            version,
        )


FORMAT = Format(describe, keys=_KEYS)
