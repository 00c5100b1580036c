"""A table of outputs as something to fit on and to screen: rows in their order, a few in memory at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.batches import Batch, Collected, Row
from uncertainty.errors import InputError
from uncertainty.images.label_text import joined, of_row
from uncertainty.images.manifests import SPLIT_COLUMNS, USUAL, Columns, as_text, check_unique, posix, quoted
from uncertainty.images.packed_text import Coded, Coder, Packer, Texts, double, taken
from uncertainty.images.remote import AnyFile, size_of
from uncertainty.output_tables.columns import Meaning, Output, meaning_of
from uncertainty.output_tables.files import TableFile, opened_table
from uncertainty.output_tables.rows import Layout, checked_rows, shapes_of
from uncertainty.output_tables.spec import TableSpec, read_spec
from uncertainty.outputs import ModelOutputs, Task

Label = str | int | None
_SHOWN = 5
_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class OutputTable:
    """Outputs of a model on images that nobody looks at again; make one with `open`.

    Parameters
    ----------
    names : unique, trimmed, in POSIX form.
    labels : what the table says of each image, None where it says nothing; None: it has no such column.
    classes : names in the order in which rows are given; None where nobody named them yet, see `with_classes`.
    n_classes : how many there are.
    output : whether the model's answers are logits or probabilities.
    metadata : the other columns as text; they go with the verdicts.
    rows : the positions in the file that belong to this table; None: all.

    """

    file: TableFile
    meaning: Meaning
    layout: Layout
    names: Sequence[str]
    labels: Sequence[Label] | None
    metadata: Mapping[str, Sequence[str | None]]
    classes: tuple[str, ...] | None
    rows: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def open(cls, spec: str | Path, columns: Columns = USUAL, classes: Sequence[str] | None = None) -> OutputTable:
        """Look into `table:FILE?…`, see `spec.py`; `classes` are the names of its outputs where it does not say them.

        Raises InputError, in one line: a file that is not there or damaged, no names or no answers, an image that is
        named twice, class names that are not as many as the outputs, and a table of whose first rows not one is whole.
        """
        asked = read_spec(str(spec))
        file = opened_table(asked.file)
        meaning = meaning_of(file, asked, columns)
        first = next(file.chunks((meaning.name, *meaning.arrays), 0, _AT_ONCE), None)
        if first is None or not len(first[meaning.name]):
            raise InputError(f"{asked.file} has no rows; it must have one for each image")
        shapes = shapes_of(first, meaning)
        names = _named(meaning.classes, classes, shapes["answers"], asked)
        positions = tuple(range(shapes["answers"][0]))
        layout = Layout(shapes, positions, asked.task, _thresholds(asked, names or tuple(map(str, positions))))
        _refuse_misfits(shapes, asked.file)
        trial = checked_rows(list(map(str, range(len(first[meaning.name])))), first, meaning, layout)
        if trial.outputs is None:
            raise InputError(f"{asked.file}: not one of its first {len(trial.errors)} rows is whole; {trial.errors[0]}")
        several = len(layout.order) if asked.task == "multilabel" else 0
        found = cls(file, meaning, layout, *_told(file, meaning, several), names)
        check_unique(found.names, asked.file)
        return found._in_part(columns.split)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def root(self) -> AnyFile:
        """The folder that names of images are relative to: that of the table."""
        return self.file.path.parent

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.layout.order)

    @property
    def output(self) -> Output:
        """Whether the answers are logits or probabilities."""
        return self.meaning.output

    @property
    def task(self) -> Task:
        """Whether an image has one label or several."""
        return self.layout.task

    @property
    def columns(self) -> frozenset[str]:
        """The columns that `ModelOutputs` of this table have, beside names and labels."""
        return frozenset({"logits", *(kind.replace("_logits", "_probs") for kind in self.meaning.more)})

    def with_classes(self, classes: Sequence[str]) -> OutputTable:
        """Return the table with its outputs in the order of these classes.

        Named outputs are put in order by their names; those without a name are called so. Raises InputError where they
        are others, or not as many.
        """
        if self.classes is None or self.classes == tuple(classes):
            _as_many(classes, self.n_classes, self.file.path)
            return replace(self, classes=tuple(classes))
        if set(self.classes) != set(classes) or len(classes) != self.n_classes:
            extra, absent = sorted(set(self.classes) - set(classes)), sorted(set(classes) - set(self.classes))
            which = f"{absent[0]!r} is not among them" if absent else f"{extra[0]!r} is one more"
            raise InputError(
                f"{self.file.path} has {self.n_classes} classes where {len(classes)} are asked for: {which}"
            )
        position = {name: k for name, k in zip(self.classes, self.layout.order, strict=True)}
        layout = replace(self.layout, order=tuple(position[name] for name in classes))
        return replace(self, classes=tuple(classes), layout=layout)

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """From which probability on each label is given, in the order of the classes; None: the usual ones."""
        kept = self.layout.thresholds
        return None if kept is None else tuple(kept[k] for k in self.layout.order)

    def with_thresholds(self, thresholds: Sequence[float] | None) -> OutputTable:
        """Return the table with the decisions that others of its kind have, given in the order of the classes.

        Raises InputError where the spec of this one asked for different ones.
        """
        if thresholds is None or self.thresholds == tuple(thresholds):
            return self
        if self.thresholds is not None:
            raise InputError(
                f"{self.file.path} is read with decision={_listed(self.thresholds)}, and what it belongs to with "
                f"{_listed(thresholds)}; leave decision= out, or give the same"
            )
        in_file = dict(zip(self.layout.order, thresholds, strict=True))
        return replace(self, layout=replace(self.layout, thresholds=tuple(in_file[k] for k in sorted(in_file))))

    def select(self, rows: Any) -> OutputTable:
        """Return the rows at these positions, or where a boolean mask is True, in the order of the table."""
        picked = np.asarray(rows)
        picked = np.flatnonzero(picked) if picked.dtype == bool else np.unique(picked.astype(np.int64))
        return replace(
            self,
            names=taken(self.names, picked),
            labels=None if self.labels is None else taken(self.labels, picked),
            metadata={name: taken(values, picked) for name, values in self.metadata.items()},
            rows=picked if self.rows is None else self.rows[picked],
        )

    def batches(self, size: int, progress: Callable[[int], None] | None = None) -> Iterator[Batch]:
        """Yield the rows in batches of so many, where they follow each other in the file; else of at most so many.

        A row that is not whole has an error in place of outputs.
        """
        positions = np.arange(len(self)) if self.rows is None else self.rows
        at, done = int(positions[0]) if len(positions) else 0, 0
        for chunk in self.file.chunks(self.meaning.arrays, at, size):
            length = len(next(iter(chunk.values())))
            inside = positions[done : done + length]
            inside = inside[inside < at + length] - at
            at += length
            if not len(inside):
                continue
            some = chunk if len(inside) == length else {name: _at(cells, inside) for name, cells in chunk.items()}
            yield self._batch(done, len(inside), some)
            done += len(inside)
            if progress is not None:
                progress(len(inside))
            if done == len(positions):
                return
        if done < len(positions):
            raise InputError(f"{self.file.path} had {len(positions)} rows and has fewer; it changed meanwhile")

    def _batch(self, start: int, count: int, chunk: Mapping[str, Any]) -> Batch:
        names = [str(name) for name in self.names[start : start + count]]
        labels = [None] * count if self.labels is None else list(self.labels[start : start + count])
        found = checked_rows(names, chunk, self.meaning, self.layout)
        # By its name a row is known again, as `Screener.fit_outputs` does.
        rows = (Row(name, why, name, label) for name, why, label in zip(names, found.errors, labels, strict=True))
        return Batch(tuple(rows), found.outputs)

    def collect(self, progress: Callable[[int], None] | None = None) -> Collected:
        """Return all rows at once, those that are not whole as failures; InputError where not one is whole."""
        batches = list(self.batches(_AT_ONCE, progress))
        rows = [row for batch in batches for row in batch.rows]
        parts = [batch.outputs for batch in batches if batch.outputs is not None]
        if not parts:
            first = f"; the first, {rows[0].name!r}: {rows[0].error}" if rows else ""
            raise InputError(f"{self.file.path}: not one of {len(rows)} rows is whole{first}")
        return Collected.of(ModelOutputs.concatenate(parts), rows)

    def fingerprint(self) -> str:
        """32 hexadecimal characters that tell this table from others: what it asks for, and the bytes of the file."""
        hasher = hashlib.blake2b(digest_size=16)
        hasher.update(
            repr(
                (self.meaning, self.layout.order, self.layout.task, self.layout.thresholds, size_of(self.file.path))
            ).encode()
        )
        if isinstance(self.file.path, Path):
            with self.file.path.open("rb") as file:
                hasher.update(hashlib.file_digest(file, "blake2b").digest())
        if self.rows is not None:
            hasher.update(self.rows.tobytes())
        return hasher.hexdigest()

    def groups(self, columns: Columns) -> dict[str, str] | None:
        """Return by name which images belong together: as asked for, or by the column group; None for neither."""
        if columns.grouping.by is None and self.meaning.group is not None:
            told = zip(self.names, self.metadata[self.meaning.group], strict=True)
            return {name: group for name, group in told if group} or None
        return columns.grouping.of(self.names, self.metadata)

    def _in_part(self, split: str | None) -> OutputTable:
        column = next((name for name in self.metadata if name.lower() in SPLIT_COLUMNS), None)
        if split is None:
            return self
        if column is None:
            raise InputError(f"{self.file.path} has no column {SPLIT_COLUMNS[0]!r} that says what is {split!r}")
        inside = np.array([one == split for one in self.metadata[column]], dtype=bool)
        if not inside.any():
            there = quoted(sorted({one for one in self.metadata[column] if one}))
            raise InputError(f"{self.file.path} has no rows of {split!r}; its parts are {there}")
        return self.select(inside)

    def parts(self) -> list[str]:
        """Return the parts of a data set, such as train and val, that a column of the table tells."""
        column = next((name for name in self.metadata if name.lower() in SPLIT_COLUMNS), None)
        return [] if column is None else sorted({one for one in self.metadata[column] if one})


def _at(cells: Any, rows: NDArray[np.int64]) -> Any:
    return cells[rows] if isinstance(cells, np.ndarray) else [cells[int(row)] for row in rows]


def _listed(thresholds: Sequence[float]) -> str:
    return ",".join(f"{one:g}" for one in thresholds[:_SHOWN]) + (",…" if len(thresholds) > _SHOWN else "")


def _thresholds(spec: TableSpec, classes: Sequence[str]) -> tuple[float, ...] | None:
    if spec.decision is None:
        return None
    from uncertainty.classifiers.decision_thresholds import in_order, read_thresholds  # from the room of torch

    return in_order(read_thresholds(spec.decision), classes)


def _named(
    own: tuple[str, ...] | None, given: Sequence[str] | None, shape: tuple[int, ...], spec: TableSpec
) -> tuple[str, ...] | None:
    if len(shape) != 1 or (shape == (1,) and spec.task == "multiclass"):
        raise InputError(
            f"{spec.file} has answers of shape {shape} in each row; they must be a number for each class, and of a "
            "yes-or-no answer two, 1 - p and p"
        )
    names = own if own is not None else None if given is None else tuple(given)
    if names is not None:
        _as_many(names, shape[0], spec.file)
    return names


def _as_many(classes: Sequence[str], count: int, path: AnyFile) -> None:
    if len(classes) != count:
        raise InputError(f"{path} has {count} outputs in each row and {len(classes)} class names; match them")
    if (twice := double(classes)) is not None:
        raise InputError(f"{path} has the class {twice!r} twice; give each class a name of its own")


def _refuse_misfits(shapes: Mapping[str, tuple[int, ...]], path: AnyFile) -> None:
    c = shapes["answers"][0]
    for kind, shape in shapes.items():
        if kind.startswith(("mc_", "tta_")) and (len(shape) != 2 or shape[1] != c):
            raise InputError(f"{path} has {kind} of shape {shape} in each row; it must be samples x {c} classes")
        if kind in ("features", "embedding", "quality") and len(shape) != 1:
            raise InputError(f"{path} has {kind} of shape {shape} in each row; it must be one list of numbers")
    if all(kind in shapes for kind in ("mc_probs", "mc_logits")):
        raise InputError(f"{path} has mc_probs and mc_logits; leave one out")
    if all(kind in shapes for kind in ("tta_probs", "tta_logits")):
        raise InputError(f"{path} has tta_probs and tta_logits; leave one out")


def _told(
    file: TableFile, meaning: Meaning, several: int
) -> tuple[Sequence[str], Sequence[Label] | None, Mapping[str, Sequence[str | None]]]:
    """Read names, labels and the other columns of all rows, packed; of `several` classes each may be true, or 0."""
    names: Packer[str] = Packer()
    labels: Coder[Label] = Coder()
    others: dict[str, Packer[str | None]] = {name: Packer() for name in meaning.metadata}
    wanted = (meaning.name, *((meaning.label,) if meaning.label else ()), *meaning.metadata)
    row = 0
    for chunk in file.chunks(wanted, 0, _AT_ONCE):
        for cell in _plain(chunk[meaning.name]):
            names.append(_name(cell, row := row + 1, file.path))
        for cell in _plain(chunk[meaning.label]) if meaning.label else ():
            labels.append(_label(cell, several))
        for name, packer in others.items():
            for cell in _plain(chunk[name]):
                packer.append(None if isinstance(cell, bytes) else as_text(cell))
    known: Coded[Label] | None = labels.packed() if meaning.label else None
    packed: Texts[str] = names.packed()
    return packed, known, {name: packer.packed() for name, packer in others.items()}


def _plain(cells: Any) -> list[Any]:
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


def _name(cell: Any, row: int, path: AnyFile) -> str:
    text = as_text(cell) if isinstance(cell, str | int | float) and not isinstance(cell, bool) else None
    if text is None or not text.strip():
        raise InputError(f"{path}, row {row}, has {cell!r} where the name of an image belongs")
    return posix(text.strip())


def _label(cell: Any, several: int) -> Label:
    """Return a class name or position; of an image with several labels all as one text, see `label_text`.

    >>> _label(2.0, 0), _label(" cat ", 0), _label(float("nan"), 0), _label([0, 1, 1], 3), _label([0, 0], 2)
    (2, 'cat', None, 'column 2 of 3;column 3 of 3', '(no label)')
    >>> _label([1, -1, None], 3), _label(["cat"], 3), _label([], 3), _label([None, -1], 2)
    ('column 1 of 3;?column 2 of 3;?column 3 of 3', 'cat', '(no label)', None)
    """
    if isinstance(cell, list):
        if len(cell) == several and all(one in (None, 0, 1, -1) or one != one for one in cell):
            return of_row(cell)
        return joined(str(one).strip() for one in cell if one is not None)
    if isinstance(cell, int) or (isinstance(cell, float) and cell.is_integer()):
        return int(cell)
    text = as_text(cell)
    return None if text is None or not text.strip() else text.strip()
