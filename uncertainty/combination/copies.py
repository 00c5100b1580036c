"""Copies of calibration images, damaged or of no known class: of which images they are made, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier, Collected, Look
from uncertainty.combination.calibration_images import refuse_another_order
from uncertainty.images.corruptions import drawn_kind, random_corruption
from uncertainty.images.data_sets import StreamedImages
from uncertainty.images.novelty import random_foreign
from uncertainty.outputs import UNKNOWN_CLASS, ModelOutputs

Kind = Literal["damaged", "foreign"]
MOST: Mapping[str, int] = MappingProxyType({"damaged": 1500, "foreign": 700})
"""Copies of each kind at most: what more would teach, see `experiments/results/copies.md`."""


def copies(classifier: Classifier, images: Any, originals: Collected, look: Look, kind: Kind) -> ModelOutputs:
    """Run the classifier over copies of calibration images; a copy carries id and label of its original.

    They are of `MOST` of the originals that were kept, drawn by name and seed; of images that come in a stream, of all.
    """
    if not isinstance(images, StreamedImages):
        chosen = set(drawn(map(str, originals.outputs.ids), MOST[kind], look.seed))
        images = images.select(np.array([str(name) in chosen for name in images.names]))
    damage = partial(_MAKERS[kind], seed=look.seed)
    made = classifier.collect(images, replace(look, damage=damage))
    refuse_another_order(originals, made)
    found = _of_originals(originals.outputs, made)
    return _of_no_class(found) if kind == "foreign" else found


def drawn(names: Iterable[str], most: int, seed: int) -> list[str]:
    """Return at most so many names, drawn in a way that neither their order nor others' presence changes.

    >>> drawn(["a", "b", "c"], 2, seed=0), drawn(["c", "a", "b"], 2, seed=0)
    (['a', 'c'], ['a', 'c'])
    """
    return sorted(sorted(names, key=partial(_lot, seed=seed))[:most])


def _lot(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"copied\n{seed}\n{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def damage_kinds(calibration: ModelOutputs, seed: int) -> dict[str, str]:
    """Return by name what damages the copy of each image."""
    return {str(name): drawn_kind(str(name), seed) for name in calibration.ids}


def _damaged_copy(pixels: NDArray[np.uint8], name: str, *, seed: int) -> NDArray[np.uint8]:
    return random_corruption(pixels, name, seed)[0]


def _foreign_copy(pixels: NDArray[np.uint8], name: str, *, seed: int) -> NDArray[np.uint8]:
    return random_foreign(pixels, name, seed)[0]


_MAKERS: Mapping[str, Callable[..., NDArray[np.uint8]]] = {"damaged": _damaged_copy, "foreign": _foreign_copy}


def _of_no_class(outputs: ModelOutputs) -> ModelOutputs:
    # Of several labels a foreign image has none.
    several = outputs.task == "multilabel"
    return replace(outputs, labels=np.zeros(outputs.logits.shape) if several else np.full(len(outputs), UNKNOWN_CLASS))


def _of_originals(originals: ModelOutputs, made: Collected) -> ModelOutputs:
    """Keep the copies whose original is there too, with its label."""
    place = {str(name): row for row, name in enumerate(originals.ids)}
    kept = made.outputs.take(np.isin(made.outputs.ids, originals.ids))
    labels = originals.require("labels", "copies of calibration images")
    return replace(kept, labels=labels[[place[str(name)] for name in kept.ids]])
