"""`uncertainty screen` killed at random moments and resumed: python -m benchmarks.kill_and_resume.

Every second kill comes at a random moment of the run, the others while a file is being written. The end is compared
with a run that nobody interrupted, row for row and byte for byte.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from benchmarks.memory import write_images
from uncertainty.screening.journal import FOLDER, in_progress

KILLS, IMAGES = 50, 5000
_UNCERTAINTY = (sys.executable, "-m", "uncertainty")
FILES = ("verdicts.parquet", "features.parquet", "summary.json", "monitoring.json")


def prepare(folder: Path, images: int) -> tuple[list[str], float]:
    """Fit a screener by the demo and screen noise in one go into `whole`; return the command so far and its seconds."""
    subprocess.run([*_UNCERTAINTY, "demo", "--out", str(folder / "demo")], check=True, capture_output=True)
    write_images(folder / "images.parquet", images)
    command = [*_UNCERTAINTY, "screen", str(folder / "demo/screener"), str(folder / "images.parquet"), "-o"]
    begun = time.perf_counter()
    subprocess.run([*command, str(folder / "whole")], check=True, capture_output=True)
    return command, time.perf_counter() - begun


def killed(command: Sequence[str], out: Path, seconds: float, drawn: random.Random, writing: bool) -> str | None:
    """Run and kill at a random moment, or when a file is being written after it; say where, None if it was faster."""
    process = subprocess.Popen([*command, str(out), "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = time.perf_counter() + drawn.uniform(0.2 if in_progress(out) else 0.5, 1) * seconds
    while process.poll() is None:
        if time.perf_counter() >= after and (not writing or any((out / FOLDER).glob(".*"))):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0 if writing else 0.002)
    if process.wait() != -signal.SIGKILL:
        return None
    if not in_progress(out):
        return "at its end" if (out / FILES[0]).exists() else "before the first part"
    return "while it finished" if (out / FOLDER / FILES[0]).exists() else "between parts"


def differences(out: Path, whole: Path) -> Counter[str]:
    """Count rows that are lost, doubled or different, and files that are not the same byte for byte."""
    # Not by the package's own reader, which refuses a table with doubled rows.
    expected = {row["file_name"]: row for row in pq.read_table(whole / FILES[0]).to_pylist()}
    rows = pq.read_table(out / FILES[0]).to_pylist()
    times = Counter(row["file_name"] for row in rows)
    return Counter(
        lost=sum(name not in times for name in expected),
        doubled=sum(n - 1 for n in times.values()),
        different=sum(repr(row) != repr(expected.get(row["file_name"])) for row in rows),
        files=sum((out / name).read_bytes() != (whole / name).read_bytes() for name in FILES),
    )


def measure(folder: Path, kills: int, images: int, seed: int = 0) -> tuple[Counter[str], Counter[str], int]:
    """Kill so often; return where, what differed in the end, and how many screenings that took."""
    command, seconds = prepare(folder, images)
    drawn, where, found, screenings = random.Random(seed), Counter[str](), Counter[str](), 0
    while where.total() < kills:
        out = folder / "out"
        # A screening is killed up to four times before it may end.
        for _ in range(min(drawn.randint(1, 4), kills - where.total())):
            place = killed(command, out, seconds, drawn, writing=where.total() % 2 == 1)
            if place is None:
                break
            where[place] += 1
        subprocess.run([*command, str(out), "--resume"], check=True, capture_output=True)
        found.update(differences(out, folder / "whole"))
        screenings += 1
        shutil.rmtree(out)
    return where, found, screenings


def main() -> None:
    """Print where the kills came and what differed."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=IMAGES, help="default: %(default)s")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        where, found, screenings = measure(Path(folder), given.kills, given.images)
    places = ", ".join(f"{n} {place}" for place, n in where.most_common())
    sys.stdout.write(f"{where.total()} kills of {screenings} screenings of {given.images} images: {places}\n")
    sys.stdout.write(
        f"rows lost {found['lost']}, doubled {found['doubled']}, different {found['different']}; "
        f"files not the same byte for byte {found['files']}\n"
    )


if __name__ == "__main__":
    main()
