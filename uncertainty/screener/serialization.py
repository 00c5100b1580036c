"""What a screener knows to files and back; `artifact.py` has the files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uncertainty.classifiers.base import Classifier
from uncertainty.combination import mixture
from uncertainty.decisions.calibration_rows import ARRAYS, HeldOut
from uncertainty.decisions.decide import Decision
from uncertainty.monitoring.baseline import BASELINE_ARRAYS, Baseline
from uncertainty.screener import artifact
from uncertainty.screener.artifact import Manifest, SavedModel
from uncertainty.screener.cascade import CASCADE_ROWS, Cascade
from uncertainty.screener.fitted import Fitted

_PLAIN = ("model", "passes", "views", "seed", "calibrated_on", "notes", "history")


def save(folder: Path, fitted: Fitted) -> None:
    """Write what a screener knows."""
    saved, arrays = artifact.pack(fitted.estimators)
    cascade = fitted.cascade
    manifest = Manifest(
        estimators=saved,
        combiner=fitted.combiner.to_dict(),
        decision=fitted.decision.to_dict(),
        cascade=None if cascade is None else cascade.to_dict(),
        **{name: getattr(fitted, name) for name in _PLAIN},
    )
    arrays |= {"fitted_on": fitted.fitted_on, **fitted.calibration.arrays()}
    arrays |= fitted.baseline.to_arrays()
    arrays["known_good"] = artifact.names_to_array(fitted.known_good)
    arrays |= {} if cascade is None else {CASCADE_ROWS: cascade.held_out.to_array()}
    artifact.write(folder, manifest, arrays)


def load(
    folder: Path, classifier: Classifier | Callable[[SavedModel], Classifier] | None
) -> tuple[Fitted, Classifier | None]:
    """Read what a screener knows; with a classifier, or a way to one, it must be that it was fitted with."""
    manifest, arrays = artifact.read(folder, needed=("fitted_on", *ARRAYS, *BASELINE_ARRAYS))
    if classifier is not None and not isinstance(classifier, Classifier):
        classifier = classifier(manifest.model)
    if classifier is not None:
        artifact.refuse_another_model(folder, manifest, classifier)
    fitted = Fitted(
        estimators=artifact.unpack(manifest.estimators, arrays),
        combiner=mixture.from_dict(manifest.combiner),
        decision=Decision.from_dict(manifest.decision),
        fitted_on=arrays["fitted_on"],
        calibration=HeldOut.from_arrays(arrays),
        baseline=Baseline.from_arrays(arrays),
        known_good=artifact.names_from_array(arrays.get("known_good")),
        cascade=Cascade.restored(manifest.cascade, arrays),
        **{name: getattr(manifest, name) for name in _PLAIN},
    )
    return fitted, classifier


def fingerprint(fitted: Fitted) -> str:
    """Return 16 hex characters that tell one fit, and one decision, from another."""
    parts: list[Any] = [fitted.combiner.to_dict(), fitted.decision.to_dict(), fitted.model.sha256]
    parts += [fitted.passes, fitted.views, fitted.seed, fitted.calibrated_on]
    parts += [] if fitted.cascade is None else [fitted.cascade.to_dict()]
    sha = hashlib.sha256(repr(parts).encode())
    sha.update(fitted.fitted_on.tobytes())
    return sha.hexdigest()[:16]
