"""Who gets which image: never two people the same, unless a second look is asked for."""

from collections import Counter

import pytest

from uncertainty.service.desk.turns import How, Person, Turns, TurnSettings

ANN, BEN = Person("1", "ann"), Person("2", "ben")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def items(found):
    return [item for item, _ in found]


def work(turns, who, n):
    """Answer so many images one after another; return how each one came."""
    told = []
    for _ in range(n):
        (item, how), *_ = turns.take(who, 2)
        turns.answered(item, who.annotator)
        told.append((item, how))
    return told


def test_two_people_never_hold_or_answer_the_same_image():
    turns = Turns(range(50), range(50)[::-1], TurnSettings(explore=0.3))
    seen = Counter()
    for k in range(50):
        who, other = (ANN, BEN) if k % 3 else (BEN, ANN)
        held = turns.take(who, 3)
        assert not set(items(held)) & set(items(turns.take(other, 3)))
        if not held:
            held, who = turns.take(other, 3), other
        turns.answered(held[0][0], who.annotator)
        seen[held[0][0]] += 1
    assert seen == Counter(range(50))
    assert turns.take(ANN, 1) == turns.take(BEN, 1) == []


def test_a_lease_that_expires_goes_to_somebody_else_and_one_that_is_used_does_not():
    clock = Clock()
    turns = Turns([4, 5, 6], [4, 5, 6], TurnSettings(seconds=10), clock)
    assert items(turns.take(ANN, 2)) == [4, 5]
    clock.now = 9
    assert items(turns.take(ANN, 2)) == [4, 5]
    clock.now = 18
    assert items(turns.take(BEN, 2)) == [6]
    clock.now = 20
    assert items(turns.take(BEN, 3)) == [6, 4, 5]
    assert turns.lease(4).annotator == "ben"
    assert turns.open(4, ANN) is False


def test_the_share_that_is_drawn_is_as_asked_after_any_number():
    turns = Turns(range(1000), [*range(500, 1000), *range(500)], TurnSettings(explore=0.2))
    told = work(turns, ANN, 100)
    drawn = [k + 1 for k, (_, how) in enumerate(told) if how is How.DRAWN]
    assert drawn == list(range(5, 101, 5))
    assert [item for item, how in told if how is How.DRAWN] == list(range(500, 520))
    assert [item for item, how in told if how is How.RANKED] == list(range(80))


def test_a_skipped_image_is_for_others_until_he_wants_it_again():
    turns = Turns([1, 2], [1, 2])
    turns.take(ANN, 1)
    turns.skipped(1, "ann")
    assert items(turns.take(ANN, 2)) == [2]
    assert items(turns.take(BEN, 2)) == [1]
    turns.answered(2, "ann")
    assert turns.take(ANN, 2) == []
    assert turns.skipped_by("ann") == 1
    turns.skipped(1, "ben")
    turns.again("ann")
    assert items(turns.take(ANN, 2)) == [1]


def test_a_second_look_is_by_somebody_else_and_once():
    turns = Turns([1, 2, 3], [1, 2, 3], TurnSettings(second={1, 3}))
    assert work(turns, ANN, 3) == [(1, How.RANKED), (2, How.RANKED), (3, How.RANKED)]
    assert turns.take(ANN, 3) == []
    assert work(turns, BEN, 2) == [(1, How.SECOND), (3, How.SECOND)]
    assert turns.take(BEN, 3) == turns.take(Person("3", "cem"), 3) == []


def test_what_is_taken_back_comes_first_and_the_queue_goes_on():
    turns = Turns(range(9), range(9))
    work(turns, ANN, 3)
    assert items(turns.take(ANN, 2)) == [3, 4]
    turns.withdrawn(2, "ann")
    assert turns.open(2, ANN, How.RANKED)
    assert items(turns.take(ANN, 3)) == [2, 3, 4]
    turns.answered(2, "ann")
    assert work(turns, ANN, 6) == [(k, How.RANKED) for k in range(3, 9)]


@pytest.mark.parametrize("explore", [0.0, 0.5, 1.0])
def test_every_image_comes_to_the_end(explore):
    turns = Turns(range(20), [7, *(k for k in range(20) if k != 7)], TurnSettings(explore=explore))
    assert sorted(item for item, _ in work(turns, ANN, 20)) == list(range(20))


def test_what_is_ahead_is_not_answered_yet_whoever_holds_it():
    turns = Turns([3, 1, 2], [1, 2, 3])
    turns.take(ANN, 2)
    assert turns.ahead(5) == [3, 1, 2]
    turns.answered(1, "ann")
    assert turns.ahead(5) == [3, 2]
