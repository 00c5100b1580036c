"""What a second opinion and augmented views add to one forward pass: python -m experiments.efforts --data FOLDER.

`fast` is what the other experiments measure. `balanced` adds an independent backbone: EfficientNet-Lite0 at 128 pixels
for CIFAR-10; Lite1 for the solar cells, whose classifier has the weights of Lite0. `thorough` adds flips and shifts;
on solar cells they would cost five passes of a large network, so there it is left out.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import data, results_file, splits
from experiments.data import Images
from experiments.measuring import REGIMES, fitted
from experiments.results_file import change, over_splits
from experiments.running import Options, options, say
from experiments.splits import Copies, Split
from experiments.summary import with_summary
from experiments.tables import percent, table
from uncertainty import Classifier, ModelOutputs
from uncertainty.classifiers.embedder import Embedder
from uncertainty.metrics import auroc, e_aurc, ece

EFFORTS = {"fast": ("embedding", "tta_probs"), "balanced": ("tta_probs",), "thorough": ()}
"""Which columns each effort does without."""
VIEWS = ("flip", "shift")
TITLES = {"cifar10": "CIFAR-10", "solar_cells": "Solar cells"}
NAME = "efforts"
README = Path(__file__).parent.parent / "README.md"
Arrays = Callable[[Images], NDArray[np.float32]]


def kept(folder: Path, what: str, images: Images, compute: Arrays) -> NDArray[np.float32]:
    """Compute a column for images, or read what was kept for these very pixels."""
    sha = hashlib.sha256(what.encode())
    for pixels in images.pixels:
        sha.update(pixels.tobytes())
    file = folder / f"{what.partition(' ')[0]}-{sha.hexdigest()[:12]}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, compute(images))
    return np.load(file)


def embedding(embedder: Embedder, images: Images) -> NDArray[np.float32]:
    """Return what the second network sees in decoded images, in batches of 32."""
    groups = (images.pixels[i : i + 32] for i in range(0, len(images.pixels), 32))
    return np.concatenate([embedder(np.stack([embedder.preprocess(p) for p in group])) for group in groups])


def widened(copies: Copies, images: Images, unknown: Images, add: Callable[[ModelOutputs, Images], Any]) -> Copies:
    """Add columns to every set of copies, each from the images that it was made from."""
    first, second = (
        add(outputs, data.damaged(images, half, seed=0))
        for outputs, half in zip(copies.halves, splits.HALVES, strict=True)
    )
    return Copies(
        clean=add(copies.clean, images),
        halves=(first, second),
        foreign=add(copies.foreign, data.foreign(images, seed=0)),
        unknown=add(copies.unknown, unknown),
    )


def cifar10_splits(chosen: Options) -> Iterator[Split]:
    """CIFAR-10 with a second opinion and views."""
    if chosen.data is None:
        raise SystemExit("--data was not given; it is a folder with CIFAR-10, see experiments/README.md")
    folder, embedder = chosen.cache / NAME, Embedder.load("efficientnet-lite0?size=128")
    classifier = splits.cifar10_classifier(chosen.data)

    def add(outputs: ModelOutputs, images: Images) -> ModelOutputs:
        return replace(
            outputs,
            embedding=kept(folder, f"embedding {embedder.sha256}", images, lambda i: embedding(embedder, i)),
            tta_probs=kept(folder, f"views {VIEWS} {classifier.sha256}", images, lambda i: viewed(classifier, i)),
        )

    dev, train = data.cifar10(chosen.data, "dev"), data.cifar10(chosen.data, "train")
    copies = widened(splits.cifar10_copies(chosen.data, chosen.cache), dev, splits.unknown_to_cifar10(dev), add)
    reference = splits.cifar10_reference(chosen.data, chosen.cache)
    seen = kept(folder, f"embedding {embedder.sha256}", train, lambda i: embedding(embedder, i))
    reference = replace(reference, embedding=seen[np.isin(train.ids, reference.ids)])
    return (splits.cifar10_split(copies, reference, seed) for seed in range(chosen.splits))


def viewed(classifier: Classifier, images: Images) -> NDArray[np.float32]:
    """Return the probabilities of all views."""
    return np.asarray(classifier.run(images.pixels, passes=0, views=VIEWS, batch_size=256).tta_probs)


def solar_splits(chosen: Options) -> Iterator[Split]:
    """Solar cells with a second opinion: rows are looked up by id, since the classifier differs from split to split."""
    folder, embedder = chosen.cache / NAME, Embedder.load("efficientnet-lite1")

    def add(outputs: ModelOutputs, images: Images) -> ModelOutputs:
        seen = kept(folder, f"embedding {embedder.sha256}", images, lambda i: embedding(embedder, i))
        return replace(outputs, embedding=seen)

    cells = data.solar_cells()
    unknown = splits.unknown_to_solar_cells(cells, chosen.data)
    seen = widened(splits.solar_backbone(chosen.cache, chosen.data), cells, unknown, add)
    parts = [seen.clean, *seen.halves, seen.foreign, seen.unknown]
    by_id = {str(name): row for part in parts for name, row in zip(part.ids, part.embedding, strict=True)}
    for seed in range(chosen.splits):
        split = splits.solar_split(seen, seed)
        columns = {name: value for name, value in vars(split).items() if isinstance(value, ModelOutputs)}
        yield replace(
            split,
            **{n: replace(o, embedding=np.stack([by_id[str(i)] for i in o.ids])) for n, o in columns.items()},
        )


def measured(split: Split) -> dict[str, Any]:
    """Judge every stream at every effort; JSON values."""
    result: dict[str, Any] = {}
    for effort, without in EFFORTS.items():
        if effort == "thorough" and not split.calibration.has("tta_probs"):
            continue
        bare = {name: _without(v, without) for name, v in vars(split).items() if isinstance(v, ModelOutputs)}
        screener = fitted(replace(split, **bare))
        for regime in REGIMES:
            stream = _without(split.streams[regime], without)
            p_wrong, softmax = screener.p_wrong(stream), 1 - stream.probs.max(axis=1)
            result.setdefault(regime, {})[effort] = {
                "e_aurc": e_aurc(stream.wrong, p_wrong),
                "e_aurc_of_max_softmax": e_aurc(stream.wrong, softmax),
                "auroc": auroc(stream.wrong, p_wrong),
                "ece": ece(stream.wrong, p_wrong),
                "predicted_error_rate": float(p_wrong.mean(dtype=np.float64)),
                "observed_error_rate": float(stream.wrong.mean()),
            }
    return result


def _without(outputs: ModelOutputs, columns: tuple[str, ...]) -> ModelOutputs:
    return replace(outputs, **{column: None for column in columns})


def document(results: dict[str, Any]) -> str:
    """Return the page, from the numbers."""
    head = ["images", "stream", "effort", "E-AURC x1000", "against max softmax", "AUROC of errors", "ECE"]
    head.append("error rate predicted / observed")
    rows = [
        [title, REGIMES[regime], effort, *_cells(numbers)]
        for name, title in TITLES.items()
        for regime, by_effort in results.get(name, {}).items()
        for effort, numbers in by_effort.items()
    ]
    about = " ".join((__doc__ or "").split("\n\n", 1)[1].split())
    means = "Means over splits; intervals are 95 % t-intervals."
    return "\n\n".join(["# What more effort buys", about, means, table(head, rows)]) + "\n"


def overview(results: dict[str, Any]) -> str:
    """Return the table of the project's README: change of E-AURC against max softmax, by stream and effort."""
    rows = [
        [title, REGIMES[regime], *(_change(by_effort.get(effort)) for effort in EFFORTS)]
        for name, title in TITLES.items()
        for regime, by_effort in results.get(name, {}).items()
    ]
    return table(["images", "incoming stream", *(f"`{effort}`" for effort in EFFORTS)], rows)


