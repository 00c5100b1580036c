"""Outputs without images, a batch after another, so that memory does not grow with what judging them needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uncertainty.classifiers.batches import Batch, Row
from uncertainty.combination.evidence import ROWS_AT_ONCE
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs
from uncertainty.screener.cascade import Cascade


def in_batches(outputs: ModelOutputs, cascade: Cascade | None, estimators: Sequence[Estimator]) -> Iterator[Batch]:
    """Yield rows of outputs in their order; with a cascade, beside them those that get a deeper look."""
    for some in outputs.in_blocks(ROWS_AT_ONCE):
        rows = tuple(Row(str(name), None, "", None) for name in some.ids)
        yield Batch(rows, some, None if cascade is None else cascade.taken(estimators, some))
