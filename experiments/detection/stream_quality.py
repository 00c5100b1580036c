"""What is measured of a split: every estimator and the combination on each stream, through the public path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.detection import quality_page
from experiments.shared import image_sets, results_file
from experiments.shared.command_line import Options, say
from experiments.shared.fitted_screener import MAX_SOFTMAX, fitted
from experiments.shared.splits import Make, Split
from uncertainty import ModelOutputs, Screener
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.evaluation.screening_quality import METRICS, P_WRONG
from uncertainty.metrics import e_aurc, ece

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
    kinds = image_sets.kinds(np.asarray(damaged.ids))
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


def run(name: str, title: str, about: str, make: Mapping[tuple[str, ...], Make], chosen: Options) -> None:
    """Measure all splits, print the tables, and write them and the numbers; `make` gives the split of some regimes."""
    rows = []
    for seed in range(chosen.splits):
        say(f"{name}: split {seed + 1} of {chosen.splits}")
        parts = [measured(of(seed), regimes) for regimes, of in make.items()]
        rows.append({key: {k: v for part in parts for k, v in part[key].items()} for key in ("regimes", "kinds")})
    result = {
        "title": title,
        "about": about,
        "splits": list(range(chosen.splits)),
        "expected": [EXPECT_DAMAGE, EXPECT_UNKNOWN],
        **results_file.transposed(rows),
    }
    results_file.publish(chosen.out, name, result, quality_page.document)
