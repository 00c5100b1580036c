"""Peak memory of `uncertainty screen` for few and for many images: python -m benchmarks.memory."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

SIDE = 64
COUNTS = (1000, 10_000)
KINDS = ("folder", "parquet")
MORE = ("manifest",)
"""Of names alone, whose files are not there: what a list of names costs, in less time than images take."""
_ROWS_IN_A_GROUP = 500
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


def noise(count: int) -> Iterator[bytes]:
    """Yield noise as PNG files of 64x64 pixels."""
    from PIL import Image

    drawn = random.Random(0)
    for _ in range(count):
        stream = io.BytesIO()
        pixels = Image.frombytes("RGB", (SIDE, SIDE), drawn.randbytes(SIDE * SIDE * 3))
        pixels.save(stream, "PNG", compress_level=1)
        yield stream.getvalue()


def write_images(path: Path, count: int) -> None:
    """Write noise into a folder, or into a Parquet file where the path ends so; of a manifest the names alone."""
    if path.suffix == ".parquet":
        _write_parquet(path, count)
        return
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8") as file:
            file.write("file_name\n")
            file.writelines(f"{row // 1000:05d}/{row:08d}.jpg\n" for row in range(count))
        return
    path.mkdir(parents=True)
    for row, image in enumerate(noise(count)):
        (path / f"{row:06d}.png").write_bytes(image)


def _write_parquet(path: Path, count: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = ({"bytes": image, "path": f"{row:06d}.png"} for row, image in enumerate(noise(count)))
    with pq.ParquetWriter(path, pa.schema({"image": kind}), compression="none") as writer:
        for start in range(0, count, _ROWS_IN_A_GROUP):
            rows = [next(images) for _ in range(min(_ROWS_IN_A_GROUP, count - start))]
            writer.write_table(pa.table({"image": pa.array(rows, kind)}))


def measure(folder: Path, counts: Sequence[int] = COUNTS, kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, float]]:
    """Fit a screener by the demo, screen as many images of each kind, and yield what it was and the peak in MB."""
    uncertainty = [sys.executable, "-m", "uncertainty"]
    if not (folder / "demo").exists():
        subprocess.run([*uncertainty, "demo", "--out", str(folder / "demo")], check=True, capture_output=True)
    for kind in kinds:
        for count in counts:
            images = folder / {"parquet": f"{count}.parquet", "manifest": f"{count}.csv"}.get(kind, str(count))
            if not images.exists():
                write_images(images, count)
            screen = ["screen", str(folder / "demo/screener"), str(images), "-o", str(folder / f"out-{kind}-{count}")]
            begun = time.perf_counter()
            peak = peak_memory([*uncertainty, *screen])
            yield f"{kind:>8} {count:>9,} images, {time.perf_counter() - begun:7.1f} s", peak


def main() -> None:
    """Print a line for each number of images, and the ratio to the first of its kind."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, help="numbers of images (default: %(default)s)"
    )
    parser.add_argument("--kinds", nargs="+", choices=(*KINDS, *MORE), default=KINDS, help="of input (%(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for the images, to be used again")
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        firsts: dict[str, float] = {}
        for what, peak in measure(given.keep or Path(temporary), given.counts, given.kinds):
            first = firsts.setdefault(what.split()[0], peak)
            sys.stdout.write(f"{what}: {peak:6.1f} MB, {peak / first:.3f} of the first\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
