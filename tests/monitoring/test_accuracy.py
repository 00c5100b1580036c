"""Accuracy without labels: laws, hand-worked values, and intervals that hold as often as they say."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.combination.evidence import signals
from uncertainty.combination.mixture import Basis, Linear, Mixture
from uncertainty.errors import InputError
from uncertainty.metrics.intervals import Interval
from uncertainty.monitoring import accuracy
from uncertainty.monitoring.accuracy import ADAPTED, P_WRONG, adapted_shares, atc, estimate_accuracy, from_p_wrong
from uncertainty.monitoring.baseline import Baseline, Rows, certainty, fitted_temperature, rows_of_table
from uncertainty.monitoring.batch import declared_shares

NO_SHARES = {"clean": 1.0, "damaged": 0.0, "foreign": 0.0}


def plain_rows(p_wrong, confidence=None, predicted=None):
    """Rows about which nothing is known but p_wrong, confidence and predicted class."""
    n = len(p_wrong)
    none, sure = np.empty((n, 0), dtype=np.float32), np.asarray(1 - p_wrong if confidence is None else confidence)
    known = np.zeros(n, dtype=np.int64) if predicted is None else predicted
    p = np.asarray(p_wrong, dtype=np.float32)
    return Rows(none, none, known, p, sure.astype(np.float32), (sure - 1).astype(np.float32))


def drawn(n, seed):
    """Rows whose p_wrong is the probability of an error, and the errors."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.4, 2.5, n)
    return plain_rows(p), rng.random(n) < p


NOTHING = Mixture((), Basis((), (), (), (), (), 0), {"clean": Linear((), 0.0)}, {})


@pytest.fixture(scope="module")
def made():
    calibration = made_problem(1500, 2)
    harder = made_problem(6000, 5)
    copies = replace(harder.take(np.arange(1500)), ids=calibration.ids)
    return Screener.fit_outputs(known_good(400, 1), calibration, damaged=copies, expect_damage=0.1)


# ---- estimates


def test_atc_on_calibration_is_its_accuracy():
    rng = np.random.default_rng(0)
    for n, rate in ((50, 0.0), (200, 0.13), (777, 0.5), (40, 1.0)):
        wrong = np.zeros(n, dtype=bool)
        wrong[: round(rate * n)] = True
        surety = rng.permutation(n) / n
        assert atc(surety, rng.permutation(wrong), surety) == pytest.approx(1 - wrong.mean(), abs=1e-12)


def test_atc_on_tied_calibration_is_off_by_no_more_than_the_ties():
    surety = np.repeat([0.2, 0.5, 0.9], [10, 30, 60])
    wrong = np.arange(100) < 25
    assert atc(surety, wrong, surety) == pytest.approx(0.9)  # the threshold falls among the 30 that are tied at 0.5


def test_doc_worked_by_hand():
    calibration, wrong = plain_rows(np.zeros(4), np.array([0.7, 0.8, 0.8, 0.9])), np.array([1, 0, 0, 0], dtype=bool)
    batch = plain_rows(np.zeros(2), np.array([0.6, 0.8]))
    assert accuracy.difference_of_confidence(calibration, wrong, batch) == pytest.approx(0.75 - (0.8 - 0.7))
    assert accuracy.average_confidence(calibration, wrong, batch) == pytest.approx(0.7)
    assert accuracy.difference_of_confidence(calibration, wrong, calibration) == pytest.approx(0.75)


