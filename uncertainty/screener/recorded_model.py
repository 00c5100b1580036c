"""The classifier that a saved screener was fitted with, loaded as it says, or as whoever loads it says."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.formats.base import NOT_TRUSTED, runs_code
from uncertainty.classifiers.formats.module import is_preset
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.source import Source, changed
from uncertainty.errors import ModelError
from uncertainty.screener.artifact import SavedModel
from uncertainty.screener.same_model import refuse_other_answers

logger = logging.getLogger("uncertainty")


@dataclass(frozen=True)
class RecordedModel:
    """Makes the classifier of the screener in a folder; `model`, `embedder`, `device` where they are to be others.

    `trust` allows model files that run code of their own while they are read.
    """

    folder: Path
    model: str | None = None
    embedder: str | None = None
    device: str | None = None
    trust: bool = False

    def if_any(self, saved: SavedModel) -> Classifier | None:
        """Return the classifier; None where the screener was fitted with none that a spec names."""
        return None if saved.spec is None else self(saved)

    def spec_for(self, saved: SavedModel) -> str:
        """Return what is to be loaded, if nothing of it is known to be wrong before any of it runs.

        Whoever names the model does not run what the screener names: then a second opinion must be named too, but for
        one that comes with this package.
        """
        if saved.table is not None:
            raise ModelError(without_network(saved))
        if (spec := self.model or saved.spec) is None:
            raise ModelError(f"{self.folder} does not say which model it was fitted with; give --model SPEC")
        if self.embedder is not None and saved.embedder is None:
            raise ModelError(f"{self.folder} was fitted without a second opinion; leave --embedder {self.embedder} out")
        if self.model and not self.embedder and saved.embedder is not None and not is_preset(saved.embedder):
            raise ModelError(
                f"{self.folder} has {saved.embedder!r} as its second opinion, and what it names is not run beside a "
                "--model of yours; give --embedder SPEC too"
            )
        for named in filter(None, (spec, self.embedder or saved.embedder)):
            if runs_code(named) and not self.trust:
                raise ModelError(NOT_TRUSTED.format(named.partition("?")[0]))
        return spec

    def __call__(self, saved: SavedModel) -> Classifier:
        """Load the network and, once it is known to be that of the screener, its second opinion."""
        spec = self.spec_for(saved)
        _tell(self.folder, spec, saved.source, theirs=self.model is None)
        # As it was decoded for calibration: screeners from before there was a draft have none.
        draft = (saved.preprocess or {}).get("draft", 0)
        classifier = Classifier.load(spec, classes=saved.classes, device=self.device, trust=self.trust)
        classifier = classifier.with_draft(draft)
        if saved.embedder is None:
            return classifier
        refuse_other_answers(self.folder, saved, classifier)
        second = self.embedder or saved.embedder
        _tell(self.folder, second, saved.embedder_source, theirs=self.embedder is None)
        return classifier.with_embedder(second, device=self.device, trust=self.trust)


def without_network(saved: SavedModel) -> str:
    """Say why there is no classifier to run, and what to do about it."""
    if saved.table is not None:
        return (
            "this screener was fitted on tables of outputs, without a network: screen a table of the same model's "
            "outputs (table:FILE), or fit with --model on images"
        )
    if saved.sha256 is None:
        return "this screener was fitted to outputs and has no classifier; use screen_outputs"
    if saved.spec is None:
        return (
            "this screener was fitted with a module in memory, which no file holds; give the same classifier, "
            "Screener.load(folder, classifier), or use screen_outputs"
        )
    return "this screener was loaded without its classifier; load it with Screener.load(folder)"


def _tell(folder: Path, spec: str, then: Source | None, *, theirs: bool) -> None:
    """Say which file is about to be run because a screener names it, and whether it has changed."""
    target = spec.partition("?")[0]
    if theirs and runs_code(spec):
        logger.warning("loading %s, which may run code, as %s says", target, folder)
    if is_preset(spec) or (now := Source.of(target)) is None:
        return
    if theirs:
        logger.warning("loading %s from %s, as %s says", target, now.file, folder)
    if (words := changed(target, then)) is not None:
        logger.warning("%s", words)


def read_as(saved: SavedModel) -> dict[str, Any]:
    """Return under "reading" how images are read, where that is not the usual way; turned upright for people.

    >>> read_as(SavedModel(sha256="", classes=["a", "b"], task="multiclass", preprocess={"bands": [4, 3, 2]}))
    {'reading': {'bands': [4, 3, 2]}}
    """
    found = replace(Preprocess.from_dict(saved.preprocess or {}).reading, exif=None).to_dict()
    return {"reading": found} if found else {}
