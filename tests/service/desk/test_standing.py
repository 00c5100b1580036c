"""What a review says of itself: counts, what differs, and the accuracy of all images from those that were drawn."""

import numpy as np
import pytest

from uncertainty.service.desk.answers import Answer, Kind, Vocabulary
from uncertainty.service.desk.standing import Screened, agreed, inclusion, settled, standing
from uncertainty.service.desk.store import Saved
from uncertainty.service.desk.turns import Person, Turns, TurnSettings

N = 10
PETS = Vocabulary(("cat", "dog"))


def screened(predicted=None, p=None, order=range(N), vocabulary=PETS):
    places = np.full(N, -1)
    places[list(order)] = np.arange(len(order))
    p = np.linspace(0.9, 0.0, N) if p is None else p
    return Screened([f"{i}.png" for i in range(N)], predicted or ["cat"] * N, p, places, vocabulary, 10)


def answers(*given):
    """(item, annotator, label or Kind, how) in the order of time."""
    told = [
        (item, who, said if isinstance(said, Kind) else Kind.CLASS, "" if isinstance(said, Kind) else said, how)
        for item, who, said, how in given
    ]
    return [
        Saved(k, item, who, Answer(kind, label), how, "t", 1.0) for k, (item, who, kind, label, how) in enumerate(told)
    ]


def test_found_errors_are_of_images_on_which_people_agree():
    told = answers(
        (0, "ann", "dog", "ranked"),
        (1, "ann", "cat", "ranked"),
        (2, "ann", "dog", "ranked"),
        (2, "ben", "cat", "ranked"),
        (3, "ann", Kind.UNUSABLE, "ranked"),
        (4, "ann", Kind.SKIP, "ranked"),
    )
    found = standing(screened(), told, range(5, N), 0.05)
    assert (found.found, found.expected.n, found.unusable, found.differing) == (1, 2, 1, (2,))
    assert found.expected.errors == pytest.approx(0.9 + 0.8)
    assert found.people == {"ann": 4, "ben": 1}
    assert found.left == pytest.approx(np.linspace(0.9, 0.0, N)[4:].sum())
    assert found.outlook is found.accuracy is None


def test_several_labels_are_the_same_in_any_order():
    several = screened(["dog;cat"] * N, vocabulary=Vocabulary(("cat", "dog"), "multilabel"))
    done, differing = settled(several, answers((0, "ann", "cat;dog", "ranked"), (0, "ben", "dog;cat", "ranked")))
    assert (done.wrong.tolist(), differing) == ([False], [])


def test_images_gone_through_count_as_they_are_and_drawn_ones_for_the_rest():
    told = answers(
        (0, "a", "cat", "ranked"), (1, "a", "cat", "ranked"), (8, "a", "cat", "drawn"), (1, "b", "cat", "ranked")
    )
    rows = np.array([0, 1, 8])
    assert inclusion(screened(), told, rows).tolist() == [1.0, 1.0, 1 / 8]
    passed_by = answers((0, "a", "cat", "drawn"), (1, "a", "cat", "ranked"))
    assert inclusion(screened(), passed_by, np.array([0, 1])) is None
    everything = answers(*((k, "a", "cat", "ranked") for k in range(N)))
    assert inclusion(screened(), everything, np.arange(N)).tolist() == [1.0] * N


def test_agreement_is_of_images_that_two_people_did():
    told = answers((0, "ann", "cat", "ranked"), (0, "ben", "cat", "ranked"), (1, "ann", "dog", "ranked"))
    told += answers((1, "ben", "dog", "ranked"), (2, "ann", "dog", "ranked"))
    (one,) = agreed(screened(), told)
    assert (one.pair, one.n, one.observed) == (("ann", "ben"), 2, 1.0)


@pytest.mark.simulation
@pytest.mark.parametrize("stop_at", [60, 150, 300])
def test_accuracy_of_all_images_is_covered_wherever_review_stops(stop_at):
    """p_wrong tells little of the truth, and stands in no relation to its level: the draw alone must carry it."""
    n, rng, inside, values = 600, np.random.default_rng(stop_at), 0, []
    for seed in range(300):
        p = rng.random(n)
        wrong = rng.random(n) < 0.05 + 0.25 * p
        order = np.argsort(-p).tolist()
        places = np.empty(n, dtype=np.int64)
        places[order] = np.arange(n)
        turns = Turns(order, np.random.default_rng([seed, 2]).permutation(n).tolist(), TurnSettings(explore=0.3))
        told = []
        for k in range(stop_at):
            item, how = turns.take(Person("1", "ann"), 1)[0]
            turns.answered(item, "ann")
            label = Answer(Kind.CLASS, "dog" if wrong[item] else "cat")
            told.append(Saved(k, item, "ann", label, how.value, "t", None))
        seen = Screened(["x"] * n, ["cat"] * n, p, places, Vocabulary(("cat", "dog")), 60)
        found = standing(seen, told, turns.ahead(50), 0.05).accuracy
        values.append(found.accuracy - (1 - wrong.mean()))
        inside += found.low <= 1 - wrong.mean() <= found.high
    assert inside >= 278  # 95 % but for chance
    assert abs(np.mean(values)) < 0.01
