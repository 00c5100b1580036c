"""Several labels an image: the decision on each of them, as the page shows it class by class and image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.labels.tables import encoded, table_decisions, table_probs, unanswered
from uncertainty.metrics.curves import class_curve
from uncertainty.report import curves
from uncertainty.report.rows import Rows
from uncertainty.verdicts import FLAGGED_LABELS

MOST_POINTS = 60
"""So many thresholds of a class can be chosen on the page: 200 classes then take some 200 kB."""
MOST_DOUBTS = 12
"""So many decisions of an image are told, the most doubtful first."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """(n, c) arrays of all rows of a verdict table.

    `said`: the label is given; `carried`: it is there; `known`: somebody said whether it is, and the image was read;
    `probs` and `p_wrong`: of the label, and that its decision is wrong, NaN where not known; `flagged`: a policy on
    decisions flags it, None without one.
    """

    said: NDArray[np.bool_]
    carried: NDArray[np.bool_]
    known: NDArray[np.bool_]
    probs: NDArray[np.float64]
    p_wrong: NDArray[np.float64]
    flagged: NDArray[np.bool_] | None

    @classmethod
    def of(cls, rows: Rows) -> Decisions:
        """Read them from a table of verdicts, joined with labels or not."""
        table, classes, names = rows.table, rows.classes, rows.table.column_names
        with_numbers = rows.known_classes
        nothing = np.zeros((len(rows), len(classes)), dtype=bool)
        labels = table["label"] if "label" in names else None
        told = rows.readable & np.array([one is not None for one in rows.label], dtype=bool)
        return cls(
            said=encoded(table["predicted_label"], classes, "multilabel"),
            carried=nothing if labels is None else encoded(labels, classes, "multilabel"),
            known=nothing if labels is None else told[:, None] & ~unanswered(labels, classes),
            probs=_whole(table_probs(table, with_numbers), nothing.shape),
            p_wrong=_whole(table_decisions(table, with_numbers), nothing.shape),
            flagged=encoded(table[FLAGGED_LABELS], classes, "multilabel") if FLAGGED_LABELS in names else None,
        )

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(n, c) True where a decision differs from a known answer."""
        return np.asarray((self.said != self.carried) & self.known)

    def doubts(self, row: int) -> list[int]:
        """Return the classes of one image, those with the most doubtful decision first.

        By p_wrong, or where the table has none by how near to a half their probability is.
        """
        doubt = self.p_wrong[row]
        if np.isnan(doubt).all():
            doubt = -np.abs(self.probs[row] - 0.5)
        order = np.argsort(-doubt, kind="stable")
        return [int(k) for k in order if not np.isnan(doubt[k])]

    def of_image(self, row: int) -> dict[str, Any]:
        """Return what the page says of one image that was read, as class numbers.

        `doubts` holds [class, p_wrong, probability] of up to 12 decisions.
        """
        doubts = self.doubts(row)[:MOST_DOUBTS]
        found = {
            "predicted": np.flatnonzero(self.said[row]).tolist(),
            "doubts": [[k, _number(self.p_wrong[row, k]), _number(self.probs[row, k])] for k in doubts],
        }
        if self.flagged is not None:
            found["flagged_labels"] = np.flatnonzero(self.flagged[row]).tolist()
        if self.known[row].any():
            known = self.known[row]
            found["label"] = np.flatnonzero(self.carried[row] & known).tolist()
            found["unanswered"] = np.flatnonzero(~known).tolist()
        return found

    def by_class(self, readable: NDArray[np.bool_]) -> list[dict[str, Any]]:
        """Return one record a class: counts of all images read, and where labels tell, its curve."""
        return [self._of_class(k, readable) for k in range(self.said.shape[1])]

    def _of_class(self, k: int, readable: NDArray[np.bool_]) -> dict[str, Any]:
        known, said, carried = self.known[:, k], self.said[:, k], self.carried[:, k]
        p_wrong = self.p_wrong[readable, k]
        told = p_wrong[~np.isnan(p_wrong)]
        record = {
            "class": k,
            "said": int((said & readable).sum()),
            "expected": curves.rounded([told.sum()])[0] if len(told) else None,
            "flagged": None if self.flagged is None else int((self.flagged[:, k] & readable).sum()),
        }
        if not known.any():
            return record
        return record | {
            "n": int(known.sum()),
            "carried": int((carried & known).sum()),
            "wrongly_given": int((said & ~carried & known).sum()),
            "not_recognised": int((~said & carried & known).sum()),
            "curve": threshold_points(carried[known], self.probs[known, k], int((said & known).sum())),
        }


def threshold_points(
    truth: NDArray[np.bool_], probs: NDArray[np.float64], said: int
) -> dict[str, list[Any] | int] | None:
    """Return what giving a label from each of up to 60 thresholds on would do; None without a curve.

    `given` images get the label, `hits` of them rightly, `present` is the threshold that is nearest to giving it to
    `said` of them, as the classifier does.

    >>> threshold_points(np.array([True, False, True]), np.array([0.9, 0.5, 0.25]), 2)
    {'threshold': [1.0, 0.9, 0.5, 0.25], 'given': [0, 1, 2, 3], 'hits': [0, 1, 1, 2], 'present': 2}
    """
    curve = None if np.isnan(probs).any() else class_curve(truth, probs)
    if curve is None:
        return None
    positives = int(truth.sum())
    hits = (curve.true_positive_rate * positives).round().astype(int)
    given = hits + (curve.false_positive_rate * (len(truth) - positives)).round().astype(int)
    present = int(np.abs(given - said).argmin())
    along = curve.true_positive_rate + curve.false_positive_rate
    steps = np.searchsorted(along, np.linspace(0, along[-1], MOST_POINTS - 2))
    kept = np.unique([*steps.clip(max=len(along) - 1), len(along) - 1, present])
    return {
        "threshold": curves.rounded(np.append(1.0, curve.threshold[1:])[kept]),
        "given": given[kept].tolist(),
        "hits": hits[kept].tolist(),
        "present": int(np.searchsorted(kept, present)),
    }


def _whole(told: NDArray[np.float32] | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Put NaN where there is no number: classes that occur as labels only stand behind the others."""
    found = np.full(shape, np.nan)
    if told is not None:
        found[:, : told.shape[1]] = told
    return found


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.6g}")
