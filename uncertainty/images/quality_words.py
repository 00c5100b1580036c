"""Words for how an image differs from known-good ones, each by a test of its own: dark, blurry, noisy and others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.images.quality import QUALITY_NAMES

Floats = NDArray[np.float64]

ANY_WORD = 0.025
"""At most this share of images like the known-good ones gets any word, as far as each word is met on others."""
FEWEST = 20
"""Known-good images under which no word stands: their extremes say too little."""
_ENOUGH = 100  # known-good images, from which on is counted how many get any word
_COUNTED = 0.02  # of them may
_FACTORS = (3.0, 2.0, 1.5, 1.0)
_HEAVY = ("dark", "blurry", "noisy", "compressed")  # what befalls images most has twice the part of the others
_ARRAYS = ("word_lines", "word_sizes")
_TAIL = 0.2  # of the known-good images, from which the extremes beyond all of them are told
_MOST_OF_TAIL = 50
_FACTOR = 2.0  # in pixels along a side, in log2 of the area: what is smaller or larger than that is not compared


class _Test(NamedTuple):
    """One statistic that may give a word: above its line, or below it where `side` is -1.

    `least` is how far from the known-good median the line lies at least: nobody sees less. `fine` statistics depend on
    how many pixels an image has, and are compared among images of about the same size alone.
    """

    word: str
    statistic: str
    side: int
    least: float
    fine: bool = False


TESTS = (
    _Test("dark", "darkness", 1, 0.05),
    _Test("dark", "highlights", -1, 0.2),
    _Test("bright", "brightness", 1, 0.05),
    _Test("low_contrast", "contrast", -1, 0.05),
    _Test("blurry", "blur", 1, 0.7, fine=True),
    _Test("blurry", "softness", 1, 0.2, fine=True),
    _Test("noisy", "noise", 1, 0.7, fine=True),
    _Test("compressed", "blocking", 1, 0.1, fine=True),
    _Test("pale", "saturation", -1, 0.05),
    _Test("oversaturated", "saturation", 1, 0.05),
    _Test("small", "size", -1, _FACTOR),
    _Test("large", "size", 1, _FACTOR),
    _Test("odd_aspect_ratio", "aspect", 1, 0.3),
)
WORDS = tuple(dict.fromkeys(test.word for test in TESTS))
_COLUMNS = np.array([QUALITY_NAMES.index(test.statistic) for test in TESTS])
_SIDES = np.array([test.side for test in TESTS], dtype=np.float64)
_FINE = np.array([test.fine for test in TESTS])
_SIZE = QUALITY_NAMES.index("size")
_LOGS = {"noise": 1 / 255, "highlights": 0.02}  # what is added before their logarithm is taken
_PARTS = np.array(
    [(1 + (test.word in _HEAVY)) / sum(other.word == test.word for other in TESTS) for test in TESTS], dtype=np.float64
)
_SHARES = ANY_WORD * _PARTS / _PARTS.sum()


@dataclass(frozen=True, eq=False)
class QualityWords:
    """Where each test draws its line, learnt from known-good images: (t,) on the signed statistic, inf for never.

    `sizes` (2,) are the log2 of the fewest and the most pixels of a known-good image.
    """

    lines: Floats
    sizes: Floats

    @classmethod
    def fit(cls, quality: Any) -> Self | None:
        """Learn from the (n, 12) `quality` of known-good images; None where they are under 20, or say less of each.

        Line of a test: the known-good value that an image like them exceeds with a chance of at most its share. The
        shares are parts of 2.5 %, so that no more get any word, twice as much for dark, blurry, noisy and compressed as
        for the others; a word with two tests halves it. From 100 known-good images on all shares grow by the same
        factor, up to 1 % for a word, as long as 2 % of one half of the images get any word by the lines of the other
        half: most lines keep more than their share, and some images would get several words. Where n are enough a line
        is an order statistic, whatever the distribution: of n + 1 alike, each is as likely the most extreme. Else it
        lies beyond all of them, where a tail that falls as an exponential does would put it (see `_beyond`): the fewer
        they are the further out.

        >>> QualityWords.fit(np.zeros((19, 12))) is None
        True
        """
        values = np.asarray(quality, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(QUALITY_NAMES) or len(values) < FEWEST:
            return None
        signed = _signed(values)
        lines = _lines(signed, _factor(signed) * _SHARES)
        return cls(lines, np.array([values[:, _SIZE].min(), values[:, _SIZE].max()]))

    def words(self, quality: Any) -> list[list[str]]:
        """Return for each row of (n, 12) the words that hold, in the order of WORDS; none for other statistics.

        >>> known = np.tile([0.5, 0.1, 0.6, 4.0, 0.3, 7.0, 16.0, 0.0, 0.9, 0.01, 0.05, 0.3], (30, 1))
        >>> new = known[:3].copy(); new[1, [1, 8]] = 0.8, 0.2; new[2, [9, 10]] = 0.2, 1.0
        >>> QualityWords.fit(known).words(new)
        [[], ['dark'], ['noisy', 'compressed']]
        """
        values = np.asarray(quality, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(QUALITY_NAMES):
            return [[] for _ in range(len(values))]
        beyond = _signed(values) > self.lines
        size = values[:, _SIZE]
        alike = (size >= self.sizes[0] - _FACTOR) & (size <= self.sizes[1] + _FACTOR)
        beyond[:, _FINE] &= alike[:, None]
        return [_named(row) for row in beyond.tolist()]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all there is as arrays; "never" is the largest number, since files hold finite ones."""
        return dict(zip(_ARRAYS, (np.nan_to_num(self.lines), self.sizes), strict=True))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """Undo `to_arrays`; None where nothing was learnt.

        Raises ValueError for arrays of another shape.
        """
        if not set(_ARRAYS) & arrays.keys():
            return None
        lines, sizes = (np.asarray(arrays[name], dtype=np.float64) for name in _ARRAYS)
        if lines.shape != (len(TESTS),) or sizes.shape != (2,):
            raise ValueError(f"the lines of the image words are {lines.shape} and {sizes.shape}")
        return cls(lines, sizes)


