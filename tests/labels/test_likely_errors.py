"""Which labels are accused: never on what a misled classifier has left over, and planted errors as before."""

import numpy as np
import pytest

from uncertainty.labels.likely_errors import LIKELY, Seen, likely_errors
from uncertainty.labels.quality import class_beliefs, label_wrong
from uncertainty.metrics import auroc

CLASSES = 6


def sure_of_something(truth, right, rng):
    """Probabilities that are right in a share of the rows; what they leave over is for one random class."""
    n = len(truth)
    predicted = np.where(rng.random(n) < right, truth, (truth + rng.integers(1, CLASSES, n)) % CLASSES)
    probs = np.full((n, CLASSES), 1e-4)
    probs[np.arange(n), (predicted + rng.integers(1, CLASSES, n)) % CLASSES] = 0.1
    probs[np.arange(n), predicted] = 0.9
    return predicted, probs / probs.sum(axis=1, keepdims=True)


def stream(n, seed, damaged):
    """Clean images, 95 % right, and a share of damaged ones, half of them wrong in ways that say nothing."""
    rng = np.random.default_rng(seed)
    truth, bad = rng.integers(0, CLASSES, n), rng.random(n) < damaged
    predicted, probs = sure_of_something(truth, np.where(bad, 0.5, 0.95), rng)
    return truth, Seen(np.where(bad, rng.uniform(0.35, 0.65, n), 0.05), predicted, probs), bad


@pytest.mark.parametrize("alarm", [True, False, None])
@pytest.mark.parametrize("damaged", [0.3, 1.0])
def test_right_labels_of_damaged_images_are_left_in_peace(alarm, damaged):
    truth, seen, bad = stream(1200, 1, damaged)
    before = label_wrong(truth, class_beliefs(seen.p_wrong, seen.predicted, seen.probs))
    accused = likely_errors(truth, seen, alarm)[2]
    assert (before[bad] >= LIKELY).mean() > 0.05
    assert accused[bad].mean() <= 0.01


@pytest.mark.parametrize("alarm", [False, None])
def test_planted_errors_are_found_as_before(alarm):
    truth, seen, _ = stream(2000, 2, 0.0)
    rng = np.random.default_rng(3)
    planted = rng.random(2000) < 0.08
    said = np.where(planted, (truth + rng.integers(1, CLASSES, 2000)) % CLASSES, truth)
    score, suggested, accused = likely_errors(said, seen, alarm)
    before = label_wrong(said, class_beliefs(seen.p_wrong, seen.predicted, seen.probs))
    assert auroc(planted, score) >= auroc(planted, before) - 0.005
    assert (suggested[planted] == truth[planted]).mean() > 0.9
    assert planted[accused].mean() >= planted[before >= LIKELY].mean() - 0.05
    assert accused[planted].mean() >= (before[planted] >= LIKELY).mean() - 0.02


def test_a_suggestion_of_all_evidence_accuses_where_the_classifier_errs():
    """Twenty images that the classifier gets wrong as the labels do: only what knows better names the class."""
    truth, seen, _ = stream(400, 4, 0.0)
    said = truth.copy()
    seen.probs[:20] = 1 / CLASSES
    p, named, share = seen.p_wrong.copy(), np.full(400, -1), np.zeros(400)
    said[:20] = seen.predicted[:20] = (truth[:20] + 1) % CLASSES
    p[:20], named[:20], share[:20] = 0.98, truth[:20], 0.99
    known = Seen(p, seen.predicted, seen.probs, named, share)
    _, suggested, accused = likely_errors(said, known)
    assert accused[:20].mean() >= 0.9
    assert suggested[:20].tolist() == truth[:20].tolist()
    alone = likely_errors(said, Seen(p, seen.predicted, seen.probs))[1]
    assert (alone[:20] == truth[:20]).mean() < 0.5


def test_beliefs_are_probabilities_whatever_is_suggested():
    _, seen, _ = stream(60, 5, 0.5)
    named = np.where(np.arange(60) % 3, (seen.predicted + 1) % CLASSES, -1)
    for share in (0.0, 0.4, 1.0):
        q = Seen(seen.p_wrong, seen.predicted, seen.probs, named, np.full(60, share)).beliefs(0.2, 0.7)
        np.testing.assert_allclose(q.sum(axis=1), 1)
        assert (q >= 0).all()


def test_order_does_not_matter_and_no_class_is_not_judged():
    truth, seen, _ = stream(300, 6, 0.3)
    order = np.random.default_rng(0).permutation(300)
    straight, shuffled = likely_errors(truth, seen), likely_errors(truth[order], seen.take(order))
    np.testing.assert_allclose(shuffled[0], straight[0][order], atol=1e-9)
    assert shuffled[2].tolist() == straight[2][order].tolist()
    truth[7] = -1
    assert np.flatnonzero(np.isnan(likely_errors(truth, seen)[0])).tolist() == [7]
    nothing = likely_errors(truth[:0], seen.take(np.arange(0)))
    assert [len(part) for part in nothing] == [0, 0, 0]
