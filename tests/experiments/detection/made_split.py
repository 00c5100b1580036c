"""A split that is quickly made, for all tests of this room."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from problems import known_good, made_problem

from experiments.shared import image_sets, splits
from uncertainty import ModelOutputs


@cache
def made_split() -> splits.Split:
    """A split of a made problem, in which "damaged" and "foreign" copies are other rows under the originals' names."""
    calibration, test, seen, unseen = (made_problem(n, seed) for n, seed in ((150, 1), (200, 2), (150, 3), (200, 4)))
    strangers = replace(made_problem(50, 5), labels=np.full(50, image_sets.UNKNOWN))
    foreign = replace(made_problem(150, 6), labels=np.full(150, image_sets.UNKNOWN))
    unseen = replace(unseen, ids=[f"{i}#{'xy'[k % 2]}" for k, i in enumerate(test.ids)])
    return splits.Split(
        reference=known_good(200, 0),
        calibration=calibration,
        calibration_damaged=replace(seen, ids=[f"{i}#z" for i in calibration.ids]),
        calibration_foreign=replace(foreign, ids=[f"{i}#f" for i in calibration.ids]),
        test_clean=test,
        test_damaged=ModelOutputs.concatenate([test.take(range(100)), unseen.take(range(100, 200))]),
        test_unknown=ModelOutputs.concatenate([test, strangers]),
        every_test_damaged=unseen,
    )
