"""Several labels of one image in one text: `cat;dog`, `(no label)` for none of them, `?eel` where nobody answered."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

JOINT = ";"
NO_LABEL = "(no label)"
"""The word for an image that truly has none of the labels; the cell `;` says the same, an empty cell says nothing."""
UNANSWERED = "?"
"""Before a name: whether the image has this label is not known."""
_PLACE = re.compile(r"column ([1-9][0-9]{0,8}) of ([1-9][0-9]{0,8})")


def joined(names: Iterable[str], unanswered: Iterable[str] = ()) -> str:
    """Return labels as one text, each once.

    >>> joined(["cat", "dog", "cat"]), joined([], ["eel"]), joined([])
    ('cat;dog', '?eel', '(no label)')
    """
    return JOINT.join(dict.fromkeys((*names, *(UNANSWERED + name for name in unanswered)))) or NO_LABEL


def is_no_label(text: str) -> bool:
    """Whether a text says that an image has none of the labels.

    >>> is_no_label(" ; "), is_no_label("(no label)"), is_no_label(""), is_no_label("cat")
    (True, True, False, False)
    """
    plain = text.strip()
    return plain == NO_LABEL or (bool(plain) and not plain.strip(f"{JOINT} "))


def unwritable(name: str) -> str | None:
    """Say why a class name can't stand in a text of several labels; None where it can.

    >>> unwritable("cat"), unwritable("a;b"), unwritable(" cat")
    (None, None, 'begins or ends with a space, which is not kept')
    """
    if is_no_label(name):
        return "is what is written where an image has no label"
    return None if name == name.strip() else "begins or ends with a space, which is not kept"


def of_answers(names: Sequence[str], answers: Sequence[Any]) -> str | None:
    """Return the text of one answer a label: 1 has it, 0 has not, -1, NaN and None are no answer; None for no answers.

    >>> of_answers(["cat", "dog", "eel"], [1, 0, None]), of_answers(["cat"], [0]), of_answers(["cat"], [float("nan")])
    ('cat;?eel', '(no label)', None)
    """
    kinds = [answered(one) for one in answers]
    if all(kind is None for kind in kinds):
        return None
    pairs = list(zip(names, kinds, strict=True))
    return joined((name for name, kind in pairs if kind), (name for name, kind in pairs if kind is None))


def of_row(answers: Sequence[Any]) -> str | None:
    """Return the text of one answer a class, as `of_answers`, where the classes are known by their order alone.

    They are called by their place, not by a number: a class may be called "1" and not be the second.

    >>> of_row([1, 0, -1]), of_row([0, 0]), of_row([None, -1])
    ('column 1 of 3;?column 3 of 3', '(no label)', None)
    """
    return of_answers([f"column {k} of {len(answers)}" for k in range(1, len(answers) + 1)], answers)


def place(name: str) -> tuple[int, int] | None:
    """Return which column of how many `of_row` named so, from 0; None for another name.

    >>> place("column 3 of 3"), place("cat")
    ((2, 3), None)
    """
    found = _PLACE.fullmatch(name)
    return (int(found[1]) - 1, int(found[2])) if found else None


def answered(value: Any) -> bool | None:
    """Return what one cell says; None for no answer. ValueError for anything but 0, 1, -1 and nothing."""
    if value is None or value in (-1, "", "-1"):
        return None
    number = float(value)
    if math.isnan(number) or number == -1:
        return None
    if number not in (0, 1):
        raise ValueError(f"{value!r} is neither 0 nor 1, nor -1 for no answer")
    return number == 1
