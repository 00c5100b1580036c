"""How a classifier looks at images, in one value, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.image_loader import Damage
from uncertainty.defaults import BATCH_SIZE, MC_PASSES, WORKERS
from uncertainty.errors import InputError
from uncertainty.outputs import ModelOutputs


class Deeper(NamedTuple):
    """A deeper look at some images: second opinion, views and so many dropout sub-networks.

    `wanted` tells from the outputs of the first look (n,) which rows to look at more deeply.
    """

    wanted: Callable[[ModelOutputs], NDArray[np.bool_]]
    passes: int = 0
    seed: int = 0
    views: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Look:
    """The options of `Classifier.run` and `Classifier.stream`.

    Parameters
    ----------
    passes : number of dropout sub-networks, 0 for none.
    seed : of the dropout masks.
    batch_size, workers : images that are classified together, and threads that decode ahead.
    damage : applied to the decoded pixels before anything else.
    views : test-time augmentation, of `uncertainty.classifiers.views.VIEWS`, e.g. ("flip", "shift").
    deeper : with it, the second opinion and what else it names are for the images that it wants alone.
    progress : called with the number of images of each finished batch; True: a line on standard error.

    Raises
    ------
    InputError : a number that is too small, or a view that is not known.

    """

    passes: int = MC_PASSES
    seed: int = 0
    batch_size: int = BATCH_SIZE
    workers: int = WORKERS
    damage: Damage | None = None
    views: Sequence[str] = ()
    deeper: Deeper | None = None
    progress: Callable[[int], None] | bool | None = None

    def __post_init__(self) -> None:
        from uncertainty.classifiers.views import check_views

        _check_at_least(0, passes=self.passes, seed=self.seed)
        _check_at_least(1, batch_size=self.batch_size, workers=self.workers)
        check_views(() if self.deeper is None else self.deeper.views)
        object.__setattr__(self, "views", check_views(self.views))


def _check_at_least(least: int, **options: int) -> None:
    for name, value in options.items():
        if value < least:
            raise InputError(f"{name} is {value}; it must be at least {least}")
