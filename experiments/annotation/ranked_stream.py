"""Errors among the first images of a ranked, damaged stream, and twins in it:
python -m experiments.annotation.ranked_stream.

Needs --data FOLDER with CIFAR-10, see experiments/README.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.shared import image_sets, results_file
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import fitted, max_softmax
from experiments.shared.image_sets import Images, Pixels
from experiments.shared.markdown import table
from experiments.shared.results_file import Mean, over_splits, transposed
from experiments.shared.splits import HALVES, Split, cached_run, cifar10_classifier, makers
from uncertainty import ModelOutputs, Screener
from uncertainty.annotation.batch_selection import DEFAULT, STRATEGIES, Known, Rows, choose
from uncertainty.annotation.candidates import Candidates
from uncertainty.annotation.expected_yield import expected_yield
from uncertainty.annotation.near_duplicates import folded
from uncertainty.images.thumbnails import details, thumbnail
from uncertainty.neighbors import normalised

SPLITS, BATCH = 5, 200
TENTH = 0.1
PLAIN = ("random", "max softmax", "entropy", "margin", "p_wrong")
STREAMS = {"damaged": "half damaged by unseen kinds", "clean": "in distribution"}
TWIN, TWINS_CHECKED = "times 1.2", 1000
BRIGHTER: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    TWIN: lambda x: 1.2 * x,
    "times 1.4": lambda x: 1.4 * x,
    "plus 30": lambda x: x + 30,
}
"""How the second copy of an image is brightened; grey levels are cut at 255."""
LISTS = ("p_wrong", "without folding", "folded by features", "as it is")
ABOUT = """\
# The ranked stream

**Errors among the first tenth** of the test rows, in multiples of what a random tenth holds, in each of {splits} splits
of each set: mean with its 95 % t-interval. More than the ceiling, 1 / error rate, can't be had. Plain scores sort the
stream; `p_wrong` is that of a screener fitted as users do. The strategies choose as `uncertainty rank -n` does, with
near-duplicates folded by thumbnails of the images. The difference to p_wrong is split by split. Seconds are of one
processor for choosing one tenth, median.

**Expected errors**: what `rank` prints before any label, its interval, and in how many splits the errors that were
found lie inside.

