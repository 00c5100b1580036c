"""Images a second of the service against `uncertainty screen`: python -m benchmarks.service_throughput (two minutes).

The load comes from this process, over four connections, 64 images a request. `screen` runs in a process of its own that
stays, on the same files, with its second pass and its monitoring; "its rows" are what the service does too. All by
turns, the first of them changing; ratios are medians over the turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.service_load import closed_loop, post
from benchmarks.service_process import FORM, ROOT, Service, form_of, made, serving

IN_A_REQUEST, CONNECTIONS = 64, 4
CASES = ("resnet20", "lite0")
_SCREEN = """
import sys, time
from pathlib import Path
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.workflows.screen import ScreenSettings, opened_input, screen_into
keep_freed_memory()
screener, images, out = SavedScreener(Path(sys.argv[1])).load(), opened_input(sys.argv[2]), Path(sys.argv[3])
def screen(some):
    screen_into(out, screener, some, ScreenSettings(features=False, overwrite=True))
def rows(some):
    for batch in screener.stream(some):
        screener.verdict_rows(batch)
screen(images.select(range(min(64, len(images)))))
print("ready", flush=True)
for line in sys.stdin:
    begun, processor = time.perf_counter(), time.process_time()
    {"screen": screen, "rows": rows}[line.strip()](images)
    print("took", time.perf_counter() - begun, time.process_time() - processor, flush=True)
"""


Seconds = tuple[float, float]
"""By the clock, and of the processor, which is the one to go by where others use the machine."""


@contextmanager
def screening(screener: Path, images: Path, out: Path) -> Iterator[Callable[[str], Seconds]]:
    """Keep a process that screens all images; yields what has it do so, and returns how long that took."""
    command = [sys.executable, "-c", _SCREEN, str(screener), str(images), str(out)]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=where) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = process.stdout

        def answer(word: str) -> list[str]:
            found = next((line.split() for line in told if line.startswith(word)), None)
            if found is None:
                raise SystemExit("the process that screens has ended")
            return found

        answer("ready")

        def run(what: str) -> Seconds:
            print(what, file=process.stdin, flush=True)
            clock, processor = answer("took")[1:]
            return float(clock), float(processor)

        yield run
        process.stdin.close()


def served(service: Service, images: Path) -> Seconds:
    """Return seconds for all images by the service."""
    files = sorted(images.iterdir())
    groups = [files[k : k + IN_A_REQUEST] for k in range(0, len(files), IN_A_REQUEST)]
    requests = [post("/v1/screen", form_of(group), FORM["Content-Type"]) for group in groups]
    closed_loop(service.place, requests[:1], 1)
    begun, processor = perf_counter(), service.processor_seconds
    answers = closed_loop(service.place, requests, CONNECTIONS)
    if set(answers.statuses) != {200}:
        raise SystemExit(f"not all were answered: {sorted(set(answers.statuses))}")
    return perf_counter() - begun, service.processor_seconds - processor


def measure(case: str, count: int, known_good: int, turns: int, folder: Path) -> list[dict[str, Seconds]]:
    """Return seconds by screen, for its rows alone, and by the service, for each turn."""
    screener, images = made(case, folder, count, known_good)
    found = []
    with serving(screener) as service, screening(screener, images, folder / "out") as run:
        ways: dict[str, Callable[[], Seconds]] = {
            "screen": lambda: run("screen"),
            "its rows": lambda: run("rows"),
            "service": lambda: served(service, images),
        }
        for turn in range(turns):
            found.append({name: ways[name]() for name in (ways if turn % 2 == 0 else reversed(ways))})
    return found


def main() -> None:
    """Print all three and their ratios."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--images", type=int, nargs=2, default=(1536, 128), help="of ResNet-20 and of Lite0")
    parser.add_argument("--known-good", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args()
    counts = dict(zip(CASES, chosen.images, strict=True))
    for case in chosen.cases:
        with TemporaryDirectory() as folder:
            turns = measure(case, counts[case], chosen.known_good, chosen.turns, Path(folder))
        for which, name in enumerate(("by the clock", "of the processor")):
            rates = [f"{way} {counts[case] / median(turn[way][which] for turn in turns):.0f}/s" for way in turns[0]]
            screen, rows = (
                median(turn[way][which] / turn["service"][which] for turn in turns) for way in ("screen", "its rows")
            )
            told = f"{case} {name}: {', '.join(rates)}"
            print(f"{told}; service against screen {screen:.2f}, against its rows {rows:.2f}", flush=True)


if __name__ == "__main__":
    main()
