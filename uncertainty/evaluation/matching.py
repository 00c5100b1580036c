"""Labels that came back, met with the images that were screened: which count, and which are kept apart and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.errors import InputError
from uncertainty.evaluation.screening_quality import Match, match_labels
from uncertainty.figures import number_of
from uncertainty.images.label_text import NO_LABEL, is_no_label
from uncertainty.images.manifests import USUAL, Columns, Manifest
from uncertainty.labels.imports import read_annotations
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.label_sets import of_columns, resolve_sets
from uncertainty.labels.meaning import NO_KNOWN_CLASS, Meanings, meanings
from uncertainty.labels.screened_names import ScreenedNames, of_another_folder
from uncertainty.labels.tables import parts, task_of
from uncertainty.verdicts import write_table
from uncertainty.written import keep_changed, written

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_APART = "labels_kept_apart.csv"
UNKNOWN_FILE = "no such image was screened"
UNKNOWN_CLASS = "no class of the model"
SEVERAL = "several labels where one belongs"
DIFFERENT = "different answers"


@dataclass(frozen=True)
class Answer:
    """What one person said of one screened image."""

    file_name: str
    label: str
    annotator: str = ""


@dataclass(frozen=True)
class Apart:
    """A label that is used nowhere, and why."""

    file_name: str
    label: str
    annotator: str
    why: str


@dataclass(frozen=True)
class Returned:
    """Labels by file name that can be used, every answer for a screened image, what was kept apart, and notes.

    `several` says that an image may have any number of labels.
    """

    labels: Mapping[str, str]
    answers: tuple[Answer, ...]
    apart: tuple[Apart, ...]
    notes: tuple[str, ...] = ()
    more: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    manifest: Manifest | None = None
    several: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """How many labels were kept apart, by reason."""
        return dict(Counter(row.why for row in self.apart))

    def match(self, table: pa.Table) -> Match:
        """Count how the file names of a verdict table and of the labels meet."""
        met = match_labels(table, self.labels)
        strangers = {row.file_name for row in self.apart if row.why == UNKNOWN_FILE}
        return Match(met.matched, met.rows_without_label, len(strangers))

    def words(self) -> list[str]:
        """Say what was kept apart, by name, and the notes of the file."""
        lines = []
        for why, count in self.counts.items():
            first = next(row for row in self.apart if row.why == why)
            advice = f"; where it is true, call it {NO_KNOWN_CLASS!r}" if why == UNKNOWN_CLASS else ""
            if why == DIFFERENT and self.several and not first.annotator:
                advice = "; where an image has them all, write them in one cell, 'cat;dog'"
            example = f"{first.label!r} of {first.file_name!r}"
            lines.append(f"{number_of(count, 'label')} kept apart in {KEPT_APART}, {why}, e.g. {example}{advice}")
        return [*lines, *self.notes]

    def write(self, folder: Path, of: str) -> None:
        """Write what was kept apart into `folder`; where nothing was, an older file is removed, a changed one kept.

        `of` is the fingerprint of the verdicts that the labels are for.
        """
        import pyarrow as pa

        keep_changed(folder, [KEPT_APART])
        if not self.apart and not (folder / KEPT_APART).exists():
            return
        columns = ("file_name", "label", "annotator", "why")
        with written(folder, [KEPT_APART], of, overwrite=True) as where:
            if self.apart:
                table = pa.table({name: [getattr(row, name) for row in self.apart] for name in columns})
                write_table(table, where / KEPT_APART)


def returned_labels(path: Path, table: pa.Table, classes: Sequence[str] | None, columns: Columns = USUAL) -> Returned:
    """Read labels and decide which of them are truth for the rows of a verdict table.

    Kept apart are labels of images that are not in the table; all answers for an image where two of them differ; and
    labels that are none of the `classes` (None: not known, so not asked), but for `(no known class)`, which says that
    the classifier can't be right. Nothing is lost: every label is in `labels`, or in `apart`.
    What a label means is found as `labels.meaning` says, several of one image as `labels.label_sets` does. An image
    that has none of the labels is no truth where one belongs, and one where several may be.

    Raises InputError: what `read_annotations` raises, or images met and not one label is left.
    """
    found, several = read_annotations(path, columns), task_of(table) == "multilabel"
    rows, notes = _answers(found, classes, several)
    known = None if classes is None else frozenset(classes)
    pairs, apart = _met(rows, table["file_name"].to_pylist())
    understood, told = _understood([row.label for row, _ in pairs], classes, several)
    met: dict[str, list[Answer]] = {}
    for row, name in pairs:
        met.setdefault(name, []).append(Answer(name, understood.get(row.label, row.label), row.annotator))
    labels = {}
    for name, answers in met.items():
        why = _why_not(answers, known, several)
        if why is None:
            labels[name] = answers[0].label
        apart += [Apart(name, one.label, one.annotator, why) for one in answers if why is not None]
    if not labels:
        labels = _without(path, met, apart, rows, several)
    return Returned(
        labels,
        tuple(one for group in met.values() for one in group),
        tuple(apart),
        (*found.notes, *notes, *told),
        found.more,
        found.table,
        several,
    )


def _answers(
    found: Annotations, classes: Sequence[str] | None, several: bool
) -> tuple[Sequence[Annotation], tuple[str, ...]]:
    """Return the answers that a classifier can be measured by, as answers about its classes, and notes."""
    if not several:
        kept = [row for row in found.rows if not is_no_label(row.label)]
        none = number_of(len(found.rows) - len(kept), "image has", "images have")
        return kept, (f"{none} none of the labels, left out",) if len(kept) < len(found.rows) else ()
    rows, notes = found.rows, []
    if classes is not None and found.asked is not None:
        labels, told = of_columns([row.label for row in rows], found.asked, classes)
        rows, notes = tuple(replace(row, label=str(one)) for row, one in zip(rows, labels, strict=True)), [*told]
    if empty := sum(one is None for one in (found.table.labels or () if found.table else ())):
        cells = number_of(empty, "row has an empty label and is", "rows have an empty label and are")
        notes.append(f"{cells} left out; where an image truly has none, write {NO_LABEL!r} or ';'")
    if classes is None:
        return rows, tuple(notes)
    known = frozenset(classes)
    kept = [row for row in rows if not known <= set(parts(row.label, known)[1])]
    if len(kept) < len(rows):
        notes.append(f"{number_of(len(rows) - len(kept), 'image has', 'images have')} no known answer, left out")
    return kept, tuple(notes)


def _met(rows: Sequence[Annotation], names: Sequence[str]) -> tuple[list[tuple[Annotation, str]], list[Apart]]:
    """Return each answer with the screened image that it is about, and those of no such image."""
    screened = ScreenedNames(names)
    found = [(row, screened.of(row)) for row in rows]
    pairs = [(row, name) for row, name in found if name is not None]
    strangers = of_another_folder(pairs)
    apart = [_apart(row, UNKNOWN_FILE) for row, name in found if name is None]
    apart += [_apart(pairs[k][0], UNKNOWN_FILE) for k in sorted(strangers)]
    return [pair for k, pair in enumerate(pairs) if k not in strangers], apart


def _understood(
    labels: Sequence[str], classes: Sequence[str] | None, several: bool
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the class name that each label means, where it is written otherwise, and what there is to say of it."""
    if classes is None:
        return {}, ()
    if several:
        texts = list(dict.fromkeys(labels))
        found = resolve_sets(texts, classes)
        written = zip(texts, found.texts(classes), strict=True)
        return {text: label for text, label in written if label is not None}, found.plain_notes
    known = meanings(labels, classes)
    return {label: _name(label, known, classes) for label in labels}, known.notes


