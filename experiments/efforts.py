"""What more effort adds to one forward pass, and a cascade saves: python -m experiments.efforts --data FOLDER.

`fast` is one pass, with dropout where that costs little (on CIFAR-10 the dropout of the network stands in its middle
and waits for `thorough`). `balanced` adds an independent backbone: EfficientNet-Lite0, at 128 pixels for CIFAR-10 and
at 64 for the digits; Lite1 for the solar cells, whose classifier has the weights of Lite0. `thorough` adds augmented
views: flips and shifts on CIFAR-10, and on the others those that the classifier bears, judged on calibration; for solar
cells they would take hours, and are measured only where they are in the cache. With `--cascade` only images whose
verdict it could still change are looked at more deeply, at a loss of 1 % or of 5 % of E-AURC on calibration. Cost is in
passes of the classifier, by multiplications; for the digits it is tiny.
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

from experiments import data, results_file, solar_network, splits
from experiments.costs import Costs, counted_costs
from experiments.data import Images
from experiments.measuring import REGIMES, fitted
from experiments.results_file import change, over_splits
from experiments.running import Options, options, say
from experiments.splits import Copies, Split
from experiments.summary import with_summary
from experiments.tables import percent, table
from uncertainty import Classifier, ModelOutputs, Preprocess, Screener
from uncertainty.cascade import dear_columns
from uncertainty.classifiers.embedder import Embedder
from uncertainty.classifiers.views import VIEWS as ALL_VIEWS
from uncertainty.classifiers.views import bearable
from uncertainty.demo import network as digits_network
from uncertainty.metrics import auroc, e_aurc, ece
from uncertainty.thresholds import budget_threshold

EFFORTS = {"fast": ("embedding", "tta_probs"), "balanced": ("tta_probs",), "thorough": ()}
"""Which columns each effort does without."""
CASCADES = {"--cascade": 0.01, "--cascade-loss 0.05": 0.05}
VIEWS = ("flip", "shift")
SOLAR_VIEWS = ("flip", "flip_vertical", "rotate")
TITLES = {"cifar10": "CIFAR-10", "solar_cells": "Solar cells", "digits": "Digits"}
NAME = "efforts"
README = Path(__file__).parent.parent / "README.md"
Arrays = Callable[[Images], NDArray[np.float32]]
Splits = tuple[Costs, Iterator[Split]]


def kept(folder: Path, what: str, images: Images, compute: Arrays) -> NDArray[np.float32]:
    """Compute a column for images, or read what was kept for these very pixels."""
    file = kept_file(folder, what, images)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, compute(images))
    return np.load(file)


def kept_file(folder: Path, what: str, images: Images) -> Path:
    """Return where a column is kept."""
    sha = hashlib.sha256(what.encode())
    for pixels in images.pixels:
        sha.update(pixels.tobytes())
    return folder / f"{what.partition(' ')[0]}-{sha.hexdigest()[:12]}.npy"


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


def cifar10_splits(chosen: Options) -> Splits:
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
    costs = counted_costs(classifier, embedder, dev)
    return costs, (splits.cifar10_split(copies, reference, seed) for seed in range(chosen.splits))


def viewed(classifier: Classifier, images: Images) -> NDArray[np.float32]:
    """Return the probabilities of all views."""
    return np.asarray(classifier.run(images.pixels, passes=0, views=VIEWS, batch_size=256).tta_probs)


def solar_splits(chosen: Options) -> Splits:
    """Solar cells with a second opinion, and with views where they are kept, since they take hours."""
    folder, embedder = chosen.cache / NAME, Embedder.load("efficientnet-lite1")

    def add(outputs: ModelOutputs, images: Images) -> ModelOutputs:
        seen = kept(folder, f"embedding {embedder.sha256}", images, lambda i: embedding(embedder, i))
        return replace(outputs, embedding=seen)

    cells = data.solar_cells()
    unknown = splits.unknown_to_solar_cells(cells, chosen.data)
    backbone = solar_classifier()
    seen = widened(splits.solar_backbone(chosen.cache, chosen.data), cells, unknown, add)
    views = solar_views(folder, backbone, seen, cells, unknown)
    costs = replace(counted_costs(backbone, embedder, cells), views=views is not None)
    return costs, _solar_splits(seen, views, chosen.splits)


def solar_classifier() -> Classifier:
    """Return the frozen backbone of all solar classifiers."""
    preprocess = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
    return Classifier.from_module(solar_network.backbone(), preprocess=preprocess)


def solar_views(
    folder: Path, backbone: Classifier, seen: Copies, cells: Images, unknown: Images
) -> dict[str, NDArray[np.float32]] | None:
    """Return what the backbone gives for views, by id of the row; None unless it is kept for all sets."""
    sets = [cells, *(data.damaged(cells, half, seed=0) for half in splits.HALVES), data.foreign(cells, seed=0), unknown]
    files = [kept_file(folder, f"view_features {SOLAR_VIEWS} {backbone.sha256}", images) for images in sets]
    if not all(file.exists() for file in files):
        return None
    parts = [seen.clean, *seen.halves, seen.foreign, seen.unknown]
    return {
        str(name): row
        for part, file in zip(parts, files, strict=True)
        for name, row in zip(part.ids, np.load(file), strict=True)
    }


def _solar_splits(seen: Copies, views: dict[str, NDArray[np.float32]] | None, count: int) -> Iterator[Split]:
    """Rows are looked up by id, since the classifier differs from split to split."""
    parts = [seen.clean, *seen.halves, seen.foreign, seen.unknown]
    by_id = {str(name): row for part in parts for name, row in zip(part.ids, part.embedding, strict=True)}
    for seed in range(count):
        split = splits.solar_split(seen, seed, views)
        whole = _changed(split, lambda o: replace(o, embedding=np.stack([by_id[str(i)] for i in o.ids])))
        yield whole if views is None else with_bearable_views(whole, SOLAR_VIEWS)


def digits_splits(chosen: Options) -> Splits:
    """Digits with a second opinion and views; each split has a classifier and damage of its own."""
    folder, embedder = chosen.cache / NAME, Embedder.load("efficientnet-lite0?size=64")

    def add(classifier: Classifier, outputs: ModelOutputs, images: Images) -> ModelOutputs:
        seen = kept(folder, f"embedding {embedder.sha256}", images, lambda i: embedding(embedder, i))
        views = classifier.run(images.pixels, passes=0, views=tuple(ALL_VIEWS), batch_size=256).tta_probs
        return replace(outputs, embedding=seen, tta_probs=views)

    made = (splits.digits_split(seed, add) for seed in range(chosen.splits))
    costs = counted_costs(digits_network.classifier(), embedder, data.digits())
    return costs, (with_bearable_views(split, tuple(ALL_VIEWS)) for split in made)


def with_bearable_views(split: Split, names: tuple[str, ...]) -> Split:
    """Keep the views that the classifier bears, judged on calibration as a fit judges."""
    bears, _ = bearable(split.calibration, names)
    columns = [name in bears for name in names for _ in ALL_VIEWS[name]]
    return _changed(split, lambda o: replace(o, tta_probs=o.tta_probs[:, columns] if bears else None))


def _changed(split: Split, change: Callable[[ModelOutputs], ModelOutputs]) -> Split:
    return replace(split, **{name: change(v) for name, v in vars(split).items() if isinstance(v, ModelOutputs)})


def measured(split: Split, costs: Costs) -> dict[str, Any]:
    """Judge every stream at every effort; JSON values."""
    result: dict[str, Any] = {}
    views = split.calibration.tta_probs.shape[1] if split.calibration.has("tta_probs") else 0
    for effort, without in EFFORTS.items():
        if effort == "thorough" and not views:
            continue
        without = (*without, "mc_probs") if costs.dear and effort != "thorough" else without
        deeper = () if effort == "fast" else dear_columns(dropout=costs.dear)
        screener = fitted(_changed(split, lambda o, w=without: _without(o, w)), deeper=deeper)
        passes = costs.of("fast", views), costs.of(effort, views)
        for name, one in cascades(effort, screener).items():
            for regime, stream in split.streams.items():
                result.setdefault(regime, {})[name] = judged(one, screener, _without(stream, without), passes)
    if costs.views and not views:  # the classifier bears none, so thorough effort is balanced
        for by_effort in result.values():
            by_effort |= {k.replace("balanced", "thorough"): v for k, v in by_effort.items() if k != "fast"}
    return result


def cascades(effort: str, screener: Screener) -> dict[str, Screener]:
    """Return the screener with full evidence for every image, and as cascades of several losses."""
    if screener.cascade is None:
        return {effort: screener}
    full = replace(screener, cascade=None)
    several = {
        f"{effort} {option}": replace(screener, cascade=replace(screener.cascade, loss=loss)).with_budget(
            screener.budget
        )
        for option, loss in CASCADES.items()
    }
    return {effort: full, **several}


def judged(
    screener: Screener, all_of_it: Screener, stream: ModelOutputs, passes: tuple[float, float]
) -> dict[str, Any]:
    """Return how good p_wrong is, and how many images went deeper at what cost; `passes` are at least and at most."""
    p_wrong, softmax, share, otherwise = screener.p_wrong(stream), 1 - stream.probs.max(axis=1), 1.0, 0.0
    if (cascade := screener.cascade) is not None:
        share = float(cascade.wants(cascade.first_sight(screener.estimators, stream)).mean())
        rows = cascade.held_out
        threshold = budget_threshold(rows.full.astype(np.float32), rows.weights, screener.budget)
        full = replace(all_of_it, cascade=None).p_wrong(stream) >= np.float32(threshold)
        otherwise = float(((p_wrong >= np.float32(screener.threshold)) != full).mean())
    return {
        "e_aurc": e_aurc(stream.wrong, p_wrong),
        "e_aurc_of_max_softmax": e_aurc(stream.wrong, softmax),
        "auroc": auroc(stream.wrong, p_wrong),
        "ece": ece(stream.wrong, p_wrong),
        "predicted_error_rate": float(p_wrong.mean(dtype=np.float64)),
        "observed_error_rate": float(stream.wrong.mean()),
        "looked_at_more_deeply": share,
        "flagged_otherwise": otherwise,
        "passes": passes[0] + share * (passes[1] - passes[0]),
    }


def _without(outputs: ModelOutputs, columns: tuple[str, ...]) -> ModelOutputs:
    return replace(outputs, **{column: None for column in columns})


def document(results: dict[str, Any]) -> str:
    """Return the page, from the numbers."""
    head = ["images", "stream", "effort", "E-AURC x1000", "against max softmax", "AUROC of errors", "ECE"]
    head += ["error rate predicted / observed", "looked at more deeply", "flagged otherwise", "cost in passes"]
    rows = [
        [title, REGIMES[regime], effort, *_cells(numbers)]
        for name, title in TITLES.items()
        for regime, by_effort in results.get(name, {}).items()
        for effort, numbers in by_effort.items()
    ]
    about = " ".join((__doc__ or "").split("\n\n", 1)[1].split())
    means = (
        f"Means over splits ({_counts(results)}); intervals are 95 % t-intervals. `Flagged otherwise` is the share of "
        "images whose flag is not that of full evidence; the cascade allows 0.5 % of images like calibration."
    )
    return "\n\n".join(["# What more effort buys", about, means, table(head, rows)]) + "\n"


def _counts(results: dict[str, Any]) -> str:
    first = {name: next(iter(next(iter(by_regime.values())).values())) for name, by_regime in results.items()}
    return ", ".join(f"{title} {len(first[name]['e_aurc'])}" for name, title in TITLES.items() if name in first)


def overview(results: dict[str, Any]) -> str:
    """Return the table of the project's README: change of E-AURC against max softmax, by stream and effort."""
    cascade = "thorough --cascade"
    rows = [
        [
            title,
            REGIMES[regime],
            *(_change(by_effort.get(effort)) for effort in (*EFFORTS, cascade)),
            _deep(by_effort, cascade),
        ]
        for name, title in TITLES.items()
        for regime, by_effort in results.get(name, {}).items()
    ]
    efforts = [f"`{effort}`" for effort in (*EFFORTS, cascade)]
    return table(["images", "incoming stream", *efforts, "of which look deeper"], rows)


