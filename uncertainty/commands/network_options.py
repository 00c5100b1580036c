"""The options with which commands open a saved screener and run its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.commands.added_options import with_options
from uncertainty.commands.options import BatchSize, Device, Model, OtherSecondOpinion, Trusted, Workers
from uncertainty.commands.start import loading
from uncertainty.defaults import BATCH_SIZE, WORKERS

if TYPE_CHECKING:
    from uncertainty.screening.saved_screener import SavedScreener

_OPENED: dict[str, tuple[Any, Any]] = {
    "model": (Model, None),
    "embedder": (OtherSecondOpinion, None),
    "device": (Device, None),
    "trust_model_file": (Trusted, False),
}
_RUN: dict[str, tuple[Any, Any]] = {"batch_size": (BatchSize, BATCH_SIZE), "workers": (Workers, WORKERS)}


@dataclass(frozen=True)
class NetworkOptions:
    """With which network a saved screener is opened, where, and how many images go through it together."""

    model: str | None
    embedder: str | None
    device: str | None
    trust_model_file: bool
    batch_size: int = BATCH_SIZE
    workers: int = WORKERS

    def saved(self, folder: Path, policy: Any = None) -> SavedScreener:
        """Return the screener of a folder, to be opened so, and to flag by a policy where one was asked for."""
        with loading():
            from uncertainty.screening.saved_screener import SavedScreener

        return SavedScreener(folder, self.model, self.device, policy, self.embedder, self.trust_model_file)


def _made(given: dict[str, Any]) -> NetworkOptions:
    return NetworkOptions(**given)


with_screener_options = with_options("network", _OPENED, _made)
"""Gives a command `network`, for single images: --model, --embedder, --device, --trust-model-file."""
with_network_options = with_options("network", _OPENED | _RUN, _made)
"""The same for many images: --batch-size and --workers beside."""
