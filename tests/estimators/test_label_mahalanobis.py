"""Distance to what the predicted labels make expected: by hand, in any order, with unknown answers."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import ModelOutputs
from uncertainty.estimators import create
from uncertainty.estimators._label_discriminant import LabelDiscriminant
from uncertainty.metrics import auroc

REFERENCE, TEST = known_good(200, 1, "multilabel"), made_problem(1000, 3, "multilabel")


def sums_of_labels(n, seed, noise=0.7):
    """Features are sums of a vector for each label carried, and the classifier does not see the third label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (n, 3))
    steps = np.random.default_rng(0).normal(size=(3, 8))
    features = labels @ steps + noise * rng.normal(size=(n, 8))
    logits = np.where(labels == 1, 3.0, -3.0) * [1, 1, 0] - [0, 0, 1]
    ids = [f"{seed}/{i}" for i in range(n)]
    return ModelOutputs(ids=ids, logits=logits, features=features, labels=labels, task="multilabel")


def test_a_label_that_is_not_said_shows_in_the_features():
    known, new = sums_of_labels(400, 1), sums_of_labels(400, 2)
    assert auroc(new.wrong, create("label_mahalanobis").fit(known.take(~known.wrong), known).score(new)) > 0.85


def test_it_is_half_the_difference_of_two_mahalanobis_distances():
    rng = np.random.default_rng(0)
    steps, root, origin, x = rng.normal(size=(2, 5)), rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=5)
    inverse = root @ root.T
    lines = steps @ inverse
    found = LabelDiscriminant(lines, lines @ origin, steps @ lines.T)(x[None], np.array([[1.0, 0.0]]))[0]

    def distance(*labels):
        away = x - origin - np.array(labels) @ steps
        return away @ inverse @ away

    expected = [(distance(0, 0) - distance(1, 0)) / 2, (distance(1, 0) - distance(1, 1)) / 2]
    np.testing.assert_allclose(found, expected)


def test_the_order_of_known_rows_and_of_answers_that_nobody_knows_is_nothing():
    turned = REFERENCE.take(np.random.default_rng(0).permutation(len(REFERENCE)))
    one, other = (create("label_mahalanobis").fit(rows).score(TEST) for rows in (REFERENCE, turned))
    np.testing.assert_array_equal(one, other)
    labels = REFERENCE.labels.copy()
    labels[:, 1] = -1
    assert np.isfinite(create("label_mahalanobis").fit(replace(REFERENCE, labels=labels)).score(TEST)).all()


def test_without_labels_the_predicted_ones_teach():
    said = create("label_mahalanobis").fit(replace(REFERENCE, labels=REFERENCE.predictions)).score(TEST)
    np.testing.assert_array_equal(create("label_mahalanobis").fit(replace(REFERENCE, labels=None)).score(TEST), said)


@pytest.mark.parametrize("rows", [1, 2])
def test_of_a_row_or_two_it_is_a_number_all_the_same(rows):
    few = create("label_mahalanobis").fit(REFERENCE.take(np.arange(rows)))
    assert np.isfinite(few.score(TEST)).all()
