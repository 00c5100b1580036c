"""What a screener knows to files and back; `artifact.py` has the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.eight_bits import ARRAYS as EIGHT_BITS
from uncertainty.classifiers.eight_bits import restored
from uncertainty.combination import mixture
from uncertainty.decisions.calibration_rows import ARRAYS, HeldOut
from uncertainty.decisions.decide import Decision
from uncertainty.errors import ArtifactError, UncertaintyError, in_one_line
from uncertainty.files import plain
from uncertainty.images.quality_words import QualityWords
from uncertainty.monitoring.baseline import BASELINE_ARRAYS, Baseline
from uncertainty.screener import artifact, same_model
from uncertainty.screener.artifact import Manifest, SavedModel
from uncertainty.screener.cascade import CASCADE_ROWS, Cascade
from uncertainty.screener.checks import check
from uncertainty.screener.decisions import Decisions
from uncertainty.screener.fitted import Fitted
from uncertainty.screener.reasons import Telling

_PLAIN = ("model", "passes", "views", "seed", "calibrated_on", "notes", "history")
_USUAL = ("usual_reasons", "usual_parts")


def save(folder: Path, fitted: Fitted) -> None:
    """Write what a screener knows."""
    artifact.write(folder, *described(fitted))


def described(fitted: Fitted) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Return what a screener knows as data: a manifest, not sealed yet, and arrays by name."""
    saved, arrays = artifact.pack(fitted.estimators)
    cascade, decisions = fitted.cascade, fitted.decisions
    told = {name: plain(getattr(fitted, name)) for name in ("calibrated_on", "history")}
    manifest = Manifest(
        estimators=saved,
        combiner=fitted.combiner.to_dict(),
        decision=fitted.decision.to_dict(),
        cascade=None if cascade is None else cascade.to_dict(),
        decisions=None if decisions is None else decisions.to_dict(),
        **{name: getattr(fitted, name) for name in _PLAIN} | told,
    )
    arrays |= {"fitted_on": fitted.fitted_on, **fitted.calibration.arrays()}
    arrays |= fitted.baseline.to_arrays()
    arrays["known_good"] = artifact.names_to_array(fitted.known_good)
    arrays |= _of_telling(fitted.telling)
    arrays |= {} if decisions is None else decisions.rows.arrays()
    arrays |= {} if cascade is None else {CASCADE_ROWS: cascade.held_out.to_array()}
    arrays |= fitted.eight_bits
    return manifest, arrays


class Loaded(NamedTuple):
    """What a screener on disk knows, its id, and the classifier where one was asked for."""

    fitted: Fitted
    id: str
    classifier: Classifier | None


def load(folder: Path, classifier: Classifier | Callable[[SavedModel], Classifier | None] | None) -> Loaded:
    """Read what a screener knows; with a classifier, or a way to one, it must be that it was fitted with.

    Everything on disk is looked through before the classifier is made.
    """
    manifest, arrays = artifact.read(folder, needed=("fitted_on", *ARRAYS, *BASELINE_ARRAYS))
    fitted = _restored(folder, manifest, arrays)
    if classifier is not None and not isinstance(classifier, Classifier):
        classifier = classifier(manifest.model)
    if classifier is not None:
        classifier = restored(classifier, fitted.eight_bits)
        same_model.refuse_another_model(folder, manifest, classifier)
    return Loaded(fitted, manifest.id, classifier)


def _restored(folder: Path, manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> Fitted:
    try:
        fitted = _made(manifest, arrays)
        check(fitted, arrays)
    except UncertaintyError as error:
        raise ArtifactError(f"{folder} is damaged: {error}") from error
    except Exception as error:  # numbers and arrays that anybody may have edited: anything may be raised
        raise ArtifactError(f"{folder} is damaged: {in_one_line(error)}; fit the screener again") from error
    return fitted


def _made(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> Fitted:
    with np.errstate(all="ignore"):  # numbers out of range are told when they are looked through
        return Fitted(
            estimators=artifact.unpack(manifest.estimators, arrays),
            combiner=mixture.from_dict(manifest.combiner),
            decision=Decision.from_dict(manifest.decision),
            fitted_on=arrays["fitted_on"],
            calibration=HeldOut.from_arrays(arrays),
            baseline=Baseline.from_arrays(arrays),
            known_good=artifact.names_from_array(arrays.get("known_good")),
            cascade=Cascade.restored(manifest.cascade, arrays),
            decisions=Decisions.restored(manifest.decisions, arrays),
            telling=_telling(arrays),
            eight_bits={name: arrays[name] for name in EIGHT_BITS if name in arrays},
            **{name: getattr(manifest, name) for name in _PLAIN},
        )


def _of_telling(telling: Telling) -> dict[str, NDArray[Any]]:
    """Arrays, and not a field of the manifest: what was sealed before there were any stays whole without them."""
    arrays = {} if telling.image is None else telling.image.to_arrays()
    if telling.usual:
        usual = (artifact.names_to_array(list(telling.usual)), np.array([*telling.usual.values()]))
        arrays |= dict(zip(_USUAL, usual, strict=True))
    return arrays


def _telling(arrays: Mapping[str, NDArray[Any]]) -> Telling:
    words, parts = (arrays.get(name) for name in _USUAL)
    usual = dict(zip(artifact.names_from_array(words), [] if parts is None else parts.tolist(), strict=True))
    return Telling(QualityWords.from_arrays(arrays), usual)


def fingerprint(fitted: Fitted) -> str:
    """Return 16 hex characters that tell one fit, and one decision, from another."""
    manifest, arrays = described(fitted)
    return manifest.of_arrays(arrays).id
