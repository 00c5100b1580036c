"""Laws and plain formulas of the estimators outside the default set; what holds for all is in test_contract.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from problems import known_good, made_problem
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf

from uncertainty import Screener
from uncertainty.errors import InputError, OutputsError
from uncertainty.estimators import create, discover
from uncertainty.outputs import ModelOutputs, Task

OPTIONAL = tuple(name for name, cls in discover().items() if not cls.default)


@pytest.fixture(scope="module")
def problem() -> tuple[ModelOutputs, ModelOutputs]:
    return known_good(500, 1), made_problem(1200, 2)


def logits_only(logits: Any) -> ModelOutputs:
    return ModelOutputs(ids=[str(i) for i in range(len(logits))], logits=logits)


def with_features(outputs: ModelOutputs, features: Any) -> ModelOutputs:
    return ModelOutputs(**{**vars(outputs), "features": features})


def unit(outputs: ModelOutputs) -> np.ndarray:
    x = outputs.features.astype(np.float64)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


def same_order(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a.argsort(kind="stable") == b.argsort(kind="stable")).all())


def fitted_score(name: str, problem: tuple[ModelOutputs, ModelOutputs], **arguments: Any) -> np.ndarray:
    return create(name, **arguments).fit(problem[0]).score(problem[1])


# The default set


def test_optional_estimators_are_used_when_asked_for_and_not_otherwise() -> None:
    assert "gen" in OPTIONAL
    reference, calibration, incoming = known_good(200, 1), made_problem(400, 2), made_problem(30, 3)
    usual = Screener.fit_outputs(reference, calibration)
    assert {one.name for one in usual.estimators}.isdisjoint(OPTIONAL)
    asked = Screener.fit_outputs(reference, calibration, estimators=[create(name) for name in OPTIONAL])
    assert tuple(one.name for one in asked.estimators) == OPTIONAL
    columns = asked.screen_outputs(incoming).table.column_names
    assert [f"est_{name}" for name in OPTIONAL] == [name for name in columns if name.startswith("est_")]


# One forward pass


@pytest.mark.parametrize(("classes", "largest"), [(2, 100), (6, 100), (6, 3), (150, 100)])
def test_gen_equals_its_plain_formula(classes: int, largest: int) -> None:
    outputs = logits_only(np.random.default_rng(0).normal(size=(200, classes)) * 2)
    p = np.sort(outputs.probs, axis=1)[:, -largest:]
    expected = (p**0.1 * (1 - p) ** 0.1).sum(axis=1)
    np.testing.assert_allclose(create("gen", largest=largest).score(outputs), expected, atol=1e-12)


def test_gen_with_exponent_one_is_gini() -> None:
    outputs = logits_only(np.random.default_rng(1).normal(size=(200, 5)))
    np.testing.assert_allclose(create("gen", gamma=1).score(outputs), create("gini").score(outputs), atol=1e-12)


def test_gen_ranks_rows_whose_softmax_is_exactly_one() -> None:
    gaps = np.linspace(800, 3000, 50)
    scores = create("gen").score(logits_only(np.stack([gaps, np.zeros(50), np.full(50, -5.0)], axis=1)))
    assert (np.diff(scores) < 0).all()
    assert scores.min() > 0


@pytest.mark.parametrize("name", ["gen", "max_logit_pnorm"])
def test_one_class_compares_with_nothing(name: str) -> None:
    with pytest.raises(OutputsError, match="at least two"):
        create(name).restore({"p_": 5.0}).score(logits_only([[1.0]]))


# Dropout


def test_variation_ratio_counts_votes_against_the_modal_class_not_the_predicted() -> None:
    votes = np.eye(3)[[[2, 2, 2, 1], [0, 1, 2, 0], [1, 1, 1, 1]]]
    outputs = ModelOutputs(ids=["a", "b", "c"], logits=[[9.0, 0.0, 0.0]] * 3, mc_probs=votes)
    assert create("mc_variation_ratio").score(outputs).tolist() == [0.25, 0.5, 0.0]


def test_multilabel_variation_ratio_is_the_largest_minority_at_the_decision_thresholds() -> None:
    mc_probs = [[[0.3, 0.9], [0.1, 0.9], [0.3, 0.9], [0.3, 0.9], [0.1, 0.4]]]
    outputs = ModelOutputs(
        ids=["a"], logits=[[0.0, 0.0]], mc_probs=mc_probs, task="multilabel", decision_thresholds=[0.2, 0.5]
    )
    np.testing.assert_allclose(create("mc_variation_ratio").score(outputs), [0.4])


# Features


@pytest.mark.parametrize("k", [1, 7, 10_000])
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_nn_guide_equals_brute_force(k: int, task: Task) -> None:
    reference, incoming = known_good(300, 1, task), made_problem(100, 2, task)
    own, others = (
        logsumexp(o.logits, axis=1) if task == "multiclass" else np.log1p(np.exp(o.logits)).sum(axis=1)
        for o in (incoming, reference)
    )
    products = np.sort(unit(incoming) @ (others[:, None] * unit(reference)).T, axis=1)
    expected = -own * products[:, -k:].mean(axis=1)
    scores = create("nn_guide", k=k).fit(reference).score(incoming)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_nn_guide_does_not_depend_on_its_blocks(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted_score("nn_guide", problem)
    monkeypatch.setattr("uncertainty.estimators.nn_guide._BLOCK_FLOATS", 7 * len(problem[0]))
    np.testing.assert_allclose(fitted_score("nn_guide", problem), whole, rtol=1e-12)


def test_neighbour_agreement_is_the_second_opinion_vote_on_own_features(problem: Any) -> None:
    swapped = [ModelOutputs(**{**vars(outputs), "embedding": outputs.features}) for outputs in problem]
    vote = create("second_opinion_vote").fit(swapped[0]).score(swapped[1])
    np.testing.assert_array_equal(fitted_score("neighbour_agreement", problem), vote)


@pytest.mark.parametrize("name", ["nn_guide", "neighbour_agreement"])
def test_no_neighbours_are_refused(name: str, problem: Any) -> None:
    with pytest.raises(InputError, match="k is 0; the number of neighbours must be at least 1"):
        fitted_score(name, problem, k=0)


def test_relative_mahalanobis_equals_brute_force(problem: Any) -> None:
    reference, incoming = problem
    x, q, y = unit(reference), unit(incoming), reference.labels
    means = np.stack([x[y == c].mean(axis=0) for c in range(4)])
    within = ledoit_wolf(x - means[y], assume_centered=True)[0]
    total = within + np.cov((means[y] - x.mean(axis=0)).T, bias=True)

    def distance(centre: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        return np.einsum("nd,de,ne->n", q - centre, np.linalg.inv(covariance), q - centre)

    expected = np.min([distance(mean, within) for mean in means], axis=0) - distance(x.mean(axis=0), total)
    np.testing.assert_allclose(fitted_score("relative_mahalanobis", problem), expected, atol=1e-4)


def test_what_is_unusual_for_all_classes_alike_cancels() -> None:
    rng = np.random.default_rng(4)
    x = np.concatenate([np.eye(4)[[0, 1]].repeat(100, axis=0)]) + 0.1 * rng.normal(size=(200, 4))
    x[:, 3] = 0  # a direction of which known-good features tell nothing
    known = ModelOutputs(ids=np.arange(200).astype(str), logits=np.eye(2).repeat(100, axis=0), features=x)
    strange = ModelOutputs(
        ids=["a", "b", "c"], logits=np.eye(2)[[0, 0, 0]], features=[[1, 0, 0, 0], [0.6, 0, 0, 0.8], [0.5, 0.5, 0, 0.5]]
    )
    inside, beside, between = create("relative_mahalanobis").fit(known).score(strange)
    assert inside < beside < between


def test_relative_mahalanobis_of_one_class_is_refused(problem: Any) -> None:
    one = problem[0].take(problem[0].labels == 2)
    with pytest.raises(InputError, match="of two classes at least; they are of 1"):
        create("relative_mahalanobis").fit(one)


def test_rows_that_are_all_alike_leave_finite_distances(problem: Any) -> None:
    known = with_features(problem[0], np.ones((len(problem[0]), 16)))
    for name in ("relative_mahalanobis", "vim_residual", "nn_guide", "neighbour_agreement"):
        assert np.isfinite(create(name).fit(known).score(problem[1])).all(), name


@pytest.mark.parametrize("dimensions", [None, 3, 16])
def test_vim_residual_equals_the_singular_vectors(dimensions: int | None, problem: Any) -> None:
    known, new = (outputs.features.astype(np.float64) for outputs in problem)
    mean = known.mean(axis=0)
    principal = np.linalg.svd(known - mean)[2][: 8 if dimensions is None else dimensions]
    rest = (new - mean) - (new - mean) @ principal.T @ principal
    expected = np.linalg.norm(rest, axis=1) / np.linalg.norm(new - mean, axis=1)
    np.testing.assert_allclose(fitted_score("vim_residual", problem, dimensions=dimensions), expected, atol=1e-9)


def test_directions_that_were_never_used_are_residual(problem: Any) -> None:
    reference, incoming = problem
    wider = with_features(reference, np.pad(reference.features, ((0, 0), (0, 40))))
    known = with_features(incoming, np.pad(incoming.features, ((0, 0), (0, 40))))
    new = with_features(incoming, np.pad(incoming.features, ((0, 0), (40, 0))))
    estimator = create("vim_residual").fit(wider)
    np.testing.assert_allclose(estimator.score(known), 0, atol=1e-9)
    assert estimator.score(new).min() > 0.5


@pytest.mark.parametrize("name", ["relative_mahalanobis", "vim_residual", "nn_guide", "neighbour_agreement"])
def test_features_of_another_layer_are_refused(name: str, problem: Any) -> None:
    reference, incoming = problem
    with pytest.raises(OutputsError, match="they must come from the same layer of the same model"):
        create(name).fit(reference).score(with_features(incoming, incoming.features[:, :5]))
