"""Shares of labels in a batch: found where they alone changed, and decisions that follow."""

import numpy as np
import pytest

from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.monitoring.label_shares import KnownLabels, LabelShift, label_shift


def images(n, seed, shares=(0.5, 0.2, 0.1), clearly=2.0):
    """What is known of n images, the chance that each label is carried, and whether it is."""
    rng = np.random.default_rng(seed)
    base = np.array([0.5, 0.2, 0.1])
    truth = rng.random((n, 3)) < shares
    latent = clearly * (2 * truth - 1) + rng.logistic(size=(n, 3))
    # Logistic noise around two places: the posterior of the label under the shares of calibration.
    density = [_density(latent - sign * clearly) for sign in (1, -1)]
    carried = base * density[0] / (base * density[0] + (1 - base) * density[1])
    nothing = np.empty((n, 0), dtype=np.float32)
    p = np.minimum(carried, 1 - carried).max(axis=1).astype(np.float32)
    return Rows(latent.astype(np.float32), nothing, np.full(n, -1), p, 1 - p, -p), carried, truth


def _density(x):
    return np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2


@pytest.fixture(scope="module")
def known():
    rows, carried, truth = images(400, 0)
    return Baseline(rows, np.zeros(400, dtype=bool)), KnownLabels(carried, truth.astype(np.int8))


def test_other_shares_are_found_and_decisions_are_right_as_often_as_is_said(known):
    shares = (0.2, 0.2, 0.4)
    rows, carried, truth = images(500, 1, shares)
    found = label_shift(*known, rows, carried)
    assert found.now == pytest.approx(shares, abs=0.05)
    assert found.before == pytest.approx((0.5, 0.2, 0.1), abs=0.05)
    assert found.moved[[0, 2]] == pytest.approx([-np.log(4), np.log(6)], abs=0.35)
    said = carried > 0.5
    before = np.minimum(carried, 1 - carried)
    wrong, now = said != truth, found.decisions(before, said)
    assert now.mean(axis=0) == pytest.approx(wrong.mean(axis=0), abs=0.03)
    assert np.abs(before.mean(axis=0) - wrong.mean(axis=0)).max() > 0.04
    images_wrong = wrong.any(axis=1).mean()
    p = 1 - np.prod(1 - before, axis=1)
    assert found.images(p, (before, now)).mean() == pytest.approx(images_wrong, abs=0.03)


def test_shares_as_in_calibration_are_left_alone(known):
    found = [label_shift(*known, *images(200, seed)[:2]) for seed in range(2, 22)]
    assert sum(one is not None for one in found) <= 1


def test_what_looks_otherwise_is_no_matter_of_shares(known):
    rows, carried, _ = images(300, 3, clearly=0.5)
    assert label_shift(*known, rows, carried) is None


def test_a_batch_of_one_label_alone_and_answers_that_nobody_knows(known):
    baseline, labels = known
    unknown = np.where(np.random.default_rng(0).random(labels.truth.shape) < 0.3, -1, labels.truth)
    rows, carried, _ = images(200, 4, (1.0, 0.0, 0.0))
    found = label_shift(baseline, KnownLabels(labels.carried, unknown.astype(np.int8)), rows, carried)
    assert found.now[0] > 0.9
    assert found.now[1:].max() < 0.06
    assert np.isfinite(found.moved).all()


def test_few_images_tell_nothing(known):
    rows, carried, _ = images(19, 5, (0.0, 1.0, 1.0))
    assert label_shift(*known, rows, carried) is None


def test_an_image_moves_as_its_only_decision():
    shift = LabelShift(np.array([0.5]), np.array([0.25]), np.array([-1.0]))
    p, said = np.array([[0.1], [0.3]]), np.array([[True], [False]])
    now = shift.decisions(p, said)
    np.testing.assert_allclose(shift.images(p[:, 0], (p, now)), now[:, 0], rtol=1e-9)
