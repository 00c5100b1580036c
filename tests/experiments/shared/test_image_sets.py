"""The images of the experiments: their parts, their damaged and foreign copies, and those of no known class."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.shared import image_sets, splits
from experiments.shared.image_sets import Images
from uncertainty.images.novelty import FOREIGN


@pytest.fixture(scope="module")
def digits() -> Images:
    return image_sets.digits()


def test_parts_of_a_split_are_disjoint_stratified_and_complete(digits: Images) -> None:
    parts = image_sets.split(digits, image_sets.DIGITS_SIZES, seed=3)
    assert [len(rows) for rows in parts] == list(image_sets.DIGITS_SIZES)
    assert sorted(np.concatenate(parts)) == list(range(len(digits)))
    shares = np.array([np.bincount(digits.labels[rows], minlength=10) / len(rows) for rows in parts])
    assert np.ptp(shares, axis=0).max() < 0.01
    assert not np.array_equal(parts[0], image_sets.split(digits, image_sets.DIGITS_SIZES, seed=4)[0])


def test_digits_use_the_whole_range_of_grey(digits: Images) -> None:
    pixels = np.stack(digits.pixels)
    assert pixels.shape == (1797, 8, 8, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_damage_of_an_image_depends_on_its_id_alone(digits: Images) -> None:
    few = digits.take(np.arange(20))
    whole = image_sets.damaged(few, splits.HALVES[0], seed=0)
    part = image_sets.damaged(few.take(np.array([7, 2])), splits.HALVES[0], seed=0)
    assert [part.ids[0], part.ids[1]] == [whole.ids[7], whole.ids[2]]
    assert np.array_equal(part.pixels[0], whole.pixels[7])
    assert set(image_sets.kinds(whole.ids)) <= set(splits.HALVES[0])
    assert set(image_sets.kinds(few.ids)) == {""}


def test_a_foreign_image_depends_on_its_id_alone_and_has_no_class(digits: Images) -> None:
    few = digits.take(np.arange(20))
    whole = image_sets.foreign(few, seed=0)
    part = image_sets.foreign(few.take(np.array([7, 2])), seed=0)
    assert [part.ids[0], part.ids[1]] == [whole.ids[7], whole.ids[2]]
    assert np.array_equal(part.pixels[0], whole.pixels[7])
    assert set(image_sets.kinds(whole.ids)) == set(FOREIGN)
    assert whole.labels.tolist() == [-1] * 20


def test_unknown_images_come_in_equal_shares_and_one_size(digits: Images) -> None:
    sources = [image_sets.drawn(digits, 32, 0), image_sets.photograph_crops(32, 0, smallest=32, grey=True)]
    unknown = image_sets.of_no_known_class(sources, 9, digits)
    assert {image.shape for image in unknown.pixels} == {(32, 32, 3)}
    assert unknown.labels.tolist() == [-1] * 9
    assert unknown.classes == digits.classes
