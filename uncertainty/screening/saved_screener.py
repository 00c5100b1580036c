"""A screener on disk and how it is to be run: with which network, where, and by which policy."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.formats.module import is_preset
from uncertainty.classifiers.source import Source, changed
from uncertainty.decisions.policies import Policy
from uncertainty.errors import ModelError
from uncertainty.screener import Screener
from uncertainty.screener.artifact import SavedModel, refuse_other_answers

logger = logging.getLogger("uncertainty")


@dataclass(frozen=True)
class SavedScreener:
    """The folder that a fit wrote; `model`, `embedder`, `device` and `policy` where they are others than it says."""

    folder: Path
    model: str | None = None
    device: str | None = None
    policy: Policy | None = None
    embedder: str | None = None

    def load(self) -> Screener:
        """Return the screener with the classifier that it was fitted with."""
        return self._asked(Screener.load(self.folder, self._classifier))

    def load_alone(self) -> Screener:
        """Return the screener without a classifier, for what needs no network."""
        return self._asked(Screener.load(self.folder))

    def _classifier(self, saved: SavedModel) -> Classifier:
        """Load the network and, once it is known to be that of the screener, its second opinion.

        Whoever names the model does not run what the screener names: then a second opinion must be named too, but for
        one that comes with this package.
        """
        if (spec := self.model or saved.spec) is None:
            raise ModelError(f"{self.folder} does not say which model it was fitted with; give --model SPEC")
        if self.embedder is not None and saved.embedder is None:
            raise ModelError(f"{self.folder} was fitted without a second opinion; leave --embedder {self.embedder} out")
        if self.model and not self.embedder and saved.embedder is not None and not is_preset(saved.embedder):
            raise ModelError(
                f"{self.folder} has {saved.embedder!r} as its second opinion, and what it names is not run beside a "
                "--model of yours; give --embedder SPEC too"
            )
        _tell(self.folder, spec, saved.source, theirs=self.model is None)
        # As it was decoded for calibration: screeners from before there was a draft have none.
        draft = (saved.preprocess or {}).get("draft", 0)
        classifier = Classifier.load(spec, classes=saved.classes, device=self.device).with_draft(draft)
        if saved.embedder is None:
            return classifier
        refuse_other_answers(self.folder, saved, classifier)
        second = self.embedder or saved.embedder
        _tell(self.folder, second, saved.embedder_source, theirs=self.embedder is None)
        return classifier.with_embedder(second, device=self.device)

    def _asked(self, screener: Screener) -> Screener:
        return screener if self.policy is None else screener.with_policy(self.policy)


def _tell(folder: Path, spec: str, then: Source | None, *, theirs: bool) -> None:
    """Say which file is about to be run because a screener names it, and whether it has changed."""
    target = spec.partition("?")[0]
    if is_preset(spec) or (now := Source.of(target)) is None:
        return
    if theirs:
        logger.warning("loading %s from %s, as %s says", target, now.file, folder)
    if (words := changed(target, then)) is not None:
        logger.warning("%s", words)
