"""Class names in another order than the outputs: refused where nothing else explains it, told where something might."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import CLASSES
from problems import known_good, made_problem

from uncertainty.combination import class_order
from uncertainty.combination.class_order import better_order
from uncertainty.errors import CalibrationError
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import Screener


def answers(classes, images, right, order, seed=0):
    """Rows of a classifier that is right on a share of each class's images, named in an order: position by output."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(classes), images)
    said = np.where(rng.random(len(truth)) < right, truth, rng.integers(0, classes, len(truth)))
    logits = rng.normal(0, 0.1, (len(truth), classes))
    logits[np.arange(len(truth)), said] += 4
    return ModelOutputs(ids=list(map(str, range(len(truth)))), logits=logits, labels=np.asarray(order)[truth])


def swapped(classes):
    return [1, 0, *range(2, classes)]


def turned(classes):
    return [*range(1, classes), 0]


@pytest.mark.parametrize("order", [swapped, turned])
@pytest.mark.parametrize(("classes", "images", "right"), [(2, 50, 0.8), (3, 30, 0.8), (10, 20, 0.9), (100, 8, 0.9)])
def test_another_order_is_found_whatever_the_number_of_classes(classes, images, right, order):
    found = better_order(answers(classes, images, right, order(classes)))
    assert found.sure
    assert list(found.names) == order(classes)
    assert found.best > right - 0.05


@pytest.mark.parametrize(("classes", "images"), [(2, 12), (3, 20), (10, 5), (100, 1), (300, 3)])
@pytest.mark.parametrize("right", [0.2, 0.5, 0.9])
def test_an_order_that_is_right_is_left_alone(classes, images, right):
    for seed in range(3):
        found = better_order(answers(classes, images, right, range(classes), seed))
        assert found is None or not found.sure


def test_a_class_that_is_always_taken_for_another_is_no_other_order():
    rows = answers(3, 30, 1.0, range(3))
    logits = rows.logits.copy()
    logits[:30] = logits[30:60]
    assert better_order(ModelOutputs(ids=rows.ids, logits=logits, labels=rows.labels)) is None


def test_too_few_rows_tell_nothing_and_neither_do_labels_of_no_class():
    assert better_order(answers(2, 9, 1.0, [1, 0])) is None
    rows = answers(2, 30, 1.0, [1, 0])
    assert better_order(ModelOutputs(ids=rows.ids, logits=rows.logits, labels=np.full(60, -1))) is None


def _maybe(rows):
    found = better_order(rows)
    return found is not None and not found.sure


def test_what_might_be_another_order_is_told():
    rows = next(rows for seed in range(9) if _maybe(rows := answers(2, 40, 0.24, [1, 0], seed)))
    told = class_order.notes(rows, ["cat", "dog"])
    assert told[0].startswith("right on ")
    assert "(dog in place of cat, cat in place of dog) it would be " in told[0]
    class_order.refuse_another_order(rows, ["cat", "dog"])


def test_a_fit_is_refused_with_the_order_that_fits_unless_it_is_to_be_kept():
    reference, calibration = known_good(90, 1), made_problem(200, 2)
    calibration = replace(calibration, labels=(calibration.labels + 1) % 4)
    options = dict(classes=["w", "x", "y", "z"], expect_damage=0, expect_unknown=0)
    order = "less than by always saying one class .* in the order x, y, z, w it would be [89]"
    with pytest.raises(CalibrationError, match=order):
        Screener.fit_outputs(reference, calibration, **options)
    assert Screener.fit_outputs(reference, calibration, **options, keep_class_order=True).notes


def test_a_fit_to_images_is_refused_too(world):
    classifier = world.classifier.with_classes(("dog", "eel", "cat"))
    with pytest.raises(CalibrationError, match=rf"with the class names in the order {', '.join(CLASSES)} it would be"):
        Screener.fit(classifier, world.reference, world.calibration, passes=0, expect_damage=0, expect_unknown=0)
