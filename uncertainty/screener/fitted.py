"""What a fit leaves behind: learnt, decided, and all that is saved of a screener."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Mixture
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision
from uncertainty.estimators.base import Estimator
from uncertainty.monitoring.baseline import Baseline
from uncertainty.screener.artifact import SavedModel
from uncertainty.screener.cascade import Cascade
from uncertainty.screener.decisions import Decisions
from uncertainty.screener.reasons import NOTHING_LEARNT, Telling
from uncertainty.verdicts import FLAGGED_LABELS


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted:
    """All that a screener knows; `Screener` is this and what it can do.

    `calibrated_on` says what p_wrong rests on; `notes`, in words, what was left out.
    """

    estimators: tuple[Estimator, ...]
    combiner: Mixture
    decision: Decision
    passes: int
    views: tuple[str, ...]
    seed: int
    calibrated_on: dict[str, Any]
    notes: tuple[str, ...]
    model: SavedModel
    fitted_on: NDArray[np.uint64]
    calibration: HeldOut
    """The calibration rows by id, with p_wrong from folds without them: what a policy is decided on."""
    baseline: Baseline
    """What incoming images are compared with: the calibration rows as monitoring reads them."""
    history: tuple[dict[str, Any], ...] = ()
    """The policies that were in force before, the oldest first."""
    known_good: tuple[str, ...] = ()
    """Names of the reference images, in the order of the neighbour index; none where the rows had none."""
    cascade: Cascade | None = None
    """Which images get a deeper look; None: all get the same."""
    telling: Telling = NOTHING_LEARNT
    """What the words in reasons are held against."""
    decisions: Decisions | None = None
    """What tells single decisions, where images have several labels; None: they have one."""
    eight_bits: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    """Networks in eight bits as they were made of known-good images, see `classifiers.eight_bits`."""

    def more_columns(self) -> list[str]:
        """Return what verdicts have beside the usual columns, as `verdicts.schema` takes it."""
        told = {
            "effort": self.cascade is not None,
            "suggested": any(e.posterior for e in self.estimators),
            "decisions": self.decisions is not None,
            FLAGGED_LABELS: self.decision.policy.per_decision,
        }
        return [name for name, there in told.items() if there]
