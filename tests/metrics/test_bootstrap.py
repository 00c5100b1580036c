"""Bootstrap intervals: coverage by simulation, pairing, and what happens without errors."""

import numpy as np
import pytest

from uncertainty import metrics
from uncertainty.errors import InputError
from uncertainty.metrics.bootstrap import bootstrap_difference, bootstrap_interval, resampled
from uncertainty.metrics.intervals import Interval


def problem(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < 0.3
    return wrong, wrong + rng.normal(size=n)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Two unit normals one apart: AUROC is Φ(1/√2) = 0.7602. 200 repeats at 90 %, three standard errors."""
    covered = 0
    for seed in range(200):
        interval = bootstrap_interval(metrics.auroc, *problem(200, seed), resamples=200, level=0.9)
        covered += interval.low <= 0.7602 <= interval.high
    assert covered / 200 > 0.9 - 3 * np.sqrt(0.9 * 0.1 / 200)


def test_the_seed_decides() -> None:
    wrong, score = problem(200, 0)
    first, again, other = (
        bootstrap_interval(metrics.brier, wrong, 1 / (1 + np.exp(-score)), resamples=50, seed=s) for s in (1, 1, 2)
    )
    assert first == again != other
    assert first.value == metrics.brier(wrong, 1 / (1 + np.exp(-score)))
    assert first.low < first.value < first.high


def test_resamples_keep_rows_together_and_come_sorted() -> None:
    wrong, score = problem(50, 0)
    for first, second in resampled(wrong, [score, -2 * score], resamples=20, seed=0):
        assert (np.diff(first[1]) >= 0).all()
        assert (np.diff(second[1]) >= 0).all()
        assert second[1][::-1] == pytest.approx(-2 * first[1])
        assert second[0].sum() == first[0].sum()


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    wrong, score = problem(300, 0)
    other = score + 0.1 * np.random.default_rng(1).normal(size=300)
    paired = bootstrap_difference(metrics.auroc, wrong, score, other, resamples=200)
    alone = bootstrap_interval(metrics.auroc, wrong, score, resamples=200)
    assert paired.value == metrics.auroc(wrong, score) - metrics.auroc(wrong, other)
    assert paired.high - paired.low < (alone.high - alone.low) / 1.5


def test_the_same_order_never_differs() -> None:
    wrong, score = problem(100, 0)
    assert bootstrap_difference(metrics.e_aurc, wrong, score, 3 * score, resamples=50) == Interval(0, 0, 0)


def test_one_error_has_a_value_and_no_interval() -> None:
    interval = bootstrap_interval(metrics.average_precision, [False, False, True], [1, 2, 3], resamples=100)
    assert interval.value == 1
    assert not interval.known


@pytest.mark.parametrize("n", [0, 4])
def test_without_errors_there_is_no_interval(n: int) -> None:
    interval = bootstrap_interval(metrics.auroc, np.zeros(n, bool), np.arange(n), resamples=10)
    assert np.isnan([interval.low, interval.value, interval.high]).all()


def test_lengths_must_agree() -> None:
    with pytest.raises(InputError, match=r"scores have shape \(2,\) and wrong has \(3,\)"):
        list(resampled([True, False, True], [[1.0, 2.0]], resamples=1, seed=0))
