"""What a GPU would change, step by step, by turns: python -m benchmarks.gpu [--device cuda] [--case lite0].

Without a GPU, or with `--device cpu`, it runs what a processor can run and says what it left out. Each line is a median
of milliseconds an image over the turns, the device waited for. `--short` ends in about a minute on a processor.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.cases import CASES, KNOWN_GOOD, PASSES, fitted, write_images
from uncertainty import Classifier
from uncertainty.images.sources import find_images
from uncertainty.neighbors import NeighborIndex
from uncertainty.workflows.screen import ScreenSettings, screen_into

BATCH, BATCHES, TURNS, NEAREST = 128, 8, 5, 10
LONG = {"batch": BATCH, "batches": BATCHES, "turns": TURNS, "rows": KNOWN_GOOD, "photos": 1000}
SHORT = {"batch": 16, "batches": 2, "turns": 1, "rows": 2000, "photos": 32}


@dataclass(frozen=True)
class Bench:
    """A network on a device and batches for it, in the memory of the processor."""

    classifier: Classifier
    device: torch.device
    batches: list[Tensor]
    compiling: bool = False

    @property
    def module(self) -> nn.Module:
        """The module as torch runs it."""
        return self.classifier.network.original

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def ways(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield what is compared: name, and a run over all batches; what needs a GPU there alone."""
        on_device = [batch.to(self.device) for batch in self.batches]
        yield "eager pass, batches on the device", lambda: [self.module(x) for x in on_device]
        yield "eager pass, copied as they come", lambda: [self.module(b.to(self.device)) for b in self.batches]
        if self.device.type == "cuda":
            pinned = [batch.pin_memory() for batch in self.batches]
            yield "eager pass, from pinned memory", lambda: [self.module(b.to(self.device)) for b in pinned]
            yield "eager pass, copied beside the pass before", lambda: _overlapped(self.module, pinned, self.device)
        yield "autocast bf16", lambda: [self._cast(x) for x in on_device]
        if self.compiling:
            compiled = torch.compile(self.module)
            yield "torch.compile", lambda: [compiled(x) for x in on_device]
        network, arrays = self.classifier.network, [batch.numpy() for batch in self.batches]
        yield "ours: folded pass, features, copied", lambda: [network(a) for a in arrays]
        if network.dropout:
            yield f"ours: and {PASSES} sub-networks in one batch", lambda: [network(a, PASSES) for a in arrays]
            yield f"{PASSES} passes with dropout", lambda: [self._dropped(x) for x in on_device]

    def _cast(self, x: Tensor) -> Any:
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.module(x)

    def _dropped(self, x: Tensor) -> None:
        layers = [one for one in self.module.modules() if isinstance(one, nn.Dropout)]
        for layer in layers:
            layer.train()
        for _ in range(PASSES):
            self.module(x)
        for layer in layers:
            layer.eval()


def _overlapped(module: nn.Module, pinned: list[Tensor], device: torch.device) -> list[Tensor]:
    """Copy each batch in a stream of its own while the one before is run."""
    copying, answers = torch.cuda.Stream(device), []
    current = torch.cuda.current_stream(device)
    with torch.cuda.stream(copying):
        following = pinned[0].to(device, non_blocking=True)
    for k in range(len(pinned)):
        current.wait_stream(copying)
        x = following
        x.record_stream(current)
        if k + 1 < len(pinned):
            with torch.cuda.stream(copying):
                following = pinned[k + 1].to(device, non_blocking=True)
        answers.append(module(x))
    return answers


def nearest(device: torch.device, rows: int, width: int, queries: int) -> Iterator[tuple[str, float]]:
    """Yield milliseconds a query of the exact index and of one product on the device, which must agree."""
    rng = np.random.default_rng(0)
    known, asked = (_unit(rng.normal(size=(n, width)).astype(np.float32)) for n in (rows, queries))
    index = NeighborIndex.build(known, np.zeros(rows, dtype=np.int64), approximate=False)
    seconds, ours = _timed(lambda: index.search(asked, NEAREST))
    yield f"exact neighbours of {rows}, ours on the processor", 1000 * seconds / queries
    on_device, q = torch.from_numpy(known).to(device), torch.from_numpy(asked)

    def product() -> NDArray[np.float32]:
        cosines = torch.topk(q.to(device) @ on_device.T, NEAREST, dim=1).values.cpu().numpy()
        return np.sqrt(np.maximum(2 - 2 * cosines, 0))

    product()
    seconds, theirs = _timed(product)
    yield f"exact neighbours of {rows}, a product on the device", 1000 * seconds / queries
    if (apart := float(np.abs(ours - theirs).max())) > 1e-3:
        raise SystemExit(f"the distances are {apart:.2g} apart")


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = perf_counter()
    answer = work()
    return perf_counter() - begun, answer


def measure(bench: Bench, turns: int) -> dict[str, float]:
    """Return milliseconds an image of each way, medians over turns in which each has its own."""
    images = sum(map(len, bench.batches))
    seconds: dict[str, list[float]] = {}
    with torch.no_grad():
        ways = list(bench.ways())
        for turn in range(turns + 1):  # the first warms up
            for name, way in ways:
                bench.wait()
                taken, _ = _timed(lambda way=way: (way(), bench.wait()))
                if turn:
                    seconds.setdefault(name, []).append(1000 * taken / images)
    return {name: median(some) for name, some in seconds.items()}


def screened(classifier: Classifier, case: str, photos: int) -> float:
    """Return milliseconds an image of a whole screening."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "photos", photos, CASES[case].size)
        images = find_images(folder / "photos")
        screener = fitted(classifier, images)
        screener.screen(images.select(range(min(32, photos))))
        seconds, _ = _timed(lambda: screen_into(folder / "out", screener, images, ScreenSettings()))
        return 1000 * seconds / photos


def main() -> None:
    """Print a line for each way."""
    parser = ArgumentParser(description=__doc__)
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=there, help="default: %(default)s")
    parser.add_argument("--case", choices=CASES, default="resnet20", help="default: %(default)s")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes a minute to begin")
    parser.add_argument("--short", action="store_true", help="a form that ends in about a minute on a processor")
    given = parser.parse_args()
    how = SHORT if given.short else LONG
    device = torch.device(given.device)
    made = CASES[given.case].classifier()
    module = made.network.original.to(device)
    classifier = Classifier.from_module(module, preprocess=made.preprocess, spec=made.spec)
    generator = torch.Generator().manual_seed(0)
    size = made.preprocess.size
    sides = size if isinstance(size, tuple) else (size, size)
    batches = [torch.randn((how["batch"], 3, *sides), generator=generator) for _ in range(how["batches"])]
    bench = Bench(classifier, device, batches, given.compile)
    lines = {**measure(bench, how["turns"]), **dict(nearest(device, how["rows"], 256, 256))}
    lines |= {"the whole of screen": screened(classifier, given.case, how["photos"])}
    threads = f"a processor, {torch.get_num_threads()} threads"
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else threads
    sys.stdout.write(f"{CASES[given.case].name} on {where}, batches of {how['batch']}\n")
    for name, milliseconds in lines.items():
        sys.stdout.write(f"{name:55} {milliseconds:9.3f} ms\n")
    if device.type != "cuda":
        sys.stdout.write("not run on a GPU: pinned memory and copies beside the pass need one\n")


if __name__ == "__main__":
    main()
