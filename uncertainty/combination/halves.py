"""One labelled set, divided into a reference and calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.images.data_sets import HeldImages
from uncertainty.images.sources import ImageSet
from uncertainty.output_tables.output_table import OutputTable

_FEWEST = 2
Several = TypeVar("Several", ImageSet, HeldImages, OutputTable)


def halves(items: Several, seed: int, groups: Mapping[str, str] | None = None) -> tuple[Several, Several]:
    """Return reference and calibration, half of the labelled images each, drawn by the seed.

    `groups` say by name which images belong together: these stay together, and the halves are as even as groups allow.
    """
    if len(items) < _FEWEST:
        raise InputError(f"{len(items)} labelled image can't be divided into two sets; give more, or a reference")
    if groups is None:
        reference = np.zeros(len(items), dtype=bool)
        reference[np.random.default_rng(seed).permutation(len(items))[: len(items) // 2]] = True
    else:
        labels = [None] * len(items) if items.labels is None else items.labels
        reference = whole_groups(items.names, labels, groups, seed)
    return items.select(reference), items.select(~reference)


def whole_groups(
    names: Sequence[str], labels: Sequence[Any], groups: Mapping[str, str], seed: int
) -> NDArray[np.bool_]:
    """Return (n,) which images become the reference: half of each class, as nearly as whole groups allow.

    Groups are dealt in random order, the largest first, each to the half that has fewer images of its classes. An image
    without a group stands by itself. Raises InputError where all images are of one group.

    >>> whole_groups(["1a", "1b", "2a", "2b"], ["cat"] * 4, {"1a": "1", "1b": "1", "2a": "2", "2b": "2"}, 0).tolist()
    [False, False, True, True]
    """
    members: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        members.setdefault(f"group {groups[name]}" if name in groups else f"row {name}", []).append(row)
    if len(members) == 1:
        raise InputError("all labelled images are of one group, which can't be divided; give a reference, too")
    keys = sorted(members)
    drawn = [members[keys[k]] for k in np.random.default_rng(seed).permutation(len(keys))]
    reference, ahead = np.zeros(len(names), dtype=bool), Counter[str]()
    for rows in sorted(drawn, key=len, reverse=True):
        classes = Counter(repr(labels[row]) for row in rows)
        lead = sum(ahead[one] * count for one, count in classes.items())
        if lead < 0 or (lead == 0 and ahead.total() < 0):
            reference[rows] = True
            ahead.update(classes)
        else:
            ahead.subtract(classes)
    return reference
