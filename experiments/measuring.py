"""What is measured of a split: every estimator and the combination on each stream, through the public path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from experiments import data
from experiments.splits import Split
from uncertainty import ModelOutputs, Screener
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.evaluation.screening_quality import METRICS, P_WRONG
from uncertainty.metrics import e_aurc, ece

REGIMES = {
    "clean": "in distribution",
    "damaged": "half damaged by unseen kinds",
    "unknown": "one in five of no known class",
}
MAX_SOFTMAX = "least_confidence"
SHARES = ((0.0, 0.0), (0.05, 0.0), (0.05, 0.003), (0.05, 0.005), (0.1, 0.01), (0.2, 0.02), (0.3, 0.05))
"""(expect_damage, expect_unknown) that are tried; the package's defaults are among them."""


def measured(split: Split, regimes: Sequence[str]) -> dict[str, Any]:
    """Fit on the split's calibration and judge its streams; JSON values, by regime, and by kind of damage."""
    screener = fitted(split)
    by_shares = {f"{damage} {unknown}": fitted(split, damage, unknown) for damage, unknown in SHARES}
    result: dict[str, Any] = {"regimes": {}, "kinds": {}}
    for regime in (r for r in regimes if r in split.streams):
        stream = split.streams[regime]
        result["regimes"][regime] = {
            "calibration_errors": int(split.calibration.wrong.sum()),
            **judged(screener, stream),
            "e_aurc_by_shares": {name: e_aurc(stream.wrong, s.p_wrong(stream)) for name, s in by_shares.items()},
        }
    if "damaged" in regimes:
        result["kinds"] = by_kind(screener, split.every_test_damaged)
    return result


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
    )


def named_as_originals(copies: ModelOutputs) -> ModelOutputs:
    """Strip the kind of change from the ids of copies, so that they equal those of their originals."""
    return replace(copies, ids=np.array([str(i).partition("#")[0] for i in copies.ids]))


def judged(screener: Screener, stream: ModelOutputs) -> dict[str, Any]:
    """Return counts, error rates and, for p_wrong and each estimator, every metric."""
    wrong, p_wrong = stream.wrong, screener.p_wrong(stream)
    scores: dict[str, Any] = {P_WRONG: p_wrong, **{e.name: e.score(stream) for e in screener.estimators}}
    numbers = {name: {key: metric(wrong, score) for key, metric in METRICS.items()} for name, score in scores.items()}
    for name in (P_WRONG, MAX_SOFTMAX):
        numbers[name]["ece"] = ece(wrong, scores[name])
    return {
        "images": len(stream),
        "errors": int(wrong.sum()),
        "observed_error_rate": float(wrong.mean()),
        "predicted_error_rate": float(p_wrong.mean(dtype=np.float64)),
        "scores": numbers,
    }


def by_kind(screener: Screener, damaged: ModelOutputs) -> dict[str, Any]:
    """Return E-AURC of p_wrong and of max softmax inside each kind of damage alone."""
    softmax = next(e for e in screener.estimators if e.name == MAX_SOFTMAX)
    kinds = data.kinds(np.asarray(damaged.ids))
    parts = {str(kind): damaged.take(kinds == kind) for kind in np.unique(kinds)}
    return {
        kind: {
            "images": len(part),
            "errors": int(part.wrong.sum()),
            P_WRONG: e_aurc(part.wrong, screener.p_wrong(part)),
            MAX_SOFTMAX: e_aurc(part.wrong, softmax.score(part)),
        }
        for kind, part in parts.items()
    }
