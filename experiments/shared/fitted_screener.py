"""The screener of a split, fitted as users fit one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from experiments.shared.splits import Split
from uncertainty import ModelOutputs, Screener
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.estimators.least_confidence import LeastConfidence

MAX_SOFTMAX = "least_confidence"
"""The estimator that everything is compared with: 1 - max softmax."""


def fitted(
    split: Split,
    expect_damage: float = EXPECT_DAMAGE,
    expect_unknown: float = EXPECT_UNKNOWN,
    deeper: Sequence[str] = (),
) -> Screener:
    """Fit a screener as users do, with the package's defaults where nothing else is said; a split may lack copies."""
    damaged, foreign = split.calibration_damaged, split.calibration_foreign
    return Screener.fit_outputs(
        split.reference,
        split.calibration,
        damaged=named_as_originals(damaged) if len(damaged) else None,
        foreign=named_as_originals(foreign) if len(foreign) else None,
        expect_damage=expect_damage,
        expect_unknown=expect_unknown,
        deeper=deeper,
        damage_kinds=kinds_by_original(damaged),
    )


def max_softmax(outputs: ModelOutputs) -> NDArray[np.float64]:
    """Return 1 - max softmax from differences of float64 logits, so that sure rows do not tie.

    >>> max_softmax(ModelOutputs(ids=["a", "b"], logits=[[40.0, 0.0], [50.0, 0.0]])).argsort().tolist()
    [1, 0]
    """
    return LeastConfidence().score(outputs)


def named_as_originals(copies: ModelOutputs) -> ModelOutputs:
    """Strip the kind of change from the ids of copies, so that they equal those of their originals."""
    return replace(copies, ids=np.array([str(i).partition("#")[0] for i in copies.ids]))


def kinds_by_original(copies: ModelOutputs) -> dict[str, str]:
    """Return by the id of the original what was done to its copy, from ids that end in "#" and the kind."""
    parts = (str(i).partition("#") for i in copies.ids)
    return {original: kind for original, _, kind in parts}
