"""Which images were taken for what they are not, as tables: a part of `Outcomes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.evaluation.listed import listed
from uncertainty.outputs import Task

if TYPE_CHECKING:
    import pyarrow as pa

_TOP = 5


class Mistakes:
    """Methods of `Outcomes` that list what is wrong."""

    task: Task
    classes: tuple[str, ...]
    n_known: int
    truth: NDArray[Any]
    predicted: NDArray[Any]
    probs: NDArray[np.floating[Any]] | None
    known: Any
    wrong: Any

    def misclassified(self) -> pa.Table:
        """Return the rows that are wrong, in the order of the table.

        Columns, where known: file_name, label, predicted_label, confidence, p_wrong, outcome (caught or missed by the
        flags), reasons, those of the manifest and of image quality, and all probabilities: `prob_<class>`, or beyond
        200 classes `top_probs`, the five largest.
        """
        return listed(self, np.flatnonzero(self.wrong))

    def false_positives(self, name: str | int | None = None) -> pa.Table:
        """Return the rows taken for a class that they are not, the surest mistakes first, columns as `misclassified`.

        Without a class all of them by class, which is then the first column. Multilabel: a row stands under each label
        wrongly given. Raises InputError for a class that is not there.
        """
        return self._mistakes(*self.false_positive_pairs(), -1.0, name)

    def false_negatives(self, name: str | int | None = None) -> pa.Table:
        """Return the rows of a class that were not taken for it, the surest mistakes first; see `false_positives`."""
        return self._mistakes(*self.false_negative_pairs(), 1.0, name)

    def false_positive_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (rows, classes): each row with each class that it was wrongly taken for."""
        return self._pairs(self.predicted, self.truth)

    def false_negative_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (rows, classes): each row with each class that it has and was not taken for."""
        return self._pairs(self.truth, self.predicted)

    def _pairs(self, said: NDArray[Any], other: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self.task == "multilabel":
            rows, classes = np.nonzero(said & ~other & self.known)
            return rows, classes
        rows = np.flatnonzero(said != other)
        return rows, said[rows]

    def index(self, name: str | int) -> int:
        """Return the position of a class; an integer is a position already."""
        known = range(len(self.classes))
        if isinstance(name, int) and name in known:
            return name
        if name in self.classes:
            return self.classes.index(str(name))
        shown = ", ".join(repr(one) for one in self.classes[:_TOP])
        more = f" and {len(self.classes) - _TOP} more" if len(self.classes) > _TOP else ""
        raise InputError(f"there is no class {name!r}; the classes are {shown}{more}")

    def _mistakes(
        self, rows: NDArray[np.int64], classes: NDArray[np.int64], sign: float, name: str | int | None
    ) -> pa.Table:
        if name is not None:
            rows = rows[classes == (one := self.index(name))]
            classes = np.full(len(rows), one)
        belief = np.zeros(len(rows))
        if self.probs is not None:
            known = classes < self.n_known
            belief[known] = self.probs[rows[known], classes[known]]
        order = np.lexsort((rows, sign * belief, classes))
        found = listed(self, rows[order])
        if name is not None:
            return found
        return found.add_column(0, "class", [np.asarray(self.classes, dtype=object)[classes[order]].tolist()])
