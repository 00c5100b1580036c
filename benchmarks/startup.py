"""How long commands take to start, and one image to be judged: python -m benchmarks.startup."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

from benchmarks.cases import KNOWN_GOOD, fitted
from experiments.shared import solar_network
from uncertainty import Classifier, Preprocess, Screener

COMMANDS: Mapping[str, Sequence[str]] = {
    "python -c pass": ["-c", "pass"],
    "import uncertainty": ["-c", "import uncertainty"],
    "uncertainty --help": ["-m", "uncertainty", "--help"],
}
RUNS = 15


def measure(commands: Mapping[str, Sequence[str]], runs: int = RUNS) -> dict[str, float]:
    """Return the median seconds of each command, run in turn, so that a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, arguments in commands.items():
            start = perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def screening(folder: Path) -> dict[str, Sequence[str]]:
    """Return commands that load what screening needs, and that screen one image with the demo's screener."""
    subprocess.run([sys.executable, "-m", "uncertainty", "demo", "--out", str(folder)], check=True, capture_output=True)
    image = next((folder / "incoming").rglob("*.png"))
    screen = ["-m", "uncertainty", "screen", str(folder / "screener"), str(image), "-o", str(folder / "one")]
    libraries = "import torch, faiss, pyarrow.parquet, pydantic, safetensors, PIL.Image"
    return {"import the libraries": ["-c", libraries], "screen one image": screen}


def made(
    known_good: int = KNOWN_GOOD,
    network: Callable[[], torch.nn.Module] = solar_network.network,
    side: int = solar_network.INPUT_SIZE,
) -> Screener:
    """Return a screener of a network with random weights, with so many known-good rows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Classifier.from_module(network(), preprocess=Preprocess(size=side))
    noise = np.random.default_rng(0).integers(0, 256, (16, side, side, 3), dtype=np.uint8)
    return fitted(model, noise, known_good)


def latency(screener: Screener, runs: int = RUNS) -> dict[str, float]:
    """Return median seconds of one image array: a bare pass with preprocessing, and its verdict."""
    model = screener.classifier
    if model is None:
        raise SystemExit("the screener has no classifier")
    side = model.preprocess.size
    seconds: dict[str, list[float]] = {"bare pass": [], "judged": []}
    for run in range(runs + 1):
        image = np.random.default_rng(run).integers(0, 256, (side * 3 // 2, side * 2, 3), dtype=np.uint8)
        start = perf_counter()
        with torch.no_grad():
            model.network.module(torch.from_numpy(model.preprocess(image)[None]))
        middle = perf_counter()
        screener.screen([image], workers=1)
        seconds["bare pass"].append(middle - start)
        seconds["judged"].append(perf_counter() - middle)
    return {name: median(times[1:]) for name, times in seconds.items()}  # the first warms up


def main() -> None:
    """Print seconds and times a bare interpreter; then milliseconds of one image over a bare pass."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="the median of so many (default: %(default)s)")
    runs = parser.parse_args().runs
    with TemporaryDirectory() as folder:
        seconds = measure({**COMMANDS, **screening(Path(folder) / "demo")}, runs)
    bare = next(iter(seconds.values()))
    for name, time in seconds.items():
        sys.stdout.write(
            f"{name:20} {time:.3f} s, {time - bare:.3f} s more than bare python, {time / bare:5.1f} times\n"
        )
    cost = latency(made(), runs)
    more = cost["judged"] - cost["bare pass"]
    sys.stdout.write(
        f"one image in a loaded screener: bare pass {1000 * cost['bare pass']:.1f} ms, judged "
        f"{1000 * cost['judged']:.1f} ms, {1000 * more:.1f} ms more, {cost['judged'] / cost['bare pass']:.2f} times\n"
    )


if __name__ == "__main__":
    main()
