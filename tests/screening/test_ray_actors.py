"""Actors that are lost are replaced, as long as there is progress; what ends them again and again is given up."""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from uncertainty.errors import InputError
from uncertainty.screening.ray_actors import ATTEMPTS, MOST_GIVEN_UP, Done, RayActors


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


@dataclass(eq=False)
class Question:
    asked: tuple
    place: bool


class Ray:
    """What is asked of Ray, without processes: `fate` says what comes of a question, `places` how many actors begin."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, fate=lambda work: work, places=99):
        self.fate, self.places, self.made, self.killed, self.asked = fate, places, 0, 0, Counter()

    def make(self):
        self.made += 1
        place = self.made <= self.places
        remote = SimpleNamespace(remote=lambda *asked: Question(asked, place))
        return SimpleNamespace(ready=remote, judge=remote)

    def wait(self, questions, num_returns, timeout):
        assert num_returns <= len(questions)
        return [one for one in questions if one.place][:1], []

    def get(self, question):
        if not question.asked:
            return True
        self.asked[question.asked[0]] += 1
        answer = self.fate(question.asked[0])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor):
        self.killed += 1

    def nodes(self):
        dead = {"Alive": False, "NodeManagerHostname": "rack-7", "NodeID": "abcdef0123456789"}
        return [dead, {"Alive": True, "NodeManagerHostname": "rack-8", "NodeID": "f"}]

    def cluster_resources(self):
        return {"CPU": float(self.made <= self.places)}


def worked(ray, pieces, count=2, **options):
    actors = RayActors(ray, ray.make, count, **options)
    return list(actors.work(iter(range(pieces)), lambda work: None))


def test_each_piece_is_done_once():
    ray = Ray()
    assert sorted(worked(ray, 7)) == [Done(work, work) for work in range(7)]
    assert (ray.made, ray.killed) == (2, 2)
    assert set(ray.asked.values()) == {1}


def test_what_a_lost_actor_was_at_is_done_by_another():
    lost = iter([True, False, True])
    ray = Ray(lambda work: RayError("gone") if work == 3 and next(lost, False) else work)
    assert sorted(worked(ray, 5)) == [Done(work, work) for work in range(5)]
    assert ray.asked == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1}
    assert ray.made == 3


def test_what_ends_its_actors_again_and_again_is_given_up():
    ray = Ray(lambda work: RayError("no memory") if work == 1 else work)
    assert sorted(worked(ray, 4, count=1)) == [Done(0, 0), Done(1, None), Done(2, 2), Done(3, 3)]
    assert ray.asked[1] == ATTEMPTS


def test_restarts_end_where_nothing_is_done_between():
    ray = Ray(lambda work: RayError("one\nthe last line"))
    why = "13 actors were lost in a row, and nothing was done between"
    last = r"machines that died: rack-7 \(abcdef01\); the last actor: the last line; what is done is kept"
    with pytest.raises(InputError, match=f"^the Ray cluster can't go on: {why}; {last}"):
        worked(ray, 50, count=1)
    assert ray.made <= 1 + ATTEMPTS * (1 + MOST_GIVEN_UP)


def test_a_cluster_without_a_machine_is_waited_for_and_then_named():
    with pytest.raises(InputError, match="it had no machine for an actor for 0 s; machines that died: rack-7"):
        worked(Ray(places=0), 3, patience=0.0)


def test_an_error_of_the_actor_itself_is_no_loss():
    with pytest.raises(InputError, match=r"^Ray ended the screening \(a bug\); go on with --resume$"):
        worked(Ray(lambda work: RayTaskError("Traceback\na bug")), 3)
