"""Whether a classifier is the one that a screener was fitted with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.source import changed
from uncertainty.errors import ArtifactError
from uncertainty.screener.artifact import Manifest, SavedModel


def refuse_another_model(folder: Path, manifest: Manifest, classifier: Classifier) -> None:
    """Raise ArtifactError for a classifier that is not the one the screener was fitted with."""
    if manifest.model.sha256 is None:
        raise ArtifactError(f"{folder} was fitted from outputs, without a classifier; load it without one")
    saved = manifest.model
    second = None if classifier.embedder is None else classifier.embedder.network.runs_by
    _refuse_another_runtime(folder, saved.runtime, classifier.network.runs_by, "model")
    _refuse_another_runtime(folder, saved.embedder_runtime, second, "second opinion")
    if (sha256 := classifier.sha256) != saved.sha256:
        raise ArtifactError(
            f"{folder} was fitted with model {str(saved.sha256)[:12]}, this one is {sha256[:12]} (weights, classes, "
            f"preprocessing, second opinion or precision differ){_and_code(saved)}; fit a screener for it"
        )
    refuse_other_answers(folder, saved, classifier)
    if classifier.embedder is not None:
        _refuse_others(folder, "second opinion", classifier.embedder.network, saved.embedder_answers, saved)


def _refuse_another_runtime(folder: Path, then: str | None, now: str | None, what: str) -> None:
    if then != now:
        said = f"say runtime={then} in its spec" if then else "leave runtime= out of its spec"
        raise ArtifactError(
            f"{folder} was fitted with its {what} run by {then or 'torch'}, and here {now or 'torch'} runs it; {said}, "
            "or fit a screener for it"
        )


def refuse_other_answers(folder: Path, saved: SavedModel, classifier: Classifier) -> None:
    """Raise ArtifactError for a classifier that answers noise otherwise than the one a screener was fitted with."""
    _refuse_others(folder, "model", classifier.network, saved.answers, saved)


def _refuse_others(folder: Path, what: str, network: Any, kept: Any, saved: SavedModel) -> None:
    from uncertainty.classifiers.fingerprint import differ, steady
    from uncertainty.classifiers.habits import rounding

    module, near = network.module, saved.steady and steady(network.module)
    if kept is None or differ(kept, network.answers, rounding(module), elsewhere=not near):
        raise ArtifactError(
            f"{folder} was fitted with a {what} that answers otherwise: its weights or what its forward pass computes "
            f"differ{_and_code(saved)}; fit a screener for it"
        )


def _and_code(saved: SavedModel) -> str:
    told = [
        changed(spec, source)
        for spec, source in ((saved.spec, saved.source), (saved.embedder, saved.embedder_source))
        if spec
    ]
    return "".join(f"; {words}" for words in told if words)
