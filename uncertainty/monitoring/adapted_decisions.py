"""Single decisions of a batch, kept so that they can be judged again under other shares of damaged images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.decision_experts import DecisionExperts
from uncertainty.combination.mixture import Condition, Floats
from uncertainty.errors import InputError
from uncertainty.labels.tables import encoded, table_decisions
from uncertainty.monitoring.label_shares import KnownLabels

if TYPE_CHECKING:
    import pyarrow as pa

LOG_ODDS = "decision_log_odds"
"""A list for each image: log-odds that each decision is wrong, before it is known how probable damage is."""
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class DecisionJudge:
    """What judges single decisions, and the labels of the calibration rows that it is compared with."""

    experts: DecisionExperts
    known: KnownLabels


@dataclass(frozen=True, eq=False)
class BatchDecisions:
    """Decisions of n images, as calibrated, and by whom.

    Parameters
    ----------
    by : who judges them.
    log_odds : (n, c) float32 that each is wrong.
    said : (n, c) what is said to be there.
    p_wrong : (n, c) float32.

    """

    by: DecisionJudge
    log_odds: NDArray[np.float32]
    said: NDArray[np.bool_]
    p_wrong: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> BatchDecisions:
        """Return the rows at positions."""
        return BatchDecisions(self.by, self.log_odds[rows], self.said[rows], self.p_wrong[rows])

    @property
    def carried(self) -> Floats:
        """(n, c) the chance that each label is carried."""
        p = self.p_wrong.astype(np.float64)
        return np.where(self.said, 1 - p, p)

    def judged(self, conditions: Mapping[Condition, Floats], most: NDArray[np.floating]) -> Floats:
        """Return (n, c) p_wrong, at most `most` (n,), of images that are of each condition with chances (n,)."""
        found = np.empty(self.log_odds.shape)
        for start in range(0, len(found), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            chances = {name: chance[rows] for name, chance in conditions.items()}
            found[rows] = self.by.experts.p_wrong(self.log_odds[rows].astype(np.float64), self.said[rows], chances)
        return np.asarray(np.minimum(found, most[:, None]))


class DecisionsRead:
    """Decisions of the rows of a verdict table that have no error, collected piece by piece."""

    def __init__(self, by: DecisionJudge, classes: Sequence[str]) -> None:
        self._by, self._classes = by, classes
        self._parts: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]] = []

    def add(self, rows: pa.RecordBatch) -> None:
        """Read rows that have no error; InputError without the column LOG_ODDS."""
        import pyarrow as pa

        shape = (len(rows), len(self._classes))
        told = table_decisions(pa.Table.from_batches([rows]), self._classes) if len(rows) else np.empty(shape)
        if told is None or LOG_ODDS not in rows.schema.names:
            raise InputError(f"the verdicts have no column {LOG_ODDS!r}: they are of an earlier release; screen again")
        log_odds = rows[LOG_ODDS].flatten().to_numpy(zero_copy_only=False).reshape(shape).astype(np.float32)
        said = np.asarray(encoded(rows["predicted_label"], self._classes, "multilabel"), dtype=np.bool_)
        self._parts.append((log_odds, said, told.astype(np.float32)))

    def joined(self) -> BatchDecisions:
        """Return all rows."""
        return BatchDecisions(self._by, *(np.concatenate(arrays) for arrays in zip(*self._parts, strict=True)))
