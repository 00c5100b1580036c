"""Images that show the same again: frames of one film, copies that were brightened, scaled or compressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
FLOOR = 0.8
"""Cosine below which two images are never near-duplicates."""
_SAME = 0.999
_CLOSER = 4
_NEIGHBOUR = 20
_FLOATS_AT_ONCE = 1 << 22


def folded(
    looks: NDArray[np.floating] | None,
    digests: Sequence[str | None] | None = None,
    groups: Sequence[str | None] | None = None,
) -> Positions:
    """Return (m,) for each row, which come best first, the row that stands for it: itself, or one before it.

    Parameters
    ----------
    looks : (m, d) of length 1, zero rows for what is like nothing: `thumbnails.details` of thumbnails, or features.
    digests : equal ones are of equal files, None where unknown.
    groups : equal ones are of images that belong together, such as frames of one film; None for what stands alone.

    Two rows are near-duplicates if 1 − cos is at most 0.2 and at most a quarter of what it is to the 20th nearest row
    (the tenth part of the rows, if that is fewer), of either of them; and if their cosine is above 0.999. Where all
    images look alike, such as photographs of one machine, twins must be more alike. A row is folded into the first one
    before it that stands for itself and is its near-duplicate or of its group. Memory grows with the rows, not with
    their square.

    The quarter was chosen on CIFAR-10, digits and solar cells with brightened copies.

    >>> folded(None, ["a", "b", "a", None, None]).tolist()
    [0, 1, 0, 3, 4]
    >>> folded(None, ["a", "a", "b", "c"], [None, "film", "film", "film"]).tolist()
    [0, 0, 2, 2]
    """
    m = len(digests or groups or ()) if looks is None else len(looks)
    mates: list[list[int]] = [[] for _ in range(m)]
    if looks is not None and m > 1:
        for later, earlier in _pairs(np.asarray(looks, dtype=np.float32)):
            mates[later].append(earlier)
    first: dict[str, int] = {}
    listed: dict[str, int] = {}
    found = np.arange(m)
    for row in range(m):
        digest = None if digests is None else digests[row]
        same = first.setdefault(digest, row) if digest else row
        if same != row:
            found[row] = found[same]
        else:
            group = None if groups is None else groups[row]
            together = [listed[group]] if group in listed else []
            found[row] = next((mate for mate in sorted(mates[row] + together) if found[mate] == mate), row)
            if group is not None and found[row] == row:
                listed[group] = row
    return found


def _pairs(x: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Yield (later, earlier) rows that are near-duplicates by looks, in order."""
    m = len(x)
    k = min(max(m // 10, 2), _NEIGHBOUR, m - 1)
    size = max(1, _FLOATS_AT_ONCE // m)
    needed = np.empty(m, dtype=np.float32)
    for start in range(0, m, size):
        rows = np.arange(start, min(start + size, m))
        cosines = x[rows] @ x.T
        cosines[rows - start, rows] = -1
        kth = np.partition(cosines, -k, axis=1)[:, -k]
        needed[rows] = np.maximum(FLOOR, 1 - (1 - kth) / _CLOSER).clip(max=_SAME)
        before = cosines[:, : rows[-1] + 1]
        alike = before >= np.maximum(needed[rows, None], needed[None, : rows[-1] + 1])
        for later, earlier in np.argwhere(np.tril(alike, start - 1)).tolist():
            yield later + start, earlier
