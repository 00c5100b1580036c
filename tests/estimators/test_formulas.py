"""Laws and plain formulas of single estimators; what holds for all of them is in test_contract.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty.errors import InputError, NotFittedError, OutputsError
from uncertainty.estimators import create
from uncertainty.estimators.image_quality import REASONS
from uncertainty.images.quality import QUALITY_NAMES, USUAL
from uncertainty.neighbors import normalised
from uncertainty.outputs import ModelOutputs, Task


@pytest.fixture(scope="module")
def problems() -> dict[Task, tuple[ModelOutputs, ModelOutputs]]:
    return {task: (known_good(500, 1, task), made_problem(1200, 2, task)) for task in ("multiclass", "multilabel")}


def logits_only(logits: Any, task: Task = "multiclass") -> ModelOutputs:
    return ModelOutputs(ids=[str(i) for i in range(len(logits))], logits=logits, task=task)


def same_order(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a.argsort(kind="stable") == b.argsort(kind="stable")).all())


def test_doctor_alpha_ranks_as_gini_and_doctor_beta_as_least_confidence() -> None:
    outputs = logits_only(np.random.default_rng(0).normal(size=(500, 6)) * 3)
    p = outputs.probs
    squares = (p**2).sum(axis=1)
    assert same_order((1 - squares) / squares, create("gini").score(outputs))
    best = p.max(axis=1)
    assert same_order((1 - best) / best, create("least_confidence").score(outputs))


@pytest.mark.parametrize("other", ["margin", "entropy", "gini", "logit_gap"])
def test_with_two_classes_all_softmax_scores_rank_alike_even_where_softmax_saturates(other: str) -> None:
    gaps = np.random.default_rng(1).permutation(np.linspace(0.01, 300, 400))
    outputs = logits_only(np.stack([gaps, np.zeros(400)], axis=1))
    scores = create(other).score(outputs)
    assert len(np.unique(scores)) == 400
    assert same_order(scores, create("least_confidence").score(outputs))


def test_softmax_scores_equal_their_plain_formulas() -> None:
    outputs = logits_only(np.random.default_rng(2).normal(size=(300, 5)) * 2)
    p, z = np.sort(outputs.probs, axis=1), np.sort(outputs.logits, axis=1)
    plain = {
        "least_confidence": 1 - p[:, -1],
        "margin": 1 - (p[:, -1] - p[:, -2]),
        "entropy": -(p * np.log(p)).sum(axis=1),
        "gini": 1 - (p**2).sum(axis=1),
        "logit_gap": z[:, -2] - z[:, -1],
        "energy": -np.log(np.exp(z).sum(axis=1)),
    }
    for name, expected in plain.items():
        np.testing.assert_allclose(create(name).score(outputs), expected, atol=1e-12, err_msg=name)


def test_adding_a_constant_to_the_logits_changes_the_energy_alone() -> None:
    outputs = logits_only(np.random.default_rng(3).normal(size=(50, 4)))
    moved = logits_only(outputs.logits + 5)
    for name in ("least_confidence", "margin", "entropy", "gini", "logit_gap"):
        np.testing.assert_allclose(create(name).score(moved), create(name).score(outputs), atol=1e-12)
    np.testing.assert_allclose(create("energy").score(moved), create("energy").score(outputs) - 5)


def test_multilabel_softmax_scores_equal_their_plain_formulas() -> None:
    outputs = logits_only(np.random.default_rng(4).normal(size=(300, 5)) * 2, "multilabel")
    p = outputs.probs
    risk = np.minimum(p, 1 - p)
    plain = {
        "least_confidence": risk.max(axis=1),
        "margin": 1 - np.abs(2 * p - 1).min(axis=1),
        "entropy": -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean(axis=1),
        "gini": (2 * p * (1 - p)).mean(axis=1),
        "logit_gap": -np.abs(outputs.logits).min(axis=1),
        "energy": -np.log1p(np.exp(outputs.logits)).sum(axis=1),
    }
    for name, expected in plain.items():
        np.testing.assert_allclose(create(name).score(outputs), expected, atol=1e-12, err_msg=name)


def test_at_its_decision_threshold_a_label_is_as_unsure_as_can_be() -> None:
    logits = np.log(np.array([[0.2, 0.9], [0.21, 0.9], [0.05, 0.9]]) / np.array([[0.8, 0.1], [0.79, 0.1], [0.95, 0.1]]))
    outputs = ModelOutputs(ids=["a", "b", "c"], logits=logits, task="multilabel", decision_thresholds=[0.2, 0.5])
    np.testing.assert_allclose(create("margin").score(outputs), [1, 0.79 / 0.8, 0.25], atol=1e-9)
    np.testing.assert_allclose(create("logit_gap").score(outputs)[0], 0, atol=1e-12)
    np.testing.assert_allclose(create("least_confidence").score(outputs), [0.8, 0.79, 0.1], atol=1e-9)


def test_one_class_compares_with_nothing() -> None:
    with pytest.raises(OutputsError, match="at least two"):
        create("margin").score(logits_only([[1.0]]))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_mutual_information_lies_between_zero_and_the_predictive_entropy(task: Task, problems: Any) -> None:
    incoming = problems[task][1]
    information = create("mc_mutual_information").score(incoming)
    assert information.min() >= 0
    assert (information <= create("mc_predictive_entropy").score(incoming) + 1e-12).all()


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_sub_networks_that_agree_leave_no_spread(task: Task, problems: Any) -> None:
    incoming = problems[task][1]
    agreed = ModelOutputs(**{**vars(incoming), "mc_probs": incoming.probs[:, None].repeat(7, axis=1)})
    np.testing.assert_allclose(create("mc_mutual_information").score(agreed), 0, atol=1e-12)
    np.testing.assert_allclose(create("mc_variance").score(agreed), 0, atol=1e-12)
    np.testing.assert_allclose(
        create("mc_predictive_entropy").score(agreed), create("entropy").score(incoming), atol=1e-9
    )


def test_variance_is_that_of_the_predicted_class(problems: Any) -> None:
    for task in ("multiclass", "multilabel"):
        incoming = problems[task][1]
        every = incoming.mc_probs.astype(np.float64).var(axis=1)
        own = every.max(axis=1) if task == "multilabel" else every[np.arange(len(incoming)), incoming.predictions]
        np.testing.assert_allclose(create("mc_variance").score(incoming), own, atol=1e-12)


@pytest.mark.parametrize("k", [1, 5, 10_000])
def test_nn_distance_equals_brute_force(k: int, problems: Any) -> None:
    reference, incoming = problems["multiclass"]
    expected = np.sort(pairwise(incoming, reference), axis=1)[:, min(k, len(reference)) - 1]
    np.testing.assert_allclose(create("nn_distance", k=k).fit(reference).score(incoming), expected, atol=1e-9)


@pytest.mark.parametrize("k", [1, 4])
def test_trust_ratio_equals_brute_force(k: int, problems: Any) -> None:
    reference, incoming = problems["multiclass"]
    distances = pairwise(incoming, reference)
    by_class = np.stack([np.sort(distances[:, reference.labels == c], axis=1)[:, k - 1] for c in range(4)], axis=1)
    own = np.take_along_axis(by_class, incoming.predictions[:, None], axis=1)[:, 0]
    np.put_along_axis(by_class, incoming.predictions[:, None], np.inf, axis=1)
    expected = own / (own + by_class.min(axis=1))
    np.testing.assert_allclose(create("trust_ratio", k=k).fit(reference).score(incoming), expected, atol=1e-9)


def corner(predicted: list[int], features: list[list[float]], labels: list[int] | None = None) -> ModelOutputs:
    ids = [str(i) for i in range(len(predicted))]
    return ModelOutputs(ids=ids, logits=np.eye(3)[predicted], features=features, labels=labels)


def test_trust_ratio_has_a_value_in_every_corner() -> None:
    new = corner([0, 1, 2, 0], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    both = create("trust_ratio").fit(corner([0, 1], [[1.0, 0.0], [1.0, 0.0]]))
    assert both.score(new).tolist() == [0.5, 0.5, 1.0, 0.5]
    single = create("trust_ratio").fit(corner([0], [[1.0, 0.0]]))
    assert single.score(new).tolist() == [0.0, 1.0, 1.0, 0.5]


def test_a_known_good_row_is_of_its_label_and_without_labels_of_its_prediction() -> None:
    new = corner([0], [[1.0, 0.1]])
    features = [[1.0, 0.0], [0.0, 1.0]]
    labelled = create("trust_ratio").fit(corner([0, 1], features, labels=[1, 0])).score(new)
    assert labelled[0] > 0.5 > create("trust_ratio").fit(corner([0, 1], features)).score(new)[0]


def test_neighbour_estimators_learn_equal_arrays() -> None:
    reference = known_good(100, 1)
    learnt = [create(name).fit(reference).learnt() for name in ("nn_distance", "trust_ratio")]
    np.testing.assert_array_equal(learnt[0]["vectors_"], learnt[1]["vectors_"])
    np.testing.assert_array_equal(learnt[0]["classes_"], learnt[1]["classes_"])


def test_quality_reasons_cover_the_statistics_in_their_order() -> None:
    assert tuple(REASONS) == USUAL


@pytest.mark.parametrize("column", range(8))
@pytest.mark.parametrize("direction", [-1, 1])
def test_image_quality_names_the_statistic_that_stands_out(column: int, direction: int, problems: Any) -> None:
    reference, _ = problems["multiclass"]
    typical = np.median(reference.quality, axis=0)
    odd = typical.copy()
    odd[column] += direction * 3
    rows = ModelOutputs(ids=["typical", "odd"], logits=np.zeros((2, 4)), quality=np.stack([typical, odd]))
    estimator = create("image_quality").fit(reference)
    usual, unusual = estimator.score(rows)
    assert usual < 0.01 < unusual < 3.54  # one statistic at its cap: 10 / √8
    assert estimator.reasons(rows)[1] == REASONS[QUALITY_NAMES[column]][direction > 0]


def test_a_statistic_that_all_known_good_images_share_counts_in_proportion() -> None:
    quality = np.tile([0.5, 0.3, 0.2, 0.1, 0.0, 7.0, 16.0, 0.0], (20, 1))
    estimator = create("image_quality").fit(
        ModelOutputs(ids=list(map(str, range(20))), logits=np.zeros((20, 2)), quality=quality)
    )
    resized = quality[:3] + np.array([0, 0.01, 1.0])[:, None] * np.eye(8)[6]
    scores = estimator.score(ModelOutputs(ids=["a", "b", "c"], logits=np.zeros((3, 2)), quality=resized))
    assert scores[0] == 0
    assert 0 < scores[1] < 0.1 < 1 < scores[2] < 10


def test_each_side_of_the_known_good_median_has_its_own_scale() -> None:
    quality = np.zeros((101, 8))
    quality[:, 1] = np.where(np.arange(101) < 50, 1.0, 3.0) * (np.arange(101) - 50) / 50  # -1..0, then 0..3
    outputs = ModelOutputs(ids=list(map(str, range(101))), logits=np.zeros((101, 2)), quality=quality)
    scores = create("image_quality").fit(outputs).score(outputs)
    np.testing.assert_allclose(scores[[0, 5, 20]], scores[[100, 95, 80]])
    np.testing.assert_allclose(scores[5] * np.sqrt(8), 1.6449)


def test_image_quality_refuses_what_it_can_not_read() -> None:
    good = made_problem(10, 1)
    with pytest.raises(InputError, match="at least one known-good row"):
        create("image_quality").fit(good.take([]))
    with pytest.raises(NotFittedError, match="image_quality is not fitted"):
        create("image_quality").reasons(good)
    with pytest.raises(OutputsError, match="3 columns; image_quality reads brightness"):
        create("image_quality").fit(ModelOutputs(**{**vars(good), "quality": good.quality[:, :3]}))


def pairwise(a: ModelOutputs, b: ModelOutputs) -> np.ndarray:
    x, y = normalised(a.features).astype(np.float64), normalised(b.features).astype(np.float64)
    return np.sqrt(((x[:, None] - y) ** 2).sum(axis=2))
