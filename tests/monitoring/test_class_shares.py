"""Only the shares of the classes change: accuracy follows them, and damage is not taken for it."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem
from scipy.stats import norm

from uncertainty import ModelOutputs, Screener
from uncertainty.combination.evidence import signals
from uncertainty.monitoring.accuracy import ADAPTED, P_WRONG, from_p_wrong
from uncertainty.monitoring.baseline import Baseline, rows_of_signals
from uncertainty.monitoring.batch import VOID, Calibrated, monitor
from uncertainty.monitoring.class_shares import class_shift

NOISE = np.array([0.45, 0.55, 0.65, 0.8, 1.0])
EVEN = (0.2,) * 5
SHIFTS = {
    "as calibration": EVEN,
    "easiest first": (0.4, 0.3, 0.2, 0.05, 0.05),
    "hardest last": (0.05, 0.05, 0.1, 0.3, 0.5),
    "hardest alone": (0, 0, 0, 0, 1),
    "easiest alone": (1, 0, 0, 0, 0),
}


def five_classes(n, shares, seed):
    """Classes of different difficulty: their features are more or less noisy, the logits linear."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(5, n, p=shares)
    features = 2 * np.eye(5, 16)[labels] + NOISE[labels, None] * rng.normal(size=(n, 16))
    ids = [f"{seed}-{i}" for i in range(n)]
    return ModelOutputs(ids=ids, logits=2 * features[:, :5], features=features.astype(np.float32), labels=labels)


def fitted_on_five(seed):
    return Screener.fit_outputs(five_classes(600, EVEN, 1000 + seed), five_classes(800, EVEN, 2000 + seed))


def rows_of(screener, outputs):
    said = signals(screener.estimators, outputs)
    return rows_of_signals(said, screener.combiner.p_wrong(said), outputs.probs, screener.baseline.temperature)


def judged(screener, outputs):
    clean = {"clean": 1.0, "damaged": 0.0, "foreign": 0.0}
    return from_p_wrong(screener.combiner, clean, screener.baseline, rows_of(screener, outputs))


def errors_of_shift(shares, fits, batches):
    """Signed error of the estimate, and whether the interval holds, of batches of 500."""
    found = []
    for fit in range(fits):
        screener = fitted_on_five(fit)
        for k in range(batches):
            outputs = five_classes(500, shares, 3000 + 100 * fit + k)
            estimate, truth = judged(screener, outputs).estimates[ADAPTED], 1 - outputs.wrong.mean()
            found.append((estimate.value - truth, estimate.low <= truth <= estimate.high))
    return np.array(found)


@pytest.mark.parametrize("name", ["as calibration", "hardest last", "easiest alone"])
def test_other_shares_of_the_classes_are_counted(name):
    """Without that the estimate is off by 3 to 10 points."""
    found = errors_of_shift(SHIFTS[name], fits=1, batches=4)
    assert abs(found[:, 0].mean()) < 0.025
    assert found[:, 1].sum() >= 3


@pytest.mark.simulation
@pytest.mark.parametrize("name", SHIFTS)
def test_within_a_point_and_a_half_and_intervals_hold(name):
    found = errors_of_shift(SHIFTS[name], fits=6, batches=4)
    assert abs(found[:, 0].mean()) < 0.015
    assert found[:, 1].mean() >= 0.9


def two_normals(n, share, seed):
    """Exact logits, for equal shares, of N(-2, 0.8) and N(1, 2)."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) >= share).astype(np.int64)
    z = np.where(labels == 0, rng.normal(-2, 0.8, n), rng.normal(1, 2, n))
    logits = np.stack([norm.logpdf(z, -2, 0.8), norm.logpdf(z, 1, 2)], axis=1)
    return ModelOutputs(ids=[f"{seed}-{i}" for i in range(n)], logits=logits, labels=labels)


@pytest.mark.parametrize("share", [0.95, 0.05])
def test_two_classes_of_very_different_spread(share):
    """Off by ten points before, with an interval of two."""
    screener = Screener.fit_outputs(two_normals(500, 0.5, 1), two_normals(1500, 0.5, 2))
    outputs = two_normals(1500, share, 3)
    found = judged(screener, outputs)
    assert found.estimates[ADAPTED].value == pytest.approx(1 - outputs.wrong.mean(), abs=0.02)
    assert found.estimates[ADAPTED].low <= 1 - outputs.wrong.mean() <= found.estimates[ADAPTED].high
    assert found.class_shift.now[0] == pytest.approx(share, abs=0.03)
    assert found.class_shift.now.sum() == pytest.approx(1)


def test_damage_is_not_taken_for_other_shares():
    screener = fitted_on_five(0)
    outputs = five_classes(500, EVEN, 9)
    noise = np.random.default_rng(0).normal(0, 1.5, outputs.features.shape)
    features = outputs.features * 0.6 + noise
    damaged = replace(outputs, features=features.astype(np.float32), logits=2 * features[:, :5])
    assert class_shift(screener.baseline, rows_of(screener, damaged)) is None
    assert class_shift(screener.baseline, rows_of(screener, outputs)) is None


def test_without_labels_of_calibration_nothing_is_said_of_classes():
    screener = fitted_on_five(0)
    rows = rows_of(screener, five_classes(500, SHIFTS["hardest alone"], 5))
    assert class_shift(screener.baseline, rows) is not None
    assert class_shift(replace(screener.baseline, labels=None), rows) is None
    arrays = screener.baseline.to_arrays()
    assert np.array_equal(Baseline.from_arrays(arrays).labels, screener.baseline.labels)
    del arrays["baseline.labels"]
    assert Baseline.from_arrays(arrays).labels is None


@pytest.mark.parametrize(("name", "way"), [("hardest last", "too low"), ("easiest alone", "too high")])
def test_the_alarm_says_which_way(name, way):
    screener = fitted_on_five(0)
    table = screener.screen_outputs(five_classes(500, SHIFTS[name], 5)).table
    by = Calibrated(
        screener.estimators, screener.combiner, screener.baseline, screener.calibrated_on, screener.model.classes
    )
    found = monitor(table.to_batches(), by)
    assert found.alarm
    assert "the shares of the classes changed" in found.words()[0]
    assert f"p_wrong is {way} by" in found.words()[-1]
    assert found.words()[-1].endswith(VOID)
    more = found.accuracy.estimates[P_WRONG].value - found.accuracy.estimates[ADAPTED].value
    assert (more > 0) == (way == "too low")
    assert sum(one["batch"] for one in found.to_json()["class_shares"].values()) == pytest.approx(1, abs=0.01)


def test_several_labels_an_image_have_no_shares():
    screener = Screener.fit_outputs(known_good(300, 1, "multilabel"), made_problem(400, 2, "multilabel"))
    assert screener.baseline.labels is None
    assert class_shift(screener.baseline, rows_of(screener, made_problem(200, 3, "multilabel"))) is None
