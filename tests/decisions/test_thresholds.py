"""The budget holds on calibration, exactly and always."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncertainty.decisions.thresholds import budget_threshold
from uncertainty.errors import InputError


def share(p, weights, threshold):
    flagged = np.asarray(p, dtype=np.float32) >= np.float32(threshold)
    return float(np.asarray(weights, dtype=np.float64)[flagged].sum() / np.sum(weights, dtype=np.float64))


def test_without_ties_the_budget_is_used_up():
    p = np.random.default_rng(0).permutation(1000) / 1000
    for budget in (0.001, 0.1, 0.29, 0.5, 0.999):
        assert share(p, np.ones(1000), budget_threshold(p, np.ones(1000), budget)) == pytest.approx(budget)


rows = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=40)


@given(rows, st.floats(0, 1))
def test_never_more_than_the_budget_and_never_needlessly_less(rows, budget):
    p, weights = np.array([k / 20 for k, _ in rows]), np.array([w for _, w in rows], dtype=np.float64)
    threshold = budget_threshold(p, weights, budget)
    assert share(p, weights, threshold) <= budget + 1e-9
    below = p[p.astype(np.float32) < np.float32(threshold)]
    if len(below):
        assert share(p, weights, below.max()) > budget


def test_a_tie_is_flagged_as_a_whole_or_not_at_all():
    p = np.array([0.1, 0.7, 0.7, 0.7])
    assert budget_threshold(p, np.ones(4), 0.74) > 0.7
    assert budget_threshold(p, np.ones(4), 0.75) == np.float32(0.7)
    assert share(np.full(9, 0.3), np.ones(9), budget_threshold(np.full(9, 0.3), np.ones(9), 0.5)) == 0


def test_rows_count_by_weight():
    p = np.array([0.1, 0.2, 0.3, 0.4])
    assert budget_threshold(p, np.array([1.0, 1.0, 1.0, 1.0]), 0.4) == np.float32(0.4)
    assert budget_threshold(p, np.array([8.0, 1.0, 0.5, 0.5]), 0.1) == np.float32(0.3)
    assert budget_threshold(p, np.array([1.0, 1.0, 1.0, 9.0]), 0.5) > 0.4


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("p", [[0.0, 0.5, 1.0], [1.0, 1.0], [0.0]])
def test_budgets_of_nothing_and_of_everything(kind, p):
    weights = np.full(len(p), 1 / 3, dtype=kind)
    assert share(p, weights, budget_threshold(np.array(p), weights, 0)) == 0
    assert share(p, weights, budget_threshold(np.array(p), weights, 1)) == 1


def test_weights_of_float32_do_not_cost_a_row():
    rng = np.random.default_rng(0)
    p, weights = rng.random(20_000), rng.random(20_000).astype(np.float32)
    assert share(p, weights, budget_threshold(p, weights, 1)) == 1


def test_row_order_does_not_matter():
    rng = np.random.default_rng(1)
    p, weights, order = rng.random(50).round(1), rng.random(50), rng.permutation(50)
    assert budget_threshold(p, weights, 0.2) == budget_threshold(p[order], weights[order], 0.2)


@pytest.mark.parametrize("budget", [-0.01, 1.01, 10, float("nan"), float("inf")])
def test_a_budget_is_a_share(budget):
    with pytest.raises(InputError, match=rf"budget is {budget}; it must be a share between 0 and 1"):
        budget_threshold(np.array([0.5]), np.ones(1), budget)
