"""Calibration rows as they are kept: p_wrong of each from a combiner without it, and all it takes to learn again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.mixture import Signals

_FACTS = ("wrong", "condition", "groups", "certifying")
ARRAYS = ("held_out", "held_out.facts", "held_out.scores", "held_out.context", "held_out.predicted")
"""Names of the arrays that `arrays` always makes."""
_LOT = 15
_MORE = ("chosen", "clusters", "partly", "later")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """n calibration rows, clean ones and copies; decisions are made on them.

    Parameters
    ----------
    p_wrong : (n,) float32, from a combiner that did not learn from the row.
    weights : (n,) float32, what a row counts.
    wrong : (n,) whether the classifier was wrong.
    condition : (n,) position in CONDITIONS.
    groups : (n,) the image that a row comes from.
    certifying : (n,) rows kept back from the combiner to certify what it says; often none.
    signals : what the estimators said of the rows.
    chosen : (n,) rows that were not drawn as the others were: labelled later, with unequal chances, so that only their
        weights make them speak for all; None where there are none.
    clusters : (n,) which images belong together, such as frames of a film; None where nobody said so.
    partly : (n,) images of several labels of which some answer is unknown, so that `wrong` is drawn; None: none are.
    later : (n,) images of a stream, labelled later: they came as they are, and may be damaged; None: none are.

    """

    p_wrong: NDArray[np.float32]
    weights: NDArray[np.float32]
    wrong: NDArray[np.bool_]
    condition: NDArray[np.int64]
    groups: NDArray[np.int64]
    certifying: NDArray[np.bool_]
    signals: Signals
    chosen: NDArray[np.bool_] | None = None
    clusters: NDArray[np.int64] | None = None
    partly: NDArray[np.bool_] | None = None
    later: NDArray[np.bool_] | None = None

    @property
    def as_drawn(self) -> NDArray[np.bool_]:
        """(n,) clean rows that were drawn alike, so that each may be counted once."""
        return self.clean if self.chosen is None else np.asarray(self.clean & ~self.chosen)

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        p_wrong: NDArray[np.floating],
        certifying: NDArray[np.bool_],
        partly: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Keep evidence and what was said of its rows."""
        return cls(
            p_wrong=p_wrong.astype(np.float32),
            weights=evidence.weights.astype(np.float32),
            wrong=evidence.wrong,
            condition=evidence.condition,
            groups=evidence.groups,
            certifying=certifying,
            signals=evidence.signals,
            clusters=evidence.clusters,
            partly=partly,
        )

    def __len__(self) -> int:
        return len(self.p_wrong)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) the predicted class, below 0 where there is no single one, see `Signals`."""
        return self.signals.predicted

    @property
    def clean(self) -> NDArray[np.bool_]:
        """(n,) rows that are images as they came, not copies."""
        return np.asarray(self.condition == CONDITIONS.index("clean"))

    @property
    def exact(self) -> NDArray[np.bool_]:
        """(n,) rows that a binomial tail may count: clean, as they came, of known truth; kept back where any were."""
        rows = self.clean & self.certifying if self.certifying.any() else self.as_drawn
        return np.asarray(rows if self.partly is None else rows & ~self.partly)

    @property
    def independent(self) -> NDArray[np.bool_]:
        """(n,) of the exact rows one of each group, drawn by lot: rows of a group are not independent of each other."""
        exact = self.exact
        if self.clusters is None:
            return exact
        rows = np.random.default_rng(_LOT).permutation(np.flatnonzero(exact))
        chosen = np.zeros(len(self), dtype=bool)
        chosen[rows[np.unique(self.clusters[rows], return_index=True)[1]]] = True
        return chosen

    def take(self, rows: NDArray[np.bool_]) -> HeldOut:
        """Return the rows of a mask."""
        names = ("p_wrong", "weights", *_FACTS)
        more = {name: getattr(self, name) for name in _MORE}
        more = {name: None if values is None else values[rows] for name, values in more.items()}
        facts = {name: getattr(self, name)[rows] for name in names}
        return HeldOut(**facts, signals=self.signals.take(rows), **more)

    def with_p_wrong(self, p_wrong: NDArray[np.floating]) -> HeldOut:
        """Return the same rows, judged otherwise."""
        return replace(self, p_wrong=p_wrong.astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays by name."""
        more = {f"held_out.{name}": getattr(self, name) for name in _MORE}
        return {name: values for name, values in more.items() if values is not None} | {
            "held_out": np.stack([self.p_wrong, self.weights]),
            "held_out.facts": np.stack([getattr(self, name).astype(np.int64) for name in _FACTS]),
            "held_out.scores": self.signals.scores,
            "held_out.context": self.signals.context,
            "held_out.predicted": self.predicted.astype(np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `arrays`."""
        p_wrong, weights = arrays["held_out"]
        facts = dict(zip(_FACTS, arrays["held_out.facts"], strict=True))
        predicted = arrays["held_out.predicted"].astype(np.int64)
        return cls(
            p_wrong=p_wrong,
            weights=weights,
            wrong=facts["wrong"].astype(bool),
            condition=facts["condition"],
            groups=facts["groups"],
            certifying=facts["certifying"].astype(bool),
            signals=Signals(arrays["held_out.scores"], arrays["held_out.context"], predicted),
            **{name: arrays.get(f"held_out.{name}") for name in _MORE},
        )
