"""Agreement against sklearn and by hand; likely label errors by law, and against what was planted."""

import numpy as np
import pytest

from uncertainty.errors import InputError
from uncertainty.labels.quality import agreement, class_beliefs, cohen_kappa, krippendorff_alpha, label_wrong
from uncertainty.metrics import auroc


def two_annotators(n, seed, same=0.8):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 3, n)
    return a, np.where(rng.random(n) < same, a, rng.integers(0, 3, n))


@pytest.mark.parametrize("seed", range(4))
def test_kappa_is_that_of_sklearn(seed):
    from sklearn.metrics import cohen_kappa_score

    a, b = two_annotators(60, seed)
    found = cohen_kappa(a.tolist(), b.tolist())
    assert found.value == pytest.approx(cohen_kappa_score(a, b))
    assert found.low < found.value < found.high
    assert found == cohen_kappa(a.tolist(), b.tolist())


def test_the_bootstrap_is_that_of_the_rows():
    from sklearn.metrics import cohen_kappa_score

    a, b = two_annotators(600, 5)
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 600, 600) for _ in range(400)]
    low, high = np.quantile([cohen_kappa_score(a[r], b[r]) for r in rows], [0.025, 0.975])
    found = cohen_kappa(a.tolist(), b.tolist(), resamples=4000)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)


def test_kappa_of_chance_is_none_and_of_one_class_does_not_exist():
    a, b = two_annotators(4000, 1, same=0)
    assert cohen_kappa(a.tolist(), b.tolist(), resamples=10).value == pytest.approx(0, abs=0.04)
    assert np.isnan(cohen_kappa(["cat"] * 5, ["cat"] * 5).value)
    assert np.isnan(cohen_kappa([], []).value)
    with pytest.raises(InputError, match="3 labels and 2 labels"):
        cohen_kappa([1, 2, 3], [1, 2])


def test_equal_answers_of_few_images_leave_doubt():
    """The share that differs may be as high as 1 - 0.025^(1/40) = 8.8 %; by chance half differ: 1 - 0.088 / 0.5."""
    half = ["cat", "dog"] * 20
    found = cohen_kappa(half, half)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 40)))
    assert krippendorff_alpha([[x, x] for x in half]).low == pytest.approx(found.low, abs=0.01)


def test_alpha_of_two_annotators_comes_near_kappa_as_images_grow():
    a, b = two_annotators(3000, 2)
    kappa, alpha = cohen_kappa(a.tolist(), b.tolist()), krippendorff_alpha(list(zip(a, b, strict=True)))
    assert alpha.value == pytest.approx(kappa.value, abs=0.002)
    assert (alpha.low, alpha.high) == pytest.approx((kappa.low, kappa.high), abs=0.01)


def test_alpha_of_krippendorffs_own_example():
    """Nominal data of four observers with gaps, from "Computing Krippendorff's Alpha-Reliability" (2011): 0.743."""
    table = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    units = [[said for said in unit if said != "."] for unit in zip(*(line.split() for line in table), strict=True)]
    assert krippendorff_alpha(units, resamples=5).value == pytest.approx(0.743, abs=0.0005)


def test_agreement_is_of_shared_images_and_of_all_three():
    told = {
        "ann": {"1": "cat", "2": "dog", "3": "cat"},
        "ben": {"1": "cat", "2": "cat", "9": "dog"},
        "cem": {"9": "dog"},
        "dan": {"8": "cat"},
    }
    found = {one.pair: one for one in agreement(told, resamples=20)}
    assert set(found) == {("ann", "ben"), ("ben", "cem"), None}
    assert (found["ann", "ben"].n, found["ann", "ben"].observed) == (2, 0.5)
    assert (found[None].n, found[None].observed) == (3, pytest.approx(2 / 3))
    assert agreement({"ann": {"1": "cat"}, "ben": {"2": "cat"}}) == []


# ---- likely label errors


def made(n, seed, classes=4, sure=2.0):
    """Beliefs that are right as often as they say, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logits = sure * (rng.normal(size=(n, classes)) + sure * np.eye(classes)[truth])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probs, truth


def test_beliefs_are_probabilities_and_say_p_wrong():
    probs, _ = made(50, 0)
    p = np.random.default_rng(1).random(50)
    q = class_beliefs(p, probs.argmax(axis=1), probs)
    np.testing.assert_allclose(q.sum(axis=1), 1)
    np.testing.assert_allclose(q[np.arange(50), probs.argmax(axis=1)], 1 - p)
    certain = class_beliefs([0.3], [1], [[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(certain, [[0.15, 0.7, 0.15]])


def test_planted_errors_are_found_and_their_number_is_about_right():
    probs, truth = made(3000, 2, sure=3)
    rng = np.random.default_rng(3)
    bad = rng.random(3000) < 0.08
    said = np.where(bad, (truth + rng.integers(1, 4, 3000)) % 4, truth)
    p = label_wrong(said, probs)
    assert ((p >= 0) & (p <= 1)).all()
    assert auroc(bad, p) > 0.97
    assert p.sum() == pytest.approx(bad.sum(), rel=0.15)
    assert bad[p >= 0.5].mean() > 0.8


def test_classes_that_are_mixed_up_are_learnt():
    """Errors that turn one class into one other are found better than by what the classifier thinks of each alone."""
    probs, truth = made(4000, 4)
    bad = (truth == 0) & (np.random.default_rng(5).random(4000) < 0.3)
    said = np.where(bad, 1, truth)
    assert auroc(bad, label_wrong(said, probs)) > auroc(bad, 1 - probs[np.arange(4000), said]) + 0.005


def test_clean_labels_are_left_in_peace():
    probs, truth = made(1500, 6, sure=3)
    assert (label_wrong(truth, probs) >= 0.5).mean() < 0.02


def test_order_does_not_matter_and_no_class_is_not_judged():
    probs, truth = made(200, 7)
    order = np.random.default_rng(8).permutation(200)
    np.testing.assert_allclose(label_wrong(truth[order], probs[order]), label_wrong(truth, probs)[order], atol=1e-9)
    some = truth.copy()
    some[5] = -1
    p = label_wrong(some, probs)
    assert np.flatnonzero(np.isnan(p)).tolist() == [5]
    assert label_wrong([], np.zeros((0, 3))).shape == (0,)
    assert label_wrong([0, 0], np.ones((2, 1))).tolist() == [0, 0]


def test_impossible_labels_are_surely_wrong_and_never_nan():
    p = label_wrong([1, 0, 0], [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert p[0] == 1
    assert np.isfinite(p).all()


def test_the_surer_a_label_is_contradicted_the_likelier_it_is_wrong():
    """Also where next to nothing is left for it, as of networks that are too sure of themselves."""
    left = np.array([0.9, 0.5, 1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0.0])
    p = label_wrong(np.zeros(len(left), dtype=int), np.stack([left, 1 - left], axis=1))
    assert (np.diff(p) >= 0).all()
    assert (np.diff(p[:6]) > 0).all()
    assert p[-1] == 1
