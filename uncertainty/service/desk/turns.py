"""Whose turn an image is: leases that expire, so that several people never look at the same image unasked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic

from uncertainty.defaults import LEASE


class How(StrEnum):
    """How an image came to a person: by the ranking, by the draw, as a second look, or because he opened it himself.

    Answers are kept with how the image first came to anybody, the ranking or the draw.
    """

    RANKED = "ranked"
    DRAWN = "drawn"
    SECOND = "second"
    OPENED = "opened"


@dataclass(frozen=True)
class Lease:
    """Who has an image until when, by a clock that nobody sets, and how he came to it."""

    holder: str
    annotator: str
    until: float
    how: How


@dataclass(frozen=True)
class Person:
    """Who asks: one open page (`holder`), and the name that answers are kept under."""

    holder: str
    annotator: str


@dataclass(frozen=True)
class TurnSettings:
    """How images are handed out.

    Parameters
    ----------
    explore : share of the images handed out that is drawn evenly from all.
    second : the images that a second person is to see, blind.
    seconds : after which an image that nobody answered goes to somebody else.

    """

    explore: float = 0.0
    second: Collection[int] = ()
    seconds: float = LEASE


@dataclass(eq=False)
class Turns:
    """Hands out images; `order` as they are ranked, `draw` the same in random order.

    Not safe for several threads at once: the desk holds a lock.

    >>> turns = Turns([5, 7, 9], [9, 5, 7], clock=lambda: 0.0)
    >>> ann, ben = Person("1", "ann"), Person("2", "ben")
    >>> turns.take(ann, 2), turns.take(ben, 2)
    ([(5, <How.RANKED: 'ranked'>), (7, <How.RANKED: 'ranked'>)], [(9, <How.RANKED: 'ranked'>)])
    """

    order: Sequence[int]
    draw: Sequence[int]
    settings: TurnSettings = field(default_factory=TurnSettings)
    clock: Callable[[], float] = monotonic

    def __post_init__(self) -> None:
        self._leases: dict[int, Lease] = {}
        self._done: dict[int, set[str]] = {}
        self._skipped: dict[str, set[int]] = {}
        self._handed: Counter[How] = Counter()
        self._fronts = {How.RANKED: 0, How.DRAWN: 0}
        self._second = set(self.settings.second)
        self._waiting: dict[int, str] = {}  # images of the second look that one person has answered

    def take(self, who: Person, count: int) -> list[tuple[int, How]]:
        """Return up to `count` images for a person, those first that he has already; leases begin anew."""
        self._expire()
        mine = [(item, lease.how) for item, lease in self._leases.items() if lease.holder == who.holder]
        while len(mine) < count and (found := self._next(who)) is not None:
            mine.append(found)
            self._handed[found[1]] += 1
            self._lend(found[0], who, found[1])
        for item, how in mine:
            self._lend(item, who, how)
        return mine[:count]

    def lease(self, item: int) -> Lease | None:
        """Return who has an image now; None where nobody has."""
        self._expire()
        return self._leases.get(item)

    def open(self, item: int, who: Person, how: How = How.OPENED) -> bool:
        """Lend an image to a person who asks for this one; False where somebody else has it."""
        held = self.lease(item)
        if held is not None and held.holder != who.holder:
            return False
        self._lend(item, who, how if held is None else held.how)
        # Whoever took it back sees it before what he had been lent ahead.
        self._leases = {item: self._leases.pop(item), **self._leases}
        return True

    def answered(self, item: int, annotator: str) -> None:
        """Note that a person has said what an image is."""
        self._leases.pop(item, None)
        self._skipped.get(annotator, set()).discard(item)
        people = self._done.setdefault(item, set())
        people.add(annotator)
        self._waiting.pop(item, None)
        if item in self._second and len(people) == 1:
            self._waiting[item] = annotator

    def skipped(self, item: int, annotator: str) -> None:
        """Note that a person would rather not look at this image; others may."""
        self._leases.pop(item, None)
        self._skipped.setdefault(annotator, set()).add(item)

    def withdrawn(self, item: int, annotator: str) -> None:
        """Note that a person took back what he said of an image."""
        self._skipped.get(annotator, set()).discard(item)
        people = self._done.get(item, set())
        people.discard(annotator)
        self._waiting.pop(item, None)
        if not people:
            self._done.pop(item, None)
            self._fronts = {How.RANKED: 0, How.DRAWN: 0}
        elif item in self._second and len(people) == 1:
            self._waiting[item] = next(iter(people))

    def again(self, annotator: str) -> None:
        """Let a person see what he skipped once more."""
        self._skipped.pop(annotator, None)

    def said(self, item: int) -> frozenset[str]:
        """Return who has answered for an image."""
        return frozenset(self._done.get(item, ()))

    def ahead(self, count: int) -> list[int]:
        """Return the next images of the ranking that nobody has answered, whoever holds them."""
        found = (item for item in self._from(self.order, How.RANKED) if item not in self._done)
        return [item for item, _ in zip(found, range(count), strict=False)]

    def skipped_by(self, annotator: str) -> int:
        """Return how many images a person has skipped that nobody has answered."""
        return len(self._skipped.get(annotator, set()) - self._done.keys())

    def _lend(self, item: int, who: Person, how: How) -> None:
        self._leases[item] = Lease(who.holder, who.annotator, self.clock() + self.settings.seconds, how)

    def _expire(self) -> None:
        now = self.clock()
        for item in [item for item, lease in self._leases.items() if lease.until <= now]:
            del self._leases[item]

    def _next(self, who: Person) -> tuple[int, How] | None:
        if (item := self._second_look(who)) is not None:
            return item, How.SECOND
        first = How.DRAWN if self._draws() else How.RANKED
        for how in (first, How.RANKED):
            places = self.draw if how is How.DRAWN else self.order
            skipped = self._skipped.get(who.annotator, set())
            for item in self._from(places, how):
                if item not in self._done and item not in self._leases and item not in skipped:
                    return item, how
        return None

    def _draws(self) -> bool:
        """Whether the next image is a drawn one, so that after any number of them the share is as asked."""
        handed = self._handed[How.RANKED] + self._handed[How.DRAWN]
        return self._handed[How.DRAWN] + 1 <= self.settings.explore * (handed + 1)

    def _second_look(self, who: Person) -> int | None:
        free = (item for item, first in self._waiting.items() if first != who.annotator and item not in self._leases)
        return next((item for item in free if item not in self._skipped.get(who.annotator, set())), None)

    def _from(self, places: Sequence[int], how: How) -> Iterator[int]:
        """Yield the images from the first on that is not done, so that a long queue is not walked again and again."""
        front = self._fronts[how]
        while front < len(places) and places[front] in self._done:
            front += 1
        self._fronts[how] = front
        return (places[k] for k in range(front, len(places)))
