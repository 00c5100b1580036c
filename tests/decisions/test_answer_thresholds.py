"""From which probability on a class is said: by hand, at the edges, and over thousands of draws."""

import numpy as np
import pytest
from scipy.stats import binom

from uncertainty.decisions.answer_thresholds import Wanted, answer_thresholds, class_against_rest
from uncertainty.decisions.guarantees import STARTS, certify, rows_needed
from uncertainty.errors import InputError


def one_class(has, p, wanted):
    """The threshold of a single class; `has` may hold -1."""
    return answer_thresholds(np.asarray(p, dtype=np.float64)[:, None], np.asarray(has)[:, None], wanted)[0]


def drawn(n, rng, far_too_sure=3.0):
    """Answers of four classes that go together, of which the last is rare, and that are far too sure."""
    latent = np.array([-0.5, -1.0, -2.0, -5.0]) + 3 * (0.5 * rng.normal(size=(n, 1)) + 0.85 * rng.normal(size=(n, 4)))
    truth = (rng.random((n, 4)) < 1 / (1 + np.exp(-2 * latent))).astype(np.int64)
    return 1 / (1 + np.exp(-far_too_sure * 2 * latent)), truth


def test_read_off_the_curve():
    has, p = [1, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    found = one_class(has, p, Wanted.of(precision=0.75, confidence=0))
    assert (found.threshold, found.precision.value, found.recall.value, found.certified) == (0.6, 0.75, 1.0, None)
    found = one_class(has, p, Wanted.of(recall=0.6, confidence=0))
    assert (found.threshold, found.precision.value) == (0.8, 1.0)
    found = one_class([0, 1, 0], [0.9, 0.8, 0.7], Wanted.of(precision=0.9, confidence=0))
    assert (found.threshold, found.why) == (None, "no threshold reaches 90 % on these labels")


def test_exactly_the_images_needed_certify_a_precision_and_one_fewer_does_not():
    wanted = Wanted.of(precision=0.9)
    needed = rows_needed(0.1, 1 - 0.05 / STARTS)
    p, has = np.linspace(0.1, 0.9, needed + 20), np.repeat([0, 1], [20, needed])
    found = one_class(has, p, wanted)
    assert found.certified
    assert p[19] < found.threshold <= p[20]
    assert (found.needed, found.precision.low, found.precision.value) == (needed, None, 1.0)
    few = one_class(has[:-1], p[:-1], wanted)
    assert (few.threshold, few.certified) == (None, False)
    assert few.why.startswith(f"90 % precision at 95 % confidence takes {needed} or more images of it, there are ")


def test_a_recall_is_an_order_statistic_of_the_images_that_have_the_class():
    p, has = np.linspace(0.01, 0.99, 80), np.repeat([0, 1], [20, 60])
    found = one_class(has, p, Wanted.of(recall=0.8))
    missed = int((p[has == 1] < found.threshold).sum())
    assert binom.cdf(missed, 60, 0.2) <= 0.05 < binom.cdf(missed + 1, 60, 0.2)


@pytest.mark.parametrize(("has", "why"), [(0, "no image of it"), (1, "every labelled image is of it")])
def test_nothing_is_decided_for_a_class_that_is_never_or_always_there(has, why):
    for wanted in (Wanted.of(precision=0.9), Wanted.of(recall=0.9), Wanted.of(precision=0.9, confidence=0)):
        found = one_class(np.full(200, has), np.linspace(0.1, 0.9, 200), wanted)
        assert found.threshold is None
        assert found.why.startswith(why)


def test_answers_that_nobody_knows_do_not_count():
    rng = np.random.default_rng(0)
    probs, truth = drawn(600, rng)
    unknown = rng.random(truth.shape) < 0.3
    found = answer_thresholds(probs, np.where(unknown, -1, truth), Wanted.of(precision=0.7))
    for k, one in enumerate(found):
        known = ~unknown[:, k]
        assert one.positives + one.negatives == known.sum()
        assert one_class(truth[known, k], probs[known, k], Wanted.of(precision=0.7, confidence=1 - 0.05 / 4)) == (
            one_class(
                np.where(unknown, -1, truth)[:, k], probs[:, k], Wanted.of(precision=0.7, confidence=1 - 0.05 / 4)
            )
        )


def test_classes_share_the_confidence_unless_each_stands_alone():
    rng = np.random.default_rng(1)
    probs, truth = drawn(800, rng)
    together, alone = (answer_thresholds(probs, truth, Wanted.of(recall=0.8, together=one)) for one in (True, False))
    assert together[0].needed == rows_needed(0.2, 1 - 0.05 / 4)
    assert alone[0].needed == rows_needed(0.2, 0.95)
    assert together[0].threshold < alone[0].threshold


def test_of_a_group_one_image_counts():
    rng = np.random.default_rng(2)
    probs, truth = drawn(100, rng)
    again = [np.repeat(one, 5, axis=0) for one in (probs, truth)]
    found = answer_thresholds(*again, Wanted.of(recall=0.8), groups=np.repeat(np.arange(100), 5))
    assert found == answer_thresholds(probs, truth, Wanted.of(recall=0.8))


def test_saturated_and_tied_answers():
    p, has = np.repeat([1.0, 0.0], 100), np.repeat([1, 0], 100)
    found = one_class(has, p, Wanted.of(precision=0.9))
    assert 0 < found.threshold < 1
    assert found.precision.hits == 100
    assert one_class(has, np.full(200, 0.5), Wanted.of(precision=0.9)).threshold is None
    single = answer_thresholds(p.astype(np.float32)[:, None], has[:, None], Wanted.of(precision=0.9))[0]
    assert 0 < single.threshold < 1
    zeros = one_class([1] * 100 + [0], [0.0] * 100 + [0.5], Wanted.of(recall=0.9))
    assert (zeros.threshold, zeros.why) == (None, "90 % recall takes answers of probability 0")


def test_too_many_false_answers_are_told_with_how_many_would_do():
    rng = np.random.default_rng(3)
    has = (rng.random(300) < 0.93).astype(int)
    found = one_class(np.append(has, 0), np.append(rng.uniform(0.5, 1, 300), 0.1), Wanted.of(precision=0.92))
    assert found.threshold is None
    assert "surest answers" in found.why
    assert "would do" in found.why


def test_one_label_an_image_stands_against_the_rest():
    assert class_against_rest(np.array([0, 2, -1, 3]), 3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "say precision or recall"),
        ({"precision": 0.9, "recall": 0.9}, "one of them"),
        ({"precision": 0.0}, "precision is 0.0; it must be a share above 0"),
        ({"recall": 1.0}, "no number of labels can promise a recall of 1"),
        ({"recall": 0.9, "confidence": 1.0}, "confidence is 1; it must be below 1"),
    ],
)
def test_questions_that_mean_nothing_are_refused(asked, why):
    with pytest.raises(InputError, match=why):
        Wanted.of(**asked)


