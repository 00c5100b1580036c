"""The index of known-good features, as the neighbour estimators keep and share it."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators.base import Estimator
from uncertainty.neighbors import NeighborIndex, memory_needed
from uncertainty.outputs import ModelOutputs

logger = logging.getLogger("uncertainty")
_LARGE = 1 << 28  # bytes; an index that takes more is worth a note
_SAMPLE = 256
_FEW = 5
# Estimators that are fitted on the same rows share one index in memory; it is forgotten together with the rows.
_BUILT: WeakKeyDictionary[ModelOutputs, dict[tuple[str, bool | None], NeighborIndex]] = WeakKeyDictionary()
_RIGHT: WeakKeyDictionary[ModelOutputs, ModelOutputs] = WeakKeyDictionary()


class KnownGoodEstimator(Estimator):
    """An estimator that looks for the nearest known-good vectors: what it learns is `index_`, saved as its arrays."""

    column: ClassVar[str] = "features"
    """Which vectors: features, or embedding."""
    approximate: bool | None
    index_: NeighborIndex

    def learnt(self) -> dict[str, Any]:
        """Return what `fit` learnt, with the arrays of the index in place of the index."""
        learnt = super().learnt()
        index = learnt.pop("index_", None)
        return learnt if index is None else {f"{name}_": value for name, value in index.arrays().items()} | learnt

    def restore(self, learnt: dict[str, Any]) -> Self:
        """Put back what `learnt` returned."""
        if "vectors_" not in learnt:
            return super().restore(learnt)
        index = NeighborIndex.from_arrays({name.removesuffix("_"): value for name, value in learnt.items()})
        names = {f"{name}_" for name in index.arrays()}
        return super().restore({name: value for name, value in learnt.items() if name not in names} | {"index_": index})

    def _forget(self) -> None:
        vars(self).pop("index_", None)
        super()._forget()

    def _fit(self, reference: ModelOutputs) -> None:
        self.index_ = known_good_index(reference, self.column, self.approximate)


class KnownGoodRowsEstimator(KnownGoodEstimator):
    """One that keeps more of each known-good row than its vector, and must learn and forget it with the row."""

    @abstractmethod
    def rows_added(self, rows: ModelOutputs) -> None:
        """Learn what is kept of rows that come behind those there are."""

    @abstractmethod
    def rows_removed(self, rows: NDArray[np.int64]) -> None:
        """Forget what is kept of the rows at these positions."""


def neighbours_for(rows: float) -> int:
    """Choose k for that many known-good rows: 1 up to some 300, 4 for 2,000, 11 for 20,000, growing as their root.

    A single neighbour is noise where rows are many, and the 10th lies in another cluster where they are few; on digits
    (35 a class), solar cells (240) and CIFAR-10 (1,900) this k is at or next to the best in `experiments/`.

    >>> neighbours_for(35), neighbours_for(1900), neighbours_for(20_000)
    (1, 4, 12)
    """
    return max(1, round(math.sqrt(rows) / 12))


def known_good_index(
    reference: ModelOutputs, column: str = "features", approximate: bool | None = None
) -> NeighborIndex:
    """Index the features (or the embedding) of reference rows by their classes, once for the same rows."""
    built = _BUILT.setdefault(reference, {})
    if (column, approximate) not in built:
        features = getattr(reference, column)
        needed = memory_needed(*features.shape, approximate=approximate)
        level = logging.WARNING if needed >= 1 << 30 else logging.INFO
        logger.log(level, "the index of %d x %d known-good %s takes %s", *features.shape, column, in_bytes(needed))
        built[column, approximate] = NeighborIndex.build(features, known_classes(reference), approximate=approximate)
    return built[column, approximate]


def enough(classes: NDArray[np.int64]) -> bool:
    """Return whether each class that is there has five rows or more."""
    return bool(np.unique(classes, return_counts=True)[1].min() >= _FEW)


def right_rows(reference: ModelOutputs) -> ModelOutputs:
    """Return the reference rows that the classifier gets right, where labels tell; once, so that one index serves."""
    if reference.labels is None or not (wrong := reference.wrong).any():
        return reference
    if (kept := _RIGHT.get(reference)) is None:
        kept = _RIGHT[reference] = reference.take(~wrong)
    return kept


def known_good_names(reference: ModelOutputs) -> tuple[str, ...]:
    """Return file names (or ids) of the reference rows in the order in which `known_good_index` has them."""
    order = np.argsort(known_classes(reference), kind="stable")
    return tuple(str(reference.ids[i]).removeprefix("reference:") for i in order)


def known_classes(reference: ModelOutputs) -> NDArray[np.int64]:
    """(n,) the class of each reference row: its label, or the prediction where there are no labels.

    Multilabel rows have no single class; all are of class 0.
    """
    if reference.task == "multilabel":
        return np.zeros(len(reference), dtype=np.int64)
    return np.asarray(reference.labels if reference.has("labels") else reference.predictions)


def with_index(estimators: Iterable[Estimator]) -> list[KnownGoodEstimator]:
    """Return those that keep an index; one that may do without has none where there is nothing to compare."""
    kept = (estimator for estimator in estimators if isinstance(estimator, KnownGoodEstimator))
    return [estimator for estimator in kept if not estimator.learnt() or "index_" in vars(estimator)]


def share(estimators: Iterable[Estimator]) -> None:
    """Let restored estimators whose index has the same vectors in memory have one index."""
    first: dict[int, NeighborIndex] = {}
    for estimator in with_index(estimators):
        estimator.index_ = first.setdefault(id(estimator.index_.vectors), estimator.index_)


def settle(estimators: Sequence[Estimator], calibration: ModelOutputs) -> tuple[str, ...]:
    """Measure approximate indexes of fitted estimators on calibration rows, and say what they find and what they take.

    Where less than 95 % of the true ten nearest are found, more lists are looked at from now on.
    """
    settled: dict[int, NeighborIndex] = {}
    users: dict[int, list[str]] = {}
    kept = with_index(estimators)
    before = [estimator.index_ for estimator in kept]  # alive, so that no id is given twice
    for estimator, index in zip(kept, before, strict=True):
        users.setdefault(id(index), []).append(estimator.name)
        if id(index) not in settled:
            settled[id(index)] = index.settled(_sample(getattr(calibration, estimator.column)))
        estimator.index_ = settled[id(index)]
    return tuple(text for key, names in users.items() if (text := _said(settled[key], names)))


def recall(estimators: Sequence[Estimator]) -> dict[str, Any]:
    """Return the recall@10 of approximate indexes by column, for `calibrated_on`; {} where search is exact."""
    kept = [estimator for estimator in with_index(estimators) if estimator.index_.lists is not None]
    found = {e.column: round(e.index_.lists.recall, 4) for e in kept if e.index_.lists is not None}
    return {"neighbour_recall_at_10": found} if found else {}


def in_bytes(count: int) -> str:
    """Write a number of bytes in MB or GB.

    >>> in_bytes(102_560_000), in_bytes(1_200_000_000)
    ('103 MB', '1.2 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _said(index: NeighborIndex, names: Sequence[str]) -> str:
    m, d = index.vectors.shape
    needed = memory_needed(m, d, approximate=index.lists is not None)
    if index.lists is None:
        return f"{', '.join(names)}: the index takes {in_bytes(needed)} of memory" if needed > _LARGE else ""
    found, lists = f"{index.lists.recall:.1%}", len(index.lists.centroids)
    return (
        f"{', '.join(names)}: search among {m} known-good rows is approximate, it finds {found} of the ten nearest "
        f"of calibration rows by looking at {index.lists.probes} of {lists} lists; the index takes {in_bytes(needed)}"
    )


def _sample(queries: NDArray[Any]) -> NDArray[Any]:
    return queries[np.random.default_rng(0).permutation(len(queries))[:_SAMPLE]]
