"""How long `import uncertainty` and `uncertainty --help` take: python -m benchmarks.startup."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from statistics import median
from time import perf_counter

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import uncertainty": ["-c", "import uncertainty"],
    "uncertainty --help": ["-m", "uncertainty", "--help"],
}
RUNS = 15


def measure(runs: int = RUNS) -> dict[str, float]:
    """Return the median seconds of each command, run in turn, so that a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            start = perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def main() -> None:
    """Print seconds, and times a bare interpreter."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="the median of so many (default: %(default)s)")
    seconds = measure(parser.parse_args().runs)
    bare = next(iter(seconds.values()))
    for name, time in seconds.items():
        sys.stdout.write(
            f"{name:20} {time:.3f} s, {time - bare:.3f} s more than bare python, {time / bare:5.1f} times\n"
        )


if __name__ == "__main__":
    main()