def _name(label: str, known: Meanings, classes: Sequence[str]) -> str:
    position = known.of(label)
    return classes[position] if position >= 0 else label.strip()


def _apart(row: Annotation, why: str) -> Apart:
    return Apart(row.names[0], row.label, row.annotator, why)


def _why_not(answers: Sequence[Answer], known: frozenset[str] | None, several: bool) -> str | None:
    if len({meaning(one.label, known, several) for one in answers}) > 1:
        return DIFFERENT
    label = answers[0].label
    if known is None or label == NO_KNOWN_CLASS or label in known:
        return None
    carried, unanswered = parts(label, known)
    if known.issuperset((*carried, *unanswered)) and (several or len(carried) > 1):
        return None if several else SEVERAL
    return UNKNOWN_CLASS


def meaning(label: str, classes: frozenset[str] | None, several: bool) -> Any:
    """Return what two answers must share to be the same: the text, or where an image has several labels their sets.

    >>> meaning("a;b", None, True) == meaning("b; a", None, True), meaning("a;b", None, False)
    (True, 'a;b')
    """
    return tuple(map(frozenset, parts(label, classes or frozenset()))) if several else label


def _without(
    path: Path, met: Mapping[str, Sequence[Answer]], apart: Sequence[Apart], rows: Iterable[Annotation], several: bool
) -> dict[str, str]:
    """Raise what is wrong where no label can be used; names that meet nowhere are left to the join, which says so."""
    if not met:
        return {row.names[0]: row.label for row in rows}
    first = next(row for row in apart if row.why != UNKNOWN_FILE)
    told = list(dict.fromkeys(one.label for one in met[first.file_name]))
    if first.why == DIFFERENT:
        hint = ", or say --several-labels where each row is one of several" if several else ""
        raise InputError(
            f"no label of {path} can be used: {first.file_name!r} has two labels, {told[0]!r} and {told[1]!r}; keep "
            f"one{hint}"
        )
    raise InputError(
        f"no label of {path} can be used: {told[0]!r} of {first.file_name!r} is {first.why}; "
        f"write class names as the verdicts do, or {NO_KNOWN_CLASS!r}"
    )
