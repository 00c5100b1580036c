"""Verdicts against labels: hand-worked counts, what can't be said, and rows that must stay out."""

import json

import numpy as np
import pyarrow as pa
import pytest

from uncertainty import metrics
from uncertainty.errors import InputError
from uncertainty.evaluation.screening_quality import METRICS, Match, evaluate, join_labels, match_labels
from uncertainty.metrics.ranking_intervals import INTERVALS

CLASSES = ["cat", "dog"]


def verdicts(n: int, unreadable: int = 0, seed: int = 0) -> pa.Table:
    """A verdict table of n read images, always predicted to be a cat, and some that could not be read."""
    rng = np.random.default_rng(seed)
    p, nothing = rng.random(n), [None] * unreadable
    columns = {
        "file_name": pa.array([f"images/{i}.jpg" for i in range(n + unreadable)], pa.string()),
        "predicted_label": pa.array(["cat"] * n + nothing, pa.string()),
        "confidence": pa.array([*rng.uniform(0.5, 1, n), *nothing], pa.float32()),
        "p_wrong": pa.array([*p, *nothing], pa.float32()),
        "flagged": pa.array([*(p > 0.7), *[True] * unreadable], pa.bool_()),
        "reasons": pa.array([["low_margin"]] * n + [[]] * unreadable, pa.list_(pa.string())),
        "error": pa.array([None] * n + ["cut short"] * unreadable, pa.string()),
        "est_margin": pa.array([*(p + rng.normal(size=n)), *nothing], pa.float32()),
    }
    return pa.table(columns)


def labelled(n: int, unreadable: int = 0, seed: int = 0) -> pa.Table:
    """The same with labels: a dog as often as p_wrong says."""
    table = verdicts(n, unreadable, seed)
    p = np.append(table["p_wrong"].to_numpy()[:n], np.zeros(unreadable))
    dog = np.random.default_rng(seed + 1).random(n + unreadable) < p
    return join_labels(table, dict(zip(table["file_name"].to_pylist(), np.where(dog, "dog", "cat"), strict=True)))


def wrong_of(table: pa.Table) -> np.ndarray:
    return ~np.array(table["correct"].to_pylist(), bool)


def test_labels_meet_rows_by_exact_name() -> None:
    table = verdicts(3, unreadable=1)
    labels = {"images/0.jpg": "cat", "images/2.jpg": "bird", "images/3.jpg": "cat", "2.jpg": "cat"}
    joined = join_labels(table, labels)
    assert joined["label"].to_pylist() == ["cat", None, "bird", "cat"]
    assert joined["correct"].to_pylist() == [True, None, False, None]
    assert match_labels(table, labels) == Match(matched=3, rows_without_label=1, labels_without_row=1)


def test_joining_again_replaces_the_labels() -> None:
    first = join_labels(verdicts(2), {"images/0.jpg": "dog"})
    second = join_labels(first, {"images/1.jpg": "cat"})
    assert second.column_names == first.column_names
    assert second["correct"].to_pylist() == [None, True]


def test_no_name_in_common_shows_one_of_each() -> None:
    with pytest.raises(InputError, match=r"images are named like 'images/0.jpg', labels like '0.jpg'; name them by"):
        join_labels(verdicts(2), {"0.jpg": "cat"})
    with pytest.raises(InputError, match="there are no labels"):
        join_labels(verdicts(2), {})


def test_every_row_is_counted_once() -> None:
    table = verdicts(6, unreadable=2)
    result = evaluate(join_labels(table, {f"images/{i}.jpg": "cat" for i in (0, 1, 2, 6)}), resamples=5)
    assert (result.n, result.n_unlabelled, result.n_unreadable) == (3, 3, 2)


