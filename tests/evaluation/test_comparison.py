"""Two runs side by side: what changed by name, exact tests, and intervals that pair the images."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from uncertainty import metrics
from uncertainty.errors import InputError
from uncertainty.evaluation import comparison
from uncertainty.evaluation.comparison import compare
from uncertainty.evaluation.paired import grouped_mcnemar, mcnemar
from uncertainty.evaluation.screening_quality import METRICS, evaluate, join_labels


def run(wrong, p_wrong=None, names=None, flagged=None):
    """A verdict table whose predictions are wrong where told; the label is always a cat."""
    n = len(wrong)
    p = np.linspace(0.1, 0.9, n) if p_wrong is None else p_wrong
    table = pa.table(
        {
            "file_name": [f"{i}.png" for i in range(n)] if names is None else names,
            "predicted_label": np.where(wrong, "dog", "cat").tolist(),
            "confidence": pa.array(1 - p / 2, pa.float32()),
            "p_wrong": pa.array(p, pa.float64()),
            "flagged": (p > 0.5) if flagged is None else flagged,
            "reasons": pa.array([["low_margin"]] * n, pa.list_(pa.string())),
            "error": pa.nulls(n, pa.string()),
        }
    )
    return join_labels(table, dict.fromkeys(table["file_name"].to_pylist(), "cat"))


def two_runs(n=300, seed=0):
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    wrong = [rng.random(n) < hard * rate for rate in (0.5, 0.3)]
    return [run(w, np.clip(hard * 0.5 + 0.2 * rng.random(n), 0, 1)) for w in wrong], wrong


def test_counts_and_names_worked_by_hand():
    a, b = (
        run([1, 1, 0, 0, 1], flagged=[True] * 3 + [False] * 2),
        run([0, 1, 1, 0, 0], flagged=[True, False] * 2 + [True]),
    )
    found = compare(a, b, resamples=20)
    assert (found.n, found.both_right, found.both_wrong, found.n_fixed, found.n_broken) == (5, 1, 1, 2, 1)
    assert found.fixed["file_name"].to_pylist() == ["0.png", "4.png"]
    said = {"confidence": 0.75, "p_wrong": 0.5, "flagged": True, "reasons": ["low_margin"]}
    sides = [
        {f"{key}_{side}": value for key, value in ({"predicted_label": name} | said).items()}
        for side, name in (("a", "cat"), ("b", "dog"))
    ]
    assert found.broken.to_pylist() == [{"file_name": "2.png", "label": "cat"} | sides[0] | sides[1]]
    assert found.p == 1
    assert (found.flags.both, found.flags.only_a, found.flags.only_b, found.flags.neither) == (2, 1, 1, 1)
    assert found.flags.agreement == 0.6
    assert (found.accuracy.a.value, found.accuracy.b.value) == pytest.approx((0.4, 0.6))
    assert found.accuracy.difference.value == pytest.approx(0.2)


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (3, 0), (1, 8), (10, 10), (40, 20)])
def test_mcnemar_is_a_coin_tossed(fixed, broken):
    n, k = fixed + broken, min(fixed, broken)
    expected = 1.0 if fixed == broken else 2 * stats.binom(n, 0.5).cdf(k)
    assert mcnemar(fixed, broken) == pytest.approx(expected)


def test_numbers_are_those_of_each_run_alone():
    (a, b), wrong = two_runs()
    found = compare(a, b, resamples=50)
    alone = [evaluate(table, resamples=5) for table in (a, b)]
    for one, side in zip(alone, "ab", strict=True):
        assert getattr(found.accuracy, side).value == pytest.approx(one.accuracy)
        for name in METRICS:
            assert getattr(found.scores[name], side).value == pytest.approx(one.scores["p_wrong"][name])
        assert getattr(found.scores["brier"], side).value == pytest.approx(one.brier)
        assert getattr(found.scores["ece"], side).value == pytest.approx(one.ece)
    flags = [np.array(table["flagged"]) for table in (a, b)]
    assert found.flags.kappa == pytest.approx(cohen_kappa_score(*flags))
    assert found.scores["auroc"].a.value == pytest.approx(metrics.auroc(wrong[0], np.array(a["p_wrong"])))
    json.dumps(found.to_json(), allow_nan=False)


def test_a_run_against_itself_differs_in_nothing():
    (a, _), _ = two_runs()
    found = compare(a, a, resamples=30)
    assert (found.n_fixed, found.n_broken, found.p, found.flags.agreement, found.flags.kappa) == (0, 0, 1, 1, 1)
    for name, pair in found.scores.items():
        expected = (np.nan, 0, np.nan) if name == "ece" else (0, 0, 0)
        assert (pair.difference.low, pair.difference.value, pair.difference.high) == pytest.approx(
            expected, nan_ok=True
        )
    assert found.accuracy.difference.low < found.accuracy.difference.value == 0 < found.accuracy.difference.high


def test_swapping_the_runs_turns_signs_around():
    (a, b), _ = two_runs()
    one, other = compare(a, b, resamples=30), compare(b, a, resamples=30)
    assert (one.n_fixed, one.n_broken, one.p) == (other.n_broken, other.n_fixed, other.p)
    for name in one.scores:
        x, y = one.scores[name].difference, other.scores[name].difference
        assert (x.low, x.value, x.high) == pytest.approx((-y.high, -y.value, -y.low), nan_ok=True)


def test_the_order_of_rows_and_images_of_one_run_only_change_nothing():
    (a, b), _ = two_runs(60)
    extra = run([1, 1], names=["x.png", "y.png"])
    shuffled = pa.concat_tables([b.take(np.random.default_rng(1).permutation(60)), extra])
    found, plain = compare(a, shuffled, resamples=10), compare(a, b, resamples=10)
    assert (found.only_in_a, found.only_in_b, found.unread_or_unlabelled) == (0, 2, 0)
    assert found.to_json() | {"only_in_b": 0} == plain.to_json()
    part = compare(a.slice(0, 40), b.slice(10), resamples=10)
    assert (part.n, part.only_in_a, part.only_in_b) == (30, 10, 20)


def test_unread_and_unlabelled_images_are_counted():
    a, b = run([0, 1, 0, 1]), run([0, 0, 0, 0])
    b = b.set_column(b.column_names.index("error"), "error", pa.array(["cut short", None, None, None]))
    labels = {f"{i}.png": "cat" for i in (0, 1, 2)}
    found = compare(join_labels(a, labels), join_labels(b, labels), resamples=5)
    assert (found.n, found.unread_or_unlabelled, found.n_fixed) == (2, 2, 1)


@pytest.mark.parametrize("repeats", [25, pytest.param(100, marks=pytest.mark.simulation)])
def test_paired_intervals_hold_what_they_promise(monkeypatch, repeats):
    """95 % intervals of the difference in accuracy miss the true one in about one of twenty data sets."""
    monkeypatch.setattr(comparison, "METRICS", {})
    missed = 0
    for seed in range(repeats):
        (a, b), _ = two_runs(200, seed)
        interval = compare(a, b, resamples=100, seed=seed).accuracy.difference
        missed += not interval.low <= 0.1 <= interval.high  # 0.5 / 2 - 0.3 / 2
    assert missed <= 0.05 * repeats + 3 * np.sqrt(0.05 * 0.95 * repeats)


def test_images_of_one_group_change_together():
    """Ten images of one film fixed by B are one change; of ten films they are ten."""
    a, b = run([1] * 10 + [0] * 30), run([0] * 40)
    film = {f"{i}.png": "film" for i in range(10)}
    assert compare(a, b, resamples=5).p == pytest.approx(2 / 2**10)
    together, apart = compare(a, b, resamples=5, groups=film), compare(a, b, resamples=5)
    assert together.p == 1
    assert together.accuracy.difference.low < 0 < apart.accuracy.difference.low


def test_mcnemar_of_groups_of_one_is_mcnemar():
    rng = np.random.default_rng(0)
    fixed, broken = rng.random(60) < 0.2, rng.random(60) < 0.1
    alone = grouped_mcnemar(fixed & ~broken, broken & ~fixed, np.arange(60))
    assert alone == pytest.approx(mcnemar(int((fixed & ~broken).sum()), int((broken & ~fixed).sum())))


def test_without_errors_what_needs_them_is_none():
    found = compare(run([0, 0, 0]), run([0, 0, 0]), resamples=5)
    assert found.scores["auroc"].a is None
    assert found.scores["auroc"].difference is None
    assert found.accuracy.difference.value == 0
    assert len(found.fixed) == len(found.broken) == 0


def test_no_labelled_image_in_common_is_said_in_nones():
    a, b = run([0, 1]), run([0, 1])
    found = compare(join_labels(a, {"0.png": "cat"}), join_labels(b, {"1.png": "cat"}))
    assert (found.n, found.unread_or_unlabelled, found.p, found.accuracy.a, found.flags.agreement) == (
        0,
        2,
        1,
        None,
        None,
    )


def test_runs_that_cannot_be_compared():
    a = run([0, 1])
    with pytest.raises(InputError, match=r"no image is in both runs, which name \['0.png', '1.png'\] and \['x.png'\]"):
        compare(a, run([0], names=["x.png"]))
    with pytest.raises(InputError, match=r"'0\.png' is labelled 'cat' in run A and 'dog' in run B"):
        compare(a, join_labels(a, {"0.png": "dog"}))
    with pytest.raises(InputError, match="run B names an image more than once"):
        compare(a, pa.concat_tables([a, a]))
    with pytest.raises(InputError, match="no column 'correct'; join the labels first"):
        compare(a.drop_columns(["correct"]), a)
