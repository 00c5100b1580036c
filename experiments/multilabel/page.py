"""The page of the experiment on several labels, from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from experiments.shared.markdown import percent, table
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES

TITLES = {"tiles": "Tiled photographs", "digits": "Digits on a canvas"}
WHAT = {
    "tiles": "One to four photographs of CIFAR-10 in a picture of 64x64, every class a label; a ResNet-20 that knows "
    "single photographs, trained further on 4,000 pictures for three passes: a weak one, of which most pictures have a "
    "wrong decision. Calibration and test are halves of 1,200 pictures of photographs that no network was trained on. "
    "Unknown content: pictures in which one thing at least is a solar cell, a digit or a crop of a photograph.",
    "digits": "One to four of scikit-learn's 8x8 digits anywhere in the quarters of a 20x20 canvas, eight of the ten "
    "digits a label; a network of three convolutions trained on 3,000 canvases. 600 canvases calibrate and 600 test, "
    "of digits of their own. Unknown content: canvases in which one thing at least is one of the other two digits.",
}
HEAD = """# Several labels an image

A picture is wrong if any of its decisions is, one for each label. The screener is fitted as users fit it, with damaged
and unrecognisable copies of the calibration images; a second opinion (EfficientNet-Lite0, ImageNet weights) and, for
photographs, a flipped view at `balanced`, neither at `fast`. The streams are those of the other pages: in distribution,
half damaged by kinds that calibration never saw, one in five with unknown content, whose truth is the known labels in
it and often none. A decision that says nothing where nothing known is, is right.

E-AURC x1000 of images, mean over the splits, changes against the least confident decision with 95 % t-intervals over
the splits; lower is better. "Mean entropy" is that of all decisions. By class: AUROC of wrong decisions, mean over the
classes, by the distance of the probability from its threshold and by `p_wrong_<class>`. ECE of few pictures is above 0
by chance alone.
"""


def page(result: dict[str, Any]) -> str:
    """Return the page in Markdown."""
    parts = [HEAD]
    for name, efforts in result.items():
        parts += [f"## {TITLES[name]}\n", f"{WHAT[name]} Splits: {_count(efforts)}.\n"]
        parts += [_images(efforts) + "\n", _decisions(efforts) + "\n"]
    return "\n".join(parts)


def _count(efforts: Any) -> int:
    return len(efforts["fast"]["clean"]["ece"])


def _cells(efforts: Any) -> Iterator[tuple[str, str, dict[str, Sequence[float]]]]:
    for effort, regimes in efforts.items():
        for regime, numbers in regimes.items():
            yield effort, REGIMES[regime].replace("of no known class", "with unknown content"), numbers


def _mean(values: Sequence[float], digits: int = 1) -> str:
    return f"{over_splits(values).value:.{digits}f}"


def _images(efforts: Any) -> str:
    head = [
        "effort",
        "stream",
        "least confident",
        "mean entropy",
        "p_wrong",
        "change",
        "error rate",
        "predicted",
        "ECE",
    ]
    rows = []
    for effort, regime, n in _cells(efforts):
        least, ours = n["e_aurc least_confidence"], n["e_aurc p_wrong"]
        scores = [_mean(one) for one in (least, n["e_aurc entropy"], ours)]
        rates = [f"{100 * over_splits(n[name]).value:.1f} %" for name in ("error rate", "predicted")]
        rows.append(
            [effort, regime, *scores[:2], f"**{scores[2]}**", percent(change(ours, least)), *rates, _mean(n["ece"], 3)]
        )
    return table(head, rows)


def _decisions(efforts: Any) -> str:
    head = [
        "effort",
        "stream",
        "AUROC by distance",
        "AUROC by p_wrong",
        "gain",
        "ECE of all decisions",
        "largest of a class",
    ]
    rows = []
    for effort, regime, n in _cells(efforts):
        plain, ours = n["auroc by distance"], n["auroc by p_wrong"]
        gain = over_splits([a - b for a, b in zip(ours, plain, strict=True)]).value
        levels = [_mean(n[name], 3) for name in ("ece of decisions", "largest ece of a class")]
        rows.append([effort, regime, _mean(plain, 3), _mean(ours, 3), f"{gain:+.3f}", *levels])
    return table(head, rows)
