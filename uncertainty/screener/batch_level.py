"""`--adapt batch`: verdicts whose p_wrong fits the batch that they came in, and what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.monitoring.adapted import Adapted, adapted
from uncertainty.monitoring.baseline import rows_of_table
from uncertainty.monitoring.batch import Calibrated
from uncertainty.screener.fitted import Fitted
from uncertainty.screener.verdict_rows import OTHERWISE

if TYPE_CHECKING:
    import pyarrow as pa

BATCH, ADAPTED_TO_BATCH = "batch", "adapted_to_batch"
"""What p_wrong can be adapted to, and where provenance says so."""
Adapt = str | None


def wanted(adapt: Adapt, fitted: Fitted) -> bool:
    """Return whether p_wrong is to be adapted.

    Raises InputError for what there is not, for a cascade, whose first look decides before the batch is known, for
    flags that a promise was certified for, since that is of p_wrong as it was calibrated, and for several labels an
    image.
    """
    if adapt is None:
        return False
    if adapt != BATCH:
        raise InputError(f"adapt is {adapt!r}; it is {BATCH!r}, or left out")
    if fitted.cascade is not None:
        raise InputError("a cascade decides before the batch is known; fit without --cascade to adapt p_wrong to it")
    if fitted.decisions is not None:
        raise InputError(
            "p_wrong of several labels is not adapted to a batch: verdicts do not keep what p_wrong_<class> "
            "would be under other shares of damage, and would contradict it; leave --adapt out, `uncertainty monitor` "
            "says how accurate the decisions of this batch are"
        )
    if any(line.certified for line in fitted.decision.lines):
        raise InputError(
            f"flags that keep {fitted.decision.policy} are certified for p_wrong as calibrated, not as adapted to a "
            "batch; leave --adapt out, or take a budget, a threshold or costs"
        )
    return True


@dataclass(frozen=True, eq=False)
class BatchLevel:
    """p_wrong (n,) float32 of all rows in their order, NaN where the image could not be read, and what it rests on."""

    p_wrong: NDArray[np.float32]
    found: Adapted
    fitted: Fitted

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch], fitted: Fitted) -> BatchLevel:
        """Adapt the verdicts of a batch, which come in pieces."""
        read: list[NDArray[np.bool_]] = []

        def noted() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                read.append(batch["error"].is_null().to_numpy(zero_copy_only=False))
                yield batch

        baseline = fitted.baseline
        names = [e.name for e in fitted.estimators]
        rows = rows_of_table(noted(), names, baseline.context_names, baseline.temperature)
        calibrated = (fitted.combiner, baseline, fitted.calibrated_on, fitted.model.classes)
        found = adapted(Calibrated(fitted.estimators, *calibrated), rows)
        readable = np.concatenate(read)
        p_wrong = np.full(len(readable), np.nan, dtype=np.float32)
        p_wrong[readable] = found.p_wrong
        return cls(p_wrong, found, fitted)

    def columns(self, rows: pa.Table | pa.RecordBatch, start: int = 0) -> dict[str, Any]:
        """Return the columns that change in rows from `start` on: p_wrong, flags, and the reasons that go with them."""
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
        }

    def flagged(self, rows: pa.Table | pa.RecordBatch, start: int = 0) -> NDArray[np.bool_]:
        """Return (n,) which of these rows are flagged."""
        p, predicted = self.p_wrong[start : start + len(rows)], rows["predicted_index"].fill_null(-1).to_numpy()
        return np.asarray(np.isnan(p) | (p >= self.fitted.decision.thresholds(predicted)))


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
    now, columns = schema(adapted=level.found.told()), level.columns(table)
    return pa.table({name: columns.get(name, table[name]) for name in now.names}, schema=now)


def as_calibrated(table: pa.Table, fitted: Fitted) -> pa.Table:
    """Return adapted verdicts with p_wrong as it was before, from what they hold of each image."""
    import pyarrow as pa

    baseline, names = fitted.baseline, [e.name for e in fitted.estimators]
    rows = rows_of_table(table.to_batches(), names, baseline.context_names, baseline.temperature)
    p_wrong = np.full(len(table), np.nan, dtype=np.float32)
    p_wrong[table["error"].is_null().to_numpy()] = fitted.combiner.p_wrong(rows.signals)
    place = table.column_names.index("p_wrong")
    return table.set_column(place, table.schema.field("p_wrong"), pa.array(p_wrong, mask=np.isnan(p_wrong)))
