"""Images of which some answers are unknown: they are neither right nor left out, and certify nothing."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty.combination.unknown_answers import OpenAnswers, drawn, partly_answered
from uncertainty.decisions.policies import Policy
from uncertainty.images.label_text import of_answers
from uncertainty.metrics import auroc
from uncertainty.recalibration.refit import updated
from uncertainty.screener import Screener

CLASSES = ("a", "b", "c", "d")
REFERENCE, TEST = known_good(300, 1, "multilabel"), made_problem(2000, 77, "multilabel")


def partly(outputs, share, seed=0):
    unknown = np.random.default_rng(seed).random(outputs.labels.shape) < share
    return replace(outputs, labels=np.where(unknown, -1, outputs.labels))


@cache
def fitted(share, seed, **options):
    calibration = partly(made_problem(600, 100 + seed, "multilabel"), share, seed)
    return Screener.fit_outputs(REFERENCE, calibration, classes=CLASSES, **options)


def levels(screener, test=TEST):
    table = screener.screen_outputs(test).table
    each = np.stack([table[f"p_wrong_{name}"].to_numpy() for name in CLASSES], axis=1)
    p = table["p_wrong"].to_numpy()
    return p.mean(), each.mean(), auroc(test.wrong, p), auroc(test.wrong_decisions.ravel(), each.ravel())


def test_p_wrong_is_as_high_with_unknown_answers_as_without():
    """Half of the answers unknown and counted as right made it half as high."""
    means = np.mean([levels(fitted(0.5, seed)) for seed in range(3)], axis=0)
    assert means[0] == pytest.approx(TEST.wrong.mean(), abs=0.015)
    assert means[1] == pytest.approx(TEST.wrong_decisions.mean(), abs=0.005)
    assert means[2] > 0.94
    assert means[3] > 0.91


@pytest.mark.simulation
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.8])
def test_levels_over_many_calibration_sets(share):
    """Off by no more than three standard errors of a mean over calibration sets, on images enough to know the rate."""
    many = made_problem(20_000, 77, "multilabel")
    told = np.array([levels(fitted(share, seed), many)[:2] for seed in range(20)])
    unsure = 3 * told.std(axis=0, ddof=1) / np.sqrt(len(told))
    assert (unsure < (0.02, 0.008)).all()
    assert (abs(told.mean(axis=0) - (many.wrong.mean(), many.wrong_decisions.mean())) < unsure).all()


def test_promises_about_images_rest_on_those_answered_whole():
    screener = fitted(0.25, 0, policy=Policy.of(max_error=0.05, confidence=0.9))
    rows, told = screener.calibration, screener.decisions.rows.wrong
    whole = (told >= 0).all(axis=1)
    assert (rows.exact == whole).all()
    assert 100 < whole.sum() < 300
    assert screener.decision.lines[0].support <= whole.sum()
    assert (rows.wrong[whole] == (told[whole] == 1).any(axis=1)).all()
    assert rows.wrong[(told == 1).any(axis=1)].all()
    assert any(
        f"{(~whole).sum()} of {len(whole)} calibration rows have unknown answers" in note for note in screener.notes
    )


def test_what_was_drawn_is_saved(tmp_path):
    screener = fitted(0.25, 0)
    screener.save(tmp_path / "saved.screener")
    again = Screener.load(tmp_path / "saved.screener")
    assert (again.calibration.partly == screener.calibration.partly).all()
    assert again.screen_outputs(TEST).table.equals(screener.screen_outputs(TEST).table)


def test_with_every_answer_known_nothing_is_drawn():
    screener = fitted(0.0, 0)
    assert screener.calibration.partly is None
    assert not any("unknown answers" in note for note in screener.notes)
    none = np.zeros((3, 2), dtype=np.int8)
    assert not partly_answered(none).any()


def test_the_order_of_rows_does_not_matter():
    calibration = partly(made_problem(200, 5, "multilabel"), 0.3)
    turned = calibration.take(np.arange(200)[::-1])
    one, other = (Screener.fit_outputs(REFERENCE, rows, classes=CLASSES) for rows in (calibration, turned))
    assert one.screen_outputs(TEST).table.equals(other.screen_outputs(TEST).table)


def test_draws_are_as_frequent_as_they_should_be():
    names = [str(k) for k in range(20_000)]
    chance = np.linspace(0, 1, 20_000)
    hits = drawn(chance, names, seed=3)
    assert hits.reshape(20, -1).mean(axis=1) == pytest.approx(chance.reshape(20, -1).mean(axis=1), abs=0.04)
    assert (hits == drawn(chance[::-1], names[::-1], seed=3)[::-1]).all()
    assert (hits != drawn(chance, names, seed=4)).any()


def test_what_all_evidence_says_of_an_image_is_shared_by_its_answers():
    """Of two unknown answers of 0.1 and 0.2, 0.28 together, and an image of 0.14."""
    answers = OpenAnswers(np.array([[-1, -1], [0, -1], [1, -1]], dtype=np.int8), np.array([[0.1, 0.2]] * 3))
    nothing = np.zeros(3)
    assert answers.chances(nothing) == pytest.approx([0.28, 0.2, 1.0])
    power = np.log(0.86) / np.log(0.72)
    assert answers.chances(nothing, np.full(3, 0.14)) == pytest.approx([0.14, 1 - 0.8**power, 1.0])


def test_decisions_that_are_wrong_together_are_wrong_less_often_than_apart():
    """Five of six decisions of each row are known; they are wrong all together or not at all, of one row in five."""
    rng = np.random.default_rng(0)
    wrong = np.repeat(rng.random((4000, 1)) < 0.2, 6, axis=1).astype(np.int8)
    wrong[np.arange(4000), rng.integers(0, 6, 4000)] = -1
    answers = OpenAnswers(wrong, np.full((4000, 6), 0.2))
    chance = answers.chances(np.ones(4000))
    assert 1 - 0.8**6 > 0.7
    assert chance.mean() == pytest.approx(0.2, abs=0.03)
    assert answers.together(np.zeros(4000)) == (0.0, 0.0)


def test_an_update_by_labels_with_unknown_answers_keeps_the_level():
    screener = fitted(0.0, 0)
    batch = made_problem(400, 55, "multilabel")
    asked = partly(batch, 0.3, seed=9).labels
    labels = {name: text(row) for name, row in zip(batch.ids, asked, strict=True) if (row >= 0).any()}
    found = updated(screener, screener.screen_outputs(batch), labels)
    whole = (asked >= 0).all(axis=1)
    assert found.errors == batch.wrong[whole].sum()
    assert found.observed.value == pytest.approx(batch.wrong[whole].mean(), abs=0.005)
    assert found.screener.calibration.partly.sum() == ((asked >= 0).any(axis=1) & ~whole).sum()
    assert levels(found.screener)[0] == pytest.approx(TEST.wrong.mean(), abs=0.02)


def text(row):
    return of_answers(CLASSES, row.tolist())