def test_temperature_is_found_again():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2.5, (20000, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((20000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    sharp = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    wrong = labels != p.argmax(axis=1)
    assert fitted_temperature(sharp, wrong) == pytest.approx(2, rel=0.05)
    assert certainty(sharp, 2)[0] == pytest.approx(p.max(axis=1))
    assert certainty(sharp, 2)[1] == pytest.approx((p * np.log(p)).sum(axis=1), abs=1e-4)


def test_certainty_of_several_labels_is_that_of_the_least_sure():
    sure, entropy = certainty(np.array([[0.9, 0.4], [1.0, 0.0]]), multilabel=True)
    assert sure == pytest.approx([0.6, 1.0])
    assert entropy == pytest.approx([0.9 * np.log(0.9) + 0.1 * np.log(0.1) + 0.6 * np.log(0.6) + 0.4 * np.log(0.4), 0])


# ---- shares


def test_shares_of_overlapping_conditions_are_found_again():
    rng = np.random.default_rng(1)
    for share in (0.0, 0.1, 0.5, 0.9):
        x = np.concatenate([rng.normal(0, 1, round(4000 * (1 - share))), rng.normal(1.5, 1, round(4000 * share))])
        ratios = np.stack([np.zeros(4000), 1.5 * x - 1.5**2 / 2], axis=1)
        assert adapted_shares(ratios)[1] == pytest.approx(share, abs=0.04)


def test_the_last_share_keeps_its_limit_and_the_others_share_the_rest():
    rng = np.random.default_rng(2)
    ratios = np.column_stack([np.zeros(500), rng.normal(0, 1, 500), rng.normal(3, 2, 500)])
    free, limited = adapted_shares(ratios), adapted_shares(ratios, most=0.05)
    assert free[2] > 0.5
    assert limited[2] == 0.05
    assert limited.sum() == pytest.approx(1)


def test_a_batch_that_looks_damaged_gets_the_error_rate_of_damage(made):
    rng = np.random.default_rng(0)
    declared = declared_shares(made.calibrated_on)
    pool = made_problem(6000, 9)
    damaged = pool.quality[:, 0] < 0.45
    for rows in (np.flatnonzero(damaged), np.flatnonzero(~damaged)):
        outputs = pool.take(rng.permutation(rows)[:800])
        known = signals(made.estimators, outputs)
        batch = accuracy_rows(made, outputs, known)
        found = from_p_wrong(made.combiner, declared, made.baseline, batch).estimates[ADAPTED]
        assert found.low - 0.02 <= 1 - outputs.wrong.mean() <= found.high + 0.02


def accuracy_rows(screener, outputs, known):
    from uncertainty.monitoring.baseline import rows_of_signals

    return rows_of_signals(known, screener.combiner.p_wrong(known), outputs.probs, screener.baseline.temperature)


def test_conditions_that_look_alike_leave_the_shares_as_declared():
    rows = made_problem(3000, 3)
    alike = Screener.fit_outputs(
        known_good(400, 1), rows.take(range(1000)), damaged=replace(rows.take(range(1000, 2000)), ids=rows.ids[:1000])
    )
    outputs = rows.take(range(2000, 2300))
    known = signals(alike.estimators, outputs)
    batch = accuracy_rows(alike, outputs, known)
    found = from_p_wrong(alike.combiner, declared_shares(alike.calibrated_on), alike.baseline, batch)
    assert found.estimates[ADAPTED] == found.estimates[P_WRONG]
    assert found.shares == {}


# ---- intervals


@pytest.mark.parametrize("trials", [40, pytest.param(120, marks=pytest.mark.simulation)])
def test_intervals_hold_as_often_as_they_say(trials):
    inside = {}
    for trial in range(trials):
        calibration, wrong = drawn(400, trial)
        batch, hidden = drawn(300, 1000 + trial)
        found = estimate_accuracy(NOTHING, NO_SHARES, Baseline(calibration, wrong), batch, seed=trial)
        for name, interval in found.estimates.items():
            inside.setdefault(name, []).append(interval.low <= 1 - hidden.mean() <= interval.high)
    assert set(inside) == {ADAPTED, P_WRONG, "atc_confidence", "atc_entropy", "doc", "average_confidence"}
    for name, hits in inside.items():
        assert np.mean(hits) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / trials), name
    assert trials < 120 or np.mean(inside["doc"]) < 1


def test_more_rows_narrow_the_interval():
    calibration, wrong = drawn(2000, 0)
    widths = []
    for n in (50, 500, 5000):
        i = from_p_wrong(NOTHING, NO_SHARES, Baseline(calibration, wrong), drawn(n, 1)[0]).estimates[ADAPTED]
        widths.append(i.high - i.low)
    assert widths == sorted(widths, reverse=True)


def test_error_free_calibration_leaves_doubt():
    base = Baseline(plain_rows(np.full(100, 0.005)), np.zeros(100, dtype=bool))
    found = from_p_wrong(NOTHING, NO_SHARES, base, plain_rows(np.full(100, 0.005))).estimates[P_WRONG]
    assert found.high - found.low > 0.02


def test_same_seed_same_numbers():
    calibration, wrong = drawn(200, 0)
    batch = drawn(100, 1)[0]
    first, again = (estimate_accuracy(NOTHING, NO_SHARES, Baseline(calibration, wrong), batch, seed=4) for _ in "ab")
    assert first == again


# ---- too little


def test_few_rows_say_nothing():
    calibration, wrong = drawn(200, 0)
    for batch, base in (
        (drawn(19, 1)[0], Baseline(calibration, wrong)),
        (drawn(0, 1)[0], Baseline(calibration, wrong)),
        (drawn(100, 1)[0], Baseline(calibration.take(np.arange(19)), wrong[:19])),
    ):
        found = estimate_accuracy(NOTHING, NO_SHARES, base, batch)
        assert found.estimates == found.per_class == {}
        assert found.if_unknown is None


def test_classes_with_few_rows_have_no_interval():
    calibration, wrong = drawn(200, 0)
    known = replace(calibration, predicted=np.repeat([0, 1, 2], [100, 90, 10]))
    batch = replace(drawn(130, 1)[0], predicted=np.repeat([0, 1, 2, 7], [60, 10, 30, 30]))
    found = from_p_wrong(NOTHING, NO_SHARES, Baseline(known, wrong), batch).per_class
    assert {k: n for k, (n, _) in found.items()} == {0: 60, 1: 10, 2: 30, 7: 30}
    assert [k for k, (_, interval) in found.items() if interval] == [0]
    assert isinstance(found[0][1], Interval)


# ---- tables and artifact


def test_a_verdict_table_says_what_the_outputs_said(made):
    outputs = made_problem(300, 8)
    table = made.screen_outputs(outputs).table
    names = [e.name for e in made.estimators]
    read = rows_of_table(table.to_batches(max_chunksize=77), names, made.baseline.context_names, 1.3)
    known = signals(made.estimators, outputs)
    straight = accuracy_rows(replace(made, baseline=replace(made.baseline, temperature=1.3)), outputs, known)
    for name in ("scores", "context", "predicted", "p_wrong"):
        assert getattr(read, name).tolist() == getattr(straight, name).tolist()
    assert read.confidence == pytest.approx(straight.confidence, rel=1e-5)
    assert read.neg_entropy == pytest.approx(straight.neg_entropy, abs=1e-5)


def test_a_table_of_another_screener_is_refused(made):
    batches = made.screen_outputs(made_problem(30, 8)).table.to_batches()
    with pytest.raises(InputError, match="no column 'est_made_up': they are of another screener"):
        rows_of_table(batches, ["made_up"], (), 1.0)
    with pytest.raises(InputError, match="no verdicts to monitor"):
        rows_of_table([], [], (), 1.0)


def test_the_baseline_is_saved(made, tmp_path):
    made.save(tmp_path)
    first, again = made.baseline.to_arrays(), Screener.load(tmp_path).baseline.to_arrays()
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert made.baseline.rows.scores.dtype == np.float32
    assert len(made.baseline.rows) == len(made.baseline.wrong) == 1500
    assert made.baseline.context_names == ("brightness", "darkness", "contrast", "blur", "saturation", "entropy")


def test_frames_of_a_film_leave_more_doubt():
    """Ten frames of each of forty films are wrong together: the interval must hold in nine of ten batches."""
    rng, held = np.random.default_rng(0), {"apart": 0, "together": 0}

    def films(count):
        p = np.repeat(rng.beta(0.4, 2.5, count), 10)
        return plain_rows(p), np.repeat(rng.random(count), 10) < p, np.repeat(np.arange(count), 10)

    for _ in range(60):
        rows, wrong, of = films(150)
        batch, truth, groups = films(40)
        for name, baseline, told in (
            ("apart", Baseline(rows, wrong), None),
            ("together", Baseline(rows, wrong, clusters=of), groups),
        ):
            found = from_p_wrong(NOTHING, NO_SHARES, baseline, batch, told).estimates[P_WRONG]
            held[name] += found.low <= 1 - truth.mean() <= found.high
    assert held["together"] >= 54
    assert held["apart"] <= 45
