"""One labelled set in two halves: whole groups, every class in both, the same again by the seed."""

import numpy as np
import pytest

from uncertainty.combination.halves import whole_groups


def patients(seed, n=60, classes=5):
    """Names, labels and groups of patients with one to nine pictures, each patient of one class."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 10, n)
    names = [f"{k}/{i}.png" for k, size in enumerate(sizes) for i in range(size)]
    groups = {name: name.split("/")[0] for name in names}
    return names, [int(groups[name]) % classes for name in names], groups


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_every_class_is_halved(seed):
    names, labels, groups = patients(seed)
    reference = whole_groups(names, labels, groups, seed)
    assert len({(groups[name], bool(side)) for name, side in zip(names, reference, strict=True)}) == 60
    for label in range(5):
        of = np.array(labels) == label
        assert abs(reference[of].sum() - of.sum() / 2) <= 4.5
    assert reference.tolist() == whole_groups(names, labels, groups, seed).tolist()
    assert reference.tolist() != whole_groups(names, labels, groups, seed + 1).tolist()


def test_the_halves_do_not_depend_on_the_order_of_groups_in_the_set():
    names, labels, groups = patients(0)
    reference = whole_groups(names, labels, groups, 3)
    again = whole_groups(names[::-1], labels[::-1], groups, 3)
    assert again[::-1].tolist() == reference.tolist()


def test_images_without_a_group_stand_by_themselves():
    names = [f"{i}.png" for i in range(100)]
    reference = whole_groups(names, [i % 4 for i in range(100)], dict.fromkeys(names[:30], "film"), 0)
    assert len(set(reference[:30].tolist())) == 1
    assert abs(reference.sum() - 50) <= 2
