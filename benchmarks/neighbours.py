"""What the neighbour scores cost, exact and approximate: python -m benchmarks.neighbours."""

from __future__ import annotations

import resource
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators import create
from uncertainty.estimators._known_good import neighbours_for, share
from uncertainty.neighbors import NeighborIndex, memory_needed, normalised
from uncertainty.neighbors.lists import true_distances
from uncertainty.outputs import ModelOutputs

# A network's features over few known-good images, and either shape of the largest index that is exact.
SIZES = ((20_000, 1280), (78_125, 1280), (390_625, 256))
CLASSES, MODES, LATENT = 100, 4, 30
EXACT, APPROXIMATE, BATCH, QUERIES = (50_000, 1280), (1_000_000, 256), 64, 512
SCORES = ("nn_distance", "trust_ratio")


def clustered(rows: int, dimensions: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Make features of 100 classes of four overlapping modes each, of intrinsic dimension 30, and their classes.

    The modes' centres are as far from each other as images of one mode are; all seeds share them.
    """
    world, rng = np.random.default_rng(7), np.random.default_rng(seed)
    centres = world.normal(size=(CLASSES, MODES, LATENT))
    centres += 0.5 * world.normal(size=(CLASSES, 1, LATENT))
    mixing = (world.normal(size=(LATENT, dimensions)) / np.sqrt(LATENT)).astype(np.float32)
    classes = rng.integers(0, CLASSES, rows)
    x = np.empty((rows, dimensions), dtype=np.float32)
    for start in range(0, rows, 1 << 14):
        part = slice(start, start + (1 << 14))
        of = classes[part]
        latent = centres[of, rng.integers(0, MODES, len(of))] + rng.normal(size=(len(of), LATENT))
        x[part] = latent.astype(np.float32) @ mixing
        x[part] += 0.1 * rng.standard_normal((len(of), dimensions), dtype=np.float32)
    return x, classes


def outputs_of(features: NDArray[np.float32], classes: NDArray[np.int64]) -> ModelOutputs:
    """Return outputs of a classifier that predicts these classes."""
    logits = np.zeros((len(classes), CLASSES), dtype=np.float32)
    logits[np.arange(len(classes)), classes] = 1
    return ModelOutputs(ids=np.arange(len(classes)).astype(str), logits=logits, features=features)


def in_turns(ways: dict[str, Callable[[int], object]], runs: int) -> dict[str, float]:
    """Return median seconds of each way; they take turns, so that a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):  # the first warms up
        for name, way in ways.items():
            start = perf_counter()
            way(run)
            times[name].append(perf_counter() - start)
    return {name: median(found[1:]) for name, found in times.items()}


def exact_ways(known: ModelOutputs, asked: list[ModelOutputs]) -> dict[str, Callable[[int], object]]:
    """Return ours and the others' way to score the batch of a run; those of packages that are not installed, not."""
    import faiss
    from sklearn.neighbors import NearestNeighbors

    ours = [create(name, approximate=False).fit(known) for name in SCORES]
    x, y = normalised(known.features), known.predictions
    k, of_class = neighbours_for(len(x)), neighbours_for(len(x) / CLASSES)
    batches = [normalised(one.features) for one in asked]
    flat = faiss.IndexFlatL2(x.shape[1])
    flat.add(x)
    parts = []
    for wanted in range(CLASSES):
        parts.append(faiss.IndexFlatL2(x.shape[1]))
        parts[-1].add(x[y == wanted])
    brute = NearestNeighbors(algorithm="brute").fit(x)

    def by_faiss(run: int) -> None:
        flat.search(batches[run % len(asked)], k)
        for part in parts:
            part.search(batches[run % len(asked)], of_class)

    ways: dict[str, Callable[[int], object]] = {
        "ours, both scores": lambda run: [one.score(asked[run % len(asked)]) for one in ours],
        "FAISS as it comes, both scores": by_faiss,
        "FAISS as it comes, distance alone": lambda run: flat.search(batches[run % len(asked)], k),
        "scikit-learn (brute), distance alone": lambda run: brute.kneighbors(batches[run % len(asked)], k),
    }
    try:
        import torch
        from pytorch_ood.detector import KNN
    except ImportError:
        sys.stdout.write("pytorch-ood is not installed: its KNN is left out\n")
        return ways
    theirs = KNN(None, k=k).fit_features(torch.from_numpy(x), torch.from_numpy(y))
    tensors = [torch.from_numpy(batch) for batch in batches]
    return ways | {"pytorch-ood KNN, distance alone": lambda run: theirs.predict_features(tensors[run % len(asked)])}


def measure_exact(rows: int, dimensions: int, batch: int, runs: int) -> dict[str, float]:
    """Return milliseconds a query of each way."""
    known = outputs_of(*clustered(rows, dimensions, 0))
    x, y = clustered(batch * 8, dimensions, 1)
    # Outputs that nobody looked at before in each run: what is kept of a batch is forgotten together with it.
    asked = [outputs_of(x[start : start + batch], y[start : start + batch]) for start in range(0, len(x), batch)]
    seconds = in_turns(exact_ways(known, asked), runs)
    return {name: 1000 * time / batch for name, time in seconds.items()}


def measure_kinds(rows: int, dimensions: int, runs: int) -> dict[tuple[str, int], float]:
    """Return milliseconds a query for both scores, exact and approximate, in batches and one by one."""
    known, x, y = outputs_of(*clustered(rows, dimensions, 0)), *clustered(BATCH, dimensions, 1)
    calibration = clustered(256, dimensions, 2)[0]
    found = {}
    for kind in ("exact", "approximate"):
        scores: Any = [create(name, approximate=kind == "approximate").fit(known) for name in SCORES]
        settled = scores[0].index_.settled(calibration)
        for one in scores:
            one.index_ = settled
        for batch in (BATCH, 1):
            asked = [outputs_of(x[:batch], y[:batch]) for _ in range(runs + 1)]
            ways: dict[str, Callable[[int], object]] = {
                "both": lambda run, scores=scores, asked=asked: [one.score(asked[run]) for one in scores]  # type: ignore[misc]
            }
            found[kind, batch] = 1000 * in_turns(ways, runs)["both"] / batch
    return found


