"""What is not like calibration: bounds that hold, intervals that widen with what is not known, kinds left out."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.combination.mixture import Basis, Linear, Mixture
from uncertainty.errors import ArtifactError
from uncertainty.metrics.intervals import Interval
from uncertainty.monitoring.accuracy import ADAPTED, P_WRONG, estimate_accuracy
from uncertainty.monitoring.baseline import BETWEEN, Baseline, Rows
from uncertainty.monitoring.class_shares import ClassShift
from uncertainty.monitoring.unseen import between_kinds, changed, under_alarm, widened

NOTHING = Mixture((), Basis((), (), (), (), (), 0), {"clean": Linear((), 0.0)}, {})
NO_SHARES = {"clean": 1.0, "damaged": 0.0, "foreign": 0.0}


def rows_of(scores, p_wrong=None):
    """Rows of these scores (n, m)."""
    n = len(scores)
    p = np.full(n, 0.1) if p_wrong is None else p_wrong
    sure = (1 - p).astype(np.float32)
    none, same = np.empty((n, 0), dtype=np.float32), np.zeros(n, dtype=np.int64)
    return Rows(scores.astype(np.float32), none, same, p.astype(np.float32), sure, -p.astype(np.float32))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_no_more_is_said_to_have_changed_than_did(share):
    """Of 100 batches the bound may be above the truth in five; it comes near it where the change is plain."""
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        seen = rng.normal(size=(300, 8))
        seen[: round(300 * share), :4] += 4
        found.append(changed(rows_of(rng.normal(size=(700, 8))), rows_of(seen)))
    assert sum(one.at_least > share for one in found) <= 5
    assert np.mean([one.at_least for one in found]) > share - 0.2
    assert all(0 <= one.at_least <= one.share <= 1 for one in found)


def test_an_interval_grows_with_what_is_not_known():
    given = Interval(0.78, 0.8, 0.82)
    widths = [found.high - found.low for found in (widened(given, b, 1.0) for b in (0.05, 0.3, 0.6))]
    assert widths == sorted(widths)
    assert widened(given, 0.6, 0.0).low == pytest.approx(0.78)  # nothing changed
    assert widened(given, 0.6, 0.05).low == pytest.approx(0.8 - np.hypot(0.02, 0.05))
    assert widened(given, 0.6, 0.05, unexplained=0.1).low == pytest.approx(0.7 - np.hypot(0.02, 0.05))
    for accuracy in (0.0, 1.0):
        found = widened(Interval(accuracy, accuracy, accuracy), 0.6, 1.0)
        assert 0 <= found.low <= accuracy <= found.high <= 1


def test_only_what_rests_on_p_wrong_is_widened():
    rng = np.random.default_rng(0)
    known, seen = (rows_of(rng.normal(shift, 1, (200, 3)), rng.beta(1, 6, 200)) for shift in (0, 2))
    base = Baseline(known, rng.random(200) < known.p_wrong)
    found = estimate_accuracy(NOTHING, NO_SHARES, base, seen)
    wider = under_alarm(found, base, seen)
    for name, before in found.estimates.items():
        after = wider.estimates[name]
        assert after.value == before.value
        assert (after.high - after.low > before.high - before.low + 0.05) == (name in (ADAPTED, P_WRONG))
    assert wider.per_class[0][1].low < found.per_class[0][1].low
    shifted = replace(found, class_shift=ClassShift(*(np.ones(2),) * 3, np.ones((2, 2))))
    assert under_alarm(shifted, base, seen) is shifted


@pytest.fixture(scope="module")
def made():
    """A screener whose damaged copies are of four kinds, two of which hide what they do."""
    calibration, copies = made_problem(300, 2), made_problem(300, 5)
    kinds = dict(
        zip(map(str, calibration.ids), np.array(["a", "b", "c", "d"])[np.arange(300) % 4].tolist(), strict=True)
    )
    copies = replace(copies, ids=calibration.ids)
    return Screener.fit_outputs(known_good(200, 1), calibration, damaged=copies, expect_damage=0.2, damage_kinds=kinds)


def test_kinds_that_are_alike_leave_less_doubt_than_none_to_tell(made):
    unknown = Screener.fit_outputs(known_good(100, 1), made_problem(200, 2))
    assert unknown.baseline.between == BETWEEN
    assert 0.05 <= made.baseline.between < BETWEEN


def test_between_is_saved_and_looked_through(made, tmp_path):
    made.save(tmp_path)
    assert Screener.load(tmp_path).baseline.between == made.baseline.between
    replace(made, baseline=replace(made.baseline, between=40.0)).save(tmp_path)
    with pytest.raises(ArtifactError, match="between calibration and unseen images is 40"):
        Screener.load(tmp_path)


def test_without_a_damaged_condition_there_is_nothing_to_leave_out(made):
    assert between_kinds(None, replace(made.combiner, gates={}), NO_SHARES, ["a"]) == BETWEEN
