"""A screener on disk and how it is to be run: with which network, where, and by which policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from uncertainty.decisions.policies import Policy
from uncertainty.screener import Screener
from uncertainty.screener.recorded_model import RecordedModel


@dataclass(frozen=True)
class SavedScreener:
    """The folder that a fit wrote; `model`, `embedder`, `device` and `policy` where they are others than it says.

    `trust` allows model files that run code of their own while they are read; no screener remembers it.
    """

    folder: Path
    model: str | None = None
    device: str | None = None
    policy: Policy | None = None
    embedder: str | None = None
    trust: bool = False

    def load(self) -> Screener:
        """Return the screener with the classifier that it was fitted with."""
        return self._asked(Screener.load(self.folder, self._recorded))

    def load_alone(self) -> Screener:
        """Return the screener without a classifier, for what needs no network."""
        return self._asked(Screener.load(self.folder, None))

    def load_for_workers(self) -> Screener:
        """Return the screener alone, if nothing is known to keep others from loading its network."""
        screener = self.load_alone()
        self._recorded.spec_for(screener.model)
        return screener

    @property
    def _recorded(self) -> RecordedModel:
        return RecordedModel(self.folder, self.model, self.embedder, self.device, self.trust)

    def _asked(self, screener: Screener) -> Screener:
        return screener if self.policy is None else screener.with_policy(self.policy)


def with_held_networks(screener: Screener) -> Screener:
    """Return a screener for one who changes nothing of its networks: they are looked at once, not before each batch."""
    from uncertainty.classifiers.held_network import held

    return screener if screener.classifier is None else replace(screener, classifier=held(screener.classifier))
