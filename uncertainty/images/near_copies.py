"""Pictures that look nearly alike: perhaps copies, saved smaller, lighter or with loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.figures import number_of
from uncertainty.images.thumbnails import THUMBNAIL_SIDE, details

_NEAR = 0.98
"""Cosine of the details of two thumbnails from which on two pictures are called nearly the same."""
_MOST = 20_000
_AT_ONCE = 1 << 22


class Looks(NamedTuple):
    """Pictures of a set: their names, and their thumbnails (n, 256) uint8."""

    names: Sequence[str]
    thumbnails: NDArray[np.uint8]

    @classmethod
    def of(cls, names: Sequence[str], thumbnails: Sequence[bytes]) -> Looks:
        """Take thumbnails as bytes."""
        return cls(names, np.frombuffer(b"".join(thumbnails), dtype=np.uint8).reshape(-1, THUMBNAIL_SIDE**2))


def near_copies(reference: Looks, calibration: Looks) -> list[str]:
    """Say how many calibration pictures look nearly like one of the reference, or like one before them.

    Pictures are compared by 16 x 16 thumbnails, lightness and contrast apart; flat ones are like nothing. Sets of more
    than 20,000 pictures are not compared.
    """
    return [*like_reference(reference, calibration), *like_another(calibration)]


def like_reference(reference: Looks, calibration: Looks) -> list[str]:
    """Say how many calibration pictures look nearly like one of the reference."""
    if max(len(reference.names), len(calibration.names)) > _MOST:
        return []
    near = _nearest(details(calibration.thumbnails), details(reference.thumbnails))
    rows = np.flatnonzero(near >= 0)
    if not len(rows):
        return []
    pair = f"{str(calibration.names[rows[0]])!r} like {str(reference.names[near[rows[0]]])!r}"
    return [f"{_look(len(rows))} nearly like one of the reference, e.g. {pair}; if they are copies, p_wrong is too low"]


def like_another(calibration: Looks) -> list[str]:
    """Say how many calibration pictures look nearly like one before them."""
    names = calibration.names
    if len(names) > _MOST:
        return []
    own = details(calibration.thumbnails)
    near = _nearest(own, own, before=True)
    rows = np.flatnonzero(near >= 0)
    if not len(rows):
        return []
    pair = f"{str(names[rows[0]])!r} like {str(names[near[rows[0]]])!r}"
    different = f"calibration has about {len(own) - len(rows)} different pictures"
    return [f"{_look(len(rows))} nearly like another one, e.g. {pair}: {different}"]


def _look(n: int) -> str:
    return number_of(n, "calibration image looks", "calibration images look")


def _nearest(rows: NDArray[np.float32], others: NDArray[np.float32], before: bool = False) -> NDArray[np.int64]:
    """Return for each row the first of the others (with `before`: the first row before it) that it is near, or -1."""
    found = np.full(len(rows), -1)
    size = max(1, _AT_ONCE // max(len(others), 1))
    for start in range(0, len(rows) if len(others) else 0, size):
        near = rows[start : start + size] @ others.T >= _NEAR
        near = np.tril(near, start - 1) if before else near
        found[start : start + size] = np.where(near.any(axis=1), near.argmax(axis=1), -1)
    return found
