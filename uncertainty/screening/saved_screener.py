"""A screener on disk and how it is to be run: with which network, where, and by which policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uncertainty.classifiers.base import Classifier
from uncertainty.decisions.policies import Policy
from uncertainty.errors import ModelError
from uncertainty.screener import Screener
from uncertainty.screener.artifact import SavedModel


@dataclass(frozen=True)
class SavedScreener:
    """The folder that a fit wrote; `model`, `device` and `policy` where they are others than it says."""

    folder: Path
    model: str | None = None
    device: str | None = None
    policy: Policy | None = None

    def load(self) -> Screener:
        """Return the screener with the classifier that it was fitted with."""
        return self._asked(Screener.load(self.folder, self._classifier))

    def load_alone(self) -> Screener:
        """Return the screener without a classifier, for what needs no network."""
        return self._asked(Screener.load(self.folder))

    def _classifier(self, saved: SavedModel) -> Classifier:
        if (spec := self.model or saved.spec) is None:
            raise ModelError(f"{self.folder} does not say which model it was fitted with; give --model SPEC")
        # As it was decoded for calibration: screeners from before there was a draft have none.
        draft = (saved.preprocess or {}).get("draft", 0)
        classifier = Classifier.load(spec, classes=saved.classes, device=self.device).with_draft(draft)
        return classifier if saved.embedder is None else classifier.with_embedder(saved.embedder, device=self.device)

    def _asked(self, screener: Screener) -> Screener:
        return screener if self.policy is None else screener.with_policy(self.policy)
