"""Time and memory of `Screener.screen_outputs` for many rows of many classes: python -m benchmarks.outputs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from time import process_time

import numpy as np

from uncertainty import ModelOutputs, Screener

ROWS, CLASSES, DIMENSIONS, KNOWN_GOOD, CALIBRATION = 50_000, 1000, 1280, 20_000, 2000


def outputs(name: str, rows: int, seed: int, *, classes: int = CLASSES, dimensions: int = DIMENSIONS) -> ModelOutputs:
    """Return rows of made-up classes, of which a fifth are taken for the next one."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    centres = np.random.default_rng(99).normal(size=(classes, dimensions)).astype(np.float32)
    features = centres[labels] + rng.normal(size=(rows, dimensions)).astype(np.float32)
    logits = rng.normal(size=(rows, classes)).astype(np.float32)
    logits[np.arange(rows), np.where(rng.random(rows) < 0.2, (labels + 1) % classes, labels)] += 5
    return ModelOutputs(ids=[f"{name}{k}" for k in range(rows)], logits=logits, features=features, labels=labels)


def _memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def main() -> None:
    """Print processor time, peak memory, and how much of it was there before the call."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="(default: %(default)s)")
    rows = parser.parse_args().rows
    screener = Screener.fit_outputs(outputs("known", KNOWN_GOOD, 1), outputs("calibration", CALIBRATION, 2))
    new = outputs("new", rows, 3)
    screener.screen_outputs(new[:64])
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before, start = _memory("VmRSS"), process_time()
    screener.screen_outputs(new)
    sys.stdout.write(
        f"{rows:,} rows: {process_time() - start:.1f} s of the processor, peak {_memory('VmHWM'):.0f} MB, "
        f"of which {before:.0f} MB before\n"
    )


if __name__ == "__main__":
    main()
