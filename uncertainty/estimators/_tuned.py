"""Choosing a setting by how well its scores rank the errors of labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from uncertainty.metrics import aurc

Setting = TypeVar("Setting")
# Differences below this are rounding: which setting wins must not hang on the order of the rows.
_DECIMALS = 12


def best_setting(
    settings: Sequence[Setting], score: Callable[[Setting], NDArray[Any]], wrong: NDArray[np.bool_]
) -> Setting:
    """Return the setting whose scores (n,) of rows have the lowest AURC; of equals the first.

    >>> scores = {2: np.array([3.0, 2.0, 1.0]), 5: np.array([1.0, 2.0, 3.0]), 7: np.array([0.0, 0.0, 9.0])}
    >>> best_setting([2, 5, 7], scores.__getitem__, np.array([False, False, True]))
    5
    """
    return min(settings, key=lambda setting: round(aurc(wrong, score(setting)), _DECIMALS))


def held_out_folds(ids: NDArray[np.str_], wrong: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Deal rows to folds by their ids, wrong ones first: (n,) from 0 to count - 1, whatever the order of the rows.

    >>> held_out_folds(np.array(["d", "a", "c", "b"]), np.array([True, False, False, True]), 2).tolist()
    [1, 0, 1, 0]
    """
    fold = np.empty(len(ids), dtype=np.int64)
    fold[np.lexsort((ids, ~wrong))] = np.arange(len(ids)) % count
    return fold
