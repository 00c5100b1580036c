"""Intervals hold as often as they say, at 2 to 100 errors among 40 to 1,000 images, whatever the scores are like."""

import numpy as np
import pytest
from scipy.special import expit

from uncertainty.evaluation.screening_quality import METRICS
from uncertainty.metrics.bootstrap import correlation, resampled
from uncertainty.metrics.intervals import difference, rows_apart, share_interval
from uncertainty.metrics.ranking_intervals import FEWEST_ERRORS, INTERVALS

SIZES = ((40, 2), (200, 2), (40, 5), (200, 5), (40, 10), (200, 10), (40, 20), (100, 30), (1000, 30), (1000, 100))
MANY = 200_000


def apart(by, spread=1.0):
    """Normal scores; those of errors are so much higher, and so many times as spread."""
    return lambda rng, n: rng.normal(by, spread, n), lambda rng, n: rng.normal(0, 1, n)


def partly(rng, n):
    """Three errors in ten look like correct rows."""
    return np.where(rng.random(n) < 0.7, rng.normal(4, 1, n), rng.normal(0, 1, n))


def predicted(errors):
    """p_wrong that is right on average, of errors or of correct rows."""

    def draw(rng, n):
        p = expit(rng.normal(-3.3, 1.9, 60 * n + 1000 if errors else 2 * n + 100))
        return rng.permutation(p[(rng.random(len(p)) < p) == errors])[:n]

    return draw


SHAPES = {
    "one apart": apart(1),
    "two apart": apart(2),
    "three apart": apart(3),
    "chance": apart(0),
    "spread": apart(2, 2),
    "hidden errors": (partly, apart(0)[1]),
    "Hanley and McNeil": (lambda rng, n: rng.exponential(6, n), lambda rng, n: rng.exponential(1, n)),
    "ties": tuple(lambda rng, n, of=of: np.round(of(rng, n)) for of in apart(1.5)),
    "p_wrong": (predicted(True), predicted(False)),
}


def drawn(shape, n, errors, rng, fixed=False):
    """Rows of which so many are errors on average, at least two."""
    k = errors if fixed else 0
    while k < 2:
        k = rng.binomial(n, errors / n)
    of_errors, of_correct = SHAPES[shape]
    return np.arange(n) < k, np.concatenate([of_errors(rng, k), of_correct(rng, n - k)])


