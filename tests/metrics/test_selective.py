"""Laws of the metrics, values worked by hand, and agreement with scikit-learn."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from uncertainty import metrics
from uncertainty.errors import InputError

# No deadline: the machine that runs the tests may be busy.
few = settings(max_examples=40, deadline=None)
Ranked = tuple[NDArray[np.bool_], NDArray[np.float64]]

RANKING: dict[str, Callable[..., float]] = {
    "auroc": metrics.auroc,
    "average_precision": metrics.average_precision,
    "aurc": metrics.aurc,
    "e_aurc": metrics.e_aurc,
    "naurc": metrics.naurc,
    "augrc": metrics.augrc,
    "errors_accepted_at_95_correct": metrics.errors_accepted_at_95_correct,
    "correct_flagged_at_95_errors": metrics.correct_flagged_at_95_errors,
    "errors_caught": lambda wrong, score: metrics.errors_caught(wrong, score, 0.3),
    "accuracy_of_kept": lambda wrong, score: metrics.accuracy_of_kept(wrong, score, 0.3),
    "apfd": metrics.apfd,
}
PROBABILITY = {"ece": metrics.ece, "brier": metrics.brier, "log_loss": metrics.log_loss}


@st.composite
def rankings(draw: st.DrawFn, mixed: bool = True) -> Ranked:
    """Rows with many ties; with `mixed`, at least one error and one correct row."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
    wrong, score = np.array([w for w, _ in rows]), np.array([s / 8 for _, s in rows])
    if mixed:
        wrong[0], wrong[1] = True, False
    return wrong, score


