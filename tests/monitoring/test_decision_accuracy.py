"""Several labels an image: how often intervals of the accuracy of decisions hold, of all and of each class."""

import numpy as np
import pytest

from uncertainty import ModelOutputs, Screener
from uncertainty.monitoring.decision_accuracy import DecisionSums, KnownDecisions, decision_accuracy

CLASSES = ("a", "b", "c")
DRAWS = 200


def outputs(n, seed, tag, unknown=0.0):
    """N images of three labels whose decisions go wrong together: some images are harder in all of them."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 3)) * [3, 3, 5] + [0, -1, 2]
    truth = (latent + rng.logistic(size=(n, 3)) * np.exp(rng.normal(size=(n, 1))) > 0).astype(int)
    truth[rng.random((n, 3)) < unknown] = -1
    ids = [f"{tag}{i}" for i in range(n)]
    return ModelOutputs(ids=ids, logits=latent.astype(np.float32), labels=truth, task="multilabel")


def fitted(rows, seed, unknown=0.0):
    known = outputs(150, [seed, 0], "r")
    good = ModelOutputs(ids=known.ids, logits=known.logits, labels=known.predictions, task="multilabel")
    return Screener.fit_outputs(good, outputs(rows, [seed, 1], "c", unknown), classes=CLASSES)


def held(screener, batch):
    """Whether the interval of all decisions holds the truth of the batch, and that of each class."""
    rows = screener.decisions.rows
    p = screener.p_wrong_decisions(batch).astype(np.float64)
    seen = DecisionSums(CLASSES, len(batch), p.sum(axis=0), (p * (1 - p)).sum(axis=0))
    found = decision_accuracy(KnownDecisions(rows.p_wrong, rows.wrong), seen)
    right = 1 - batch.wrong_decisions.mean(axis=0)
    truths = zip((found.overall, *found.per_class), (right.mean(), *right), strict=True)
    return [one.low <= truth <= one.high for one, truth in truths]


@pytest.mark.simulation
@pytest.mark.parametrize(("rows", "n", "unknown"), [(400, 200, 0.0), (150, 600, 0.0), (400, 200, 0.4)])
def test_intervals_of_decisions_hold_over_draws_of_calibration_and_batch(rows, n, unknown):
    """Nominally 95 %: of 200 draws 0.9 is what three standard errors below it leave."""
    told = np.array([held(fitted(rows, seed, unknown), outputs(n, [seed, 2], "n")) for seed in range(DRAWS)])
    assert (told.mean(axis=0) >= 0.9).all(), told.mean(axis=0)
