"""Labels and predictions as verdict tables write them: class names, joined by semicolons where an image has several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.class_columns import DECISION, DECISIONS, PROBABILITIES, PROBABILITY
from uncertainty.images.label_text import JOINT, NO_LABEL, UNANSWERED
from uncertainty.labels.meaning import NO_KNOWN_CLASS
from uncertainty.outputs import Task

if TYPE_CHECKING:
    import pyarrow as pa

_NONE = (NO_LABEL, NO_KNOWN_CLASS)


def task_of(table: pa.Table) -> Task:
    """Return the task of a verdict table: in a multilabel one no row that was read has a `predicted_index`.

    >>> import pyarrow as pa
    >>> task_of(pa.table({"predicted_label": ["cat;dog"], "predicted_index": pa.nulls(1), "error": pa.nulls(1)}))
    'multilabel'
    """
    import pyarrow.compute as pc

    if not {"predicted_index", "error"} <= set(table.column_names):
        return "multiclass"
    read = pc.is_null(table["error"])
    indexed = pc.and_(read, pc.is_valid(table["predicted_index"]))
    return "multilabel" if pc.any(read).as_py() and not pc.any(indexed).as_py() else "multiclass"


def same_labels(predicted: Any, labels: Any) -> list[bool | None]:
    """Say, row by row, whether two columns name the same set of labels, in any order; None where one is null.

    None too where nobody answered for a label, `?dog`: to count only what is known to be wrong would make errors too
    rare or, were the other images left out, too common.

    >>> same_labels(["cat;dog", "", "", "eel"], ["?dog; cat", "cat", "(no label)", "?dog; cat"])
    [None, False, True, None]
    """
    pairs = zip(_plain(predicted), _plain(labels), strict=True)
    return [None if p is None or t is None else _same(p, t) for p, t in pairs]


def _same(predicted: str, label: str) -> bool | None:
    carried, unanswered = parts(label)
    return None if unanswered else set(split(predicted)) == set(carried)


def split(text: str | None, classes: frozenset[str] = frozenset()) -> list[str]:
    """Return the names in a joined text; a class whose own name holds semicolons is found whole.

    >>> split("cat; dog;"), split("a;b;dog", frozenset(["a;b", "dog"])), split(None)
    (['cat', 'dog'], ['a;b', 'dog'], [])
    """
    pieces, names = [piece.strip() for piece in (text or "").split(JOINT)], []
    while pieces:
        ends = [end for end in range(len(pieces), 1, -1) if _bare(pieces[:end]) in classes] if classes else []
        end = ends[0] if ends else 1
        names.append(JOINT.join(pieces[:end]))
        pieces = pieces[end:]
    return [name for name in names if name and (name not in _NONE or name in classes)]


def _bare(pieces: Sequence[str]) -> str:
    return JOINT.join(pieces).removeprefix(UNANSWERED)


def parts(text: str | None, classes: frozenset[str] = frozenset()) -> tuple[list[str], list[str]]:
    """Return the names in a joined text of labels: those that are there, and those that nobody answered.

    >>> parts("cat;?dog"), parts("(no label)"), parts("?", frozenset("?"))
    ((['cat'], ['dog']), ([], []), (['?'], []))
    """
    names = split(text, classes)
    unanswered = [name for name in names if name.startswith(UNANSWERED) and name not in classes]
    carried = [name for name in names if name not in unanswered]
    open_ = [name.removeprefix(UNANSWERED) for name in unanswered]
    return [name for name in carried if name not in open_], open_


def other_names(columns: Sequence[Any], known: Sequence[str], task: Task) -> list[str]:
    """Return the names in these columns that are no known class, sorted."""
    distinct = {text for column in columns for text in _plain(column.unique()) if text is not None}
    if task == "multilabel":
        classes = frozenset(known)
        distinct = {name for text in distinct for some in parts(text, classes) for name in some}
    return sorted(distinct - set(known))


def encoded(column: Any, classes: Sequence[str], task: Task) -> NDArray[Any]:
    """Return positions in `classes` (n,), or for multilabel (n, c) booleans; all names must be among the classes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if task == "multiclass":
        positions = pc.index_in(column.cast(pa.string()), value_set=pa.array(list(classes), pa.string()))
        return np.asarray(positions.to_numpy(zero_copy_only=False) if len(positions) else [], dtype=np.int64)
    position, names = {name: k for k, name in enumerate(classes)}, frozenset(classes)
    chosen = np.zeros((len(column), len(classes)), dtype=bool)
    for row, text in enumerate(_plain(column)):
        chosen[row, [position[name] for name in parts(text, names)[0]]] = True
    return chosen


def unanswered(column: Any, classes: Sequence[str]) -> NDArray[np.bool_]:
    """Return (n, c) True where a column of several labels says of a class that nobody answered."""
    position, names = {name: k for k, name in enumerate(classes)}, frozenset(classes)
    open_ = np.zeros((len(column), len(classes)), dtype=bool)
    for row, text in enumerate(_plain(column)):
        open_[row, [position[name] for name in parts(text, names)[1]]] = True
    return open_


def named_classes(rows: pa.Table) -> list[str]:
    """Return class names as the rows tell them: by `predicted_index`; a class never predicted is called "class 7"."""
    if "predicted_index" not in rows.column_names:
        return other_names([rows["predicted_label"]], [], "multiclass")
    pairs = rows.select(["predicted_index", "predicted_label"]).group_by(["predicted_index", "predicted_label"])
    names = {row["predicted_index"]: row["predicted_label"] for row in pairs.aggregate([]).to_pylist()}
    names.pop(None, None)
    width = len(rows["probs"][0].as_py() or []) if "probs" in rows.column_names and rows.num_rows else 0
    return [names.get(k, f"class {k}") for k in range(max(width, 1 + max(names, default=-1)))]


def table_probs(rows: pa.Table, classes: Sequence[str]) -> NDArray[np.float32] | None:
    """Return (n, c) probabilities of a verdict table; None where it has none for these classes."""
    return _wide(rows, classes, PROBABILITY, PROBABILITIES)


def table_decisions(rows: pa.Table, classes: Sequence[str]) -> NDArray[np.float32] | None:
    """Return (n, c) p_wrong of the decision on each class, of several labels; None where a table does not tell it."""
    return _wide(rows, classes, DECISION, DECISIONS)


def _wide(rows: pa.Table, classes: Sequence[str], prefix: str, listed: str) -> NDArray[np.float32] | None:
    """Read numbers of a column a class, or of one column of lists."""
    wide = [f"{prefix}{name}" for name in classes]
    if classes and set(wide) <= set(rows.column_names):
        return np.stack([np.asarray(rows[name].to_numpy(), dtype=np.float32) for name in wide], axis=1)
    if listed not in rows.column_names or not rows.num_rows:
        return None
    lists = rows[listed].combine_chunks()
    values = np.asarray(lists.drop_null().flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    told = np.asarray(lists.is_valid())
    if len(values) != int(told.sum()) * len(classes):
        return None
    found = np.full((len(lists), len(classes)), np.nan, dtype=np.float32)
    found[told] = values.reshape(-1, len(classes))
    return found


def _plain(values: Any) -> list[Any]:
    return list(values.to_pylist() if hasattr(values, "to_pylist") else values)
