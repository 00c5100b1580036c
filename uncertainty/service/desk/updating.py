"""What the labels would change in the screener, shown before anything is changed; then the change itself."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from uncertainty.errors import InputError, UncertaintyError
from uncertainty.recalibration.refit import Update
from uncertainty.screener import Screener
from uncertainty.service.desk.desk import Desk
from uncertainty.workflows.update import learnt_again, update_folder

NO_SCREENER = "no screener was given to learn from these labels; start the review with --screener DIR"


@dataclass(frozen=True)
class Proposal:
    """What an update would change, in sentences, or why there can be none; `key` names the labels it rests on."""

    key: str
    lines: tuple[str, ...] = ()
    harmed: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Done:
    """An update that was made: the new screener's id, where it is, and where the one before is kept."""

    id: str
    path: Path
    kept: Path


@dataclass(eq=False)
class Updating:
    """Updates the screener of a desk, one request at a time."""

    desk: Desk
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def propose(self) -> Proposal:
        """Return what an update by the labels so far would change; nothing is changed."""
        with self._lock:
            key, folder, labels = self._ready()
            try:
                found = learnt_again(Screener.load(folder, None), self.desk.settings.out, labels)
            except UncertaintyError as error:
                return Proposal(key, error=str(error).replace(f"{labels.parent}{os.sep}", ""))
            return _proposal(key, found)

    def apply(self, key: str) -> Done | Proposal:
        """Make the update that was shown under this key; where labels have come since, return what it is now.

        Raises UncertaintyError where it can't be made.
        """
        with self._lock:
            now, folder, labels = self._ready()
            if now != key:
                found = learnt_again(Screener.load(folder, None), self.desk.settings.out, labels)
                return _proposal(now, found)
            found, kept = update_folder(folder, self.desk.settings.out, labels, anyway=True)
            if self.desk.looks is not None:
                self.desk.looks.forget()
            return Done(found.screener.id, folder, kept or folder)

    def _ready(self) -> tuple[str, Path, Path]:
        """Return the key of the labels, and where the screener and the labels are."""
        saved = self.desk.settings.saved
        if saved is None:
            raise InputError(NO_SCREENER)
        labels = self.desk.write_labels()
        screener = Screener.load(saved.folder, None).id
        key = hashlib.blake2b(f"{screener} ".encode() + labels.read_bytes(), digest_size=16).hexdigest()
        return key, saved.folder, labels


def _proposal(key: str, found: Update) -> Proposal:
    return Proposal(key, (*found.words(), *found.notes), found.harmed)
