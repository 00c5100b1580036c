"""Memory of `uncertainty watch` as more and more images come: python -m benchmarks.watch_memory, a minute.

Tiny images come to one folder, a thousand at first, and each time the watch has been idle for a while its memory is
read: the most since it began, and what it holds then. It is ended and begun again at each number too. For longer:
--counts 1000 10000 50000. It ends with status 1 where what it holds grows by more than 10 % from the first number to
the last, or its peak: verdicts are written anew as a whole, 4,096 rows at a time, so until then it grows a little.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.service_process import made
from benchmarks.watch_process import known, watching

_IMAGES, _KNOWN_GOOD = 64, 500
_GROWTH = 0.1
_IDLE = 3.0
_OPTIONS = ("--settle", 0, "--every", 0.2, "--publish", 2)


@dataclass(frozen=True)
class Memory:
    """Megabytes of a process: the most since it began, and now."""

    peak: float
    now: float

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Memory:
        """Read them."""
        lines = Path(f"/proc/{process.pid}/status").read_text("ascii").splitlines()
        kilobytes = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in lines) if rest.strip()}
        return cls(int(kilobytes["VmHWM"]) / 1e3, int(kilobytes["VmRSS"]) / 1e3)


def fed(screener: Path, images: list[Path], root: Path, counts: list[int]) -> Iterator[tuple[int, Memory, Memory]]:
    """Yield how many images there are, and the memory of the watch that screened them and of one begun after it."""
    folder, out, there = root / "arriving", root / "out", 0
    folder.mkdir()
    process = watching(screener, folder, out, *_OPTIONS)
    for count in counts:
        for number in range(there, count):
            os.link(images[number % len(images)], folder / f"{number:07}.jpg")
        there = count
        while known(out) < count:
            time.sleep(0.2)
        time.sleep(_IDLE)
        screened = Memory.of(process)
        _end(process)
        process = watching(screener, folder, out, *_OPTIONS)
        time.sleep(_IDLE)
        yield count, screened, Memory.of(process)
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    if process.wait():
        raise SystemExit("the watch did not end well")


def main() -> None:
    """Print a line for each number of images."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 4000], help="images so far (%(default)s)")
    given, found = parser.parse_args(), list[Memory]()
    with TemporaryDirectory() as name:
        screener, folder = made("resnet20", Path(name), _IMAGES, _KNOWN_GOOD)
        for count, screened, begun in fed(screener, sorted(folder.iterdir()), Path(name), sorted(given.counts)):
            found.append(screened)
            told = f"at most {screened.peak:.0f} MB, then {screened.now:.0f} MB"
            print(f"{count:>7,} images: {told}; begun again: at most {begun.peak:.0f} MB", flush=True)
    first, last = found[0], found[-1]
    print(f"from first to last: {last.now / first.now:.3f} of what it holds, {last.peak / first.peak:.3f} of its peak")
    if last.now > (1 + _GROWTH) * first.now or last.peak > (1 + _GROWTH) * first.peak:
        sys.exit(1)


if __name__ == "__main__":
    main()
