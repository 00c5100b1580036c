"""Two runs of several labels side by side: which classes' decisions got better or worse, and what is luck."""

import numpy as np
import pyarrow as pa
import pytest

from uncertainty.evaluation.comparison import compare
from uncertainty.evaluation.screening_quality import join_labels
from uncertainty.evaluation.tables import decision_change_table
from uncertainty.metrics.intervals import exact_share

CLASSES = ("cat", "dog", "eel")


def run(wrong, p_wrong, labels=None, classes=CLASSES):
    """A verdict table of images that all are cats, whose decisions (n, c) are wrong where told."""
    n = len(wrong)
    said = np.asarray(wrong, dtype=bool) ^ (np.arange(len(classes)) == 0)
    names = [f"{i}.png" for i in range(n)]
    table = pa.table(
        {
            "file_name": names,
            "predicted_label": [";".join(np.array(classes)[row]) for row in said],
            "predicted_index": pa.nulls(n, pa.int32()),
            "confidence": pa.array(1 - p_wrong.max(axis=1) / 2, pa.float32()),
            "p_wrong": pa.array(p_wrong.max(axis=1), pa.float32()),
            "flagged": p_wrong.max(axis=1) > 0.5,
            "reasons": pa.array([[]] * n, pa.list_(pa.string())),
            "error": pa.nulls(n, pa.string()),
            **{f"prob_{name}": pa.array(said[:, k] * 0.9, pa.float32()) for k, name in enumerate(classes)},
            **{f"p_wrong_{name}": pa.array(p_wrong[:, k], pa.float32()) for k, name in enumerate(classes)},
        }
    )
    return join_labels(table, dict(zip(names, labels or ["cat"] * n, strict=True)))


def drawn(n=300, seed=0):
    """Run B mends dogs, spoils eels by less than can be told, and knows its errors of cats no longer."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 3, (n, 3))
    a = rng.random((n, 3)) < p
    b = a.copy()
    b[:, 1] &= rng.random(n) < 0.4
    b[np.flatnonzero(~a[:, 2])[:3], 2] = True
    worse = p.copy()
    worse[:, 0] = rng.permutation(p[:, 0])
    return run(a, p), run(b, worse), a, b


def test_each_class_is_tested_and_corrected_for_all_of_them():
    first, second, a, b = drawn()
    found = compare(first, second, resamples=200).decisions
    rows = {row.class_name: row for row in found.per_class}
    assert (found.n, found.fixed, found.broken) == (900, int((a & ~b).sum()), int((b & ~a).sum()))
    assert [found.per_class[0].class_name, rows["dog"].conclusion] == ["dog", "better"]
    assert (rows["dog"].fixed, rows["dog"].broken) == (int((a & ~b)[:, 1].sum()), 0)
    assert (rows["eel"].broken, rows["eel"].p, rows["eel"].p_holm) == (3, 0.25, 0.5)
    assert rows["eel"].conclusion == rows["cat"].conclusion == "no evidence"
    assert [rows[name].p_wrong for name in CLASSES] == ["worse", "no evidence", "no evidence"]
    assert found.p < 0.01
    assert found.accuracy.difference.low > 0


def test_intervals_hold_for_all_classes_at_once_and_stand_in_the_table():
    first, second, a, _ = drawn()
    found = compare(first, second, resamples=200).decisions
    for row in found.per_class:
        right = 300 - int(a[:, CLASSES.index(row.class_name)].sum())
        assert (row.accuracy.a.low, row.accuracy.a.high) == exact_share(right, 300, 1 - 0.05 / 3)
    table = decision_change_table(found).to_pylist()
    assert [row["class"] for row in table] == [row.class_name for row in found.per_class]
    change = found.per_class[0].accuracy.difference
    assert (table[0]["accuracy_low"], table[0]["accuracy_high"]) == (change.low, change.high)


def test_unknown_answers_and_classes_of_one_run_are_left_out():
    p = np.full((4, 3), 0.2)
    labels = ["cat;?dog", "cat", "?cat;?dog;?eel", "cat"]
    a = run(np.zeros((4, 3)), p, labels)
    b = run(np.array([[0, 1], [0, 1], [0, 0], [1, 0]]), p[:, :2], labels, ("cat", "dog"))
    found = compare(a, b, resamples=20).decisions
    assert (found.only_in_a, found.only_in_b) == (("eel",), ())
    assert {row.class_name: (row.n, row.broken) for row in found.per_class} == {"cat": (3, 1), "dog": (2, 1)}
    assert found.n == 5


def test_decisions_of_a_group_count_together():
    wrong = np.zeros((40, 3))
    wrong[:20] = 1
    p = np.full((40, 3), 0.2)
    groups = {f"{i}.png": "film" if i < 20 else str(i) for i in range(40)}
    apart = compare(run(wrong, p), run(np.zeros((40, 3)), p), resamples=20).decisions
    film = compare(run(wrong, p), run(np.zeros((40, 3)), p), resamples=20, groups=groups).decisions
    assert apart.p == pytest.approx(2 / 2**20)
    assert apart.per_class[0].conclusion == "better"
    assert film.p == film.per_class[0].p == 1
    assert film.per_class[0].conclusion == "no evidence"
