"""What the labels of images mean that may have several: each class is there, is not, or nobody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.figures import number_of
from uncertainty.images.label_text import JOINT, UNANSWERED, joined
from uncertainty.labels.meaning import NO_TRUTH, Label, Resolved, meanings, resolve
from uncertainty.labels.tables import parts
from uncertainty.outputs import UNKNOWN_ANSWER, Task

CARRIED, ABSENT = 1, 0
_EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class ResolvedSets:
    """(n, c) int64: 1 the image has the label, 0 it has not, -1 nobody knows; and notes on what was not plain."""

    truth: NDArray[np.int64]
    notes: tuple[str, ...]
    plain_notes: tuple[str, ...] = ()
    """Those alone that tell how names were read, not what was left out."""

    @property
    def positions(self) -> NDArray[np.int64]:
        """The same array, by the name that `Resolved` has for it."""
        return self.truth

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(n,) True where one label at least is known to be there or not."""
        return np.asarray((self.truth != UNKNOWN_ANSWER).any(axis=1))

    def texts(self, classes: Sequence[str]) -> list[str | None]:
        """Return each row as `label_text` writes it, in the order of the classes; None where nothing is known."""
        return [text_of(row, classes) if known else None for row, known in zip(self.truth, self.usable, strict=True)]


def text_of(row: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return one row as text.

    >>> text_of(np.array([1, 0, -1]), ["cat", "dog", "eel"])
    'cat;?eel'
    """
    return joined(*([classes[k] for k in np.flatnonzero(row == kind).tolist()] for kind in (CARRIED, UNKNOWN_ANSWER)))


def resolve_sets(labels: Sequence[Label], classes: Sequence[str], of: str = "") -> ResolvedSets:
    """Understand the labels of a whole set, which `of` names in the notes ("calibration").

    Names mean what `meaning` says. An image without a label (None, "") is unknown in all; one labelled `(no label)`,
    `;` or `(no known class)` has none of the classes. A label that is no class, be it there or unknown, leaves
    the whole image out: it may be a class that is misspelt.

    >>> found = resolve_sets(["cat;?eel", ";", None, "cat;fox"], ["cat", "dog", "eel"])
    >>> found.truth.tolist()
    [[1, 0, -1], [0, 0, 0], [-1, -1, -1], [-1, -1, -1]]
    >>> found.notes
    ("1 image was left out: its label 'fox' is no class of the model",)
    """
    texts, told = _of_one_class([None if label is None else str(label) for label in labels], classes)
    names = frozenset(classes)
    taken = {text: parts(text, names) for text in dict.fromkeys(texts) if text is not None and text.strip()}
    known = meanings([name for both in taken.values() for some in both for name in some], classes)
    rows: dict[str, NDArray[np.int64]] = {}
    strange: dict[str, str] = {}
    for text, (carried, unanswered) in taken.items():
        there, open_ = ([known.of(name) for name in some] for some in (carried, unanswered))
        row = np.zeros(len(classes), dtype=np.int64)
        row[[k for k in there if k >= 0]] = CARRIED
        row[[k for k in open_ if k >= 0]] = UNKNOWN_ANSWER
        if (odd := next((n for n in (*carried, *unanswered) if known.of(n) == NO_TRUTH), None)) is not None:
            strange[text] = odd
            row[:] = UNKNOWN_ANSWER
        rows[text] = row
    nothing = np.full(len(classes), UNKNOWN_ANSWER, dtype=np.int64)
    truth = [nothing if text is None else rows.get(text, nothing) for text in texts]
    lost = Counter(strange[text] for text in texts if text in strange)
    plain = (*told, *known.notes)
    return ResolvedSets(
        np.array(truth, dtype=np.int64).reshape(-1, len(classes)), (*plain, *_left_out(lost, of)), plain
    )


def _of_one_class(texts: list[str | None], classes: Sequence[str]) -> tuple[list[str | None], tuple[str, ...]]:
    """Return the texts that zeros and ones stand for where there is one class: 1 is no position of it."""
    if len(classes) != 1:
        return texts, ()
    name = classes[0]
    meant = {"1": name, "0": JOINT, "-1": UNANSWERED + name}
    plain = [None if text is None else text.strip().removesuffix(".0") for text in texts]
    if "1" not in plain or name in meant or not {text for text in plain if text} <= meant.keys():
        return texts, ()
    told = f"the labels are zeros and ones: 1 where an image has {name!r}, the only class"
    return [meant[text] if text else None for text in plain], (told,)


def understand(labels: Sequence[Label], classes: Sequence[str], task: Task, of: str = "") -> Resolved | ResolvedSets:
    """Return what labels mean, one of an image or several."""
    return resolve_sets(labels, classes, of) if task == "multilabel" else resolve(labels, classes, of)


def _left_out(lost: Counter[str], of: str) -> list[str]:
    if not lost:
        return []
    what = f"{of} image" if of else "image"
    shown = ", ".join(repr(name) for name, _ in lost.most_common(_EXAMPLES))
    one = lost.total() == 1
    images = f"1 {what} was" if one else f"{lost.total()} {what}s were"
    return [f"{images} left out: {'its' if one else 'their'} label {shown} is no class of the model"]


def one_sided(truth: NDArray[np.int64], classes: Sequence[str], of: str) -> list[str]:
    """Say which classes no image has, which all have, and how many answers are open.

    >>> one_sided(np.array([[1, 0], [1, -1]]), ["cat", "dog"], "calibration")[0]
    "class 'cat' is there in every calibration image that says so or not: nothing can be learnt of when it is absent"
    """
    carried, absent = (truth == CARRIED).sum(axis=0), (truth == ABSENT).sum(axis=0)
    always = [name for name, n, other in zip(classes, carried, absent, strict=True) if n and not other]
    never = [name for name, n, other in zip(classes, carried, absent, strict=True) if other and not n]
    nobody = [name for name, n, other in zip(classes, carried, absent, strict=True) if not n and not other]
    told = [
        f"{_named(some)} {what}"
        for some, what in (
            (always, f"there in every {of} image that says so or not: nothing can be learnt of when it is absent"),
            (never, f"in no {of} image: nothing can be learnt of when it is there"),
            (nobody, f"answered in no {of} image: its decisions are not judged"),
        )
        if some
    ]
    if open_ := int((truth == UNKNOWN_ANSWER).sum()):
        images = int((truth == UNKNOWN_ANSWER).any(axis=1).sum())
        answers, where = number_of(open_, "answer"), number_of(images, f"{of} image")
        told.append(f"{answers} in {where} {'is' if open_ == 1 else 'are'} unknown: neither yes nor no")
    return told


def of_columns(
    labels: Sequence[Label], asked: Sequence[str] | None, classes: Sequence[str]
) -> tuple[list[Label], tuple[str, ...]]:
    """Return labels of a source that has a column for each of those `asked`, as answers about the classes; and notes.

    A column that is no class is left out, and a class without a column was answered in no image.

    >>> of_columns(["cat;hour", "(no label)", None], ["cat", "hour"], ["cat", "dog"])[0]
    ['cat;?dog', '?dog', None]
    """
    known = None if asked is None else meanings(asked, classes)
    if asked is None or known is None or all(known.of(name) < 0 for name in asked):
        return list(labels), ()
    strange = [name for name in asked if known.of(name) < 0]
    there = {known.of(name) for name in asked}
    missing = [name for k, name in enumerate(classes) if k not in there]
    names = frozenset((*classes, *asked))

    def fitted(text: str) -> str:
        carried, unanswered = parts(text, names)
        kept = ([name for name in some if name not in strange] for some in (carried, unanswered))
        return joined(next(kept), (*next(kept), *missing))

    told = {text: fitted(str(text)) for text in dict.fromkeys(labels) if text is not None}
    notes = [f"{_named(strange, 'column')} no class of the model and left out"] if strange else []
    notes += [f"{_named(missing)} answered in no image: there is no such column"] if missing else []
    return [None if text is None else told[text] for text in labels], tuple(notes)


def _named(names: Sequence[str], what: str = "class") -> str:
    shown = ", ".join(map(repr, names[:_EXAMPLES]))
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    several = "classes" if what == "class" else f"{what}s"
    return f"{what} {shown} is" if len(names) == 1 else f"{several} {shown}{more} are"
