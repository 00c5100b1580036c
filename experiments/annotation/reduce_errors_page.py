"""The page of reduce_errors, made from its numbers."""

from __future__ import annotations

from typing import Any

from experiments.shared.markdown import percent, table
from experiments.shared.results_file import Mean, change, over_splits

TITLES = {"solar_cells": "Solar cells", "cifar10": "CIFAR-10"}
STREAMS = {"clean": "undamaged", "damaged": "damaged"}
BASE = "cross-entropy"
COMPARED = (
    ("focal", BASE),
    ("class weights", BASE),
    ("augmented", BASE),
    ("random added", BASE),
    ("problems added", BASE),
    ("problems added", "random added"),
    ("augmented, problems added", "augmented, random added"),
    ("augmented, problems added", BASE),
)
ABOUT = """\
# Fewer false positives and false negatives

A head with one hidden layer on frozen features of EfficientNet-Lite0, trained anew in ten ways on the same split.
**Focal**: gamma 2. **Class weights**: every class weighs alike. **Augmented**: a copy of every training image is added,
changed by rotation, brightness, occlusion or noise; twice the images, thus twice the steps. **Problems added**: from an
incoming stream, half of it damaged, the images with the largest `p_wrong` get labels and join the training set;
**random added** is the same number drawn at random. The screener is fitted as users do, with copies damaged by one half
of the kinds; the stream and the damaged test images have the other half, in turn, so augmentation knows some of them.

Every number is a mean over splits, with a 95 % t-interval over them; they cut the same images anew. Per 1,000
test images: an error is a false negative of its true class and a false positive of the one it was taken for. Changes
are paired, split by split; minus is fewer."""


def page(results: dict[str, Any]) -> str:
    """Return the whole page."""
    parts = [ABOUT]
    for name, found in results["sets"].items():
        sizes = "{:,} train, {:,} calibrate, {:,} arrive".format(*found["sizes"])
        bought = found["errors_bought"]
        parts += [
            f"## {TITLES[name]}\n\n{len(bought['problems'])} splits. {sizes}; {found['bought']} of these get labels, "
            f"of which {over_splits(bought['problems']).value:.0f} were errors when p_wrong chose and "
            f"{over_splits(bought['random']).value:.0f} when chance did. Errors in per cent:",
            errors_table(found["ways"]),
            *(by_class(found, stream) for stream in STREAMS),
        ]
    return "\n\n".join(parts) + "\n"


def errors_table(ways: dict[str, Any]) -> str:
    """Return the error rates of all ways and their change against doing nothing."""
    head = ["trained with", *(f"{said}: errors %, change" for said in STREAMS.values())]
    rows = []
    for name, found in ways.items():
        cells = []
        for stream in STREAMS:
            values = found[stream]["error_rate"]
            against = "" if name == BASE else ", " + percent(change(values, ways[BASE][stream]["error_rate"]))
            cells.append(plus_minus(over_splits([100 * v for v in values])) + against)
        rows.append([name, *cells])
    return table(head, rows)


def by_class(found: dict[str, Any], stream: str) -> str:
    """Return false positives and negatives of each class, and what each measure changes of them."""
    ways, classes = found["ways"], found["classes"]
    before = [[f"{name}", *(_both(ways[name][stream], str(k)) for k in range(len(classes)))] for name in ways]
    changes = [
        [
            f"{one} against {other}",
            *(_changed(ways[one][stream], ways[other][stream], str(k)) for k in range(len(classes))),
        ]
        for one, other in COMPARED
    ]
    return "\n\n".join(
        [
            f"### {STREAMS[stream].capitalize()} test images, false positives / false negatives per 1,000",
            table(["trained with", *classes], before),
            "Paired differences:",
            table(["difference", *classes], changes),
        ]
    )


def plus_minus(mean: Mean, sign: str = "") -> str:
    """Return a mean and half its interval.

    >>> plus_minus(Mean(1.25, 0.5), "+")
    '+1.2 ± 0.5'
    """
    return f"{mean.value:{sign}.1f} ± {mean.half:.1f}"


def _both(found: dict[str, Any], k: str) -> str:
    return " / ".join(plus_minus(over_splits(found[kind][k])) for kind in ("false_positives", "false_negatives"))


def _changed(one: dict[str, Any], other: dict[str, Any], k: str) -> str:
    differences = (
        over_splits([a - b for a, b in zip(one[kind][k], other[kind][k], strict=True)])
        for kind in ("false_positives", "false_negatives")
    )
    return " / ".join(plus_minus(mean, "+") for mean in differences)
