"""Rows of calibration that say what rows of the reference say: the same images under other names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import CalibrationError, OverlapError
from uncertainty.outputs import ModelOutputs

_HALF = 0.5
_DIGITS = 4
_SAME = 3e-5
"""Of the largest value of a row: what another batch size does to it."""
_BESIDE = 4

Floats = NDArray[np.float64]


def equal_outputs(reference: ModelOutputs, calibration: ModelOutputs) -> list[str]:
    """Say how many rows of calibration have, but for rounding, the logits and features of a reference row.

    Raises OverlapError where half of them do: the same images, renamed. Where there are no features, logits of four
    digits or fewer may be equal by chance and don't count.
    """
    shared = _shared(reference, calibration)
    if not shared:
        return []
    row, other = next(iter(shared.items()))
    pair = f"{str(calibration.ids[row])!r} those of {str(reference.ids[other])!r}"
    told = f"{len(shared)} of {len(calibration)} calibration rows have the very outputs of reference rows, e.g. {pair}"
    if len(shared) >= _HALF * len(calibration):
        raise OverlapError(f"{told}; they are the same images, and p_wrong would be far too low: give others")
    return [f"{told}: are they the same images under other ids?"]


def _shared(reference: ModelOutputs, calibration: ModelOutputs) -> dict[int, int]:
    """Return the rows of calibration that are rows of the reference too, and which."""
    if reference.logits.shape[1:] != calibration.logits.shape[1:] or not len(reference):
        return {}
    columns = [(reference.logits, calibration.logits)]
    if reference.features is not None and calibration.features is not None:
        if reference.features.shape[1:] != calibration.features.shape[1:]:
            return {}
        columns.append((reference.features, calibration.features))
    known, rows = (np.concatenate([pair[k] for pair in columns], axis=1).astype(np.float32) for k in (0, 1))
    if len(known) > 1 and bool((known == known[:1]).all()):
        raise CalibrationError("the classifier answers every reference image alike; were its weights loaded?")
    same = _nearest(known, rows)
    if len(columns) == 1:
        told = (calibration.logits != np.round(calibration.logits, _DIGITS)).any(axis=1)
        same[~told] = -1
    return {int(row): int(same[row]) for row in np.flatnonzero(same >= 0)}


def _nearest(known: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each row the known one that it is but for rounding, or -1.

    Along a random direction equal rows lie side by side, so few others have to be looked at.

    >>> _nearest(np.float32([[1, 2], [3, 5]]), np.float32([[3, 5.00001], [1, 2.1]])).tolist()
    [1, -1]
    """
    direction = np.random.default_rng(0).normal(size=known.shape[1])
    place, places = rows @ direction, known @ direction
    order = np.argsort(places, kind="stable")
    at, found = np.searchsorted(places[order], place), np.full(len(rows), -1)
    for beside in range(-_BESIDE, _BESIDE + 1):
        other = order[np.clip(at + beside, 0, len(known) - 1)]
        room = _SAME * np.abs(rows).max(axis=1)
        near = np.flatnonzero((np.abs(places[other] - place) <= room * np.abs(direction).sum()) & (found < 0))
        near = near[np.abs(known[other[near]] - rows[near]).max(axis=1) <= room[near]]
        found[near] = other[near]
    return found
