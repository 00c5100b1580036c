"""What learns from the errors of calibration: plain formulas, what is chosen, and that nothing leaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.errors import InputError, OutputsError
from uncertainty.estimators import create, discover
from uncertainty.metrics import aurc, auroc
from uncertainty.outputs import ModelOutputs

ONE_LABEL = [cls for cls in discover().values() if "multiclass" in cls.tasks]
LEARNERS = [cls.name for cls in ONE_LABEL if cls.learns_from == "calibration"]


@pytest.fixture(scope="module")
def calibration() -> ModelOutputs:
    return made_problem(800, 2)


@pytest.fixture(scope="module")
def incoming() -> ModelOutputs:
    return made_problem(300, 3)


def logits_only(logits: Any, labels: Any = None) -> ModelOutputs:
    return ModelOutputs(ids=[str(i) for i in range(len(logits))], logits=logits, labels=labels)


def same_order(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a.argsort(kind="stable") == b.argsort(kind="stable")).all())


# Nothing leaks


def with_errors(outputs: ModelOutputs, wrong: np.ndarray) -> ModelOutputs:
    """Give labels that make exactly these rows wrong."""
    labels = np.where(wrong, (outputs.predictions + 1) % outputs.n_classes, outputs.predictions)
    return replace(outputs, labels=labels)


def shuffled(outputs: ModelOutputs, seed: int) -> ModelOutputs:
    return with_errors(outputs, np.random.default_rng(seed).permutation(outputs.wrong))


def noise(wrong: np.ndarray) -> float:
    """Standard error of the AUROC of a score that knows nothing."""
    errors, n = wrong.sum(), len(wrong)
    return float(np.sqrt((n + 1) / (12 * errors * (n - errors))))


@pytest.mark.parametrize(
    "names",
    [pytest.param([name], marks=pytest.mark.simulation) for name in LEARNERS]
    + [LEARNERS, [*LEARNERS, "margin", "nn_distance"]],
    ids=str,
)
def test_shuffled_errors_teach_nothing(names: list[str], calibration: ModelOutputs) -> None:
    inside, outside, moved = [], [], []
    for seed in range(3):
        rows, test = shuffled(calibration, seed), shuffled(made_problem(2000, 5), seed)
        screener = Screener.fit_outputs(
            known_good(100, 1), rows, seed=seed, estimators=[create(name) for name in names]
        )
        p = screener.p_wrong(test)
        inside.append(auroc(rows.wrong, screener.calibration.p_wrong))
        outside.append(auroc(test.wrong, p))
        moved.append(np.abs(p - rows.wrong.mean()).mean())
    # Out of fold it may be a little below a half: where the other folds have more errors, this one has fewer.
    assert np.mean(inside) < 0.5 + 3 * noise(calibration.wrong) / np.sqrt(3)
    assert np.mean(outside) == pytest.approx(0.5, abs=4 * noise(test.wrong) / np.sqrt(3))
    assert np.mean(moved) < 0.04


def test_scores_of_rows_that_were_learnt_from_would_leak(calibration: ModelOutputs) -> None:
    rows = shuffled(calibration, 0)
    assert auroc(rows.wrong, create("delta_knn", k=1).fit(rows).score(rows)) > 0.95


@pytest.mark.parametrize("name", LEARNERS)
def test_a_screener_with_it_is_the_same_saved_and_loaded(
    name: str, calibration: ModelOutputs, incoming: ModelOutputs, tmp_path: Any
) -> None:
    wanted = [create(name), create("margin")]
    screener = Screener.fit_outputs(known_good(100, 1), calibration, estimators=wanted)
    assert [one.name for one in screener.estimators] == [name, "margin"]
    screener.save(tmp_path)
    np.testing.assert_array_equal(Screener.load(tmp_path).p_wrong(incoming), screener.p_wrong(incoming))
    np.testing.assert_array_equal(
        Screener.fit_outputs(known_good(100, 1), calibration, estimators=wanted).p_wrong(incoming),
        screener.p_wrong(incoming),
    )


# MaxLogit-pNorm


@pytest.mark.parametrize("p", [0.5, 1, 5, np.inf])
def test_max_logit_pnorm_equals_its_plain_formula_and_forgets_size_and_offset(
    p: float, calibration: ModelOutputs
) -> None:
    z = np.random.default_rng(2).normal(size=(200, 5))
    centred = z - z.mean(axis=1, keepdims=True)
    norm = np.abs(centred).max(axis=1) if p == np.inf else (np.abs(centred) ** p).sum(axis=1) ** (1 / p)
    estimator = create("max_logit_pnorm", p=p).fit(calibration)
    np.testing.assert_allclose(estimator.score(logits_only(z)), -centred.max(axis=1) / norm, atol=1e-12)
    np.testing.assert_allclose(estimator.score(logits_only(1e15 * z + 3)), estimator.score(logits_only(z)), atol=1e-9)


def broken(n: int, seed: int) -> ModelOutputs:
    """Rows whose errors hide behind the size of their logits, which is noise."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 6))
    z[np.arange(n), rng.integers(0, 6, n)] += 2
    gap = np.diff(np.sort(z, axis=1)[:, -2:], axis=1)[:, 0]
    rows = logits_only(z * np.exp(1.5 * rng.normal(size=(n, 1))), np.zeros(n, dtype=np.int64))
    return with_errors(rows, rng.random(n) < 0.6 * np.exp(-gap))


