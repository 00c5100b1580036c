"""Screening on Ray beside the local engine, on the same images: python -m benchmarks.ray_against_local.

Each run is a process of its own, so that starting counts. Local: one process with two decoding threads. Ray: one actor
or two, with two decoding threads each. What is compared is the time an image takes once all is loaded, and the rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import time

from benchmarks.cases import CASES, fitted, write_images
from uncertainty.images.sources import find_images
from uncertainty.screening.allocator import keep_freed_memory

IMAGES, TURNS = 8192, 3
WAYS = {"local": 0, "ray, 1 actor": 1, "ray, 2 actors": 2}


@dataclass(frozen=True)
class Run:
    """Seconds until the first image was begun, for each image from then on, and from the last image to the end."""

    start: float
    image: float
    finish: float


def seconds(screener: Path, images: Path, out: Path, actors: int) -> Run:
    """Screen in a new process, on Ray where there are actors, and see when how many images were done."""
    began = time()
    words = [sys.executable, "-m", __spec__.name, "--child", str(screener), str(images), str(out), str(actors)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return _timed(json.loads(done.stdout.splitlines()[-1]), began, time(), max(actors, 1))


def _timed(stamps: list[tuple[float, int]], began: float, ended: float, side_by_side: int) -> Run:
    counts, rows = [], 0
    for when, more in stamps:
        rows += more
        counts.append((when, rows))
    counts = [(when, rows) for when, rows in counts if rows]
    # Actors finish parts side by side, so the first of each belong together.
    first, last = counts[side_by_side - 1], counts[-1]
    image = (last[0] - first[0]) / (last[1] - first[1])
    return Run(first[0] - first[1] * image - began, image, ended - last[0])


def _child(screener: str, images: str, out: str, actors: str) -> None:
    from uncertainty.screener import Screener
    from uncertainty.screening.part_tables import Screen
    from uncertainty.screening.ray_engine import RayEngine
    from uncertainty.screening.saved_screener import SavedScreener, with_held_networks
    from uncertainty.workflows.screen import screen_into

    keep_freed_memory()  # as the command line and actors do
    stamps: list[tuple[float, int]] = []
    engine = RayEngine(Screen(Path(screener)), actors=int(actors)) if int(actors) else None
    loaded = Screener.load(screener, None) if engine else with_held_networks(SavedScreener(Path(screener)).load())

    def progress(done: int) -> None:
        stamps.append((time(), done))

    screen_into(Path(out), loaded, images, progress=progress, engine=engine)
    sys.stdout.write("\n" + json.dumps(stamps) + "\n")


def measure(folder: Path, case: str, count: int, turns: int) -> dict[str, list[Run]]:
    """Screen the same images in each way, in turn."""
    write_images(folder / "images", count, CASES[case].size)
    fitted(CASES[case].classifier(), find_images(folder / "images")).save(folder / "screener")
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    for turn in range(turns):
        for way, actors in WAYS.items():
            out = folder / f"out-{turn}-{actors}"
            runs[way].append(seconds(folder / "screener", folder / "images", out, actors))
    return runs


def main() -> None:
    """Print, for each way, medians and their ratio to the local engine."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--images", type=int, default=IMAGES, help="a multiple of 2,048, and 4,096 at least (default: %(default)s)"
    )
    parser.add_argument("--case", choices=CASES, default="resnet20", help="default: %(default)s")
    parser.add_argument("--turns", type=int, default=TURNS, help="default: %(default)s")
    parser.add_argument("--child", nargs=4, help="what is run and measured")
    chosen = parser.parse_args()
    if chosen.child:
        _child(*chosen.child)
        return
    if chosen.images < 4096:
        parser.error("two actors begin with 1,024 images each, so an image is timed over what follows: 4,096 at least")
    with TemporaryDirectory() as folder:
        runs = measure(Path(folder), chosen.case, chosen.images, chosen.turns)
    base = median(run.image for run in runs["local"])
    for way, some in runs.items():
        start, image, finish = (median(getattr(run, name) for run in some) for name in ("start", "image", "finish"))
        sys.stdout.write(
            f"{way:14} start {start:5.1f} s, {1000 * image:6.2f} ms an image ({image / base:.2f} times local), "
            f"finish {finish:5.2f} s\n"
        )


if __name__ == "__main__":
    main()
