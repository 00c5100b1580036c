"""How a folder is watched, in frozen values that are checked when they are made."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from uncertainty.defaults import BATCH_SIZE, WORKERS
from uncertainty.errors import InputError
from uncertainty.verdicts import FORMATS


class How(StrEnum):
    """What is done with the file of a flagged image."""

    MOVE = "move"
    COPY = "copy"
    LINK = "link"


@dataclass(frozen=True)
class Told:
    """Whom each batch is told to: a URL that gets it as JSON, a command that reads the same, or nobody."""

    webhook: str | None = None
    command: str | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.webhook is not None and (urlsplit(self.webhook).scheme not in ("http", "https") or not self.host):
            raise InputError(f"webhook {self.webhook!r} is no URL of http or https")
        if self.command is not None:
            try:
                words = shlex.split(self.command)
            except ValueError as error:
                raise InputError(f"the command {self.command!r} can't be read: {error}") from error
            if not words:
                raise InputError("the command is empty; give a program and what it takes, or leave --run out")

    @property
    def host(self) -> str:
        """Host of the webhook; the rest of its URL may be a secret."""
        return (urlsplit(self.webhook).hostname or "") if self.webhook else ""


@dataclass(frozen=True)
class WatchSettings:
    """What is watched, and what happens with it.

    Parameters
    ----------
    folder : where images arrive; folders in it are watched too, hidden files are not.
    out : folder of the screening.
    settle : seconds for which size and time of a file must stay the same before it is read.
    every : seconds between looks at the folder.
    publish : seconds between times that verdicts are written to `out`, at least.
    flagged, flagged_to : what is done with flagged images, and to which folder; None: nothing.
    told : whom each batch is told to.
    ending : of the file of verdicts.
    batch_size, workers : as in `screen`.

    Raises
    ------
    InputError : `out` or the folder of flagged images lies in the watched one, a number is out of range.

    """

    folder: Path
    out: Path
    settle: float = 2.0
    every: float = 1.0
    publish: float = 60.0
    flagged: How | None = None
    flagged_to: Path | None = None
    told: Told = Told()
    ending: str = ".parquet"
    batch_size: int = BATCH_SIZE
    workers: int = WORKERS

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is no folder that could be watched; make it first")
        for name, folder in {
            "the folder of the screening": self.out,
            "the one of flagged images": self.flagged_to,
        }.items():
            if folder is not None and folder.resolve().is_relative_to(self.folder.resolve()):
                raise InputError(f"{folder}, {name}, lies in the watched {self.folder}; choose one outside")
        for name, least in {"settle": 0, "every": 0.01, "publish": 0}.items():
            if not getattr(self, name) >= least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.ending not in FORMATS:
            raise InputError(f"format {self.ending!r} is not one of {', '.join(FORMATS)}")
