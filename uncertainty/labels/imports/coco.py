"""COCO files whose categories are used as classes: `images`, `categories` and `annotations`, with or without boxes."""

from __future__ import annotations

from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.label_text import joined
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

_NEEDED = {"images", "annotations", "categories"}


def recognises(source: Source) -> bool:
    """Whether a JSON file has images, annotations and categories."""
    return source.suffix == ".json" and isinstance(source.json, dict) and source.json.keys() >= _NEEDED


def read(source: Source) -> Annotations:
    """Read the categories of each image, each once; an image without any has none of them.

    Raises InputError for an annotation of no image or of no category, and where there is no annotation at all.
    """
    if not source.json["annotations"]:
        raise InputError(f"{source.path} labels no image; export it once some are labelled")
    try:
        names = {one["id"]: str(one["file_name"]) for one in source.json["images"]}
        classes = {one["id"]: str(one["name"]) for one in source.json["categories"]}
        given: dict[Any, dict[str, None]] = {key: {} for key in names}
        for one in source.json["annotations"]:
            given[one["image_id"]][classes[one["category_id"]]] = None
    except (KeyError, TypeError) as error:
        raise InputError(f"{source.path} is not whole: {error} is missing; export it as COCO again") from error
    return Annotations(tuple(Annotation((names[key],), joined(labels)) for key, labels in given.items()))