def test_the_p_with_the_best_ranking_of_calibration_is_taken() -> None:
    rows = broken(1500, 0)
    estimator = create("max_logit_pnorm").fit(rows)
    by_p = {p: aurc(rows.wrong, create("max_logit_pnorm", p=p).fit(rows).score(rows)) for p in range(1, 10)}
    assert estimator.p_ == min(by_p, key=by_p.get)
    assert estimator.note() == ""
    test = broken(3000, 1)
    assert aurc(test.wrong, estimator.score(test)) < 0.9 * aurc(test.wrong, create("least_confidence").score(test))


def test_without_a_better_p_it_is_max_softmax_and_says_so(calibration: ModelOutputs) -> None:
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(2000, 4))
    rows = logits_only(z, np.zeros(2000, dtype=np.int64))
    rows = with_errors(rows, rng.random(2000) < 1 - rows.probs.max(axis=1))
    estimator = create("max_logit_pnorm").fit(rows)
    assert estimator.p_ == 0
    assert "better than max softmax" in estimator.note()
    p = rows.probs.max(axis=1)
    np.testing.assert_allclose(estimator.score(rows), np.log((1 - p) / p), atol=1e-9)


def test_of_two_classes_only_max_softmax_is_left() -> None:
    rng = np.random.default_rng(3)
    rows = logits_only(rng.normal(size=(200, 2)) * 10, rng.integers(0, 2, 200))
    for p in (None, 5):
        estimator = create("max_logit_pnorm", p=p).fit(rows)
        scores = estimator.score(rows)
        assert len(np.unique(scores)) == 200
        assert same_order(scores, create("logit_gap").score(rows))
        assert "better than max softmax" in estimator.note()


def test_max_logit_pnorm_of_equal_logits_is_as_unsure_as_can_be() -> None:
    equal = logits_only([[2.0, 2.0, 2.0], [2.0, 2.0, 3.0]])
    for p, most in ((5.0, 0.0), (0.0, np.log(2))):
        assert create("max_logit_pnorm").restore({"p_": p}).score(equal)[0] == pytest.approx(most)


@pytest.mark.parametrize("p", [0, -1, np.nan])
def test_a_norm_without_a_positive_exponent_is_refused(p: float, calibration: ModelOutputs) -> None:
    with pytest.raises(InputError, match=f"max_logit_pnorm has p = {p}; give a number above 0"):
        create("max_logit_pnorm", p=p).fit(calibration)


