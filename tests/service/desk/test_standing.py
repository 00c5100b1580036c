"""What a review says of itself: counts, what differs, and the accuracy of all images from those that were drawn."""

from contextlib import suppress

import numpy as np
import pytest

from uncertainty.service.desk.answers import Answer, Kind, Vocabulary
from uncertainty.service.desk.counted import Counted, Screened
from uncertainty.service.desk.desk import TakenError
from uncertainty.service.desk.plan import Plan
from uncertainty.service.desk.standing import agreed, standing
from uncertainty.service.desk.store import Saved
from uncertainty.service.desk.turns import How, Person, Turns, TurnSettings

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
    found = standing(Counted(screened(), told), range(5, N), 0.05)
    assert (found.found, found.expected.n, found.unusable, found.differing) == (1, 2, 1, (2,))
    assert found.expected.errors == pytest.approx(0.9 + 0.8)
    assert found.people == {"ann": 4, "ben": 1}
    assert found.left == pytest.approx(np.linspace(0.9, 0.0, N)[4:].sum())
    assert found.outlook is found.accuracy is None


def test_several_labels_are_the_same_in_any_order():
    several = screened(["dog;cat"] * N, vocabulary=Vocabulary(("cat", "dog"), "multilabel"))
    told = Counted(several, answers((0, "ann", "cat;dog", "ranked"), (0, "ben", "dog;cat", "ranked")))
    assert (told.wrong(told.settled()).tolist(), told.differing()) == ([False], ())


def test_images_gone_through_count_as_they_are_and_drawn_ones_for_the_rest():
    told = answers(
        (0, "a", "cat", "ranked"), (1, "a", "cat", "ranked"), (8, "a", "cat", "drawn"), (1, "b", "cat", "ranked")
    )
    rows = np.array([0, 1, 8])
    assert Counted(screened(), told).inclusion(rows).tolist() == [1.0, 1.0, 1 / 8]
    passed_by = answers((0, "a", "cat", "drawn"), (1, "a", "cat", "ranked"))
    assert Counted(screened(), passed_by).inclusion(np.array([0, 1])) is None
    everything = answers(*((k, "a", "cat", "ranked") for k in range(N)))
    assert Counted(screened(), everything).inclusion(np.arange(N)).tolist() == [1.0] * N
    rest = ((k, "a", "cat", "ranked") for k in range(1, N))
    usable = answers((0, "a", Kind.UNUSABLE, "ranked"), *rest)
    assert Counted(screened(), usable).inclusion(np.arange(1, N)).tolist() == [1.0] * (N - 1)
    assert Counted(screened(), usable[:-1]).inclusion(np.arange(1, N - 1)) is None


def test_standing_brought_up_to_date_is_the_one_counted_anew(desk_of):
    """Two people answer, differ, skip, change their minds and take back, by chance; both are compared at each step."""
    desk, rng = desk_of(12, plan=Plan(explore=0.3, second=0.3)), np.random.default_rng(0)
    people = [Person(desk.sign_in(name), name) for name in ("ann", "ben")]
    kinds = [Answer(Kind.CLASS, "cat"), Answer(Kind.CLASS, "dog"), Answer(Kind.UNUSABLE), Answer(Kind.SKIP)]
    seen = set()
    for step in range(150):
        who, said = people[rng.integers(2)], rng.random()
        if said < 0.7:
            given = sorted({one.item for one in desk.store.standing()})
            items = [(one["item"], How(one["how"])) for one in desk.take(who, 1)] if said < 0.5 else []
            items = items or [(k, How.OPENED) for k in given if desk.turns.open(k, who)][-1:]
            for item, how in items:
                desk.answer(who, item, kinds[rng.integers(4)], how)
        elif said < 0.95:
            with suppress(TakenError):  # the other one has the image by now; the answer is taken back all the same
                desk.undo(who)
        else:
            desk.again(who)
        anew = standing(Counted(desk.screened, desk.store.standing()), desk.turns.ahead(50), 0.05)
        assert desk.standing() == anew, step
        seen |= {name for name in ("found", "differing", "unusable", "accuracy") if getattr(anew, name)}
    assert seen == {"found", "differing", "unusable", "accuracy"}


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
        found = standing(Counted(seen, told), turns.ahead(50), 0.05).accuracy
        values.append(found.accuracy - (1 - wrong.mean()))
        inside += found.low <= 1 - wrong.mean() <= found.high
    assert inside >= 278  # 95 % but for chance
    assert abs(np.mean(values)) < 0.01
