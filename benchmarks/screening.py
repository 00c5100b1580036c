"""What `uncertainty screen` costs beside a bare loop of decode and forward pass: python -m benchmarks.screening.

EfficientNet-Lite0 with dropout in its head or another network, JPEG photographs of 500x375, 20,000 known-good rows.
The photographs are crops of the two that scikit-learn brings, enlarged by chance: that is enough for timing, and for
nothing else.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.cases import CASES, KNOWN_GOOD, fitted, write_images
from uncertainty import Classifier, Screener
from uncertainty.classifiers.eight_bits import shown
from uncertainty.images.sources import ImageSet, find_images
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.saved_screener import with_held_networks
from uncertainty.workflows.screen import ScreenSettings, screen_into

PHOTOS, TURNS, BATCH, WORKERS = 1000, 3, 32, 2
SECOND_OPINION = "efficientnet-lite0"
VIEWS: dict[str, tuple[str, ...]] = {
    "fast": (),
    "balanced": (),
    "balanced+flip": ("flip",),
    "thorough": ("flip", "shift"),
}
"""Of each effort; whether balanced flips depends on whether the classifier bears it."""


@dataclass(frozen=True)
class Cost:
    """Seconds for the same images, one entry a turn: by the clock, and of the processor."""

    bare: list[tuple[float, float]]
    screened: list[tuple[float, float]]

    def ratio(self, which: int) -> float:
        """Median over the turns of screening / bare loop; 0: by the clock, 1: of the processor."""
        return median(b[which] / a[which] for a, b in zip(self.bare, self.screened, strict=True))

    def per_image(self, which: int, images: int) -> tuple[float, float]:
        """Median milliseconds an image, bare and screened."""
        bare, screened = (1000 * median(turn[which] for turn in turns) for turns in (self.bare, self.screened))
        return bare / images, screened / images


def bare_loop(
    model: Classifier, paths: Sequence[Path], batch: int = BATCH, workers: int = WORKERS
) -> NDArray[np.float32]:
    """Decode and preprocess ahead in threads, run the module on batches, return the logits: nothing else."""

    def inputs(path: Path) -> NDArray[np.float32]:
        with Image.open(path) as image:
            return model.preprocess(np.asarray(image.convert("RGB")))

    logits = []
    with ThreadPoolExecutor(workers) as pool, torch.no_grad():
        loaded = _ahead(pool, inputs, paths, 2 * batch)
        while group := list(islice(loaded, batch)):
            x = torch.from_numpy(np.stack(group)).contiguous(memory_format=torch.channels_last)
            logits.append(model.network.module(x).numpy())
    return np.concatenate(logits)


def _ahead(
    pool: ThreadPoolExecutor, load: Callable[[Path], NDArray[np.float32]], paths: Sequence[Path], most: int
) -> Iterator[NDArray[np.float32]]:
    waiting = deque(pool.submit(load, path) for path in paths[:most])
    for path in paths[most:]:
        yield waiting.popleft().result()
        waiting.append(pool.submit(load, path))
    for future in waiting:
        yield future.result()


def measure(model: Classifier, screener: Screener, photos: ImageSet, out: Path, turns: int = TURNS) -> Cost:
    """Run a bare loop of `model` and screening over all photographs in turn, the first of them changing."""
    paths = [item.data for item in photos if isinstance(item.data, Path)]
    own = with_held_networks(screener)  # as the command has them
    ways: list[Callable[[], object]] = [
        lambda: bare_loop(model, paths),
        lambda: screen_into(out, own, photos, ScreenSettings(batch_size=BATCH, workers=WORKERS)),
    ]
    bare, screened = [], []
    for turn in range(turns):
        seconds = {k: _seconds(ways[k]) for k in ((0, 1) if turn % 2 == 0 else (1, 0))}
        bare.append(seconds[0])
        screened.append(seconds[1])
    return Cost(bare, screened)


def _seconds(way: Callable[[], object]) -> tuple[float, float]:
    clock, processor = perf_counter(), process_time()
    way()
    return perf_counter() - clock, process_time() - processor


def main() -> None:
    """Print milliseconds an image and the ratio, for each number of torch threads."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="default: %(default)s")
    parser.add_argument("--known-good", type=int, default=KNOWN_GOOD, help="rows of the index (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=TURNS, help="the median of so many (default: %(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2), help="of torch (default: 1 2)")
    parser.add_argument("--case", choices=CASES, default="lite0", help="the network (default: %(default)s)")
    parser.add_argument("--runtimes", nargs="+", default=("torch",), help="of the screening (default: torch)")
    parser.add_argument("--effort", choices=VIEWS, default="fast", help="of the screening (default: %(default)s)")
    parser.add_argument("--resizer", default="pillow", help="of the screening; the bare loop's is pillow")
    parser.add_argument("--kept", action="store_true", help="keep freed memory, as the command line does, in both ways")
    chosen = parser.parse_args()
    case = CASES[chosen.case]
    if chosen.kept and not keep_freed_memory():
        raise SystemExit("freed memory can't be kept here")
    with TemporaryDirectory() as folder:
        write_images(Path(folder) / "photos", chosen.photos, case.size)
        photos = find_images(Path(folder) / "photos")
        for runtime in chosen.runtimes:
            for threads in chosen.threads:
                torch.set_num_threads(threads)
                one = prepared(case.classifier(), runtime, chosen.resizer, photos)
                if chosen.effort != "fast":
                    second = prepared(Classifier.load(SECOND_OPINION), runtime, chosen.resizer, photos)
                    one = one.with_embedder(second)
                screener = fitted(one, photos, chosen.known_good, views=VIEWS[chosen.effort])
                screener.screen(photos.select(range(BATCH)))  # warms up
                out = Path(folder) / f"{runtime}-{threads}"
                cost = measure(case.classifier(), screener, photos, out, chosen.turns)
                _say(f"{chosen.effort}, {runtime}, {threads} threads", cost, len(photos))


def prepared(classifier: Classifier, runtime: str, resizer: str, photos: ImageSet) -> Classifier:
    """Return it with plain passes run by a runtime, "torch" for torch, and images resized by a library.

    A runtime of eight bits sees some of the photographs.
    """
    one = replace(classifier, preprocess=replace(classifier.preprocess, resizer=resizer))
    return one if runtime == "torch" else shown(one.with_runtime(runtime), photos, WORKERS)


def _say(what: str, cost: Cost, photos: int) -> None:
    for which, name in enumerate(("by the clock", "processor")):
        bare, screened = cost.per_image(which, photos)
        sys.stdout.write(
            f"{what}, {name:12}: bare {bare:6.2f} ms an image, screened {screened:6.2f} ms, "
            f"{cost.ratio(which):.3f} times\n"
        )


if __name__ == "__main__":
    main()
