"""Screened images by their row, from where the screening found them; no name that a client sends is ever a path."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from uncertainty.errors import ImageError
from uncertainty.images.by_name import Pictures
from uncertainty.images.decoding import WHOLE, Reading
from uncertainty.images.remote import AnyFile
from uncertainty.report.thumbnails import GONE, thumbnail

SIDES = {"shown": 1280, "whole": 4096}
"""Longest side in pixels of an image as it is shown, and as it is looked into."""
_KEPT = 64


class Shown:
    """Pictures of rows as WebP, the last few of them kept."""

    def __init__(self, names: Sequence[str], root: Path | None, reading: Reading = WHOLE) -> None:
        self._names, self._reading = names, reading
        self._pictures = Pictures.at(root)
        found = self._pictures.found
        self._listed = {} if found is None else {name: k for k, name in enumerate(found.names)}
        self._kept: OrderedDict[tuple[int, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def anywhere(self) -> bool:
        """Whether the images are still where they were screened, as far as that can be told at once."""
        return self._pictures.found is not None

    def source(self, row: int) -> AnyFile | bytes:
        """Return the path or the bytes of an image; ImageError where it is gone."""
        name = self._names[row]
        if (found := self._pictures.found) is not None:
            if name in self._listed:
                return next(iter(found.select([self._listed[name]]))).data
            for _, data in self._pictures.fetch([name]):  # a file that its folder does not list, such as a hidden one
                return data
        raise ImageError(GONE)

    def picture(self, row: int, size: str = "shown") -> bytes:
        """Return an image as WebP, at most as large as `SIDES` says; ImageError where it is gone or damaged."""
        with self._lock:
            if (kept := self._kept.get((row, size))) is not None:
                self._kept.move_to_end((row, size))
                return kept
        made = thumbnail(self.source(row), SIDES[size], self._reading)
        if made.error is not None:
            raise ImageError(made.error)
        with self._lock:
            self._kept[row, size] = made.data
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made.data
