"""The same picture in reference and calibration, found before the network runs: by bytes, then by pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ImageError, OverlapError
from uncertainty.figures import number_of
from uncertainty.images.ahead import load_ahead
from uncertainty.images.decoding import Least, Reading, decode, digest, digest_picture, digest_pixels
from uncertainty.images.formats.base import WHOLE
from uncertainty.images.in_flight import IN_FLIGHT
from uncertainty.images.in_memory import ArrayItem, from_array
from uncertainty.images.near_copies import Looks, like_reference
from uncertainty.images.quality import reduced
from uncertainty.images.remote import RemotePath
from uncertainty.images.sources import ImageItem, ImageSet
from uncertainty.images.thumbnails import THUMBNAIL_SIDE, details, thumbnail

Items = ImageSet | list[ArrayItem]
_SKETCH = Least(2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE)
_ALIKE = 0.95
"""Cosine of the details of two sketches from which on their pixels are compared; copies have nearly 1."""
MOST = 20_000
"""Pictures of a set from which on only bytes are compared here; the pixels are, once the network has seen them."""
_AT_ONCE, _WAITING = 1 << 22, 64
_BLANK = bytes(THUMBNAIL_SIDE**2)


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Rows of calibration that are rows of the reference too, and which.

    `again` are those that were saved again, `odd` those of them whose files hold more than one reading shows, such as
    several pages: another reading may tell them apart. `sketches` are thumbnails of both sets, where they were made.
    """

    reference: Items
    calibration: Items
    rows: Mapping[int, int]
    again: frozenset[int] = frozenset()
    odd: frozenset[int] = frozenset()
    sketches: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def however_read(self) -> Duplicates:
        """Return those alone that are the same whichever way a model has its files read."""
        return replace(self, rows={row: other for row, other in self.rows.items() if row not in self.odd})

    def is_of(self, reference: Items, calibration: Items) -> bool:
        """Whether these are the sets that were compared, whatever their labels."""
        return reference is self.reference and _names(calibration) == _names(self.calibration)

    def near_copies(self) -> list[str]:
        """Say how many others look nearly like one of the reference; nothing where no sketches were made."""
        if self.sketches is None:
            return []
        rest = [row for row in range(len(self.calibration)) if row not in self.rows]
        own = Looks([_names(self.calibration)[row] for row in rest], self.sketches[1][rest])
        return like_reference(Looks(_names(self.reference), self.sketches[0]), own)

    def refuse(self) -> None:
        """Raise OverlapError where there are any; the message says which folder holds which."""
        if self.rows:
            images = number_of(len(self.rows), "calibration image is", "calibration images are")
            raise OverlapError(
                f"{images} in the reference too, e.g. {self._example()}; p_wrong would "
                "be far too low: take them out of one of the two, or leave them out of calibration "
                "(--drop-duplicates)"
            )

    def left_out(self) -> tuple[Items, list[str]]:
        """Return calibration without them, and a note."""
        if not self.rows:
            return self.calibration, []
        kept = np.array([row not in self.rows for row in range(len(self.calibration))])
        images = number_of(len(self.rows), "calibration image was", "calibration images were")
        note = f"{images} left out: the reference holds {'it' if len(self.rows) == 1 else 'them'} too, e.g. "
        return _selected(self.calibration, np.flatnonzero(kept)), [note + self._example()]

    def _example(self) -> str:
        row, other = next(iter(self.rows.items()))
        pair = f"{_whole_name(self.calibration, row)!r} is {_whole_name(self.reference, other)!r}"
        return f"{pair}, saved again" if row in self.again else pair


def same_bytes(reference: Items, calibration: Items, workers: int = 1) -> Duplicates:
    """Compare files byte by byte: of files on this machine only those are read whose length occurs in both sets.

    Images at URLs are left to the fit, which reads them once.
    """
    lengths = [_lengths(items) for items in (reference, calibration)]
    both = set(lengths[0]) & set(lengths[1]) - {None}
    sets = (reference, calibration)
    rows = [np.array([k for k, n in enumerate(own) if n in both], dtype=np.int64) for own in lengths]
    found = [_each(_selected(items, own), _digest, workers) for items, own in zip(sets, rows, strict=True)]
    first: dict[str, int] = {}
    for row, one in zip(rows[0].tolist(), found[0], strict=True):
        first.setdefault(one, row)
    pairs = zip(rows[1].tolist(), found[1], strict=True)
    return Duplicates(*sets, {row: first[one] for row, one in pairs if one and one in first})


def same_pictures(reference: Items, calibration: Items, reading: Reading = WHOLE, workers: int = 1) -> Duplicates:
    """Compare pictures, however they were saved: all by a quick sketch, those that look alike by all their pixels.

    Of more than `MOST` pictures, and at URLs, only bytes are compared.
    """
    return and_pictures(same_bytes(reference, calibration, workers), reading, workers)


