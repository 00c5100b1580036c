"""Promises hold, exactly: by hand and against the definitions; over thousands of draws beside the experiment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from uncertainty.decisions.guarantees import (
    certify,
    missable,
    pooled,
    rows_needed,
    shares_of_confidence,
)
from uncertainty.metrics.intervals import exact_share, upper_limit


@given(st.integers(1, 300), st.floats(0.01, 0.99), st.floats(0.5, 0.999))
def test_the_upper_limit_is_where_the_tail_equals_what_is_left_of_confidence(rows, share, confidence):
    bad = int(share * rows)
    limit = upper_limit(bad, rows, confidence)
    if bad == rows:
        assert limit == 1
    else:
        assert binom.cdf(bad, rows, limit) == pytest.approx(1 - confidence, rel=1e-6)


def test_the_upper_limit_is_that_of_clopper_and_pearson():
    for bad, rows in ((0, 10), (3, 50), (40, 41), (18_657, 501_500)):
        assert upper_limit(bad, rows, 0.9) == pytest.approx(beta.ppf(0.9, bad + 1, rows - bad), rel=1e-9)
    assert exact_share(0, 0) == (0.0, 1.0)
    assert exact_share(10, 10)[1] == 1.0
    low, high = exact_share(5, 10)
    assert (round(low, 4), round(high, 4)) == (0.1871, 0.8129)  # textbook value of 5 in 10


@given(st.floats(0.001, 0.5), st.floats(0.5, 0.999))
def test_rows_needed_is_the_fewest_that_will_do(target, confidence):
    needed = rows_needed(target, confidence)
    assert (1 - target) ** needed <= (1 - confidence) * (1 + 1e-6)
    assert needed == 1 or (1 - target) ** (needed - 1) > (1 - confidence) * (1 - 1e-6)


def test_exactly_the_rows_needed_certify_and_one_fewer_does_not():
    chance, good = np.linspace(0.001, 0.01, 59), np.zeros(59, dtype=bool)
    assert certify(chance, good, 0.05, 0.95).accepted == 59
    found = certify(chance[:58], good[:58], 0.05, 0.95)
    assert (found.accepted, found.started, found.needed) == (0, 0, 59)
    one_bad = good.copy()
    one_bad[3] = True
    found = certify(chance, one_bad, 0.05, 0.95)
    assert (found.accepted, found.started, found.started_bad) == (0, 59, 1)


def test_nothing_in_nothing_out():
    assert certify(np.array([]), np.array([], dtype=bool), 0.05, 0.95).accepted == 0
    assert missable(0, 0.9, 0.9) == 0


@pytest.mark.parametrize("method", ["fixed-sequence", "sgr"])
def test_ties_are_accepted_together_or_not_at_all(method):
    chance = np.repeat([0.001, 0.002, 0.9], 400)
    bad = np.zeros(1200, dtype=bool)
    bad[1000:] = True
    assert certify(chance, bad, 0.05, 0.95, method).accepted == 800
    same = np.full(1200, 0.1)
    assert certify(same, bad, 0.05, 0.95, method).accepted == 0
    assert certify(same, bad, 0.5, 0.95, method).accepted == 1200


@pytest.mark.parametrize("method", ["fixed-sequence", "sgr"])
def test_what_is_certified_passes_its_own_exact_test(method):
    rng = np.random.default_rng(0)
    for _ in range(20):
        chance = rng.beta(0.4, 4, 800)
        bad = rng.random(800) < chance
        found = certify(chance, bad, 0.05, 0.9, method)
        if found.accepted:
            assert bad[np.argsort(chance)[: found.accepted]].sum() == found.bad
            assert upper_limit(found.bad, found.accepted, 0.9) <= 0.05


def test_row_order_does_not_matter():
    rng = np.random.default_rng(1)
    chance, order = rng.beta(0.4, 4, 500).round(2), rng.permutation(500)
    bad = rng.random(500) < chance
    assert certify(chance, bad, 0.1, 0.9) == certify(chance[order], bad[order], 0.1, 0.9)


def test_early_chance_errors_do_not_stop_it():
    """One wrong image among the very surest: a sequence from the fewest rows that could do would end there."""
    chance = np.linspace(0.001, 0.2, 3000)
    bad = np.random.default_rng(2).random(3000) < chance
    bad[:60] = False
    bad[[3, 20]] = True
    assert certify(chance, bad, 0.05, 0.95).accepted > 1000


@given(st.integers(1, 200), st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_missable_is_the_definition(bad, recall, confidence):
    first = missable(bad, recall, confidence)
    if first:
        assert binom.cdf(first - 1, bad, 1 - recall) <= 1 - confidence + 1e-12
    assert first == bad or binom.cdf(first, bad, 1 - recall) > 1 - confidence - 1e-12


def test_no_errors_promise_no_recall_and_59_promise_95_percent():
    assert missable(58, 0.95, 0.95) == 0
    assert missable(59, 0.95, 0.95) == 1


def test_pooling_keeps_large_classes_and_loses_none():
    classes = np.repeat([0, 1, 2, 5], [50, 3, 60, 4])
    groups = pooled(classes, np.ones(117, dtype=bool), enough=50)
    assert groups == [(0,), (2,), (1, 5)]
    assert pooled(classes, np.zeros(117, dtype=bool), enough=1) == [(0, 1, 2, 5)]
    assert pooled(classes[:50], np.ones(50, dtype=bool), enough=50) == [(0,)]


def test_shares_of_confidence_add_up():
    assert 1 - (1 - shares_of_confidence(0.9, range(7))) * 7 == pytest.approx(0.9)


def test_a_hundred_rows_are_seldom_void_although_all_of_them_pass():
    """Ninety-three rows bear one error at 5 %, and fewer none: starting at fewer, one in ten was void for it."""
    rng, void, draws = np.random.default_rng(0), 0, 400
    for _ in range(draws):
        chance = np.sort(rng.beta(0.5, 60, 100))
        bad = rng.random(100) < chance
        void += upper_limit(int(bad.sum()), 100, 0.95) <= 0.05 and not certify(chance, bad, 0.05, 0.95).accepted
    assert void / draws < 0.04
