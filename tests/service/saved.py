"""Screeners that are in memory already, in the place of those on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class InMemory:
    """What a service takes for a `SavedScreener`: `make()` is what loading returns."""

    folder: Path
    make: Any

    def load(self):
        return self.make()
