"""Peak memory of `uncertainty screen` for few and for many images: python -m benchmarks.memory."""

from __future__ import annotations

import random
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

SIDE = 64
COUNTS = (1000, 10_000)
_RUN_AND_MEASURE = """\
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_memory(command: Sequence[str]) -> float:
    """Run a command and return the most memory that it ever held, in MB."""
    # A new process begins with its parent's peak on Linux, so a small one stands between.
    measured = subprocess.run([sys.executable, "-c", _RUN_AND_MEASURE, *command], capture_output=True, text=True)
    if measured.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {measured.returncode}: {measured.stderr.strip()}")
    return int(measured.stdout) / (1e6 if sys.platform == "darwin" else 1e3)


def write_images(folder: Path, count: int) -> None:
    """Write noise as PNG files of 64x64 pixels."""
    from PIL import Image

    folder.mkdir(parents=True)
    noise = random.Random(0)
    for row in range(count):
        Image.frombytes("RGB", (SIDE, SIDE), noise.randbytes(SIDE * SIDE * 3)).save(folder / f"{row:06d}.png")


def measure(folder: Path, counts: Sequence[int] = COUNTS) -> list[float]:
    """Fit a screener by the demo, screen as many images, and return the peaks in MB."""
    uncertainty = [sys.executable, "-m", "uncertainty"]
    subprocess.run([*uncertainty, "demo", "--out", str(folder / "demo")], check=True, capture_output=True)
    peaks = []
    for count in counts:
        write_images(folder / str(count), count)
        screen = ["screen", str(folder / "demo/screener"), str(folder / str(count)), "-o", str(folder / f"out-{count}")]
        peaks.append(peak_memory([*uncertainty, *screen]))
    return peaks


def main() -> None:
    """Print a line for each number of images, and the ratio."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, help="numbers of images (default: %(default)s)"
    )
    counts = parser.parse_args().counts
    with TemporaryDirectory() as folder:
        peaks = measure(Path(folder), counts)
    for count, peak in zip(counts, peaks, strict=True):
        sys.stdout.write(f"{count:>7} images: {peak:6.1f} MB, {peak / peaks[0]:.3f} of the first\n")


if __name__ == "__main__":
    main()
