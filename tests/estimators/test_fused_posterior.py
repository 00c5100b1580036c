"""One posterior over the classes, learnt from labels: what it is worth, and that no label finds a way in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from problems import known_good, made_problem
from sklearn.metrics import roc_auc_score

from uncertainty import ModelOutputs, Screener
from uncertainty.combination.evidence import Shares, evidence
from uncertainty.errors import InputError
from uncertainty.estimators.fused_posterior import FusedPosterior
from uncertainty.estimators.least_confidence import LeastConfidence

REFERENCE, TEST = made_problem(500, 1), made_problem(3000, 9)


def without(outputs: ModelOutputs, *columns: str) -> ModelOutputs:
    return replace(outputs, **dict.fromkeys(columns))


def fused(calibration: ModelOutputs, reference: ModelOutputs = REFERENCE) -> FusedPosterior:
    return FusedPosterior().fit(calibration, reference)


def area(estimator: FusedPosterior | LeastConfidence) -> float:
    return float(roc_auc_score(TEST.wrong, estimator.score(TEST)))


@pytest.mark.parametrize("rows", [100, 800])
def test_it_beats_max_softmax_from_few_labels_on(rows: int) -> None:
    assert area(fused(made_problem(rows, 2))) > area(LeastConfidence()) + 0.01


def test_labels_teach_where_hardly_any_of_them_is_an_error() -> None:
    calibration = made_problem(400, 2)
    few = np.append(np.flatnonzero(calibration.wrong)[:5], np.flatnonzero(~calibration.wrong))
    assert area(fused(calibration.take(few))) > area(LeastConfidence()) + 0.01


def test_shuffled_labels_teach_nothing_and_leak_nowhere() -> None:
    """Each image gets the label of another one: out of fold, the errors of calibration can't be told."""
    found = []
    for seed in range(4):
        calibration = made_problem(500, 20 + seed)
        other = np.random.default_rng(seed).permutation(len(calibration))
        shuffled = replace(calibration, labels=calibration.labels[other])
        rows = evidence([fused(shuffled)], shuffled, (None, None), Shares(0.0, 0.0))
        right_class = calibration.predictions == calibration.labels  # what softmax knows of itself is no leak
        found.append(roc_auc_score(rows.wrong[right_class], rows.signals.scores[right_class, 0]))
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


def test_without_a_fold_the_labels_of_that_fold_count_nothing() -> None:
    calibration = made_problem(300, 2)
    folds = np.arange(300) % 5
    estimator = fused(calibration)
    # The ridge on the directions is one number for all folds; without directions nothing else is shared.
    estimator.axes_, estimator.feature_axes_ = estimator.axes_[:0], estimator.feature_axes_[:0]
    changed = replace(calibration, labels=np.where(folds == 2, (calibration.labels + 1) % 4, calibration.labels))
    for k, (one, other) in enumerate(
        zip(estimator.fit_without(calibration, folds), estimator.fit_without(changed, folds), strict=True)
    ):
        assert (one.score(TEST) == other.score(TEST)).all() == (k == 2)