def shuffled_ties(metric: Callable[..., float], wrong: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Mean of a metric over many random orders of the ties, each order made strict."""
    rng = np.random.default_rng(0)
    orders = (np.lexsort((rng.random(len(score)), score)) for _ in range(4000))
    return float(np.mean([metric(wrong[order], np.arange(len(score))) for order in orders]))


@few
@given(rankings())
def test_auroc_and_average_precision_equal_scikit_learn(rows: Ranked) -> None:
    wrong, score = rows
    assert metrics.auroc(wrong, score) == pytest.approx(sklearn_metrics.roc_auc_score(wrong, score), abs=1e-12)
    expected = sklearn_metrics.average_precision_score(wrong, score)
    assert metrics.average_precision(wrong, score) == pytest.approx(expected, abs=1e-12)


@few
@given(rankings())
def test_both_false_positive_rates_equal_the_curves_of_scikit_learn(rows: Ranked) -> None:
    wrong, score = rows
    accepted, correct, _ = sklearn_metrics.roc_curve(~wrong, -score, drop_intermediate=False)
    flagged, caught, _ = sklearn_metrics.roc_curve(wrong, score, drop_intermediate=False)
    enough = 0.95 - 1e-12
    assert metrics.errors_accepted_at_95_correct(wrong, score) == pytest.approx(accepted[correct >= enough].min())
    assert metrics.correct_flagged_at_95_errors(wrong, score) == pytest.approx(flagged[caught >= enough].min())


@pytest.mark.parametrize("errors", [20, 40, 100, 2000])
def test_95_percent_is_counted_in_whole_rows(errors: int) -> None:
    """Nineteen of twenty errors are 95 %: one below the correct rows may be missed, a second may not."""
    for missed, share in ((errors // 20, 0), (errors // 20 + 1, 1)):
        wrong = np.r_[np.ones(missed, bool), np.zeros(10, bool), np.ones(errors - missed, bool)]
        assert metrics.correct_flagged_at_95_errors(wrong, np.arange(len(wrong))) == share
        assert metrics.errors_accepted_at_95_correct(~wrong, -np.arange(len(wrong))) == share


@few
@given(rankings(mixed=False))
def test_augrc_is_a_function_of_auroc_and_accuracy(rows: Ranked) -> None:
    wrong, score = rows
    err = float(wrong.mean())
    pairs = 0.0 if err in (0, 1) else (1 - metrics.auroc(wrong, score)) * err * (1 - err)
    assert metrics.augrc(wrong, score) == pytest.approx(pairs + err**2 / 2, abs=1e-12)


@few
@given(rankings())
def test_a_constant_score_is_a_random_ranking(rows: Ranked) -> None:
    wrong, err = rows[0], float(rows[0].mean())
    constant = np.full(len(wrong), 0.5)
    assert metrics.aurc(wrong, constant) == pytest.approx(err)
    assert metrics.augrc(wrong, constant) == pytest.approx(err / 2)
    assert metrics.auroc(wrong, constant) == pytest.approx(0.5)
    assert metrics.naurc(wrong, constant) == pytest.approx(1)
    assert metrics.apfd(wrong, constant) == pytest.approx(0.5)
    assert metrics.accuracy_of_kept(wrong, constant, 0.4) == pytest.approx(1 - err)


@few
@given(rankings())
def test_the_truth_as_score_is_the_perfect_ranking(rows: Ranked) -> None:
    wrong, err = rows[0], float(rows[0].mean())
    perfect = wrong.astype(float)
    assert metrics.auroc(wrong, perfect) == metrics.average_precision(wrong, perfect) == 1
    assert metrics.aurc(wrong, perfect) == pytest.approx(metrics.optimal_aurc(wrong))
    assert metrics.augrc(wrong, perfect) == pytest.approx(err**2 / 2)
    assert metrics.errors_accepted_at_95_correct(wrong, perfect) == 0
    assert metrics.correct_flagged_at_95_errors(wrong, perfect) == 0
    assert metrics.apfd(wrong, perfect) == pytest.approx(1 - err / 2)


@few
@given(rankings())
def test_no_score_beats_the_optimum(rows: Ranked) -> None:
    assert metrics.e_aurc(*rows) >= -1e-12


@pytest.mark.parametrize("name", [*RANKING, *PROBABILITY])
@few
@given(rows=rankings(), seed=st.integers(0, 99))
def test_the_order_of_rows_never_matters(name: str, rows: Ranked, seed: int) -> None:
    metric = (RANKING | PROBABILITY)[name]
    order = np.random.default_rng(seed).permutation(len(rows[0]))
    assert metric(rows[0][order], rows[1][order]) == pytest.approx(metric(*rows), abs=1e-12)


@pytest.mark.parametrize("name", RANKING)
@few
@given(rows=rankings())
def test_increasing_transforms_change_nothing(name: str, rows: Ranked) -> None:
    wrong, score = rows
    for same_order in (np.exp(3 * score) - 100, score.astype(np.float32), np.where(score == 1, np.inf, score)):
        assert RANKING[name](wrong, same_order) == RANKING[name](wrong, score)


@pytest.mark.parametrize("name", ["aurc", "augrc", "apfd", "auroc", "errors_caught", "accuracy_of_kept"])
def test_ties_count_as_the_mean_over_their_orders(name: str) -> None:
    wrong = np.array([0, 1, 0, 0, 1, 1, 0, 1, 0, 0], dtype=bool)
    score = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    assert RANKING[name](wrong, score) == pytest.approx(shuffled_ties(RANKING[name], wrong, score), abs=0.01)


def test_risk_and_coverage_worked_by_hand_with_a_tie() -> None:
    """Correct first, then one error shared by two tied rows, then an error: errors so far 0, 1/2, 1, 2."""
    coverage, risk = metrics.risk_coverage_curve([True, False, True, False], [9, 1, 5, 5])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk == pytest.approx([0, 1 / 4, 1 / 3, 1 / 2])
    assert metrics.aurc([True, False, True, False], [9, 1, 5, 5]) == pytest.approx(13 / 48)


def test_the_exact_optimum_differs_from_its_limit() -> None:
    """Published values for 5 % error and 100 rows: 1.52 exactly against 1.27 in the limit, times 1000."""
    assert 1000 * metrics.optimal_aurc(np.arange(100) < 5) == pytest.approx(1.52, abs=0.005)
    many = np.arange(200_000) < 10_000
    assert 1000 * metrics.optimal_aurc(many) == pytest.approx(1000 * (0.05 + 0.95 * np.log(0.95)), abs=0.001)


def test_budgets_are_whole_rows_and_never_exceeded() -> None:
    wrong, score = np.ones(100, bool), np.arange(100)
    assert metrics.errors_caught(wrong, score, 0.29) == pytest.approx(0.29)
    assert metrics.errors_caught(wrong[:10], score[:10], 0.19) == pytest.approx(0.1)
    assert metrics.errors_caught(wrong, score, 0) == 0
    assert metrics.errors_caught(wrong, score, 1) == 1
    assert np.isnan(metrics.accuracy_of_kept(wrong, score, 1))


@few
@given(rankings())
def test_what_is_caught_and_what_is_kept_add_up(rows: Ranked) -> None:
    wrong, score = rows
    kept = len(wrong) - int(0.25 * len(wrong))
    left = (1 - metrics.errors_caught(wrong, score, 0.25)) * wrong.sum()
    assert metrics.accuracy_of_kept(wrong, score, 0.25) == pytest.approx(1 - left / kept)


@few
@given(rankings())
def test_brier_and_log_loss_equal_scikit_learn(rows: Ranked) -> None:
    wrong, p = rows[0], rows[1].clip(0.01, 0.99)
    assert metrics.brier(wrong, p) == pytest.approx(sklearn_metrics.brier_score_loss(wrong, p))
    assert metrics.log_loss(wrong, p) == pytest.approx(sklearn_metrics.log_loss(wrong, p))


def test_log_loss_of_a_confident_error_is_finite() -> None:
    assert metrics.log_loss([True], [0.0]) == pytest.approx(12 * np.log(10))


def test_calibration_error_of_one_bin_is_the_gap_of_the_means() -> None:
    assert metrics.ece([True, False, False, False], [0.5, 0.5, 0.5, 0.5], bins=1) == pytest.approx(0.25)
    assert metrics.ece([True, False, False, False], [0.25] * 4, bins=4) == pytest.approx(0)


def test_calibration_error_vanishes_for_true_probabilities_only() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    wrong = rng.random(len(p)) < p
    assert metrics.ece(wrong, p) < 0.005
    assert metrics.ece(wrong, p**2) == pytest.approx(1 / 6, abs=0.005)  # the mean of p - p²


def test_calibration_error_takes_fewer_rows_than_bins() -> None:
    assert metrics.ece([True, False], [0.5, 0.25], bins=15) == pytest.approx(0.375)


NAN_WITHOUT = {
    "errors": {"average_precision", "errors_caught", "apfd"},
    "either": {"auroc", "naurc", "errors_accepted_at_95_correct", "correct_flagged_at_95_errors"},
}


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize("all_wrong", [False, True])
def test_what_does_not_exist_is_nan(name: str, all_wrong: bool) -> None:
    value = RANKING[name](np.full(6, all_wrong), np.arange(6.0))
    undefined = name in NAN_WITHOUT["either"] or (name in NAN_WITHOUT["errors"] and not all_wrong)
    assert np.isnan(value) == undefined


@pytest.mark.parametrize("name", [*RANKING, *PROBABILITY])
def test_no_rows_give_nan(name: str) -> None:
    assert np.isnan((RANKING | PROBABILITY)[name](np.zeros(0, bool), np.zeros(0)))


def test_areas_without_errors_and_with_nothing_else() -> None:
    score = np.arange(5)
    assert metrics.aurc(np.zeros(5, bool), score) == metrics.augrc(np.zeros(5, bool), score) == 0
    assert metrics.aurc(np.ones(5, bool), score) == 1
    assert metrics.augrc(np.ones(5, bool), score) == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.auroc([True, False], [1.0]), r"scores have shape \(1,\) and wrong has \(2,\)"),
        (lambda: metrics.auroc([True, False], [1.0, np.nan]), "1 of 2 scores are NaN"),
        (lambda: metrics.auroc([[True, False]], [[1.0, 2.0]]), r"wrong has shape \(1, 2\)"),
        (lambda: metrics.brier([0.2, 0.7], [0, 1]), "wrong holds float64 values other than 0 and 1"),
        (lambda: metrics.brier([0, 1], [0.2, 1.7]), r"p must lie in \[0, 1\]; its range is \[0.2, 1.7\]"),
        (lambda: metrics.ece([0, 1], [0.2, 0.7], bins=0), "bins is 0"),
        (lambda: metrics.errors_caught([True], [1.0], 10), "budget is 10"),
    ],
)
def test_mistakes_are_named(call: Callable[[], float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