def _deep(by_effort: dict[str, Any], effort: str) -> str:
    if effort not in by_effort:
        return ""
    return f"{over_splits(by_effort[effort]['looked_at_more_deeply']).value:.0%}"


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
        f"{mean['looked_at_more_deeply']:.0%}",
        f"{mean['flagged_otherwise']:.1%}",
        f"{mean['passes']:.1f}",
    ]


def main(chosen: Options) -> None:
    """Measure what has its data, print and write the page and the numbers."""
    results: dict[str, Any] = {}
    made: dict[str, Callable[[Options], Splits]] = {
        "digits": digits_splits,
        "cifar10": cifar10_splits,
        "solar_cells": solar_splits,
    }
    for name, make in made.items():
        costs, several = make(chosen)
        rows = []
        for seed, split in enumerate(several):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            rows.append(measured(split, costs))
        results[name] = results_file.transposed(rows)
        results_file.write(chosen.out / f"{NAME}.json", results)
    page = document(results)
    (chosen.out / f"{NAME}.md").write_text(page, encoding="utf-8")
    if chosen.out == results_file.RESULTS:
        README.write_text(with_summary(README.read_text(encoding="utf-8"), overview(results)), encoding="utf-8")
    sys.stdout.write(page)


if __name__ == "__main__":
    main(options(__doc__))
