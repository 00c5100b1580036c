"""Solar cells, whose labels are two kinds of cell and two degrees of defect: outputs for every set of a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.multilabel.networks import trained
from experiments.multilabel.sets import Run, longer
from experiments.shared import image_sets, solar_network, splits
from experiments.shared.image_sets import Images
from experiments.shared.splits import Copies, Split
from experiments.shared.thorough_splits import solar_classifier
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.classifiers.network import Network

CLASSES = ("mono", "poly", "defective", "surely_defective")
EPOCHS = 30
TRAINING, POOL = 1000, 1200
_EVERY = 3  # of the unknown images, whose sources come one after the other
Labels = NDArray[np.int64]


def solar_maker(folder: Path, cache: Path) -> Callable[[int], Split]:
    """Solar cells: a head of four labels on a frozen backbone, trained anew in each split on the same 1,000 cells.

    Calibrate on one half of 1,200 cells, and test on the other and, undamaged, on the 424 that are left. The second
    opinion are the backbone's own features, which cost nothing more.
    """
    cells, labels = image_sets.solar_cells(), solar_labels()
    backbone = solar_classifier()
    clean = splits.cached_run(cache / "solar_cells" / "clean", backbone, cells)
    parts = image_sets.split(cells, (TRAINING, POOL, len(cells) - TRAINING - POOL), seed=0)
    train, pool, further = (clean.take(rows) for rows in parts)
    unknown = splits.unknown_to_solar_cells(cells, folder)
    run = partial(splits.cached_run, cache / "solar_cells" / "pool", backbone)
    copies = _copies(run, pool, cells.take(parts[1]), unknown)

    def make(seed: int) -> Split:
        see = partial(_seen, _head(train, labels, seed), labels)
        first, second = map(see, copies.halves)
        seen = Copies(see(copies.clean), (first, second), see(copies.foreign), see(copies.unknown))
        rows = np.random.default_rng(seed).permutation(POOL)
        return longer(seen.split(see(train), rows[: POOL // 2], rows[POOL // 2 :], seed), see(further))

    return make


def solar_labels() -> Labels:
    """Return (2624, 4) of 0 and 1: the experts rate 0, 1/3, 2/3 or 1, defective from 2/3 on and surely so at 1."""
    from elpv_dataset.utils import load_dataset  # type: ignore[import-untyped]

    _, defect, kind = load_dataset()
    return np.stack([kind == "mono", kind == "poly", defect >= 0.5, defect >= 0.99], axis=1).astype(np.int64)


def labels_of(ids: NDArray[np.str_], labels: Labels) -> Labels:
    """Return the labels of cells and their copies, by the number in the id; what is no cell has none.

    >>> labels_of(np.array(["elpv/00001#jpeg", "unknown/00001"]), np.array([[1, 0], [0, 1]])).tolist()
    [[0, 1], [0, 0]]
    """
    numbers = [str(i).partition("#")[0].partition("/") for i in ids]
    return np.stack([labels[int(row)] if source == "elpv" else 0 * labels[0] for source, _, row in numbers])


def _copies(run: Run, clean: ModelOutputs, pool: Images, unknown: Images) -> Copies:
    first, second = (run(image_sets.damaged(pool, half, seed=0)) for half in splits.HALVES)
    return Copies(
        clean=clean,
        halves=(first, second),
        foreign=run(image_sets.foreign(pool, seed=0)),
        unknown=run(unknown.take(np.arange(0, len(unknown), _EVERY))),
    )


def _head(train: ModelOutputs, labels: Labels, seed: int) -> Classifier:
    features = torch.tensor(np.array(train.logits))
    make = partial(solar_network.Head, len(CLASSES))
    head = trained(make, features, labels_of(train.ids, labels), EPOCHS, seed)
    network = Network.probe(head, np.zeros(solar_network.FEATURES, dtype=np.float32))
    return Classifier(network, CLASSES, Preprocess(), task="multilabel")


def _seen(head: Classifier, labels: Labels, backbone: ModelOutputs) -> ModelOutputs:
    """Send what the backbone makes of images through the head; it is what the second opinion sees as well."""
    features = np.array(backbone.logits)  # torch wants memory that it could write to
    known = np.where((backbone.labels == image_sets.UNKNOWN)[:, None], 0, labels_of(backbone.ids, labels))
    made = head.outputs_from_inputs(list(backbone.ids), features, quality=backbone.quality, labels=known)
    return replace(made, embedding=features)