def _named(beyond: Sequence[bool]) -> list[str]:
    return list(dict.fromkeys(test.word for test, holds in zip(TESTS, beyond, strict=True) if holds))


def _signed(values: Floats) -> Floats:
    """(n, t) so that more is more unusual; noise and the light left as logarithms, since damage multiplies them."""
    signed = values[:, _COLUMNS]
    for column, test in enumerate(TESTS):
        if test.statistic in _LOGS:
            signed[:, column] = np.log(np.maximum(signed[:, column], 0) + _LOGS[test.statistic])
    return np.asarray(signed * _SIDES)


def _lines(signed: Floats, shares: Floats) -> Floats:
    least = np.median(signed, axis=0) + [test.least for test in TESTS]
    lines = [_line(column, share) for column, share in zip(signed.T, shares, strict=True)]
    return np.asarray(np.maximum(lines, least))


def _factor(signed: Floats) -> float:
    """By how much the shares may grow: as far as few of each half of the images get a word by the other half."""
    if len(signed) < _ENOUGH:
        return 1.0
    order = np.random.default_rng(0).permutation(len(signed))
    halves = signed[order[::2]], signed[order[1::2]]
    for factor in _FACTORS[:-1]:
        pairs = (halves, halves[::-1])
        told = [(other > _lines(half, factor * _SHARES)).any(axis=1) for half, other in pairs]
        if np.concatenate(told).mean() <= _COUNTED:
            return factor
    return _FACTORS[-1]


def _line(values: Floats, share: float) -> float:
    """The value that one more such value exceeds with a chance of at most `share`.

    Of 999 values for a share of 1 in 100 it is the tenth largest:

    >>> _line(np.arange(999.0), 0.01)
    989.0
    """
    ordered = np.sort(values)
    at_most = math.floor(share * (len(ordered) + 1) + 1e-9)
    return float(ordered[-at_most]) if at_most else _beyond(ordered, share)


def _beyond(ordered: Floats, share: float) -> float:
    """Where few values reach: u + m e ((m / (n share))^(1 / m) - 1), for the m largest, e above u in the mean.

    Were their tail exponential, one more would lie beyond with a chance of just `share`, averaged over what the m
    might have been (a Pareto law of the second kind, as e is itself of chance); a lighter tail, such as that of a
    normal distribution, makes it less.

    >>> round(_beyond(np.append(np.zeros(20), [1, 2, 3, 4, 5.0]), 0.002), 2)  # u 0, e 3: 15 ((5 / 0.05)^0.2 - 1)
    22.68
    """
    m: int = max(3, min(_MOST_OF_TAIL, int(_TAIL * len(ordered))))
    start = ordered[-m - 1]
    excess = float(np.mean(ordered[-m:] - start))
    tail: float = float(start) + m * excess * ((m / (len(ordered) * share)) ** (1 / m) - 1)
    return max(tail, float(ordered[-1]))
