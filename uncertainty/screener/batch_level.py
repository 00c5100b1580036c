"""`--adapt batch`: verdicts whose p_wrong fits the batch that they came in, and what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.class_columns import WIDE_CLASSES, decision_columns
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.each_decision import flagged_labels, flags_of_decisions
from uncertainty.errors import InputError
from uncertainty.monitoring.adapted import Adapted, adapted
from uncertainty.monitoring.adapted_decisions import DecisionJudge, DecisionsRead
from uncertainty.monitoring.baseline import rows_of_table
from uncertainty.monitoring.batch import Calibrated
from uncertainty.monitoring.label_shares import KnownLabels
from uncertainty.outputs import UNKNOWN_ANSWER
from uncertainty.screener.as_calibrated import spread
from uncertainty.screener.decisions import Decisions
from uncertainty.screener.fitted import Fitted
from uncertainty.screener.verdict_rows import OTHERWISE, suggested_sets
from uncertainty.verdicts import FLAGGED_LABELS, SUGGESTED

if TYPE_CHECKING:
    import pyarrow as pa

BATCH, ADAPTED_TO_BATCH = "batch", "adapted_to_batch"
"""What p_wrong can be adapted to, and where provenance says so."""
FLAGGED_BEFORE = "flagged_before"
"""In what provenance says of it: how many images would be flagged without it."""
Adapt = str | None


def wanted(adapt: Adapt, fitted: Fitted) -> bool:
    """Return whether p_wrong is to be adapted.

    Raises InputError for what there is not, for a cascade, whose first look decides before the batch is known, and for
    flags that a promise was certified for, since that is of p_wrong as it was calibrated.
    """
    if adapt is None:
        return False
    if adapt != BATCH:
        raise InputError(f"adapt is {adapt!r}; it is {BATCH!r}, or left out")
    if fitted.cascade is not None:
        raise InputError("a cascade decides before the batch is known; fit without --cascade to adapt p_wrong to it")
    if any(line.certified for line in fitted.decision.lines):
        raise InputError(
            f"flags that keep {fitted.decision.policy} are certified for p_wrong as calibrated, not as adapted to a "
            "batch; leave --adapt out, or take a budget, a threshold or costs"
        )
    return True


@dataclass(frozen=True, eq=False)
class BatchLevel:
    """p_wrong (n,) float32 of all rows in their order, NaN where the image could not be read, and what it rests on.

    `flagged_before` counts the flags of these rows as they would be without it.
    Of several labels an image also `of_decisions` (n, c), NaN there too, and what is `said` (n, c) to be there: these
    and what they are made from take 18 bytes a decision.
    """

    p_wrong: NDArray[np.float32]
    found: Adapted
    fitted: Fitted
    flagged_before: int
    of_decisions: NDArray[np.float32] | None = None
    said: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch], fitted: Fitted) -> BatchLevel:
        """Adapt the verdicts of a batch, which come in pieces."""
        read: list[NDArray[np.bool_]] = []
        flags: list[int] = []
        each = _decisions_of(fitted)

        def noted() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                read.append(batch["error"].is_null().to_numpy(zero_copy_only=False))
                flags.append(batch["flagged"].true_count)
                if each is not None:
                    each.add(batch.filter(batch["error"].is_null()))
                yield batch

        baseline = fitted.baseline
        names = [e.name for e in fitted.estimators]
        rows = rows_of_table(noted(), names, baseline.context_names, baseline.temperature)
        calibrated = Calibrated(
            fitted.estimators, fitted.combiner, baseline, fitted.calibrated_on, fitted.model.classes
        )
        seen = None if each is None else each.joined()
        found, readable = adapted(calibrated, rows, seen), np.concatenate(read)
        p_wrong = spread(found.p_wrong, readable, np.float32(np.nan))
        if found.decisions is None or seen is None:
            return cls(p_wrong, found, fitted, sum(flags))
        of_decisions = spread(found.decisions, readable, np.float32(np.nan))
        return cls(p_wrong, found, fitted, sum(flags), of_decisions, spread(seen.said, readable, np.False_))

    def told(self) -> dict[str, Any]:
        """Return what every output says of it; JSON values."""
        return self.found.told() | {FLAGGED_BEFORE: self.flagged_before}

    def columns(self, rows: pa.Table | pa.RecordBatch, start: int = 0) -> dict[str, Any]:
        """Return the columns that change in rows from `start` on.

        p_wrong, that of decisions, flags, reasons that go with them, and the set of labels that is likelier.
        """
        import pyarrow as pa

        p = self.p_wrong[start : start + len(rows)]
        flags = self.flagged(rows, start)
        changed = (flags != rows["flagged"].to_numpy(zero_copy_only=False)).tolist()
        pairs = list(zip(rows["reasons"].to_pylist(), rows[OTHERWISE].to_pylist(), changed, strict=True))
        text = pa.list_(pa.string())
        return {
            "p_wrong": pa.array(p, pa.float32(), mask=np.isnan(p)),
            "flagged": pa.array(flags),
            "reasons": pa.array([_first(pair) for pair in pairs], text),
            OTHERWISE: pa.array([_first((other, own, flip)) for own, other, flip in pairs], text),
            **self._of_decisions(slice(start, start + len(rows))),
        }

    def flagged(self, rows: pa.Table | pa.RecordBatch, start: int = 0) -> NDArray[np.bool_]:
        """Return (n,) which of these rows are flagged."""
        decision, p = self.fitted.decision, self.p_wrong[start : start + len(rows)]
        if decision.policy.per_decision and self.of_decisions is not None:
            flags = flags_of_decisions(decision, self.of_decisions[start : start + len(rows)])
            return np.asarray(np.isnan(p) | flags.any(axis=1))
        predicted = rows["predicted_index"].fill_null(-1).to_numpy()
        return np.asarray(np.isnan(p) | (p >= decision.thresholds(predicted)))

    def _of_decisions(self, rows: slice) -> dict[str, pa.Array]:
        """Return what follows from p_wrong of single decisions, null where the image could not be read."""
        import pyarrow as pa

        decisions, there = self.fitted.decisions, self.fitted.more_columns()
        if self.of_decisions is None or self.said is None or decisions is None:
            return {}
        p, classes, unread = self.of_decisions[rows], self.fitted.model.classes, np.isnan(self.p_wrong[rows])
        number = pa.float32() if len(classes) <= WIDE_CLASSES else pa.list_(pa.float32())
        told = {name: pa.array(column, number, mask=unread) for name, column in decision_columns(classes, p).items()}
        if FLAGGED_LABELS in there:
            labels = flagged_labels(flags_of_decisions(self.fitted.decision, p), classes)
            told[FLAGGED_LABELS] = pa.array(labels, pa.string(), mask=unread)
        if "suggested" in there:
            likelier = suggested_sets(self.said[rows], p, decisions.sets, classes)
            told |= {
                name: pa.array(likelier[name], kind)
                for name, kind in zip(SUGGESTED, (pa.string(), pa.float32()), strict=True)
            }
        return told


def _decisions_of(fitted: Fitted) -> DecisionsRead | None:
    if fitted.decisions is None:
        return None
    return DecisionsRead(_judge_of(fitted.decisions, fitted.calibration), fitted.model.classes)


def _judge_of(decisions: Decisions, calibration: HeldOut) -> DecisionJudge:
    """Return what judges decisions, and the calibration rows that the baseline has, in its order."""
    rows = decisions.rows.take(calibration.as_drawn)
    p, wrong = rows.p_wrong.astype(np.float64), rows.wrong
    truth = np.where(wrong < 0, UNKNOWN_ANSWER, rows.said != (wrong == 1)).astype(np.int8)
    return DecisionJudge(decisions.experts, KnownLabels(np.where(rows.said, 1 - p, p), truth))


def _first(pair: Sequence[Any]) -> Any:
    own, other, flipped = pair
    return other if flipped and other is not None else own


def levelled(table: pa.Table, fitted: Fitted, schema: Callable[..., pa.Schema], *, adapting: bool) -> pa.Table:
    """Return rows without ranks as they are, with provenance, or adapted to the batch that they are.

    `schema` gives that of verdicts, with what was adapted in its provenance.
    """
    import pyarrow as pa

    if not adapting or not len(table):
        own = schema()
        return table.select(own.names).replace_schema_metadata(own.metadata)
    level = BatchLevel.of(table.to_batches(), fitted)
    now, columns = schema(adapted=level.told()), level.columns(table)
    return pa.table({name: columns.get(name, table[name]) for name in now.names}, schema=now)
