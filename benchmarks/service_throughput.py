"""Images a second of the service against `uncertainty screen`: python -m benchmarks.service_throughput.

The load comes from this process, over a few connections, 64 images a request. `screen` runs in a process of its own, on
the same files. By turns, the first of them changing; the ratio is the median over the turns.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.service_process import FORM, ROOT, Service, form_of, made, saturated, serving

IN_A_REQUEST, CONNECTIONS = 64, 4
_SCREEN = """
import sys, time
from pathlib import Path
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.workflows.screen import ScreenSettings, opened_input, screen_into
keep_freed_memory()
screener, images = SavedScreener(Path(sys.argv[1])).load(), opened_input(sys.argv[2])
screener.screen(images.select(range(64)))
begun = time.perf_counter()
screen_into(Path(sys.argv[3]), screener, images, ScreenSettings(features=False, overwrite=True))
print(time.perf_counter() - begun)
"""


def screened(screener: Path, images: Path, out: Path) -> float:
    """Return seconds for all images by `screen`, loading not counted."""
    command = [sys.executable, "-c", _SCREEN, str(screener), str(images), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def served(service: Service, images: Path, connections: int) -> float:
    """Return seconds for all images by the service."""
    files = sorted(images.iterdir())
    groups = [files[k : k + IN_A_REQUEST] for k in range(0, len(files), IN_A_REQUEST)]
    bodies = [(form_of(group), FORM) for group in groups]
    saturated(service, "/v1/screen", bodies[:1], 1)
    begun = perf_counter()
    answers = saturated(service, "/v1/screen", bodies, connections)
    if set(answers.statuses) != {200}:
        raise SystemExit(f"not all were answered: {sorted(set(answers.statuses))}")
    return perf_counter() - begun


def measure(case: str, count: int, known_good: int, turns: int, folder: Path) -> list[tuple[float, float]]:
    """Return images a second, by screen and by the service, for each turn."""
    screener, images = made(case, folder, count, known_good)
    found = []
    with serving(screener) as service:
        ways: list[Callable[[], float]] = [
            lambda: screened(screener, images, folder / "out"),
            lambda: served(service, images, CONNECTIONS),
        ]
        for turn in range(turns):
            seconds = {k: ways[k]() for k in ((0, 1) if turn % 2 == 0 else (1, 0))}
            found.append((count / seconds[0], count / seconds[1]))
    return found


def main() -> None:
    """Print both and their ratio."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs=2, default=(6400, 640), help="of ResNet-20 and of Lite0")
    parser.add_argument("--known-good", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=5)
    chosen = parser.parse_args()
    for case, count in zip(("resnet20", "lite0"), chosen.images, strict=True):
        with TemporaryDirectory() as folder:
            turns = measure(case, count, chosen.known_good, chosen.turns, Path(folder))
        screen, service = (median(turn[k] for turn in turns) for k in (0, 1))
        ratio = median(b / a for a, b in turns)
        print(f"{case}: screen {screen:.0f} images/s, service {service:.0f}, ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
