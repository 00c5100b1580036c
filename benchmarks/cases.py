"""Networks, images and screeners to measure with: weights and known-good rows are made up, what they cost is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from experiments.shared import resnet20, solar_network
from uncertainty import Classifier, ModelOutputs, Preprocess, Screener
from uncertainty.images.sources import ImageSet
from uncertainty.outputs import Task
from uncertainty.screener.artifact import SavedModel

DIFFERENT = 1000
KNOWN_GOOD, CALIBRATION, PASSES = 20_000, 1000, 30


def lite0() -> Classifier:
    """EfficientNet-Lite0 with dropout in its head; 256 features."""
    return _lite0("lite0", 4)


def lite0_labels() -> Classifier:
    """The same network with ten labels, of which an image may have several."""
    return _lite0("lite0_labels", 10, "multilabel")


def resnet20_head() -> Classifier:
    """ResNet-20 for 32x32 pixels, dropout only before its head; 64 features."""

    def module() -> nn.Module:
        network = resnet20.ResNet20().eval().to(memory_format=torch.channels_last)
        network.dropout_maps = nn.Dropout(0.0)
        return network

    way = Preprocess(size=resnet20.INPUT_SIZE, mean=resnet20.MEAN, std=resnet20.STD)
    return _classifier("resnet20_head", module, way)


def resnet50() -> Classifier:
    """ResNet-50 of timm with weights by chance: no dropout, 2,048 features; extra `timm`."""
    return _of_timm("resnet50")


def vit_small() -> Classifier:
    """ViT-S/16 of timm with weights by chance: no dropout, 384 features; extra `timm`."""
    return _of_timm("vit_small_patch16_224")


def _lite0(name: str, classes: int, task: Task = "multiclass") -> Classifier:
    way = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
    return _classifier(name, lambda: solar_network.network(classes), way, task)


def _of_timm(name: str) -> Classifier:
    import timm

    return _classifier(name, lambda: timm.create_model(name, num_classes=10).eval(), Preprocess(size=224))


def _classifier(name: str, module: Callable[[], nn.Module], way: Preprocess, task: Task = "multiclass") -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier.from_module(module(), preprocess=way, spec=f"benchmarks.cases:{name}", task=task)


@dataclass(frozen=True)
class Case:
    """A network, and the size of the JPEG files that it is given."""

    name: str
    classifier: Callable[[], Classifier]
    size: tuple[int, int]


CASES = {
    "resnet20": Case("ResNet-20, 32x32", resnet20_head, (32, 32)),
    "lite0": Case("EfficientNet-Lite0, 500x375", lite0, (500, 375)),
    "lite0_labels": Case("EfficientNet-Lite0 of ten labels, 500x375", lite0_labels, (500, 375)),
    "resnet50": Case("ResNet-50, 500x375", resnet50, (500, 375)),
    "vit_small": Case("ViT-S/16, 500x375", vit_small, (500, 375)),
}


def write_images(folder: Path, count: int, size: tuple[int, int], seed: int = 0) -> None:
    """Write JPEG files: random crops of the two photographs of scikit-learn, scaled; after 1,000 they are linked."""
    from sklearn.datasets import load_sample_images

    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    photos = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for row in range(count):
        file = folder / f"{row:07d}.jpg"
        if row >= DIFFERENT:
            os.link(folder / f"{row % DIFFERENT:07d}.jpg", file)
            continue
        photo = photos[row % len(photos)]
        width = int(rng.integers(photo.width // 2, photo.width * 7 // 8))
        height = width * size[1] // size[0]
        if height > photo.height:
            width, height = photo.height * size[0] // size[1], photo.height
        left, top = (int(rng.integers(0, most + 1)) for most in (photo.width - width, photo.height - height))
        photo.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height)).save(file, quality=90)


def fitted(
    classifier: Classifier,
    images: ImageSet | NDArray[np.uint8],
    known_good: int = KNOWN_GOOD,
    passes: int = PASSES,
    views: tuple[str, ...] = (),
) -> Screener:
    """Return a screener with so many known-good rows: outputs for up to 64 images, again and again with noise."""
    some = images.select(range(min(64, len(images)))) if isinstance(images, ImageSet) else images
    outputs = classifier.run(some, passes=passes, views=views)
    rng = np.random.default_rng(0)
    reference = _more(replace(outputs, mc_probs=None, tta_probs=None), "known", known_good, rng)
    screener = Screener.fit_outputs(reference, _more(outputs, "calibration", CALIBRATION, rng))
    return replace(screener, passes=passes, views=views, model=SavedModel.of(classifier), classifier=classifier)


def _more(outputs: ModelOutputs, name: str, count: int, rng: np.random.Generator) -> ModelOutputs:
    rows = rng.integers(0, len(outputs), count)
    there = [c for c in ("features", "mc_probs", "quality", "embedding", "tta_probs") if outputs.has(c)]
    columns = {c: getattr(outputs, c)[rows] for c in there}
    for c in {"features", "quality", "embedding"} & columns.keys():
        columns[c] = columns[c] + rng.normal(0, 0.1, columns[c].shape).astype(np.float32)
    logits = outputs.logits[rows] + rng.normal(0, 1, (count, outputs.n_classes)).astype(np.float32)
    labels = _labels(logits, outputs.task, 0.2 if name == "calibration" else 0.0, rng)
    ids = [f"{name}{k}" for k in range(count)]
    return ModelOutputs(ids=ids, logits=logits, labels=labels, task=outputs.task, **columns)


def _labels(logits: NDArray[np.float32], task: Task, wrong: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return what is predicted, but for a share of rows: of several labels one of theirs is turned."""
    off = rng.random(len(logits)) < wrong
    if task == "multiclass":
        labels = logits.argmax(axis=1)
        return np.asarray(np.where(off, (labels + 1) % logits.shape[1], labels))
    turned = np.arange(logits.shape[1]) == rng.integers(0, logits.shape[1], len(logits))[:, None]
    return ((logits > 0) ^ (turned & off[:, None])).astype(np.int64)
