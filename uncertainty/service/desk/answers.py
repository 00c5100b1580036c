"""What a person can say of an image, and whether it makes the classifier wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from uncertainty.errors import InputError
from uncertainty.images.label_text import joined
from uncertainty.labels.meaning import NO_KNOWN_CLASS
from uncertainty.labels.tables import split
from uncertainty.outputs import Task


class Kind(StrEnum):
    """Kinds of answers; `skip` is none, only a wish not to see this image now."""

    CLASS = "class"
    UNKNOWN = "unknown"
    UNUSABLE = "unusable"
    SKIP = "skip"


@dataclass(frozen=True)
class Answer:
    """One answer: its kind, and the label as `evaluate` reads it ("" for an unusable or skipped image)."""

    kind: Kind
    label: str = ""

    @property
    def judged(self) -> bool:
        """Whether it says if the classifier was right."""
        return self.kind in (Kind.CLASS, Kind.UNKNOWN)


@dataclass(frozen=True)
class Vocabulary:
    """The classes that can be chosen, in the order of the classifier, and how many an image has."""

    classes: tuple[str, ...]
    task: Task = "multiclass"

    def answer(self, kind: Kind, chosen: Sequence[int] = ()) -> Answer:
        """Return an answer from positions of classes; InputError for positions or numbers of them that there are not.

        >>> Vocabulary(("cat", "dog")).answer(Kind.CLASS, [1]), Vocabulary(("cat",)).answer(Kind.UNKNOWN).label
        (Answer(kind=<Kind.CLASS: 'class'>, label='dog'), '(no known class)')
        >>> Vocabulary(("cat", "dog"), "multilabel").answer(Kind.CLASS, [1, 0]).label
        'cat;dog'
        """
        if kind is Kind.UNKNOWN:
            return Answer(kind, NO_KNOWN_CLASS)
        if kind is not Kind.CLASS:
            return Answer(kind)
        if bad := [k for k in chosen if not 0 <= k < len(self.classes)]:
            raise InputError(f"there is no class {bad[0]}; classes are numbered from 0 to {len(self.classes) - 1}")
        if self.task == "multiclass" and len(chosen) != 1:
            raise InputError(f"{len(chosen)} classes were chosen; these images have one class each")
        return Answer(kind, joined(self.classes[k] for k in sorted(set(chosen))))

    def positions(self, label: str | None) -> list[int]:
        """Return the positions of the classes that a joined label names, as far as they are known.

        >>> Vocabulary(("cat", "dog"), "multilabel").positions("dog;eel")
        [1]
        """
        number = {name: k for k, name in enumerate(self.classes)}
        names = split(label, frozenset(number)) if self.task == "multilabel" else [label or ""]
        return [number[name] for name in names if name in number]

    def wrong(self, predicted: str | None, answer: Answer) -> bool:
        """Whether a prediction is wrong, by an answer that is `judged`.

        >>> Vocabulary(("a", "b"), "multilabel").wrong("b;a", Answer(Kind.CLASS, "a;b"))
        False
        """
        if self.task == "multilabel" and answer.kind is Kind.CLASS:
            known = frozenset(self.classes)
            return set(split(predicted, known)) != set(split(answer.label, known))
        return predicted != answer.label
