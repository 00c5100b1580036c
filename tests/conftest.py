"""A small world of real files: stripes as PNG, a tiny network that is often wrong about them, and a fitted screener."""

import atexit
import csv
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Networks and matrices here are so small that several threads only wait for each other. Before NumPy and torch are
# imported, which read it once; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test leaves anything among the caches of whoever runs it, nor finds it there.
_CACHES = tempfile.TemporaryDirectory(prefix="caches-of-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHES.name
atexit.register(_CACHES.cleanup)

import numpy as np
import pytest
from PIL import Image

CLASSES = ("cat", "dog", "eel")
SIDE = 8


@dataclass(frozen=True)
class World:
    """Folders `reference` and `calibration` (one folder a class) and `incoming` (flat); classifier and screener."""

    root: Path
    classifier: object
    other_classifier: object
    screener: object

    def __getattr__(self, name):
        if name in ("reference", "calibration", "incoming"):
            return self.root / name
        raise AttributeError(name)


def stripes(n, seed):
    """(n, 8, 8, 3) uint8 with one bright column in noise; the class is where the column stands."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    pixels = rng.normal(90, 45, (n, SIDE, SIDE, 3))
    pixels[np.arange(n), :, 1 + 2 * labels] += rng.uniform(8, 45, n)[:, None, None]
    return pixels.clip(0, 255).astype(np.uint8), labels


def write_images(root, n, seed, folders=True):
    """Write n PNG files, in one folder for each class or in one; return their paths."""
    paths = []
    for i, (pixels, label) in enumerate(zip(*stripes(n, seed), strict=True)):
        path = root / CLASSES[label] / f"{i:03}.png" if folders else root / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


def write_labels(path, pairs, header=("file_name", "label")):
    """Write a table of labels; returns its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *pairs])
    return path


def write_incoming(world, folder, unreadable):
    """Copy the incoming images to a folder, with one of this name that can't be read; returns the folder."""
    for path in world.incoming.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / unreadable).write_bytes(b"no image")
    return folder


def tiny_network(seed):
    """Train a small convolutional network with dropout on 90 images of its own."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d((SIDE, 1)),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(6 * SIDE, len(CLASSES)),
    )
    pixels, labels = stripes(90, 1000 + seed)
    x = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), torch.from_numpy(labels)).backward()
        optimiser.step()
    return network


def tiny_classifier(seed=0, classes=CLASSES):
    from uncertainty.classifiers import Classifier, Preprocess

    preprocess = Preprocess(size=SIDE, mean=(0.5,) * 3, std=(1.0,) * 3)
    return Classifier.from_module(tiny_network(seed), classes=list(classes), preprocess=preprocess)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    from uncertainty.screener import Screener

    root = tmp_path_factory.mktemp("world")
    write_images(root / "reference", 120, seed=1)
    write_images(root / "calibration", 150, seed=2)
    write_images(root / "incoming", 40, seed=3, folders=False)
    classifier = tiny_classifier()
    screener = Screener.fit(classifier, root / "reference", root / "calibration", passes=5)
    return World(root, classifier, tiny_classifier(1), screener)
