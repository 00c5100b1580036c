"""What a label means, the same in every door: a class by name, a class by position, no known class, or no truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.label_text import place
from uncertainty.outputs import UNKNOWN_CLASS

Label = str | int | None
NO_KNOWN_CLASS = "(no known class)"
"""The one label that says that the classifier can't be right; in arrays it is -1."""
NO_TRUTH = -2
"""In place of a position: the label says nothing that the classifier could be measured by."""
_EXAMPLES = 3


@dataclass(frozen=True)
class Meanings:
    """What each label that occurs means, as text: a position, UNKNOWN_CLASS or NO_TRUTH; and what there is to say."""

    positions: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def of(self, label: Label) -> int:
        """Return the position of one label.

        >>> meanings(["Cat", "fox"], ["cat", "dog"]).of("Cat")
        0
        """
        return NO_TRUTH if label is None else self.positions.get(_plain(label), NO_TRUTH)


@dataclass(frozen=True, eq=False)
class Resolved:
    """(n,) int64 positions of labels in the order of the images, and notes on those that were not plain names."""

    positions: NDArray[np.int64]
    notes: tuple[str, ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(n,) True where the label is a truth, "(no known class)" included."""
        return np.asarray(self.positions != NO_TRUTH)


def resolve(labels: Sequence[Label], classes: Sequence[str], of: str = "") -> Resolved:
    """Understand the labels of a whole set, which `of` names in the notes ("calibration").

    >>> found = resolve(["cat", " Dog ", "fox", "(no known class)", None], ["cat", "dog"])
    >>> found.positions.tolist()
    [0, 1, -2, -1, -2]
    >>> found.notes[0]
    "labels that differ from a class in case or Unicode form alone were taken for it: 'Dog' as 'dog'"
    >>> found.notes[1]
    "1 label is no class of the model and no truth, e.g. 'fox'; where it is true, call it '(no known class)'"
    """
    known = meanings(labels, classes)
    positions = np.array([known.of(label) for label in labels], dtype=np.int64)
    kind = f"{of} label" if of else "label"
    lost = Counter(
        _plain(label) for label, k in zip(labels, positions, strict=True) if k == NO_TRUTH and label is not None
    )
    notes = list(known.notes)
    if lost:
        verb = f"{kind} is" if lost.total() == 1 else f"{kind}s are"
        notes.append(
            f"{lost.total()} {verb} no class of the model and no truth, e.g. {_examples(lost)}; where it is true, call "
            f"it {NO_KNOWN_CLASS!r}"
        )
    if any(_are_several(label, classes) for label in lost):
        notes.append("some name several classes with ';' between; for several labels an image say task=multilabel")
    return Resolved(positions, tuple(notes))


def _are_several(label: str, classes: Sequence[str]) -> bool:
    parts = [part.strip() for part in label.split(";")]
    return len(parts) > 1 and all(part in classes for part in parts)


def meanings(labels: Iterable[Label], classes: Sequence[str]) -> Meanings:
    """Find what the labels of a set mean, all together: one set is written in one way.

    Labels are names first: trimmed and matched exactly, then without regard to case and Unicode form where one class
    alone fits. Where all labels are integers, also written as "1.0", and no class is called so, they are positions from
    0. What a row of zeros and ones says is a position, whatever the classes are called. A label that is neither is no
    truth.

    Raises InputError where integers can be read as names and as positions, and mean different classes; where they run
    from 1 to the number of classes; and where a row of zeros and ones is not as long as there are classes.

    >>> meanings([3, 1, 2], ["1", "2", "3"]).positions == {"3": 2, "1": 0, "2": 1}
    True
    >>> meanings([0, 2], ["cat", "dog", "eel"]).positions == {"0": 0, "2": 2}
    True
    >>> meanings(["0.0", "2.0"], ["cat", "dog", "eel"]).of("2.0")
    2
    """
    exact = {name: k for k, name in enumerate(classes)}
    told = dict.fromkeys(_plain(label) for label in labels if label is not None)
    places = _places([text for text in told if text not in exact], len(classes))
    given = [text for text in told if text not in places]
    whole = {text: text if text in exact else _whole(text) for text in given}
    known = _meanings(list(dict.fromkeys(whole.values())), classes, exact)
    again = {text: known.positions[number] for text, number in whole.items() if number in known.positions}
    return Meanings({**known.positions, **again, **places}, known.notes)


def _places(texts: Sequence[str], n_classes: int) -> dict[str, int]:
    """Return the positions of those that a row of zeros and ones was read as."""
    found = {text: at for text in texts if (at := place(text)) is not None}
    if (odd := next((width for _, width in found.values() if width != n_classes), None)) is not None:
        raise InputError(
            f"a label is a row of {odd} zeros and ones, and there are {n_classes} classes; give one for each class, in "
            "their order, or write class names"
        )
    return {text: k for text, (k, _) in found.items()}


def _meanings(texts: Sequence[str], classes: Sequence[str], exact: Mapping[str, int]) -> Meanings:
    found = {text: exact[text] for text in texts if text in exact}
    found |= {NO_KNOWN_CLASS: UNKNOWN_CLASS} if NO_KNOWN_CLASS in texts and NO_KNOWN_CLASS not in exact else {}
    rest = [text for text in texts if text not in found]
    numbers = {text: int(text) for text in texts if _is_number(text)}
    if numbers and len(numbers) == len(set(texts) - {NO_KNOWN_CLASS}):
        positions, notes = _integers(numbers, found, classes)
        return Meanings(found | positions, notes)
    alike = _alike(rest, classes)
    return Meanings(found | alike, _told(alike, classes))


def _integers(
    numbers: Mapping[str, int], named: Mapping[str, int], classes: Sequence[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the positions of integers that are no names; refuse those that could be either."""
    others = {text: k for text, k in numbers.items() if text not in named and k >= 0}
    valid = all(k < len(classes) for k in numbers.values() if k >= 0)
    differ = [text for text, k in numbers.items() if text in named and named[text] != k]
    if not differ and not others:
        return {}, ()
    if differ and others and valid:
        raise InputError(
            f"the labels are integers, {_shown(numbers)}: some are class names, and all can be positions, which differ "
            f"({differ[0]!r} is the name of class {named[differ[0]]}); write class names"
        )
    if differ:
        which = f"the integer labels, e.g. {differ[0]}, are class names, not positions"
        return {}, (which,) if valid else ()
    if not named and min(others.values()) == 1 and max(others.values()) == len(classes):
        raise InputError(
            f"the labels run from 1 to {len(classes)}, and positions of classes from 0 to {len(classes) - 1}; write "
            "class names, or count from 0"
        )
    positions = {text: k for text, k in others.items() if k < len(classes)}
    first = max(positions, key=int, default=None)  # whatever the order of the rows
    told = (
        ()
        if first is None or named
        else (f"the labels are integers: positions of classes, {first} is {classes[int(first)]!r}",)
    )
    return positions, told


def _alike(texts: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Return the classes of names that differ in case or Unicode form alone, where only one is meant."""
    folded: dict[str, list[int]] = {}
    for k, name in enumerate(classes):
        folded.setdefault(_folded(name), []).append(k)
    near = {text: folded.get(_folded(text), []) for text in texts}
    return {text: ks[0] for text, ks in near.items() if len(ks) == 1}


def _told(alike: Mapping[str, int], classes: Sequence[str]) -> tuple[str, ...]:
    if not alike:
        return ()
    pairs = [f"{text!r} as {classes[k]!r}" for text, k in list(alike.items())[:_EXAMPLES]]
    return (f"labels that differ from a class in case or Unicode form alone were taken for it: {', '.join(pairs)}",)


def _whole(text: str) -> str:
    """Return an integer that a table of floats holds, where labels are missing, as it is written without.

    >>> _whole("2.0"), _whole("v2.0")
    ('2', 'v2.0')
    """
    number = text.removesuffix(".0")
    return number if _is_number(number) else text


def _plain(label: str | int) -> str:
    return str(label).strip()


def _folded(text: str) -> str:
    return normalize("NFC", normalize("NFC", text.strip()).casefold())


def _is_number(text: str) -> bool:
    """Whether a text is an integer as numbers are written: "1" and "-1", not "01".

    >>> _is_number("10"), _is_number("-1"), _is_number("01"), _is_number("²")
    (True, True, False, False)
    """
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 10 and str(int(text)) == text


def _shown(numbers: Mapping[str, int]) -> str:
    ordered = sorted(numbers.values())
    return ", ".join(map(str, ordered)) if len(ordered) <= _EXAMPLES else f"{ordered[0]} to {ordered[-1]}"


def _examples(lost: Counter[str]) -> str:
    return ", ".join(repr(label) for label, _ in lost.most_common(_EXAMPLES))
