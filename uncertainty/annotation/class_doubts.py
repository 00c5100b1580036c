"""Several labels an image: which decisions of each image are in doubt, and how much, class by class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.label_text import JOINT
from uncertainty.labels.tables import table_decisions, task_of
from uncertainty.verdicts import Verdicts

DOUBTFUL = "doubtful_labels"
"""Column of a ranking: the classes whose decision is in doubt, the most doubtful first, joined by semicolons."""
FROM = 0.1
"""A decision is in doubt from this p_wrong on, and that of an image which is likeliest wrong always is."""


@dataclass(frozen=True, eq=False)
class ClassDoubts:
    """`p_wrong` (N, c) of the decision on each of `classes`, NaN where an image could not be read."""

    classes: tuple[str, ...]
    p_wrong: NDArray[np.float64]

    @classmethod
    def of(cls, verdicts: Verdicts) -> ClassDoubts | None:
        """Read them from verdicts; None where an image has one label, or nothing is said of single decisions.

        >>> import pyarrow as pa
        >>> table = {"file_name": ["a"], "predicted_index": pa.nulls(1), "error": pa.nulls(1)}
        >>> table |= {"prob_cat": [0.5], "prob_dog": [0.9], "p_wrong_cat": [0.5], "p_wrong_dog": [0.25]}
        >>> found = ClassDoubts.of(Verdicts(pa.table(table)))
        >>> found.doubtful.tolist(), list(found.texts([0]))
        ([[True, True]], ['cat;dog'])
        """
        classes = verdicts.classes
        told = None if classes is None else table_decisions(verdicts.table, classes)
        if classes is None or told is None or task_of(verdicts.table) != "multilabel":
            return None
        return cls(tuple(classes), told.astype(np.float64))

    @property
    def doubtful(self) -> NDArray[np.bool_]:
        """(N, c) which decisions are in doubt; none of an image that could not be read."""
        p = np.nan_to_num(self.p_wrong, nan=-1.0)
        return np.asarray((p >= np.minimum(FROM, p.max(axis=1, keepdims=True))) & (p >= 0))

    def texts(self, rows: Iterable[int]) -> Iterable[str]:
        """Yield the names of the doubtful decisions of some rows, the most doubtful first."""
        doubtful = self.doubtful
        for row in rows:
            order = np.argsort(-self.p_wrong[row], kind="stable")
            yield JOINT.join(self.classes[k] for k in order if doubtful[row, k])

    def about(self, name: str) -> NDArray[np.float64]:
        """Return (N,) p_wrong of the decision on one class; InputError for a class that there is not."""
        if name not in self.classes:
            shown = ", ".join(self.classes[:10]) + ", …" * (len(self.classes) > 10)
            raise InputError(f"no class is called {name!r}; doubts can be of one of {shown}")
        return self.p_wrong[:, self.classes.index(name)]


def needed(found: ClassDoubts | None) -> ClassDoubts:
    """Return doubts that were asked for; InputError where the verdicts have none."""
    if found is None:
        raise InputError(
            "these verdicts say nothing of single decisions, so no class's doubts can be ranked: they are of one label "
            "an image (--quota-per predicted gives each class as many), or a CSV of more than 200 classes"
        )
    return found
