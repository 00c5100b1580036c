"""What is measured of a stream of images of several labels: ranking and level, of images and of single decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.multilabel.suggestions import suggestions
from uncertainty import ModelOutputs, Screener, metrics
from uncertainty.combination.mixture import expit, logit
from uncertainty.combination.platt_scaling import PlattScaling
from uncertainty.estimators import create

ESTIMATOR = "est_"
_DRAWS = 20


def judged(screener: Screener, stream: ModelOutputs) -> dict[str, float | None]:
    """Return what is measured of a stream: images ranked by p_wrong and peers, and each class's decisions."""
    table, wrong = screener.screen_outputs(stream).table, stream.wrong
    p_wrong = table["p_wrong"].to_numpy()
    scores = {"least_confidence": create("least_confidence").score(stream), "cleanlab": cleanlab_score(stream)}
    scores |= {name: table[name].to_numpy() for name in table.column_names if name.startswith(ESTIMATOR)}
    scores["p_wrong"] = p_wrong
    decisions = np.stack([table[f"p_wrong_{name}"].to_numpy() for name in screener.model.classes], axis=1)
    return {
        **{f"e_aurc {name}": 1000 * metrics.e_aurc(wrong, score) for name, score in scores.items()},
        "error rate": float(wrong.mean()),
        "predicted": float(p_wrong.mean()),
        "ece": metrics.ece(wrong, p_wrong),
        "ece by chance": ece_by_chance(p_wrong),
        "ece of two numbers": ece_of_two_numbers(p_wrong, screener.calibrated_on["calibration"]),
        **_gains(stream, decisions),
        **_levels(stream.wrong_decisions, decisions),
        **suggestions(stream, decisions, table["suggested_probability"].to_numpy(zero_copy_only=False)),
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


def ece_by_chance(p_wrong: NDArray[Any]) -> float:
    """Return the mean ECE of so many rows were each wrong with just this probability, of 20 draws."""
    return float(np.mean([metrics.ece(wrong, p_wrong) for wrong in _draws(p_wrong)]))


def ece_of_two_numbers(p_wrong: NDArray[Any], rows: int) -> float:
    """Return the mean ECE, of 20 draws, were p_wrong just right but for level and slope, learnt from so many rows.

    What calibration rows leave open however good the rest is: few say little of how often images are wrong.
    """
    rng, p = np.random.default_rng(1), p_wrong.astype(np.float64)
    found = []
    for wrong in _draws(p):
        seen = rng.choice(p, rows)
        learnt = PlattScaling.fit(logit(seen), rng.random(rows) < seen, np.ones(rows), ridge=1e-3)
        found.append(metrics.ece(wrong, expit(learnt(logit(p)))))
    return float(np.mean(found))


def ece_of_classes(wrong: NDArray[np.bool_], p_wrong: NDArray[Any]) -> NDArray[np.float64]:
    """Return (c,) the ECE of each class's decisions (n, c)."""
    return np.array([metrics.ece(w, p) for w, p in zip(wrong.T, p_wrong.T, strict=True)])


def _draws(p_wrong: NDArray[Any]) -> list[NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    return [rng.random(p_wrong.shape) < p_wrong for _ in range(_DRAWS)]


def _levels(wrong: NDArray[np.bool_], p_wrong: NDArray[np.float32]) -> dict[str, float]:
    """Return the ECE of all decisions and of single classes, beside those of a perfect p_wrong of the same values."""
    each = ece_of_classes(wrong, p_wrong)
    chance = np.stack([ece_of_classes(drawn, p_wrong) for drawn in _draws(p_wrong)])
    return {
        "ece of decisions": metrics.ece(wrong.ravel(), p_wrong.ravel()),
        "ece of decisions by chance": ece_by_chance(p_wrong.ravel()),
        "mean ece of a class": float(each.mean()),
        "mean ece of a class by chance": float(chance.mean()),
        "largest ece of a class": float(each.max()),
        "largest ece of a class by chance": float(chance.max(axis=1).mean()),
    }


def _gains(stream: ModelOutputs, p_wrong: NDArray[np.float32]) -> dict[str, float]:
    """Average AUROC over the classes that have both right and wrong decisions."""
    wrong, both = stream.wrong_decisions, stream.wrong_decisions.any(axis=0) & ~stream.wrong_decisions.all(axis=0)
    line = np.log(stream.decision_thresholds) - np.log1p(-stream.decision_thresholds)
    nearness = -np.abs(stream.logits - line)
    return {
        "auroc by distance": _mean_auroc(wrong[:, both], nearness[:, both]),
        "auroc by p_wrong": _mean_auroc(wrong[:, both], p_wrong[:, both]),
    }


def _mean_auroc(wrong: NDArray[np.bool_], score: NDArray[Any]) -> float:
    return float(np.mean([metrics.auroc(w, s) for w, s in zip(wrong.T, score.T, strict=True)]))