# DOCTOR


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_doctor_equals_its_plain_formula(temperature: float, calibration: ModelOutputs, incoming: ModelOutputs) -> None:
    e = np.exp(incoming.logits / temperature)
    g = ((e / e.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    scores = create("doctor", temperature=temperature).fit(calibration).score(incoming)
    np.testing.assert_allclose(scores, (1 - g) / g, rtol=1e-9, atol=1e-14)


def test_multilabel_doctor_is_the_mean_over_labels() -> None:
    rows = made_problem(300, 2, "multilabel")
    p = 1 / (1 + np.exp(-rows.logits / 2))
    g = p**2 + (1 - p) ** 2
    scores = create("doctor", temperature=2).fit(rows).score(rows)
    np.testing.assert_allclose(scores, ((1 - g) / g).mean(axis=1), rtol=1e-9, atol=1e-14)


def test_doctor_at_temperature_one_has_the_order_of_gini(calibration: ModelOutputs, incoming: ModelOutputs) -> None:
    scores = create("doctor", temperature=1).fit(calibration).score(incoming)
    assert same_order(scores, create("gini").score(incoming))


def test_doctor_ranks_calibration_at_least_as_well_as_gini(calibration: ModelOutputs) -> None:
    doctor = create("doctor").fit(calibration)
    assert aurc(calibration.wrong, doctor.score(calibration)) <= aurc(
        calibration.wrong, create("gini").score(calibration)
    )


def test_doctor_tells_apart_rows_whose_softmax_is_exactly_one(calibration: ModelOutputs) -> None:
    gaps = np.linspace(100, 250, 50)
    rows = logits_only(np.stack([gaps, np.zeros(50), np.full(50, -5.0)], axis=1))
    assert (np.diff(create("doctor", temperature=1).fit(calibration).score(rows)) < 0).all()


@pytest.mark.parametrize("temperature", [0, -1.0, np.inf, np.nan])
def test_a_temperature_out_of_range_is_refused(temperature: float, calibration: ModelOutputs) -> None:
    with pytest.raises(InputError, match=f"doctor has temperature {temperature}; give a number above 0"):
        create("doctor", temperature=temperature).fit(calibration)


# Rel-U


def test_rel_u_equals_its_plain_formula(calibration: ModelOutputs, incoming: ModelOutputs) -> None:
    estimator = create("rel_u").fit(calibration)
    share, temperature = estimator.share_, estimator.temperature_
    p, q = (np.exp(o.logits / temperature) for o in (calibration, incoming))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    wrong = calibration.wrong
    of_wrong, of_right = (np.mean([np.outer(row, row) for row in p[rows]], axis=0) for rows in (wrong, ~wrong))
    matrix = np.maximum(share * of_wrong - (1 - share) * of_right, 0) * (1 - np.eye(4))
    matrix = matrix if matrix.any() else 1 - np.eye(4)
    expected = np.array([row @ matrix @ row for row in q]) / np.sqrt((matrix**2).sum())
    np.testing.assert_allclose(estimator.score(incoming), expected, atol=1e-12)


def test_with_one_error_rate_for_all_pairs_rel_u_falls_back_to_gini_and_says_so() -> None:
    rng = np.random.default_rng(0)
    rows = logits_only(3 * rng.normal(size=(1500, 4)), np.zeros(1500, dtype=np.int64))
    rows = with_errors(rows, rng.random(1500) < create("gini").score(rows))
    estimator = create("rel_u").fit(rows)
    fallback = estimator.restore({"share_": 0.0, "matrix_": (1 - np.eye(4)) / np.sqrt(12), "temperature_": 1.0})
    np.testing.assert_allclose(fallback.score(rows) * np.sqrt(12), create("gini").score(rows), atol=1e-12)
    assert "better than Gini" in fallback.note()


def test_rel_u_finds_the_pair_that_is_confused() -> None:
    """Doubt between 0 and 1 means nothing, doubt between 2 and 3 means an error every other time."""
    rows, test = (in_doubt(2000, seed) for seed in (0, 1))
    estimator = create("rel_u").fit(rows)
    assert estimator.matrix_[2, 3] > 5 * estimator.matrix_[0, 1]
    assert estimator.note() == ""
    assert auroc(test.wrong, estimator.score(test)) > auroc(test.wrong, create("gini").score(test)) + 0.1


def in_doubt(n: int, seed: int) -> ModelOutputs:
    rng = np.random.default_rng(seed)
    pair = 2 * rng.integers(0, 2, n)
    z = np.full((n, 4), -3.0)
    z[np.arange(n), pair], z[np.arange(n), pair + 1] = rng.normal(size=n), rng.normal(size=n)
    rows = logits_only(z, np.zeros(n, dtype=np.int64))
    wrong = (pair == 2) & (rng.random(n) < 0.5 * np.exp(-np.abs(z[:, 2] - z[:, 3])))
    return replace(rows, labels=np.where(wrong, rows.predictions ^ 1, rows.predictions))


# Δ-kNN


@pytest.mark.parametrize("k", [1, 25, 10_000])
def test_delta_knn_equals_brute_force(k: int, calibration: ModelOutputs, incoming: ModelOutputs) -> None:
    def unit(outputs: ModelOutputs) -> np.ndarray:
        x = outputs.features.astype(np.float64)
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)

    def mean_log(rows: np.ndarray) -> np.ndarray:
        squares = ((unit(incoming)[:, None] - unit(calibration)[rows]) ** 2).sum(axis=2)
        return 0.5 * np.log(np.sort(squares, axis=1)[:, : min(k, calibration.wrong.sum())] + 1e-6).mean(axis=1)

    expected = mean_log(~calibration.wrong) - mean_log(calibration.wrong)
    scores = create("delta_knn", k=k).fit(calibration).score(incoming)
    np.testing.assert_allclose(scores, expected, atol=1e-9)


def test_delta_knn_has_few_neighbours_where_there_are_few_errors(calibration: ModelOutputs) -> None:
    wrong, right = np.flatnonzero(calibration.wrong)[:12], np.flatnonzero(~calibration.wrong)
    assert create("delta_knn").fit(calibration.take(np.append(wrong, right))).k_ == 12


def test_a_copy_of_a_known_row_is_near_and_not_infinitely(calibration: ModelOutputs) -> None:
    estimator = create("delta_knn", k=1).fit(calibration)
    scores = estimator.score(calibration)
    assert (scores[calibration.wrong] > 4).all()
    assert (scores[~calibration.wrong] < -4).all()


def test_no_neighbours_and_other_features_are_refused(calibration: ModelOutputs, incoming: ModelOutputs) -> None:
    with pytest.raises(InputError, match="k is 0; the number of neighbours must be at least 1"):
        create("delta_knn", k=0).fit(calibration)
    with pytest.raises(OutputsError, match="they must come from the same layer of the same model"):
        create("delta_knn").fit(calibration).score(replace(incoming, features=incoming.features[:, :5]))


# Class confusability


def test_class_confusability_equals_the_confusion_matrix(calibration: ModelOutputs, incoming: ModelOutputs) -> None:
    labels = np.where(np.arange(len(calibration)) % 50 == 0, -1, calibration.labels)
    rows = replace(calibration, labels=labels)
    confusion = np.zeros((4, 4))
    np.add.at(confusion, (labels[labels >= 0], rows.predictions[labels >= 0]), 1)
    rate = (rows.wrong.sum() + 0.5) / (len(rows) + 1)
    right, beside = confusion.trace(), confusion.sum() - confusion.trace()
    usual = (beside + 0.5) / (beside + 3 * right + 1)
    expected = []
    for z in incoming.logits:
        b, a = np.argsort(z)[-2:]
        of_a = rows.predictions == a
        r = (rows.wrong[of_a].sum() + 10 * rate) / (of_a.sum() + 10)
        both = confusion[np.ix_([a, b], [a, b])]
        q = (both.sum() - both.trace() + 10 * usual) / (both.sum() + 10)
        expected.append(np.log(r / (1 - r)) + np.log(q / (1 - q)))
    scores = create("class_confusability").fit(rows).score(incoming)
    np.testing.assert_allclose(scores, expected, atol=1e-9)


def test_classes_and_pairs_that_were_never_seen_have_the_usual_rates() -> None:
    z = 5 * np.eye(9)[np.arange(60) % 3] + np.linspace(0, 1, 9)
    rows = logits_only(z, np.where(np.arange(60) < 12, (np.arange(60) + 1) % 3, np.arange(60) % 3))
    estimator = create("class_confusability").fit(rows)
    new = logits_only([[0, 0, 0, 0, 0, 0, 9, 8, 0], [0, 0, 0, 0, 9, 8, 0, 0, 0]])
    r, q = 12.5 / 61, 12.5 / (12 + 8 * 48 + 1)
    np.testing.assert_allclose(estimator.score(new), np.log(r / (1 - r)) + np.log(q / (1 - q)))


def test_errors_of_no_known_class_are_in_no_pair() -> None:
    z = 5 * np.eye(3)[np.arange(60) % 3]
    rows = logits_only(z, np.where(np.arange(60) < 12, -1, np.arange(60) % 3))
    estimator = create("class_confusability").fit(rows)
    assert estimator.confused_.tolist() == []
    assert np.isfinite(estimator.score(rows)).all()


@pytest.mark.parametrize("name", ["class_confusability", "rel_u"])
def test_one_class_has_no_pairs(name: str) -> None:
    rows = logits_only(np.ones((40, 1)), np.where(np.arange(40) < 20, -1, 0))
    with pytest.raises(OutputsError, match="at least two"):
        create(name).fit(rows).score(rows)
