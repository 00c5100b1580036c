"""What 30 dropout sub-networks cost, replayed, as full passes, and elsewhere: python -m benchmarks.dropout_replay.

Baal and torch-uncertainty are measured where they are installed (extra `peers`), so is torchvision's own network.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from experiments.shared import solar_network
from experiments.shared.resnet20 import INPUT_SIZE, network
from uncertainty.classifiers.network import Network, evaluating

PASSES, RUNS = 30, 5
ONE, PREFIX, SUFFIX, REPLAYED, FULL = "one pass", "prefix", "one bare suffix", "replayed", "full passes"
BAAL, TORCH_UNCERTAINTY = "Baal", "torch-uncertainty"


@dataclass(frozen=True)
class Case:
    """A network, the side of its input, and how many images come in a batch."""

    module: nn.Module
    side: int
    batch: int


def _head_only() -> nn.Module:
    module = network()
    module.dropout_maps = nn.Identity()
    return module


def _efficientnet_b0() -> nn.Module:
    from torchvision.models import efficientnet_b0

    module: nn.Module = efficientnet_b0()
    return module


CASES: dict[str, Callable[[], Case]] = {
    "ResNet-20, dropout from the last stage on": lambda: Case(network(), INPUT_SIZE, 64),
    "ResNet-20, dropout in the head": lambda: Case(_head_only(), INPUT_SIZE, 64),
    "EfficientNet-Lite0, dropout in the head": lambda: Case(solar_network.network(), solar_network.INPUT_SIZE, 4),
}
if find_spec("torchvision"):
    CASES["ordinary torchvision efficientnet_b0"] = lambda: Case(_efficientnet_b0(), 224, 4)


def ways(case: Case, passes: int = PASSES, peers: bool = True) -> dict[str, Callable[[], object]]:
    """Return what is to be compared, each on the same batch of noise."""
    x = torch.from_numpy(
        np.random.default_rng(0).normal(size=(case.batch, 3, case.side, case.side)).astype(np.float32)
    ).contiguous(memory_format=torch.channels_last)
    replayed = Network.probe(case.module, x[0].numpy())
    full, replay = replace(replayed, replay=None), replayed.replay
    if replay is None:
        raise SystemExit("the network can't be cut before its dropout, so there is nothing to measure")
    with evaluating(case.module):
        prefix = replay.prefix(x)

    def evaluated(run: Callable[[], object]) -> Callable[[], object]:
        def inner() -> None:
            with evaluating(case.module):
                run()

        return inner

    found: dict[str, Callable[[], object]] = {
        ONE: lambda: full(x),
        PREFIX: evaluated(lambda: replay.prefix(x)),
        SUFFIX: evaluated(lambda: replay.after(*prefix)),
        REPLAYED: lambda: replayed(x, passes),
        FULL: lambda: full(x, passes),
    }
    return found | (_peers(case.module, x, passes) if peers else {})


def _peers(module: nn.Module, x: torch.Tensor, passes: int) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {}
    if find_spec("baal"):
        from baal.bayesian.dropout import patch_module
        from baal.modelwrapper import ModelWrapper, TrainingArgs

        wrapper: Any = ModelWrapper(patch_module(deepcopy(module), inplace=False).eval(), TrainingArgs(use_cuda=False))
        found[BAAL] = lambda: wrapper.predict_on_batch(x, iterations=passes)
    if find_spec("torch_uncertainty"):
        from torch_uncertainty.methods import mc_dropout

        estimator: Any = mc_dropout(deepcopy(module), passes, on_batch=False).eval()

        def predict() -> None:
            with torch.no_grad():
                estimator(x)

        found[TORCH_UNCERTAINTY] = predict
    return found


def measure(case: Case, runs: int = RUNS, passes: int = PASSES, peers: bool = True) -> dict[str, float]:
    """Return median seconds of a batch; the ways take turns, so that a busy machine slows all alike."""
    compared = ways(case, passes, peers)
    seconds = [{name: _seconds(way) for name, way in compared.items()} for _ in range(runs + 1)][1:]  # 1st: warms up
    return {name: median(one[name] for one in seconds) for name in compared}


def _seconds(way: Callable[[], object]) -> float:
    start = perf_counter()
    way()
    return perf_counter() - start


def main() -> None:
    """Print milliseconds an image, times one pass, and against what it is to be held."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="the median of so many (default: %(default)s)")
    chosen = parser.parse_args()
    for name, make in CASES.items():
        case = make()
        cost = measure(case, chosen.runs)
        sys.stdout.write(f"{name}, batches of {case.batch}\n")
        for way, time in cost.items():
            sys.stdout.write(
                f"  {way:18} {1000 * time / case.batch:8.2f} ms an image, {time / cost[ONE]:5.2f} times one pass\n"
            )
        whole = cost[PREFIX] + PASSES * cost[SUFFIX]
        sys.stdout.write(f"  replayed / (prefix + {PASSES} suffixes): {cost[REPLAYED] / whole:.2f}\n")
        for peer in (BAAL, TORCH_UNCERTAINTY):
            said = f"{cost[peer] / cost[REPLAYED]:.1f} times as long as replayed" if peer in cost else "not installed"
            sys.stdout.write(f"  {peer}: {said}\n")


if __name__ == "__main__":
    main()
