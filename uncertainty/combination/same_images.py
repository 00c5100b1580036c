"""The same picture twice: in both sets, or more than once in calibration, whatever file it was saved in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.batches import Collected
from uncertainty.errors import OverlapError
from uncertainty.figures import number_of
from uncertainty.images.thumbnails import details

_NEAR = 0.98
"""Cosine of the details of two thumbnails from which on two pictures are called nearly the same."""
_MOST = 20_000
_AT_ONCE = 1 << 22


def refuse_same_images(reference: Collected, calibration: Collected) -> None:
    """Raise OverlapError where an image of calibration, by its bytes or its pixels, is in the reference too."""
    shared = _shared(reference, calibration)
    if shared:
        row, other = next(iter(shared.items()))
        name, twin = str(calibration.outputs.ids[row]), str(reference.outputs.ids[other])
        again = "" if calibration.digests[row] == reference.digests[other] else ", saved again"
        raise OverlapError(
            f"{_calibration_images(len(shared), 'is', 'are')} in the reference too, e.g. {name!r} is {twin!r}{again}; "
            "p_wrong would be far too low: take them out of one of the two"
        )


def without_copies(reference: Collected, calibration: Collected) -> tuple[Collected, list[str]]:
    """Leave out of one half the images that the other half holds under another name."""
    shared = _shared(reference, calibration)
    if not shared:
        return calibration, []
    kept = calibration.take([row for row in range(len(calibration.digests)) if row not in shared])
    images = _calibration_images(len(shared), "was", "were")
    return kept, [f"{images} left out: the reference holds the same images under other names"]


def _shared(reference: Collected, calibration: Collected) -> dict[int, int]:
    """Return the rows of calibration that are rows of the reference too, and which."""
    known = {digest: row for row, digest in enumerate(reference.digests)}
    seen = {pixels: row for row, pixels in enumerate(reference.pixels) if pixels}
    pairs = enumerate(zip(calibration.digests, calibration.pixels, strict=True))
    found = {row: known.get(digest, seen.get(pixels)) for row, (digest, pixels) in pairs}
    return {row: other for row, other in found.items() if other is not None}


def each_once(calibration: Collected, truth: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Return the rows to keep so that each picture counts once, and notes.

    Of pictures with the same pixels the first stays; where their labels, `truth` (n,), differ, none does.
    """
    groups: dict[str, list[int]] = {}
    for row, (digest, pixels) in enumerate(zip(calibration.digests, calibration.pixels, strict=True)):
        groups.setdefault(pixels or digest, []).append(row)
    several = [rows for rows in groups.values() if len(rows) > 1]
    apart = [rows for rows in several if len({int(truth[row]) for row in rows}) > 1]
    left_out = {row for rows in several for row in rows[1:]} | {row for rows in apart for row in rows}
    kept = np.array([row for row in range(len(truth)) if row not in left_out], dtype=np.int64)
    names, notes = calibration.outputs.ids, []
    if copies := sum(len(rows) - 1 for rows in several if rows not in apart):
        first = next(rows for rows in several if rows not in apart)
        images = _calibration_images(copies, "is a copy of another and was", "are copies of others and were")
        notes.append(f"{images} left out, e.g. {str(names[first[1]])!r} of {str(names[first[0]])!r}")
    if apart:
        one, other = apart[0][0], next(row for row in apart[0] if truth[row] != truth[apart[0][0]])
        notes.append(
            f"{sum(map(len, apart))} calibration images have two labels and were left out, e.g. {str(names[one])!r} is "
            f"{str(names[other])!r}, {str(calibration.labels[one])!r} and {str(calibration.labels[other])!r}"
        )
    return kept, notes


def near_copies(reference: Collected, calibration: Collected) -> list[str]:
    """Say how many calibration pictures look nearly like one of the reference, or like one before them.

    Pictures are compared by 16 x 16 thumbnails, lightness and contrast apart; flat ones are like nothing. Sets of more
    than 20,000 pictures are not compared.
    """
    if max(len(reference.thumbnails), len(calibration.thumbnails)) > _MOST:
        return []
    good, own = _looks(reference.thumbnails), _looks(calibration.thumbnails)
    among_good, among_own = _nearest(own, good), _nearest(own, own, before=True)
    notes = []
    if len(rows := np.flatnonzero(among_good >= 0)):
        pair = f"{str(calibration.outputs.ids[rows[0]])!r} like {str(reference.outputs.ids[among_good[rows[0]]])!r}"
        look = _calibration_images(len(rows), "looks", "look")
        notes.append(f"{look} nearly like one of the reference, e.g. {pair}; if they are copies, p_wrong is too low")
    if len(rows := np.flatnonzero(among_own >= 0)):
        ids = calibration.outputs.ids
        pair = f"{str(ids[rows[0]])!r} like {str(ids[among_own[rows[0]]])!r}"
        look = _calibration_images(len(rows), "looks", "look")
        notes.append(
            f"{look} nearly like another one, e.g. {pair}: calibration has about "
            f"{len(own) - len(rows)} different pictures"
        )
    return notes


def _calibration_images(n: int, one: str, many: str) -> str:
    return number_of(n, f"calibration image {one}", f"calibration images {many}")


def _looks(thumbnails: Sequence[bytes]) -> NDArray[np.float32]:
    boxes = np.frombuffer(b"".join(thumbnails), dtype=np.uint8)
    return details(boxes.reshape(len(thumbnails), -1))


def _nearest(rows: NDArray[np.float32], others: NDArray[np.float32], before: bool = False) -> NDArray[np.int64]:
    """Return for each row the first of the others (with `before`: the first row before it) that it is near, or -1."""
    found = np.full(len(rows), -1)
    size = max(1, _AT_ONCE // max(len(others), 1))
    for start in range(0, len(rows) if len(others) else 0, size):
        near = rows[start : start + size] @ others.T >= _NEAR
        near = np.tril(near, start - 1) if before else near
        found[start : start + size] = np.where(near.any(axis=1), near.argmax(axis=1), -1)
    return found
