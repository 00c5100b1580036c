"""What a calibration image costs `fit`, as it is, damaged and made unrecognisable: python -m benchmarks.fitting.

EfficientNet-Lite0 with dropout in its head and JPEG photographs of 500x375, as in `benchmarks.screening`. From the cost
of an image of each kind follows that of a fit, by the number of images of each kind that it runs. With --then another
state of the package is measured by turns, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

IMAGES, TURNS, SET = 96, 3, 5000
_HERE = Path(__file__).resolve().parent.parent
_KINDS = ("clean", "damaged", "foreign")


def costs(folder: Path) -> dict[str, float]:
    """Return milliseconds of the processor for an image of each kind, and how many copies a fit makes at most."""

    import torch

    from benchmarks.cases import lite0
    from uncertainty.classifiers.look import Look
    from uncertainty.images.corruptions import random_corruption
    from uncertainty.images.novelty import random_foreign
    from uncertainty.images.sources import find_images
    from uncertainty.screening.allocator import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    photos, classifier = find_images(folder), lite0()
    made = {
        "clean": None,
        "damaged": lambda pixels, name: random_corruption(pixels, name, 0)[0],
        "foreign": lambda pixels, name: random_foreign(pixels, name, 0)[0],
    }
    classifier.collect(photos.select(range(min(32, len(photos)))), Look())  # warms up
    found = {}
    for kind, damage in made.items():
        begun = process_time()
        classifier.collect(photos, Look(damage=damage))
        found[kind] = 1000 * (process_time() - begun) / len(photos)
    return found | _most()


def _most() -> dict[str, float]:
    try:
        from uncertainty.combination.copies import MOST
    except ImportError:  # an earlier state, which copied every image
        return {}
    return {f"most {kind}": float(count) for kind, count in MOST.items()}


def seconds(found: dict[str, float], reference: int, calibration: int) -> float:
    """Return what the passes of a fit cost, from `costs`."""
    counts = {"clean": reference + calibration}
    counts |= {kind: min(calibration, int(found.get(f"most {kind}", calibration))) for kind in _KINDS[1:]}
    return sum(counts[kind] * found[kind] for kind in _KINDS) / 1000


def _measured(package: Path, folder: Path) -> dict[str, float]:
    """Run `costs` in a process of its own, with the package that is in a folder, and this benchmark."""
    code = f"import sys; sys.path.insert(0, {str(package)!r}); import json, runpy; from pathlib import Path; "
    code += f"costs = runpy.run_path({__file__!r})['costs']; print(json.dumps(costs(Path({str(folder)!r}))))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print what an image of each kind costs, and what the passes of a fit then cost."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES, help="photographs that are run (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=TURNS, help="the median of so many (default: %(default)s)")
    parser.add_argument("--then", type=Path, help="folder with another state of the repository")
    chosen = parser.parse_args()
    states = {"now": _HERE} | ({} if chosen.then is None else {"then": chosen.then.resolve()})
    with TemporaryDirectory() as folder:
        from benchmarks.cases import write_images

        write_images(Path(folder) / "photos", chosen.images, (500, 375))
        turns = [
            {name: _measured(state, Path(folder) / "photos") for name, state in states.items()}
            for _ in range(chosen.turns)
        ]
    totals = {}
    for name in states:
        found = {key: median(turn[name][key] for turn in turns) for key in turns[0][name]}
        totals[name] = seconds(found, SET, SET)
        each = ", ".join(f"{kind} {found[kind]:.1f}" for kind in _KINDS)
        sys.stdout.write(f"{name:5} ms an image: {each}; passes of {SET} + {SET} images {totals[name]:.0f} s\n")
    if "then" in totals:
        sys.stdout.write(f"now / then {totals['now'] / totals['then']:.2f}\n")


if __name__ == "__main__":
    main()
