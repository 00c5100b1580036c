"""Whether p_wrong alone tells that images are not like calibration: seldom by chance, and where errors double."""

import numpy as np
import pytest

from uncertainty.labels.unlike_calibration import more_errors


def drawn(rng, n, mean):
    return rng.beta(0.5, 0.5 * (1 - mean) / mean, n)


def test_alarms_are_rare_on_images_like_calibration_and_sure_where_errors_double():
    rng = np.random.default_rng(0)
    by_chance = [
        more_errors(drawn(rng, 300, 0.12), {"calibration": 500, "errors": int(rng.binomial(500, 0.12))})
        for _ in range(1000)
    ]
    assert sum(found is not None for found in by_chance) <= 5
    for _ in range(20):
        found = more_errors(drawn(rng, 300, 0.24), {"calibration": 500, "errors": 60})
        assert found is not None
        assert found.calibration == 0.12 < 0.18 < found.expected
    assert more_errors(drawn(rng, 300, 0.06), {"calibration": 500, "errors": 60}) is None


@pytest.mark.parametrize("on", [{}, {"calibration": 0, "errors": 0}, {"calibration": "500", "errors": 60}])
def test_nothing_is_said_where_nobody_knows_the_errors_of_calibration(on):
    assert more_errors(np.full(300, 0.9), on) is None


def test_a_few_images_say_nothing():
    on = {"calibration": 500, "errors": 10}
    assert more_errors(np.full(19, 0.9), on) is None
    assert more_errors(np.full(20, 0.9), on) is not None
