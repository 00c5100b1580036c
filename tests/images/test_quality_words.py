import numpy as np
import pytest

from uncertainty.images.quality import QUALITY_NAMES
from uncertainty.images.quality_words import FEWEST, WORDS, QualityWords

TYPICAL = dict(zip(QUALITY_NAMES, (0.5, 0.2, 0.6, 4.0, 0.3, 7.0, 18.0, 0.4, 0.9, 0.01, 0.05, 0.3), strict=True))
SPREAD = np.array([0.1, 0.05, 0.1, 0.5, 0.1, 0.5, 0.5, 0.1, 0.03, 0.002, 0.02, 0.1])


def drawn(n, seed, tail="normal"):
    rng = np.random.default_rng(seed)
    deviations = rng.normal(size=(n, len(SPREAD))) if tail == "normal" else rng.laplace(size=(n, len(SPREAD)))
    return np.array(list(TYPICAL.values())) + SPREAD * deviations


@pytest.mark.parametrize(
    ("statistic", "value", "word"),
    [
        ("darkness", 0.8, "dark"),
        ("highlights", 0.2, "dark"),
        ("brightness", 0.99, "bright"),
        ("contrast", 0.05, "low_contrast"),
        ("blur", 9.0, "blurry"),
        ("softness", 2.0, "blurry"),
        ("noise", 0.2, "noisy"),
        ("blocking", 1.0, "compressed"),
        ("saturation", -0.2, "pale"),
        ("saturation", 1.0, "oversaturated"),
        ("size", 10.0, "small"),
        ("size", 26.0, "large"),
        ("aspect", 3.0, "odd_aspect_ratio"),
    ],
)
def test_each_word_has_a_test_of_its_own_and_its_direction(statistic, value, word):
    words = QualityWords.fit(drawn(2000, 0))
    row = list((TYPICAL | {statistic: value}).values())
    assert words.words([row]) == [[word]]
    assert words.words([list(TYPICAL.values())]) == [[]]


@pytest.mark.parametrize("tail", ["normal", "laplace"])
@pytest.mark.parametrize("n", [20, 30, 100, 600])
def test_words_stand_on_few_images_like_the_known_good_ones_however_few_those_are(n, tail):
    rates = []
    for seed in range(40):
        words = QualityWords.fit(drawn(n, seed, tail))
        rates.append([bool(said) for said in words.words(drawn(500, 1000 + seed, tail))])
    assert np.mean(rates) <= (0.03 if tail == "normal" else 0.035)


def test_under_the_fewest_and_without_statistics_there_are_no_words():
    assert QualityWords.fit(drawn(FEWEST - 1, 0)) is None
    assert QualityWords.fit(drawn(50, 0)[:, :8]) is None
    assert QualityWords.fit(drawn(50, 0)).words(drawn(2, 1)[:, :8]) == [[], []]


def test_what_nobody_sees_is_no_difference():
    same = np.tile(list(TYPICAL.values()), (50, 1))
    hardly = same[:1] + np.array([0.02, 0.02, 0.02, 0.3, 0.02, 0.2, 1.0, 0.1, 0.02, 0.004, 0.05, 0.1])
    assert QualityWords.fit(same).words(hardly) == [[]]


def test_fine_detail_is_compared_among_images_of_about_the_same_size():
    row = np.array(list((TYPICAL | {"noise": 0.3, "size": 24.0}).values()))
    assert QualityWords.fit(drawn(500, 0)).words([row]) == [["large"]]


def test_arrays_come_back_as_they_were_and_wrong_ones_are_refused():
    words = QualityWords.fit(drawn(100, 0))
    arrays = words.to_arrays()
    again = QualityWords.from_arrays(arrays)
    assert (again.lines == words.lines).all()
    assert (again.sizes == words.sizes).all()
    assert QualityWords.from_arrays({}) is None
    with pytest.raises(ValueError, match="lines of the image words"):
        QualityWords.from_arrays(arrays | {"word_lines": arrays["word_lines"][:3]})
    assert len(set(WORDS)) == 11