def _change(numbers: dict[str, Any] | None) -> str:
    return "" if numbers is None else f"{change(numbers['e_aurc'], numbers['e_aurc_of_max_softmax']).value:+.0f} %"


def _cells(numbers: dict[str, Any]) -> list[str]:
    mean = {name: over_splits(values).value for name, values in numbers.items()}
    return [
        f"{1000 * mean['e_aurc']:.1f}",
        percent(change(numbers["e_aurc"], numbers["e_aurc_of_max_softmax"])),
        f"{mean['auroc']:.3f}",
        f"{mean['ece']:.3f}",
        f"{mean['predicted_error_rate']:.1%} / {mean['observed_error_rate']:.1%}",
    ]


def main(chosen: Options) -> None:
    """Measure what has its data, print and write the page and the numbers."""
    results: dict[str, Any] = {}
    made = {"cifar10": cifar10_splits, "solar_cells": solar_splits}
    for name, make in made.items():
        rows = []
        for seed, split in enumerate(make(chosen)):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            rows.append(measured(split))
        results[name] = results_file.transposed(rows)
    results_file.write(chosen.out / f"{NAME}.json", results)
    page = document(results)
    (chosen.out / f"{NAME}.md").write_text(page, encoding="utf-8")
    if chosen.out == results_file.RESULTS:
        README.write_text(with_summary(README.read_text(encoding="utf-8"), overview(results)), encoding="utf-8")
    sys.stdout.write(page)


if __name__ == "__main__":
    main(options(__doc__))