def coverage(shape, n, errors, draws, fixed=False):
    """Share of draws in which each metric's interval holds what it is of very many rows, where there is an interval."""
    rng = np.random.default_rng(n + errors)
    wrong, score = drawn(shape, MANY, MANY * errors // n, rng, fixed=True)
    truth = {name: metric(wrong, score) for name, metric in METRICS.items()}
    held = {name: [] for name in METRICS}
    for _ in range(draws):
        rows = drawn(shape, n, errors, rng, fixed)
        for name, of in INTERVALS.items():
            found = of(*rows, 0.95, None)
            if found.known:
                assert found.low < found.high
                held[name].append(found.low - 1e-3 <= truth[name] <= found.high + 1e-3)
    # Where few draws have errors enough, those have more of them than is usual.
    return {name: np.mean(kept) for name, kept in held.items() if len(kept) > draws / 2}


def least(draws, share=0.93):
    return share - 3 * np.sqrt(share * (1 - share) / draws)


@pytest.mark.parametrize("shape", ["two apart", "hidden errors"])
@pytest.mark.parametrize(("n", "errors"), [(40, 2), (200, 10)])
def test_intervals_hold_at_few_errors(shape, n, errors):
    for name, held in coverage(shape, n, errors, draws=150).items():
        assert held >= least(150), name


def test_five_errors_of_two_hundred():
    """A percentile bootstrap holds in 71 of 100."""
    held = coverage("Hanley and McNeil", 200, 5, draws=400, fixed=True)["auroc"]
    assert least(400) <= held <= 0.99


@pytest.mark.simulation
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n", "errors"), SIZES)
def test_intervals_hold_at_any_number_of_errors(shape, n, errors):
    for name, held in coverage(shape, n, errors, draws=1000).items():
        assert held >= least(1000), name


@pytest.mark.parametrize(("n", "errors"), [(40, 5), (100, 30)])
def test_equal_scores_are_seldom_called_different(n, errors):
    """Two scores that share four fifths of their noise and are equally good."""
    rng, draws = np.random.default_rng(0), 80
    missed = dict.fromkeys(METRICS, 0)
    for _ in range(draws):
        wrong, shared = np.arange(n) < errors, rng.normal(size=n)
        scores = [2 * wrong + 0.9 * shared + 0.45 * rng.normal(size=n) for _ in range(2)]
        both = list(resampled(wrong, scores, resamples=50, seed=0))
        for name, metric in METRICS.items():
            together = correlation(np.array([[metric(*one) for one in two] for two in both]))
            found = difference(*(INTERVALS[name](wrong, score, 0.95, None) for score in scores), together)
            missed[name] += found.known and not found.low <= 0 <= found.high
    assert max(missed.values()) <= draws * (1 - least(draws))


def test_all_errors_on_top_leave_doubt():
    wrong, score = np.arange(100) >= 95, np.arange(100.0)
    auroc = INTERVALS["auroc"](wrong, score, 0.95, None)
    assert auroc.low < 0.95
    assert auroc.value == auroc.high == 1
    caught = INTERVALS["errors_caught_at_10_percent"](wrong, score, 0.95, None)
    assert caught.low < 0.6
    assert caught.high == 1


def test_areas_under_the_risk_are_withheld_where_one_error_decides():
    score = np.arange(100.0)
    for name in ("aurc", "e_aurc"):
        few, enough = (INTERVALS[name](np.arange(100) < k, score, 0.95, None) for k in (FEWEST_ERRORS - 1, 10))
        assert not few.known
        assert few.value > 0
        assert enough.known


def test_without_errors_or_correct_rows_there_is_nothing():
    for wrong in (np.zeros(30, bool), np.ones(30, bool)):
        assert not INTERVALS["auroc"](wrong, np.arange(30.0), 0.95, None).known


def test_rows_of_a_group_count_for_less():
    """Ten films of twenty frames each, of which a film is wrong as a whole."""
    rng = np.random.default_rng(0)
    films = np.repeat(np.arange(10), 20)
    wrong = np.repeat(rng.random(10) < 0.3, 20)
    score = rng.normal(size=200) + wrong + np.repeat(rng.normal(size=10), 20)
    assert rows_apart(wrong, films) == pytest.approx(10, abs=1)
    assert rows_apart(np.arange(200) % 20 < 4, films) > rows_apart(wrong, films)
    for name, of in INTERVALS.items():
        alone, together = of(wrong, score, 0.95, None), of(wrong, score, 0.95, films)
        assert together.high - together.low > alone.high - alone.low, name


def test_groups_of_one_are_rows():
    wrong, score = np.arange(60) % 4 == 0, np.random.default_rng(0).normal(size=60)
    for name, of in INTERVALS.items():
        alone, together = of(wrong, score, 0.95, None), of(wrong, score, 0.95, np.arange(60))
        assert (together.low, together.high) == pytest.approx((alone.low, alone.high), rel=0.02), name


@pytest.mark.parametrize(("groups", "size"), [(40, 15), (60, 10), (600, 1)])
def test_shares_and_rankings_hold_with_groups(groups, size):
    """A share and an AUROC of rows that are alike within their group, each held in 93 of 100."""
    rng, draws = np.random.default_rng(groups), 150
    truth = INTERVALS["auroc"](*made_of_groups(rng, 4000, 5)[:2], 0.95, None).value
    held = np.zeros(2)
    for _ in range(draws):
        wrong, score, of = made_of_groups(rng, groups, size)
        share, auroc = share_interval(wrong, of), INTERVALS["auroc"](wrong, score, 0.95, of)
        held += [share.low <= 0.15 <= share.high, auroc.low <= truth <= auroc.high]
    assert (held / draws >= least(draws)).all()


def made_of_groups(rng, groups, size):
    """Rows in groups, of which 15 % are wrong, four in five of them with their whole group."""
    of = np.repeat(np.arange(groups), size)
    whole = np.repeat(rng.random(groups) < 0.15, size)
    wrong = np.where(rng.random(groups * size) < 0.8, whole, rng.random(groups * size) < 0.15)
    return wrong, 1.5 * wrong + np.repeat(rng.normal(size=groups), size) + 0.3 * rng.normal(size=groups * size), of
