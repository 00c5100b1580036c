"""The numbers behind the charts agree with the metrics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncertainty import metrics
from uncertainty.report.curves import MOST_POINTS, budgets, histogram, percentiles, reliability, risk_coverage, wilson
from uncertainty.report.data import _exact

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=80)


def arrays(rows):
    return np.array([wrong for wrong, _ in rows]), np.array([score / 20 for _, score in rows])


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_the_gaps_of_the_reliability_diagram_add_up_to_the_calibration_error(rows):
    wrong, p_wrong = arrays(rows)
    bins = reliability(wrong, p_wrong)
    assert sum(b["n"] for b in bins) == len(rows)
    gap = sum(b["n"] * abs(b["observed"] - b["predicted"]) for b in bins) / len(rows)
    assert gap == pytest.approx(metrics.ece(wrong, p_wrong))
    assert all(b["low"] - 1e-12 <= b["observed"] <= b["high"] + 1e-12 for b in bins)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_a_budget_counts_what_comes_first(rows):
    wrong, p_wrong = arrays(rows)
    order = np.argsort(-p_wrong, kind="stable")
    wrong, p_wrong = wrong[order], p_wrong[order]
    table = budgets(p_wrong, np.ones(len(rows), bool), wrong, len(rows) // 3)
    assert table["k"] == list(range(len(rows) + 1))
    assert table["caught"] == [int(wrong[:k].sum()) for k in table["k"]]
    assert table["labelled"] == table["k"]
    np.testing.assert_allclose(table["expected"], [p_wrong[:k].sum() for k in table["k"]], rtol=1e-5)
    assert sum(sum(part) for part in histogram(p_wrong, {"a": wrong, "b": ~wrong})["counts"].values()) == len(rows)


def test_long_tables_are_thinned_and_keep_their_flags():
    p_wrong = np.linspace(1, 0, 54_321)
    wrong = p_wrong > 0.9
    table = budgets(p_wrong, np.ones(len(p_wrong), bool), wrong, 777)
    assert len(table["k"]) == 1002
    assert table["caught"][table["k"].index(777)] == 777
    assert (table["k"][0], table["k"][-1]) == (0, 54_321)
    curve = risk_coverage(wrong, {"p_wrong": p_wrong})
    assert len(curve["coverage"]) == MOST_POINTS
    assert curve["risk"]["p_wrong"] == curve["risk"]["perfect"]


def test_of_nothing_there_is_nothing():
    none = np.empty(0)
    assert risk_coverage(none.astype(bool), {"p_wrong": none})["coverage"] == []
    assert reliability(none.astype(bool), none) == []
    assert budgets(none, none.astype(bool), none.astype(bool), 0)["k"] == [0]
    assert percentiles(none).tolist() == []


def test_wilson_holds_its_level():
    rng = np.random.default_rng(0)
    counts = rng.binomial(30, 0.1, 4000)
    inside = [low <= 0.1 <= high for low, high in (wilson(count, 30) for count in counts)]
    assert 0.93 < np.mean(inside) < 0.98


@pytest.mark.parametrize("p", [0.9304998, 0.00049999, 0.99949998])
def test_the_slider_and_the_rows_round_one_number(p):
    """0.9304998 is 0.930; rounded to six digits first it would be 0.931 beside the 0.930 of the table."""
    p = np.float32(p).astype(np.float64)
    threshold = budgets(np.array([p]), np.array([True]), np.array([True]), 1)["threshold"][1]
    assert np.float32(threshold) == np.float32(p)
    assert _exact(p) == threshold