def test_the_score_is_the_log_odds_of_its_own_posterior() -> None:
    estimator = fused(made_problem(400, 2))
    logs = estimator.posterior_logs(TEST)
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    own = p[np.arange(len(TEST)), TEST.predictions]
    assert estimator.score(TEST) == pytest.approx(np.log1p(-own) - np.log(own), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("absent", [(), ("features",), ("mc_probs",), ("tta_probs",), ("features", "mc_probs")])
def test_it_reads_what_calibration_has(absent: tuple[str, ...]) -> None:
    estimator = fused(without(made_problem(300, 2), *absent))
    further = {"features", "mc_probs", "tta_probs"} - set(absent)
    assert set(estimator.reads) == {"embedding", "logits"} | further
    plain = without(TEST, *absent)
    np.testing.assert_array_equal(estimator.score(plain), estimator.score(TEST))


def test_labels_of_no_known_class_and_classes_without_a_known_image_are_borne() -> None:
    calibration = made_problem(300, 2)
    some = replace(calibration, labels=np.where(np.arange(300) < 30, -1, calibration.labels))
    three = REFERENCE.take(REFERENCE.labels != 3)
    for estimator in (fused(some), fused(calibration, three), fused(calibration, without(REFERENCE, "labels"))):
        assert np.isfinite(estimator.score(TEST)).all()
        assert area(estimator) > 0.7
    alone = fused(calibration, REFERENCE.take(REFERENCE.labels == 0))
    assert alone.lines_.shape[0] == 0
    assert np.isfinite(alone.score(TEST)).all()


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_next_to_no_labels_leave_softmax(rows: int) -> None:
    estimator = fused(made_problem(50, 2).take(np.arange(rows)))
    assert estimator.weights_[0] > 0.6
    assert roc_auc_score(LeastConfidence().score(TEST) > 0.1, estimator.score(TEST)) > 0.9


def test_many_classes_are_fused_without_directions() -> None:
    rng = np.random.default_rng(0)
    classes, n = 400, 900
    centres = rng.normal(size=(classes, 24))

    def made(seed: int, n: int) -> ModelOutputs:
        rng = np.random.default_rng(seed)
        labels = np.arange(n) % classes
        x = centres[labels] + rng.normal(size=(n, 24))
        noisy = x + rng.normal(size=x.shape)
        logits = noisy @ centres.T - (centres**2).sum(axis=1) / 2
        ids = [f"{seed}-{i}" for i in range(n)]
        return ModelOutputs(ids=ids, logits=logits, features=noisy, embedding=x, labels=labels)

    estimator, test = fused(made(1, n), made(2, 2000)), made(3, n)
    assert estimator.directions_.shape == (classes, 0)
    assert estimator.lines_.shape[1:] == (classes, 24)
    assert roc_auc_score(test.wrong, estimator.score(test)) > roc_auc_score(test.wrong, LeastConfidence().score(test))


def test_reasons_name_the_source_that_speaks_for_another_class() -> None:
    estimator = fused(made_problem(400, 2))
    found = set(estimator.reasons(TEST))
    known = {"low_margin", "unstable_under_dropout", "unstable_under_augmentation", "second_opinion_disagrees"}
    assert "second_opinion_disagrees" in found <= known


def test_each_kind_of_source_has_a_voice_and_softmax_that_of_the_prediction() -> None:
    estimator = fused(made_problem(400, 2))
    estimator.weights_ = np.ones(len(estimator.weights_))
    voices = estimator.voices(TEST)
    assert [heard["low_margin"] for heard in voices] == TEST.predictions.tolist()
    second = np.array([heard["second_opinion_disagrees"] for heard in voices])
    assert (second == TEST.labels).mean() > 0.7
    estimator.weights_ = np.eye(len(estimator.weights_))[0]
    assert set(estimator.voices(TEST)[0]) == {"low_margin"}


def aside(outputs: ModelOutputs, far: float = 0.0) -> ModelOutputs:
    """Give the embedding one more direction, in which no known image lies."""
    return replace(outputs, embedding=np.column_stack([outputs.embedding, np.full(len(outputs), far)]))


def test_what_calibration_taught_fades_where_no_image_ever_was() -> None:
    estimator = fused(aside(made_problem(800, 2)), aside(REFERENCE))
    assert estimator.directions_.size
    images = [aside(TEST), aside(TEST, 1000.0)]
    with_them = [estimator.posterior_logs(one) for one in images]
    estimator.bias_, estimator.directions_ = np.zeros(4), estimator.directions_[:, :0]
    near, far = (abs(one - estimator.posterior_logs(of)).max() for one, of in zip(with_them, images, strict=True))
    assert near > 10 * far


def test_it_asks_for_the_reference() -> None:
    with pytest.raises(InputError, match="fused_posterior learns from the reference as well; give it to fit"):
        FusedPosterior().fit(made_problem(100, 2))


def with_second_network(outputs: ModelOutputs, seed: int) -> ModelOutputs:
    """Give the rows an embedding that knows the true class better than the classifier does."""
    rng = np.random.default_rng(seed)
    return replace(outputs, embedding=np.eye(4)[outputs.labels] + 0.3 * rng.normal(size=(len(outputs), 4)))


def test_a_screener_suggests_labels_and_keeps_all_of_it(tmp_path: Path) -> None:
    reference, calibration, test = (
        with_second_network(one, k) for k, one in enumerate((known_good(400, 1), made_problem(600, 2), TEST))
    )
    made = Screener.fit_outputs(reference, calibration, classes=["a", "b", "c", "d"])
    table = made.screen_outputs(test).table
    truth = dict(zip(map(str, test.ids), test.labels.tolist(), strict=True))
    labels = np.array([made.model.classes[truth[name]] for name in table["file_name"].to_pylist()], dtype=object)
    suggested, predicted = (
        np.array(table[name].to_pylist(), dtype=object) for name in ("suggested_label", "predicted_label")
    )
    differs = table["suggested_label"].is_valid().to_numpy(zero_copy_only=False)
    assert 0 < differs.mean() < 0.3
    assert (suggested[differs] != predicted[differs]).all()
    assert (suggested[differs] == labels[differs]).mean() > 2 * (predicted[differs] == labels[differs]).mean()
    sure = np.array(table["suggested_probability"].to_pylist(), dtype=float)
    assert (np.isnan(sure) == ~differs).all()
    assert sure[differs].min() > 1 / 4
    made.save(tmp_path / "screener")
    assert Screener.load(tmp_path / "screener").screen_outputs(test).table.equals(table)
    bare = Screener.fit_outputs(without(reference, "embedding"), without(calibration, "embedding"))
    assert "suggested_label" not in bare.schema().names
