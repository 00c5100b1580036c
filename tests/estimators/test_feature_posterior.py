"""The posterior on the classifier's own features: what it is worth, where it says nothing, and when it is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from problems import made_problem
from sklearn.metrics import roc_auc_score

from uncertainty import ModelOutputs
from uncertainty.combination.calibration_sets import fit_estimators
from uncertainty.combination.evidence import Shares, evidence
from uncertainty.estimators.feature_posterior import FeaturePosterior
from uncertainty.estimators.fused_posterior import FusedPosterior
from uncertainty.estimators.least_confidence import LeastConfidence


def without(outputs: ModelOutputs, *columns: str) -> ModelOutputs:
    return replace(outputs, **dict.fromkeys(columns))


REFERENCE, CALIBRATION, TEST = (
    without(made_problem(rows, seed), "embedding", "tta_probs") for rows, seed in ((500, 1), (400, 2), (3000, 9))
)


def fitted(calibration: ModelOutputs = CALIBRATION) -> FeaturePosterior:
    return FeaturePosterior().fit(calibration, REFERENCE)


def overconfident(outputs: ModelOutputs, seed: int) -> ModelOutputs:
    """What a network says that has learnt its training images by heart: its features are better than its logits."""
    noise = np.random.default_rng(seed).normal(scale=3.0, size=outputs.logits.shape)
    return replace(outputs, logits=np.asarray(outputs.logits, dtype=np.float64) + noise)


def test_it_knows_more_than_a_last_layer_that_is_worse_than_its_features() -> None:
    calibration, test = (without(overconfident(rows, seed), "mc_probs") for rows, seed in ((CALIBRATION, 0), (TEST, 1)))
    area, of_softmax = (roc_auc_score(test.wrong, one.score(test)) for one in (fitted(calibration), LeastConfidence()))
    assert area > of_softmax + 0.05


def test_far_from_everything_known_no_class_is_likelier_by_the_features() -> None:
    estimator = fitted()
    estimator.weights_ = np.append([0.0, 0.0], np.ones(len(estimator.weights_) - 2))  # neither softmax nor dropout
    opposite = -np.asarray(REFERENCE.features).mean(axis=0)
    far = replace(TEST, features=np.tile(opposite, (len(TEST), 1)))
    assert estimator.score(far) == pytest.approx(np.full(len(far), np.log(TEST.n_classes - 1)), abs=0.2)
    assert np.median(estimator.score(TEST)) < 0


def test_shuffled_labels_leak_nowhere() -> None:
    found = []
    for seed in range(3):
        calibration = without(made_problem(500, 20 + seed), "embedding", "tta_probs")
        other = np.random.default_rng(seed).permutation(len(calibration))
        shuffled = replace(calibration, labels=calibration.labels[other])
        rows = evidence([fitted(shuffled)], shuffled, (None, None), Shares(0.0, 0.0))
        right_class = calibration.predictions == calibration.labels
        found.append(roc_auc_score(rows.wrong[right_class], rows.signals.scores[right_class, 0]))
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


def test_it_is_left_out_where_a_second_opinion_reads_the_features_beside_it() -> None:
    both = [FeaturePosterior(), FusedPosterior()]
    names = [
        [e.name for e in fit_estimators(both, *rows)[0]]
        for rows in ((REFERENCE, CALIBRATION), (made_problem(500, 1), made_problem(400, 2)))
    ]
    assert names == [["feature_posterior"], ["fused_posterior"]]


def test_another_class_is_named_in_a_reason_only_where_the_features_call_it_likelier() -> None:
    estimator = fitted()
    said, voices = estimator.reasons(TEST), estimator.voices(TEST)
    nearer = said == "nearer_to_another_class"
    agrees = np.array(
        [voice.get("nearer_to_another_class", p) == p for voice, p in zip(voices, TEST.predictions, strict=True)]
    )
    assert nearer.any()
    assert (said == "low_margin").any()
    assert not (nearer & agrees).any()
