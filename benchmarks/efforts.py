"""What an image costs at each effort before it is judged, by turns with a bare loop: python -m benchmarks.efforts.

Reading, statistics, network, dropout sub-networks, second opinion (EfficientNet-Lite0, 224 pixels) and five views, for
the network and photographs of `benchmarks.screening`; without estimators and table: their screener fits for minutes.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import torch

from benchmarks.cases import CASES, write_images
from benchmarks.screening import BATCH, SECOND_OPINION, VIEWS, bare_loop, prepared
from uncertainty import Classifier
from uncertainty.images.sources import ImageSet, find_images
from uncertainty.screening.allocator import keep_freed_memory

PHOTOS = 64
RUNTIMES = ("torch", "openvino", "openvino:bf16")
EFFORTS = ("fast", "balanced", "thorough")


def measure(
    bare: Classifier, one: Classifier, photos: ImageSet, views: tuple[str, ...] = (), turns: int = 1
) -> tuple[float, float]:
    """Return the least milliseconds of processor time of an image: in a bare loop of `bare`, and seen by `one`."""
    paths = [item.data for item in photos if isinstance(item.data, Path)]
    some = photos.select(range(min(8, len(photos))))
    bare_loop(bare, paths[:8])
    list(one.stream(some, views=views))  # warms up
    seconds = []
    for _ in range(turns):
        begin = process_time()
        bare_loop(bare, paths)
        between = process_time()
        for _ in one.stream(photos, views=views, batch_size=BATCH):
            pass
        seconds.append((between - begin, process_time() - between))
    alone, seen = (1000 * min(turn[k] for turn in seconds) / len(photos) for k in (0, 1))
    return alone, seen


def main() -> None:
    """Print a row for each runtime and effort."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="default: %(default)s")
    parser.add_argument("--turns", type=int, default=1, help="the least of so many (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--case", choices=CASES, default="lite0", help="the network (default: %(default)s)")
    parser.add_argument("--runtimes", nargs="+", default=RUNTIMES, help="default: all")
    parser.add_argument("--efforts", nargs="+", choices=EFFORTS, default=EFFORTS, help="default: all")
    parser.add_argument("--resizer", default="pillow", help="of what is measured; the bare loop's is pillow")
    chosen = parser.parse_args()
    if not keep_freed_memory():
        raise SystemExit("freed memory can't be kept here")
    torch.set_num_threads(chosen.threads)
    case = CASES[chosen.case]
    bare = case.classifier()
    with TemporaryDirectory() as folder:
        write_images(Path(folder) / "photos", chosen.photos, case.size)
        photos = find_images(Path(folder) / "photos")
        for runtime in chosen.runtimes:
            one = prepared(bare, runtime, chosen.resizer, photos)
            for effort in chosen.efforts:
                if effort != "fast" and one.embedder is None:
                    second = prepared(Classifier.load(SECOND_OPINION), runtime, chosen.resizer, photos)
                    one = one.with_embedder(second)
                alone, seen = measure(bare, one, photos, VIEWS[effort], chosen.turns)
                sys.stdout.write(f"{runtime:14} {effort:9} bare {alone:6.1f} ms, {seen:6.1f} ms, {seen / alone:.2f}\n")


if __name__ == "__main__":
    main()
