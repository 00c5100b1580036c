"""The page of guarantees, made from its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.shared.markdown import table

CONFIDENCE = 0.95
TARGETS = (0.01, 0.02, 0.05, 0.1)
SIZES = (100, 300, 1000, 5000)
_LARGE = {1000: (0.05, 0.1), 5000: (0.05, 0.1)}
ASKED: dict[str, dict[int, tuple[float, ...]]] = {
    "max_error": dict.fromkeys(SIZES, TARGETS),
    "max_error by SGR": _LARGE,
    "min_recall": dict.fromkeys(SIZES, TARGETS),
    "max_error per class": _LARGE,
    "min_recall per class": _LARGE,
}
"""What is asked: for each number of calibration images, the targets."""
SHARES = (0.0, 0.4)
"""Of the calibration images, kept back from the combiner to decide on; with none, folds decide."""
LEGEND = """\
{resamples:,} calibration sets are drawn with replacement from each population, and a promise is made from each, with
{confidence:.0%} confidence. Broken: in so many per cent of the draws the promise does not hold in the whole population,
where 5 are allowed and three binomial standard errors make {limit:.1%}. Unflagged: mean share of images that are not
flagged, of what one could leave unflagged who knew every label. A draw that can certify nothing flags everything, and
breaks no promise. The targets limit the error of what is not flagged (`max_error`), or the errors that are missed
(`min_recall`, 1 % missed is a recall of 99 %). Per class, a promise is broken if it is for any class.

Real populations are what screeners say of images that they have not seen: one split of CIFAR-10 and, where listed,
three of the solar cells and four of the digits. The synthetic one has 200,000 images. Ties of p_wrong, and p_wrong that
is far too low or says nothing, are simulated in `tests/experiments/decisions/test_guarantees_experiment.py`.

At 5,000 images the coverage comes within 3 points of that of one who knows every label at 5 and 10 % on CIFAR-10, and
stays further away at 1 and 2 %, where few errors among few accepted images leave the exact limit far above their share.
Per class, each class must keep the target by itself; the best coverage named is that of one line for all."""
END_LEGEND = """\
Above, p_wrong was given. Here the whole is repeated: the combiner is fitted to the calibration images, the promise
decided on p_wrong from folds, or on images kept back from the combiner, and judged with the final combiner. Per cent of
the fits in which the promise is broken, and the mean per cent of images not flagged. Synthetic: judged on 20,000
other images. Real: judged on the few thousand images left over, whose own chance errors break promises too; what is
kept back does not have this question, so it shows how often that happens. Fits are few: of 100, three standard errors
allow 12 broken promises, of 30 they allow 5."""


def most_violations(resamples: int, confidence: float = CONFIDENCE) -> float:
    """Return 1 - C and three binomial standard errors.

    >>> round(most_violations(2000, 0.95), 4)
    0.0646
    """
    miss = 1 - confidence
    return miss + 3 * float(np.sqrt(miss * (1 - miss) / resamples))


def document(result: dict[str, Any]) -> str:
    """Return the page."""
    limit = most_violations(result["resamples"])
    parts = ["# Do the guarantees hold, and what do they cost", LEGEND.format(**result, limit=limit)]
    for asked in ASKED:
        parts += [f"## {asked}", _table_of(result, asked)]
    parts += ["## With the combiner fitted anew", END_LEGEND, _end_table(result)]
    return "\n\n".join(parts) + "\n"


def _table_of(result: dict[str, Any], asked: str) -> str:
    rows = []
    for name, population in result["populations"].items():
        for n, by_target in population[asked].items():
            cells = [
                f"{100 * one['violations']:.1f} | {100 * one['coverage']:.1f} of {100 * one['oracle']:.1f}"
                for one in by_target.values()
            ]
            rows.append([name, n, *cells])
    targets = next(iter(next(iter(result["populations"].values()))[asked].values()))
    heads = [f"{100 * float(t):g} %: broken | unflagged, of at most" for t in targets]
    return table(["images", "calibration", *" | ".join(heads).split(" | ")], rows)


def _end_table(result: dict[str, Any]) -> str:
    rows = []
    for name, by_size in result["end_to_end"].items():
        for n, found in by_size.items():
            for kind in ("max_error", "min_recall"):
                for share in SHARES:
                    cells = [found[f"{share} {kind} {target}"] for target in TARGETS]
                    texts = [f"{100 * c['violations']:.1f} ({100 * c['coverage']:.0f})" for c in cells]
                    kept = f"{share:.0%} kept back" if share else "folds"
                    rows.append([name, n, str(found["fits"]), kind, kept, *texts])
    head = ["images", "calibration", "fits", "promise", "decided on", *(f"{100 * t:g} %" for t in TARGETS)]
    return table(head, rows)
