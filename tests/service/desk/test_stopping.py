"""When review is said not to be worth it any more, and how often that is said too soon."""

import numpy as np
import pytest

from uncertainty.service.desk.stopping import FEWEST, NEXT, outlook

FLOOR = 0.05
DRAWS = 300


def told(ahead, answered, wrong, errors=50):
    return outlook(np.full(100, ahead), np.full(len(wrong), answered), np.array(wrong, dtype=bool), FLOOR, errors)


def test_too_few_answers_say_nothing_and_an_empty_ranking_says_stop():
    few = np.zeros(FEWEST - 1, dtype=bool)
    assert told(0.01, 0.5, few) is None
    end = outlook(np.empty(0), np.full(3, 0.5), np.ones(3, dtype=bool), FLOOR)
    assert end.stop
    assert end.words() == "Every image of the ranking has an answer."


def test_what_was_found_moves_what_is_expected():
    as_said, twice, never = (told(0.03, 0.2, np.arange(100) < k) for k in (20, 40, 0))
    assert as_said.share == pytest.approx(0.03)
    assert twice.share == pytest.approx(0.03 * (10 + 40) / (10 + 20))
    assert never.share < as_said.share < twice.share
    assert (as_said.stop, twice.stop, never.stop) == (True, False, True)
    assert as_said.words().startswith("Further review is not worth it: of the next 50 images about 3.0% should be")


def test_p_wrong_learnt_from_few_errors_is_believed_less():
    few, many = (told(0.033, 0.2, np.arange(30) < 6, errors) for errors in (2, 10))
    assert few.share == pytest.approx(many.share)
    assert few.high > FLOOR > many.high
    assert not few.stop
    assert many.stop
    assert told(0.033, 0.2, np.arange(30) < 6, None).high > few.high


def test_only_the_last_answers_say_how_far_off_p_wrong_is():
    early = np.r_[np.ones(300, dtype=bool), np.zeros(100, dtype=bool)]
    assert told(0.03, 0.2, early).share == told(0.03, 0.2, np.zeros(100, dtype=bool)).share


@pytest.mark.simulation
@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_it_is_seldom_too_soon_to_stop(factor):
    """Reviews until the rule says stop, p_wrong off by a factor: the true share of what is next lies below the line."""
    rng, too_soon, stopped = np.random.default_rng(0), 0, 0
    for _ in range(DRAWS):
        p = -np.sort(-rng.beta(0.4, 6, 600))
        true = np.clip(factor * p, 0, 1)
        wrong = rng.random(600) < true
        for k in range(FEWEST, 550, 5):
            found = outlook(p[k:], p[:k], wrong[:k], FLOOR, 60)
            if found.stop:
                stopped += 1
                too_soon += true[k : k + NEXT].mean() >= FLOOR
                break
    assert stopped == DRAWS
    assert too_soon / stopped < {0.7: 0.01, 1.0: 0.05, 1.5: 0.35}[factor]