**Near-duplicates**: the test half of CIFAR-10 (2,500 images) and each of them again, brightened ({twin}); the first
{batch} of a list, and how many of them are the second of a pair. "Folded by features" is what `rank` does where neither
thumbnails nor images are left. Then pairs alone, {checked} images of each set with their brightened copies (of digits
and solar cells as many as there are, at most): how many copies folding misses, and how many images it folds that are
none. Last, test images without twins that folding takes for near-duplicates of others, among the first 4 n candidates
of which n, a tenth, are wanted."""


def chosen_rows(
    screener: Screener, outputs: ModelOutputs, n: int, known: Known, strategy: str, seed: int
) -> NDArray[np.int64]:
    """Return the n rows that `uncertainty rank` would list first."""
    p_wrong = screener.p_wrong(outputs).astype(np.float64)
    rows = Rows(p_wrong, known, probs=outputs.probs)
    return choose(rows, np.arange(len(outputs)), n, strategy, seed=seed)[0]


def plain_scores(screener: Screener, outputs: ModelOutputs, seed: int) -> dict[str, NDArray[np.floating]]:
    """Return what a stream could be sorted by, higher first."""
    ordered = np.sort(outputs.probs.astype(np.float64), axis=1)
    scores = (
        np.random.default_rng([seed, 8]).random(len(outputs)),
        max_softmax(outputs),
        -(ordered * np.log(ordered.clip(1e-300))).sum(axis=1),
        ordered[:, -2] - ordered[:, -1],
        screener.p_wrong(outputs),
    )
    return dict(zip(PLAIN, scores, strict=True))


def known_of(outputs: ModelOutputs, looks: Mapping[str, NDArray[np.uint8]] | None) -> Known:
    """Return what `rank` would find beside the verdicts."""
    features = normalised(outputs.features).astype(np.float16)
    if looks is None:
        return Known(features)
    boxes = np.stack([looks[str(name)] for name in outputs.ids])
    return Known(features, looks=lambda rows: details(boxes[rows]))


def measured(screener: Screener, outputs: ModelOutputs, looks: Mapping[str, NDArray[np.uint8]], seed: int) -> Any:
    """Return errors among the first tenth by every score and strategy, in multiples of a random tenth."""
    n = round(TENTH * len(outputs))
    known, wrong = known_of(outputs, looks), outputs.wrong
    usual = wrong.mean() * n
    found: dict[str, Any] = {"error_rate": float(wrong.mean()), "ceiling": float(min(n, wrong.sum()) / usual)}
    sorts = {
        name: np.argsort(-score, kind="stable")[:n] for name, score in plain_scores(screener, outputs, seed).items()
    }
    seconds = {}
    for name in STRATEGIES:
        start = process_time()
        sorts[f"`{name}`"] = chosen_rows(screener, outputs, n, known, name, seed)
        seconds[f"`{name}`"] = process_time() - start
    p_wrong = screener.p_wrong(outputs)
    ours = sorts[f"`{DEFAULT}`"]
    expected = expected_yield(p_wrong[ours], p_wrong, screener.calibrated_on["errors"])
    actual = int(wrong[ours].sum())
    return found | {
        "times_random": {name: float(wrong[rows].sum() / usual) for name, rows in sorts.items()},
        "seconds": seconds,
        "expected": {"errors": expected.errors, "low": expected.low, "high": expected.high, "found": actual},
    }


def false_folds(screener: Screener, outputs: ModelOutputs, looks: Mapping[str, NDArray[np.uint8]]) -> float:
    """Return per cent of the first 4 n of a stream without twins that are folded, n a tenth of it."""
    pool = np.argsort(-screener.p_wrong(outputs), kind="stable")[: 4 * round(TENTH * len(outputs))]
    by_looks = folded(known_of(outputs, looks).looks(pool))  # type: ignore[misc]
    return float(100 * (by_looks != np.arange(len(pool))).mean())


def twins_listed(
    screener: Screener, once: ModelOutputs, again: ModelOutputs, looks: Mapping[str, NDArray[np.uint8]], seed: int
) -> dict[str, int]:
    """Return how many of the first 200 are the second of a pair, for each kind of list."""
    both = ModelOutputs.concatenate([once, again])
    p_wrong, pair = screener.p_wrong(both).astype(np.float64), np.tile(np.arange(len(once)), 2)
    with_looks, without = known_of(both, looks), known_of(both, None)
    spread = STRATEGIES[DEFAULT](Candidates(p_wrong, without.features), BATCH)
    lists = (
        np.argsort(-p_wrong, kind="stable")[:BATCH],
        spread,
        chosen_rows(screener, both, BATCH, without, DEFAULT, seed),
        chosen_rows(screener, both, BATCH, with_looks, DEFAULT, seed),
    )
    return {name: len(rows) - len(np.unique(pair[rows])) for name, rows in zip(LISTS, lists, strict=True)}


def thumbnails(file: Path, images: Images) -> dict[str, NDArray[np.uint8]]:
    """Return thumbnails by id, or read what was kept for these images."""
    sha = hashlib.sha256("\n".join(map(str, images.ids)).encode()).hexdigest()[:12]
    kept = file.with_name(f"{file.name}-{sha}.npy")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, np.stack([thumbnail(pixels) for pixels in images.pixels]))
    return dict(zip(map(str, images.ids), np.load(kept), strict=True))


def looks_of(name: str, images: Images, half: int, seed: int, cache: Path) -> dict[str, NDArray[np.uint8]]:
    """Return thumbnails of a set and of its damaged copies; digits are damaged anew in every split."""
    folder, damage_seed = cache / "thumbnails", seed if name == "Digits" else 0
    stem = name.lower().replace(" ", "_")
    clean = thumbnails(folder / f"{stem}-clean", images)
    file = folder / f"{stem}-{half}-{damage_seed}"
    marker = file.with_suffix(".done.npz")
    if not marker.exists():
        copies = image_sets.damaged(images, HALVES[half], damage_seed)
        np.savez(marker, ids=copies.ids, boxes=np.stack([thumbnail(pixels) for pixels in copies.pixels]))
    with np.load(marker) as kept:
        return clean | dict(zip(map(str, kept["ids"]), kept["boxes"], strict=True))


def brightened(images: Images, change: Callable[[NDArray[np.float64]], NDArray[np.float64]], name: str) -> Images:
    """Return lighter copies with names of their own."""

    def lighter(pixels: Pixels) -> Pixels:
        return np.rint(change(pixels.astype(np.float64)).clip(0, 255)).astype(np.uint8)

    ids = np.array([f"{i} {name}" for i in images.ids])
    return Images([lighter(pixels) for pixels in images.pixels], images.labels, ids, images.classes)


def pairs_folded(images: Images) -> dict[str, dict[str, int]]:
    """Return how many brightened copies are missed, and how many images are folded into others than their twin."""
    rows, found = np.random.default_rng(0).permutation(len(images))[:TWINS_CHECKED], {}
    once = [thumbnail(images.pixels[row]) for row in rows]
    for name, change in BRIGHTER.items():
        lighter = brightened(images.take(rows), change, name).pixels
        stands = folded(details(np.stack([*once, *map(thumbnail, lighter)])))
        own, twins = stands[: len(rows)], stands[len(rows) :]
        place = np.arange(len(rows))
        alone = twins == place + len(rows)
        found[name] = {
            "pairs": len(rows),
            "missed": int(alone.sum()),
            "false": int((own != place).sum() + ((twins != own) & ~alone).sum()),
        }
    return found


def over_sets(chosen: Options, seeds: range) -> dict[str, Any]:
    """Measure every split of every set."""
    sets = {}
    dev = image_sets.cifar10(chosen.folder, "dev")
    images = {"Digits": image_sets.digits(), "Solar cells": image_sets.solar_cells(), "CIFAR-10": dev}
    lighter = brightened(dev, BRIGHTER[TWIN], TWIN)
    outputs = cached_run(chosen.cache / "cifar10" / "twins", cifar10_classifier(chosen.folder), lighter)
    twins = outputs, thumbnails(chosen.cache / "thumbnails" / "twins", lighter)
    for name, (make, _) in makers(chosen.folder, chosen.cache).items():
        found = []
        for seed in seeds:
            say(f"{name}: split {seed}")
            split = make(seed)
            looks = looks_of(name, images[name], 1 - seed % 2, seed, chosen.cache)
            found.append(_split(split, looks, seed) | (_twins(split, twins, looks, seed) if name == "CIFAR-10" else {}))
        sets[name] = transposed(found) | {"pairs": pairs_folded(images[name])}
    return sets


def _split(split: Split, looks: Mapping[str, NDArray[np.uint8]], seed: int) -> dict[str, Any]:
    screener = fitted(split)
    streams = {stream: measured(screener, split.streams[stream], looks, seed) for stream in STREAMS}
    return {**streams, "false_folds": false_folds(screener, split.test_clean, looks)}


def _twins(split: Split, twins: tuple[ModelOutputs, Any], looks: Mapping[str, Any], seed: int) -> dict[str, Any]:
    (outputs, boxes), once = twins, split.test_clean
    place = {str(i).removesuffix(f" {TWIN}"): row for row, i in enumerate(outputs.ids)}
    again = outputs.take(np.array([place[str(i)] for i in once.ids]))
    return {"twins": twins_listed(fitted(split), once, again, {**looks, **boxes}, seed)}


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    parts = [ABOUT.format(splits=len(results["splits"]), batch=BATCH, twin=TWIN, checked=f"{TWINS_CHECKED:,}")]
    for stream, words in STREAMS.items():
        head = ["list", *(f"{name}: times random" for name in results["sets"]), "difference to p_wrong", "seconds"]
        parts += [f"## First tenth, {words}", _rates(results, stream), table(head, _lists(results, stream))]
    head = ["images", "stream", "expected errors (95 %)", "found", "inside"]
    parts += ["## Expected errors", table(head, _expected(results))]
    parts += [f"## Near-duplicates among {BATCH}", table(["list", "second of a pair"], _twin_rows(results))]
    parts += [table(["images", "second copy", "pairs", "missed", "folded, but no pair"], _pairs(results))]
    head = ["images", "folded without twins, % of candidates"]
    return "\n\n".join([*parts, table(head, _folds(results))]) + "\n"


def _rates(results: dict[str, Any], stream: str) -> str:
    words = []
    for name, found in results["sets"].items():
        rate, ceiling = (over_splits(found[stream][key]).value for key in ("error_rate", "ceiling"))
        words.append(f"{name} {100 * rate:.1f} % wrong, ceiling {ceiling:.2f}")
    return "; ".join(words) + "."


def _lists(results: dict[str, Any], stream: str) -> Iterator[list[str]]:
    sets = {name: found[stream] for name, found in results["sets"].items()}
    for name in next(iter(sets.values()))["times_random"]:
        means = [over_splits(found["times_random"][name]) for found in sets.values()]
        away = [
            over_splits([a - b for a, b in zip(f["times_random"][name], f["times_random"]["p_wrong"], strict=True)])
            for f in sets.values()
        ]
        slow = [f"{np.median(found['seconds'][name]):.2f}" for found in sets.values() if name in found["seconds"]]
        differences = "" if name == "p_wrong" else ", ".join(f"{mean.value:+.2f} ± {mean.half:.2f}" for mean in away)
        yield [name, *map(_between, means), differences, ", ".join(slow)]


def _between(mean: Mean) -> str:
    return f"{mean.value:.2f} ({mean.low:.2f} to {mean.high:.2f})"


def _expected(results: dict[str, Any]) -> Iterator[list[str]]:
    for name, sets in results["sets"].items():
        for stream, words in STREAMS.items():
            numbers = {key: np.array(values) for key, values in sets[stream]["expected"].items()}
            inside = ((numbers["low"] <= numbers["found"]) & (numbers["found"] <= numbers["high"])).sum()
            means = {key: values.mean() for key, values in numbers.items()}
            said = f"{means['errors']:.0f} ({means['low']:.0f} to {means['high']:.0f})"
            yield [name, words, said, f"{means['found']:.0f}", f"{inside} of {len(numbers['found'])}"]


def _twin_rows(results: dict[str, Any]) -> Iterator[list[str]]:
    for name, counts in results["sets"]["CIFAR-10"]["twins"].items():
        yield [name, f"{np.mean(counts):.1f}, at most {max(counts)}"]


def _pairs(results: dict[str, Any]) -> Iterator[list[str]]:
    for name, found in results["sets"].items():
        for change, counts in found["pairs"].items():
            yield [name, change, *(str(counts[key]) for key in ("pairs", "missed", "false"))]


def _folds(results: dict[str, Any]) -> Iterator[list[str]]:
    for name, found in results["sets"].items():
        yield [name, f"{np.mean(found['false_folds']):.1f}"]


def main(chosen: Options) -> None:
    """Measure, print and write."""
    seeds = range(min(chosen.splits, SPLITS))
    results = {"splits": list(seeds), "sets": over_sets(chosen, seeds)}
    results_file.publish(chosen.out, "ranked_stream", results, document)


if __name__ == "__main__":
    main(options(__doc__))