def build(folder: Path, rows: int, dimensions: int) -> dict[str, float]:
    """Build an index, settle it on calibration rows, and write its arrays and the truth about other queries."""
    x, y = clustered(rows, dimensions, 0)
    start = perf_counter()
    index = NeighborIndex.build(x, y, approximate=True)
    built = perf_counter() - start
    del x
    start = perf_counter()
    index = index.settled(clustered(256, dimensions, 2)[0])
    settled = perf_counter() - start
    assert index.lists is not None
    np.save(folder / "truth.npy", true_distances(normalised(clustered(QUERIES, dimensions, 3)[0]), index.vectors, 10))
    for name, value in index.arrays().items():
        np.save(folder / f"index_{name}.npy", value)
    lists = {"lists": len(index.lists.centroids), "probes": index.lists.probes, "recall_at_fit": index.lists.recall}
    return {"build_seconds": built, "settle_seconds": settled, **lists}


def serve(folder: Path, rows: int, dimensions: int) -> dict[str, float]:
    """Restore the index as a saved screener does, and return what its scores cost, find and take."""
    libraries = _resident()
    arrays = {path.stem.removeprefix("index_"): np.load(path) for path in folder.glob("index_*.npy")}
    ks = {"nn_distance": neighbours_for(rows), "trust_ratio": neighbours_for(rows / CLASSES)}
    learnt = {f"{name}_": value for name, value in arrays.items()}
    scores: Any = [create(name).restore({**learnt, "k_": ks[name]}) for name in SCORES]
    share(scores)
    start = perf_counter()
    scores[0].score(outputs_of(*clustered(1, dimensions, 4)))
    loaded = perf_counter() - start
    x, y = clustered(QUERIES, dimensions, 3)
    found = {"load_seconds": loaded}
    for batch in (BATCH, 1):
        asked = [outputs_of(x[i : i + batch], y[i : i + batch]) for i in range(0, len(x), batch)]
        ways: dict[str, Callable[[int], object]] = {
            "both": lambda run, asked=asked: [one.score(asked[run % len(asked)]) for one in scores]  # type: ignore[misc]
        }
        found[f"ms_a_query_batch_{batch}"] = 1000 * in_turns(ways, len(asked) - 1)["both"] / batch
        before = process_time()  # what it takes of a processor that others use too
        for run in range(len(asked)):
            ways["both"](run)
        found[f"cpu_ms_a_query_batch_{batch}"] = 1000 * (process_time() - before) / len(x)
    index = scores[0].index_
    nearest = index.search(x, 10)
    found["recall_at_10"] = float((nearest <= np.load(folder / "truth.npy")[:, 9:] + 1e-9).mean())
    peak = _peak()
    found |= {"peak_MiB": peak, "libraries_MiB": libraries, "stated_MiB": memory_needed(rows, dimensions) / 2**20}
    start = perf_counter()
    grown = index.add(x, y)
    grown.search(x[:1], 1)
    found["add_512_seconds"] = perf_counter() - start
    start = perf_counter()
    grown.remove(np.arange(512)).search(x[:1], 1)
    return found | {"remove_512_seconds": perf_counter() - start}


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure_approximate(rows: int, dimensions: int) -> dict[str, float]:
    """Return what build, search, add and remove cost; search in a process of its own, whose memory is measured."""
    with TemporaryDirectory() as folder, get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        found = processes.apply(build, (Path(folder), rows, dimensions))
        return found | processes.apply(serve, (Path(folder), rows, dimensions))


def main() -> None:
    """Print milliseconds a query, and times ours; then all there is to say of approximate search."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--exact", type=int, nargs=2, default=EXACT, help="rows, dimensions (default: %(default)s)")
    parser.add_argument("--approximate", type=int, nargs=2, default=APPROXIMATE, help="the same, 0 0 for none")
    parser.add_argument("--no-sizes", dest="sizes", action="store_false", help="leave the table of sizes out")
    parser.add_argument("--runs", type=int, default=7, help="the median of so many (default: %(default)s)")
    chosen = parser.parse_args()
    if chosen.exact[0]:
        sys.stdout.write(f"exact, {chosen.exact[0]:,} x {chosen.exact[1]}, batches of {BATCH}\n")
        found = measure_exact(*chosen.exact, BATCH, chosen.runs)
        for name, time in found.items():
            sys.stdout.write(f"  {name:37} {time:7.2f} ms a query, {time / found['ours, both scores']:5.1f} times\n")
    if chosen.sizes:
        sys.stdout.write(f"both scores, ms a query in batches of {BATCH} / one by one\n")
    for rows, dimensions in SIZES if chosen.sizes else ():
        times = measure_kinds(rows, dimensions, chosen.runs)
        words = [f"{kind} {times[kind, BATCH]:.2f} / {times[kind, 1]:.2f}" for kind in ("exact", "approximate")]
        sys.stdout.write(f"  {rows:,} x {dimensions}: {', '.join(words)}\n")
    if chosen.approximate[0]:
        sys.stdout.write(f"approximate, {chosen.approximate[0]:,} x {chosen.approximate[1]}\n")
        for name, value in measure_approximate(*chosen.approximate).items():
            sys.stdout.write(f"  {name:22} {value:10.3f}\n")


if __name__ == "__main__":
    main()