def test_counts_worked_by_hand() -> None:
    """Errors are rows 1, 3 and 4; flagged are rows 3, 4 and 5, so two of three caught and two of three flags right."""
    table = verdicts(6)
    table = table.set_column(4, "flagged", pa.array([False, False, False, True, True, True]))
    table = table.set_column(3, "p_wrong", pa.array([0.1, 0.2, 0.3, 0.8, 0.9, 0.7], pa.float32()))
    labels = ["cat", "dog", "cat", "bird", "bird", "cat"]
    joined = join_labels(table, {f"images/{i}.jpg": label for i, label in enumerate(labels)})
    result = evaluate(joined, classes=CLASSES, resamples=5)
    assert (result.n, result.n_errors, result.accuracy, result.flagged_share) == (6, 3, 0.5, 0.5)
    assert result.unknown_labels == {"bird": 2}
    assert result.errors_caught_by_flags == result.precision_of_flags == result.accuracy_of_unflagged == 2 / 3
    assert result.predicted_error_rate == pytest.approx(0.5)
    assert result.observed_error_rate == 0.5
    assert result.scores["p_wrong"]["auroc"] == pytest.approx(7 / 9)
    assert result.scores["p_wrong"]["errors_caught_at_20_percent"] == pytest.approx(1 / 3)
    assert result.brier == pytest.approx((0.01 + 0.64 + 0.09 + 0.04 + 0.01 + 0.49) / 6, abs=1e-6)


def test_scores_and_intervals_are_those_of_the_metrics() -> None:
    table = labelled(200)
    wrong, p = wrong_of(table), table["p_wrong"].to_numpy().astype(float)
    softmax = 1 - table["confidence"].to_numpy().astype(float)
    result = evaluate(table, seed=3, resamples=40)
    assert set(result.scores) == {"p_wrong", "max_softmax", "est_margin"}
    for name, metric in METRICS.items():
        assert result.scores["p_wrong"][name] == metric(wrong, p)
        assert result.intervals["difference"][name].value == pytest.approx(metric(wrong, p) - metric(wrong, softmax))
        assert result.intervals["p_wrong"][name] == INTERVALS[name](wrong, p, 0.95, None)
    assert result.ece == metrics.ece(wrong, p)


def test_frames_of_a_film_say_less_than_images_apart() -> None:
    table = labelled(200)
    groups = {name: f"film {i % 20}" for i, name in enumerate(table["file_name"].to_pylist())}
    alone, together = evaluate(table, resamples=40), evaluate(table, resamples=40, groups=groups)
    for name in METRICS:
        a, b = alone.intervals["p_wrong"][name], together.intervals["p_wrong"][name]
        assert b.value == a.value
        assert b.high - b.low >= a.high - a.low


def test_few_errors_have_values_and_no_area_under_the_risk() -> None:
    table = verdicts(60)
    names = table["file_name"].to_pylist()
    result = evaluate(join_labels(table, {name: "dog" if i < 4 else "cat" for i, name in enumerate(names)}))
    assert result.n_errors == 4
    assert result.intervals["p_wrong"]["e_aurc"] is None
    assert result.scores["p_wrong"]["e_aurc"] is not None
    assert result.intervals["p_wrong"]["auroc"] is not None


def test_max_softmax_comes_from_its_estimator_when_confidence_is_saturated() -> None:
    table = labelled(50)
    table = table.set_column(2, "confidence", pa.array(np.ones(50), pa.float32()))
    assert evaluate(table, resamples=5).scores["max_softmax"]["auroc"] == 0.5
    table = table.append_column("est_least_confidence", pa.array(1e-12 * wrong_of(table), pa.float32()))
    assert evaluate(table, resamples=5).scores["max_softmax"]["auroc"] == 1


def test_unreadable_and_unlabelled_rows_change_no_metric() -> None:
    read = labelled(80)
    more = pa.concat_tables([read, join_labels(verdicts(5, unreadable=7), {"images/5.jpg": "dog"})])
    expected, result = evaluate(read, resamples=20), evaluate(more, resamples=20)
    assert (result.n, result.n_unlabelled, result.n_unreadable) == (80, 5, 7)
    assert result.scores == expected.scores
    assert result.intervals == expected.intervals


