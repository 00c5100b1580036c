"""The fields of a screener to files and back; `artifact.py` has the files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
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

_PLAIN = ("model", "passes", "views", "seed", "calibrated_on", "notes", "history")


def save(folder: Path, fields: Mapping[str, Any]) -> None:
    """Write a screener, given by its fields."""
    saved, arrays = artifact.pack(fields["estimators"])
    cascade = fields["cascade"]
    manifest = Manifest(
        estimators=saved,
        combiner=fields["combiner"].to_dict(),
        decision=fields["decision"].to_dict(),
        cascade=None if cascade is None else cascade.to_dict(),
        **{name: fields[name] for name in _PLAIN},
    )
    arrays |= {"fitted_on": fields["fitted_on"], **fields["calibration"].arrays()}
    arrays |= fields["baseline"].to_arrays()
    arrays["known_good"] = artifact.names_to_array(fields["known_good"])
    arrays |= {} if cascade is None else {CASCADE_ROWS: cascade.held_out.to_array()}
    artifact.write(folder, manifest, arrays)


def load(folder: Path, classifier: Classifier | Callable[[SavedModel], Classifier] | None) -> dict[str, Any]:
    """Return the fields of a saved screener; with a classifier, or a way to one, it must be that it was fitted with."""
    manifest, arrays = artifact.read(folder, needed=("fitted_on", *ARRAYS, *BASELINE_ARRAYS))
    if classifier is not None and not isinstance(classifier, Classifier):
        classifier = classifier(manifest.model)
    if classifier is not None:
        artifact.refuse_another_model(folder, manifest, classifier)
    return {
        "estimators": artifact.unpack(manifest.estimators, arrays),
        "combiner": mixture.from_dict(manifest.combiner),
        "decision": Decision.from_dict(manifest.decision),
        "fitted_on": arrays["fitted_on"],
        "calibration": HeldOut.from_arrays(arrays),
        "baseline": Baseline.from_arrays(arrays),
        "known_good": artifact.names_from_array(arrays.get("known_good")),
        "cascade": Cascade.restored(manifest.cascade, arrays),
        "classifier": classifier,
        **{name: getattr(manifest, name) for name in _PLAIN},
    }


def fingerprint(fields: Mapping[str, Any]) -> str:
    """Return 16 hex characters that tell one fit, and one decision, from another."""
    parts = [fields[name].to_dict() for name in ("combiner", "decision")]
    parts += [fields["model"].sha256, *(fields[name] for name in ("passes", "views", "seed", "calibrated_on"))]
    parts += [] if fields["cascade"] is None else [fields["cascade"].to_dict()]
    sha = hashlib.sha256(repr(parts).encode())
    sha.update(fields["fitted_on"].tobytes())
    return sha.hexdigest()[:16]
