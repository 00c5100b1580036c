"""A 12-megapixel JPEG to its verdict, decoded in part and at full size: python -m benchmarks.large_jpegs.

EfficientNet-Lite0, batches of 8 images. The photographs are mosaics of scikit-learn's two with a sensor's noise, so
that a pixel has about the detail of a camera's.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import torch
from PIL import Image

from benchmarks.cases import CASES, fitted, write_images
from uncertainty import Screener
from uncertainty.images.sources import ImageSet, find_images

WIDTH, HEIGHT, COUNT, RUNS, BATCH = 4000, 3000, 16, 5, 8


def write_large(folder: Path, count: int, size: tuple[int, int] = (WIDTH, HEIGHT), quality: int = 90) -> None:
    """Write mosaics of photographs as JPEG files of so many pixels."""
    from sklearn.datasets import load_sample_images

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    for row in range(count):
        tile = np.roll(photos[row % len(photos)], tuple(rng.integers(0, 400, 2)), axis=(0, 1))
        tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
        tile = np.concatenate([tile, tile[::-1]], axis=0)
        times = (-(-size[1] // len(tile)), -(-size[0] // tile.shape[1]), 1)
        pixels = np.tile(tile, times)[: size[1], : size[0]] + rng.normal(0, 2, (size[1], size[0], 1))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{row:04d}.jpg", quality=quality)


def measure(screeners: dict[str, Screener], images: ImageSet, runs: int = RUNS) -> dict[str, tuple[float, float]]:
    """Return median seconds an image of each screener, by the clock and of the processor; they take turns."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in screeners}
    for _ in range(runs + 1):
        for name, screener in screeners.items():
            clock, processor = perf_counter(), process_time()
            screener.screen(images, batch_size=BATCH, workers=1)
            seconds[name].append(((perf_counter() - clock) / len(images), (process_time() - processor) / len(images)))
    return {
        name: (median(a for a, _ in times[1:]), median(b for _, b in times[1:]))  # the first warms up
        for name, times in seconds.items()
    }


def differences(screeners: dict[str, Screener], images: ImageSet) -> tuple[float, float]:
    """Return how far the largest probability and p_wrong of the two ways differ on average."""
    one, other = (screener.screen(images).table for screener in screeners.values())
    return tuple(
        float(np.abs(one[name].to_numpy() - other[name].to_numpy()).mean()) for name in ("confidence", "p_wrong")
    )  # type: ignore[return-value]


def main() -> None:
    """Print milliseconds an image, the ratio, and what the part of the pixels changes."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=COUNT, help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=RUNS, help="the median of so many (default: %(default)s)")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    case = CASES["lite0"]
    model = case.classifier()
    with TemporaryDirectory() as folder:
        write_images(Path(folder) / "small", 64, case.size)
        write_large(Path(folder) / "large", chosen.images)
        small, images = find_images(Path(folder) / "small"), find_images(Path(folder) / "large")
        ways = {"full size": model.with_draft(0), "in part": model}
        screeners = {name: fitted(one, small, known_good=1000) for name, one in ways.items()}
        found = measure(screeners, images, chosen.runs)
        confidence, p_wrong = differences(screeners, images)
    for name, (clock, processor) in found.items():
        sys.stdout.write(f"{name:10} {1000 * clock:7.1f} ms an image, {1000 * processor:7.1f} ms of the processor\n")
    clock, processor = (found["full size"][k] / found["in part"][k] for k in (0, 1))
    sys.stdout.write(f"in part is {clock:.2f} times faster by the clock, {processor:.2f} times of the processor\n")
    sys.stdout.write(f"mean difference: {confidence:.4f} in confidence, {p_wrong:.4f} in p_wrong\n")


if __name__ == "__main__":
    main()
