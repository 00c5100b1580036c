"""How long one image takes: python -m benchmarks.service_latency, under two minutes (longer with --seconds).

For each network: one image in this process; requests of one image at half the service's capacity, which come by chance
or evenly whatever became of those before them (an open loop), and whose time counts from the moment when they were due;
and requests a second with p99 below 500 ms, of the service and of a plain endpoint.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.service_load import Answers, Arrivals, closed_loop, open_loop, post
from benchmarks.service_process import Service, made, serving
from uncertainty.classifiers.base import ArrayItem
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.saved_screener import SavedScreener

CASES = ("resnet20", "lite0")
_CONNECTIONS, _MOST, _SHARE = (8, 16, 32), 0.5, 0.5


@dataclass(frozen=True)
class Effort:
    """Images to choose from, known-good rows, and seconds of each load and of each step of the search for capacity."""

    images: int = 100
    known_good: int = 20_000
    seconds: float = 9.0
    search: float = 2.0


def single(screener: Path, files: Sequence[bytes], most: int = 60) -> tuple[float, float]:
    """Return the median seconds of one image in this process, by the clock and of the processor."""
    loaded, seconds = SavedScreener(screener).load(), []
    items = [ArrayItem("image", data) for data in files[:most]]
    for item in items[:5] + items:
        begun, processor = time.perf_counter(), time.process_time()
        loaded.screen([item], workers=1)
        seconds.append((time.perf_counter() - begun, time.process_time() - processor))
    clock, spent = np.median(seconds[5:], axis=0)
    return float(clock), float(spent)


def fastest(service: Service, requests: Sequence[bytes], seconds: float) -> tuple[float, float]:
    """Return the most requests a second that any number of connections gets with p99 below 500 ms, and at all."""
    closed_loop(service.place, requests[:16], 2)
    best = most = 0.0
    for connections in _CONNECTIONS:
        answers = closed_loop(service.place, requests, connections, seconds)
        most = max(most, answers.rate)
        if set(answers.statuses) == {200} and np.quantile(answers.seconds, 0.99) < _MOST:
            best = max(best, answers.rate)
    return best, most


def measure(case: str, effort: Effort, folder: Path) -> None:
    """Print the figures of one network."""
    screener, images = made(case, folder, effort.images, effort.known_good)
    files = [path.read_bytes() for path in sorted(images.iterdir())]
    requests = [post("/v1/screen", data) for data in files]
    alone, spent = single(screener, files)
    print(f"{case}: one image {1000 * alone:.1f} ms in the process, {1000 * spent:.1f} of the processor", flush=True)
    with serving(screener) as service:
        best, most = fastest(service, requests, effort.search)
        for arrivals in Arrivals:
            begun = service.processor_seconds
            found = open_loop(service.place, requests, _SHARE * most, effort.seconds, arrivals)
            spent = (service.processor_seconds - begun) / len(found.seconds)
            print(_half(found, arrivals, alone, spent, most), flush=True)
    with serving(screener, module="benchmarks.service_plain") as service:
        plain, _ = fastest(service, requests, effort.search)
    told = f"  {best:.0f} requests a second with p99 below 500 ms, a plain endpoint {plain:.0f}"
    print(f"{told}{f', ratio {best / plain:.1f}' if plain else ', which never is that fast'}", flush=True)


def _half(found: Answers, arrivals: Arrivals, alone: float, spent: float, most: float) -> str:
    middle, high = (1000 * float(np.quantile(found.seconds, q)) for q in (0.5, 0.99))
    late = 1000 * float(np.quantile(found.late, 0.99))
    failed = len(found.statuses) - found.statuses.count(200)
    return (
        f"  half of {most:.0f} a second, {arrivals}: {len(found.seconds)} requests, {failed} failed, median "
        f"{middle:.1f} ms, p99 {high:.1f} ms, ratio {high / alone / 1000:.2f}; {1000 * spent:.1f} ms of the processor "
        f"each; p99 of the load's own delay {late:.1f} ms"
    )


def main() -> None:
    """Print the figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="of each load at half the capacity")
    parser.add_argument("--known-good", type=int, default=Effort.known_good)
    chosen = parser.parse_args()
    keep_freed_memory()
    for case in chosen.cases:
        with TemporaryDirectory() as folder:
            measure(case, Effort(seconds=chosen.seconds, known_good=chosen.known_good), Path(folder))


if __name__ == "__main__":
    main()
