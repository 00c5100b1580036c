"""A classifier that sees nothing is refused; one that is weak, or met with few images, is not."""

import numpy as np
import pytest

from uncertainty.combination.chance import refuse_chance
from uncertainty.errors import CalibrationError
from uncertainty.outputs import ModelOutputs


def outputs(said, truth, classes):
    return ModelOutputs(ids=range(len(said)), logits=np.eye(classes)[said], labels=truth)


@pytest.mark.parametrize("classes", [3, 10])
def test_guesses_are_refused_and_what_to_check_is_named(classes):
    said, truth = np.random.default_rng(0).integers(0, classes, (2, 1500))
    with pytest.raises(CalibrationError) as caught:
        refuse_chance(outputs(said, truth, classes))
    assert all(word in str(caught.value) for word in ("size", "mean", "std", "crop_pct", "order of its outputs"))
    refuse_chance(outputs(said[:20], truth[:20], classes))


def test_weak_classifiers_unknown_classes_and_others_names_pass():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 10, 1000)
    weak = np.where(rng.random(1000) < 0.3, truth, rng.integers(0, 10, 1000))
    assert refuse_chance(outputs(weak, truth, 10)) is None
    assert refuse_chance(outputs((truth + 1) % 10, truth, 10)) is None
    assert refuse_chance(outputs(truth, np.full(1000, -1), 10)) is None
    assert refuse_chance(outputs(np.zeros(1000, int), (rng.random(1000) < 0.03).astype(int), 2)) is None


@pytest.mark.parametrize("right", [0.3, 0.7, 0.85])
def test_calibration_of_one_class_says_nothing_of_chance(right):
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(1000) < 0.02, 1, 3)
    said = np.where(rng.random(1000) < right, truth, rng.integers(0, 10, 1000))
    assert refuse_chance(outputs(said, np.full(1000, 3), 10)) is None
    assert refuse_chance(outputs(said, truth, 10)) is None


def test_probabilities_of_several_labels_that_are_taken_for_logits_are_refused():
    squeezed, truth = np.random.default_rng(0).random((50, 4)), np.eye(4, dtype=int)[[0, 1] * 25]
    with pytest.raises(CalibrationError, match=r"outputs of all 50 calibration images .* say output=probabilities"):
        refuse_chance(ModelOutputs(range(50), squeezed, labels=truth, task="multilabel"))
    assert refuse_chance(ModelOutputs(range(50), squeezed - 0.5, labels=truth, task="multilabel")) is None
