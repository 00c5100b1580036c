"""What a batch is taken to be made of, and what then is said of its rows."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from uncertainty.combination.mixture import NOTHING_SAID, SEVERAL_SAID, Basis, Linear, Mixture
from uncertainty.monitoring.adapted import AS_LIKELY_DAMAGED, adapted
from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.monitoring.batch import Calibrated

LINE, NONE = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)
ON = {"expected_damage": 0.05, "expected_unknown": 0.05}


def rows(first, second):
    """Rows with two scores: the first opens the gate of damage, the second that of unknown images."""
    scores = np.stack([first, second], axis=1).astype(np.float32)
    n = len(scores)
    p = np.full(n, 0.1, dtype=np.float32)
    return Rows(scores, np.empty((n, 0), dtype=np.float32), np.zeros(n, dtype=np.int64), p, 1 - p, -p)


def calibrated(steep=4.0):
    """A tenth of clean images is wrong, half of damaged ones."""
    gates = {
        "damaged": Linear((*(steep * w for w in LINE), *NONE, 0.0), -8 * steep / 4),
        "foreign": Linear((*NONE, *(steep * w for w in LINE), 0.0), -8 * steep / 4),
    }
    flat = (*NONE, *NONE, 0.0)
    combiner = Mixture(
        names=("a", "b"),
        basis=Basis(("plain", "plain"), (0.0, 0.0), (1.0, 1.0), (), (), classes=1),
        experts={"clean": Linear(flat, float(np.log(0.1 / 0.9))), "damaged": Linear(flat, 0.0)},
        gates=gates,
    )
    rng = np.random.default_rng(0)
    known = rows(rng.normal(0, 0.3, 200), rng.normal(0, 0.3, 200))
    estimators = [SimpleNamespace(name=name, tells_far=lambda: False) for name in "ab"]
    return Calibrated(estimators, combiner, Baseline(known, np.arange(200) < 20), ON, ["one"])


def batch(clean, damaged, unknown):
    rng = np.random.default_rng(1)
    first = np.repeat([0.0, 5.0, 0.0], [clean, damaged, unknown]) + rng.normal(0, 0.3, clean + damaged + unknown)
    second = np.repeat([0.0, 0.0, 5.0], [clean, damaged, unknown]) + rng.normal(0, 0.3, len(first))
    return rows(first, second)


def test_shares_are_those_of_the_batch_whatever_was_declared():
    found = adapted(calibrated(), batch(120, 60, 20))
    assert found.to == "shares"
    assert [round(found.shares[name], 2) for name in ("clean", "damaged", "foreign")] == [0.6, 0.3, 0.1]
    half_way = AS_LIKELY_DAMAGED * 0.5 + 1 - AS_LIKELY_DAMAGED
    np.testing.assert_allclose(found.p_wrong, np.repeat([0.1, 0.5, half_way], [120, 60, 20]), atol=0.05)


def test_an_unknown_image_of_which_nothing_is_said_is_right():
    given = batch(120, 60, 20)
    nothing = replace(given, predicted=np.where(np.arange(200) < 180, SEVERAL_SAID, NOTHING_SAID))
    np.testing.assert_allclose(adapted(calibrated(), nothing).p_wrong[180:], AS_LIKELY_DAMAGED * 0.5, atol=0.05)


def test_the_order_of_the_rows_changes_no_bit():
    given, order = batch(100, 50, 10), np.random.default_rng(2).permutation(160)
    np.testing.assert_array_equal(
        adapted(calibrated(), given).p_wrong[order], adapted(calibrated(), given.take(order)).p_wrong
    )


@pytest.mark.parametrize(("steep", "n", "why"), [(1e-3, 30, "do not tell"), (4.0, 12, "fewer than 20")])
def test_what_tells_nothing_changes_nothing(steep, n, why):
    given = batch(n, 0, 0)
    found = adapted(calibrated(steep), given)
    assert found.to == "nothing"
    assert why in found.told()["in_words"]
    np.testing.assert_array_equal(found.p_wrong, given.p_wrong)
