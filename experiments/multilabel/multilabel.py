"""`python -m experiments.multilabel.multilabel`: errors of networks of several labels, by image and by decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.multilabel import sets
from experiments.multilabel.page import page
from experiments.shared import results_file
from experiments.shared.command_line import Options, command_line, say
from experiments.shared.fitted_screener import kinds_by_original, named_as_originals
from experiments.shared.splits import Split
from experiments.shared.thorough_splits import bare_split
from uncertainty import ModelOutputs, Screener, metrics
from uncertainty.estimators import create

NAME = "multilabel"
EFFORTS = {"fast": ("embedding", "tta_probs"), "balanced": ()}
"""Which columns each effort does without."""
ESTIMATOR = "est_"
Make = Callable[[int], Split]


def streams(split: Split) -> dict[str, ModelOutputs]:
    """Return what arrives, by regime."""
    return {"clean": split.test_clean, "damaged": split.test_damaged, "unknown": split.test_unknown}


def screener_of(split: Split) -> Screener:
    """Fit a screener as users do, with the package's defaults."""
    return Screener.fit_outputs(
        split.reference,
        split.calibration,
        damaged=named_as_originals(split.calibration_damaged),
        foreign=named_as_originals(split.calibration_foreign),
        damage_kinds=kinds_by_original(split.calibration_damaged),
    )


def judged(screener: Screener, stream: ModelOutputs) -> dict[str, float]:
    """Return what is measured of a stream: images ranked by p_wrong and peers, and each class's decisions."""
    table, wrong = screener.screen_outputs(stream).table, stream.wrong
    p_wrong = table["p_wrong"].to_numpy()
    scores = {"least_confidence": create("least_confidence").score(stream), "cleanlab": cleanlab_score(stream)}
    scores |= {name: table[name].to_numpy() for name in table.column_names if name.startswith(ESTIMATOR)}
    scores["p_wrong"] = p_wrong
    named = screener.model.classes
    decisions = np.stack([table[f"p_wrong_{name}"].to_numpy() for name in named], axis=1)
    return {
        **{f"e_aurc {name}": 1000 * metrics.e_aurc(wrong, score) for name, score in scores.items()},
        "error rate": float(wrong.mean()),
        "predicted": float(p_wrong.mean()),
        "ece": metrics.ece(wrong, p_wrong),
        "ece by chance": ece_by_chance(p_wrong),
        **_by_class(stream, decisions),
    }


def cleanlab_score(stream: ModelOutputs) -> NDArray[np.float64]:
    """Return 1 - the label quality of cleanlab's `multilabel_classification`, its default, of the classifier's answers.

    An exponential moving average of the decisions' confidences, from the highest to the lowest, which counts 0.8
    (Thyagarajan et al. 2022, "Identifying Incorrect Annotations in Multi-Label Classification Data").
    """
    confidence = np.where(stream.predictions == 1, stream.probs, 1 - stream.probs).astype(np.float64)
    descending = -np.sort(-confidence, axis=1)
    average = descending[:, 0]
    for column in descending.T[1:]:
        average = 0.8 * column + 0.2 * average
    return 1 - average


def ece_by_chance(p_wrong: NDArray[np.float32]) -> float:
    """Return the mean ECE of so many rows were each wrong with just this probability, of 100 draws."""
    rng = np.random.default_rng(0)
    return float(np.mean([metrics.ece(rng.random(len(p_wrong)) < p_wrong, p_wrong) for _ in range(100)]))


def _by_class(stream: ModelOutputs, p_wrong: NDArray[np.float32]) -> dict[str, float]:
    """Average over the classes that have both right and wrong decisions."""
    wrong, both = stream.wrong_decisions, stream.wrong_decisions.any(axis=0) & ~stream.wrong_decisions.all(axis=0)
    line = np.log(stream.decision_thresholds) - np.log1p(-stream.decision_thresholds)
    nearness = -np.abs(stream.logits - line)
    return {
        "auroc by distance": _mean_auroc(wrong[:, both], nearness[:, both]),
        "auroc by p_wrong": _mean_auroc(wrong[:, both], p_wrong[:, both]),
        "ece of decisions": metrics.ece(wrong.ravel(), p_wrong.ravel()),
        "ece of decisions by chance": ece_by_chance(p_wrong.ravel()),
        "largest ece of a class": max(metrics.ece(wrong[:, k], p_wrong[:, k]) for k in range(wrong.shape[1])),
    }


def _mean_auroc(wrong: NDArray[np.bool_], score: NDArray[Any]) -> float:
    return float(np.mean([metrics.auroc(w, s) for w, s in zip(wrong.T, score.T, strict=True)]))


def measured(make: Make, count: int) -> dict[str, Any]:
    """Measure all splits of a set."""
    return dict(results_file.transposed(list(_splits(make, count))))


def _splits(make: Make, count: int) -> Iterator[dict[str, Any]]:
    for seed in range(count):
        split, found = make(seed), {}
        for effort, without in EFFORTS.items():
            seen = bare_split(split, without)
            screener = screener_of(seen)
            found[effort] = {regime: judged(screener, stream) for regime, stream in streams(seen).items()}
        say(f"split {seed}: {found['balanced']['clean']['e_aurc p_wrong']:.1f}")
        yield found


def main() -> None:
    """Measure the sets that are asked for, and write the page."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", default="tiles,digits", help="which (default: %(default)s)")
    chosen = vars(parser.parse_args())
    wanted = str(chosen.pop("sets")).split(",")
    options = replace(Options(), **chosen)
    makers: dict[str, Callable[[], Make]] = {
        "tiles": lambda: sets.tiles_maker(options.folder, options.cache),
        "digits": lambda: sets.digits_maker(options.cache),
    }
    result = {name: measured(makers[name](), options.splits) for name in wanted}
    results_file.publish(options.out, NAME, result, page)


if __name__ == "__main__":
    main()
