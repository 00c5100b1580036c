"""Splits whose outputs have a second opinion and augmented views as well; what they add is kept, for these pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.shared import image_sets, solar_network, splits
from experiments.shared.command_line import Options
from experiments.shared.costs import Costs, counted_costs
from experiments.shared.image_sets import Images
from experiments.shared.last_layer import LastLayer
from experiments.shared.splits import ALL, Copies, Split
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.classifiers.embedder import Embedder
from uncertainty.classifiers.views import VIEWS as ALL_VIEWS
from uncertainty.classifiers.views import bearable, view_logits
from uncertainty.demo import network as digits_network

VIEWS = ("flip", "shift")
SOLAR_VIEWS = ("flip", "flip_vertical", "rotate")
FOLDER = "efforts"
"""Where columns are kept, inside the cache."""
FURTHER_VIEWS = "further views"
"""What an effort does without that keeps the flip, the first view, alone."""
EFFORTS = {"fast": ("embedding", "tta_probs"), "balanced": (FURTHER_VIEWS,), "thorough": ()}
"""Which columns each effort does without."""
Arrays = Callable[[Images], NDArray[np.float32]]
Widen = Callable[[ModelOutputs, Images], ModelOutputs]
"""What adds columns to outputs, from the images that they are of."""
Part = tuple[Sequence[str], Split]
"""Streams, and the split that they are taken from."""
Parts = tuple[Costs, Iterator[list[Part]]]


def kept(folder: Path, what: str, images: Images, compute: Arrays) -> NDArray[np.float32]:
    """Compute a column for images, or read what was kept for these very pixels."""
    file = kept_file(folder, what, images)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.stem}.{os.getpid()}.npy")
        np.save(unfinished, compute(images))
        unfinished.replace(file)  # another experiment may run at the same time
    return np.load(file)


def kept_file(folder: Path, what: str, images: Images) -> Path:
    """Return where a column is kept."""
    sha = hashlib.sha256(what.encode())
    for pixels in images.pixels:
        sha.update(pixels.tobytes())
    return folder / f"{what.partition(' ')[0]}-{sha.hexdigest()[:12]}.npy"


def embedding(embedder: Embedder, images: Images) -> NDArray[np.float32]:
    """Return what the second network sees in decoded images, in batches of 32."""
    groups = (images.pixels[i : i + 32] for i in range(0, len(images.pixels), 32))
    return np.concatenate([embedder(np.stack([embedder.preprocess(p) for p in group])) for group in groups])


def kept_embedding(cache: Path, embedder: Embedder, images: Images) -> NDArray[np.float32]:
    """Return `embedding`, computed or read from the cache."""
    return kept(cache / FOLDER, f"embedding {embedder.sha256}", images, partial(embedding, embedder))


def widened(copies: Copies, images: Images, unknown: Images, add: Widen) -> Copies:
    """Add columns to every set of copies, each from the images that it was made from."""
    return Copies(
        clean=add(copies.clean, images),
        halves=widened_halves(copies, images, add),
        foreign=add(copies.foreign, image_sets.foreign(images, seed=0)),
        unknown=add(copies.unknown, unknown),
    )


def widened_halves(copies: Copies, images: Images, add: Widen) -> tuple[ModelOutputs, ModelOutputs]:
    """Add columns to the copies damaged by either half of the kinds."""
    first, second = (
        add(outputs, image_sets.damaged(images, half, seed=0))
        for outputs, half in zip(copies.halves, splits.HALVES, strict=True)
    )
    return first, second


def cifar10_parts(chosen: Options, second: str = "efficientnet-lite0?size=128") -> Parts:
    """CIFAR-10 with a second opinion and views."""
    classifier, folder = splits.cifar10_classifier(chosen.folder), chosen.cache / FOLDER
    embedder = Classifier.load(second).as_embedder()

    def add(outputs: ModelOutputs, images: Images) -> ModelOutputs:
        return replace(
            outputs,
            embedding=kept_embedding(chosen.cache, embedder, images),
            tta_probs=kept(folder, f"views {VIEWS} {classifier.sha256}", images, lambda i: viewed(classifier, i)),
        )

    dev, train = image_sets.cifar10(chosen.folder, "dev"), image_sets.cifar10(chosen.folder, "train")
    copies = widened(splits.cifar10_copies(chosen.folder, chosen.cache), dev, splits.unknown_to_cifar10(dev), add)
    reference = splits.cifar10_reference(chosen.folder, chosen.cache)
    seen = kept_embedding(chosen.cache, embedder, train)
    reference = replace(reference, embedding=seen[np.isin(train.ids, reference.ids)])
    costs = counted_costs(classifier, embedder, dev)
    made = (splits.cifar10_split(copies, reference, seed) for seed in range(chosen.splits))
    layer = LastLayer.of(classifier.network)
    return costs, ([(ALL, replace(split, last_layer=layer))] for split in made)


def viewed(classifier: Classifier, images: Images) -> NDArray[np.float32]:
    """Return the probabilities of all views."""
    return np.asarray(classifier.run(images.pixels, passes=0, views=VIEWS, batch_size=256).tta_probs)


def solar_parts(chosen: Options, second: str = "efficientnet-lite1") -> Parts:
    """Solar cells with a second opinion and views."""
    embedder = Classifier.load(second).as_embedder()

    def add(outputs: ModelOutputs, images: Images) -> ModelOutputs:
        return replace(outputs, embedding=kept_embedding(chosen.cache, embedder, images))

    cells = image_sets.solar_cells()
    unknown = splits.unknown_to_solar_cells(cells, chosen.folder)
    backbone = solar_classifier()
    seen = widened(splits.solar_backbone(chosen.cache, chosen.data), cells, unknown, add)
    views = solar_views(chosen.cache / FOLDER, backbone, seen, cells, unknown)
    made = _solar_splits(seen, views, chosen.splits)
    return counted_costs(backbone, embedder, cells), ([(ALL, split)] for split in made)


def solar_classifier() -> Classifier:
    """Return the frozen backbone of all solar classifiers."""
    preprocess = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
    return Classifier.from_module(solar_network.backbone(), preprocess=preprocess)


def solar_views(
    folder: Path, backbone: Classifier, seen: Copies, cells: Images, unknown: Images
) -> dict[str, NDArray[np.float32]]:
    """Return what the backbone gives for views, by id of the row."""
    sets = [
        cells,
        *(image_sets.damaged(cells, half, seed=0) for half in splits.HALVES),
        image_sets.foreign(cells, seed=0),
        unknown,
    ]
    what = f"view_features {SOLAR_VIEWS} {backbone.sha256}"
    parts = [seen.clean, *seen.halves, seen.foreign, seen.unknown]
    return {
        str(name): row
        for part, images in zip(parts, sets, strict=True)
        for name, row in zip(part.ids, kept(folder, what, images, partial(view_features, backbone)), strict=True)
    }


def view_features(backbone: Classifier, images: Images) -> NDArray[np.float32]:
    """Return what a network without a head gives for each view (n, v, features), in batches of 8."""
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), 8):
            batch = np.stack([backbone.preprocess(pixels) for pixels in images.pixels[first : first + 8]])
            found.append(view_logits(backbone.network.module, torch.from_numpy(batch), SOLAR_VIEWS).numpy())
    return np.concatenate(found)


def _solar_splits(seen: Copies, views: dict[str, NDArray[np.float32]], count: int) -> Iterator[Split]:
    """Rows are looked up by id, since the classifier differs from split to split."""
    parts = [seen.clean, *seen.halves, seen.foreign, seen.unknown]
    by_id = {str(name): row for part in parts for name, row in zip(part.ids, part.embedding, strict=True)}
    for seed in range(count):
        split = splits.solar_split(seen, seed, views)
        whole = changed(split, lambda o: replace(o, embedding=np.stack([by_id[str(i)] for i in o.ids])))
        yield with_bearable_views(whole, SOLAR_VIEWS)


def digits_parts(chosen: Options, second: str = "efficientnet-lite0?size=64") -> Parts:
    """Digits with a second opinion and views; each split has classifiers and damage of its own, two of each."""
    embedder = Classifier.load(second).as_embedder()

    def add(classifier: Classifier, outputs: ModelOutputs, images: Images) -> ModelOutputs:
        views = classifier.run(images.pixels, passes=0, views=tuple(ALL_VIEWS), batch_size=256).tta_probs
        return replace(outputs, embedding=kept_embedding(chosen.cache, embedder, images), tta_probs=views)

    def parts(seed: int) -> list[Part]:
        first, second = splits.digits_split(seed, add), splits.digits_unknown_split(seed, add)
        made = ((("clean", "damaged"), first), (("unknown",), second))
        return [(regimes, with_bearable_views(split, tuple(ALL_VIEWS))) for regimes, split in made]

    costs = counted_costs(digits_network.classifier(), embedder, image_sets.digits())
    return costs, (parts(seed) for seed in range(chosen.splits))


def with_bearable_views(split: Split, names: tuple[str, ...]) -> Split:
    """Keep the views that the classifier bears, judged on calibration as a fit judges."""
    bears, _ = bearable(split.calibration, names)
    columns = [name in bears for name in names for _ in ALL_VIEWS[name]]
    return changed(split, lambda o: replace(o, tta_probs=o.tta_probs[:, columns] if bears else None))


def changed(split: Split, change: Callable[[ModelOutputs], ModelOutputs]) -> Split:
    """Change all outputs of a split."""
    return replace(split, **{name: change(v) for name, v in vars(split).items() if isinstance(v, ModelOutputs)})


def views_of(split: Split) -> int:
    """Return how many augmented views its outputs have."""
    return split.calibration.tta_probs.shape[1] if split.calibration.has("tta_probs") else 0


def columns_left_out(split: Split, costs: Costs) -> dict[str, tuple[str, ...]]:
    """Return, by effort that this split has the columns for, those that it does without; dropout where it is dear."""
    return {
        effort: (*without, "mc_probs") if costs.dear and effort != "thorough" else without
        for effort, without in EFFORTS.items()
        if effort != "thorough" or views_of(split)
    }


def bare(outputs: ModelOutputs, columns: tuple[str, ...]) -> ModelOutputs:
    """Return the outputs without some columns."""
    kept = replace(outputs, **{column: None for column in columns if column != FURTHER_VIEWS})
    if FURTHER_VIEWS in columns and kept.has("tta_probs"):
        return replace(kept, tta_probs=kept.tta_probs[:, :1])
    return kept


def bare_split(split: Split, columns: tuple[str, ...]) -> Split:
    """Return the split without some columns."""
    return changed(split, lambda outputs: bare(outputs, columns))


SETS: dict[str, Callable[[Options], Parts]] = {
    "cifar10": cifar10_parts,
    "solar_cells": solar_parts,
    "digits": digits_parts,
}
