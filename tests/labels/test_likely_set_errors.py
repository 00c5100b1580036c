"""Likely errors among several labels an image: planted ones are found, right ones are hardly accused."""

import numpy as np

from uncertainty.labels.likely_set_errors import likely_set_errors


def test_planted_answers_are_accused_and_errors_of_the_classifier_are_not():
    rng = np.random.default_rng(0)
    p_wrong = rng.beta(0.3, 4, (800, 5))
    said = rng.random((800, 5)) < 0.3
    truth = (said ^ (rng.random((800, 5)) < p_wrong)).astype(np.int64)
    planted = rng.random((800, 5)) < 0.02
    given = np.where(planted, 1 - truth, truth)
    given[:20, 4] = -1
    score, accused = likely_set_errors(given, said, p_wrong, alarm=False)
    known = given >= 0
    assert np.isnan(score[:20, 4]).all()
    assert not accused[~known].any()
    assert (accused & planted)[known].sum() > 0.4 * planted[known].sum()
    assert (accused & planted)[known].sum() > 0.7 * accused.sum()
    assert score[planted & known].mean() > 5 * score[~planted & known].mean()