def test_arrays_that_are_none_are_refused():
    p, t = np.full((3, 2), 0.5), np.zeros((3, 2), dtype=int)
    for probs, truth, names, why in (
        (p, t[:, :1], None, "shape"),
        (p + 1, t, None, "finite numbers in 0..1"),
        (p, t + 2, None, "truth holds"),
        (p, t, ["a"], "1 class names for 2 columns"),
    ):
        with pytest.raises(InputError, match=why):
            answer_thresholds(probs, truth, Wanted.of(recall=0.9), names)


def test_several_starts_are_not_misled_by_chances_that_are_far_too_low():
    rng = np.random.default_rng(4)
    chance = rng.beta(0.5, 3, 1500)
    bad = rng.random(1500) < chance
    assert certify(chance**6, bad, 0.1, 0.95).accepted == 0
    assert certify(chance**6, bad, 0.1, 0.95, "several-starts").accepted > 300


@pytest.mark.simulation
@pytest.mark.parametrize("wanted", [Wanted.of(precision=0.8, confidence=0.9), Wanted.of(recall=0.8, confidence=0.9)])
def test_promises_of_all_classes_together_are_broken_in_no_more_draws_than_allowed(wanted):
    rng, draws = np.random.default_rng(5), 2000
    probs, truth = drawn(300_000, rng)
    order = np.argsort(-probs, axis=0)
    sure = -np.take_along_axis(probs, order, axis=0)
    hits = np.cumsum(np.take_along_axis(truth, order, axis=0), axis=0)
    broken = decided = 0
    for _ in range(draws):
        rows = rng.integers(len(probs), size=500)
        told = np.where(rng.random((500, 4)) < 0.1, -1, truth[rows])
        bad = False
        for k, one in enumerate(answer_thresholds(probs[rows], told, wanted)):
            if one.threshold is not None:
                said = int(np.searchsorted(sure[:, k], -one.threshold, side="right"))
                kept = hits[said - 1, k] / (said if wanted.kind == "precision" else hits[-1, k])
                bad, decided = bad or kept < wanted.share, decided + 1
        broken += bad
    assert decided > draws
    assert broken <= binom.ppf(0.999, draws, 0.1)
