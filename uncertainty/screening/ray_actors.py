"""Actors of Ray that come and go: what a lost one was at is given to another, and a new one takes its place.

Nothing is asked of Ray but to place an actor and to say that one is lost, be it a process, a machine or the memory.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from uncertainty.errors import InputError

ATTEMPTS = 3
"""So often a piece of work may end the actor that is at it."""
MOST_GIVEN_UP = 3
PATIENCE = 120.0
"""Seconds that a cluster may be without a machine for an actor, before the screening ends."""
_LOOK_EVERY = 1.0


class Done(NamedTuple):
    """What came of a piece of work; `answer` is None where it ended its actors so often as it may."""

    work: int
    answer: Any


@dataclass
class _Seat:
    """An actor, what it was asked and did not answer yet, and for which piece of work; None: whether it has begun."""

    actor: Any
    asked: Any
    work: int | None = None


@dataclass
class RayActors:
    """So many actors, made by `make`, which have `ready()` and `judge(work, given)`; each `needs` so much of a machine.

    A lost actor is replaced as often as there is progress: without any between, `ATTEMPTS` times for each actor and for
    each piece of work that may be given up.
    """

    ray: Any
    make: Callable[[], Any]
    count: int
    needs: tuple[str, float] = ("CPU", 1.0)
    patience: float = PATIENCE
    _seats: list[_Seat] = field(default_factory=list)
    _again: deque[int] = field(default_factory=deque)
    _attempts: Counter[int] = field(default_factory=Counter)
    _lost: int = 0
    _why: str = ""

    def work(self, pieces: Iterator[int], given: Callable[[int], Any]) -> Iterator[Done]:
        """Yield what came of each piece, in any order; `given` returns what an actor needs for it.

        Raises InputError: the cluster can't go on, or an actor raised what none should.
        """
        self._seats = [self._seat() for _ in range(self.count)]
        since = time.monotonic()
        while self._seats:
            for seat in self._answered():
                done = self._taken(seat)
                if done is not None:
                    yield done
                    since = time.monotonic()
                self._go_on(seat, pieces, given)
            if any(seat.work is not None for seat in self._seats) or self._has_room():
                since = time.monotonic()
            elif time.monotonic() - since > self.patience:
                raise InputError(self._ended(f"it had no machine for an actor for {self.patience:g} s"))

    def _has_room(self) -> bool:
        """Whether any machine is there for an actor, be it busy with something else."""
        kind, each = self.needs
        return bool(self.ray.cluster_resources().get(kind, 0) >= each)

    def dismiss(self) -> None:
        """End all actors."""
        for seat in self._seats:
            self.ray.kill(seat.actor)

    def _seat(self) -> _Seat:
        actor = self.make()
        return _Seat(actor, actor.ready.remote())

    def _answered(self) -> list[_Seat]:
        by_question = {seat.asked: seat for seat in self._seats}
        ready, _ = self.ray.wait(list(by_question), num_returns=len(by_question), timeout=0)
        if not ready:
            ready, _ = self.ray.wait(list(by_question), num_returns=1, timeout=_LOOK_EVERY)
        return [by_question[one] for one in ready]

    def _taken(self, seat: _Seat) -> Done | None:
        """Return what a piece of work came to; None where the actor only begins, or is lost and others may try."""
        work = seat.work
        try:
            answer = self.ray.get(seat.asked)
        except self.ray.exceptions.RayTaskError as error:
            raise InputError(f"Ray ended the screening ({last_line(error)}); go on with --resume") from error
        except self.ray.exceptions.RayError as error:
            self._why = last_line(error)
            self._replace(seat)
            return None if work is None else self._tried(work)
        seat.asked = seat.work = None
        if work is None:
            return None
        self._lost = 0
        return Done(work, answer)

    def _replace(self, seat: _Seat) -> None:
        self._lost += 1
        if self._lost > ATTEMPTS * (self.count + MOST_GIVEN_UP):
            raise InputError(self._ended(f"{self._lost} actors were lost in a row, and nothing was done between"))
        self.ray.kill(seat.actor)
        new = self._seat()
        seat.actor, seat.asked, seat.work = new.actor, new.asked, None

    def _tried(self, work: int) -> Done | None:
        self._attempts[work] += 1
        if self._attempts[work] >= ATTEMPTS:
            return Done(work, None)
        self._again.append(work)
        return None

    def _go_on(self, seat: _Seat, pieces: Iterator[int], given: Callable[[int], Any]) -> None:
        """Give an actor that waits the next piece; one for which there is none is let go."""
        if seat.asked is not None:
            return
        work = self._again.popleft() if self._again else next(pieces, None)
        if work is None:
            self._seats.remove(seat)
            self.ray.kill(seat.actor)
        else:
            seat.asked, seat.work = seat.actor.judge.remote(work, given(work)), work

    def _ended(self, what: str) -> str:
        dead = [node for node in self.ray.nodes() if not node["Alive"]]
        names = ", ".join(f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})" for node in dead)
        gone = f"; machines that died: {names}" if dead else ""
        last = f"; the last actor: {self._why}" if self._why else ""
        return f"the Ray cluster can't go on: {what}{gone}{last}; what is done is kept, go on with --resume"


def last_line(error: BaseException) -> str:
    """Return what an error of Ray says in the end; before it stand the lines of other processes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
