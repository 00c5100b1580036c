"""Drift: false alarms are as rare as promised, whatever the batch; what changed is named, and seen soon."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from uncertainty.monitoring.baseline import Rows
from uncertainty.monitoring.drift import Column, Drift, detect, permuted
from uncertainty.monitoring.stream import conformal_p_values, first_alarm, log_wealth

COLUMNS = (Column("margin", "softmax"), Column("nn_distance", "neighbours"), Column("blur", "image"))


def rows(n, rng, shift=(0.0, 0.0, 0.0), classes=4):
    """Three columns that depend on each other, one of them rounded so that many values tie."""
    x = rng.normal(size=(n, 3)) + 0.7 * rng.normal(size=(n, 1)) + shift
    x[:, 1] = np.round(x[:, 1])
    sure = np.zeros(n, dtype=np.float32)
    return Rows(x[:, :2].astype(np.float32), x[:, 2:].astype(np.float32), rng.integers(0, classes, n), sure, sure, sure)


# ---- batches


def test_false_alarms_are_as_rare_as_promised():
    trials, levels = 1000, (0.05, 0.2)
    found = []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        drift = detect(rows(60, rng), rows(25, rng), COLUMNS, permutations=99, seed=trial)
        found.append(drift.p_value)
    for level in levels:
        allowed = level + 3 * np.sqrt(level * (1 - level) / trials)
        assert np.mean(np.array(found) <= level) <= allowed
    assert np.mean(np.array(found) <= 0.2) > 0.1  # and not so rare that nothing would be found


def test_memory_is_that_of_the_divisions_alone():
    """A watched folder is compared again and again: what it takes beside the rows must not grow as they do."""
    rng, n, permutations = np.random.default_rng(0), 1500, 199
    values, predicted = rng.random((2 * n, 2)), np.zeros(2 * n, dtype=np.int64)
    tracemalloc.start()
    permuted(values, predicted, n, permutations, rng)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * (1 + permutations) * 2 * n * np.dtype(np.float32).itemsize


def test_the_p_value_is_that_of_all_divisions():
    """With all 70 divisions of eight rows into four and four, p is exact: here only the observed one is so extreme."""
    rng = np.random.default_rng(0)
    values = np.array([5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0])[:, None]
    z = permuted(values, np.full(8, -1), 4, 20000, rng)[:, 0]
    # The statistic has two sides, so the division into the lowest four is as extreme.
    assert np.mean(z >= z[0]) == pytest.approx(2 / 70, abs=4 * np.sqrt(2 / 70 / 20000))


def test_every_division_is_treated_alike():
    rng = np.random.default_rng(1)
    values, predicted = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    ranks = []
    for trial in range(400):
        order = rng.permutation(40)
        z = permuted(values[order], predicted[order], 15, 19, np.random.default_rng(trial)).max(axis=1)
        ranks.append((z >= z[0]).mean())
    counts = np.bincount(np.round(np.array(ranks) * 20).astype(int), minlength=21)[1:]
    assert counts.sum() == 400
    assert ((counts - 20) ** 2 / 20).sum() < 45  # chi-square with 19 degrees of freedom; 43.8 is its 99.9 % point


@pytest.mark.parametrize(
    ("shift", "kind"), [((1.0, 0, 0), "softmax"), ((0, 1.0, 0), "neighbours"), ((0, 0, -1.0), "image")]
)
def test_what_changed_is_named(shift, kind):
    rng = np.random.default_rng(2)
    drift = detect(rows(500, rng), rows(200, rng, shift), COLUMNS)
    assert drift.alarm
    assert drift.kinds[0] == drift.changes[0].column.kind == kind
    assert (drift.changes[0].median_at > 0.6) == (max(shift) > 0)
    assert drift.changes[-1].p_value > 0.01


def test_other_predicted_classes_are_a_change():
    rng = np.random.default_rng(3)
    batch = rows(200, rng)
    drift = detect(rows(500, rng), replace(batch, predicted=np.minimum(batch.predicted, 1)), COLUMNS)
    assert drift.kinds == ("predicted class",)
    assert drift.changes[0].median_at is None
    assert drift.oddest == ()


def test_a_changed_spread_is_a_change():
    rng = np.random.default_rng(4)
    batch = rows(400, rng)
    drift = detect(rows(800, rng), replace(batch, context=batch.context * 2), COLUMNS)
    assert drift.kinds == ("image",)
    assert drift.changes[0].median_at == pytest.approx(0.5, abs=0.1)


def test_the_rows_that_show_it_come_first():
    rng = np.random.default_rng(5)
    batch = rows(300, rng)
    scores = batch.scores.copy()
    scores[40:80, 1] += 6
    drift = detect(rows(600, rng), replace(batch, scores=scores), COLUMNS)
    assert drift.alarm
    assert len(drift.oddest) == 10
    assert set(drift.oddest) <= set(range(40, 80))


def test_few_rows_say_nothing():
    rng = np.random.default_rng(6)
    for calibration, batch in ((100, 19), (19, 100), (100, 0)):
        drift = detect(rows(calibration, rng), rows(batch, rng, (9.0, 9.0, 9.0)), COLUMNS)
        assert drift == Drift(batch, None, 0.01, (), ())
        assert not drift.alarm
        assert drift.kinds == ()


def test_constant_columns_and_several_labels_are_no_reason_for_alarm():
    rng = np.random.default_rng(7)
    calibration, batch = (
        replace(r, scores=np.ones_like(r.scores), predicted=np.full(len(r), -1))
        for r in (rows(100, rng), rows(50, rng))
    )
    drift = detect(calibration, batch, COLUMNS)
    assert {c.column.kind for c in drift.changes} == {"softmax", "neighbours", "image"}
    assert not drift.alarm


def test_same_seed_same_answer():
    first, again = (detect(rows(90, rng), rows(40, rng), COLUMNS, seed=3) for rng in map(np.random.default_rng, (8, 8)))
    assert first == again


# ---- streams


def test_p_values_worked_by_hand():
    calibration, stream = np.array([1.0, 2.0, 2.0, 4.0]), np.array([3.0, 2.0])
    u = np.random.default_rng(0).random(2)
    # 3: one of four is larger. 2: of five earlier (1, 2, 2, 3, 4) two are larger and two equal.
    assert conformal_p_values(calibration, stream, 0) == pytest.approx([(1 + u[0]) / 5, (2 + 3 * u[1]) / 6])


def test_p_values_are_uniform_and_independent_even_where_values_tie():
    firsts = []
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 3, 12).astype(float)
        firsts.append(conformal_p_values(values[:8], values[8:], seed + 10**6))
    p = np.array(firsts)
    assert p.mean(axis=0) == pytest.approx([0.5] * 4, abs=4 * np.sqrt(1 / 12 / 2000))
    assert np.abs(np.corrcoef(p.T) - np.eye(4)).max() < 4 / np.sqrt(2000)


def test_the_mean_capital_is_one():
    p = np.random.default_rng(0).random((20000, 5))
    capital = np.exp([log_wealth(row)[-1] for row in p[:4000]])
    assert capital.mean() == pytest.approx(1, abs=4 * capital.std() / np.sqrt(4000))
    # One step by hand: the stakes are symmetric, so they cancel, but for what |2 p - 1| says.
    assert log_wealth(np.array([0.5]))[0] == pytest.approx(0.0, abs=1e-12)


def test_clean_streams_alarm_as_rarely_as_promised():
    trials, level = 300, 0.1
    alarms = 0
    for trial in range(trials):
        x = np.random.default_rng(trial).normal(size=(300, 2))
        alarms += first_alarm(x[:100], x[100:], level, seed=trial) is not None
    assert alarms / trials <= level + 3 * np.sqrt(level * (1 - level) / trials)


def test_a_change_in_a_stream_is_seen_soon_after_it_happens():
    rng = np.random.default_rng(0)
    stream = rng.normal(size=(500, 3))
    stream[300:, 2] += 1.5
    row, column = first_alarm(rng.normal(size=(500, 3)), stream, 0.01)
    assert column == 2
    assert 300 < row < 360


def frames(films, each, rng):
    """Frames of films: nearly alike in every column, and of one predicted class; and which film each is of."""
    x = np.repeat(rng.normal(size=(films, 3)), each, axis=0) + 0.2 * rng.normal(size=(films * each, 3))
    nothing = np.zeros(films * each, dtype=np.float32)
    predicted = np.repeat(rng.integers(0, 3, films), each)
    known = Rows(x[:, :2].astype(np.float32), x[:, 2:].astype(np.float32), predicted, nothing, nothing, nothing)
    return known, np.repeat(np.arange(films), each)


FILM_COLUMNS = [Column("a", "softmax"), Column("b", "softmax"), Column("c", "image")]


def film_alarms(trials, *, told=True, moved=0.0):
    """How often 20 films of 10 frames alarm beside 60, at 1 %."""
    found = 0
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        (known, of_known), (seen, of_seen) = frames(60, 10, rng), frames(20, 10, rng)
        seen = replace(seen, scores=seen.scores + np.float32(moved))
        groups = (of_known, of_seen) if told else (None, None)
        found += detect(known, seen, FILM_COLUMNS, level=0.01, permutations=199, seed=trial, groups=groups).alarm
    return found


def test_frames_of_an_unchanged_source_seldom_alarm():
    """At most 1 % of 60, give or take three standard errors; without groups nearly always."""
    assert film_alarms(60) <= 60 * (0.01 + 3 * np.sqrt(0.01 * 0.99 / 60))
    assert film_alarms(10, told=False) >= 8
    assert film_alarms(10, moved=2.0) >= 8


@pytest.mark.simulation
def test_frames_of_an_unchanged_source_alarm_at_their_level():
    assert film_alarms(600) <= 600 * (0.01 + 3 * np.sqrt(0.01 * 0.99 / 600))


def test_groups_of_one_side_are_compared_by_one_row_each():
    known, of_known = frames(60, 10, np.random.default_rng(0))
    seen, _ = frames(200, 1, np.random.default_rng(1))
    for groups in ((of_known, None), (None, np.arange(200))):
        assert detect(known, seen, FILM_COLUMNS, permutations=99, groups=groups).p_value is not None
    few = detect(known, known.take(np.arange(100)), FILM_COLUMNS, permutations=99, groups=(None, of_known[:100]))
    assert few.p_value is None
