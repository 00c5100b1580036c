"""Class by class: the counts of scikit-learn, what is undefined said, and a thousand classes."""

import json
import warnings

import numpy as np
import pytest
from problems import made_problem
from sklearn import metrics

from uncertainty.errors import InputError
from uncertainty.evaluation.confusion import class_report, confused_pairs
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.metrics.curves import class_curve


def random_outcomes(n=400, c=6, seed=0, absent=2):
    """Labels and predictions that agree half the time; the last class is never predicted, the one before never true."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, c, n)
    predicted = np.where(rng.random(n) < 0.5, truth, rng.integers(0, c, n))
    truth[truth == c - absent] = 0
    predicted[predicted == c - 1] = 1
    probs = rng.dirichlet(np.ones(c), n)
    return truth, predicted, Outcomes.from_arrays(truth, predicted, probs=probs, classes=[f"c{k}" for k in range(c)])


@pytest.mark.parametrize("seed", range(5))
def test_counts_and_rates_are_those_of_scikit_learn(seed):
    truth, predicted, outcomes = random_outcomes(seed=seed)
    report = class_report(outcomes)
    matrix = np.zeros((6, 6), dtype=int)
    for i, j, count in report.confusion:
        matrix[i, j] = count
    assert (matrix == metrics.confusion_matrix(truth, predicted, labels=range(6))).all()
    expected = metrics.precision_recall_fscore_support(truth, predicted, labels=range(6), zero_division=np.nan)
    for k, row in enumerate(report.per_class):
        got = [np.nan if value is None else value for value in (row.precision, row.recall, row.f1, row.support)]
        np.testing.assert_allclose(got, [column[k] for column in expected])
        assert row.true_positives + row.false_positives + row.false_negatives + row.true_negatives == 400
        assert row.false_positives == sum(count for _, count in row.labels_of_false_positives)
        assert row.false_negatives == sum(count for _, count in row.predictions_of_false_negatives)
    assert report.per_class[5].precision is None
    assert report.per_class[4].recall is None
    for name, average in report.averages.items():
        p, r, f, _ = metrics.precision_recall_fscore_support(
            truth, predicted, labels=range(6), zero_division=np.nan, average=name
        )
        np.testing.assert_allclose([average.precision, average.recall, average.f1], [p, r, f])


def test_multilabel_is_one_against_the_rest():
    outputs = made_problem(300, 1, "multilabel")
    report = class_report(Outcomes.from_outputs(outputs))
    matrices = metrics.multilabel_confusion_matrix(outputs.labels, outputs.predictions)
    assert report.confusion is None
    for row, ((tn, fp), (fn, tp)) in zip(report.per_class, matrices, strict=True):
        assert (row.true_negatives, row.false_positives, row.false_negatives, row.true_positives) == (tn, fp, fn, tp)
        assert row.roc_auc == pytest.approx(
            metrics.roc_auc_score(outputs.labels[:, row.index], outputs.probs[:, row.index])
        )
    p, r, f, _ = metrics.precision_recall_fscore_support(outputs.labels, outputs.predictions, average="macro")
    macro = report.averages["macro"]
    np.testing.assert_allclose([macro.precision, macro.recall, macro.f1], [p, r, f])


def test_multilabel_pairs_are_missed_and_given_in_one_row():
    truth = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]
    said = [[0, 1, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]]
    found = confused_pairs(Outcomes.from_arrays(truth, said, classes=["cat", "dog", "eel"], task="multilabel"))
    assert [(pair.label, pair.predicted_label, pair.count) for pair in found] == [("cat", "dog", 2)]


@pytest.mark.parametrize("ties", [False, True])
def test_curves_are_those_of_scikit_learn(ties):
    rng = np.random.default_rng(2)
    truth, prob = rng.random(200) < 0.3, rng.random(200)
    prob = np.round(prob + 0.3 * truth, 1 if ties else 9)
    curve = class_curve(truth, prob)
    assert curve.roc_auc == pytest.approx(metrics.roc_auc_score(truth, prob))
    assert curve.average_precision == pytest.approx(metrics.average_precision_score(truth, prob))
    precision, recall, thresholds = metrics.precision_recall_curve(truth, prob)
    for wanted in (0.3, 0.5, 0.7, 0.9, 1.0):
        point = curve.for_recall(wanted)
        assert point.threshold == thresholds[np.flatnonzero(recall[:-1] >= wanted)[-1]]
        reached = np.flatnonzero(precision[:-1] >= wanted)
        point = curve.for_precision(wanted)
        assert (point is None) == (len(reached) == 0)
        if point:
            assert point.threshold == thresholds[reached[0]]
            accepted = prob >= point.threshold
            assert (truth & accepted).sum() / accepted.sum() == pytest.approx(point.precision)
            assert (truth & accepted).sum() / truth.sum() == pytest.approx(point.recall)


def test_thinned_curves_keep_ends_and_area():
    rng = np.random.default_rng(3)
    truth, prob = rng.random(5000) < 0.2, rng.random(5000)
    curve = class_curve(truth, prob + 0.5 * truth)
    thin = curve.thinned(65)
    assert len(thin["threshold"]) <= 65
    assert thin["threshold"][0] is None
    assert thin["precision"][0] is None
    assert (thin["true_positive_rate"][-1], thin["false_positive_rate"][-1]) == (1, 1)
    area = np.trapezoid(thin["true_positive_rate"], thin["false_positive_rate"])
    assert area == pytest.approx(curve.roc_auc, abs=0.005)


def test_what_cannot_be_said_is_none():
    one_class = class_report(Outcomes.from_arrays(["cat"] * 3, probs=[[0.9, 0.1]] * 3, classes=["cat", "dog"]))
    (row,) = one_class.per_class
    assert (row.precision, row.recall, row.roc_auc, row.threshold_for_recall) == (1.0, 1.0, None, None)
    assert one_class.confused_pairs == ()
    empty = class_report(Outcomes.from_arrays([], [], classes=["cat"]))
    assert empty.per_class == ()
    assert empty.averages["macro"].f1 is None
    json.dumps([one_class.to_json(), empty.to_json()], allow_nan=False)


@pytest.mark.parametrize("wanted", [0, 1.1, -1, float("nan")])
def test_a_wanted_share_beyond_all_is_refused(wanted):
    with pytest.raises(InputError, match="wanted recall is"):
        class_report(Outcomes.from_arrays([0], [0]), recall=wanted)


def test_a_thousand_classes_stay_sparse():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 1000, 4000)
    probs = rng.random((4000, 1000)).astype(np.float32)
    probs[np.arange(4000), truth] += 0.9985
    report = class_report(Outcomes.from_arrays(truth, probs=probs / probs.sum(axis=1, keepdims=True)))
    content = report.to_json()
    assert len(content["confusion"]["entries"]) <= 4000
    assert len(content["confused_pairs"]) <= 100
    assert sum(count for *_, count in content["confusion"]["entries"]) == 4000
    assert len(json.dumps(content)) < 2_000_000


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        class_report(random_outcomes(n=7, absent=1)[2])
