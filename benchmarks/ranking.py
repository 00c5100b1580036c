"""Time and memory of `uncertainty rank` for many candidates: python -m benchmarks.ranking."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.memory import peak_memory

CANDIDATES, DIMENSIONS, CLASSES, WANTED, RUNS = (25_000, 100_000), 256, 10, 1000, 3
STRATEGIES = ("uncertainty", "spread", "covering", "top_of_clusters", "weighted_kmeans", "facility_location", "badge")


def write_screening(folder: Path, candidates: int, dimensions: int = DIMENSIONS) -> None:
    """Write verdicts, features in a hundred clusters, and thumbnails of noise."""
    rng, names = np.random.default_rng(0), [f"{row:07}.jpg" for row in range(candidates)]
    features = rng.normal(size=(candidates, dimensions)).astype(np.float32) / np.sqrt(dimensions)
    features += rng.normal(size=(100, dimensions))[rng.integers(100, size=candidates)] / np.sqrt(dimensions)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    probs = rng.dirichlet(np.ones(CLASSES), candidates).astype(np.float32)
    boxes = rng.integers(0, 256, (candidates, 256), dtype=np.uint8)
    folder.mkdir(parents=True)
    stored = {
        "file_name": names,
        "digest": names,
        "features": pa.FixedSizeListArray.from_arrays(pa.array(features.astype(np.float16).ravel()), dimensions),
        "thumbnail": pa.array([row.tobytes() for row in boxes], pa.binary(256)),
    }
    pq.write_table(pa.table(stored), folder / "features.parquet")
    verdicts = {
        "file_name": names,
        "predicted_label": [f"class {k}" for k in probs.argmax(axis=1)],
        "confidence": probs.max(axis=1),
        "p_wrong": rng.beta(1, 8, candidates).astype(np.float32),
        "flagged": np.zeros(candidates, dtype=bool),
        "reasons": [["close_call"]] * candidates,
        "error": pa.nulls(candidates, pa.string()),
        **{f"prob_{k}": probs[:, k] for k in range(CLASSES)},
    }
    pq.write_table(pa.table(verdicts), folder / "verdicts.parquet")


def command(folder: Path, strategy: str, wanted: int = WANTED) -> list[str]:
    """Return the command that is measured."""
    rank = ["rank", str(folder), "-n", str(wanted), "--strategy", strategy, "--explore", "0.1"]
    return [sys.executable, "-m", "uncertainty", *rank]


def measure(folder: Path, strategies: Sequence[str], wanted: int = WANTED, runs: int = RUNS) -> dict[str, float]:
    """Return median seconds of each strategy; they take turns."""
    seconds: dict[str, list[float]] = {strategy: [] for strategy in strategies}
    for _ in range(runs):
        for strategy in strategies:
            start = perf_counter()
            subprocess.run(command(folder, strategy, wanted), check=True, capture_output=True)
            seconds[strategy].append(perf_counter() - start)
    return {strategy: median(values) for strategy, values in seconds.items()}


def main() -> None:
    """Print seconds, their ratio to sorting by p_wrong, and peak memory, for each number of candidates."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, nargs="+", default=CANDIDATES, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=RUNS, help="of which the median counts (default: %(default)s)")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES, help="(default: all)")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        for candidates in chosen.candidates:
            out = Path(folder) / str(candidates)
            write_screening(out, candidates)
            seconds = measure(out, chosen.strategies, runs=chosen.runs)
            for strategy, value in seconds.items():
                peak = peak_memory(command(out, strategy))
                times = value / seconds[chosen.strategies[0]]
                sys.stdout.write(
                    f"{candidates:>7} candidates, {strategy}: {value:.2f} s, {times:.2f} times {chosen.strategies[0]}, "
                    f"peak {peak:.0f} MB\n"
                )


if __name__ == "__main__":
    main()
