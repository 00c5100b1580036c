"""What 30 dropout sub-networks cost, replayed and as full passes: python -m benchmarks.dropout_replay."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

import numpy as np
from torch import nn

from experiments.resnet20 import INPUT_SIZE, network
from uncertainty.classifiers.network import Network

PASSES, BATCH, RUNS = 30, 64, 7


@dataclass(frozen=True)
class Cost:
    """Median seconds for a batch: one pass, 30 sub-networks replayed from the first dropout, 30 full passes."""

    one: float
    replayed: float
    full: float


def networks() -> dict[str, nn.Module]:
    """Return a ResNet-20 with dropout before its last stage and before its head, and one with the latter alone."""
    head_only = network()
    head_only.dropout_maps = nn.Identity()
    return {"ResNet-20": network(), "ResNet-20, dropout only in the head": head_only}


def measure(module: nn.Module, batch: int = BATCH, runs: int = RUNS, passes: int = PASSES) -> Cost:
    """Time a batch of noise; the three ways take turns, so that a busy machine slows all alike."""
    images = np.random.default_rng(0).normal(size=(batch, 3, INPUT_SIZE, INPUT_SIZE)).astype(np.float32)
    replayed = Network.probe(module, images[0])
    full = replace(replayed, replay=None)
    ways: list[Callable[[], object]] = [
        lambda: full(images, 0, 0),
        lambda: replayed(images, passes, 0),
        lambda: full(images, passes, 0),
    ]
    seconds = [[_seconds(way) for way in ways] for _ in range(runs + 1)][1:]  # the first warms up
    return Cost(*(median(times) for times in zip(*seconds, strict=True)))


def _seconds(way: Callable[[], object]) -> float:
    start = perf_counter()
    way()
    return perf_counter() - start


def main() -> None:
    """Print milliseconds an image, and times one pass."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=BATCH, help="images in a batch (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=RUNS, help="the median of so many (default: %(default)s)")
    chosen = parser.parse_args()
    for name, module in networks().items():
        cost = measure(module, chosen.batch, chosen.runs)
        sys.stdout.write(f"{name}\n")
        for way, time in (("one pass", cost.one), ("30 replayed", cost.replayed), ("30 full passes", cost.full)):
            sys.stdout.write(
                f"  {way:15} {1000 * time / chosen.batch:6.2f} ms an image, {time / cost.one:5.1f} times\n"
            )


if __name__ == "__main__":
    main()
