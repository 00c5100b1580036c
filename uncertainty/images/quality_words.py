"""Words for how an image differs from known-good ones, each by a test of its own: dark, blurry, noisy, compressed …"""

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
"""At most this share of images like the known-good ones gets any word; each word has an equal part of it."""
FEWEST = 20
"""Known-good images under which no word stands: their extremes say too little."""
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
    _Test("dark", "highlights", -1, 0.05),
    _Test("bright", "brightness", 1, 0.05),
    _Test("low_contrast", "contrast", -1, 0.05),
    _Test("blurry", "blur", 1, 0.7, fine=True),
    _Test("blurry", "softness", 1, 0.3, fine=True),
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
_NOISE = [test.statistic for test in TESTS].index("noise")
_SHARES = np.array([ANY_WORD / len(WORDS) / sum(other.word == test.word for other in TESTS) for test in TESTS])


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

        Line of a test: the known-good value that an image like them exceeds with a chance of at most 0.025 / 11 (half
        of it where a word has two tests), so that at most 2.5 % get any word. Where n are enough that is an order
        statistic, whatever their distribution: of n + 1 alike, each is as likely the most extreme. Else the line lies
        beyond all of them, where a tail that falls as an exponential does would put it (see `_beyond`): the fewer they
        are the further out.

        >>> QualityWords.fit(np.zeros((19, 12))) is None
        True
        """
        values = np.asarray(quality, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(QUALITY_NAMES) or len(values) < FEWEST:
            return None
        signed = _signed(values)
        least = np.median(signed, axis=0) + [test.least for test in TESTS]
        lines = np.array([_line(column, share) for column, share in zip(signed.T, _SHARES, strict=True)])
        return cls(np.maximum(lines, least), np.array([values[:, _SIZE].min(), values[:, _SIZE].max()]))

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
    """(n, t) so that more is more unusual; noise as its logarithm, since its tail is long."""
    signed = values[:, _COLUMNS] * _SIDES
    signed[:, _NOISE] = np.log(np.maximum(signed[:, _NOISE], 0) + 1 / 255)
    return signed


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
    m = max(3, min(_MOST_OF_TAIL, int(_TAIL * len(ordered))))
    start = ordered[-m - 1]
    excess = float(np.mean(ordered[-m:] - start))
    tail = float(start) + m * excess * ((m / (len(ordered) * share)) ** (1 / m) - 1)
    return max(tail, float(ordered[-1]))