def test_an_unreadable_row_stays_out_even_if_called_wrong() -> None:
    table = labelled(20, unreadable=2)
    position = table.column_names.index("correct")
    called_wrong = table.set_column(position, "correct", pa.array([*table["correct"].to_pylist()[:20], False, False]))
    assert evaluate(called_wrong, resamples=5) == evaluate(table, resamples=5)


@pytest.mark.parametrize("label", ["cat", "dog"])
def test_with_errors_only_or_none_the_rest_is_still_said(label: str) -> None:
    table = verdicts(12)
    result = evaluate(join_labels(table, dict.fromkeys(table["file_name"].to_pylist(), label)), resamples=20)
    assert result.accuracy == (label == "cat")
    assert result.scores["p_wrong"]["auroc"] is None
    assert result.intervals["difference"]["auroc"] is None
    assert result.scores["p_wrong"]["aurc"] == (label == "dog")
    assert (result.errors_caught_by_flags is None) == (label == "cat")
    assert result.ece is not None


@pytest.mark.parametrize("table", [labelled(0, unreadable=3), labelled(0)])
def test_nothing_to_measure_says_nothing(table: pa.Table) -> None:
    result = evaluate(table, classes=CLASSES)
    assert (result.n, result.n_unreadable, result.n_errors) == (0, table.num_rows, 0)
    plain = result.to_json()
    unsaid = ("accuracy", "flagged_share", "accuracy_of_unflagged", "predicted_error_rate", "ece", "brier")
    assert all(plain[name] is None for name in unsaid)
    assert set(plain["scores"]["p_wrong"].values()) == set(plain["intervals"]["p_wrong"].values()) == {None}


def test_no_flags_have_no_precision() -> None:
    table = labelled(20)
    table = table.set_column(4, "flagged", pa.array([False] * 20))
    result = evaluate(table, resamples=5)
    assert (result.precision_of_flags, result.errors_caught_by_flags) == (None, 0)
    assert result.accuracy_of_unflagged == result.accuracy


@pytest.mark.parametrize("n", [0, 1, 40])
def test_json_is_strict_and_complete(n: int) -> None:
    result = evaluate(labelled(n, unreadable=1), resamples=10)
    text = json.dumps(result.to_json(), allow_nan=False)
    assert json.loads(text) == result.to_json()
    assert set(json.loads(text)) == set(vars(result))


def test_the_interval_of_a_difference_in_json() -> None:
    interval = evaluate(labelled(60), resamples=10).to_json()["intervals"]["difference"]["auroc"]
    assert interval["low"] <= interval["value"] <= interval["high"]


def test_large_tables_are_resampled_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncertainty.evaluation.screening_quality._MOST_RESAMPLED_ROWS", 6000)
    assert evaluate(labelled(20), resamples=500).resamples == 300
    assert evaluate(labelled(200), resamples=500).resamples == 100
    assert evaluate(labelled(200), resamples=7).resamples == 7


def test_a_table_where_every_image_was_read_may_have_an_untyped_error_column() -> None:
    table = labelled(10)
    table = table.set_column(6, "error", pa.nulls(10))
    assert evaluate(table, resamples=5).n == 10


def test_in_a_cascade_estimators_of_a_deeper_look_are_not_judged() -> None:
    some = labelled(3).set_column(7, "est_margin", pa.array([0.1, None, 0.3], pa.float32()))
    efforts = pa.array(["balanced", "fast", "balanced"])
    assert "est_margin" not in evaluate(some.append_column("effort", efforts), resamples=5).scores
    every = labelled(3).append_column("effort", efforts)
    assert "est_margin" in evaluate(every, resamples=5).scores


def test_missing_columns_and_values_are_named() -> None:
    with pytest.raises(InputError, match="no column 'correct'; join the labels first"):
        evaluate(verdicts(3))
    with pytest.raises(InputError, match="no column 'error'; it is no verdict table"):
        evaluate(pa.table({"file_name": ["a"]}))
    holes = labelled(3).set_column(7, "est_margin", pa.array([0.1, None, 0.3], pa.float32()))
    with pytest.raises(InputError, match="'est_margin' is empty in 1 of 3 rows that were read"):
        evaluate(holes)
