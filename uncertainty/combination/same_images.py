"""The same picture twice: in both sets, or more than once in calibration, whatever file it was saved in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.batches import Collected
from uncertainty.errors import OverlapError
from uncertainty.figures import number_of
from uncertainty.images.near_copies import Looks


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

    Of pictures with the same pixels the first stays; where their labels, `truth` (n,) or of several (n, c), differ,
    none does.
    """
    groups: dict[str, list[int]] = {}
    for row, (digest, pixels) in enumerate(zip(calibration.digests, calibration.pixels, strict=True)):
        groups.setdefault(pixels or digest, []).append(row)
    several = [rows for rows in groups.values() if len(rows) > 1]
    apart = [rows for rows in several if len({truth[row].tobytes() for row in rows}) > 1]
    left_out = {row for rows in several for row in rows[1:]} | {row for rows in apart for row in rows}
    kept = np.array([row for row in range(len(truth)) if row not in left_out], dtype=np.int64)
    names, notes = calibration.outputs.ids, []
    if copies := sum(len(rows) - 1 for rows in several if rows not in apart):
        first = next(rows for rows in several if rows not in apart)
        images = _calibration_images(copies, "is a copy of another and was", "are copies of others and were")
        notes.append(f"{images} left out, e.g. {str(names[first[1]])!r} of {str(names[first[0]])!r}")
    if apart:
        hint = "; where both are true, say --several-labels" if truth.ndim > 1 else ""
        one, other = apart[0][0], next(row for row in apart[0] if (truth[row] != truth[apart[0][0]]).any())
        notes.append(
            f"{sum(map(len, apart))} calibration images have two labels and were left out, e.g. {str(names[one])!r} is "
            f"{str(names[other])!r}, {str(calibration.labels[one])!r} and {str(calibration.labels[other])!r}{hint}"
        )
    return kept, notes


def looks_of(collected: Collected) -> Looks:
    """Return the pictures of a set as they look small."""
    return Looks.of(list(map(str, collected.outputs.ids)), collected.thumbnails)


def _calibration_images(n: int, one: str, many: str) -> str:
    return number_of(n, f"calibration image {one}", f"calibration images {many}")
