import numpy as np
import pytest

from uncertainty.combination.mixture import expit
from uncertainty.combination.platt_scaling import PlattScaling


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-0.5, 1.6), (0.8, 0.5)])
def test_finds_level_and_slope_of_many_rows(intercept, slope):
    rng = np.random.default_rng(3)
    log_odds = rng.normal(0, 2, 20_000)
    hit = rng.random(20_000) < expit(intercept + slope * log_odds)
    found = PlattScaling.fit(log_odds, hit, np.ones(20_000), 10.0)
    assert (found.intercept, found.slope) == pytest.approx((intercept, slope), abs=0.06)


def test_few_rows_change_little_and_none_nothing():
    one = PlattScaling.fit(np.array([-2.0]), np.array([True]), np.ones(1), 10.0)
    assert 0 < one.intercept < 0.1
    assert 0.8 < one.slope < 1
    assert PlattScaling.fit(np.empty(0), np.empty(0, dtype=bool), np.empty(0), 10.0) == PlattScaling()


def test_ranks_are_never_turned_round():
    log_odds = np.linspace(-3, 3, 500)
    assert PlattScaling.fit(log_odds, log_odds < 0, np.ones(500), 0.1).slope == 0
