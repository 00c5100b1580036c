"""The screener of a split, fitted as users fit one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from experiments.shared.splits import Split
from uncertainty import ModelOutputs, Screener
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN

MAX_SOFTMAX = "least_confidence"
"""The estimator that everything is compared with: 1 - max softmax."""


def fitted(
    split: Split,
    expect_damage: float = EXPECT_DAMAGE,
    expect_unknown: float = EXPECT_UNKNOWN,
    deeper: Sequence[str] = (),
) -> Screener:
    """Fit a screener as users do, with the package's defaults where nothing else is said."""
    return Screener.fit_outputs(
        split.reference,
        split.calibration,
        damaged=named_as_originals(split.calibration_damaged),
        foreign=named_as_originals(split.calibration_foreign),
        expect_damage=expect_damage,
        expect_unknown=expect_unknown,
        deeper=deeper,
        damage_kinds=kinds_by_original(split.calibration_damaged),
    )


def named_as_originals(copies: ModelOutputs) -> ModelOutputs:
    """Strip the kind of change from the ids of copies, so that they equal those of their originals."""
    return replace(copies, ids=np.array([str(i).partition("#")[0] for i in copies.ids]))


def kinds_by_original(copies: ModelOutputs) -> dict[str, str]:
    """Return by the id of the original what was done to its copy, from ids that end in "#" and the kind."""
    parts = (str(i).partition("#") for i in copies.ids)
    return {original: kind for original, _, kind in parts}
