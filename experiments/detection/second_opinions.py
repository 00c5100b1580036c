"""Which second opinion that installs from PyPI is the best for its cost?
python -m experiments.detection.second_opinions --data FOLDER --splits 3.

Each stands beside the classifier as at `balanced` effort, at 128 pixels for CIFAR-10, at 64 for the digits and at its
own size for solar cells. Two are side by side, each at its own size (the preset gives both 240 pixels). Lite0 on solar
cells is no opinion of its own, since their classifier has its weights. There are no damaged or foreign copies here, so
streams are those without damage; 2,500 of the training images are the reference of CIFAR-10.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.shared import image_sets, results_file, splits
from experiments.shared.command_line import Options, options, say
from experiments.shared.costs import multiplications
from experiments.shared.fitted_screener import fitted, max_softmax
from experiments.shared.image_sets import TITLES, Images
from experiments.shared.markdown import percent, table
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES, Make, Split
from experiments.shared.thorough_splits import bare, changed, kept_embedding
from uncertainty import Classifier, ModelOutputs
from uncertainty.classifiers.embedder import Embedder
from uncertainty.metrics import e_aurc

NAME = "second_opinions"
SIZES = {"digits": "?size=64", "solar_cells": "", "cifar10": "?size=128"}
BOTH = "efficientnet-lite0+lite2"
OPINIONS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", BOTH)
USUAL = OPINIONS[0]
PARTS = {BOTH: ("efficientnet-lite0", "efficientnet-lite2")}
REFERENCE = 2500
ROUNDS, BATCH = 7, 8
LEGEND = """\
E-AURC of `p_wrong` against max softmax on the same stream, with a 95 % t-interval over {splits} splits; minus is
better. The mean weighs each stream of each set alike. Against lite0: the mean over the streams of E-AURC against that
with lite0. Processor seconds of one core are of one image at the preset's own size, in batches of {batch}, the median
of {rounds} rounds in which the presets take turns; multiplications are counted there too, as times those of lite0."""


@dataclass(frozen=True, eq=False)
class Case:
    """What makes the split of a seed for some streams, the images behind all rows, and what balanced does without."""

    makes: dict[tuple[str, ...], Make]
    images: Sequence[Images]
    without: tuple[str, ...] = ()


def digits(chosen: Options) -> Case:
    """Digits, and those of ten that two networks never saw."""
    makes: dict[tuple[str, ...], Make] = {("clean",): splits.digits_split, ("unknown",): splits.digits_unknown_split}
    return Case(makes, [image_sets.digits()])


def solar_cells(chosen: Options) -> Case:
    """Solar cells and pictures that are none."""
    cells = image_sets.solar_cells()
    make = partial(splits.solar_split, splits.solar_backbone(chosen.cache, chosen.folder))
    return Case({("clean", "unknown"): make}, [cells, splits.unknown_to_solar_cells(cells, chosen.folder)])


def cifar10(chosen: Options) -> Case:
    """CIFAR-10, whose dropout is left to thorough effort, and a part of its training images as the reference."""
    dev, train = (image_sets.cifar10(chosen.folder, part) for part in ("dev", "train"))
    reference = splits.cifar10_reference(chosen.folder, chosen.cache).take(range(REFERENCE))
    make = partial(splits.cifar10_split, splits.cifar10_copies(chosen.folder, chosen.cache), reference)
    known = train.take(np.flatnonzero(np.isin(train.ids, reference.ids)))
    return Case({("clean", "unknown"): make}, [dev, splits.unknown_to_cifar10(dev), known], ("mc_probs",))


SETS: dict[str, Callable[[Options], Case]] = {"digits": digits, "solar_cells": solar_cells, "cifar10": cifar10}


def measured(case: Case, opinions: dict[str, dict[str, NDArray[np.float32]]], seed: int) -> dict[str, Any]:
    """Return E-AURC by stream and opinion, and of max softmax; JSON values."""
    result: dict[str, Any] = {}
    for regimes, make in case.makes.items():
        split = without_copies(make(seed), case.without)
        for name, seen in opinions.items():
            whole = changed(split, lambda outputs, seen=seen: with_embedding(outputs, seen))  # type: ignore[misc]
            screener = fitted(whole)
            for regime in regimes:
                stream = whole.streams[regime]
                cell = result.setdefault(regime, {"max_softmax": e_aurc(stream.wrong, max_softmax(stream))})
                cell[name] = e_aurc(stream.wrong, screener.p_wrong(stream))
    return result


def without_copies(split: Split, without: tuple[str, ...]) -> Split:
    """Leave out what was damaged or made foreign, and some columns."""
    none = split.calibration.take([])
    copies = ("calibration_damaged", "calibration_foreign", "test_damaged", "every_test_damaged")
    return changed(replace(split, **dict.fromkeys(copies, none)), lambda outputs: bare(outputs, without))


def with_embedding(outputs: ModelOutputs, seen: dict[str, NDArray[np.float32]]) -> ModelOutputs:
    """Add what a second network sees, by the ids of the rows."""
    width = len(next(iter(seen.values())))
    rows = [seen[str(name)] for name in outputs.ids]
    return replace(outputs, embedding=np.array(rows, dtype=np.float32).reshape(-1, width))


def seen_by(embedders: Sequence[Embedder], case: Case, chosen: Options) -> dict[str, NDArray[np.float32]]:
    """Return what second networks see in all images, side by side, by id."""
    found: dict[str, NDArray[np.float32]] = {}
    for images in case.images:
        rows = np.hstack([kept_embedding(chosen.cache, embedder, images) for embedder in embedders])
        found |= dict(zip(images.ids.tolist(), rows, strict=True))
    return found


def embedders_of(opinion: str, options: str) -> list[Embedder]:
    """Return the networks of an opinion, with the same options of their specs."""
    return [Classifier.load(name + options).as_embedder() for name in PARTS.get(opinion, (opinion,))]


def costs() -> dict[str, dict[str, float]]:
    """Return by preset the processor seconds and the multiplications of an image."""
    embedders = {name: Classifier.load(name).as_embedder() for name in OPINIONS}
    photograph = image_sets.photograph_crops(300, 0, smallest=300)(BATCH)
    inputs = {name: np.stack([e.preprocess(pixels) for pixels in photograph]) for name, e in embedders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in OPINIONS}
    for _ in range(ROUNDS):
        for name, embedder in embedders.items():
            begin = time.process_time()
            embedder(inputs[name])
            seconds[name].append((time.process_time() - begin) / BATCH)
    return {
        name: {
            "seconds": float(np.median(seconds[name])),
            "multiplications": float(multiplications(embedder, inputs[name][0])),
        }
        for name, embedder in embedders.items()
    }


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    about = " ".join((__doc__ or "").split("\n\n", 1)[1].split())
    cells = {(name, regime): cell for name, by in results["sets"].items() for regime, cell in by.items()}
    count = len(next(iter(cells.values()))["max_softmax"])
    legend = " ".join(LEGEND.format(splits=count, batch=BATCH, rounds=ROUNDS).split())
    streams = [f"{TITLES[name]}, {REGIMES[regime]}" for name, regime in cells]
    rows = [[f"`{name}`", *_gains(cells, name), *_cost(results["costs"], name)] for name in OPINIONS]
    head = ["second opinion", *streams, "mean", "against lite0", "seconds an image", "times lite0", "multiplications"]
    return "\n\n".join(["# Second opinions", about, legend, table(head, rows)]) + "\n"


def _gains(cells: dict[Any, Any], name: str) -> list[str]:
    changes = [percent(change(cell[name], cell["max_softmax"])) for cell in cells.values()]
    return [*changes, *(percent(_mean(cells, name, base)) for base in ("max_softmax", USUAL))]


def _mean(cells: dict[Any, Any], name: str, base: str) -> Any:
    """Average relative changes over the cells, split by split."""
    pairs = [(np.array(cell[name]), np.array(cell[base])) for cell in cells.values()]
    return over_splits(np.mean([100 * (a - b) / b.mean() for a, b in pairs], axis=0).tolist())


def _cost(found: dict[str, dict[str, float]], name: str) -> list[str]:
    times = [found[name][what] / found[USUAL][what] for what in ("seconds", "multiplications")]
    return [f"{found[name]['seconds']:.3f}", f"{times[0]:.1f}", f"{times[1]:.1f}"]


def main(chosen: Options) -> None:
    """Measure, print and write the page and the numbers."""
    results: dict[str, Any] = {"costs": costs(), "sets": {}}
    for name, make in SETS.items():
        case = make(chosen)
        opinions = {opinion: seen_by(embedders_of(opinion, SIZES[name]), case, chosen) for opinion in OPINIONS}
        rows = []
        for seed in range(chosen.splits):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            rows.append(measured(case, opinions, seed))
        results["sets"][name] = results_file.transposed(rows)
    results_file.publish(chosen.out, NAME, results, document)


if __name__ == "__main__":
    main(options(__doc__))