def and_pictures(found: Duplicates, reading: Reading = WHOLE, workers: int = 1) -> Duplicates:
    """Add to what `same_bytes` has found the pictures that were saved again."""
    sets = (found.reference, found.calibration)
    if max(map(len, sets)) > MOST or any(_is_remote(items) for items in sets):
        return found
    good, own = (_sketches(items, reading, workers) for items in sets)
    alike = zip(sets, _alike(details(good), details(own)), strict=True)
    of_good, of_own = (_pictures(items, rows, reading, workers) for items, rows in alike)
    known = {picture.digest: row for row, picture in reversed(of_good.items())}
    again = {row: known[one.digest] for row, one in of_own.items() if one.digest in known and row not in found.rows}
    odd = {row for row, other in again.items() if of_own[row].odd or of_good[other].odd}
    return Duplicates(*sets, {**found.rows, **again}, frozenset(again), frozenset(odd), (good, own))


def _lengths(items: Items) -> list[Any]:
    """Return for each image what is equal where the bytes are: the length of a file, all of what is at hand."""
    return [_length(item) for item in items]


def _length(item: ImageItem | ArrayItem) -> Any:
    if isinstance(item.data, np.ndarray):
        return ("pixels", item.data.shape)
    if isinstance(item.data, bytes):
        return len(item.data)
    if isinstance(item.data, RemotePath):
        return None
    try:
        return item.data.stat().st_size
    except OSError:
        return None


def _each(items: Items, do: Callable[[ImageItem | ArrayItem], Any], workers: int) -> list[Any]:
    return list(load_ahead(_iterated(items), do, workers, _WAITING))


def _iterated(items: Items) -> Iterator[ImageItem | ArrayItem]:
    yield from items


def _digest(item: ImageItem | ArrayItem) -> str:
    """Return the digest of the bytes; "" where they can't be read, which is said when the set is run."""
    try:
        return digest_pixels(item.data) if isinstance(item.data, np.ndarray) else digest(item.data)
    except ImageError:
        return ""


def _sketches(items: Items, reading: Reading, workers: int) -> NDArray[np.uint8]:
    found = _each(items, lambda item: _sketch(item, reading), workers)
    return np.frombuffer(b"".join(found), dtype=np.uint8).reshape(len(found), -1)


def _sketch(item: ImageItem | ArrayItem, reading: Reading) -> bytes:
    """Return a thumbnail of an image decoded at an eighth of its size where that can be done; blank if it can't be."""
    try:
        with IN_FLIGHT.holding():
            data = item.data
            if isinstance(data, np.ndarray):
                return thumbnail(from_array(data, reading).pixels).tobytes()
            return thumbnail(decode(data, least=_SKETCH, reading=reading).pixels).tobytes()
    except (ImageError, TypeError, ValueError):  # an array that is no picture; it is said when the set is run
        return _BLANK


class _Picture(NamedTuple):
    """The digest of all pixels, "" where they can't be read, and whether there is a remark on how they are read."""

    digest: str
    odd: bool = False


def _pictures(items: Items, rows: NDArray[np.int64], reading: Reading, workers: int) -> dict[int, _Picture]:
    """Return the digest of all pixels by row, of those that can be read."""
    found = _each(_selected(items, rows), lambda item: _picture(item, reading), workers)
    return {row: one for row, one in zip(rows.tolist(), found, strict=True) if one.digest}


def _picture(item: ImageItem | ArrayItem, reading: Reading) -> _Picture:
    """Return the digest of all pixels, as `digest_picture` has it; of an array that of its values."""
    if isinstance(item.data, np.ndarray):
        return _Picture(digest_pixels(item.data))
    try:
        with IN_FLIGHT.holding():
            image = decode(item.data, reading=reading)
            small = reduced(image)
            return _Picture(digest_picture(image, small, thumbnail(small).tobytes()), odd=bool(image.remarks))
    except ImageError:
        return _Picture("")


def _names(items: Items) -> list[str]:
    return list(items.names) if isinstance(items, ImageSet) else [item.name for item in items]


def _alike(good: NDArray[np.float32], own: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of either set that look like one of the other."""
    of_good, of_own = np.zeros(len(good), dtype=bool), np.zeros(len(own), dtype=bool)
    size = max(1, _AT_ONCE // max(len(good), 1))
    for start in range(0, len(own), size):
        alike = own[start : start + size] @ good.T >= _ALIKE
        of_good |= alike.any(axis=0)
        of_own[start : start + size] = alike.any(axis=1)
    return np.flatnonzero(of_good), np.flatnonzero(of_own)


def _selected(items: Items, rows: NDArray[np.int64]) -> Items:
    return items.select(rows) if isinstance(items, ImageSet) else [items[row] for row in rows.tolist()]


def _is_remote(items: Items) -> bool:
    return isinstance(items, ImageSet) and isinstance(items.root, RemotePath)


def _whole_name(items: Items, row: int) -> str:
    if not isinstance(items, ImageSet):
        return items[row].name
    root = items.root
    return str(items.names[row]) if root == Path() else f"{root}/{items.names[row]}"
