"""Exact tests: one stratum is Fisher's, several are all tables counted one by one, and levels hold by simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from uncertainty.errors import InputError
from uncertainty.metrics.stratified_test import SMALLEST_P, Strata, holm, wilson


def strata(*rows):
    """Strata of (rows, errors, inside, both)."""
    return Strata(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


@pytest.mark.parametrize("seed", range(40))
def test_one_stratum_is_fishers_exact_test(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, [4, 30, 400][seed % 3], (2, 2))
    (a, b), (c, d) = table.tolist()
    got = strata((a + b + c + d, a + c, a + b, a)).exact_p()
    assert got == pytest.approx(max(stats.fisher_exact(table).pvalue, SMALLEST_P), rel=1e-6)


def test_several_strata_are_every_table_counted():
    layers = [(7, 3, 3, 2), (6, 2, 4, 2), (5, 5, 2, 2), (9, 4, 3, 3)]
    ways = [stats.hypergeom(n, e, m).pmf(np.arange(m + 1)) for n, e, m, _ in layers]
    total = np.zeros(20)
    for counts in product(*(range(len(way)) for way in ways)):
        total[sum(counts)] += np.prod([way[k] for way, k in zip(ways, counts, strict=True)])
    seen = sum(both for *_, both in layers)
    expected = total[total <= total[seen] * (1 + 1e-7)].sum()
    assert strata(*layers).exact_p() == pytest.approx(expected)


def test_large_strata_agree_with_the_cochran_mantel_haenszel_statistic():
    """(sum of a - E, less a half)² / V, in the chi-square distribution of one degree: near where all is large."""
    rng = np.random.default_rng(0)
    rows, inside = np.array([4000, 6000, 9000]), np.array([1000, 2500, 3000])
    errors = np.array([400, 1200, 450])
    both = rng.hypergeometric(errors, rows - errors, inside) + np.array([6, 12, 6])
    expected = (inside * errors / rows).sum()
    variance = (inside * errors * (rows - inside) * (rows - errors) / (rows**2 * (rows - 1))).sum()
    statistic = (abs(both.sum() - expected) - 0.5) ** 2 / variance
    got = Strata(rows, errors, inside, both).exact_p()
    assert got == pytest.approx(stats.chi2(1).sf(statistic), rel=0.05)


def test_strata_without_contrast_say_nothing():
    alone = strata((40, 10, 20, 8))
    silent = [(10, 0, 5, 0), (10, 10, 5, 5), (10, 3, 0, 0), (10, 3, 10, 3), (1, 1, 1, 1)]
    assert strata((40, 10, 20, 8), *silent).exact_p() == pytest.approx(alone.exact_p())
    assert strata((40, 10, 20, 8), *silent).odds_ratio() == pytest.approx(alone.odds_ratio())
    assert strata().exact_p() == 1
    assert strata().odds_ratio() is None


def test_a_million_rows_and_a_thousand_strata():
    rng = np.random.default_rng(1)
    rows = np.full(1000, 1000)
    errors, inside = rng.integers(0, 300, 1000), rng.integers(0, 1000, 1000)
    both = rng.hypergeometric(errors, rows - errors, inside)
    assert 1e-4 < Strata(rows, errors, inside, both).exact_p() <= 1
    assert Strata(rows, errors, inside, np.minimum(errors, inside)).exact_p() == SMALLEST_P


def test_a_confounded_group_is_cleared_and_a_masked_one_found():
    """Of a hard class with half wrong, and an easy one with a tenth wrong: the group only has more of the hard one."""
    hard, easy = (1000, 500, 800, 400), (1000, 100, 200, 20)
    assert strata(hard, easy).exact_p() > 0.9
    assert strata(hard, easy).odds_ratio() == pytest.approx(1)
    assert strata(hard, easy).expected_rate() == pytest.approx(0.42)
    together = strata(tuple(np.sum([hard, easy], axis=0)))
    assert together.exact_p() < 1e-9
    masked = strata((1000, 500, 200, 130), (1000, 100, 800, 95))
    assert masked.exact_p() < 1e-6
    assert masked.odds_ratio() > 1.5


def test_counts_of_rows():
    inside, wrong = np.array([1, 1, 0, 0, 1], bool), np.array([1, 0, 1, 0, 1], bool)
    found = Strata.of(inside, wrong, np.array([0, 0, 0, 2, 2]))
    assert [column.tolist() for column in (found.rows, found.errors, found.inside, found.both)] == [
        [3, 0, 2], [2, 0, 1], [2, 0, 1], [1, 0, 1],
    ]  # fmt: skip
    with pytest.raises(InputError, match="one value of each"):
        Strata.of(inside, wrong[:3], np.zeros(5, int))


@pytest.mark.parametrize(("errors", "rows"), [(0, 12), (3, 10), (50, 50), (700, 1000)])
def test_wilson_is_that_of_scipy(errors, rows):
    expected = stats.binomtest(errors, rows).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(errors, rows), [expected.low, expected.high], atol=1e-12)
    assert wilson(0, 0) == (0, 1)


def test_holm_of_nothing_and_of_ties():
    assert holm(np.array([])).tolist() == []
    np.testing.assert_allclose(holm(np.array([0.01, 0.01, 0.01, 0.9])), [0.04, 0.04, 0.04, 0.9])
    assert holm(np.array([0.6, 0.7])).tolist() == [1, 1]
